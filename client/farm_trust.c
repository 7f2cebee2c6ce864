#include "client/farm_trust.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "client/output.h"

enum { KEYS_BYTES = 64 * 1024 };

/* Reads one key a line. */
static pf_status parse_keys(const char *text, size_t bytes, const char *source, pf_farm_trust *out, pf_err *err)
{
    size_t at = 0;

    out->keys_count = 0;
    while (at < bytes && out->keys_count < PF_FARM_KEYS_MAX) {
        const char *end = memchr(text + at, '\n', bytes - at);
        size_t      length = (end ? (size_t)(end - text) : bytes) - at + (end != NULL);

        if (pf_public_key_parse(text + at, length, &out->key[out->keys_count], NULL))
            return PF_FAIL(err, PF_INVALID,
                           "%s does not hold public keys; a line is like \"planfarm-key farm-1 BASE64\"", source);
        out->keys_count++;
        at += length;
    }
    if (out->keys_count == 0)
        return PF_FAIL(err, PF_INVALID, "%s holds no public key", source);
    return PF_OK;
}

static pf_status given_key(const char *value, pf_farm_trust *out, pf_err *err)
{
    char      line[256];
    pf_buf    text = {0};
    pf_status status = PF_OK;

    if (strncmp(value, "planfarm-key ", 13) == 0) {
        snprintf(line, sizeof line, "%s\n", value);
        return parse_keys(line, strlen(line), "--key", out, err);
    }
    status = pf_file_read(value, KEYS_BYTES, &text, err);
    if (!status)
        status = parse_keys((const char *)text.data, text.size, value, out, err);
    pf_buf_clear(&text);
    return status;
}

static pf_status config_folder(char out[PATH_MAX], pf_err *err)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int         length = 0;

    if (config && config[0] == '/')
        length = snprintf(out, PATH_MAX, "%s/planfarm/farms", config);
    else if (home && home[0] == '/')
        length = snprintf(out, PATH_MAX, "%s/.config/planfarm/farms", home);
    else
        return PF_FAIL(err, PF_NOT_FOUND,
                       "there is no folder for the farm's key; set HOME or XDG_CONFIG_HOME, or give --key");
    return length < PATH_MAX ? PF_OK : PF_FAIL(err, PF_INVALID, "the folder of the configuration has too long a name");
}

/* "http://host:7780" is kept as "host_7780.keys". */
static pf_status keys_path(const pf_farm *farm, char folder[PATH_MAX], char out[PATH_MAX], pf_err *err)
{
    const char *from = strstr(farm->http_url, "://");
    char        name[PF_FARM_URL_BYTES + 8];
    size_t      at = 0;
    pf_status   status = config_folder(folder, err);

    for (from = from ? from + 3 : farm->http_url; *from && at + 8 < sizeof name; from++)
        name[at++] = isalnum((unsigned char)*from) || *from == '.' || *from == '-' ? *from : '_';
    name[at] = 0;
    strncat(name, ".keys", sizeof name - at - 1);
    return status ? status : pf_path_join(folder, name[0] == '.' ? name + 1 : name, out, PATH_MAX, err);
}

static pf_status pin(const pf_farm *farm, const char *folder, const char *path, pf_farm_trust *out, pf_err *err)
{
    pf_buf    text = {0};
    pf_status status = pf_dir_make(folder, err);

    pf_buf_init(&text, KEYS_BYTES);
    for (uint32_t i = 0; i < farm->keys_count && !status; i++) {
        out->key[i] = farm->key[i];
        status = pf_public_key_write(&farm->key[i], &text, err);
    }
    out->keys_count = farm->keys_count;
    if (!status)
        status = pf_file_write(path, text.data, text.size, err);
    pf_buf_clear(&text);
    return status;
}

/* Does the farm still say one of the keys that were kept? */
static bool knows(const pf_farm *farm, const pf_farm_trust *kept)
{
    for (uint32_t i = 0; i < kept->keys_count; i++)
        for (uint32_t k = 0; k < farm->keys_count; k++)
            if (memcmp(kept->key[i].byte, farm->key[k].byte, PF_PUBLIC_KEY_BYTES) == 0)
                return true;
    return false;
}

static pf_status read_kept(const char *path, pf_farm_trust *out, pf_err *err)
{
    pf_buf    text = {0};
    pf_status status = pf_file_read(path, KEYS_BYTES, &text, err);

    if (!status)
        status = parse_keys((const char *)text.data, text.size, path, out, err);
    pf_buf_clear(&text);
    return status;
}

pf_status pf_farm_trust_load(pf_call *call, const pf_farm *farm, pf_farm_trust *out, pf_err *err)
{
    const char *given = pf_args_text(call->args, "key");
    char        folder[PATH_MAX], path[PATH_MAX];
    pf_status   status = PF_OK;

    memset(out, 0, sizeof *out);
    if (given)
        return given_key(given, out, err);
    if (farm->keys_count == 0)
        return PF_FAIL(err, PF_DENIED, "the farm at %s names no signing key; give one by --key", farm->url);
    status = keys_path(farm, folder, path, err);
    if (status)
        return status;
    if (!pf_file_exists(path))
        return pin(farm, folder, path, out, err);
    status = read_kept(path, out, err);
    if (status || knows(farm, out))
        return status;
    if (farm->is_local) {
        pf_warn(call,
                "the farm at %s signs with another key than before; it is on this machine, so the new key is kept",
                farm->url);
        return pin(farm, folder, path, out, err);
    }
    return PF_FAIL(err, PF_DENIED,
                   "the farm at %s signs with another key than the first time; if that is meant, remove %s", farm->url,
                   path);
}
