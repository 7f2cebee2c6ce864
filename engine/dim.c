#include "engine/dim_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* FNV-1a, 64 bits. */
static uint64_t hash_bytes(const void *data, size_t bytes, uint64_t hash)
{
    const uint8_t *byte = data;

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static const uint64_t hash_start = UINT64_C(0xcbf29ce484222325);

/* True when item `index` equals what is looked for. */
typedef bool same_fn(const pf_dims *dims, uint32_t index, const void *wanted);

static uint32_t intern_find(const pf_dims *dims, const dim_intern *table, uint64_t hash, same_fn *same,
                            const void *wanted)
{
    if (!table->slot_count)
        return UINT32_MAX;
    for (uint32_t at = (uint32_t)hash & (table->slot_count - 1); table->slots[at] != UINT32_MAX;
         at = (at + 1) & (table->slot_count - 1))
        if (table->hashes[table->slots[at]] == hash && same(dims, table->slots[at], wanted))
            return table->slots[at];
    return UINT32_MAX;
}

static void intern_place(dim_intern *table, uint32_t index)
{
    uint32_t at = (uint32_t)table->hashes[index] & (table->slot_count - 1);

    while (table->slots[at] != UINT32_MAX)
        at = (at + 1) & (table->slot_count - 1);
    table->slots[at] = index;
}

static bool intern_grow(dim_intern *table)
{
    uint32_t  slot_count = table->slot_count ? table->slot_count * 2 : 64;
    uint32_t *slots = pf_alloc(slot_count * sizeof *slots);

    if (!slots)
        return false;
    memset(slots, 0xff, slot_count * sizeof *slots);
    pf_free(table->slots);
    table->slots = slots;
    table->slot_count = slot_count;
    for (uint32_t i = 0; i < table->count; i++)
        intern_place(table, i);
    return true;
}

/* pf_grow that remembers its failure. */
static bool grow(pf_dims *dims, void *items, uint32_t *capacity, uint32_t need, size_t item_bytes)
{
    bool grown = !pf_grow((void **)items, capacity, need, item_bytes);

    dims->out_of_memory |= !grown;
    return grown;
}

/* Notes that the next item has that hash. False when out of memory; nothing has changed then. */
static bool intern_add(pf_dims *dims, dim_intern *table, uint64_t hash)
{
    if (table->count >= table->slot_count / 2 && !intern_grow(table)) {
        dims->out_of_memory = true;
        return false;
    }
    if (!grow(dims, &table->hashes, &table->hash_capacity, table->count + 1, sizeof *table->hashes))
        return false;
    table->hashes[table->count] = hash;
    intern_place(table, table->count++);
    return true;
}

typedef struct factor_list { const dim_factor *at; uint32_t count; } factor_list;

static bool same_monomial(const pf_dims *dims, uint32_t index, const void *wanted)
{
    const dim_monomial *have = &dims->monomials[index];
    const factor_list  *list = wanted;

    if (have->count != list->count)
        return false;
    return list->count == 0 || !memcmp(dims->factors + have->first, list->at, list->count * sizeof *list->at);
}

static dim_monomial measure_monomial(const pf_dims *dims, const dim_factor *factors, uint32_t count)
{
    dim_monomial out = { dims->factor_count, count, 0, 1 };

    for (uint32_t i = 0; i < count; i++) {
        out.degree += factors[i].power;
        out.weight += dims->atoms[factors[i].atom].weight;
    }
    return out;
}

uint32_t dim_intern_monomial(pf_dims *dims, const dim_factor *factors, uint32_t count)
{
    factor_list  list = { factors, count };
    uint64_t     hash = hash_bytes(factors, count * sizeof *factors, hash_start);
    uint32_t     found = intern_find(dims, &dims->monomial_table, hash, same_monomial, &list);
    dim_monomial made = { 0 };

    if (found != UINT32_MAX)
        return found;
    made = measure_monomial(dims, factors, count);
    if (made.degree > 64 || made.weight > DIM_WEIGHT_LIMIT ||
        !grow(dims, &dims->factors, &dims->factor_capacity, dims->factor_count + count, sizeof *dims->factors) ||
        !grow(dims, &dims->monomials, &dims->monomial_capacity, dims->monomial_table.count + 1,
              sizeof *dims->monomials) ||
        !intern_add(dims, &dims->monomial_table, hash))
        return UINT32_MAX;
    if (count)
        memcpy(dims->factors + dims->factor_count, factors, count * sizeof *factors);
    dims->factor_count += count;
    dims->monomials[dims->monomial_table.count - 1] = made;
    return dims->monomial_table.count - 1;
}

int dim_monomial_compare(const pf_dims *dims, uint32_t a, uint32_t b)
{
    const dim_monomial *x = &dims->monomials[a], *y = &dims->monomials[b];

    if (a == b)
        return 0;
    if (x->degree != y->degree)
        return x->degree > y->degree ? 1 : -1;
    for (uint32_t i = 0; i < x->count && i < y->count; i++) {
        const dim_factor *f = &dims->factors[x->first + i], *g = &dims->factors[y->first + i];

        if (f->atom != g->atom)
            return f->atom < g->atom ? 1 : -1;
        if (f->power != g->power)
            return f->power > g->power ? 1 : -1;
    }
    return x->count > y->count ? 1 : -1;
}

static uint32_t monomial_multiply(pf_dims *dims, uint32_t a, uint32_t b)
{
    const dim_monomial *x = &dims->monomials[a], *y = &dims->monomials[b];
    dim_factor          product[2 * DIM_FACTOR_LIMIT];
    uint32_t            i = 0, j = 0, count = 0;

    while (i < x->count || j < y->count) {
        const dim_factor *f = i < x->count ? &dims->factors[x->first + i] : NULL;
        const dim_factor *g = j < y->count ? &dims->factors[y->first + j] : NULL;

        if (f && g && f->atom == g->atom) {
            product[count++] = (dim_factor){ f->atom, f->power + g->power };
            i++, j++;
        } else if (f && (!g || f->atom < g->atom)) {
            product[count++] = *f;
            i++;
        } else {
            product[count++] = *g;
            j++;
        }
    }
    return count > DIM_FACTOR_LIMIT ? UINT32_MAX : dim_intern_monomial(dims, product, count);
}

uint32_t dim_monomial_divide(pf_dims *dims, uint32_t a, uint32_t b)
{
    const dim_monomial *x = &dims->monomials[a], *y = &dims->monomials[b];
    dim_factor          quotient[DIM_FACTOR_LIMIT];
    uint32_t            j = 0, count = 0;

    for (uint32_t i = 0; i < x->count; i++) {
        dim_factor factor = dims->factors[x->first + i];

        if (j < y->count && dims->factors[y->first + j].atom == factor.atom) {
            if (dims->factors[y->first + j].power > factor.power)
                return UINT32_MAX;
            factor.power -= dims->factors[y->first + j++].power;
        }
        if (factor.power)
            quotient[count++] = factor;
    }
    return j < y->count ? UINT32_MAX : dim_intern_monomial(dims, quotient, count);
}

static bool same_poly(const pf_dims *dims, uint32_t index, const void *wanted)
{
    const dim_poly *have = &dims->polys[index];
    const dim_work *work = wanted;

    if (have->count != work->count)
        return false;
    for (uint32_t i = 0; i < work->count; i++) {
        const dim_term *term = &dims->terms[have->first + i];

        if (term->coefficient != work->at[i].coefficient || term->monomial != work->at[i].monomial)
            return false;
    }
    return true;
}

void dim_work_load(const pf_dims *dims, pf_dim dim, dim_work *out)
{
    out->count = 0;
    out->bad = false;
    if (pf_dim_is_number(dim)) {
        if (dim)
            out->at[out->count++] = (dim_term){ dim, 0 };
        return;
    }
    if (!dim_is_poly(dims, dim)) {
        out->bad = true;
        return;
    }
    const dim_poly *poly = &dims->polys[dim_index(dim)];
    out->count = poly->count;
    memcpy(out->at, dims->terms + poly->first, poly->count * sizeof *out->at);
}

static pf_dim intern_poly(pf_dims *dims, const dim_work *work)
{
    uint64_t hash = hash_start;
    uint32_t found = 0, index = dims->poly_table.count;
    dim_poly made = { dims->term_count, work->count, 0 };

    for (uint32_t i = 0; i < work->count; i++) {
        hash = hash_bytes(&work->at[i].coefficient, sizeof work->at[i].coefficient, hash);
        hash = hash_bytes(&work->at[i].monomial, sizeof work->at[i].monomial, hash);
        made.weight += dims->monomials[work->at[i].monomial].weight;
    }
    found = intern_find(dims, &dims->poly_table, hash, same_poly, work);
    if (found != UINT32_MAX)
        return INT64_MIN + (pf_dim)found;
    if (made.weight > DIM_WEIGHT_LIMIT ||
        !grow(dims, &dims->terms, &dims->term_capacity, dims->term_count + work->count, sizeof *dims->terms) ||
        !grow(dims, &dims->polys, &dims->poly_capacity, index + 1, sizeof *dims->polys) ||
        !intern_add(dims, &dims->poly_table, hash))
        return PF_DIM_INVALID;
    memcpy(dims->terms + dims->term_count, work->at, work->count * sizeof *work->at);
    dims->term_count += work->count;
    dims->polys[index] = made;
    return INT64_MIN + (pf_dim)index;
}

pf_dim dim_work_store(pf_dims *dims, const dim_work *work)
{
    if (work->bad)
        return PF_DIM_INVALID;
    if (work->count == 0)
        return 0;
    if (work->count == 1 && work->at[0].monomial == 0)
        return pf_dim_is_number(work->at[0].coefficient) ? work->at[0].coefficient : PF_DIM_INVALID;
    return intern_poly(dims, work);
}

static void work_push(dim_work *out, dim_term term)
{
    if (term.coefficient == 0)
        return;
    if (out->count == DIM_TERM_LIMIT)
        out->bad = true;
    else
        out->at[out->count++] = term;
}

void dim_work_add(const pf_dims *dims, const dim_work *a, const dim_work *b, dim_work *out)
{
    uint32_t i = 0, j = 0;

    out->count = 0;
    out->bad = a->bad || b->bad;
    while (!out->bad && (i < a->count || j < b->count)) {
        int order = i == a->count   ? -1
                    : j == b->count ? 1
                                    : dim_monomial_compare(dims, a->at[i].monomial, b->at[j].monomial);
        dim_term term = order >= 0 ? a->at[i] : b->at[j];

        if (order == 0 && __builtin_add_overflow(a->at[i].coefficient, b->at[j].coefficient, &term.coefficient))
            out->bad = true;
        i += order >= 0;
        j += order <= 0;
        work_push(out, term);
    }
}

void dim_work_scale(pf_dims *dims, const dim_work *a, dim_term factor, dim_work *out)
{
    out->count = 0;
    out->bad = a->bad;
    for (uint32_t i = 0; i < a->count && !out->bad; i++) {
        dim_term term = { 0, monomial_multiply(dims, a->at[i].monomial, factor.monomial) };

        if (term.monomial == UINT32_MAX ||
            __builtin_mul_overflow(a->at[i].coefficient, factor.coefficient, &term.coefficient))
            out->bad = true;
        else
            work_push(out, term);        /* the order of monomials is kept by multiplication */
    }
}

uint32_t dim_weight(const pf_dims *dims, pf_dim dim)
{
    return dim_is_poly(dims, dim) ? dims->polys[dim_index(dim)].weight : 1;
}

static bool same_atom(const pf_dims *dims, uint32_t index, const void *wanted)
{
    const dim_atom *have = &dims->atoms[index], *want = wanted;

    return have->kind == want->kind && have->symbol == want->symbol && have->a == want->a && have->b == want->b;
}

/* Index of an atom, found or made; UINT32_MAX when out of memory or too large. */
static uint32_t atom_index(pf_dims *dims, const dim_atom *wanted)
{
    uint64_t key[4] = { wanted->kind, wanted->symbol, (uint64_t)wanted->a, (uint64_t)wanted->b };
    uint64_t hash = hash_bytes(key, sizeof key, hash_start);
    uint32_t found = intern_find(dims, &dims->atom_table, hash, same_atom, wanted);

    if (found != UINT32_MAX)
        return found;
    if (wanted->weight > DIM_WEIGHT_LIMIT ||
        !grow(dims, &dims->atoms, &dims->atom_capacity, dims->atom_table.count + 1, sizeof *dims->atoms) ||
        !intern_add(dims, &dims->atom_table, hash))
        return UINT32_MAX;
    dims->atoms[dims->atom_table.count - 1] = *wanted;
    return dims->atom_table.count - 1;
}

static pf_dim atom_handle(pf_dims *dims, const dim_atom *wanted)
{
    dim_factor factor = { atom_index(dims, wanted), 1 };
    dim_work   work = { 0 };

    if (factor.atom == UINT32_MAX)
        return PF_DIM_INVALID;
    work.count = 1;
    work.at[0] = (dim_term){ 1, dim_intern_monomial(dims, &factor, 1) };
    return work.at[0].monomial == UINT32_MAX ? PF_DIM_INVALID : dim_work_store(dims, &work);
}

pf_dim dim_intern_atom(pf_dims *dims, atom_kind kind, pf_dim a, pf_dim b)
{
    dim_atom atom = { .kind = kind, .a = a, .b = b, .weight = 1 + dim_weight(dims, a) + dim_weight(dims, b) };

    return a == PF_DIM_INVALID || b == PF_DIM_INVALID ? PF_DIM_INVALID : atom_handle(dims, &atom);
}

pf_dims *pf_dims_new(void)
{
    pf_dims *dims = pf_calloc(1, sizeof *dims);

    if (!dims)
        return NULL;
    dims->names = pf_map_new();
    if (!dims->names || dim_intern_monomial(dims, NULL, 0) != 0) {
        pf_dims_free(dims);
        return NULL;
    }
    return dims;
}

static void intern_clear(dim_intern *table)
{
    pf_free(table->slots);
    pf_free(table->hashes);
}

void pf_dims_free(pf_dims *dims)
{
    if (!dims)
        return;
    for (uint32_t i = 0; i < dims->symbol_count; i++)
        pf_free(dims->symbols[i].name);
    intern_clear(&dims->atom_table);
    intern_clear(&dims->monomial_table);
    intern_clear(&dims->poly_table);
    pf_free(dims->atoms);
    pf_free(dims->factors);
    pf_free(dims->monomials);
    pf_free(dims->terms);
    pf_free(dims->polys);
    pf_free(dims->symbols);
    pf_map_free(dims->names);
    pf_free(dims);
}

static pf_dim add_symbol(pf_dims *dims, const char *name, int64_t low)
{
    dim_atom    atom = { .kind = ATOM_SYMBOL, .symbol = dims->symbol_count, .weight = 1 };
    dim_symbol *symbol = NULL;

    if (dims->symbol_count == PF_MAX_SYMBOLS || strlen(name) >= DIM_NAME_LIMIT ||
        !grow(dims, &dims->symbols, &dims->symbol_capacity, dims->symbol_count + 1, sizeof *dims->symbols))
        return PF_DIM_INVALID;
    symbol = &dims->symbols[dims->symbol_count];
    *symbol = (dim_symbol){ .name = pf_strdup(name), .handle = atom_handle(dims, &atom), .low = low,
                            .high = INT64_MAX };
    if (!symbol->name || symbol->handle == PF_DIM_INVALID || !pf_map_set(dims->names, name, dims->symbol_count)) {
        dims->out_of_memory = true;
        pf_free(symbol->name);
        return PF_DIM_INVALID;
    }
    dims->symbol_count++;
    return symbol->handle;
}

pf_dim pf_dims_symbol(pf_dims *dims, const char *name)
{
    uint32_t index = pf_dims_symbol_index(dims, name);

    return index != UINT32_MAX ? dims->symbols[index].handle : add_symbol(dims, name, 1);
}

static pf_dim add_fresh(pf_dims *dims, const char *hint)
{
    char name[DIM_NAME_LIMIT] = "";

    snprintf(name, sizeof name, "%.200s", hint);
    for (uint32_t i = 2; pf_dims_symbol_index(dims, name) != UINT32_MAX; i++)
        snprintf(name, sizeof name, "%.200s_%u", hint, i);
    return add_symbol(dims, name, 0);
}

pf_dim pf_dims_fresh(pf_dims *dims, const char *hint)
{
    pf_dims_scope *scope = dims->scope;
    pf_dim         made = 0;

    if (!scope)
        return add_fresh(dims, hint);
    if (scope->next < scope->count)
        return dims->symbols[scope->symbols[scope->next++]].handle;
    if (!grow(dims, &scope->symbols, &scope->capacity, scope->count + 1, sizeof *scope->symbols))
        return PF_DIM_INVALID;
    made = add_fresh(dims, hint);
    if (made != PF_DIM_INVALID) {
        scope->symbols[scope->count++] = dims->symbol_count - 1;
        scope->next = scope->count;
    }
    return made;
}

pf_dims_scope *pf_dims_scope_enter(pf_dims *dims, pf_dims_scope *scope)
{
    pf_dims_scope *before = dims->scope;

    dims->scope = scope;
    scope->next = 0;
    return before;
}

void pf_dims_scope_leave(pf_dims *dims, pf_dims_scope *before) { dims->scope = before; }

void pf_dims_bound(pf_dims *dims, uint32_t index, int64_t low, int64_t high)
{
    if (index >= dims->symbol_count)
        return;
    dims->symbols[index].low = low;
    dims->symbols[index].high = high;
}

bool pf_dims_out_of_memory(const pf_dims *dims) { return dims->out_of_memory; }
uint32_t pf_dims_symbol_count(const pf_dims *dims) { return dims->symbol_count; }

const char *pf_dims_symbol_name(const pf_dims *dims, uint32_t index)
{
    return index < dims->symbol_count ? dims->symbols[index].name : NULL;
}

uint32_t pf_dims_symbol_index(const pf_dims *dims, const char *name)
{
    uint64_t index = 0;

    return pf_map_get(dims->names, name, &index) ? (uint32_t)index : UINT32_MAX;
}

pf_dim pf_dim_add(pf_dims *dims, pf_dim a, pf_dim b)
{
    dim_work x, y, sum;

    dim_work_load(dims, a, &x);
    dim_work_load(dims, b, &y);
    dim_work_add(dims, &x, &y, &sum);
    return dim_work_store(dims, &sum);
}

pf_dim pf_dim_mul(pf_dims *dims, pf_dim a, pf_dim b)
{
    dim_work x, y, product, sum = { 0 }, next;

    dim_work_load(dims, a, &x);
    dim_work_load(dims, b, &y);
    sum.bad = x.bad || y.bad;
    for (uint32_t i = 0; i < x.count && !sum.bad; i++) {
        dim_work_scale(dims, &y, x.at[i], &product);
        dim_work_add(dims, &sum, &product, &next);
        sum = next;
    }
    return dim_work_store(dims, &sum);
}

pf_dim pf_dim_sub(pf_dims *dims, pf_dim a, pf_dim b) { return pf_dim_add(dims, a, pf_dim_mul(dims, b, -1)); }
