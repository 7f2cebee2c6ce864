/* Events of jobs as a stream (server-sent events, HTML standard 9.2).  A stream asks the core for more only when the
   reader has taken what it had, so a slow one holds one answer and nothing else; what it misses meanwhile is told by a
   gap. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "coordinator/http_private.h"

enum { STREAMS_MAX = 256, BLOCK_BYTES = 16 << 10, TEXT_BYTES = 16 << 20 };

#define SILENT_NS (10 * PF_NS_PER_S)    /* after that a comment is sent, so that a reader that left is noticed */

typedef struct stream {
    pf_http               *http;
    struct MHD_Connection *connection;
    pf_api_call            api;
    pf_gateway_call        call;
    pf_buf                 text;        /* of which sent_bytes are on their way */
    size_t                 sent_bytes;
    uint64_t               after_sequence;
    bool                   asked, ended;
    int64_t                said_ns;
} stream;

static void free_stream(void *user)
{
    stream *s = user;

    atomic_fetch_sub(&s->http->streams, 1);
    pf_api_call_clear(&s->api);
    pf_buf_clear(&s->call.frame);
    pf_buf_clear(&s->call.answer);
    pf_buf_clear(&s->text);
    pf_free(s);
}

static void on_done(pf_gateway_call *call)
{
    stream *s = call->user;

    MHD_resume_connection(s->connection);
}

/* Turns the answer into text. */
static void take_answer(stream *s, const pf_buf *frame)
{
    bool      final = false;
    pf_err    err = { 0 };
    pf_status st = PF_OK;

    pf_buf_reset(&s->text);
    s->sent_bytes = 0;
    s->ended = frame->size == 0;
    if (s->ended)
        return;
    st = pf_api_events(frame->data, frame->size, &s->after_sequence, &final, &s->text, &err);
    if (st) {
        pf_buf_reset(&s->text);
        pf_buf_printf(&s->text, "event: error\ndata: ");
        pf_api_failure(st, err.msg, &s->text);
        pf_buf_printf(&s->text, "\n");
    } else if (final) {
        pf_buf_printf(&s->text, "event: end\ndata: {}\n\n");
    } else if (s->text.size == 0 && pf_clock_ns() - s->said_ns > SILENT_NS) {
        pf_buf_printf(&s->text, ":\n\n");
    }
    s->ended = st || final || s->text.failed;
    if (s->text.size)
        s->said_ns = pf_clock_ns();
}

static bool ask_for_more(stream *s)
{
    if (pf_api_pack_watch(&s->api, s->after_sequence, PF_WATCH_MS_MAX, NULL))
        return false;
    pf_buf_clear(&s->call.frame);
    pf_buf_clear(&s->call.answer);
    s->call.frame = s->api.frame;
    memset(&s->api.frame, 0, sizeof s->api.frame);
    s->asked = true;
    MHD_suspend_connection(s->connection);
    if (!pf_gateway_ask(s->http->options.gateway, &s->call))
        MHD_resume_connection(s->connection);       /* and its empty answer ends the stream */
    return true;
}

static ssize_t read_stream(void *user, uint64_t position, char *out, size_t capacity)
{
    stream *s = user;
    size_t  bytes = 0;

    (void)position;
    if (s->asked) {
        s->asked = false;
        take_answer(s, &s->call.answer);
    }
    bytes = s->text.size - s->sent_bytes;
    if (bytes) {
        bytes = bytes < capacity ? bytes : capacity;
        memcpy(out, s->text.data + s->sent_bytes, bytes);
        s->sent_bytes += bytes;
        return (ssize_t)bytes;
    }
    if (s->ended || !ask_for_more(s))
        return MHD_CONTENT_READER_END_OF_STREAM;
    return 0;
}

static stream *new_stream(pf_http *http, pf_http_request *request)
{
    stream *s = pf_calloc(1, sizeof *s);

    if (!s)
        return NULL;
    atomic_fetch_add(&http->streams, 1);
    s->http = http;
    s->connection = request->connection;
    s->api = request->api;
    memset(&request->api, 0, sizeof request->api);
    s->call.done = on_done;
    s->call.user = s;
    s->said_ns = pf_clock_ns();
    snprintf(s->call.key_name, sizeof s->call.key_name, "%s", request->key_name);
    pf_buf_init(&s->text, TEXT_BYTES);
    return s;
}

static enum MHD_Result send_stream(struct MHD_Connection *connection, stream *s)
{
    struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, s,
                                                                      free_stream);
    enum MHD_Result      result = MHD_NO;

    if (!response) {
        free_stream(s);
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", "text/event-stream");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Accel-Buffering", "no");
    result = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result pf_http_events_begin(pf_http *http, pf_http_request *request)
{
    pf_buf    text = { 0 };
    uint64_t  after = 0;
    bool      final = false;
    pf_err    err = { 0 };
    pf_status st = PF_OK;
    stream   *s = NULL;

    if (atomic_load(&http->streams) >= STREAMS_MAX)
        return pf_http_fail(request->connection, 503, PF_BUSY,
                            "256 streams of events are open already; ask again later", NULL);
    pf_buf_init(&text, TEXT_BYTES);
    st = pf_api_events(request->call.answer.data, request->call.answer.size, &after, &final, &text, &err);
    pf_buf_clear(&text);
    if (st)
        return pf_http_fail(request->connection, pf_api_code(st), st, err.msg, NULL);
    s = new_stream(http, request);
    if (!s)
        return MHD_NO;
    take_answer(s, &request->call.answer);
    return send_stream(request->connection, s);
}
