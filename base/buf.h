/* A growing byte buffer with a limit, and little-endian fields written to it and read from memory.
   Failure is sticky: after the first one every call does nothing, and is asked for once at the end. */
#ifndef PF_BASE_BUF_H
#define PF_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pf_buf {         /* open: read fields freely, change them only through the functions */
    uint8_t *data;              /* owned; always followed by a zero byte once something was written */
    size_t   size, capacity;
    size_t   limit;             /* most bytes it may hold */
    bool     failed;            /* out of memory or over the limit */
} pf_buf;

void  pf_buf_init(pf_buf *buf, size_t limit_bytes);
void  pf_buf_clear(pf_buf *buf);                       /* frees; the buffer may be used again */
void  pf_buf_reset(pf_buf *buf);                       /* size 0, memory and limit kept, failure forgotten */
bool  pf_buf_put(pf_buf *buf, const void *data, size_t bytes);     /* false when failed */
uint8_t *pf_buf_add(pf_buf *buf, size_t bytes);  /* so many more bytes, which the caller fills in; NULL when failed */
bool  pf_buf_put_u8(pf_buf *buf, uint8_t value);
bool  pf_buf_put_u16(pf_buf *buf, uint16_t value);
bool  pf_buf_put_u32(pf_buf *buf, uint32_t value);
bool  pf_buf_put_u64(pf_buf *buf, uint64_t value);
bool  pf_buf_put_f64(pf_buf *buf, double value);
bool  pf_buf_put_string(pf_buf *buf, const char *text);            /* u32 length, bytes */
bool  pf_buf_put_blob(pf_buf *buf, const void *data, size_t bytes);/* u64 length, bytes */
bool  pf_buf_pad(pf_buf *buf, size_t alignment);                   /* zero bytes up to a multiple */
bool  pf_buf_printf(pf_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Takes the bytes out; the buffer is empty afterwards.  NULL when failed.  Freed by pf_free. */
uint8_t *pf_buf_take(pf_buf *buf, size_t *bytes);

/* Reads fields from borrowed memory. A read past the end gives zeros and sets failed. */
typedef struct pf_reader { const uint8_t *data; size_t size, at; bool failed; } pf_reader;

void           pf_reader_init(pf_reader *reader, const void *data, size_t bytes);
uint8_t        pf_read_u8(pf_reader *reader);
uint16_t       pf_read_u16(pf_reader *reader);
uint32_t       pf_read_u32(pf_reader *reader);
uint64_t       pf_read_u64(pf_reader *reader);
double         pf_read_f64(pf_reader *reader);
const uint8_t *pf_read_bytes(pf_reader *reader, size_t bytes);     /* borrowed from data; NULL when failed */
const uint8_t *pf_read_blob(pf_reader *reader, size_t *bytes);
/* Copies a string of at most capacity - 1 bytes, zero-terminated; longer, or with a zero byte inside, fails. */
bool           pf_read_string(pf_reader *reader, char *out, size_t capacity);
bool           pf_reader_done(const pf_reader *reader);            /* all read and nothing failed */

#endif
