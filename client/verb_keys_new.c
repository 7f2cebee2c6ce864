/* keys new and keys token. */
#include <stdlib.h>

#include "base/clock.h"
#include "client/key_state.h"
#include "client/output.h"

static const pf_option new_options[] = {
    {.name = "output", .letter = 'o', .kind = PF_OPTION_TEXT, .value = "FILE",
     .help = "where the key goes, with its secret"},
    {.name = "grant", .kind = PF_OPTION_TEXT, .value = "GRANTS", .fallback = "submit,fetch",
     .help = "what it may do, separated by commas: submit, fetch, agent, agent:CLASS, cache-write, peer, admin"},
    {.name = "server", .kind = PF_OPTION_TEXT, .value = "KEY",
     .help = "the farm's public key, when made without --state"},
    PF_STATE_OPTION,
    {.name = NULL},
};

static pf_status make(pf_call *call, const char *server, pf_farm_key *key, pf_err *err)
{
    pf_status status = pf_farm_key_new(pf_args_operand(call->args, 0), server, key, err);

    return status ? status : pf_farm_key_write(key, pf_args_text(call->args, "output"), err);
}

/* The key's file is written only when nothing is wrong with its name and grants. */
static pf_status make_granted(pf_call *call, pf_key_state *state, const char *server, pf_farm_key *key, pf_err *err)
{
    pf_status status = pf_farm_key_new(pf_args_operand(call->args, 0), server, key, err);

    if (!status)
        status = pf_key_ring_grant(&state->ring, key->name, key->public_key, pf_args_text(call->args, "grant"), err);
    if (!status)
        status = pf_farm_key_write(key, pf_args_text(call->args, "output"), err);
    return status ? status : pf_key_state_save(state, err);
}

/* The farm's own pair is made with the first key. */
static pf_status make_and_grant(pf_call *call, pf_farm_key *key, pf_err *err)
{
    char         server[PF_Z85_BYTES] = "";
    bool         first = false;
    pf_key_state state = {.ring = {0}};
    pf_status    status = pf_key_state_open(call, &state, err);

    if (!status && pf_key_ring_find(&state.ring, pf_args_operand(call->args, 0)))
        status = PF_FAIL(err, PF_USAGE, "a key \"%.100s\" is known already; revoke it, or take another name",
                         pf_args_operand(call->args, 0));
    if (!status)
        status = pf_key_state_farm(&state, server, &first, err);
    if (!status)
        status = make_granted(call, &state, server, key, err);
    if (!status && first)
        pf_say(call, "this farm has keys now: restart its coordinator, and give every agent and user one\n");
    pf_key_state_close(&state);
    return status;
}

static pf_status run_new(pf_call *call, pf_err *err)
{
    const char *server = pf_args_text(call->args, "server");
    pf_farm_key key = {{0}};
    pf_status   status = pf_args_expect(call->args, 1, 1, "NAME", err);

    if (!status && !pf_args_text(call->args, "output"))
        status = PF_FAIL(err, PF_USAGE, "where shall the key go? give -o FILE");
    if (!status)
        status = pf_args_text(call->args, "state") ? make_and_grant(call, &key, err)
                                                   : make(call, server ? server : "", &key, err);
    if (!status) {
        pf_say(call, "%s: key \"%s\", public %s\n", pf_args_text(call->args, "output"), key.name, key.public_key);
        json_object_set_new(call->result, "name", pf_json_text(key.name));
        json_object_set_new(call->result, "file", pf_json_text(pf_args_text(call->args, "output")));
        json_object_set_new(call->result, "public_key", pf_json_text(key.public_key));
        json_object_set_new(call->result, "server_key", pf_json_text(key.server_key));
    }
    pf_farm_key_clear(&key);
    return status;
}

const pf_verb_body pf_verb_keys_new = {
    .options = new_options,
    .details = "  On the coordinator's machine, with --state, the key is let in at once.  Elsewhere, make it\n"
               "  without, send its public key to who keeps the farm (planfarm keys grant), and name the farm's\n"
               "  public key with --server.  The file is used when PLANFARM_KEY names it, by planfarm and by\n"
               "  planfarm-agent.\n"
               "\n"
               "  --json: name file public_key server_key\n",
    .run = run_new,
};

/* ---- token */

static const pf_option token_options[] = {
    {.name = "key", .kind = PF_OPTION_TEXT, .value = "FILE",
     .help = "the key; the one that $PLANFARM_KEY names otherwise"},
    {.name = "key_file", .kind = PF_OPTION_TEXT, .value = "FILE",
     .help = "the same, as the verbs that speak to a farm call it"},
    {.name = "days", .kind = PF_OPTION_INT, .value = "N", .fallback = "1", .least = 1, .greatest = 3650,
     .help = "how long it holds"},
    {.name = NULL},
};

static pf_status run_token(pf_call *call, pf_err *err)
{
    const char *path = pf_args_text(call->args, pf_args_given(call->args, "key") ? "key" : "key_file");
    char        token[PF_FARM_TOKEN_BYTES] = "";
    pf_farm_key key = {{0}};
    pf_status   status = pf_args_expect(call->args, 0, 0, "", err);

    if (!status)
        status = path ? pf_farm_key_read(path, &key, err) : pf_farm_key_own(&key, err);
    if (!status && !key.name[0])
        status = PF_FAIL(err, PF_USAGE, "no key is named; give --key-file FILE or set " PF_FARM_KEY_VARIABLE);
    if (!status)
        status = pf_farm_token_make(&key, pf_clock_wall_ns() / PF_NS_PER_S, pf_args_int(call->args, "days") * 86400,
                                    token, err);
    if (!status) {
        pf_say(call, "%s\n", token);
        json_object_set_new(call->result, "token", pf_json_text(token));
    }
    pf_farm_key_clear(&key);
    return status;
}

const pf_verb_body pf_verb_keys_token = {
    .options = token_options,
    .details = "  For programs that speak HTTP alone: Authorization: Bearer TOKEN.  It may do what the key may.\n"
               "\n"
               "  --json: token\n",
    .run = run_token,
};
