#include "base/buf.h"

#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "base/number.h"

enum { FIRST_CAPACITY = 64 };

void pf_buf_init(pf_buf *buf, size_t limit_bytes)
{
    *buf = (pf_buf){.limit = limit_bytes};
}

void pf_buf_clear(pf_buf *buf)
{
    pf_free(buf->data);
    pf_buf_init(buf, buf->limit);
}

void pf_buf_reset(pf_buf *buf)
{
    buf->size = 0;
    buf->failed = false;
    if (buf->data)
        buf->data[0] = 0;
}

static bool fail(pf_buf *buf)
{
    buf->failed = true;
    return false;
}

/* Makes room for that many more bytes and the zero byte behind them. */
static bool reserve(pf_buf *buf, size_t bytes)
{
    size_t   capacity = buf->capacity ? buf->capacity : FIRST_CAPACITY;
    size_t   need = 0;
    uint8_t *grown = NULL;

    if (buf->failed)
        return false;
    if (buf->size > buf->limit || bytes > buf->limit - buf->size ||
        __builtin_add_overflow(buf->size, bytes, &need) || __builtin_add_overflow(need, 1, &need))
        return fail(buf);
    if (need <= buf->capacity)
        return true;
    while (capacity < need)
        capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    grown = pf_realloc(buf->data, capacity);
    if (!grown)
        return fail(buf);
    buf->data = grown;
    buf->capacity = capacity;
    return true;
}

static bool advance(pf_buf *buf, size_t bytes)
{
    buf->size += bytes;
    buf->data[buf->size] = 0;
    return true;
}

bool pf_buf_put(pf_buf *buf, const void *data, size_t bytes)
{
    if (!reserve(buf, bytes))
        return false;
    if (bytes)
        memcpy(buf->data + buf->size, data, bytes);
    return advance(buf, bytes);
}

uint8_t *pf_buf_add(pf_buf *buf, size_t bytes)
{
    if (!reserve(buf, bytes))
        return NULL;
    advance(buf, bytes);
    return buf->data + buf->size - bytes;
}

static bool put_little_endian(pf_buf *buf, uint64_t value, size_t bytes)
{
    uint8_t out[8];

    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
    return pf_buf_put(buf, out, bytes);
}

bool pf_buf_put_u8(pf_buf *buf, uint8_t value)
{
    return put_little_endian(buf, value, 1);
}

bool pf_buf_put_u16(pf_buf *buf, uint16_t value)
{
    return put_little_endian(buf, value, 2);
}

bool pf_buf_put_u32(pf_buf *buf, uint32_t value)
{
    return put_little_endian(buf, value, 4);
}

bool pf_buf_put_u64(pf_buf *buf, uint64_t value)
{
    return put_little_endian(buf, value, 8);
}

bool pf_buf_put_f64(pf_buf *buf, double value)
{
    uint64_t bits = 0;

    memcpy(&bits, &value, sizeof bits);
    return pf_buf_put_u64(buf, bits);
}

bool pf_buf_put_string(pf_buf *buf, const char *text)
{
    size_t length = strlen(text);

    if (length > UINT32_MAX)
        return fail(buf);
    return pf_buf_put_u32(buf, (uint32_t)length) && pf_buf_put(buf, text, length);
}

bool pf_buf_put_blob(pf_buf *buf, const void *data, size_t bytes)
{
    return pf_buf_put_u64(buf, bytes) && pf_buf_put(buf, data, bytes);
}

bool pf_buf_pad(pf_buf *buf, size_t alignment)
{
    size_t over = alignment ? buf->size % alignment : 0;
    size_t bytes = over ? alignment - over : 0;

    if (!reserve(buf, bytes))
        return false;
    memset(buf->data + buf->size, 0, bytes);
    return advance(buf, bytes);
}

bool pf_buf_printf(pf_buf *buf, const char *format, ...)
{
    va_list args;
    int     length = 0;

    va_start(args, format);
    length = pf_number_vprint(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        return fail(buf);
    if (!reserve(buf, (size_t)length))
        return false;
    va_start(args, format);
    pf_number_vprint((char *)buf->data + buf->size, (size_t)length + 1, format, args);
    va_end(args);
    return advance(buf, (size_t)length);
}

uint8_t *pf_buf_take(pf_buf *buf, size_t *bytes)
{
    uint8_t *data = NULL;

    *bytes = 0;
    if (pf_buf_put(buf, NULL, 0)) {     /* an empty buffer becomes an empty string, not NULL */
        data = buf->data;
        *bytes = buf->size;
        buf->data = NULL;
    }
    pf_buf_clear(buf);
    return data;
}

void pf_reader_init(pf_reader *reader, const void *data, size_t bytes)
{
    *reader = (pf_reader){.data = data, .size = bytes};
}

const uint8_t *pf_read_bytes(pf_reader *reader, size_t bytes)
{
    static const uint8_t nothing[1];
    const uint8_t       *out = nothing;

    if (reader->failed || bytes > reader->size - reader->at) {
        reader->failed = true;
        return NULL;
    }
    if (reader->data)
        out = reader->data + reader->at;
    reader->at += bytes;
    return out;
}

static uint64_t read_little_endian(pf_reader *reader, size_t bytes)
{
    const uint8_t *in = pf_read_bytes(reader, bytes);
    uint64_t       value = 0;

    for (size_t i = 0; in && i < bytes; i++)
        value |= (uint64_t)in[i] << (8 * i);
    return value;
}

uint8_t pf_read_u8(pf_reader *reader)
{
    return (uint8_t)read_little_endian(reader, 1);
}

uint16_t pf_read_u16(pf_reader *reader)
{
    return (uint16_t)read_little_endian(reader, 2);
}

uint32_t pf_read_u32(pf_reader *reader)
{
    return (uint32_t)read_little_endian(reader, 4);
}

uint64_t pf_read_u64(pf_reader *reader)
{
    return read_little_endian(reader, 8);
}

double pf_read_f64(pf_reader *reader)
{
    uint64_t bits = pf_read_u64(reader);
    double   value = 0;

    memcpy(&value, &bits, sizeof value);
    return value;
}

const uint8_t *pf_read_blob(pf_reader *reader, size_t *bytes)
{
    uint64_t       size = pf_read_u64(reader);
    const uint8_t *data = pf_read_bytes(reader, size);

    *bytes = data ? size : 0;
    return data;
}

bool pf_read_string(pf_reader *reader, char *out, size_t capacity)
{
    uint32_t       length = pf_read_u32(reader);
    const uint8_t *text = pf_read_bytes(reader, length);

    out[0] = 0;
    if (!text || length >= capacity || memchr(text, 0, length)) {
        reader->failed = true;
        return false;
    }
    memcpy(out, text, length);
    out[length] = 0;
    return true;
}

bool pf_reader_done(const pf_reader *reader)
{
    return !reader->failed && reader->at == reader->size;
}
