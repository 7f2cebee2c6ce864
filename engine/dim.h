/* Dimensions.  A pf_dim is a number, or a handle of an expression over symbols ("batch", "seq") that the graph's
   pf_dims holds.  Expressions are kept in one normal form (a sum of products of atoms with integer coefficients;
   atoms are symbols and floor-division, modulo, minimum and maximum of expressions), so two dims that are equal for
   every binding by polynomial arithmetic are the same handle, and == is the test. */
#ifndef PF_ENGINE_DIM_H
#define PF_ENGINE_DIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "engine/rank.h"

typedef int64_t pf_dim;

/* below: handles; above: plain numbers, negative ones too */
#define PF_DIM_SYMBOLIC_LIMIT (INT64_MIN + (INT64_C(1) << 32))
#define PF_DIM_INVALID        (PF_DIM_SYMBOLIC_LIMIT - 1)        /* overflow, division by zero, out of memory */

enum { PF_MAX_SYMBOLS = 512 };

/* Rank and dims of a tensor, or of each item of a sequence; rank -1 says that nothing is known, PF_RANK_NO_ITEMS that a
   sequence is empty, so that its shape agrees with any. Strides are implied by the value's layout. */
enum { PF_RANK_NO_ITEMS = -2 };
typedef struct pf_shape { int32_t rank; pf_dim dim[PF_MAX_RANK]; } pf_shape;

typedef struct pf_dims pf_dims;

pf_dims    *pf_dims_new(void);                                   /* NULL when out of memory */
void        pf_dims_free(pf_dims *dims);
/* The symbol of that name, made when new.  A symbol is a size: it is at least 1 unless pf_dims_bound says otherwise. */
pf_dim      pf_dims_symbol(pf_dims *dims, const char *name);
/* A new symbol named hint, hint_2, ...; at least 0: a size that data decides. */
pf_dim      pf_dims_fresh(pf_dims *dims, const char *hint);
/* Says that symbol `index` lies in [low, high]; min, max and ranges are simplified with it from then on. */
void        pf_dims_bound(pf_dims *dims, uint32_t index, int64_t low, int64_t high);
/* Says that dim is at least that wherever the network runs: a size that it hangs on alone, and grows with, has a bound
   by it. */
void        pf_dims_need(pf_dims *dims, pf_dim dim, int64_t least);
/* Whether memory has run out here since the table was made: then an invalid dim says nothing about the expression. */
bool        pf_dims_out_of_memory(const pf_dims *dims);
pf_dims    *pf_dims_copy(const pf_dims *dims);  /* handles mean the same in both; NULL when out of memory */
/* An inference that is repeated must not make new symbols: inside a scope pf_dims_fresh answers the scope's symbols
   again, in order, and notes there the ones it has to make.  enter answers the scope before, for leave.  A scope of
   zeros is empty; symbols is freed by its owner. */
typedef struct pf_dims_scope { uint32_t *symbols; uint32_t count, capacity, next; } pf_dims_scope;
pf_dims_scope *pf_dims_scope_enter(pf_dims *dims, pf_dims_scope *scope);
void        pf_dims_scope_leave(pf_dims *dims, pf_dims_scope *before);
uint32_t    pf_dims_symbol_count(const pf_dims *dims);
const char *pf_dims_symbol_name(const pf_dims *dims, uint32_t index);
uint32_t    pf_dims_symbol_index(const pf_dims *dims, const char *name);   /* UINT32_MAX when absent */

static inline bool pf_dim_is_symbolic(pf_dim dim) { return dim < PF_DIM_SYMBOLIC_LIMIT; }
static inline bool pf_dim_is_number(pf_dim dim) { return dim >= PF_DIM_SYMBOLIC_LIMIT; }

pf_dim pf_dim_add(pf_dims *dims, pf_dim a, pf_dim b);
pf_dim pf_dim_sub(pf_dims *dims, pf_dim a, pf_dim b);
pf_dim pf_dim_mul(pf_dims *dims, pf_dim a, pf_dim b);
/* Exact when b divides the polynomial a, for instance batch*seq*64 / (seq*16) = batch*4; otherwise an atom.  C's
   truncation is not meant: floor. */
pf_dim pf_dim_floor_div(pf_dims *dims, pf_dim a, pf_dim b);
pf_dim pf_dim_exact_div(pf_dims *dims, pf_dim a, pf_dim b);      /* INVALID when b is not known to divide a */
pf_dim pf_dim_ceil_div(pf_dims *dims, pf_dim a, pf_dim b);
pf_dim pf_dim_mod(pf_dims *dims, pf_dim a, pf_dim b);
pf_dim pf_dim_min(pf_dims *dims, pf_dim a, pf_dim b);
pf_dim pf_dim_max(pf_dims *dims, pf_dim a, pf_dim b);

/* Value under bindings (one number per symbol, in symbol order). INVALID on overflow, division by zero or an invalid
   dim. */
pf_status pf_dim_eval(const pf_dims *dims, pf_dim dim, const int64_t *bindings, int64_t *out, pf_err *err);
/* Learns from a dim whose value was seen: binds its symbol when one is unbound (INT64_MIN) and the dim is linear in it.
   Errors   MISMATCH: the dim has another value, or the symbol is below its bound; UNSUPPORTED: it cannot be solved with
            what is bound so far. */
pf_status pf_dim_bind(const pf_dims *dims, pf_dim dim, int64_t value, int64_t *bindings, pf_err *err);
/* Least and greatest value when symbol i lies in [low[i], high[i]], or with NULL in its own bounds; conservative. */
pf_status pf_dim_range(const pf_dims *dims, pf_dim dim, const int64_t *low, const int64_t *high, int64_t *least,
                       int64_t *greatest, pf_err *err);
/* What the nodes say of a symbol, by its index (a table of 512 positions that is used for all of a sequence bounds its
   length), or 1 and INT64_MAX. */
void      pf_dims_symbol_range(pf_dims *dims, uint32_t symbol, int64_t *least, int64_t *greatest);
/* "3*batch*seq + 1", "floor(h/2)", "mod(a,b)", "min(a,b)", "max(a,b)"; what parse accepts. */
void      pf_dim_print(const pf_dims *dims, pf_dim dim, pf_buf *out);
pf_status pf_dim_parse(pf_dims *dims, const char *text, pf_dim *out, pf_err *err);
/* Reads the expression at *text and moves *text behind it. */
pf_status pf_dim_parse_prefix(pf_dims *dims, const char **text, pf_dim *out, pf_err *err);
/* Whether the symbol of that index occurs in dim. */
bool      pf_dim_uses(const pf_dims *dims, pf_dim dim, uint32_t symbol);
/* dim with value in the place of a symbol. */
pf_dim    pf_dim_substitute(pf_dims *dims, pf_dim dim, uint32_t symbol, pf_dim value);
/* The same expression in another table; symbols by name. */
pf_dim    pf_dim_translate(const pf_dims *from, pf_dim dim, pf_dims *to);

bool      pf_shape_equal(const pf_shape *a, const pf_shape *b);
bool      pf_shape_is_static(const pf_shape *shape);             /* rank known and every dim a number */
pf_dim    pf_shape_elems(pf_dims *dims, const pf_shape *shape);  /* product */
/* ONNX multidirectional broadcasting. A symbol against a number n > 1 takes n; two different expressions take one of
   them: they have to be equal when the network runs, and what runs it checks that. */
pf_status pf_shape_broadcast(pf_dims *dims, const pf_shape *a, const pf_shape *b, pf_shape *out, pf_err *err);
void      pf_shape_print(const pf_dims *dims, const pf_shape *shape, pf_buf *out);   /* "[batch,3,224,224]", "[?]" */
pf_status pf_shape_parse(pf_dims *dims, const char *text, pf_shape *out, pf_err *err);
pf_status pf_shape_parse_prefix(pf_dims *dims, const char **text, pf_shape *out, pf_err *err);

#endif
