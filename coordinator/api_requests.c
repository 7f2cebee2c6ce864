/* JSON bodies and query parameters on their way into messages. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "coordinator/api_private.h"
#include "proto/job_view.h"
#include "proto/model_manifest.h"
#include "proto/model_source.h"

enum { STATES_MAX = 16, LIMIT_MAX = 1000000 };     /* who asks for more than fits in a page gets a page */

/* ---- parameters */

static const char *query(const pf_api_request *request, const char *name)
{
    const char *value = request->query ? request->query(request->user, name) : NULL;

    return value && value[0] ? value : NULL;
}

static const char *const parameters[] = {
    "state", "user", "model", "before", "limit", "class", "spec", "model_sha256", "after", "after_class", "reason",
};

bool pf_api_knows(const char *parameter)
{
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++)
        if (strcmp(parameters[i], parameter) == 0)
            return true;
    return false;
}

/* 0 when it is not given. */
static pf_status query_number(const pf_api_request *request, const char *name, uint64_t least, uint64_t most,
                              uint64_t *out, pf_err *err)
{
    const char *text = query(request, name);
    char       *end = NULL;

    *out = 0;
    if (!text)
        return PF_OK;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (errno || *end || text[0] < '0' || text[0] > '9' || *out < least || *out > most)
        return PF_FAIL(err, PF_INVALID, "the parameter %s is no number from %llu to %llu", name,
                       (unsigned long long)least, (unsigned long long)most);
    return PF_OK;
}

static pf_status query_digest(const pf_api_request *request, const char *name, pf_digest *digest,
                              ProtobufCBinaryData *out, pf_err *err)
{
    const char *text = query(request, name);

    if (!text)
        return PF_OK;
    if (!pf_digest_from_hex(text, digest))
        return PF_FAIL(err, PF_INVALID, "the parameter %s is no SHA-256 of 64 hex digits", name);
    *out = pf_wire_bytes(digest);
    return PF_OK;
}

/* ---- bodies */

static pf_status read_object(const pf_api_request *request, const char *const *known, json_t **out, pf_err *err)
{
    json_error_t where = { 0 };
    const char  *name = NULL;
    json_t      *value = NULL;

    *out = json_loadb(request->body ? request->body : "", request->body_bytes, JSON_REJECT_DUPLICATES, &where);
    if (!*out)
        return PF_FAIL(err, PF_INVALID, "the body is no JSON: line %d: %s", where.line, where.text);
    if (!json_is_object(*out))
        return PF_FAIL(err, PF_INVALID, "the body is no JSON object");
    json_object_foreach(*out, name, value) {
        const char *const *at = known;
        while (*at && strcmp(*at, name) != 0)
            at++;
        if (!*at)
            return PF_FAIL(err, PF_INVALID, "there is no member \"%.80s\" in this request", name);
    }
    return PF_OK;
}

/* "" when absent.  *out is borrowed from object. */
static pf_status member_text(const json_t *object, const char *name, const char **out, pf_err *err)
{
    const json_t *value = json_object_get(object, name);

    *out = value ? json_string_value(value) : "";
    return *out ? PF_OK : PF_FAIL(err, PF_INVALID, "%s is no text", name);
}

static pf_status member_number(const json_t *object, const char *name, int64_t least, int64_t most, int64_t *out,
                               pf_err *err)
{
    const json_t *value = json_object_get(object, name);

    *out = value ? json_integer_value(value) : 0;
    if (!value || (json_is_integer(value) && *out >= least && *out <= most))
        return PF_OK;
    return PF_FAIL(err, PF_INVALID, "%s is no whole number from %lld to %lld", name, (long long)least, (long long)most);
}

static pf_status member_digest(const json_t *object, const char *name, pf_digest *out, pf_err *err)
{
    const char *text = json_string_value(json_object_get(object, name));

    if (text && pf_digest_from_hex(text, out))
        return PF_OK;
    return PF_FAIL(err, PF_INVALID, "%s is no SHA-256 of 64 hex digits", name);
}

/* ---- submit */

static const char *const submit_members[] = {
    "submit_id", "model", "model_sha256", "files", "source", "spec", "classes", "priority", "queue_timeout_s",
    "build_timeout_s", "user", "wait_for_class", NULL,
};

/* What a SUBMIT borrows while it is packed. */
typedef struct submission {
    Pf__Submit  body;
    uint8_t     id[PF_SUBMIT_ID_BYTES];
    pf_digest   model;
    char       *selector[PF_SELECTORS_MAX];
    const char *name, *spec, *user;
    int64_t     priority, queue_timeout_s, build_timeout_s;
} submission;

static pf_status take_id(const json_t *object, submission *s, pf_err *err)
{
    const char *text = json_string_value(json_object_get(object, "submit_id"));
    char        padded[PF_DIGEST_HEX_BYTES] = "";
    pf_digest   digest = { 0 };

    memset(padded, '0', sizeof padded - 1);
    if (text && strlen(text) == 2 * sizeof s->id)
        memcpy(padded, text, 2 * sizeof s->id);
    if (!text || strlen(text) != 2 * sizeof s->id || !pf_digest_from_hex(padded, &digest))
        return PF_FAIL(err, PF_INVALID,
                       "submit_id is missing or not 32 lower-case hex digits; choose it at random, and keep it when "
                       "you ask again");
    memcpy(s->id, digest.byte, sizeof s->id);
    return PF_OK;
}

static pf_status take_classes(const json_t *object, submission *s, pf_err *err)
{
    const json_t *list = json_object_get(object, "classes"), *value = NULL;
    size_t        i = 0;

    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > PF_SELECTORS_MAX)
        return PF_FAIL(err, PF_INVALID, "classes is no list of 1 to %d device classes", PF_SELECTORS_MAX);
    json_array_foreach(list, i, value) {
        s->selector[i] = (char *)json_string_value(value);
        if (!s->selector[i])
            return PF_FAIL(err, PF_INVALID, "classes holds something that is no text");
    }
    s->body.selector = s->selector;
    s->body.n_selector = json_array_size(list);
    return PF_OK;
}

static pf_status add_file(const json_t *file, pf_model_manifest *list, pf_err *err)
{
    const char *name = json_string_value(json_object_get(file, "name"));
    pf_digest   digest = { 0 };
    int64_t     bytes = 0;
    pf_status   st = member_digest(file, "sha256", &digest, err);

    if (!st && !name)
        st = PF_FAIL(err, PF_INVALID, "name is missing");
    if (!st && !json_object_get(file, "bytes"))
        st = PF_FAIL(err, PF_INVALID, "bytes is missing");
    if (!st)
        st = member_number(file, "bytes", 0, INT64_MAX, &bytes, err);
    return st ? st : pf_model_manifest_add(list, name, &digest, (uint64_t)bytes, err);
}

/* The list of files becomes the blob that names the model. */
static pf_status take_files(const json_t *files, pf_api_call *call, pf_err *err)
{
    pf_model_manifest list = { 0 };
    const json_t     *file = NULL;
    size_t            i = 0;
    pf_status         st = PF_OK;

    if (!json_is_array(files) || json_array_size(files) == 0)
        return PF_FAIL(err, PF_INVALID, "files is no list of files");
    json_array_foreach(files, i, file) {
        st = add_file(file, &list, err);
        if (st) {
            st = pf_err_add(err, st, "files[%zu]", i);
            break;
        }
    }
    pf_buf_init(&call->model, PF_MODEL_MANIFEST_BYTES);
    if (!st)
        st = pf_model_manifest_write(&list, &call->model, err);
    pf_model_manifest_clear(&list);
    return st;
}

static pf_status take_source_files(const json_t *list, pf_model_source *source, pf_err *err)
{
    const json_t *file = NULL;
    size_t        i = 0;

    if (!source->pinned || !json_is_array(list))
        return PF_FAIL(err, PF_INVALID,
                       "source.files is a list of the model's weights files, and needs source.sha256 of the ONNX file");
    json_array_foreach(list, i, file) {
        const char *name = json_string_value(json_object_get(file, "name"));
        pf_digest   digest = { 0 };
        pf_status   st = name ? member_digest(file, "sha256", &digest, err)
                              : PF_FAIL(err, PF_INVALID, "name is missing");
        if (!st)
            st = pf_model_source_add(source, name, &digest, err);
        if (st)
            return pf_err_add(err, st, "source.files[%zu]", i);
    }
    return PF_OK;
}

/* So does the URL that agents fetch it from.  Without a digest the submit's id keeps it apart from all others. */
static pf_status take_source(const json_t *value, const submission *s, pf_api_call *call, pf_err *err)
{
    pf_model_source source = { .pinned = json_object_get(value, "sha256") != NULL };
    const char     *url = json_string_value(json_object_get(value, "url"));
    int64_t         max_bytes = 0;
    pf_status       st = url ? pf_model_source_check_url(url, err) : PF_FAIL(err, PF_INVALID, "source has no url");

    if (!st && source.pinned)
        st = member_digest(value, "sha256", &source.sha256, err);
    if (!st && json_object_get(value, "files"))
        st = take_source_files(json_object_get(value, "files"), &source, err);
    if (!st)
        st = member_number(value, "max_bytes", 0, INT64_MAX, &max_bytes, err);
    if (st)
        return st;
    snprintf(source.url, sizeof source.url, "%s", url);
    memcpy(source.once, s->id, sizeof source.once);
    source.max_bytes = (uint64_t)max_bytes;
    pf_buf_init(&call->model, PF_MODEL_MANIFEST_BYTES);
    return pf_model_source_write(&source, &call->model, err);
}

static pf_status take_model(const json_t *object, submission *s, pf_api_call *call, pf_err *err)
{
    const json_t *files = json_object_get(object, "files"), *source = json_object_get(object, "source");
    const json_t *digest = json_object_get(object, "model_sha256");
    pf_status     st = PF_OK;

    if (!!files + !!source + !!digest != 1)
        return PF_FAIL(err, PF_INVALID, "the model is named by one of files, source and model_sha256");
    if (digest)
        st = member_digest(object, "model_sha256", &s->model, err);
    else
        st = files ? take_files(files, call, err) : take_source(source, s, call, err);
    if (!st && !digest)
        pf_digest_of(call->model.data, call->model.size, &s->model);
    s->body.model_digest = pf_wire_bytes(&s->model);
    return st;
}

static pf_status take_rest(const json_t *object, submission *s, pf_err *err)
{
    const json_t *wait = json_object_get(object, "wait_for_class");
    pf_status     st = member_text(object, "model", &s->name, err);

    if (!st)
        st = member_text(object, "spec", &s->spec, err);
    if (!st)
        st = member_text(object, "user", &s->user, err);
    if (!st)
        st = member_number(object, "priority", -100, 100, &s->priority, err);
    if (!st)
        st = member_number(object, "queue_timeout_s", 0, 31536000, &s->queue_timeout_s, err);
    if (!st)
        st = member_number(object, "build_timeout_s", 0, 31536000, &s->build_timeout_s, err);
    if (!st && wait && !json_is_boolean(wait))
        st = PF_FAIL(err, PF_INVALID, "wait_for_class is neither true nor false");
    if (st)
        return st;
    s->body.model_name = (char *)s->name;
    s->body.spec_text = (char *)s->spec;
    s->body.user = (char *)s->user;
    s->body.priority = (int32_t)s->priority;
    s->body.queue_timeout_s = (uint32_t)s->queue_timeout_s;
    s->body.build_timeout_s = (uint32_t)s->build_timeout_s;
    s->body.wait_for_class = json_is_true(wait);
    return PF_OK;
}

pf_status pf_api_pack_submit(const pf_api_request *request, pf_api_call *call, pf_err *err)
{
    submission s = { .body = PF__SUBMIT__INIT };
    json_t    *object = NULL;
    pf_status  st = read_object(request, submit_members, &object, err);

    if (!st)
        st = take_id(object, &s, err);
    if (!st)
        st = take_model(object, &s, call, err);
    if (!st)
        st = take_classes(object, &s, err);
    if (!st)
        st = take_rest(object, &s, err);
    if (!st) {
        s.body.submit_id = (ProtobufCBinaryData){ sizeof s.id, s.id };
        memcpy(call->submit_id, s.id, sizeof s.id);
        call->has_submit = true;
        st = pf_api_pack_body(call, &s.body.base, err);
    }
    json_decref(object);
    return st;
}

/* ---- what names jobs */

static ProtobufCBinaryData submit_of(pf_api_call *call)
{
    return call->has_submit ? (ProtobufCBinaryData){ sizeof call->submit_id, call->submit_id }
                            : (ProtobufCBinaryData){ 0 };
}

static pf_status pack_status(pf_api_call *call, pf_err *err)
{
    Pf__Status body = PF__STATUS__INIT;

    body.submit_id = submit_of(call);
    body.job_id = &call->job_id;
    body.n_job_id = call->job_id != 0;
    return pf_api_pack_body(call, &body.base, err);
}

pf_status pf_api_pack_job(const pf_api_request *request, pf_api_call *call, pf_err *err)
{
    (void)request;
    return pack_status(call, err);
}

pf_status pf_api_pack_jobs(const pf_api_request *request, pf_api_call *call, pf_err *err)
{
    (void)request;
    return pack_status(call, err);
}

pf_status pf_api_pack_cancel(const pf_api_request *request, pf_api_call *call, pf_err *err)
{
    Pf__Cancel  body = PF__CANCEL__INIT;
    const char *reason = query(request, "reason");

    body.submit_id = submit_of(call);
    body.job_id = &call->job_id;
    body.n_job_id = call->job_id != 0;
    body.reason = (char *)(reason ? reason : "");
    return pf_api_pack_body(call, &body.base, err);
}

pf_status pf_api_pack_kick(const pf_api_request *request, pf_api_call *call, pf_err *err)
{
    Pf__Kick body = PF__KICK__INIT;

    (void)request;
    body.job_id = &call->job_id;
    body.n_job_id = 1;
    return pf_api_pack_body(call, &body.base, err);
}

pf_status pf_api_pack_watch(pf_api_call *call, uint64_t after_sequence, uint32_t wait_ms, pf_err *err)
{
    Pf__Watch body = PF__WATCH__INIT;

    body.submit_id = submit_of(call);
    body.job_id = &call->job_id;
    body.n_job_id = call->job_id != 0;
    body.after_sequence = after_sequence;
    body.wait_ms = wait_ms;
    return pf_api_pack_body(call, &body.base, err);
}

/* From the start, or behind the event that a reader that lost its connection saw last. */
pf_status pf_api_pack_events(const pf_api_request *request, pf_api_call *call, pf_err *err)
{
    uint64_t  after = 0;
    pf_status st = query_number(request, "after", 0, UINT64_MAX, &after, err);

    return st ? st : pf_api_pack_watch(call, after, 0, err);
}

/* ---- lists */

static pf_status take_states(const char *text, Pf__JobState states[STATES_MAX], size_t *count, pf_err *err)
{
    char *copy = pf_strdup(text), *rest = NULL;
    pf_status st = copy ? PF_OK : PF_FAIL_MEMORY(err, strlen(text));

    *count = 0;
    for (char *name = copy ? strtok_r(copy, ",", &rest) : NULL; name && !st; name = strtok_r(NULL, ",", &rest))
        if (*count == STATES_MAX || !pf_job_view_find_state(name, &states[(*count)++]))
            st = PF_FAIL(err, PF_INVALID, "\"%.40s\" is no state of a job", name);
    pf_free(copy);
    return st;
}

pf_status pf_api_pack_list(const pf_api_request *request, pf_api_call *call, pf_err *err)
{
    Pf__List     body = PF__LIST__INIT;
    Pf__JobState states[STATES_MAX];
    const char  *state = query(request, "state"), *user = query(request, "user"), *model = query(request, "model");
    uint64_t     limit = 0;
    pf_status    st = state ? take_states(state, states, &body.n_state, err) : PF_OK;

    if (!st)
        st = query_number(request, "before", 0, UINT64_MAX, &body.before_job_id, err);
    if (!st)
        st = query_number(request, "limit", 1, LIMIT_MAX, &limit, err);
    if (st)
        return st;
    body.state = states;
    body.user = (char *)(user ? user : "");
    body.model_name = (char *)(model ? model : "");
    body.limit = (uint32_t)limit;
    return pf_api_pack_body(call, &body.base, err);
}

pf_status pf_api_pack_plans(const pf_api_request *request, pf_api_call *call, pf_err *err)
{
    Pf__PlanLookup body = PF__PLAN_LOOKUP__INIT;
    const char    *model = query(request, "model"), *device_class = query(request, "class"),
                  *spec = query(request, "spec");
    pf_digest      model_sha256 = { 0 }, before = { 0 };
    uint64_t       limit = 0;
    pf_status      st = query_digest(request, "model_sha256", &model_sha256, &body.model_digest, err);

    if (!st)
        st = query_digest(request, "before", &before, &body.before_key, err);
    if (!st)
        st = query_number(request, "limit", 1, LIMIT_MAX, &limit, err);
    if (st)
        return st;
    body.model_name = (char *)(model ? model : "");
    body.selector = (char *)(device_class ? device_class : "");
    body.spec_text = (char *)(spec ? spec : "");
    body.limit = (uint32_t)limit;
    return pf_api_pack_body(call, &body.base, err);
}

pf_status pf_api_pack_agents(const pf_api_request *request, pf_api_call *call, pf_err *err)
{
    Pf__Agents  body = PF__AGENTS__INIT;
    const char *after = query(request, "after");
    pf_digest   after_class = { 0 };
    uint64_t    limit = 0;
    pf_status   st = query_digest(request, "after_class", &after_class, &body.after_class, err);

    if (!st)
        st = query_number(request, "limit", 1, LIMIT_MAX, &limit, err);
    if (st)
        return st;
    body.after_agent = (char *)(after ? after : "");
    body.limit = (uint32_t)limit;
    return pf_api_pack_body(call, &body.base, err);
}
