#include "client/key_state.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "client/output.h"

enum { GRANTS_BYTES = 1024 };

pf_status pf_key_state_open(const pf_call *call, pf_key_state *out, pf_err *err)
{
    const char *state = pf_args_text(call->args, "state");
    struct stat info = {0};
    char        folder[PATH_MAX];
    pf_status   status = PF_OK;

    if (!state)
        return PF_FAIL(err, PF_USAGE, "the coordinator's state folder is missing; give --state DIR");
    if (stat(state, &info) || !S_ISDIR(info.st_mode))
        return PF_FAIL(err, PF_NOT_FOUND, "there is no folder %s; start the coordinator on it once, or make it", state);
    status = pf_path_join(state, "keys", folder, sizeof folder, err);
    if (!status)
        status = pf_dir_make(folder, err);
    if (!status)
        status = pf_path_join(folder, "ring", out->ring_path, sizeof out->ring_path, err);
    if (!status)
        status = pf_path_join(folder, "farm.key", out->farm_path, sizeof out->farm_path, err);
    return status ? status : pf_key_ring_read(out->ring_path, &out->ring, err);
}

pf_status pf_key_state_save(const pf_key_state *state, pf_err *err)
{
    return pf_key_ring_write(&state->ring, state->ring_path, err);
}

void pf_key_state_close(pf_key_state *state)
{
    pf_key_ring_clear(&state->ring);
}

pf_status pf_key_state_farm(const pf_key_state *state, char public_key[PF_Z85_BYTES], bool *made, pf_err *err)
{
    pf_farm_key farm = {{0}};
    pf_status   status = PF_OK;

    *made = !pf_file_exists(state->farm_path);
    if (*made) {
        status = pf_farm_key_new("farm", "", &farm, err);
        if (!status)
            status = pf_farm_key_write(&farm, state->farm_path, err);
    } else {
        status = pf_farm_key_read(state->farm_path, &farm, err);
    }
    memcpy(public_key, farm.public_key, PF_Z85_BYTES);
    pf_farm_key_clear(&farm);
    return status;
}

json_t *pf_key_state_json(const pf_ring_entry *entry)
{
    char grants[GRANTS_BYTES];

    pf_ring_entry_grants(entry, grants, sizeof grants);
    return json_pack("{s:o, s:o, s:o}", "name", pf_json_text(entry->name), "public_key",
                     pf_json_text(entry->public_key), "grants", pf_json_text(grants));
}
