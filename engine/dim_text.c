/* Dims and shapes as text. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/dim_private.h"

enum { TEXT_LIMIT_BYTES = 1 << 20, PARSE_DEPTH_LIMIT = 64 };

static bool is_plain_name(const char *name)
{
    if (!isalpha((unsigned char)name[0]) && name[0] != '_')
        return false;
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '.')
            return false;
    return true;
}

/* Names that are no identifiers stand in single quotes. */
static void print_name(const char *name, pf_buf *out)
{
    if (is_plain_name(name)) {
        pf_buf_printf(out, "%s", name);
        return;
    }
    pf_buf_put_u8(out, '\'');
    for (const char *c = name; *c; c++) {
        if (*c == '\'' || *c == '\\')
            pf_buf_put_u8(out, '\\');
        pf_buf_put_u8(out, (uint8_t)*c);
    }
    pf_buf_put_u8(out, '\'');
}

/* One part of a sum or of a product, for sorting by what people read: independent of the order in which symbols were
   made. Of equal degree, what is subtracted comes last. */
typedef struct part { char *text; uint32_t degree; int64_t coefficient; uint32_t power; } part;

static int compare_parts(const void *a, const void *b)
{
    const part *x = a, *y = b;

    if (x->degree != y->degree)
        return x->degree > y->degree ? -1 : 1;
    if ((x->coefficient < 0) != (y->coefficient < 0))
        return x->coefficient < 0 ? 1 : -1;
    return strcmp(x->text ? x->text : "", y->text ? y->text : "");
}

static char *take_text(pf_buf *buf)
{
    size_t bytes = 0;

    pf_buf_put_u8(buf, 0);
    return (char *)pf_buf_take(buf, &bytes);
}

static void free_parts(part *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        pf_free(parts[i].text);
    pf_free(parts);
}

static bool is_single_factor(const pf_dims *dims, pf_dim dim)
{
    if (pf_dim_is_number(dim))
        return dim >= 0;
    if (!dim_is_poly(dims, dim) || dims->polys[dim_index(dim)].count != 1)
        return false;
    const dim_term *term = &dims->terms[dims->polys[dim_index(dim)].first];
    return term->coefficient == 1 && dims->monomials[term->monomial].degree == 1;
}

static void print_operand(const pf_dims *dims, pf_dim dim, pf_buf *out)
{
    bool bare = is_single_factor(dims, dim);

    if (!bare)
        pf_buf_put_u8(out, '(');
    pf_dim_print(dims, dim, out);
    if (!bare)
        pf_buf_put_u8(out, ')');
}

static void print_atom(const pf_dims *dims, uint32_t index, pf_buf *out)
{
    const dim_atom *atom = &dims->atoms[index];
    pf_buf          side[2];
    char           *text[2] = { NULL, NULL };
    int             first = 0;

    if (atom->kind == ATOM_SYMBOL) {
        print_name(dims->symbols[atom->symbol].name, out);
        return;
    }
    if (atom->kind == ATOM_FLOOR) {
        pf_buf_printf(out, "floor(");
        print_operand(dims, atom->a, out);
        pf_buf_put_u8(out, '/');
        print_operand(dims, atom->b, out);
        pf_buf_put_u8(out, ')');
        return;
    }
    for (int i = 0; i < 2; i++) {
        pf_buf_init(&side[i], TEXT_LIMIT_BYTES);
        pf_dim_print(dims, i ? atom->b : atom->a, &side[i]);
        text[i] = take_text(&side[i]);
    }
    first = text[0] && text[1] && strcmp(text[0], text[1]) > 0;
    pf_buf_printf(out, "%s(%s,%s)", atom->kind == ATOM_MIN ? "min" : "max", text[first] ? text[first] : "",
                  text[!first] ? text[!first] : "");
    pf_free(text[0]);
    pf_free(text[1]);
}

/* The atoms of a monomial joined by '*', powers written out. NULL when out of memory. */
static char *monomial_text(const pf_dims *dims, uint32_t index)
{
    const dim_monomial *monomial = &dims->monomials[index];
    part               *parts = pf_calloc(monomial->count ? monomial->count : 1, sizeof *parts);
    pf_buf              buf;

    if (!parts)
        return NULL;
    for (uint32_t i = 0; i < monomial->count; i++) {
        pf_buf_init(&buf, TEXT_LIMIT_BYTES);
        print_atom(dims, dims->factors[monomial->first + i].atom, &buf);
        parts[i].text = take_text(&buf);
        parts[i].power = dims->factors[monomial->first + i].power;
    }
    qsort(parts, monomial->count, sizeof *parts, compare_parts);
    pf_buf_init(&buf, TEXT_LIMIT_BYTES);
    for (uint32_t i = 0; i < monomial->count; i++)
        for (uint32_t p = 0; p < parts[i].power; p++)
            pf_buf_printf(&buf, "%s%s", i || p ? "*" : "", parts[i].text ? parts[i].text : "");
    free_parts(parts, monomial->count);
    return take_text(&buf);
}

static void print_part(const part *term, bool first, pf_buf *out)
{
    uint64_t magnitude = term->coefficient < 0 ? -(uint64_t)term->coefficient : (uint64_t)term->coefficient;
    bool     negative = term->coefficient < 0;

    pf_buf_printf(out, "%s", first ? (negative ? "-" : "") : negative ? " - " : " + ");
    if (term->degree == 0)
        pf_buf_printf(out, "%llu", (unsigned long long)magnitude);
    else if (magnitude == 1)
        pf_buf_printf(out, "%s", term->text ? term->text : "");
    else
        pf_buf_printf(out, "%llu*%s", (unsigned long long)magnitude, term->text ? term->text : "");
}

void pf_dim_print(const pf_dims *dims, pf_dim dim, pf_buf *out)
{
    part *parts = NULL;

    if (pf_dim_is_number(dim)) {
        pf_buf_printf(out, "%lld", (long long)dim);
        return;
    }
    if (!dim_is_poly(dims, dim)) {
        pf_buf_printf(out, "invalid");
        return;
    }
    const dim_poly *poly = &dims->polys[dim_index(dim)];
    parts = pf_calloc(poly->count, sizeof *parts);
    if (!parts) {
        out->failed = true;
        return;
    }
    for (uint32_t i = 0; i < poly->count; i++) {
        const dim_term *term = &dims->terms[poly->first + i];

        parts[i] = (part){ monomial_text(dims, term->monomial), dims->monomials[term->monomial].degree,
                           term->coefficient, 1 };
    }
    qsort(parts, poly->count, sizeof *parts, compare_parts);
    for (uint32_t i = 0; i < poly->count; i++)
        print_part(&parts[i], i == 0, out);
    free_parts(parts, poly->count);
}

typedef struct parser { pf_dims *dims; const char *at; int depth; } parser;

static pf_status parse_sum(parser *p, pf_dim *out, pf_err *err);

static void skip_space(parser *p)
{
    while (*p->at == ' ')
        p->at++;
}

static pf_status expect(parser *p, char wanted, pf_err *err)
{
    skip_space(p);
    if (*p->at != wanted)
        return PF_FAIL(err, PF_INVALID, "a dim expression needs '%c' before \"%.20s\"", wanted, p->at);
    p->at++;
    return PF_OK;
}

static pf_status parse_number(parser *p, pf_dim *out, pf_err *err)
{
    int64_t value = 0;

    for (; isdigit((unsigned char)*p->at); p->at++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *p->at - '0', &value))
            return PF_FAIL(err, PF_INVALID, "a number in a dim overflows 63 bits");
    *out = value;
    return PF_OK;
}

static pf_status read_name(parser *p, char name[DIM_NAME_LIMIT], pf_err *err)
{
    bool   quoted = *p->at == '\'';
    size_t length = 0;

    p->at += quoted;
    while (quoted ? *p->at && *p->at != '\'' : isalnum((unsigned char)*p->at) || *p->at == '_' || *p->at == '.') {
        if (quoted && *p->at == '\\' && p->at[1])
            p->at++;
        if (length + 1 >= DIM_NAME_LIMIT)
            return PF_FAIL(err, PF_INVALID, "the name of a dim is longer than %d bytes", DIM_NAME_LIMIT - 1);
        name[length++] = *p->at++;
    }
    name[length] = 0;
    if (quoted && *p->at != '\'')
        return PF_FAIL(err, PF_INVALID, "the quoted name of a dim has no end");
    p->at += quoted;
    if (!length)
        return PF_FAIL(err, PF_INVALID, "a dim expression cannot begin with \"%.20s\"", p->at);
    return PF_OK;
}

typedef pf_dim binary_fn(pf_dims *dims, pf_dim a, pf_dim b);
static const struct { const char *name; char separator; binary_fn *make; } functions[] = {
    { "floor", '/', pf_dim_floor_div }, { "ceil", '/', pf_dim_ceil_div }, { "mod", ',', pf_dim_mod },
    { "min", ',', pf_dim_min },         { "max", ',', pf_dim_max },
};

static pf_status parse_call(parser *p, char separator, binary_fn *make, pf_dim *out, pf_err *err)
{
    pf_dim    a = 0, b = 0;
    pf_status st = expect(p, '(', err);

    if (!st)
        st = parse_sum(p, &a, err);
    if (!st)
        st = expect(p, separator, err);
    if (!st)
        st = parse_sum(p, &b, err);
    if (!st)
        st = expect(p, ')', err);
    if (!st)
        *out = make(p->dims, a, b);
    return st;
}

static pf_status parse_named(parser *p, pf_dim *out, pf_err *err)
{
    char      name[DIM_NAME_LIMIT];
    pf_status st = read_name(p, name, err);

    if (st)
        return st;
    for (size_t i = 0; *p->at == '(' && i < sizeof functions / sizeof functions[0]; i++)
        if (!strcmp(name, functions[i].name))
            return parse_call(p, functions[i].separator, functions[i].make, out, err);
    *out = pf_dims_symbol(p->dims, name);
    if (*out == PF_DIM_INVALID && !pf_dims_out_of_memory(p->dims))
        return PF_FAIL(err, PF_INVALID, "the symbol \"%s\" cannot be added: there are %d already", name,
                       PF_MAX_SYMBOLS);
    return PF_OK;
}

static pf_status parse_factor(parser *p, pf_dim *out, pf_err *err)
{
    pf_status st = PF_OK;

    skip_space(p);
    if (*p->at == '(') {
        p->at++;
        st = parse_sum(p, out, err);
        return st ? st : expect(p, ')', err);
    }
    return isdigit((unsigned char)*p->at) ? parse_number(p, out, err) : parse_named(p, out, err);
}

static pf_status parse_product(parser *p, pf_dim *out, pf_err *err)
{
    bool      negative = false;
    pf_dim    factor = 0;
    pf_status st = PF_OK;

    skip_space(p);
    while (*p->at == '-') {
        negative = !negative;
        p->at++;
        skip_space(p);
    }
    st = parse_factor(p, out, err);
    for (skip_space(p); !st && *p->at == '*'; skip_space(p)) {
        p->at++;
        st = parse_factor(p, &factor, err);
        if (!st)
            *out = pf_dim_mul(p->dims, *out, factor);
    }
    if (!st && negative)
        *out = pf_dim_mul(p->dims, *out, -1);
    return st;
}

static pf_status parse_sum(parser *p, pf_dim *out, pf_err *err)
{
    pf_dim    term = 0;
    pf_status st = PF_OK;

    if (++p->depth > PARSE_DEPTH_LIMIT)
        return PF_FAIL(err, PF_INVALID, "a dim expression is nested deeper than %d", PARSE_DEPTH_LIMIT);
    st = parse_product(p, out, err);
    for (skip_space(p); !st && (*p->at == '+' || *p->at == '-'); skip_space(p)) {
        bool minus = *p->at++ == '-';

        st = parse_product(p, &term, err);
        if (!st)
            *out = minus ? pf_dim_sub(p->dims, *out, term) : pf_dim_add(p->dims, *out, term);
    }
    p->depth--;
    if (!st && *out == PF_DIM_INVALID && pf_dims_out_of_memory(p->dims))
        return PF_FAIL_MEMORY(err, sizeof *p->dims);
    if (!st && *out == PF_DIM_INVALID)
        return PF_FAIL(err, PF_INVALID, "a dim expression overflows or divides by zero");
    return st;
}

pf_status pf_dim_parse_prefix(pf_dims *dims, const char **text, pf_dim *out, pf_err *err)
{
    parser    p = { dims, *text, 0 };
    pf_status st = PF_OK;

    *out = PF_DIM_INVALID;
    st = parse_sum(&p, out, err);
    if (st)
        *out = PF_DIM_INVALID;
    else
        *text = p.at;
    return st;
}

pf_status pf_dim_parse(pf_dims *dims, const char *text, pf_dim *out, pf_err *err)
{
    const char *at = text;
    pf_status   st = pf_dim_parse_prefix(dims, &at, out, err);

    if (st)
        return pf_err_add(err, st, "dim \"%.100s\"", text);
    if (*at) {
        *out = PF_DIM_INVALID;
        return PF_FAIL(err, PF_INVALID, "the dim \"%.100s\" has more behind its end: \"%.20s\"", text, at);
    }
    return PF_OK;
}

void pf_shape_print(const pf_dims *dims, const pf_shape *shape, pf_buf *out)
{
    if (shape->rank < 0) {
        pf_buf_printf(out, "[?]");
        return;
    }
    pf_buf_put_u8(out, '[');
    for (int32_t i = 0; i < shape->rank; i++) {
        if (i)
            pf_buf_put_u8(out, ',');
        pf_dim_print(dims, shape->dim[i], out);
    }
    pf_buf_put_u8(out, ']');
}

static pf_status parse_shape_dims(pf_dims *dims, const char **at, pf_shape *out, pf_err *err)
{
    while (**at == ' ')
        (*at)++;
    while (**at != ']') {
        pf_status st = PF_OK;

        if (out->rank == PF_MAX_RANK)
            return PF_FAIL(err, PF_INVALID, "a shape has more than %d dims", PF_MAX_RANK);
        st = pf_dim_parse_prefix(dims, at, &out->dim[out->rank], err);
        if (st)
            return st;
        out->rank++;
        if (**at == ',')
            (*at)++;
        else if (**at != ']')
            return PF_FAIL(err, PF_INVALID, "a shape needs ',' or ']' before \"%.20s\"", *at);
    }
    (*at)++;
    return PF_OK;
}

pf_status pf_shape_parse_prefix(pf_dims *dims, const char **text, pf_shape *out, pf_err *err)
{
    const char *at = *text;
    pf_status   st = PF_OK;

    memset(out, 0, sizeof *out);
    if (*at != '[')
        return PF_FAIL(err, PF_INVALID, "a shape begins with '[', not with \"%.20s\"", at);
    if (!strncmp(at, "[?]", 3)) {
        out->rank = -1;
        at += 3;
    } else {
        at++;
        st = parse_shape_dims(dims, &at, out, err);
    }
    if (!st)
        *text = at;
    return st;
}

pf_status pf_shape_parse(pf_dims *dims, const char *text, pf_shape *out, pf_err *err)
{
    const char *at = text;
    pf_status   st = pf_shape_parse_prefix(dims, &at, out, err);

    if (!st && *at)
        st = PF_FAIL(err, PF_INVALID, "the shape \"%.100s\" has more behind its end", text);
    return st;
}
