/* The verbs that look at and change the ring: list, grant, revoke. */
#include <stdio.h>

#include "base/file.h"
#include "client/key_state.h"
#include "client/output.h"
#include "proto/manifest.h"

static const pf_option options[] = {PF_STATE_OPTION, {.name = NULL}};

static void show(pf_call *call, const pf_ring_entry *entry)
{
    char grants[1024];

    pf_ring_entry_grants(entry, grants, sizeof grants);
    pf_say(call, "%-24s %s  %s\n", entry->name, entry->public_key, grants);
}

static pf_status run_list(pf_call *call, pf_err *err)
{
    json_t      *keys = json_array();
    pf_key_state state = {.ring = {0}};
    pf_status    status = pf_args_expect(call->args, 0, 0, "", err);

    json_object_set_new(call->result, "keys", keys);
    if (!status)
        status = pf_key_state_open(call, &state, err);
    for (uint32_t i = 0; i < state.ring.count && !status; i++) {
        show(call, &state.ring.entry[i]);
        json_array_append_new(keys, pf_key_state_json(&state.ring.entry[i]));
    }
    pf_key_state_close(&state);
    return status;
}

static const pf_option grant_options[] = {
    {.name = "grant", .kind = PF_OPTION_TEXT, .value = "GRANTS", .help = "the same as GRANTS"},
    PF_STATE_OPTION,
    {.name = NULL},
};

static pf_status run_grant(pf_call *call, pf_err *err)
{
    const char  *name = pf_args_operand(call->args, 0), *grants = pf_args_text(call->args, "grant"), *key = NULL;
    uint32_t     words = grants ? 1 : 2, count = pf_args_operand_count(call->args);
    pf_key_state state = {.ring = {0}};
    const pf_ring_entry *there = NULL;
    pf_status    status = pf_args_expect(call->args, words, words + 1, "NAME, PUBLIC_KEY and GRANTS", err);

    if (!grants)
        grants = pf_args_operand(call->args, count - 1);

    if (!status)
        status = pf_key_state_open(call, &state, err);
    if (!status) {
        there = pf_key_ring_find(&state.ring, name);
        key = count > words ? pf_args_operand(call->args, 1) : there ? there->public_key : NULL;
        if (!key)
            status = PF_FAIL(err, PF_NOT_FOUND, "no key \"%.100s\" is known; give its public key as well", name);
    }
    if (!status) {
        char copy[PF_Z85_BYTES * 4];        /* the ring's own text moves when it is written */
        snprintf(copy, sizeof copy, "%s", key);
        status = pf_key_ring_grant(&state.ring, name, copy, grants, err);
    }
    if (!status)
        status = pf_key_state_save(&state, err);
    if (!status) {
        show(call, pf_key_ring_find(&state.ring, name));
        json_object_set_new(call->result, "key", pf_key_state_json(pf_key_ring_find(&state.ring, name)));
    }
    pf_key_state_close(&state);
    return status;
}

static pf_status run_revoke(pf_call *call, pf_err *err)
{
    pf_key_state state = {.ring = {0}};
    pf_status    status = pf_args_expect(call->args, 1, 1, "NAME", err);

    if (!status)
        status = pf_key_state_open(call, &state, err);
    if (!status)
        status = pf_key_ring_revoke(&state.ring, pf_args_operand(call->args, 0), err);
    if (!status)
        status = pf_key_state_save(&state, err);
    if (!status) {
        pf_say(call, "%s may do nothing any more\n", pf_args_operand(call->args, 0));
        json_object_set_new(call->result, "revoked", pf_json_text(pf_args_operand(call->args, 0)));
    }
    pf_key_state_close(&state);
    return status;
}

static pf_status run_rotate(pf_call *call, pf_err *err)
{
    pf_signing_key keys[PF_SIGNING_KEYS_MAX];
    char           folder[PATH_MAX];
    uint32_t       count = 0;
    pf_key_state   state = {.ring = {0}};
    pf_status      status = pf_args_expect(call->args, 0, 0, "", err);

    if (!status)
        status = pf_key_state_open(call, &state, err);
    if (!status)
        status = pf_path_join(pf_args_text(call->args, "state"), "keys", folder, sizeof folder, err);
    if (!status)
        status = pf_signing_keys_open(folder, true, keys, &count, err);
    if (!status) {
        pf_say(call, "%s signs plans beside the %u key%s before it, once the coordinator was started anew\n",
               keys[0].public_key.name, count - 1, count == 2 ? "" : "s");
        json_object_set_new(call->result, "name", pf_json_text(keys[0].public_key.name));
    }
    for (uint32_t i = 0; i < count; i++)
        pf_signing_key_clear(&keys[i]);
    pf_key_state_close(&state);
    return status;
}

const pf_verb_body pf_verb_keys_rotate = {
    .options = options,
    .details = "  Each plan is signed by all keys, so those who trust only an old one can still verify.  Remove an\n"
               "  old key's files from DIR/keys when nobody needs it any more.\n"
               "\n"
               "  --json: name\n",
    .run = run_rotate,
};

const pf_verb_body pf_verb_keys_list = {
    .options = options,
    .details = "  --json: keys, each name public_key grants\n",
    .run = run_list,
};

const pf_verb_body pf_verb_keys_grant = {
    .options = grant_options,
    .details = "  What the key was allowed before is replaced.  Grants are separated by commas: submit, fetch,\n"
               "  agent, agent:CLASS, cache-write, peer, admin.\n"
               "\n"
               "  --json: key, with name public_key grants\n",
    .run = run_grant,
};

const pf_verb_body pf_verb_keys_revoke = {
    .options = options,
    .details = "  Open connections of the key are refused from the next message on; the tokens made by it are over\n"
               "  at once.\n"
               "\n"
               "  --json: revoked\n",
    .run = run_revoke,
};
