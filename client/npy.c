#include "client/npy.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "client/npy_header.h"
#include "client/npy_text.h"

#define DATA_LIMIT (UINT64_C(1) << 40)      /* bytes of one array */

enum { MAGIC_BYTES = 8, ALIGNMENT = 64 };

static const char MAGIC[] = "\x93NUMPY";

/* How elements of a type lie in a file.  Several rows for a type: the first one is written. */
static const struct form {
    const char *descr;      /* without the mark of byte order */
    pf_dtype    dtype;
    uint32_t    bytes;      /* of an element in the file */
} forms[] = {
    {"f4", PF_F32, 4},      {"f8", PF_F64, 8},          {"f2", PF_F16, 2},      {"i8", PF_I64, 8},
    {"i4", PF_I32, 4},      {"i2", PF_I16, 2},          {"i1", PF_I8, 1},       {"u8", PF_U64, 8},
    {"u4", PF_U32, 4},      {"u2", PF_U16, 2},          {"u1", PF_U8, 1},       {"b1", PF_BOOL, 1},
    {"c8", PF_C64, 8},      {"c16", PF_C128, 16},       {"V2", PF_BF16, 2},     {"?", PF_BOOL, 1},
    {"V1", PF_F8E4M3FN, 1}, {"V1", PF_F8E4M3FNUZ, 1},   {"V1", PF_F8E5M2, 1},   {"V1", PF_F8E5M2FNUZ, 1},
    {"V1", PF_F8E8M0, 1},   {"V1", PF_F4E2M1, 1},
    {"i1", PF_I4, 1},       {"i1", PF_I2, 1},           {"u1", PF_U4, 1},       {"u1", PF_U2, 1},
    {"V1", PF_I4, 1},       {"V1", PF_U4, 1},           {"V1", PF_I2, 1},       {"V1", PF_U2, 1},
};

enum { FORMS = sizeof forms / sizeof *forms };

bool pf_npy_is(const void *data, size_t bytes)
{
    return bytes >= 6 && memcmp(data, MAGIC, 6) == 0;
}

/* The row for what stands in the file: the wanted type when the file may mean it, else the first one. */
static const struct form *form_of(const char *descr, pf_dtype wanted)
{
    const struct form *first = NULL;

    for (int i = 0; i < FORMS; i++) {
        if (strcmp(forms[i].descr, descr) != 0)
            continue;
        if (forms[i].dtype == wanted)
            return &forms[i];
        if (!first)
            first = &forms[i];
    }
    return first;
}

static const struct form *form_to_write(pf_dtype dtype)
{
    for (int i = 0; i < FORMS; i++)
        if (forms[i].dtype == dtype)
            return &forms[i];
    return NULL;
}

/* ---- Reading */

/* Checks the marks before the type's letter, and finds the row. */
static pf_status find_form(const pf_npy_header *header, pf_dtype wanted, const struct form **out, pf_err *err)
{
    const char *descr = header->descr;
    char        order = '|';

    if (*descr && strchr("<>|=", *descr))
        order = *descr++;
    if (descr[0] == 'O')
        return PF_FAIL(err, PF_UNSUPPORTED, "it holds Python objects; save an array of numbers");
    *out = form_of(descr, wanted);
    if (!*out)
        return PF_FAIL(err, PF_UNSUPPORTED,
                       "its type \"%.40s\" is not known; save it as one of f2 f4 f8 i1-i8 u1-u8 b1 c8 c16",
                       header->descr);
    if (order == '>' && (*out)->bytes > 1)
        return PF_FAIL(err, PF_UNSUPPORTED, "it is big-endian (\"%.40s\"); save it with .astype('<%s')", header->descr,
                       descr);
    if (strcmp(descr, "V1") == 0 && (*out)->dtype != wanted)
        return PF_FAIL(err, PF_UNSUPPORTED,
                       "its type V1 may be any of one byte; it can be read only for an input of such a type");
    return PF_OK;
}

/* Position in a Fortran-ordered array of element i of the C-ordered one. */
static uint64_t fortran_index(const pf_tensor *tensor, uint64_t i)
{
    uint64_t at = 0, step[PF_MAX_RANK] = {0}, product = 1;

    for (int32_t d = 0; d < tensor->rank; d++) {
        step[d] = product;
        product *= (uint64_t)tensor->dim[d];
    }
    for (int32_t d = tensor->rank - 1; d >= 0; d--) {
        at += i % (uint64_t)tensor->dim[d] * step[d];
        i /= (uint64_t)tensor->dim[d];
    }
    return at;
}

/* Packs types of less than 8 bits; bytes of bool become 0 or 1. */
static void put_element(pf_tensor *out, uint64_t i, const uint8_t *from, uint32_t bytes)
{
    uint32_t bits = pf_dtype_bits(out->dtype);
    uint8_t *to = out->data;

    if (bits < 8)
        to[i * bits / 8] |= (uint8_t)((*from & ((1u << bits) - 1)) << (i * bits % 8));
    else if (out->dtype == PF_BOOL)
        to[i] = *from != 0;
    else
        memcpy(to + i * bytes, from, bytes);
}

static void put_elements(pf_tensor *out, const uint8_t *from, uint32_t bytes, bool fortran)
{
    uint64_t count = (uint64_t)pf_tensor_elems(out);

    if (!fortran && pf_dtype_bits(out->dtype) >= 8 && out->dtype != PF_BOOL) {
        if (out->bytes)
            memcpy(out->data, from, out->bytes);
        return;
    }
    for (uint64_t i = 0; i < count; i++)
        put_element(out, i, from + (fortran ? fortran_index(out, i) : i) * bytes, bytes);
}

static pf_status check_size(uint64_t have, uint64_t count, uint64_t bytes_each, pf_err *err)
{
    if (count > DATA_LIMIT / (bytes_each ? bytes_each : 1))
        return PF_FAIL(err, PF_INVALID, "its shape has %llu elements, more than any file holds",
                       (unsigned long long)count);
    if (have == count * bytes_each)
        return PF_OK;
    return PF_FAIL(err, PF_INVALID,
                   have < count * bytes_each ? "it was cut short: its data has %llu bytes and its shape needs %llu"
                                             : "it has bytes behind its array: %llu where its shape needs %llu",
                   (unsigned long long)have, (unsigned long long)(count * bytes_each));
}

pf_status pf_npy_parse(const void *data, size_t bytes, pf_dtype wanted, pf_tensor *out, pf_err *err)
{
    pf_npy_header      header = {0};
    const struct form *form = NULL;
    const uint8_t     *body = NULL;
    pf_status          status = pf_npy_header_parse(data, bytes, &header, err);

    memset(out, 0, sizeof *out);
    if (status)
        return status;
    body = (const uint8_t *)data + header.bytes;
    if (pf_npy_text_width(header.descr))
        return pf_npy_text_parse(&header, body, bytes - header.bytes, out, err);
    status = find_form(&header, wanted, &form, err);
    if (status)
        return status;
    out->dtype = form->dtype;
    out->rank = header.rank;
    memcpy(out->dim, header.dim, sizeof out->dim);
    status = pf_tensor_measure(out, err);
    if (!status)
        status = check_size(bytes - header.bytes, (uint64_t)pf_tensor_elems(out), form->bytes, err);
    if (!status)
        status = pf_tensor_alloc(out, err);
    if (!status)
        put_elements(out, body, form->bytes, header.fortran);
    return status;
}

/* ---- Writing */

static void put_header(const char *descr, const pf_tensor *tensor, pf_buf *out)
{
    char   text[512];
    size_t used = 0, pad = 0;

    used = (size_t)snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int32_t d = 0; d < tensor->rank; d++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%lld%s", d ? " " : "", (long long)tensor->dim[d],
                                 d + 1 < tensor->rank || tensor->rank == 1 ? "," : "");
    used += (size_t)snprintf(text + used, sizeof text - used, "), }");
    pad = ALIGNMENT - (MAGIC_BYTES + 2 + used + 1) % ALIGNMENT;
    pf_buf_put(out, MAGIC, 6);
    pf_buf_put_u8(out, 1);
    pf_buf_put_u8(out, 0);
    pf_buf_put_u16(out, (uint16_t)(used + pad + 1));
    pf_buf_put(out, text, used);
    for (size_t i = 0; i < pad; i++)
        pf_buf_put_u8(out, ' ');
    pf_buf_put_u8(out, '\n');
}

/* One byte an element; signed types with their sign. */
static void put_unpacked(const pf_tensor *tensor, pf_buf *out)
{
    uint32_t       bits = pf_dtype_bits(tensor->dtype);
    const uint8_t *from = tensor->data;
    bool           is_signed = pf_dtype_kind_of(tensor->dtype) == PF_KIND_INT;
    uint64_t       count = (uint64_t)pf_tensor_elems(tensor);

    for (uint64_t i = 0; i < count; i++) {
        uint8_t code = (uint8_t)(from[i * bits / 8] >> (i * bits % 8) & ((1u << bits) - 1));

        if (is_signed && code >> (bits - 1))
            code |= (uint8_t)(0xffu << bits);
        pf_buf_put_u8(out, code);
    }
}

pf_status pf_npy_print(const pf_tensor *tensor, pf_buf *out, pf_err *err)
{
    const struct form *form = form_to_write(tensor->dtype);
    char               descr[16] = "";

    if (tensor->rank < 0)
        return PF_FAIL(err, PF_UNSUPPORTED, "a sequence or optional has no .npy form");
    if (tensor->dtype == PF_STRING)
        return pf_npy_text_print(tensor, put_header, out, err);
    if (!form)
        return PF_FAIL(err, PF_UNSUPPORTED, "type %s has no .npy form", pf_dtype_name(tensor->dtype));
    snprintf(descr, sizeof descr, "%c%s", form->bytes > 1 ? '<' : '|', form->descr);
    put_header(descr, tensor, out);
    if (pf_dtype_bits(tensor->dtype) < 8)
        put_unpacked(tensor, out);
    else
        pf_buf_put(out, tensor->data, tensor->bytes);
    return out->failed ? PF_FAIL_MEMORY(err, tensor->bytes) : PF_OK;
}
