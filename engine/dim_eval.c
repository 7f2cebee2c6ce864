/* Values of dims, and dims in other tables. */
#include <string.h>

#include "base/alloc.h"
#include "engine/dim_private.h"

static pf_status eval_dim(const pf_dims *dims, pf_dim dim, const int64_t *bindings, int64_t *out, pf_err *err);

static pf_status eval_floor(int64_t a, int64_t b, int64_t *out, pf_err *err)
{
    if (b == 0)
        return PF_FAIL(err, PF_INVALID, "a dim divides by zero");
    if (b == -1)
        return __builtin_sub_overflow(0, a, out) ? PF_FAIL(err, PF_INVALID, "a dim overflows 63 bits") : PF_OK;
    *out = a / b - (a % b && (a < 0) != (b < 0));
    return PF_OK;
}

static pf_status eval_symbol(const pf_dims *dims, uint32_t symbol, const int64_t *bindings, int64_t *out, pf_err *err)
{
    if (!bindings || bindings[symbol] == INT64_MIN)
        return PF_FAIL(err, PF_INVALID, "the dim \"%s\" has no value yet", dims->symbols[symbol].name);
    *out = bindings[symbol];
    return PF_OK;
}

static pf_status eval_atom(const pf_dims *dims, uint32_t index, const int64_t *bindings, int64_t *out, pf_err *err)
{
    const dim_atom *atom = &dims->atoms[index];
    int64_t         a = 0, b = 0;
    pf_status       st = PF_OK;

    if (atom->kind == ATOM_SYMBOL)
        return eval_symbol(dims, atom->symbol, bindings, out, err);
    st = eval_dim(dims, atom->a, bindings, &a, err);
    if (!st)
        st = eval_dim(dims, atom->b, bindings, &b, err);
    if (st)
        return st;
    if (atom->kind == ATOM_FLOOR)
        return eval_floor(a, b, out, err);
    *out = (a < b) == (atom->kind == ATOM_MIN) ? a : b;
    return PF_OK;
}

static pf_status eval_term(const pf_dims *dims, const dim_term *term, const int64_t *bindings, int64_t *out,
                           pf_err *err)
{
    const dim_monomial *monomial = &dims->monomials[term->monomial];
    int64_t             product = term->coefficient;

    for (uint32_t i = 0; i < monomial->count; i++) {
        const dim_factor *factor = &dims->factors[monomial->first + i];
        int64_t           value = 0;
        pf_status         st = eval_atom(dims, factor->atom, bindings, &value, err);

        if (st)
            return st;
        for (uint32_t p = 0; p < factor->power; p++)
            if (__builtin_mul_overflow(product, value, &product))
                return PF_FAIL(err, PF_INVALID, "a dim overflows 63 bits");
    }
    *out = product;
    return PF_OK;
}

static pf_status eval_dim(const pf_dims *dims, pf_dim dim, const int64_t *bindings, int64_t *out, pf_err *err)
{
    int64_t sum = 0;

    if (pf_dim_is_number(dim)) {
        *out = dim;
        return PF_OK;
    }
    if (!dim_is_poly(dims, dim))
        return PF_FAIL(err, PF_INVALID, "a dim is invalid: its expression overflowed or divided by zero");
    const dim_poly *poly = &dims->polys[dim_index(dim)];
    for (uint32_t i = 0; i < poly->count; i++) {
        int64_t   value = 0;
        pf_status st = eval_term(dims, &dims->terms[poly->first + i], bindings, &value, err);

        if (st)
            return st;
        if (__builtin_add_overflow(sum, value, &sum))
            return PF_FAIL(err, PF_INVALID, "a dim overflows 63 bits");
    }
    *out = sum;
    return PF_OK;
}

pf_status pf_dim_eval(const pf_dims *dims, pf_dim dim, const int64_t *bindings, int64_t *out, pf_err *err)
{
    *out = 0;
    return eval_dim(dims, dim, bindings, out, err);
}

/* The symbol of a term that is a number times one unbound symbol, else UINT32_MAX. */
static uint32_t unbound_symbol(const pf_dims *dims, const dim_term *term, const int64_t *bindings)
{
    const dim_monomial *monomial = &dims->monomials[term->monomial];
    const dim_atom     *atom = NULL;

    if (monomial->degree != 1)
        return UINT32_MAX;
    atom = &dims->atoms[dims->factors[monomial->first].atom];
    return atom->kind == ATOM_SYMBOL && bindings[atom->symbol] == INT64_MIN ? atom->symbol : UINT32_MAX;
}

/* value = coefficient * symbol + rest, with rest bound. */
static pf_status solve(const pf_dims *dims, const dim_poly *poly, int64_t value, int64_t *bindings, pf_err *err)
{
    uint32_t symbol = UINT32_MAX;
    int64_t  coefficient = 0, rest = value, part = 0;

    for (uint32_t i = 0; i < poly->count; i++) {
        const dim_term *term = &dims->terms[poly->first + i];
        uint32_t        found = symbol == UINT32_MAX ? unbound_symbol(dims, term, bindings) : UINT32_MAX;

        if (found != UINT32_MAX) {
            symbol = found;
            coefficient = term->coefficient;
        } else if (eval_term(dims, term, bindings, &part, NULL) || __builtin_sub_overflow(rest, part, &rest))
            return PF_FAIL(err, PF_UNSUPPORTED, "a dim has more than one unknown");
    }
    if (symbol == UINT32_MAX)
        return PF_FAIL(err, PF_UNSUPPORTED, "a dim is not linear in what is unknown");
    if (coefficient == -1 ? rest == INT64_MIN : rest % coefficient != 0)
        return PF_FAIL(err, PF_MISMATCH, "%lld is not a size that the expression can have", (long long)value);
    rest /= coefficient;
    if (rest < dims->symbols[symbol].low || rest > dims->symbols[symbol].high)
        return PF_FAIL(err, PF_MISMATCH, "\"%s\" would be %lld, and it may be %lld to %lld", dims->symbols[symbol].name,
                       (long long)rest, (long long)dims->symbols[symbol].low, (long long)dims->symbols[symbol].high);
    bindings[symbol] = rest;
    return PF_OK;
}

pf_status pf_dim_bind(const pf_dims *dims, pf_dim dim, int64_t value, int64_t *bindings, pf_err *err)
{
    int64_t have = 0;

    if (!eval_dim(dims, dim, bindings, &have, NULL)) {
        if (have == value)
            return PF_OK;
        return PF_FAIL(err, PF_MISMATCH, "it is %lld where %lld is needed", (long long)value, (long long)have);
    }
    if (!dim_is_poly(dims, dim))
        return PF_FAIL(err, PF_MISMATCH, "the dim is invalid");
    return solve(dims, &dims->polys[dim_index(dim)], value, bindings, err);
}

/* How an expression is built again: in another table, or in the same one with a value for a symbol. */
typedef struct rebuilding { const pf_dims *from; pf_dims *to; uint32_t symbol; pf_dim value; } rebuilding;

static pf_dim rebuild(const rebuilding *r, pf_dim dim);

static pf_dim rebuild_symbol(const rebuilding *r, uint32_t index)
{
    const dim_symbol *symbol = &r->from->symbols[index];
    bool              is_new = pf_dims_symbol_index(r->to, symbol->name) == UINT32_MAX;
    pf_dim            out = index == r->symbol ? r->value : pf_dims_symbol(r->to, symbol->name);

    if (is_new && out != PF_DIM_INVALID)
        pf_dims_bound(r->to, pf_dims_symbol_count(r->to) - 1, symbol->low, symbol->high);
    return out;
}

static pf_dim rebuild_atom(const rebuilding *r, uint32_t index)
{
    dim_atom atom = r->from->atoms[index];      /* a copy: the table may grow */
    pf_dim   a = 0, b = 0;

    if (atom.kind == ATOM_SYMBOL)
        return rebuild_symbol(r, atom.symbol);
    a = rebuild(r, atom.a);
    b = rebuild(r, atom.b);
    return atom.kind == ATOM_FLOOR ? pf_dim_floor_div(r->to, a, b)
           : atom.kind == ATOM_MIN ? pf_dim_min(r->to, a, b)
                                   : pf_dim_max(r->to, a, b);
}

static pf_dim rebuild(const rebuilding *r, pf_dim dim)
{
    dim_work work;
    pf_dim   sum = 0;

    if (pf_dim_is_number(dim))
        return dim;
    dim_work_load(r->from, dim, &work);
    if (work.bad)
        return PF_DIM_INVALID;
    for (uint32_t i = 0; i < work.count; i++) {
        dim_monomial monomial = r->from->monomials[work.at[i].monomial];
        pf_dim       product = work.at[i].coefficient;

        for (uint32_t f = 0; f < monomial.count; f++) {
            dim_factor factor = r->from->factors[monomial.first + f];
            pf_dim     value = rebuild_atom(r, factor.atom);

            for (uint32_t p = 0; p < factor.power; p++)
                product = pf_dim_mul(r->to, product, value);
        }
        sum = pf_dim_add(r->to, sum, product);
    }
    return sum;
}

pf_dim pf_dim_translate(const pf_dims *from, pf_dim dim, pf_dims *to)
{
    rebuilding r = { from, to, UINT32_MAX, 0 };

    return from == to ? dim : rebuild(&r, dim);
}

static bool atom_uses(const pf_dims *dims, uint32_t index, uint32_t symbol)
{
    const dim_atom *atom = &dims->atoms[index];

    if (atom->kind == ATOM_SYMBOL)
        return atom->symbol == symbol;
    return pf_dim_uses(dims, atom->a, symbol) || pf_dim_uses(dims, atom->b, symbol);
}

bool pf_dim_uses(const pf_dims *dims, pf_dim dim, uint32_t symbol)
{
    const dim_poly *poly = dim_is_poly(dims, dim) ? &dims->polys[dim_index(dim)] : NULL;

    for (uint32_t i = 0; poly && i < poly->count; i++) {
        const dim_monomial *monomial = &dims->monomials[dims->terms[poly->first + i].monomial];

        for (uint32_t f = 0; f < monomial->count; f++)
            if (atom_uses(dims, dims->factors[monomial->first + f].atom, symbol))
                return true;
    }
    return false;
}

pf_dim pf_dim_substitute(pf_dims *dims, pf_dim dim, uint32_t symbol, pf_dim value)
{
    rebuilding r = { dims, dims, symbol, value };

    return pf_dim_uses(dims, dim, symbol) ? rebuild(&r, dim) : dim;
}

/* A copy of count items, which may be none. False when out of memory. */
static bool copy_array(const void *from, size_t count, size_t item_bytes, void *out, uint32_t *capacity)
{
    void **to = out;

    *to = pf_alloc((count ? count : 1) * item_bytes);
    if (!*to)
        return false;
    if (count)
        memcpy(*to, from, count * item_bytes);
    *capacity = (uint32_t)(count ? count : 1);
    return true;
}

static bool copy_intern(const dim_intern *from, dim_intern *to)
{
    uint32_t unused = 0;

    to->count = from->count;
    to->slot_count = from->slot_count;
    return copy_array(from->slots, from->slot_count, sizeof *from->slots, &to->slots, &unused) &&
           copy_array(from->hashes, from->count, sizeof *from->hashes, &to->hashes, &to->hash_capacity);
}

static bool copy_tables(const pf_dims *from, pf_dims *to)
{
    to->factor_count = from->factor_count;
    to->term_count = from->term_count;
    return copy_array(from->atoms, from->atom_table.count, sizeof *from->atoms, &to->atoms, &to->atom_capacity) &&
           copy_array(from->factors, from->factor_count, sizeof *from->factors, &to->factors, &to->factor_capacity) &&
           copy_array(from->monomials, from->monomial_table.count, sizeof *from->monomials, &to->monomials,
                      &to->monomial_capacity) &&
           copy_array(from->terms, from->term_count, sizeof *from->terms, &to->terms, &to->term_capacity) &&
           copy_array(from->polys, from->poly_table.count, sizeof *from->polys, &to->polys, &to->poly_capacity) &&
           copy_intern(&from->atom_table, &to->atom_table) && copy_intern(&from->monomial_table, &to->monomial_table) &&
           copy_intern(&from->poly_table, &to->poly_table);
}

static bool copy_symbols(const pf_dims *from, pf_dims *to)
{
    if (!copy_array(from->symbols, from->symbol_count, sizeof *from->symbols, &to->symbols, &to->symbol_capacity))
        return false;
    for (uint32_t i = 0; i < from->symbol_count; i++) {
        to->symbols[i].name = pf_strdup(from->symbols[i].name);
        to->symbol_count = i + 1;
        if (!to->symbols[i].name || !pf_map_set(to->names, to->symbols[i].name, i))
            return false;
    }
    return true;
}

pf_dims *pf_dims_copy(const pf_dims *dims)
{
    pf_dims *copy = pf_calloc(1, sizeof *copy);

    if (!copy)
        return NULL;
    copy->names = pf_map_new();
    if (copy->names && copy_tables(dims, copy) && copy_symbols(dims, copy))
        return copy;
    pf_dims_free(copy);
    return NULL;
}
