/* Greatest elements of a line.  Elements are compared by keys: integers that are in the elements' order, NaN above all,
   and equal where the elements are. */
#ifndef PF_KERNELS_CPU_ORDER_H
#define PF_KERNELS_CPU_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/cpu_isa.h"

typedef enum pf_order_type { PF_ORDER_F32, PF_ORDER_I32, PF_ORDER_I64 } pf_order_type;

enum { PF_ORDER_STRIP = 64 };   /* columns that pf_order_best_columns takes at once */

/* Keys of count elements that are step elements apart; smallest: in the opposite order. */
void    pf_order_keys(pf_isa isa, pf_order_type type, const void *x, int64_t step, int64_t count, bool smallest,
                      int64_t *keys);
/* Where the greatest of count > 0 keys is: the first of them, or the last. */
int64_t pf_order_best(pf_isa isa, const int64_t *keys, int64_t count, bool last);
/* The same for each of `columns` neighbouring columns of `rows` rows that are step elements apart. */
void    pf_order_best_columns(pf_isa isa, pf_order_type type, const void *x, int64_t rows, int64_t step,
                              int64_t columns, bool smallest, bool last, int64_t *at);
/* The k greatest of count keys, k in 1 to count, the greatest first, of equal ones the first; at[k] and best[k] get
   their places and keys. */
void    pf_order_top(pf_isa isa, const int64_t *keys, int64_t count, int64_t k, int64_t *best, int64_t *at);

#endif
