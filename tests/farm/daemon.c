#include "tests/farm/daemon.h"

#include "tests/test.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "proto/model_manifest.h"

#ifndef COORDINATOR
#error "COORDINATOR must name the program"
#endif

/* ---- the process */

static void run(const daemon_process *d, const char *const *extra)
{
    const char *arguments[64] = { COORDINATOR, "--state", d->state, "--client-port", "0", "--agent-port", "0",
                                  "--http-port", "0" };
    int         count = 9;
    int         quiet = open("/dev/null", O_WRONLY);

    for (; extra && *extra && count < 63; extra++)
        arguments[count++] = *extra;
    if (d->preload[0])
        setenv("LD_PRELOAD", d->preload, 1);
    if (d->variable[0])
        setenv(d->variable, d->value, 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);           /* a test that fails leaves nothing running */
    dup2(quiet, STDOUT_FILENO);
    if (!getenv("PF_TEST_VERBOSE"))
        dup2(quiet, STDERR_FILENO);
    execv(COORDINATOR, (char *const *)arguments);
    _exit(127);
}

static void spawn(daemon_process *d, const char *state, const char *const *extra)
{
    snprintf(d->state, sizeof d->state, "%s", state);
    d->pid = fork();
    assert_true(d->pid >= 0);
    if (d->pid == 0)
        run(d, extra);
}

static bool read_endpoints(daemon_process *d)
{
    char        path[4200] = "";
    json_t     *root = NULL;
    const char *client = NULL, *agent = NULL, *http = NULL;
    int         pid = 0;
    bool        good = false;

    snprintf(path, sizeof path, "%s/endpoints", d->state);
    root = json_load_file(path, 0, NULL);
    if (root &&
        json_unpack(root, "{s:s,s:s,s:s,s:i}", "client", &client, "agent", &agent, "http", &http, "pid", &pid) == 0 &&
        pid == d->pid) {
        snprintf(d->client, sizeof d->client, "%s", client);
        snprintf(d->agent, sizeof d->agent, "%s", agent);
        snprintf(d->http, sizeof d->http, "%s", http);
        good = true;
    }
    json_decref(root);
    return good;
}

bool daemon_has_ended(daemon_process *d)
{
    int status = 0;

    if (d->pid > 0 && waitpid(d->pid, &status, WNOHANG) == d->pid)
        d->pid = 0;
    return d->pid <= 0;
}

bool daemon_try_start(daemon_process *d, const char *state, const char *const *extra)
{
    int64_t until_ns = pf_clock_ns() + 60 * PF_NS_PER_S;

    spawn(d, state, extra);
    for (; pf_clock_ns() < until_ns; pf_clock_sleep_ns(2 * PF_NS_PER_MS)) {
        if (read_endpoints(d))
            return true;
        if (daemon_has_ended(d))
            return false;
    }
    fail_msg("the coordinator does not come up");
    return false;
}

const char *daemon_fresh_state(void)
{
    static int count;
    char       name[32] = "";

    snprintf(name, sizeof name, "state%d", count++);
    return test_path(name);
}

void daemon_start(daemon_process *d, const char *state, const char *const *extra)
{
    if (!daemon_try_start(d, state, extra))
        fail_msg("the coordinator ended at its start");
}

static int code_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int daemon_wait(daemon_process *d, int seconds)
{
    int status = 0;

    for (int i = 0; i < seconds * 200; i++) {
        if (waitpid(d->pid, &status, WNOHANG) == d->pid) {
            d->pid = 0;
            return code_of(status);
        }
        pf_clock_sleep_ns(5 * PF_NS_PER_MS);
    }
    return -1;
}

int daemon_start_fails(daemon_process *d, const char *state, const char *const *extra)
{
    spawn(d, state, extra);
    return daemon_wait(d, 20);
}

void daemon_kill(daemon_process *d)
{
    int status = 0;

    if (d->pid <= 0)
        return;
    kill(d->pid, SIGKILL);
    waitpid(d->pid, &status, 0);
    d->pid = 0;
}

int daemon_stop(daemon_process *d)
{
    if (d->pid <= 0)
        return -1;
    kill(d->pid, SIGTERM);
    return daemon_wait(d, 30);
}

long daemon_resident_kib(const daemon_process *d)
{
    char  path[64] = "", line[256] = "";
    long  kib = 0;
    FILE *file = NULL;

    snprintf(path, sizeof path, "/proc/%d/status", (int)d->pid);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    if (file)
        fclose(file);
    return kib;
}

static pf_peer *connect_as(const char *endpoint, uint32_t role)
{
    pf_peer_options options = { .endpoint = endpoint, .role = role };
    pf_peer        *peer = NULL;
    pf_err          err = { 0 };

    test_ok(pf_peer_open(&options, &peer, &err), &err);
    return peer;
}

pf_peer *daemon_client(const daemon_process *d)
{
    return connect_as(d->client, PF_ROLE_CLIENT);
}

pf_peer *daemon_agent(const daemon_process *d)
{
    return connect_as(d->agent, PF_ROLE_AGENT);
}

/* ---- HTTP */

typedef struct upload { const char *data; size_t left; } upload;

static size_t take_body(char *data, size_t size, size_t count, void *user)
{
    return pf_buf_put(user, data, size * count) ? size * count : 0;
}

static size_t give_body(char *out, size_t size, size_t count, void *user)
{
    upload *up = user;
    size_t  bytes = up->left < size * count ? up->left : size * count;

    memcpy(out, up->data, bytes);
    up->data += bytes;
    up->left -= bytes;
    return bytes;
}

static size_t take_header(char *data, size_t size, size_t count, void *user)
{
    http_answer *answer = user;
    char         line[512] = "";

    snprintf(line, sizeof line, "%.*s", (int)(size * count), data);
    line[strcspn(line, "\r\n")] = 0;
    if (strncasecmp(line, "ETag: ", 6) == 0)
        snprintf(answer->etag, sizeof answer->etag, "%.120s", line + 6);
    if (strncasecmp(line, "Content-Range: ", 15) == 0)
        snprintf(answer->range, sizeof answer->range, "%.120s", line + 15);
    return size * count;
}

/* Whatever the path, a refusal is one object; only that nothing is ready is told as a sentence, to probes, and what a
   submit wants uploaded first (409) as a list. */
static void check_refusal(const char *method, const char *path, const http_answer *answer)
{
    json_t *object = NULL;

    if (answer->code < 400 || answer->code == 409 || strcmp(method, "HEAD") == 0 || strcmp(path, "/readyz") == 0)
        return;
    object = json_loadb((const char *)answer->body.data, answer->body.size, 0, NULL);
    if (!json_is_string(json_object_get(object, "error")) || !json_is_string(json_object_get(object, "message")) ||
        !json_is_integer(json_object_get(object, "exit_code")))
        fail_msg("%s %s: %ld %.*s", method, path, answer->code, (int)answer->body.size,
                 answer->body.data ? (const char *)answer->body.data : "");
    json_decref(object);
}

void http_request(const char *method, const char *base, const char *path, const char *const *headers, const void *data,
                  size_t bytes, http_answer *out)
{
    CURL              *curl = curl_easy_init();
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    char               url[512] = "";
    upload             up = { data, bytes };
    CURLcode           code = CURLE_OK;

    memset(out, 0, sizeof *out);
    pf_buf_init(&out->body, SIZE_MAX / 2);
    snprintf(url, sizeof url, "%s%s", base, path);
    for (; headers && *headers; headers++)
        list = curl_slist_append(list, *headers);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &out->body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, out);
    if (data) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt(curl, CURLOPT_READDATA, &up);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)bytes);
    }
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->code);
    curl_slist_free_all(list);
    curl_easy_cleanup(curl);
    if (code == CURLE_OK)
        check_refusal(method, path, out);
}

void http_answer_clear(http_answer *answer)
{
    pf_buf_clear(&answer->body);
}

long http_put_blob(const daemon_process *d, const void *data, size_t bytes, pf_digest *digest)
{
    char        hex[PF_DIGEST_HEX_BYTES] = "", path[128] = "";
    http_answer answer;

    pf_digest_of(data, bytes, digest);
    pf_digest_to_hex(digest, hex);
    snprintf(path, sizeof path, "/blobs/sha256/%s", hex);
    http_request("PUT", d->http, path, NULL, data, bytes, &answer);
    http_answer_clear(&answer);
    return answer.code;
}

pf_digest http_put_model(const daemon_process *d, const char *onnx)
{
    pf_model_manifest manifest = { 0 };
    pf_digest         file = { 0 }, model = { 0 };
    pf_buf            text = { 0 };
    pf_err            err = { 0 };
    long              code = http_put_blob(d, onnx, strlen(onnx), &file);

    assert_true(code == 201 || code == 200);
    test_ok(pf_model_manifest_add(&manifest, PF_MODEL_ONNX_NAME, &file, strlen(onnx), &err), &err);
    pf_buf_init(&text, PF_MODEL_MANIFEST_BYTES);
    test_ok(pf_model_manifest_write(&manifest, &text, &err), &err);
    code = http_put_blob(d, text.data, text.size, &model);
    assert_true(code == 201 || code == 200);
    pf_buf_clear(&text);
    pf_model_manifest_clear(&manifest);
    return model;
}

/* ---- requests */

pf_status try_submit(pf_peer *client, const uint8_t id[PF_SUBMIT_ID_BYTES], const pf_digest *model, const char *name,
                     const char *selector, int64_t timeout_ns, uint64_t *job_id, pf_err *err)
{
    Pf__Submit submit = PF__SUBMIT__INIT;
    char      *selectors[] = { (char *)selector };
    pf_message answer = { 0 };
    pf_status  st = PF_OK;

    *job_id = 0;
    submit.submit_id = (ProtobufCBinaryData){ PF_SUBMIT_ID_BYTES, (uint8_t *)id };
    submit.model_digest = pf_wire_bytes(model);
    submit.model_name = (char *)name;
    submit.spec_text = (char *)"spec 1";
    submit.user = (char *)"tester";
    submit.selector = selectors;
    submit.n_selector = 1;
    submit.wait_for_class = true;
    st = pf_peer_call(client, PF_MSG_SUBMIT, &submit.base, PF_MSG_SUBMIT_REPLY, timeout_ns, &answer, err);
    if (!st && ((Pf__SubmitReply *)answer.body)->n_job)
        *job_id = ((Pf__SubmitReply *)answer.body)->job[0]->job_id;
    pf_message_clear(&answer);
    return st;
}

uint64_t must_submit(pf_peer *client, uint8_t id, const pf_digest *model, const char *name)
{
    uint8_t  submit_id[PF_SUBMIT_ID_BYTES] = { id };
    uint64_t job_id = 0;
    pf_err   err = { 0 };

    test_ok(try_submit(client, submit_id, model, name, "cpu", 20 * PF_NS_PER_S, &job_id, &err), &err);
    assert_int_not_equal(job_id, 0);
    return job_id;
}

Pf__JobStatus *job_status(pf_peer *client, uint64_t job_id)
{
    Pf__Status     status = PF__STATUS__INIT;
    pf_message     answer = { 0 };
    Pf__JobStatus *copy = NULL;
    pf_err         err = { 0 };
    pf_status      st = PF_OK;

    status.job_id = &job_id;
    status.n_job_id = 1;
    st = pf_peer_call(client, PF_MSG_STATUS, &status.base, PF_MSG_STATUS_REPLY, 20 * PF_NS_PER_S, &answer, &err);
    if (st == PF_NOT_FOUND)
        return NULL;
    test_ok(st, &err);
    {
        const Pf__JobStatus *found = ((Pf__StatusReply *)answer.body)->job[0];
        size_t               bytes = pf__job_status__get_packed_size(found);
        uint8_t             *packed = pf_alloc(bytes);
        pf__job_status__pack(found, packed);
        copy = pf__job_status__unpack(NULL, bytes, packed);
        pf_free(packed);
    }
    pf_message_clear(&answer);
    return copy;
}

void kick_quarantined(pf_peer *client, uint64_t job_id)
{
    Pf__JobStatus *status = job_status(client, job_id);
    Pf__Kick       kick = PF__KICK__INIT;
    pf_message     answer = { 0 };
    pf_err         err = { 0 };
    bool           quarantined = status && status->state == PF__JOB_STATE__STATE_QUARANTINED;

    if (status)
        pf__job_status__free_unpacked(status, NULL);
    if (!quarantined)
        return;
    kick.job_id = &job_id;
    kick.n_job_id = 1;
    test_ok(pf_peer_call(client, PF_MSG_KICK, &kick.base, PF_MSG_KICK_REPLY, 20 * PF_NS_PER_S, &answer, &err), &err);
    pf_message_clear(&answer);
}

enum { AWAIT_S = 60 };

void await_state(pf_peer *client, uint64_t job_id, Pf__JobState state, int seconds)
{
    int64_t      deadline_ns = pf_clock_ns() + (seconds > AWAIT_S ? seconds : AWAIT_S) * PF_NS_PER_S;
    Pf__JobState last = PF__JOB_STATE__STATE_NONE;

    while (pf_clock_ns() < deadline_ns) {
        Pf__JobStatus *status = job_status(client, job_id);
        last = status ? status->state : PF__JOB_STATE__STATE_NONE;
        if (status)
            pf__job_status__free_unpacked(status, NULL);
        if (last == state)
            return;
        pf_clock_sleep_ns(10 * PF_NS_PER_MS);
    }
    fail_msg("job %d is in state %d, not %d", (int)job_id, (int)last, (int)state);
}
