/* Requests over HTTP that never end, and such as no client of ours would send. */
#include "tests/test.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/farm/http_rig.h"

/* A request from 127.0.0.<host> that is never finished, but for the headers that are given. */
static int begin_request(int host, const char *text, size_t bytes)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000u + (unsigned)host) };
    struct timeval     wait = { .tv_sec = API_WAIT_S };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)atoi(strrchr(api_daemon.http, ':') + 1));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    for (size_t at = 0; at < bytes;) {
        ssize_t sent = send(fd, text + at, bytes - at, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        at += (size_t)sent;
    }
    return fd;
}

/* The code of what comes back; 0: the connection ended. */
static int code_of(int fd)
{
    char    line[64] = "";
    ssize_t bytes = recv(fd, line, sizeof line - 1, 0);

    close(fd);
    return bytes > 12 && strncmp(line, "HTTP/1.1 ", 9) == 0 ? atoi(line + 9) : 0;
}

/* More than there are connections, all of one address: it is served itself, others are, and memory stays. */
static void requests_that_never_end_take_no_farm_down(void **state)
{
    enum { SLOW = 600 };
    static const char part[] = "GET /healthz HTTP/1.1\r\nHost: x\r\nX-More: ";
    static const char whole[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    int               fd[SLOW];
    long              before_kib = daemon_resident_kib(&api_daemon);

    (void)state;
    for (int i = 0; i < SLOW; i++)
        fd[i] = begin_request(1, part, sizeof part - 1);
    assert_int_equal(code_of(begin_request(2, whole, sizeof whole - 1)), 200);
    for (int i = 0; i < 20; i++)
        assert_int_equal(code_of(begin_request(1, whole, sizeof whole - 1)), 200);
    assert_true(daemon_resident_kib(&api_daemon) < before_kib + (300 << 10));
    for (int i = 0; i < SLOW; i++)
        close(fd[i]);
}

static void hostile_requests_are_refused(void **state)
{
    static const char *const texts[] = {
        "GET /blobs/sha256/../../keys/farm.key HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /blobs/sha256/%2e%2e%2f%2e%2e%2fkeys%2ffarm.key HTTP/1.1\r\nHost: x\r\n\r\n",
        "PUT /blobs/sha256/../../db/data.mdb HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
        "PUT /blobs/sha256/" API_NO_DIGEST " HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "PUT /blobs/sha256/" API_NO_DIGEST " HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        "POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET /plans/\x01\x02 HTTP/1.1\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\x02\x01\r\n\r\n",
        "GET\r\n\r\n",
    };
    size_t bytes = 1 << 20;
    char  *header = test_malloc(bytes);
    int    code = 0;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        code = code_of(begin_request(1, texts[i], strlen(texts[i])));
        if (code && (code < 400 || code >= 500))
            fail_msg("%s: %d", texts[i], code);
    }
    memset(header, 'a', bytes);
    memcpy(header, "GET /healthz HTTP/1.1\r\nX-Large: ", strlen("GET /healthz HTTP/1.1\r\nX-Large: "));
    code = code_of(begin_request(1, header, bytes));
    assert_true(code == 0 || (code >= 400 && code < 500));
    json_decref(api_ask("GET", "/jobs", NULL, 200));
    test_free(header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_that_never_end_take_no_farm_down, api_set_up, api_tear_down),
        cmocka_unit_test_setup_teardown(hostile_requests_are_refused, api_set_up, api_tear_down),
    };
    return cmocka_run_group_tests(tests, api_begin, NULL);
}
