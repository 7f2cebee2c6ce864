/* The proxy that docs/FARM.md shows, as it stands there but for host and ports: Caddy with TLS in front of a
   coordinator's HTTP port.  Uploads, ranges, ETags, submits and streams of events go through it.  Skipped where Caddy
   is not installed. */
#include "tests/test.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "proto/transfer/transfer.h"
#include "tests/farm/scripted_agent.h"

enum { WAIT_S = 60, BLOB_BYTES = 3 << 20 };

static daemon_process d;
static pid_t          caddy;
static char           https[64], authority[4200];

/* ---- Caddy */

static int free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          bytes = sizeof address;
    int                fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* The page's block that begins with the farm's name, its host and ports replaced. */
static void write_config(const char *path, int port)
{
    static const char name[] = "farm.example:7443 {\n", upstream[] = "127.0.0.1:7780";
    pf_buf            page = { 0 }, out = { 0 };
    const char       *from = NULL, *end = NULL, *to = NULL;
    pf_err            err = { 0 };

    pf_buf_init(&out, 1 << 16);
    test_ok(pf_file_read(FARM_PAGE, 1 << 20, &page, &err), &err);
    from = strstr((char *)page.data, name);
    assert_non_null(from);
    end = strstr(from, "```");
    to = strstr(from, upstream);
    assert_true(to && to < end);
    from += sizeof name - 1;
    pf_buf_printf(&out, "{\nadmin off\nskip_install_trust\nauto_https disable_redirects\n}\nlocalhost:%d {\n", port);
    pf_buf_put(&out, from, (size_t)(to - from));
    pf_buf_printf(&out, "%s", d.http + strlen("http://"));
    to += sizeof upstream - 1;
    pf_buf_put(&out, to, (size_t)(end - to));
    test_ok(pf_file_write(path, out.data, out.size, &err), &err);
    pf_buf_clear(&page);
    pf_buf_clear(&out);
}

static bool caddy_is_installed(void)
{
    return system("caddy version > /dev/null 2>&1") == 0;
}

static void start_caddy(const char *config)
{
    pid_t parent = getpid();

    caddy = fork();
    assert_true(caddy >= 0);
    if (caddy > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(120);
    setenv("XDG_DATA_HOME", test_path("caddy-data"), 1);
    setenv("XDG_CONFIG_HOME", test_path("caddy-config"), 1);
    dup2(open(test_path("caddy.log"), O_WRONLY | O_CREAT | O_TRUNC, 0666), STDERR_FILENO);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    execlp("caddy", "caddy", "run", "--adapter", "caddyfile", "--config", config, (char *)NULL);
    _exit(121);
}

/* ---- requests through it */

typedef struct reply { CURLcode curl; long code; pf_buf body, head; const char *stop_at; } reply;

static size_t take(char *data, size_t size, size_t count, void *user)
{
    reply *r = user;

    pf_buf_put(&r->body, data, size * count);
    return r->stop_at && strstr((char *)r->body.data, r->stop_at) ? 0 : size * count;
}

static size_t take_head(char *data, size_t size, size_t count, void *user)
{
    pf_buf_put(user, data, size * count);
    return size * count;
}

/* header may be NULL; body: of POST.  stop_at: the answer is left when this came. */
static reply ask(const char *path, const char *header, const char *body, const char *stop_at)
{
    reply              r = { .stop_at = stop_at };
    CURL              *curl = curl_easy_init();
    struct curl_slist *headers = header ? curl_slist_append(NULL, header) : NULL;
    char               url[256];

    pf_buf_init(&r.body, 16 << 20);
    pf_buf_init(&r.head, 1 << 16);
    snprintf(url, sizeof url, "%s%s", https, path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CAINFO, authority);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    if (!body)
        curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &r);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_head);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &r.head);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)WAIT_S);
    r.curl = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &r.code);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return r;
}

static void clear(reply *r)
{
    pf_buf_clear(&r->body);
    pf_buf_clear(&r->head);
}

static bool head_holds(const reply *r, const char *line)
{
    return r->head.size && strcasestr((const char *)r->head.data, line) != NULL;
}

/* ---- the farm behind it */

static int set_up(void **state)
{
    int  port = free_port();
    char config[4200];

    (void)state;
    snprintf(https, sizeof https, "https://localhost:%d", port);
    daemon_start(&d, test_path("state"), (const char *const[]){ "--http-url", https, "--heartbeat-ms", "200", NULL });
    snprintf(config, sizeof config, "%s", test_path("Caddyfile"));
    write_config(config, port);
    snprintf(authority, sizeof authority, "%s", test_path("caddy-data/caddy/pki/authorities/local/root.crt"));
    start_caddy(config);
    for (int64_t until = pf_clock_ns() + WAIT_S * PF_NS_PER_S; pf_clock_ns() < until;
         pf_clock_sleep_ns(50 * PF_NS_PER_MS)) {
        reply r = ask("/readyz", NULL, NULL, NULL);
        long  code = r.code;
        clear(&r);
        if (code == 200)
            return 0;
    }
    fail_msg("Caddy does not pass /readyz on");
    return -1;
}

static int tear_down(void **state)
{
    (void)state;
    kill(caddy, SIGKILL);
    waitpid(caddy, NULL, 0);
    assert_int_equal(daemon_stop(&d), 0);
    return 0;
}

static uint8_t *blob_of(pf_digest *digest)
{
    uint8_t *data = test_malloc(BLOB_BYTES);

    for (size_t i = 0; i < BLOB_BYTES; i++)
        data[i] = (uint8_t)(i * i >> 3);
    pf_digest_of(data, BLOB_BYTES, digest);
    return data;
}

static void blobs_go_in_and_out(void **state)
{
    char         hex[PF_DIGEST_HEX_BYTES], path[128], header[128];
    pf_digest    digest = { 0 };
    uint8_t     *data = blob_of(&digest);
    pf_transfer *transfer = NULL;
    reply        r;
    pf_err       err = { 0 };

    (void)state;
    setenv("SSL_CERT_FILE", authority, 1);
    test_ok(pf_transfer_new(&(pf_transfer_options){ .url = https, .token = "" }, &transfer, &err), &err);
    test_ok(pf_transfer_put_bytes(transfer, &digest, data, BLOB_BYTES, &err), &err);
    test_ok(pf_transfer_get_blob(transfer, &digest, BLOB_BYTES, test_path("back"), &err), &err);
    pf_transfer_free(transfer);
    pf_digest_to_hex(&digest, hex);
    snprintf(path, sizeof path, "/blobs/sha256/%s", hex);
    r = ask(path, "Range: bytes=1000-1999", NULL, NULL);
    assert_int_equal(r.code, 206);
    assert_int_equal(r.body.size, 1000);
    assert_memory_equal(r.body.data, data + 1000, 1000);
    assert_true(head_holds(&r, "content-range: bytes 1000-1999/"));
    clear(&r);
    snprintf(header, sizeof header, "If-None-Match: \"%s\"", hex);
    r = ask(path, header, NULL, NULL);
    assert_int_equal(r.code, 304);
    assert_int_equal(r.body.size, 0);
    assert_true(head_holds(&r, hex));
    clear(&r);
    test_free(data);
}

/* The first event comes while the job runs: nothing on the way waits for the end. */
static void jobs_are_submitted_and_followed(void **state)
{
    scripted_agent agent = { .daemon = &d, .name = "a", .class_name = "cpu", .slots = 1, .hold = true };
    pf_digest      digest = { 0 };
    char           hex[PF_DIGEST_HEX_BYTES], body[512];
    reply          r;

    (void)state;
    scripted_agent_start(&agent);
    scripted_agent_await(&agent);
    http_put_blob(&d, "a model", 7, &digest);
    pf_digest_to_hex(&digest, hex);
    snprintf(body, sizeof body,
             "{\"submit_id\": \"%032x\", \"model\": \"net\", \"files\": [{\"name\": \"model.onnx\", \"sha256\": "
             "\"%s\", "
             "\"bytes\": 7}], \"classes\": [\"cpu\"]}",
             1, hex);
    r = ask("/jobs", "Content-Type: application/json", body, NULL);
    assert_int_equal(r.code, 200);
    assert_non_null(strstr((char *)r.body.data, "\"job_id\""));
    clear(&r);
    r = ask("/jobs/1/events", NULL, NULL, "event: ");
    assert_int_equal(r.code, 200);
    assert_int_equal(r.curl, CURLE_WRITE_ERROR);        /* left by us, not ended */
    assert_true(head_holds(&r, "content-type: text/event-stream"));
    clear(&r);
    r = ask("/jobs/1", NULL, NULL, NULL);
    assert_int_equal(r.code, 200);
    assert_null(strstr((char *)r.body.data, "\"done\""));
    clear(&r);
    scripted_agent_stop(&agent);
}

static void refusals_come_as_they_are(void **state)
{
    reply r = ask("/jobs", "Content-Type: text/plain", "{}", NULL);

    (void)state;
    assert_int_equal(r.code, 415);
    assert_non_null(strstr((char *)r.body.data, "send JSON"));
    clear(&r);
    r = ask("/jobs/99", NULL, NULL, NULL);
    assert_int_equal(r.code, 404);
    clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blobs_go_in_and_out),
        cmocka_unit_test(jobs_are_submitted_and_followed),
        cmocka_unit_test(refusals_come_as_they_are),
    };

    if (!caddy_is_installed()) {
        print_message("Caddy is not installed: ops/setup --tests installs it\n");
        return TEST_SKIPPED;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
