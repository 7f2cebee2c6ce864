#include "tests/bench/zmtp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The flags of a frame (RFC 23, "Framing"). */
enum { FLAG_MORE = 1, FLAG_LONG = 2, FLAG_COMMAND = 4, SHORT_BYTES_MAX = 255 };

/* signature, version 3.0, mechanism of 20 bytes, as-server 0, filler of 31 zero bytes */
enum { GREETING_BYTES = 64, VERSION_AT = 10, MECHANISM_AT = 12, MECHANISM_BYTES = 20 };

static const uint8_t greeting[GREETING_BYTES] = {
    0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0, 'N', 'U', 'L', 'L',
};

/* A command of one short frame: its name, then a property: name, length of the value in four bytes, value. */
static const uint8_t ready[] = "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\6DEALER";
enum { READY_BYTES = sizeof ready - 1 };

/* ---- frames */

static uint64_t read_length(const uint8_t *at, size_t bytes)
{
    uint64_t length = 0;

    for (size_t i = 0; i < bytes; i++)
        length = length << 8 | at[i];
    return length;
}

/* The next whole frame.  False when there is none; *broken when it can never be whole. */
static bool take_frame(zmtp *z, uint8_t *flags, const uint8_t **body, size_t *bytes, bool *broken)
{
    const uint8_t *at = z->in + z->in_at;
    size_t         there = z->in_end - z->in_at, head = 2;
    uint64_t       length = 0;

    *broken = false;
    if (there < head)
        return false;
    *flags = at[0];
    head = *flags & FLAG_LONG ? 9 : 2;
    if (there < head)
        return false;
    length = read_length(at + 1, head - 1);
    *broken = length > ZMTP_READ_BYTES - head;
    if (*broken || there - head < length)
        return false;
    *body = at + head;
    *bytes = (size_t)length;
    z->in_at += head + *bytes;
    return true;
}

bool zmtp_take(zmtp *z, const uint8_t **body, size_t *bytes, bool *broken)
{
    uint8_t flags = 0;
    bool    got = take_frame(z, &flags, body, bytes, broken);

    *broken = *broken || (got && flags & (FLAG_MORE | FLAG_COMMAND));
    return got && !*broken;
}

void zmtp_put(zmtp *z, const void *body, size_t bytes)
{
    bool is_long = bytes > SHORT_BYTES_MAX;

    pf_buf_put_u8(&z->out, is_long ? FLAG_LONG : 0);
    for (int shift = is_long ? 56 : 0; shift >= 0; shift -= 8)
        pf_buf_put_u8(&z->out, (uint8_t)((uint64_t)bytes >> shift));
    pf_buf_put(&z->out, body, bytes);
}

/* ---- the connection */

bool zmtp_flush(zmtp *z)
{
    ssize_t sent = 0;

    if (z->out.failed)
        return false;
    if (z->out_sent == z->out.size)
        return true;
    sent = send(z->fd, z->out.data + z->out_sent, z->out.size - z->out_sent, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    z->out_sent += (size_t)sent;
    if (z->out_sent == z->out.size) {
        pf_buf_reset(&z->out);
        z->out_sent = 0;
    }
    return true;
}

bool zmtp_fill(zmtp *z, bool *more)
{
    ssize_t got = 0;
    size_t  room = 0;

    memmove(z->in, z->in + z->in_at, z->in_end - z->in_at);
    z->in_end -= z->in_at;
    z->in_at = 0;
    room = sizeof z->in - z->in_end;
    got = recv(z->fd, z->in + z->in_end, room, 0);
    *more = got == (ssize_t)room;
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    z->in_end += (size_t)got;
    return got > 0;
}

/* Waits until so many bytes have come that were not taken yet. */
static bool await_bytes(zmtp *z, size_t bytes)
{
    bool more = false;

    while (z->in_end - z->in_at < bytes)
        if (!zmtp_fill(z, &more))
            return false;
    return true;
}

/* The other side's greeting: version 3 of any minor, the same mechanism. */
static bool hear_greeting(zmtp *z)
{
    const uint8_t *at = NULL;

    if (!await_bytes(z, GREETING_BYTES))
        return false;
    at = z->in + z->in_at;
    z->in_at += GREETING_BYTES;
    return at[0] == 0xff && at[VERSION_AT - 1] == 0x7f && at[VERSION_AT] >= 3 &&
           memcmp(at + MECHANISM_AT, greeting + MECHANISM_AT, MECHANISM_BYTES) == 0;
}

static bool hear_ready(zmtp *z)
{
    const uint8_t *body = NULL;
    size_t         bytes = 0;
    uint8_t        flags = 0;
    bool           broken = false, more = false;

    while (!take_frame(z, &flags, &body, &bytes, &broken))
        if (broken || !zmtp_fill(z, &more))
            return false;
    return (flags & FLAG_COMMAND) && bytes >= 6 && memcmp(body, ready + 2, 6) == 0;
}

static bool connect_to(zmtp *z, const char *endpoint)
{
    char               address[64] = "";
    unsigned           port = 0;
    int                on = 1;
    struct sockaddr_in to = { .sin_family = AF_INET };

    if (sscanf(endpoint, "tcp://%63[0-9.]:%u", address, &port) != 2 || inet_pton(AF_INET, address, &to.sin_addr) != 1)
        return false;
    to.sin_port = htons((uint16_t)port);
    z->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return z->fd >= 0 && connect(z->fd, (struct sockaddr *)&to, sizeof to) == 0 &&
           setsockopt(z->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
}

bool zmtp_open(zmtp *z, const char *endpoint)
{
    bool sound = false;

    memset(z, 0, offsetof(zmtp, in));
    z->fd = -1;
    pf_buf_init(&z->out, 1 << 20);
    sound = connect_to(z, endpoint) && pf_buf_put(&z->out, greeting, sizeof greeting) &&
            pf_buf_put(&z->out, ready, READY_BYTES) && zmtp_flush(z) && hear_greeting(z) && hear_ready(z) &&
            fcntl(z->fd, F_SETFL, O_NONBLOCK) == 0;
    if (!sound)
        zmtp_close(z);
    return sound;
}

void zmtp_close(zmtp *z)
{
    if (z->fd >= 0)
        close(z->fd);
    z->fd = -1;
    pf_buf_clear(&z->out);
}
