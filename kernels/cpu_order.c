#include "kernels/cpu_order.h"

#include <string.h>

enum { BLOCK = 64 };            /* keys that are looked at together: most blocks hold nothing that is great enough */

/* Negative floats lie in the opposite order as integers; -0 and 0 are one. */
PF_INLINE int64_t key_of_float(float x)
{
    float   plain = x + 0.0f;
    int32_t bits = 0;

    memcpy(&bits, &plain, sizeof bits);
    bits ^= (bits >> 31) & INT32_MAX;
    return plain != plain ? INT32_MAX : bits;
}

PF_INLINE void keys_body(int type, const void *x, int64_t step, int64_t count, int64_t flip, int64_t *keys)
{
    if (type == PF_ORDER_F32)
        for (int64_t i = 0; i < count; i++)
            keys[i] = key_of_float(((const float *)x)[i * step]) ^ flip;
    else if (type == PF_ORDER_I32)
        for (int64_t i = 0; i < count; i++)
            keys[i] = ((const int32_t *)x)[i * step] ^ flip;
    else
        for (int64_t i = 0; i < count; i++)
            keys[i] = ((const int64_t *)x)[i * step] ^ flip;
}

/* Neighbours, which lanes can take, apart from the others. */
PF_INLINE void any_keys_body(int type, const void *x, int64_t step, int64_t count, int64_t flip, int64_t *keys)
{
    if (step == 1)
        keys_body(type, x, 1, count, flip, keys);
    else
        keys_body(type, x, step, count, flip, keys);
}
PF_ISA_VARIANTS(void, any_keys, (int type, const void *x, int64_t step, int64_t count, int64_t flip, int64_t *keys),
                (type, x, step, count, flip, keys))

void pf_order_keys(pf_isa isa, pf_order_type type, const void *x, int64_t step, int64_t count, bool smallest,
                   int64_t *keys)
{
    any_keys_table[isa]((int)type, x, step, count, smallest ? -1 : 0, keys);
}

PF_INLINE int64_t greatest_body(const int64_t *keys, int64_t count)
{
    int64_t most = INT64_MIN;

    for (int64_t i = 0; i < count; i++)
        most = keys[i] > most ? keys[i] : most;
    return most;
}
PF_ISA_VARIANTS(int64_t, greatest, (const int64_t *keys, int64_t count), (keys, count))

int64_t pf_order_best(pf_isa isa, const int64_t *keys, int64_t count, bool last)
{
    int64_t most = greatest_table[isa](keys, count), at = last ? count - 1 : 0;

    while (keys[at] != most)
        at += last ? -1 : 1;
    return at;
}

PF_INLINE void best_columns_body(int type, const void *x, int64_t rows, int64_t step, int64_t columns, int64_t flip,
                                 bool last, int64_t *at)
{
    const int64_t item = type == PF_ORDER_I64 ? 8 : 4;
    int64_t       best[PF_ORDER_STRIP], keys[PF_ORDER_STRIP];

    keys_body(type, x, 1, columns, flip, best);
    for (int64_t k = 0; k < columns; k++)
        at[k] = 0;
    for (int64_t r = 1; r < rows; r++) {
        keys_body(type, (const char *)x + r * step * item, 1, columns, flip, keys);
        for (int64_t k = 0; k < columns; k++) {
            bool better = keys[k] > best[k] || (last && keys[k] == best[k]);

            best[k] = better ? keys[k] : best[k];
            at[k] = better ? r : at[k];
        }
    }
}
PF_ISA_VARIANTS(void, best_columns,
                (int type, const void *x, int64_t rows, int64_t step, int64_t columns, int64_t flip, bool last,
                 int64_t *at),
                (type, x, rows, step, columns, flip, last, at))

void pf_order_best_columns(pf_isa isa, pf_order_type type, const void *x, int64_t rows, int64_t step, int64_t columns,
                           bool smallest, bool last, int64_t *at)
{
    best_columns_table[isa]((int)type, x, rows, step, columns, smallest ? -1 : 0, last, at);
}

/* ---- The k best as a heap with the least of them in front */

typedef struct heap { int64_t *key, *at, count; } heap;

/* Is item a less than item b: smaller, or as great and behind it. */
static bool is_less(const heap *h, int64_t a, int64_t b)
{
    return h->key[a] < h->key[b] || (h->key[a] == h->key[b] && h->at[a] > h->at[b]);
}

static void swap_items(const heap *h, int64_t a, int64_t b)
{
    int64_t key = h->key[a], at = h->at[a];

    h->key[a] = h->key[b], h->at[a] = h->at[b];
    h->key[b] = key, h->at[b] = at;
}

static void sink(const heap *h, int64_t i)
{
    for (int64_t child = 2 * i + 1; child < h->count; i = child, child = 2 * i + 1) {
        if (child + 1 < h->count && is_less(h, child + 1, child))
            child++;
        if (!is_less(h, child, i))
            return;
        swap_items(h, i, child);
    }
}

static void take_block(const heap *h, const int64_t *keys, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++) {
        if (keys[i] <= h->key[0])       /* as great is not enough: it stands behind */
            continue;
        h->key[0] = keys[i];
        h->at[0] = i;
        sink(h, 0);
    }
}

void pf_order_top(pf_isa isa, const int64_t *keys, int64_t count, int64_t k, int64_t *best, int64_t *at)
{
    heap h = { best, at, k };

    for (int64_t i = 0; i < k; i++) {
        best[i] = keys[i];
        at[i] = i;
    }
    for (int64_t i = k / 2; i-- > 0;)
        sink(&h, i);
    for (int64_t i = k; i < count; i += BLOCK) {
        int64_t end = i + BLOCK < count ? i + BLOCK : count;

        if (greatest_table[isa](keys + i, end - i) > h.key[0])
            take_block(&h, keys, i, end);
    }
    while (h.count > 1) {               /* the least goes to the end, so that the greatest comes first */
        swap_items(&h, 0, --h.count);
        sink(&h, 0);
    }
}
