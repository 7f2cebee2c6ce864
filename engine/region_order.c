/* Order of regions. A value may leave a region before its last node, so sorting does not do. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/region_private.h"

static uint32_t last_position(const pf_former *f, const pf_region *region)
{
    const pf_group *group = &region->forms[0].groups[0];
    uint32_t        last = 0;

    for (uint32_t i = 0; i < group->count; i++)
        if (f->position[group->nodes[i]] > last)
            last = f->position[group->nodes[i]];
    return last;
}

typedef struct sorter {
    const pf_former *f;
    uint32_t        *region_of;         /* node -> region */
    uint8_t         *state;
    uint32_t        *order, count;
} sorter;

enum { UNSEEN, OPEN, DONE };

static pf_status visit(sorter *s, uint32_t region, pf_err *err)
{
    const pf_group *group = &s->f->out->items[region].forms[0].groups[0];
    pf_status       st = PF_OK;

    if (s->state[region] == DONE)
        return PF_OK;
    if (s->state[region] == OPEN)
        return PF_FAIL(err, PF_INTERNAL, "regions depend on each other in a circle");
    s->state[region] = OPEN;
    for (uint32_t n = 0; n < group->count && !st; n++) {
        const pf_node *node = pf_graph_node(s->f->graph, group->nodes[n]);

        for (uint32_t i = 0; i < node->in_count && !st; i++) {
            pf_node_id from = node->in[i] == PF_NONE ? PF_NONE : pf_graph_value(s->f->graph, node->in[i])->producer;

            if (from != PF_NONE && s->region_of[from] != region)
                st = visit(s, s->region_of[from], err);
        }
    }
    s->state[region] = DONE;
    s->order[s->count++] = region;
    return st;
}

static int by_last(const void *a, const void *b, void *context)
{
    uint32_t x = last_position(context, a), y = last_position(context, b);

    return (x > y) - (x < y);
}

pf_status pf_regions_sort(pf_former *f, pf_err *err)
{
    uint32_t   count = f->out->count;
    sorter     s = { .f = f, .region_of = pf_calloc(f->graph->node_count + 1, sizeof *s.region_of),
                     .state = pf_calloc(count + 1, 1), .order = pf_calloc(count + 1, sizeof *s.order) };
    pf_region *sorted = pf_calloc(count + 1, sizeof *sorted);
    pf_status  st = s.region_of && s.state && s.order && sorted ? PF_OK : PF_FAIL_MEMORY(err, count * sizeof *sorted);

    qsort_r(f->out->items, count, sizeof *f->out->items, by_last, f);
    for (uint32_t r = 0; r < count && !st; r++)
        for (uint32_t n = 0; n < f->out->items[r].forms[0].groups[0].count; n++)
            s.region_of[f->out->items[r].forms[0].groups[0].nodes[n]] = r;
    for (uint32_t r = 0; r < count && !st; r++)
        st = visit(&s, r, err);
    for (uint32_t r = 0; r < count && !st; r++)
        sorted[r] = f->out->items[s.order[r]];
    if (!st && count)
        memcpy(f->out->items, sorted, count * sizeof *sorted);
    pf_free(s.region_of);
    pf_free(s.state);
    pf_free(s.order);
    pf_free(sorted);
    return st;
}
