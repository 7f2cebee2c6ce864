#include "client/output.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

/* Names come out of files: none may move the cursor or forge a line. */
static void make_harmless(char *text, bool keep_lines)
{
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && !(keep_lines && (*text == '\n' || *text == '\t'))) || *text == 0x7f)
            *text = '?';
}

/* Blanks in front of a line's end are left out: the last column of a table may be empty. */
static void put_letter(FILE *to, char letter, size_t *blanks)
{
    if (letter == ' ') {
        ++*blanks;
        return;
    }
    for (; *blanks; --*blanks)
        if (letter != '\n')
            fputc(' ', to);
    fputc(letter, to);
}

static void put_blanks(FILE *to, size_t blanks)
{
    while (blanks--)
        fputc(' ', to);
}

/* From pf_alloc; NULL without memory. */
static char *format_text(const char *format, va_list args)
{
    va_list again;
    int     length = 0;
    char   *text = NULL;

    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    text = length < 0 ? NULL : pf_alloc((size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, args);
    return text;
}

/* Only the format's own line ends stay: formatted again without them, the text tells which those are. */
static void write_text(FILE *to, const char *format, va_list args)
{
    va_list again;
    char   *text = NULL, *lines = NULL, *flat = pf_strdup(format);
    size_t  blanks = 0;

    va_copy(again, args);
    for (char *at = flat; at && *at; at++)
        if (*at == '\n')
            *at = ' ';
    text = flat ? format_text(flat, args) : NULL;
    lines = text ? format_text(format, again) : NULL;
    va_end(again);
    if (lines) {
        make_harmless(text, false);
        for (size_t i = 0; lines[i]; i++)
            put_letter(to, lines[i] == '\n' && text[i] == ' ' ? '\n' : text[i], &blanks);
        put_blanks(to, blanks);
    }
    pf_free(flat);
    pf_free(text);
    pf_free(lines);
}

void pf_say(pf_call *call, const char *format, ...)
{
    va_list args;

    if (call->json)
        return;
    va_start(args, format);
    write_text(stdout, format, args);
    va_end(args);
}

void pf_say_buf(pf_call *call, pf_buf *text)
{
    size_t blanks = 0;

    if (text->size && !call->json) {
        make_harmless((char *)text->data, true);
        for (size_t i = 0; i < text->size; i++)
            put_letter(stdout, (char)text->data[i], &blanks);
        put_blanks(stdout, blanks);
    }
    pf_buf_clear(text);
}

void pf_warn(pf_call *call, const char *format, ...)
{
    char    text[PF_ERR_MSG_BYTES];
    json_t *list = json_object_get(call->result, "warnings");
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    make_harmless(text, false);
    fprintf(stderr, "planfarm: warning: %s\n", text);
    if (!list) {
        list = json_array();
        json_object_set_new(call->result, "warnings", list);
    }
    json_array_append_new(list, pf_json_text(text));
}

void pf_warn_of_host(pf_call *call, int64_t products)
{
    if (products > 0)
        pf_warn(call,
                "%lld %s left to the references on the host, which are slow: sizes that only data decides, or control "
                "flow, come before; with fixed sizes (--shapes) there may be none",
                (long long)products, products == 1 ? "product is" : "products are");
}

void pf_tell(const pf_call *call, const char *format, ...)
{
    va_list args;

    if (!call->verbose)
        return;
    va_start(args, format);
    write_text(stderr, format, args);
    va_end(args);
}

json_t *pf_json_dims(const int64_t *dim, int32_t rank)
{
    json_t *list = json_array();

    for (int32_t i = 0; i < rank; i++)
        json_array_append_new(list, json_integer((json_int_t)dim[i]));
    return list;
}

const char *pf_text_bytes(uint64_t bytes, char out[PF_TEXT_BYTES])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    int    unit = 0;

    for (; value >= 1024 && unit < 4; unit++)
        value /= 1024;
    snprintf(out, PF_TEXT_BYTES, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

const char *pf_text_ns(int64_t ns, char out[PF_TEXT_BYTES])
{
    if (ns < 10000)
        snprintf(out, PF_TEXT_BYTES, "%.2f us", (double)ns / 1e3);
    else if (ns < 10000000)
        snprintf(out, PF_TEXT_BYTES, "%.1f us", (double)ns / 1e3);
    else
        snprintf(out, PF_TEXT_BYTES, "%.2f ms", (double)ns / 1e6);
    return out;
}

const char *pf_text_type(pf_value_kind kind, pf_dtype dtype, char out[PF_TEXT_BYTES])
{
    static const char *const wraps[] = {[PF_VALUE_TENSOR] = "", [PF_VALUE_SEQUENCE] = "sequence(",
                                        [PF_VALUE_OPTIONAL] = "optional("};

    snprintf(out, PF_TEXT_BYTES, "%s%s%s", wraps[kind], pf_dtype_name(dtype), wraps[kind][0] ? ")" : "");
    return out;
}

static void add_error(pf_call *call, pf_status status, const char *message)
{
    json_t *error = json_object();

    json_object_set_new(error, "status", json_string(pf_status_name(status)));
    json_object_set_new(error, "exit_code", json_integer(pf_status_exit_code(status)));
    json_object_set_new(error, "message", pf_json_text(message));
    json_object_set_new(call->result, "error", error);
}

/* PF_OK, or why standard output could not be written.  A reader that had enough is no error to talk about. */
static pf_status flush_output(pf_err *err)
{
    errno = 0;
    if (!fflush(stdout) && !ferror(stdout))
        return PF_OK;
    return PF_FAIL(err, errno ? pf_status_from_errno(errno) : PF_IO, "%s",
                   errno == EPIPE ? "" : strerror(errno ? errno : EIO));
}

int pf_output_end(pf_call *call, pf_status status, const pf_err *err)
{
    char      message[PF_ERR_MSG_BYTES] = "";
    pf_err    output = {0};
    pf_status flushed = PF_OK;

    if (status) {
        snprintf(message, sizeof message, "%s", err->msg[0] ? err->msg : pf_status_text(status));
        make_harmless(message, false);
        add_error(call, status, message);
    }
    if (call->json) {
        json_dumpf(call->result, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
        fputc('\n', stdout);
    }
    flushed = flush_output(&output);
    if (status)
        fprintf(stderr, "planfarm: %s\n", message);
    else if (flushed && output.msg[0])
        fprintf(stderr, "planfarm: cannot write standard output: %s\n", output.msg);
    return pf_status_exit_code(status ? status : flushed);
}
