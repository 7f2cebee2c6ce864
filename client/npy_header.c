#include "client/npy_header.h"

#include <stdio.h>
#include <string.h>

#include "client/npy.h"

enum { SHORT_HEADER = 10, LONG_HEADER = 12, TEXT_LIMIT = 1 << 20 };

typedef struct text { const char *at, *end; } text;

static void skip_space(text *in)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\n' || *in->at == '\t' || *in->at == '\r'))
        in->at++;
}

static bool take(text *in, char wanted)
{
    skip_space(in);
    if (in->at == in->end || *in->at != wanted)
        return false;
    in->at++;
    return true;
}

static bool take_word(text *in, const char *word)
{
    size_t length = strlen(word);

    skip_space(in);
    if ((size_t)(in->end - in->at) < length || memcmp(in->at, word, length) != 0)
        return false;
    in->at += length;
    return true;
}

/* 'text' or "text", without escapes: none are needed in these headers. */
static bool take_string(text *in, char *out, size_t capacity)
{
    char        quote = 0;
    const char *start = NULL;

    skip_space(in);
    if (in->at == in->end || (*in->at != '\'' && *in->at != '"'))
        return false;
    quote = *in->at++;
    start = in->at;
    while (in->at < in->end && *in->at != quote && *in->at != '\\' && *in->at)
        in->at++;
    if (in->at == in->end || *in->at != quote || (size_t)(in->at - start) >= capacity)
        return false;
    snprintf(out, capacity, "%.*s", (int)(in->at - start), start);
    in->at++;
    return true;
}

/* Digits, with the L that Python 2 put behind them. */
static bool take_number(text *in, int64_t *out)
{
    bool any = false;

    skip_space(in);
    *out = 0;
    for (; in->at < in->end && *in->at >= '0' && *in->at <= '9'; in->at++) {
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, *in->at - '0', out))
            return false;
        any = true;
    }
    if (any && in->at < in->end && *in->at == 'L')
        in->at++;
    return any;
}

static pf_status take_shape(text *in, pf_npy_header *out, pf_err *err)
{
    if (!take(in, '('))
        return PF_FAIL(err, PF_INVALID, "its header has a shape that is no tuple");
    while (!take(in, ')')) {
        int64_t dim = 0;

        if (!take_number(in, &dim))
            return PF_FAIL(err, PF_INVALID, "its header has a malformed shape");
        if (out->rank == PF_MAX_RANK)
            return PF_FAIL(err, PF_UNSUPPORTED, "it has more than %d dims", PF_MAX_RANK);
        out->dim[out->rank++] = dim;
        if (!take(in, ',') && (in->at == in->end || *in->at != ')'))
            return PF_FAIL(err, PF_INVALID, "its header has a malformed shape");
    }
    return PF_OK;
}

static pf_status take_descr(text *in, pf_npy_header *out, pf_err *err)
{
    if (take_string(in, out->descr, sizeof out->descr))
        return PF_OK;
    if (take(in, '['))
        return PF_FAIL(err, PF_UNSUPPORTED, "it holds records; save one field as an array of its own");
    return PF_FAIL(err, PF_INVALID, "its header has a malformed type");
}

static pf_status take_order(text *in, pf_npy_header *out, pf_err *err)
{
    out->fortran = take_word(in, "True");
    if (out->fortran || take_word(in, "False"))
        return PF_OK;
    return PF_FAIL(err, PF_INVALID, "its header has a malformed fortran_order");
}

static const struct {
    const char *key;
    pf_status (*take)(text *in, pf_npy_header *out, pf_err *err);
} entries[] = {{"descr", take_descr}, {"fortran_order", take_order}, {"shape", take_shape}};

enum { ENTRIES = sizeof entries / sizeof *entries };

/* One "key: value"; found gets its bit. */
static pf_status take_entry(text *in, pf_npy_header *out, unsigned *found, pf_err *err)
{
    char key[32] = "";
    int  i = 0;

    if (!take_string(in, key, sizeof key) || !take(in, ':'))
        return PF_FAIL(err, PF_INVALID, "its header is no dictionary of names");
    while (i < ENTRIES && strcmp(entries[i].key, key) != 0)
        i++;
    if (i == ENTRIES || *found >> i & 1)
        return PF_FAIL(err, PF_INVALID, "its header has the key \"%s\" %s", key,
                       i == ENTRIES ? "which no array has" : "twice");
    *found |= 1u << i;
    return entries[i].take(in, out, err);
}

static pf_status parse_dictionary(text in, pf_npy_header *out, pf_err *err)
{
    unsigned  found = 0;
    pf_status status = take(&in, '{') ? PF_OK : PF_FAIL(err, PF_INVALID, "its header is no dictionary");

    while (!status && !take(&in, '}')) {
        status = take_entry(&in, out, &found, err);
        if (!status && !take(&in, ',') && (in.at == in.end || *in.at != '}'))
            status = PF_FAIL(err, PF_INVALID, "its header is malformed");
    }
    skip_space(&in);
    if (!status && (in.at != in.end || found != (1u << ENTRIES) - 1))
        status = PF_FAIL(err, PF_INVALID, "its header lacks a key or goes on behind its dictionary");
    return status;
}

pf_status pf_npy_header_parse(const void *data, size_t bytes, pf_npy_header *out, pf_err *err)
{
    const uint8_t *at = data;
    size_t         start = 0, length = 0;

    *out = (pf_npy_header){.rank = 0};
    if (!pf_npy_is(data, bytes))
        return PF_FAIL(err, PF_INVALID, "it is not a .npy file");
    if (bytes < LONG_HEADER)
        return PF_FAIL(err, PF_INVALID, "it was cut short at %zu bytes", bytes);
    if (at[6] < 1 || at[6] > 3)
        return PF_FAIL(err, PF_UNSUPPORTED, "it has .npy format %u.%u; 1.0, 2.0 and 3.0 are known", at[6], at[7]);
    start = at[6] == 1 ? SHORT_HEADER : LONG_HEADER;
    length = (size_t)at[8] | (size_t)at[9] << 8;
    if (at[6] > 1)
        length |= (size_t)at[10] << 16 | (size_t)at[11] << 24;
    if (length > TEXT_LIMIT || length > bytes - start)
        return PF_FAIL(err, PF_INVALID, "it was cut short: its header has %zu bytes, the file %zu", length, bytes);
    out->bytes = start + length;
    return parse_dictionary((text){(const char *)at + start, (const char *)at + out->bytes}, out, err);
}
