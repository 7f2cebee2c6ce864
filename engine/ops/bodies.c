#include "engine/ops/bodies.h"

#include "base/alloc.h"
#include "engine/ops/content.h"

pf_status pf_bodies_merge(pf_infer *infer, const pf_value *a, const pf_value *b, pf_value *out, pf_err *err)
{
    if (a->kind != b->kind || a->dtype != b->dtype)
        return PF_FAIL(err, PF_INVALID, "one value is %s%s and the other %s%s",
                       a->kind == PF_VALUE_TENSOR ? "" : "a list of ", pf_dtype_name(a->dtype),
                       b->kind == PF_VALUE_TENSOR ? "" : "a list of ", pf_dtype_name(b->dtype));
    out->kind = a->kind;
    out->dtype = a->dtype;
    out->shape = a->shape;
    out->content = NULL;
    out->content_count = 0;
    if (a->shape.rank == PF_RANK_NO_ITEMS || b->shape.rank == PF_RANK_NO_ITEMS) {
        out->shape = a->shape.rank == PF_RANK_NO_ITEMS ? b->shape : a->shape;
        return PF_OK;
    }
    if (a->shape.rank != b->shape.rank)
        out->shape.rank = -1;
    for (int32_t d = 0; d < out->shape.rank; d++)
        if (a->shape.dim[d] != b->shape.dim[d])
            out->shape.dim[d] = pf_dims_fresh(infer->graph->dims, "merged");
    return PF_OK;
}

void pf_bodies_set(pf_value *to, const pf_value *from)
{
    to->kind = from->kind;
    to->dtype = from->dtype;
    to->shape = from->shape;
    to->content = NULL;
    to->content_count = 0;
}

pf_status pf_bodies_set_captures(pf_infer *infer, pf_graph *body, uint32_t first, uint32_t slot, uint32_t count,
                                 pf_err *err)
{
    if (slot > infer->node->in_count || count > infer->node->in_count - slot)
        return PF_FAIL(err, PF_INVALID, "the node has %u inputs where %u are needed", infer->node->in_count,
                       slot + count);
    return pf_graph_set_body_inputs(body, first, infer->graph, infer->node->in + slot, count, err);
}

/* A sequence that was empty at first has the items of the next round; a size of theirs that is no number may be another
   in each. */
static void take_items(pf_infer *infer, pf_value *state, const pf_value *next, uint32_t *open)
{
    state->shape = next->shape;
    for (int32_t d = 0; d < state->shape.rank; d++) {
        if (!pf_dim_is_symbolic(state->shape.dim[d]))
            continue;
        state->shape.dim[d] = pf_dims_fresh(infer->graph->dims, "item");
        *open |= 1u << d;
    }
}

/* Makes *state hold what both it and `next` are; changed says whether that is less than before.  Bit d of *open: dim d
   is a symbol that stands for any size, so that what it becomes says nothing new. */
static pf_status widen(pf_infer *infer, pf_value *state, const pf_value *next, uint32_t *open, bool *changed,
                       pf_err *err)
{
    pf_value merged = *state, now = *next;

    if (state->kind == now.kind && state->dtype == now.dtype && state->shape.rank == PF_RANK_NO_ITEMS) {
        *changed = *changed || now.shape.rank != PF_RANK_NO_ITEMS;
        take_items(infer, state, next, open);
        return PF_OK;
    }
    for (int32_t d = 0; d < state->shape.rank && state->shape.rank == now.shape.rank; d++)
        if (*open >> d & 1)
            now.shape.dim[d] = state->shape.dim[d];
    if (state->kind == now.kind && state->dtype == now.dtype &&
        (state->shape.rank < 0 || pf_shape_equal(&state->shape, &now.shape)))
        return PF_OK;
    if (state->shape.rank >= 0) {
        pf_status st = pf_bodies_merge(infer, state, &now, &merged, err);

        if (st)
            return st;
        for (int32_t d = 0; d < merged.shape.rank; d++)
            *open |= (uint32_t)(merged.shape.dim[d] != state->shape.dim[d]) << d;
        *changed = true;
        pf_bodies_set(state, &merged);
        return PF_OK;
    }
    return PF_FAIL(err, PF_INVALID, "a state is %s at first and %s later", pf_dtype_name(state->dtype),
                   pf_dtype_name(next->dtype));
}

pf_status pf_bodies_settle(pf_infer *infer, pf_graph *body, uint32_t first, uint32_t slot, uint32_t out_first,
                           uint32_t count, pf_err *err)
{
    /* Every round turns dims into symbols of their own, then ranks into unknown ones: two rounds say all. */
    enum { ROUNDS = 4 };
    bool      changed = true;
    uint32_t *open = NULL;
    pf_status st = PF_OK;

    if (first + count > body->input_count || out_first + count > body->output_count)
        return PF_FAIL(err, PF_INVALID, "the body \"%s\" does not have %u states", body->name, count);
    open = pf_calloc(count, sizeof *open);
    if (!open)
        return PF_FAIL_MEMORY(err, count * sizeof *open);
    for (uint32_t i = 0; i < count && !st; i++) {
        const pf_value *from = pf_infer_in(infer, slot + i);

        if (!from)
            st = PF_FAIL(err, PF_INVALID, "state %u is left out", i);
        else
            pf_bodies_set(&body->values[body->inputs[first + i]], from);
    }
    for (int round = 0; round < ROUNDS && changed && !st; round++) {
        changed = false;
        st = pf_graph_infer(body, err);
        for (uint32_t i = 0; i < count && !st; i++)
            st = widen(infer, &body->values[body->inputs[first + i]], &body->values[body->outputs[out_first + i]],
                       &open[i], &changed, err);
    }
    pf_free(open);
    return st || !changed
               ? st
               : PF_FAIL(err, PF_UNSUPPORTED, "the shapes of the states of \"%s\" do not settle", body->name);
}
