/* The HTTP API: a request line and a body, through the core and back as JSON.  Whatever comes is answered, with an
   object and a code, or refused in a sentence. */
#include <jansson.h>
#include <string.h>

#include "base/alloc.h"
#include "coordinator/api.h"
#include "coordinator/core.h"
#include "tests/farm/hello.h"
#include "tests/fuzz/fuzz.h"

enum { LINE_BYTES = 4096, PARAMETERS = 16 };

typedef struct parameters { char *name[PARAMETERS], *value[PARAMETERS]; int count; } parameters;

static const char *find_parameter(void *user, const char *name)
{
    const parameters *p = user;

    for (int i = 0; i < p->count; i++)
        if (strcmp(p->name[i], name) == 0)
            return p->value[i];
    return NULL;
}

/* "a=1&b=2"; the server has undone %XX by then, which any bytes here stand for. */
static void split_parameters(char *query, parameters *out)
{
    char *rest = NULL;

    out->count = 0;
    for (char *at = strtok_r(query, "&", &rest); at && out->count < PARAMETERS; at = strtok_r(NULL, "&", &rest)) {
        char *equals = strchr(at, '=');
        if (!equals)
            continue;
        *equals = 0;
        out->name[out->count] = at;
        out->value[out->count++] = equals + 1;
    }
}

/* ---- a core with one class, one agent and one job */

static const pf_now NOW = { .boot_ns = 1000000000, .wall_ns = 1700000000000000000 };

static void tell(pf_core *core, pf_msg_type type, uint64_t peer, ProtobufCMessage *body, pf_out *out)
{
    pf_message message = { .header = { .msg_id = 1, .type = (uint16_t)type }, .info = pf_msg_find(type), .body = body };
    pf_event   event = { .kind = PF_EVENT_MESSAGE, .peer = peer, .message = &message, .grants = UINT32_MAX };
    pf_err     err = { 0 };

    FUZZ_CHECK(pf_step(core, &event, NOW, out, &err) == PF_OK, "%s", err.msg);
}

static pf_core *new_core(pf_out *out)
{
    pf_core_config config;
    pf_core       *core = NULL;
    class_hello    h;
    Pf__Submit     submit = PF__SUBMIT__INIT;
    uint8_t        id[PF_SUBMIT_ID_BYTES] = { 1 };
    pf_digest      model = { { 1 } };
    char          *selectors[] = { (char *)"cpu" };

    pf_core_config_init(&config);
    FUZZ_CHECK(pf_core_new(&config, &core, NULL) == PF_OK && pf_core_start(core, NOW, out, NULL) == PF_OK, "no core");
    class_hello_begin(&h, "agent", 1, "abi", "cpu", "device=cpu\n");
    tell(core, PF_MSG_HELLO, 101, &h.hello.base, out);
    submit.submit_id = (ProtobufCBinaryData){ sizeof id, id };
    submit.model_digest = pf_wire_bytes(&model);
    submit.model_name = (char *)"net";
    submit.selector = selectors;
    submit.n_selector = 1;
    tell(core, PF_MSG_SUBMIT, 1, &submit.base, out);
    pf_out_reset(out);
    return core;
}

/* ---- the way of a request */

static void check_json(const pf_buf *json)
{
    json_t *object = json_loadb((const char *)json->data, json->size, 0, NULL);

    FUZZ_CHECK(json_is_object(object), "the answer is no JSON object: %.200s", json->data ? (char *)json->data : "");
    json_decref(object);
}

static void check_answer(const pf_api_call *call, const pf_out *out, const pf_send *send)
{
    pf_buf    json = { 0 };
    unsigned  code = 0, retry_after_s = 0;
    uint64_t  after = 0;
    bool      final = false;
    pf_err    err = { 0 };
    pf_status st = PF_OK;

    pf_buf_init(&json, 64 << 20);
    if (call->events) {
        st = pf_api_events(out->bytes.data + send->at, send->bytes, &after, &final, &json, &err);
        FUZZ_CHECK(!st || strlen(err.msg) > 10, "%s without a reason", pf_status_name(st));
    } else {
        st = pf_api_answer(call, out->bytes.data + send->at, send->bytes, &code, &retry_after_s, &json, &err);
        FUZZ_CHECK(!st, "%s: %s", pf_status_name(st), err.msg);
        FUZZ_CHECK(code >= 200 && code < 600, "code %u", code);
        check_json(&json);
    }
    pf_buf_clear(&json);
}

static void ask_core(const pf_api_call *call)
{
    pf_out     out;
    pf_core   *core = NULL;
    pf_message message = { 0 };
    pf_err     err = { 0 };
    uint32_t   answers = 0;

    pf_out_init(&out);
    core = new_core(&out);
    FUZZ_CHECK(pf_wire_unpack(call->frame.data, call->frame.size, PF_ROLE_CLIENT, PF_ROLE_COORD, &message, &err) ==
                   PF_OK,
               "a frame that we packed is not understood: %s", err.msg);
    tell(core, call->type, 7, message.body, &out);
    for (uint32_t i = 0; i < out.sends_count; i++) {
        if (out.send[i].peer != 7)
            continue;
        answers++;
        check_answer(call, &out, &out.send[i]);
    }
    FUZZ_CHECK(answers == 1, "%u answers to one %s", answers, pf_msg_find(call->type)->name);
    FUZZ_CHECK(pf_core_check(core, &err) == PF_OK, "%s", err.msg);
    pf_message_clear(&message);
    pf_out_clear(&out);
    pf_core_free(core);
}

static void check_failure(pf_status st, const pf_err *err)
{
    pf_buf json = { 0 };

    FUZZ_CHECK(strlen(err->msg) > 10, "%s without a reason", pf_status_name(st));
    FUZZ_CHECK(st == PF_INVALID || st == PF_NOT_FOUND || st == PF_UNSUPPORTED || st == PF_NO_SPACE, "%s: %s",
               pf_status_name(st), err->msg);
    pf_buf_init(&json, 1 << 20);
    pf_api_failure(st, err->msg, &json);
    check_json(&json);
    pf_buf_clear(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const uint8_t *end = memchr(data, '\n', bytes);
    size_t         line_bytes = end ? (size_t)(end - data) : 0;
    char           line[LINE_BYTES] = "", allow[PF_API_ALLOW_BYTES], *path = NULL, *query = NULL;
    parameters     names = { .count = 0 };
    pf_api_request request = { 0 };
    pf_api_call    call = { 0 };
    pf_err         err = { 0 };
    pf_status      st = PF_OK;

    if (!end || line_bytes >= sizeof line)
        return 0;
    memcpy(line, data, line_bytes);
    path = strchr(line, ' ');
    if (!path)
        return 0;
    *path++ = 0;
    query = strchr(path, '?');
    if (query) {
        *query++ = 0;
        split_parameters(query, &names);
    }
    request = (pf_api_request){ .method = line, .path = path, .query = find_parameter, .user = &names, .body = end + 1,
                                .body_bytes = bytes - line_bytes - 1 };
    st = pf_api_find(line, path, &call, allow, &err);
    if (!st)
        st = pf_api_pack(&request, &call, &err);
    if (st)
        check_failure(st, &err);
    else
        ask_core(&call);
    pf_api_call_clear(&call);
    return 0;
}
