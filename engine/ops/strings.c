/* string_concat, string_split, string_normalizer, regex_full_match. */
#include <ctype.h>
#include <regex.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "engine/ops/broadcast.h"
#include "engine/ops/infer.h"
#include "engine/ops/regex.h"
#include "engine/ops/rows.h"

static const char *const cases[] = { "none", "lower", "upper", NULL };
static const pf_attr_field split_fields[] = {
    PF_ATTR_FIELD(pf_string_split_attrs, delimiter, STRING), PF_ATTR_FIELD(pf_string_split_attrs, maxsplit, INT),
    { NULL },
};
static const pf_attr_field normalizer_fields[] = {
    PF_ATTR_ENUM_FIELD(pf_string_normalizer_attrs, change_case, cases),
    PF_ATTR_FIELD(pf_string_normalizer_attrs, case_sensitive, INT), { NULL },
};
static const pf_attr_field regex_fields[] = { PF_ATTR_FIELD(pf_regex_attrs, pattern, STRING), { NULL } };

enum { STRING_LIMIT = 1 << 28 };

static pf_status need_strings(const pf_infer *infer, uint32_t slot, pf_err *err)
{
    pf_status st = pf_infer_rank(infer, slot, 0, PF_MAX_RANK, err);

    if (!st && pf_infer_in(infer, slot)->dtype != PF_STRING)
        st = PF_FAIL(err, PF_INVALID, "input %u is %s, not string", slot,
                     pf_dtype_name(pf_infer_in(infer, slot)->dtype));
    return st;
}

static const char *text_at(const pf_tensor *t, int64_t i)
{
    const char *text = ((char *const *)t->data)[i];

    return text ? text : "";
}

/* Puts a copy of bytes into element i. */
static pf_status put_text(pf_tensor *t, int64_t i, const char *text, size_t bytes, pf_err *err)
{
    char **at = &((char **)t->data)[i];

    pf_free(*at);
    *at = pf_strndup(text, bytes);
    return *at ? PF_OK : PF_FAIL_MEMORY(err, bytes);
}

static pf_status infer_concat(pf_infer *infer, pf_err *err)
{
    pf_status st = need_strings(infer, 0, err);
    pf_shape  out = { 0 };

    if (!st)
        st = need_strings(infer, 1, err);
    if (!st)
        st = pf_shape_broadcast(infer->graph->dims, &pf_infer_in(infer, 0)->shape, &pf_infer_in(infer, 1)->shape, &out,
                                err);
    pf_infer_set(infer, 0, PF_STRING, &out);
    return st;
}

static pf_status join(const char *a, const char *b, pf_tensor *y, int64_t i, pf_err *err)
{
    pf_buf    buf;
    pf_status st = PF_OK;

    pf_buf_init(&buf, STRING_LIMIT);
    pf_buf_put(&buf, a, strlen(a));
    pf_buf_put(&buf, b, strlen(b));
    st = buf.failed ? PF_FAIL_MEMORY(err, strlen(a) + strlen(b))
                    : put_text(y, i, buf.size ? (const char *)buf.data : "", buf.size, err);
    pf_buf_clear(&buf);
    return st;
}

static pf_status reference_concat(pf_reference_call *call, pf_err *err)
{
    pf_tensor       *y = &call->out[0];
    const pf_tensor *list[2] = { &call->in[0], &call->in[1] };
    pf_broadcast     walk = { 0 };
    int64_t          n = 0;
    pf_status        st = pf_broadcast_begin(&walk, y->rank, y->dim, list, 2, err);

    if (st || !pf_broadcast_any(&walk))
        return st;
    do {
        int32_t last = walk.rank - 1;

        for (int64_t i = 0; i < walk.dim[last] && !st; i++)
            st = join(text_at(list[0], walk.at[0] + i * walk.stride[0][last]),
                      text_at(list[1], walk.at[1] + i * walk.stride[1][last]), y, n++, err);
    } while (!st && pf_broadcast_next(&walk));
    return st;
}

static pf_status infer_split(pf_infer *infer, pf_err *err)
{
    pf_status st = need_strings(infer, 0, err);
    pf_shape  out = { 0 };

    if (!st)
        st = pf_infer_rank(infer, 0, 0, PF_MAX_RANK - 1, err);
    if (st)
        return st;
    out = pf_infer_in(infer, 0)->shape;
    pf_infer_set(infer, 1, PF_I64, &out);
    out.dim[out.rank++] = pf_dims_fresh(infer->graph->dims, "parts");
    pf_infer_set(infer, 0, PF_STRING, &out);
    return PF_OK;
}

/* The next part of *text, which moves behind it; NULL when there is none.  last: what remains is one part. */
static const char *next_part(const char **text, const char *delimiter, bool last, size_t *bytes)
{
    const char *begin = *text, *end = NULL;

    if (!begin)
        return NULL;
    if (!delimiter || !*delimiter) {
        begin += strspn(begin, " \t\n\r\v\f");
        *bytes = last ? strlen(begin) : strcspn(begin, " \t\n\r\v\f");
        while (last && *bytes && isspace((unsigned char)begin[*bytes - 1]))
            --*bytes;
        *text = begin + *bytes;
        return *bytes ? begin : NULL;
    }
    end = last ? NULL : strstr(begin, delimiter);
    *bytes = end ? (size_t)(end - begin) : strlen(begin);
    *text = end ? end + strlen(delimiter) : NULL;
    return begin;
}

/* Counts the parts of a text, and when `to` is given writes them there. */
static pf_status split_text(const pf_string_split_attrs *a, const char *text, pf_tensor *to, int64_t at, int64_t *count,
                            pf_err *err)
{
    const char *rest = *text ? text : NULL, *part = NULL;
    size_t      bytes = 0;
    pf_status   st = PF_OK;

    for (*count = 0; !st; ++*count) {
        part = next_part(&rest, a->delimiter, a->maxsplit > 0 && *count == a->maxsplit, &bytes);
        if (!part)
            break;
        if (to)
            st = put_text(to, at + *count, part, bytes, err);
    }
    return st;
}

static pf_status reference_split(pf_reference_call *call, pf_err *err)
{
    const pf_string_split_attrs *a = call->attrs;
    const pf_tensor             *x = &call->in[0];
    int64_t                      dim[PF_MAX_RANK] = { 0 }, most = 0, count = 0, elems = pf_tensor_elems(x);
    pf_status                    st = PF_OK;

    for (int64_t i = 0; i < elems && !st; i++) {
        st = split_text(a, text_at(x, i), NULL, 0, &count, err);
        most = count > most ? count : most;
    }
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank] = most;
    if (!st)
        st = pf_rows_size(&call->out[0], x->rank + 1, dim, err);
    for (int64_t i = 0; i < elems && !st; i++) {
        st = split_text(a, text_at(x, i), &call->out[0], i * most, &count, err);
        if (call->out_count > 1)
            ((int64_t *)call->out[1].data)[i] = count;
    }
    return st;
}

static pf_status infer_normalizer(pf_infer *infer, pf_err *err)
{
    const pf_value *x = pf_infer_in(infer, 0);
    pf_status       st = need_strings(infer, 0, err);
    pf_shape        out = { 0 };

    if (!st)
        st = pf_infer_rank(infer, 0, 1, 2, err);
    if (!st && pf_infer_in(infer, 1))
        st = need_strings(infer, 1, err);
    if (!st && x->shape.rank == 2)
        st = pf_infer_dims_agree(infer, x->shape.dim[0], 1, "the first dim", err);
    if (st)
        return st;
    out = x->shape;
    if (pf_infer_in(infer, 1))
        out.dim[out.rank - 1] = pf_dims_fresh(infer->graph->dims, "words");
    pf_infer_set(infer, 0, PF_STRING, &out);
    return PF_OK;
}

static bool is_stopword(const pf_tensor *words, const char *text, bool case_sensitive)
{
    for (int64_t i = 0; words && words->data && i < pf_tensor_elems(words); i++)
        if ((case_sensitive ? strcmp(text_at(words, i), text) : strcasecmp(text_at(words, i), text)) == 0)
            return true;
    return false;
}

/* ASCII letters; others stay as they are. */
static void change_case(char *text, int32_t how)
{
    for (; *text && how != PF_CASE_NONE; text++)
        if ((unsigned char)*text < 128)
            *text = (char)(how == PF_CASE_LOWER ? tolower(*text) : toupper(*text));
}

static pf_status reference_normalizer(pf_reference_call *call, pf_err *err)
{
    const pf_string_normalizer_attrs *a = call->attrs;
    const pf_tensor                  *x = &call->in[0], *stop = call->in_count > 1 ? &call->in[1] : NULL;
    int64_t                           count = pf_tensor_elems(x), kept = 0, dim[2] = { 1, 1 };
    pf_status                         st = PF_OK;

    for (int64_t i = 0; i < count; i++)
        kept += !is_stopword(stop, text_at(x, i), a->case_sensitive != 0);
    dim[x->rank - 1] = kept ? kept : 1;     /* nothing left: one empty string */
    st = pf_rows_size(&call->out[0], x->rank, dim, err);
    kept = 0;
    for (int64_t i = 0; i < count && !st; i++) {
        if (is_stopword(stop, text_at(x, i), a->case_sensitive != 0))
            continue;
        st = put_text(&call->out[0], kept, text_at(x, i), strlen(text_at(x, i)), err);
        if (!st)
            change_case(((char **)call->out[0].data)[kept++], a->change_case);
    }
    return st;
}

static pf_status infer_regex(pf_infer *infer, pf_err *err)
{
    const pf_regex_attrs *a = infer->node->attrs;
    pf_status             st = need_strings(infer, 0, err);

    if (!st && !a->pattern)
        st = PF_FAIL(err, PF_INVALID, "there is no pattern");
    if (st)
        return st;
    pf_infer_set(infer, 0, PF_BOOL, &pf_infer_in(infer, 0)->shape);
    return PF_OK;
}

static pf_status reference_regex(pf_reference_call *call, pf_err *err)
{
    const pf_regex_attrs *a = call->attrs;
    regex_t               regex;
    pf_status             st = pf_regex_compile(a->pattern, &regex, err);

    if (st)
        return st;
    for (int64_t i = 0, count = pf_tensor_elems(&call->in[0]); i < count; i++)
        ((uint8_t *)call->out[0].data)[i] = regexec(&regex, text_at(&call->in[0], i), 0, NULL, 0) == 0;
    regfree(&regex);
    return PF_OK;
}

const pf_op_def pf_op_string_concat = {
    .name = "string_concat", .klass = PF_CLASS_HOST, .in_min = 2, .in_max = 2, .out_min = 1, .out_max = 1,
    .infer = infer_concat, .reference = reference_concat,
};
const pf_op_def pf_op_string_split = {
    .name = "string_split", .klass = PF_CLASS_HOST, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 2,
    .attr_bytes = sizeof(pf_string_split_attrs), .attr_fields = split_fields, .infer = infer_split,
    .reference = reference_split,
};
const pf_op_def pf_op_string_normalizer = {
    .name = "string_normalizer", .klass = PF_CLASS_HOST, .in_min = 1, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_string_normalizer_attrs), .attr_fields = normalizer_fields, .infer = infer_normalizer,
    .reference = reference_normalizer,
};
const pf_op_def pf_op_regex_full_match = {
    .name = "regex_full_match", .klass = PF_CLASS_HOST, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_regex_attrs), .attr_fields = regex_fields, .infer = infer_regex,
    .reference = reference_regex,
};
