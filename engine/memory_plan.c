#include "engine/memory_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* Items that share bytes, as views or in place, are one block. */
typedef struct block {
    size_t   bytes, offset;
    uint32_t first, last;
    uint32_t index;             /* of the item that it grew from: settles ties */
} block;

typedef struct planner {
    pf_memory_item *items;
    uint32_t        count;
    uint32_t       *root;       /* item -> the item whose block it is in */
    block          *blocks;     /* by item; bytes 0 when not a root */
    block         **order;      /* the blocks, in the order of placing */
    block         **placed;     /* those placed already, by offset */
    uint32_t        block_count;
} planner;

static size_t aligned(size_t bytes)
{
    return (bytes + PF_MEMORY_ALIGNMENT - 1) / PF_MEMORY_ALIGNMENT * PF_MEMORY_ALIGNMENT;
}

static pf_status check_items(const pf_memory_item *items, uint32_t count, pf_err *err)
{
    size_t total = 0;

    for (uint32_t i = 0; i < count; i++) {
        const pf_memory_item *item = &items[i];

        if (item->last < item->first)
            return PF_FAIL(err, PF_INVALID, "memory item %u is used last at step %u, before step %u writes it", i,
                           item->last, item->first);
        if ((item->alias_of != PF_NONE && item->alias_of >= i) || (item->may_take != PF_NONE && item->may_take >= i))
            return PF_FAIL(err, PF_INVALID, "memory item %u names an item that does not come before it", i);
        if (item->bytes > SIZE_MAX / 4 || total > SIZE_MAX / 2)
            return PF_FAIL(err, PF_NO_SPACE, "memory item %u of %zu bytes is more than can be addressed", i,
                           item->bytes);
        total += item->bytes;
    }
    return PF_OK;
}

static void join(block *into, const pf_memory_item *item)
{
    size_t bytes = aligned(item->bytes);

    into->bytes = bytes > into->bytes ? bytes : into->bytes;
    into->first = item->first < into->first ? item->first : into->first;
    into->last = item->last > into->last ? item->last : into->last;
}

static void make_views(planner *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        const pf_memory_item *item = &p->items[i];

        p->root[i] = item->alias_of == PF_NONE ? i : p->root[item->alias_of];
        if (p->root[i] == i)
            p->blocks[i] = (block){ aligned(item->bytes), 0, item->first, item->last, i };
        else
            join(&p->blocks[p->root[i]], item);
    }
}

/* An item may take a dying block of at least its own size: the block dies at the very step that writes the item. */
static uint32_t take_in_place(planner *p)
{
    uint32_t taken = 0;

    for (uint32_t i = 0; i < p->count; i++) {
        const pf_memory_item *item = &p->items[i];
        uint32_t              from = item->may_take == PF_NONE ? i : p->root[item->may_take];
        block                *own = &p->blocks[i], *old = &p->blocks[from];

        if (from == i || p->root[i] != i || !own->bytes || old->last != own->first || old->bytes != own->bytes)
            continue;
        old->last = own->last;
        own->bytes = 0;
        for (uint32_t k = i; k < p->count; k++)
            if (p->root[k] == i)
                p->root[k] = from;
        taken++;
    }
    return taken;
}

static int by_size(const void *a, const void *b)
{
    const block *x = *(block *const *)a, *y = *(block *const *)b;

    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int by_step(const void *a, const void *b)
{
    const block *x = *(block *const *)a, *y = *(block *const *)b;

    return x->first != y->first ? (x->first < y->first ? -1 : 1) : by_size(a, b);
}

/* The offset of the lowest gap that holds b between the placed blocks which are alive with it; with best_fit, of the
   smallest. */
static size_t find_gap(const planner *p, uint32_t placed_count, const block *b, bool best_fit)
{
    size_t end = 0, best = SIZE_MAX, best_gap = SIZE_MAX;

    for (uint32_t i = 0; i < placed_count; i++) {
        const block *other = p->placed[i];
        size_t       gap = other->offset > end ? other->offset - end : 0;

        if (other->last < b->first || other->first > b->last)
            continue;
        if (gap >= b->bytes && gap < best_gap && (best_fit || best == SIZE_MAX)) {
            best = end;
            best_gap = gap;
        }
        end = other->offset + other->bytes > end ? other->offset + other->bytes : end;
    }
    return best == SIZE_MAX ? end : best;
}

static void insert_by_offset(planner *p, uint32_t placed_count, block *b)
{
    uint32_t at = placed_count;

    while (at > 0 && p->placed[at - 1]->offset > b->offset)
        at--;
    memmove(p->placed + at + 1, p->placed + at, (placed_count - at) * sizeof *p->placed);
    p->placed[at] = b;
}

static size_t place_all(planner *p, int (*order)(const void *, const void *), bool best_fit)
{
    size_t bytes = 0;

    qsort(p->order, p->block_count, sizeof *p->order, order);
    for (uint32_t i = 0; i < p->block_count; i++) {
        block *b = p->order[i];

        b->offset = find_gap(p, i, b, best_fit);
        insert_by_offset(p, i, b);
        bytes = b->offset + b->bytes > bytes ? b->offset + b->bytes : bytes;
    }
    return bytes;
}

/* Bytes alive grow only where a block begins, so those steps are enough. */
static size_t lower_bound(const planner *p)
{
    size_t most = 0;

    for (uint32_t i = 0; i < p->block_count; i++) {
        uint32_t step = p->order[i]->first;
        size_t   alive = 0;

        for (uint32_t k = 0; k < p->block_count; k++)
            if (p->order[k]->first <= step && p->order[k]->last >= step)
                alive += p->order[k]->bytes;
        most = alive > most ? alive : most;
    }
    return most;
}

static void lay_out(planner *p, pf_memory_plan *out)
{
    size_t by_size_bytes = 0, in_order_bytes = 0;

    for (uint32_t i = 0; i < p->count; i++)
        if (p->root[i] == i && p->blocks[i].bytes)
            p->order[p->block_count++] = &p->blocks[i];
    in_order_bytes = place_all(p, by_step, true);
    by_size_bytes = place_all(p, by_size, false);
    if (in_order_bytes < by_size_bytes)
        place_all(p, by_step, true);
    out->bytes = in_order_bytes < by_size_bytes ? in_order_bytes : by_size_bytes;
    out->lower_bound_bytes = lower_bound(p);
    for (uint32_t i = 0; i < p->count; i++)
        p->items[i].offset = p->items[i].bytes ? p->blocks[p->root[i]].offset : 0;
}

pf_status pf_memory_plan_make(pf_memory_item *items, uint32_t count, pf_memory_plan *out, pf_err *err)
{
    planner   p = { .items = items, .count = count };
    pf_status st = PF_OK;

    *out = (pf_memory_plan){ 0 };
    st = check_items(items, count, err);
    if (st || !count)
        return st;
    p.root = pf_calloc(count, sizeof *p.root);
    p.blocks = pf_calloc(count, sizeof *p.blocks);
    p.order = pf_calloc(count, sizeof(block *));
    p.placed = pf_calloc(count, sizeof(block *));
    if (!p.root || !p.blocks || !p.order || !p.placed) {
        st = PF_FAIL_MEMORY(err, count * (sizeof(uint32_t) + sizeof(block) + 2 * sizeof(block *)));
        goto out;
    }
    make_views(&p);
    out->taken_in_place = take_in_place(&p);
    lay_out(&p, out);
out:
    pf_free(p.root);
    pf_free(p.blocks);
    pf_free(p.order);
    pf_free(p.placed);
    return st;
}
