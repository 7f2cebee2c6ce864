#include "client/farm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "client/cancel.h"
#include "client/output.h"

enum { ENDPOINTS_BYTES = 64 * 1024, HOST_BYTES = 256, TOKEN_S = 24 * 3600, METRICS_BYTES = 1 << 20 };

#define BUSY_NS  (60 * PF_NS_PER_S)     /* a busy farm is asked again for so long */
#define PAUSE_NS (2 * PF_NS_PER_S)
#define TURN_NS  (100 * PF_NS_PER_MS)

/* ---- addresses */

/* "host" and "host:port" of "scheme://host:port/path". */
static void split_url(const char *url, char host[HOST_BYTES], char place[HOST_BYTES])
{
    const char *from = strstr(url, "://");
    size_t      bytes = 0;
    char       *colon = NULL;

    from = from ? from + 3 : url;
    bytes = strcspn(from, "/?#");
    snprintf(place, HOST_BYTES, "%.*s", (int)(bytes < HOST_BYTES ? bytes : HOST_BYTES - 1), from);
    snprintf(host, HOST_BYTES, "%s", place);
    colon = strrchr(host, ':');
    if (colon && !strchr(colon, ']'))
        *colon = 0;
}

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

static const char *farm_url(const pf_call *call, const char *url)
{
    const char *given = url ? url : pf_args_text(call->args, "farm");

    if (!given || !given[0])
        given = getenv("PLANFARM_FARM");
    return given && given[0] ? given : NULL;
}

/* The port for clients, of what GET /endpoints says, and whether the farm has keys. */
static pf_status client_port(const pf_buf *text, const char *url, long *port, bool *keys, pf_err *err)
{
    json_t     *object = json_loadb((const char *)text->data, text->size, 0, NULL);
    const char *endpoint = json_string_value(json_object_get(object, "client"));
    const char *colon = endpoint ? strrchr(endpoint, ':') : NULL;

    *port = colon ? strtol(colon + 1, NULL, 10) : 0;
    *keys = json_is_true(json_object_get(object, "keys"));
    json_decref(object);
    if (*port > 0 && *port < 65536)
        return PF_OK;
    return PF_FAIL(err, PF_INVALID, "%s answers, but not as a planfarm coordinator does; give the coordinator's URL",
                   url);
}

/* Asks the HTTP port where clients connect. */
static pf_status find_clients(pf_farm *farm, const char *host, char endpoint[PF_FARM_URL_BYTES], pf_err *err)
{
    pf_transfer_options options = {.url = farm->url, .attempts = 2, .token = ""};        /* anyone may ask */
    pf_transfer        *transfer = NULL;
    pf_buf              text = {0};
    long                port = 0;
    pf_status           status = pf_transfer_new(&options, &transfer, err);

    if (!status)
        status = pf_transfer_get(transfer, "/endpoints", ENDPOINTS_BYTES, &text, err);
    if (!status)
        status = client_port(&text, farm->url, &port, &farm->wants_key, err);
    if (!status)
        snprintf(endpoint, PF_FARM_URL_BYTES, "tcp://%s:%ld", host, port);
    pf_buf_clear(&text);
    pf_transfer_free(transfer);
    return status;
}

/* ---- connection */

static void take_info(pf_farm *farm, const Pf__InfoReply *info, const char *host)
{
    farm->epoch = info->coordinator_epoch;
    snprintf(farm->software, sizeof farm->software, "%s", info->software);
    if (info->http_url[0])
        snprintf(farm->http_url, sizeof farm->http_url, "%s", info->http_url);
    else if (strncmp(farm->url, "tcp:", 4) == 0)
        snprintf(farm->http_url, sizeof farm->http_url, "http://%s:%u", host, (unsigned)info->http_port);
    else
        snprintf(farm->http_url, sizeof farm->http_url, "%s", farm->url);
    for (size_t i = 0; i < info->n_key && farm->keys_count < PF_FARM_KEYS_MAX; i++) {
        const Pf__SigningKey *from = info->key[i];
        pf_public_key        *to = &farm->key[farm->keys_count];

        if (from->public_key.len != sizeof to->byte || !pf_text_is_name(from->name, sizeof to->name))
            continue;
        snprintf(to->name, sizeof to->name, "%s", from->name);
        memcpy(to->byte, from->public_key.data, sizeof to->byte);
        farm->keys_count++;
    }
}

static pf_status get_info(pf_farm *farm, const char *host, pf_err *err)
{
    Pf__Info   info = PF__INFO__INIT;
    pf_message answer = {0};
    pf_status  status = PF_OK;

    info.software = (char *)"planfarm";
    status = pf_farm_call(farm, PF_MSG_INFO, &info.base, PF_MSG_INFO_REPLY, &answer, err);
    if (!status)
        take_info(farm, (const Pf__InfoReply *)answer.body, host);
    pf_message_clear(&answer);
    return status;
}

/* ---- who asks */

static pf_status read_token(const char *path, char out[PF_FARM_TOKEN_BYTES], pf_err *err)
{
    pf_buf    text = {0};
    pf_status status = pf_file_read(path, PF_FARM_TOKEN_BYTES - 1, &text, err);

    if (!status)
        snprintf(out, PF_FARM_TOKEN_BYTES, "%.*s", (int)strcspn((const char *)text.data, " \r\n"),
                 (const char *)text.data);
    if (!status && !out[0])
        status = PF_FAIL(err, PF_INVALID, "%s holds no token", path);
    pf_buf_clear(&text);
    return status;
}

static pf_status take_identity(const pf_call *call, pf_farm *farm, pf_err *err)
{
    const char *key = pf_args_text(call->args, "key_file"), *token = pf_args_text(call->args, "token_file");
    const char *given = getenv("PLANFARM_TOKEN");
    pf_status   status = key ? pf_farm_key_read(key, &farm->own, err) : pf_farm_key_own(&farm->own, err);

    if (!status && token)
        return read_token(token, farm->token, err);
    if (!status && given)
        snprintf(farm->token, sizeof farm->token, "%s", given);
    return status;
}

static pf_status connect_peer(pf_farm *farm, const char *endpoint, pf_err *err)
{
    const pf_farm_key *own = &farm->own;
    pf_peer_options    peer = {.endpoint = endpoint, .role = PF_ROLE_CLIENT};

    if (farm->wants_key && !own->name[0])
        return PF_FAIL(err, PF_DENIED, "the farm at %s lets only keys in; give yours with --key-file or PLANFARM_KEY",
                       farm->url);
    if (own->name[0]) {
        peer.server_public_key = own->server_key;
        peer.public_key = own->public_key;
        peer.secret_key = own->secret_key;
    }
    return pf_peer_open(&peer, &farm->peer, err);
}

/* A socket with the wrong key is answered by nothing at all; over HTTP the farm says whether it knows the key. */
static bool key_is_refused(const pf_farm *farm)
{
    char                token[PF_FARM_TOKEN_BYTES] = "";
    pf_transfer_options options = {.url = farm->url, .token = token};
    pf_transfer        *transfer = NULL;
    pf_buf              text = {0};
    pf_status           status = pf_farm_token_make(&farm->own, pf_clock_wall_ns() / PF_NS_PER_S, TOKEN_S, token, NULL);

    if (!status)
        status = pf_transfer_new(&options, &transfer, NULL);
    if (!status)
        status = pf_transfer_get(transfer, "/metrics", METRICS_BYTES, &text, NULL);
    pf_buf_clear(&text);
    pf_transfer_free(transfer);
    return status == PF_DENIED;
}

static pf_status explain_silence(const pf_farm *farm, pf_status status, pf_err *err)
{
    if (status != PF_UNREACHABLE || !farm->wants_key || !key_is_refused(farm))
        return status;
    pf_err_clear(err);
    return PF_FAIL(err, PF_DENIED,
                   "the farm at %s is there but does not let the key \"%s\" in; it may be unknown to it, revoked, "
                   "or of another farm",
                   farm->url, farm->own.name);
}

pf_status pf_farm_open(pf_call *call, const char *url, pf_farm *farm, pf_err *err)
{
    const char     *given = farm_url(call, url);
    char            host[HOST_BYTES] = "", place[HOST_BYTES], endpoint[PF_FARM_URL_BYTES];
    pf_status       status = PF_OK;

    farm->call = call;
    if (!given)
        return PF_FAIL(err, PF_USAGE, "no farm is named; give --farm http://HOST:PORT or set PLANFARM_FARM");
    if (snprintf(farm->url, sizeof farm->url, "%s", given) >= (int)sizeof farm->url)
        return PF_FAIL(err, PF_USAGE, "the farm's address is longer than %d characters", PF_FARM_URL_BYTES - 1);
    while (strlen(farm->url) > 8 && farm->url[strlen(farm->url) - 1] == '/')
        farm->url[strlen(farm->url) - 1] = 0;
    split_url(farm->url, host, place);
    farm->is_local = is_loopback(host);
    status = take_identity(call, farm, err);
    if (!status && strncmp(farm->url, "tcp://", 6) == 0)
        snprintf(endpoint, sizeof endpoint, "%s", farm->url);
    else if (!status)
        status = find_clients(farm, host, endpoint, err);
    if (!status)
        status = connect_peer(farm, endpoint, err);
    if (!status)
        status = explain_silence(farm, get_info(farm, host, err), err);
    return status;
}

void pf_farm_close(pf_farm *farm)
{
    pf_peer_close(farm->peer);
    farm->peer = NULL;
    pf_farm_key_clear(&farm->own);
}

static pf_status pause_for(int64_t ns, pf_err *err)
{
    int64_t until = pf_clock_ns() + ns;

    while (pf_clock_ns() < until) {
        if (pf_cancel_check(err))
            return PF_INTERRUPTED;
        pf_clock_sleep_ns(TURN_NS);
    }
    return PF_OK;
}

pf_status pf_farm_call(pf_farm *farm, pf_msg_type type, const ProtobufCMessage *body, pf_msg_type expect,
                       pf_message *out, pf_err *err)
{
    int64_t   until = pf_clock_ns() + BUSY_NS;
    pf_err    why = {0};
    pf_status status = pf_peer_call(farm->peer, type, body, expect, PF_FARM_ANSWER_NS, out, &why);

    if (status == PF_BUSY)
        pf_warn(farm->call, "%s (asked again for up to %d s)", why.msg, (int)(BUSY_NS / PF_NS_PER_S));
    while (status == PF_BUSY && pf_clock_ns() < until) {
        status = pause_for(PAUSE_NS, err);
        if (status)
            return status;
        pf_err_clear(&why);
        status = pf_peer_call(farm->peer, type, body, expect, PF_FARM_ANSWER_NS, out, &why);
    }
    return status ? PF_FAIL(err, status, "%s", why.msg) : PF_OK;
}

pf_status pf_farm_transfer(const pf_farm *farm, pf_transfer_watch *watch, void *user, pf_transfer **out, pf_err *err)
{
    char                token[PF_FARM_TOKEN_BYTES] = "";
    pf_transfer_options options = {.url = farm->http_url, .watch = watch, .user = user, .token = token};
    pf_status           status = PF_OK;

    if (farm->token[0])
        snprintf(token, sizeof token, "%s", farm->token);
    else if (farm->own.name[0])
        status = pf_farm_token_make(&farm->own, pf_clock_wall_ns() / PF_NS_PER_S, TOKEN_S, token, err);
    return status ? status : pf_transfer_new(&options, out, err);
}
