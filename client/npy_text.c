#include "client/npy_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum { WIDTH_LIMIT = 1 << 20, UTF8_BYTES = 4 };

static const char *letter_of(const char *descr)
{
    return *descr && strchr("<>|=", *descr) ? descr + 1 : descr;
}

uint64_t pf_npy_text_width(const char *descr)
{
    const char *at = letter_of(descr);
    char       *end = NULL;
    long        length = 0;

    if ((*at != 'U' && *at != 'S') || at[1] < '0' || at[1] > '9')
        return 0;
    length = strtol(at + 1, &end, 10);
    if (*end || length < 1 || length > WIDTH_LIMIT)
        return 0;
    return (uint64_t)length * (*at == 'U' ? 4 : 1);
}

/* Writes one character; answers its bytes, 0 for what is no character. */
static size_t put_utf8(uint32_t code, char out[UTF8_BYTES])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return code >= 0xd800 && code < 0xe000 ? 0 : 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return code <= 0x10ffff ? 4 : 0;
}

/* One element as UTF-8, from pf_alloc; NULL when out of memory or, then *bad, when it is no text. */
static char *read_wide(const uint8_t *from, uint64_t width, bool *bad)
{
    char  *text = pf_alloc(width + 1);
    size_t used = 0;

    for (uint64_t i = 0; text && i < width && !*bad; i += 4) {
        uint32_t code = (uint32_t)from[i] | (uint32_t)from[i + 1] << 8 | (uint32_t)from[i + 2] << 16 |
                        (uint32_t)from[i + 3] << 24;
        size_t   length = 0;

        if (!code)
            break;
        length = put_utf8(code, text + used);
        *bad = !length;
        used += length;
    }
    if (text)
        text[used] = 0;
    return text;
}

pf_status pf_npy_text_parse(const pf_npy_header *header, const uint8_t *data, size_t bytes, pf_tensor *out, pf_err *err)
{
    uint64_t  width = pf_npy_text_width(header->descr);
    bool      wide = *letter_of(header->descr) == 'U', bad = false;
    uint64_t  count = 0;
    pf_status status = PF_OK;

    *out = (pf_tensor){.dtype = PF_STRING, .rank = header->rank};
    memcpy(out->dim, header->dim, sizeof out->dim);
    if (header->descr[0] == '>' || header->fortran)
        return PF_FAIL(err, PF_UNSUPPORTED,
                       "its strings are big-endian or in Fortran order; save a C-ordered little-endian copy");
    status = pf_tensor_measure(out, err);
    count = status ? 0 : (uint64_t)pf_tensor_elems(out);
    if (!status && (count > bytes / width || count * width != bytes))
        status = PF_FAIL(err, PF_INVALID, "its data has %zu bytes and its shape needs %llu strings of %llu", bytes,
                         (unsigned long long)count, (unsigned long long)width);
    if (!status)
        status = pf_tensor_alloc(out, err);
    for (uint64_t i = 0; i < count && !status; i++) {
        const uint8_t *from = data + i * width;
        char          *text = wide ? read_wide(from, width, &bad) : pf_strndup((const char *)from, width);

        ((char **)out->data)[i] = text;
        if (bad)
            status = PF_FAIL(err, PF_INVALID, "its string %llu holds something that is no character",
                             (unsigned long long)i);
        else if (!text)
            status = PF_FAIL_MEMORY(err, width);
    }
    if (status)
        pf_tensor_clear(out);
    return status;
}

/* ---- Writing */

/* A character as UTF-8 may say it: in no more bytes than it needs, no surrogate, none that there is not. */
static bool is_character(uint32_t code, int more)
{
    static const uint32_t least[UTF8_BYTES] = {0, 0x80, 0x800, 0x10000};

    return code >= least[more] && code <= 0x10ffff && (code < 0xd800 || code >= 0xe000);
}

/* Takes one character off text; bytes that are no UTF-8 stand for themselves, as in Latin-1. */
static uint32_t take_utf8(const char **text)
{
    const uint8_t *at = (const uint8_t *)*text;
    int            more = at[0] >= 0xf0 ? 3 : at[0] >= 0xe0 ? 2 : at[0] >= 0xc0 ? 1 : 0;
    uint32_t       code = more ? at[0] & (0x3fu >> more) : at[0];

    for (int i = 1; i <= more; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            *text += 1;
            return at[0];
        }
        code = code << 6 | (at[i] & 0x3f);
    }
    if (at[0] >= 0xf8 || !is_character(code, more)) {
        *text += 1;
        return at[0];
    }
    *text += 1 + more;
    return code;
}

static uint64_t characters(const char *text)
{
    uint64_t count = 0;

    while (text && *text) {
        take_utf8(&text);
        count++;
    }
    return count;
}

static void put_wide(const char *text, uint64_t width, pf_buf *out)
{
    for (uint64_t i = 0; i < width; i++)
        pf_buf_put_u32(out, text && *text ? take_utf8(&text) : 0);
}

pf_status pf_npy_text_print(const pf_tensor *tensor,
                            void (*put_header)(const char *descr, const pf_tensor *tensor, pf_buf *out), pf_buf *out,
                            pf_err *err)
{
    const char *const *strings = tensor->data;
    uint64_t           count = (uint64_t)pf_tensor_elems(tensor), width = 1;
    char               descr[24];

    for (uint64_t i = 0; i < count; i++) {
        uint64_t length = characters(strings[i]);

        width = length > width ? length : width;
    }
    snprintf(descr, sizeof descr, "<U%llu", (unsigned long long)width);
    put_header(descr, tensor, out);
    for (uint64_t i = 0; i < count; i++)
        put_wide(strings[i], width, out);
    return out->failed ? PF_FAIL_MEMORY(err, count * width * 4) : PF_OK;
}
