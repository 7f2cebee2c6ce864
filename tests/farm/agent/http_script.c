#include "tests/farm/agent/http_script.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/test.h"

enum { REPLIES = 16, HEAD_BYTES = 8192, PUT_BYTES = 1 << 20 };

static pthread_t       thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static http_reply      script[REPLIES];
static int             script_count, requests, listen_fd = -1, stop_pipe[2];
static char            url[64], last_range[64], last_head[HEAD_BYTES + 1];
static uint8_t         put_data[PUT_BYTES];
static size_t          put_bytes;

void http_script_set(const http_reply *replies, int count)
{
    pthread_mutex_lock(&lock);
    assert_true(count > 0 && count <= REPLIES);
    memcpy(script, replies, sizeof *replies * (size_t)count);
    script_count = count;
    requests = 0;
    pthread_mutex_unlock(&lock);
}

int http_script_requests(void)
{
    int count = 0;

    pthread_mutex_lock(&lock);
    count = requests;
    pthread_mutex_unlock(&lock);
    return count;
}

const char *http_script_last_range(void)
{
    return last_range;
}

const char *http_script_last_head(void)
{
    return last_head;
}

const void *http_script_put(size_t *bytes)
{
    *bytes = put_bytes;
    return put_data;
}

/* The value of a header, "" when absent. */
static void header_of(const char *head, const char *name, char out[64])
{
    size_t length = strlen(name);

    out[0] = 0;
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, length) == 0 && line[2 + length] == ':')
            snprintf(out, 64, "%.*s", (int)strcspn(line + length + 4, "\r"), line + length + 4);
}

static void send_all(int fd, const void *data, size_t bytes)
{
    const char *at = data;

    while (bytes) {
        ssize_t now = send(fd, at, bytes, MSG_NOSIGNAL);
        if (now <= 0)
            return;
        at += now;
        bytes -= (size_t)now;
    }
}

static void take_put(int fd, const char *head, const char *body, size_t got)
{
    char   length[64], expect[64];
    size_t wanted = 0;

    header_of(head, "Content-Length", length);
    header_of(head, "Expect", expect);
    wanted = strtoull(length, NULL, 10);
    if (expect[0])
        send_all(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    put_bytes = got < sizeof put_data ? got : sizeof put_data;
    memcpy(put_data, body, put_bytes);
    while (put_bytes < wanted && put_bytes < sizeof put_data) {
        ssize_t now = recv(fd, put_data + put_bytes, sizeof put_data - put_bytes, 0);
        if (now <= 0)
            return;
        put_bytes += (size_t)now;
    }
}

static void answer(int fd, const http_reply *reply, const char *range, bool head)
{
    char   text[512], content_range[96] = "", length[64];
    size_t from = reply->ranges && range[0] ? strtoull(range + 6, NULL, 10) : 0;
    size_t bytes = from < reply->bytes ? reply->bytes - from : 0;
    int    status = from ? 206 : reply->status;

    if (reply->ranges && from >= reply->bytes && from)
        status = 416;
    if (status == 206)
        snprintf(content_range, sizeof content_range, "Content-Range: bytes %zu-%zu/%zu\r\n", from, reply->bytes - 1,
                 reply->bytes);
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", bytes);
    snprintf(text, sizeof text, "HTTP/1.1 %d x\r\n%sConnection: close\r\n%s%s\r\n", status,
             reply->unannounced ? "" : length, content_range, reply->header ? reply->header : "");
    send_all(fd, text, strlen(text));
    if (!head)
        send_all(fd, (const char *)reply->body + from,
                 reply->sent_bytes && reply->sent_bytes < bytes ? reply->sent_bytes : bytes);
    if (reply->stalls) {
        struct pollfd wait = {.fd = stop_pipe[0], .events = POLLIN};
        char          rest;
        struct timeval limit = {.tv_sec = 10};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        if (recv(fd, &rest, 1, 0) > 0)
            poll(&wait, 1, 0);
    }
}

static void serve(int fd)
{
    char       head[HEAD_BYTES + 1], range[64], *end = NULL;
    size_t     bytes = 0;
    http_reply reply;
    bool       is_head = false;

    while (bytes < HEAD_BYTES && !end) {
        ssize_t now = recv(fd, head + bytes, HEAD_BYTES - bytes, 0);
        if (now <= 0)
            return;
        bytes += (size_t)now;
        head[bytes] = 0;
        end = strstr(head, "\r\n\r\n");
    }
    if (!end)
        return;
    end[2] = 0;
    is_head = strncmp(head, "HEAD ", 5) == 0;
    header_of(head, "Range", range);
    pthread_mutex_lock(&lock);
    reply = script[requests < script_count ? requests : script_count - 1];
    if (!is_head) {
        requests++;
        snprintf(last_range, sizeof last_range, "%s", range);
        snprintf(last_head, sizeof last_head, "%s", head);
    }
    pthread_mutex_unlock(&lock);
    if (strncmp(head, "PUT ", 4) == 0)
        take_put(fd, head, end + 4, bytes - (size_t)(end + 4 - head));
    if (is_head)
        reply = (http_reply){.status = 404};
    if (reply.status)
        answer(fd, &reply, range, is_head);
}

static void *loop(void *user)
{
    (void)user;
    for (;;) {
        struct pollfd wait[2] = {{.fd = listen_fd, .events = POLLIN}, {.fd = stop_pipe[0], .events = POLLIN}};
        int           fd = -1;

        poll(wait, 2, -1);
        if (wait[1].revents)
            return NULL;
        fd = accept(listen_fd, NULL, NULL);
        if (fd < 0)
            continue;
        serve(fd);
        close(fd);
    }
}

const char *http_script_start(const http_reply *replies, int count)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t          bytes = sizeof address;

    http_script_set(replies, count);
    assert_int_equal(pipe(stop_pipe), 0);
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listen_fd >= 0);
    assert_int_equal(bind(listen_fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listen_fd, 16), 0);
    assert_int_equal(getsockname(listen_fd, (struct sockaddr *)&address, &bytes), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&thread, NULL, loop, NULL), 0);
    return url;
}

void http_script_stop(void)
{
    assert_int_equal(write(stop_pipe[1], "x", 1), 1);
    pthread_join(thread, NULL);
    close(listen_fd);
    close(stop_pipe[0]);
    close(stop_pipe[1]);
}

int http_script_end(void **state)
{
    (void)state;
    http_script_stop();
    return 0;
}
