/* How pf_dims holds expressions; shared by dim*.c alone.
   Atoms, monomials and polynomials are interned: equal ones have one index, found again by a hash.
   1. A monomial is a product of atoms with powers, factors sorted by atom; index 0 is the empty product, 1.
   2. A polynomial is a sum of at least one term other than a plain number; terms are sorted by monomial, greatest first
      (graded lexicographic order), coefficients are not 0.  Its handle is INT64_MIN + its index.
   3. The operands of an atom were interned before it, so atoms only name atoms of lower index.
   Remainders have no atom: mod(a, b) is a - b*floor(a/b). */
#ifndef PF_ENGINE_DIM_PRIVATE_H
#define PF_ENGINE_DIM_PRIVATE_H

#include "base/map.h"
#include "engine/dim.h"

enum {
    DIM_TERM_LIMIT = 64,        /* terms of one expression */
    DIM_FACTOR_LIMIT = 16,      /* atoms in one product */
    /* nodes of an expression written out as a tree: bounds the time of printing and evaluating */
    DIM_WEIGHT_LIMIT = 4096,
    DIM_NAME_LIMIT = 256,
};

typedef enum atom_kind { ATOM_SYMBOL, ATOM_FLOOR, ATOM_MIN, ATOM_MAX } atom_kind;

typedef struct dim_atom {
    atom_kind kind;
    uint32_t  symbol;           /* SYMBOL: index */
    pf_dim    a, b;             /* operands of the others */
    uint32_t  weight;
} dim_atom;

typedef struct dim_symbol { char *name; uint32_t atom; pf_dim handle; int64_t low, high; } dim_symbol;
typedef struct dim_factor { uint32_t atom, power; } dim_factor;
typedef struct dim_monomial { uint32_t first, count, degree, weight; } dim_monomial;    /* in factors[] */
typedef struct dim_term { int64_t coefficient; uint32_t monomial; } dim_term;
typedef struct dim_poly { uint32_t first, count, weight; } dim_poly;                    /* in terms[] */

/* Open addressing over item indices; hashes are kept to grow without the items. */
typedef struct dim_intern {
    uint32_t *slots;
    uint32_t  slot_count;
    uint64_t *hashes;
    uint32_t  hash_capacity, count;
} dim_intern;

struct pf_dims {
    dim_atom     *atoms;     uint32_t atom_capacity;       dim_intern atom_table;
    dim_factor   *factors;   uint32_t factor_count, factor_capacity;
    dim_monomial *monomials; uint32_t monomial_capacity;   dim_intern monomial_table;
    dim_term     *terms;     uint32_t term_count, term_capacity;
    dim_poly     *polys;     uint32_t poly_capacity;       dim_intern poly_table;
    dim_symbol   *symbols;   uint32_t symbol_count, symbol_capacity;
    pf_map       *names;
    pf_dims_scope *scope;
    bool          out_of_memory;
};

/* An expression being worked on. */
typedef struct dim_work { uint32_t count; bool bad; dim_term at[DIM_TERM_LIMIT]; } dim_work;

void   dim_work_load(const pf_dims *dims, pf_dim dim, dim_work *out);
pf_dim dim_work_store(pf_dims *dims, const dim_work *work);
void   dim_work_add(const pf_dims *dims, const dim_work *a, const dim_work *b, dim_work *out);
/* out = factor * a; out may not be a. */
void   dim_work_scale(pf_dims *dims, const dim_work *a, dim_term factor, dim_work *out);
/* The atom as a polynomial; PF_DIM_INVALID when it grows too large. */
pf_dim dim_intern_atom(pf_dims *dims, atom_kind kind, pf_dim a, pf_dim b);
/* Monomial of these sorted factors; UINT32_MAX when out of memory or too large. */
uint32_t dim_intern_monomial(pf_dims *dims, const dim_factor *factors, uint32_t count);
/* a / b when b divides a, else UINT32_MAX. */
uint32_t dim_monomial_divide(pf_dims *dims, uint32_t a, uint32_t b);
int    dim_monomial_compare(const pf_dims *dims, uint32_t a, uint32_t b);
uint32_t dim_weight(const pf_dims *dims, pf_dim dim);
/* Bounds of dim under the symbols' own bounds. False when the dim is invalid. */
bool   dim_own_range(const pf_dims *dims, pf_dim dim, int64_t *least, int64_t *greatest);

static inline uint32_t dim_index(pf_dim dim) { return (uint32_t)(dim - INT64_MIN); }
static inline bool dim_is_poly(const pf_dims *dims, pf_dim dim)
{
    return pf_dim_is_symbolic(dim) && dim != PF_DIM_INVALID && dim_index(dim) < dims->poly_table.count;
}

#endif
