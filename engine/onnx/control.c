#include <string.h>

#include "base/alloc.h"
#include "engine/onnx_rounds.h"
#include "engine/onnx_scope.h"
#include "engine/ops/attrs.h"

/* If, Loop and Scan. What their bodies capture comes behind the node's own inputs: see engine/graph.h. */

typedef struct operands { pf_value_id *at; uint32_t count, capacity; } operands;

static void push(pf_onnx_node *node, operands *list, pf_value_id value)
{
    if (pf_grow((void **)&list->at, &list->capacity, list->count + 1, sizeof *list->at))
        pf_onnx_fail(node, PF_NO_SPACE, "out of memory");
    else
        list->at[list->count++] = value;
}

static void push_captures(pf_onnx_node *node, operands *list, const pf_graph *body)
{
    for (uint32_t i = 0; body && i < body->capture_count; i++)
        push(node, list, body->captured[i]);
}

/* The index of a plain symbol; UINT32_MAX when dim is anything else. */
static uint32_t symbol_of(const pf_onnx_node *node, pf_dim dim)
{
    pf_dims *dims = node->graph->dims;

    for (uint32_t i = 0; pf_dim_is_symbolic(dim) && i < pf_dims_symbol_count(dims); i++)
        if (pf_dims_symbol(dims, pf_dims_symbol_name(dims, i)) == dim)
            return i;
    return UINT32_MAX;
}

/* The symbol s when the condition is "s is 1" (or its negation: *negated), which is how exporters write squeeze. */
static uint32_t compared_to_one(pf_onnx_node *node, pf_value_id condition, bool *negated)
{
    enum { STEPS = 8 };

    *negated = false;
    for (int step = 0; step < STEPS; step++) {
        const pf_value *v = pf_onnx_value(node, condition);
        const pf_node  *maker = v->producer == PF_NONE ? NULL : pf_graph_node(node->graph, v->producer);

        if (maker && maker->op == PF_OP_EQUAL) {
            const pf_value *a = pf_onnx_value(node, maker->in[0]), *b = pf_onnx_value(node, maker->in[1]);
            double          one = 0;

            if (a->content_count == 1 && b->is_constant && pf_onnx_constant_number(node, maker->in[1], &one) &&
                one == 1)
                return symbol_of(node, a->content[0]);
            return UINT32_MAX;
        }
        if (!maker || (maker->op != PF_OP_IDENTITY && maker->op != PF_OP_CAST && maker->op != PF_OP_RESHAPE &&
                       maker->op != PF_OP_NOT))
            return UINT32_MAX;
        *negated ^= maker->op == PF_OP_NOT;
        condition = maker->in[0];
    }
    return UINT32_MAX;
}

static bool ranks_differ(const pf_graph *a, const pf_graph *b)
{
    for (uint32_t i = 0; a && b && i < a->output_count && i < b->output_count; i++) {
        const pf_value *x = &a->values[a->outputs[i]], *y = &b->values[b->outputs[i]];

        if (x->kind == PF_VALUE_TENSOR && y->kind == PF_VALUE_TENSOR && x->shape.rank != y->shape.rank)
            return true;
    }
    return false;
}

/* A branch that drops a dim when its size is 1 would leave the number of dims open.  A size that was left open is taken
   not to be 1, and 1 is refused from then on: who wants it says so when importing, which makes it a number. */
static bool settle_squeeze(pf_onnx_node *node, const pf_if_attrs *attrs)
{
    bool     negated = false;
    uint32_t symbol = compared_to_one(node, pf_onnx_in(node, 0), &negated);
    int64_t  low = 0, high = 0;

    if (node->status || symbol == UINT32_MAX || !ranks_differ(attrs->then_branch, attrs->else_branch))
        return false;
    pf_onnx_body_free(node, attrs->then_branch);
    pf_onnx_body_free(node, attrs->else_branch);
    pf_onnx_ok(node, pf_dim_range(node->graph->dims,
                                  pf_dims_symbol(node->graph->dims, pf_dims_symbol_name(node->graph->dims, symbol)),
                                  NULL, NULL, &low, &high, node->err));
    pf_dims_bound(node->graph->dims, symbol, 2, high);
    pf_onnx_inline_body(node, negated ? "then_branch" : "else_branch", NULL, 0, node->out, node->out_count);
    return true;
}

/* A condition that is known needs no branch. */
void pf_onnx_if(pf_onnx_node *node)
{
    pf_if_attrs attrs = { 0 };
    operands    in = { 0 };
    double      condition = 0;

    if (pf_onnx_constant_number(node, pf_onnx_in(node, 0), &condition)) {
        pf_onnx_inline_body(node, condition != 0 ? "then_branch" : "else_branch", NULL, 0, node->out,
                            node->out_count);
        return;
    }
    attrs.then_branch = pf_onnx_body(node, "then_branch", NULL, 0);
    attrs.else_branch = pf_onnx_body(node, "else_branch", NULL, 0);
    if (node->status)
        pf_err_add(node->err, node->status, "a branch of \"%.200s\", which is left out where an input that is frozen "
                   "(freeze_inputs) says that it never runs", node->name);
    if (settle_squeeze(node, &attrs))
        return;
    push(node, &in, pf_onnx_in(node, 0));
    push_captures(node, &in, attrs.then_branch);
    push_captures(node, &in, attrs.else_branch);
    pf_onnx_emit(node, PF_OP_IF, &attrs, in.count, in.at, node->out_count, node->out);
    pf_free(in.at);
}

/* What a body's formal input is at first. Contents are dropped: they change from round to round. */
static pf_value type_of(const pf_onnx_node *node, pf_value_id value)
{
    pf_value type = *pf_onnx_value(node, value);

    type.content = NULL;
    type.content_count = 0;
    return type;
}

/* A sequence that was empty at first has the items of the next round; a size of theirs that is no number may be another
   in each. */
static bool take_items(pf_onnx_node *node, pf_value *state, const pf_value *next, uint32_t *fluid)
{
    if (state->shape.rank != PF_RANK_NO_ITEMS || next->shape.rank == PF_RANK_NO_ITEMS)
        return false;
    state->shape = next->shape;
    for (int32_t d = 0; d < state->shape.rank; d++) {
        if (!pf_dim_is_symbolic(state->shape.dim[d]))
            continue;
        state->shape.dim[d] = pf_onnx_fluid_new(node);
        *fluid |= 1u << d;
    }
    return true;
}

static bool differs(const pf_value *state, const pf_value *next)
{
    return state->shape.rank >= 0 && !pf_shape_equal(&state->shape, &next->shape);
}

/* Gives the state the dims that it has in every round: those that change become symbols. False: all was so before. */
static bool widen(pf_onnx_node *node, pf_value *state, const pf_value *next, uint32_t *fluid)
{
    bool changed = false;

    if (take_items(node, state, next, fluid))
        return true;
    if (!differs(state, next))
        return false;
    if (state->shape.rank != next->shape.rank) {
        state->shape.rank = -1;
        return true;
    }
    for (int32_t d = 0; d < state->shape.rank; d++) {
        if (state->shape.dim[d] == next->shape.dim[d] || *fluid >> d & 1)
            continue;
        state->shape.dim[d] = pf_onnx_fluid_new(node);
        *fluid |= 1u << d;
        changed = true;
    }
    return changed;
}

/* The states of a body: inputs first + i and outputs out_first + i. */
typedef struct states { uint32_t first, out_first, count; uint32_t *fluid; } states;

static bool widen_states(pf_onnx_node *node, const states *s, pf_value *types, const pf_graph *body)
{
    bool changed = false;

    for (uint32_t i = 0; i < s->count && s->out_first + i < body->output_count; i++)
        changed =
            widen(node, &types[s->first + i], &body->values[body->outputs[s->out_first + i]], &s->fluid[i]) || changed;
    return changed;
}

/* Imports the body until the shapes that its states begin with are those that they have later, too. */
static pf_graph *settled_body(pf_onnx_node *node, const states *s, pf_value *types, uint32_t type_count)
{
    enum { ROUNDS = 4 };
    const pf_onnx_written before = node->scope->state->written;
    pf_graph             *body = pf_onnx_body(node, "body", types, type_count);

    for (int round = 0; body && round < ROUNDS && widen_states(node, s, types, body); round++) {
        pf_onnx_body_free(node, body);
        node->scope->state->written = before;
        body = pf_onnx_body(node, "body", types, type_count);
    }
    return body;
}

static pf_value *alloc_types(pf_onnx_node *node, uint32_t count)
{
    pf_value *types =
        node->status ? NULL : pf_arena_alloc(node->graph->arena, (count + 1) * (sizeof *types + sizeof(uint32_t)));

    if (!types)
        pf_onnx_fail(node, PF_NO_SPACE, "out of memory");
    return types;
}

/* first: of each input of the node. */
static void emit_with_body(pf_onnx_node *node, pf_op_kind op, const void *attrs, const pf_graph *body,
                           const pf_value_id *first, uint32_t in_count)
{
    operands in = { 0 };

    for (uint32_t i = 0; i < in_count; i++)
        push(node, &in, first[i]);
    push_captures(node, &in, body);
    pf_onnx_emit(node, op, attrs, in.count, in.at, node->out_count, node->out);
    pf_free(in.at);
}

static pf_value_id *alloc_first(pf_onnx_node *node, uint32_t count)
{
    pf_value_id *first = node->status ? NULL : pf_arena_alloc(node->graph->arena, (count + 1) * sizeof *first);

    if (!first)
        pf_onnx_fail(node, PF_NO_SPACE, "out of memory");
    for (uint32_t i = 0; first && i < count; i++)
        first[i] = pf_onnx_in(node, i);
    return first;
}

/* ---- Loop: trip count, condition, carried values; body: iteration, condition, carried -> condition, carried,
   scanned */

enum { TRIPS, CONDITION, CARRIED };

/* At least one round, as far as is known. */
static bool surely_runs(pf_onnx_node *node)
{
    pf_value_id trips = pf_onnx_in(node, TRIPS), condition = pf_onnx_in(node, CONDITION);
    int64_t     count = 0;
    double      more = 0;

    return (trips == PF_NONE || (pf_onnx_constant_int(node, trips, &count) && count > 0)) &&
           (condition == PF_NONE || (pf_onnx_constant_number(node, condition, &more) && more != 0));
}

/* Zeros in the place of a first value that no round reads, of the shape that all rounds give: what data decides of it
   may be anything at first. */
static pf_value_id any_value(pf_onnx_node *node, pf_value *type)
{
    pf_expand_attrs attrs = { .shape = { .count = type->shape.rank } };

    for (int32_t d = 0; d < type->shape.rank; d++) {
        int64_t least = 0, greatest = 0;

        pf_onnx_ok(node, pf_dim_range(node->graph->dims, type->shape.dim[d], NULL, NULL, &least, &greatest, node->err));
        attrs.shape.at[d] = least < 1 ? 1 : type->shape.dim[d];
        type->shape.dim[d] = least < 1 ? pf_onnx_fluid_new(node) : type->shape.dim[d];
    }
    return pf_onnx_emit1(node, PF_OP_EXPAND, &attrs, pf_onnx_scalar(node, type->dtype, 0));
}

/* Exporters give what is first written in a loop a number before it, whatever it will be.  Whether there was any. */
static bool replace_unread(pf_onnx_node *node, const pf_graph *body, pf_value *types, pf_value_id *first,
                           uint32_t count)
{
    bool any = false;

    if (!body || body->output_count < count - 1 || !surely_runs(node))
        return false;
    for (uint32_t i = CARRIED; i < count; i++) {
        const pf_value *last = &body->values[body->outputs[i - 1]];

        if (types[i].shape.rank >= 0 || last->shape.rank < 0 || last->kind != PF_VALUE_TENSOR ||
            pf_onnx_body_reads(node, "body", i))
            continue;
        types[i] = *last;
        types[i].content = NULL;
        types[i].content_count = 0;
        first[i] = any_value(node, &types[i]);
        any = true;
    }
    return any && !node->status;
}

static void read_types(pf_onnx_node *node, pf_value *types, uint32_t count)
{
    types[TRIPS] = (pf_value){ .dtype = PF_I64 };
    types[CONDITION] = (pf_value){ .dtype = PF_BOOL };
    for (uint32_t i = CARRIED; i < count; i++) {
        if (pf_onnx_in(node, i) == PF_NONE)
            pf_onnx_fail(node, PF_INVALID, "carried value %u is missing", i - CARRIED);
        types[i] = type_of(node, pf_onnx_in(node, i));
    }
}

void pf_onnx_loop(pf_onnx_node *node)
{
    uint32_t      count = node->proto->n_input > CARRIED ? (uint32_t)node->proto->n_input : CARRIED;
    pf_value     *types = alloc_types(node, count);
    pf_value_id  *first = alloc_first(node, count);
    pf_loop_attrs attrs = { .carried = count - CARRIED };
    states        carried = { CARRIED, 1, count - CARRIED, (uint32_t *)(types + count) };
    const pf_onnx_written before = node->scope->state->written;

    if (node->status || pf_onnx_loop_rounds(node) || node->status)
        return;
    read_types(node, types, count);
    attrs.body = settled_body(node, &carried, types, count);
    if (replace_unread(node, attrs.body, types, first, count)) {
        pf_onnx_body_free(node, attrs.body);
        node->scope->state->written = before;
        attrs.body = settled_body(node, &carried, types, count);
    }
    if (!node->status && attrs.body->output_count != node->out_count + 1)
        pf_onnx_fail(node, PF_INVALID, "its body gives %u values and %u outputs need %u", attrs.body->output_count,
                     node->out_count, node->out_count + 1);
    emit_with_body(node, PF_OP_LOOP, &attrs, attrs.body, first, count);
}

/* ---- Scan */

/* A slice of a scanned input. */
static pf_value slice_type(pf_onnx_node *node, pf_value_id value, int64_t axis)
{
    pf_value type = type_of(node, value);
    int32_t  rank = type.shape.rank;

    if (rank < 1) {
        pf_onnx_fail(node, rank ? PF_UNSUPPORTED : PF_INVALID, "a scanned input has %d dimensions", rank);
        return type;
    }
    for (int32_t d = (int32_t)axis; d + 1 < rank; d++)
        type.shape.dim[d] = type.shape.dim[d + 1];
    type.shape.rank--;
    return type;
}

/* One entry per scanned input or output, 0 where the attribute is absent. */
static pf_ints scan_list(pf_onnx_node *node, const char *name, uint32_t count)
{
    pf_ints list = pf_onnx_ints(node, name);

    if (!node->status && list.count && list.count != (int32_t)count)
        pf_onnx_fail(node, PF_INVALID, "attribute \"%s\" has %d entries for %u", name, list.count, count);
    if (!node->status && count > PF_ATTR_LIST)
        pf_onnx_fail(node, PF_UNSUPPORTED, "%u scanned values; up to %d are supported", count, PF_ATTR_LIST);
    list.count = node->status ? 0 : (int32_t)count;
    return list;
}

/* States, then scanned inputs; body: states, slices -> states, slices. */
void pf_onnx_scan(pf_onnx_node *node)
{
    uint32_t count = node->in_count, scans = (uint32_t)pf_onnx_int(node, "num_scan_inputs", 0), given = count - scans;
    uint32_t      results = node->out_count - given;
    pf_value     *types = alloc_types(node, count);
    pf_value_id  *first = alloc_first(node, count);
    pf_scan_attrs attrs = { .states = given, .scans = scans };

    if (!node->status && (scans < 1 || scans > count || given > node->out_count))
        pf_onnx_fail(node, PF_INVALID, "attribute \"num_scan_inputs\" is %u for %u inputs and %u outputs", scans, count,
                     node->out_count);
    if (node->status)
        return;
    attrs.input_axes = scan_list(node, "scan_input_axes", scans);
    attrs.input_directions = scan_list(node, "scan_input_directions", scans);
    attrs.output_axes = scan_list(node, "scan_output_axes", results);
    attrs.output_directions = scan_list(node, "scan_output_directions", results);
    for (uint32_t i = 0; i < given; i++)
        types[i] = type_of(node, pf_onnx_in(node, i));
    for (uint32_t i = 0; i < scans && !node->status; i++) {
        attrs.input_axes.at[i] =
            pf_onnx_axis(node, attrs.input_axes.at[i], pf_onnx_rank(node, pf_onnx_in(node, given + i)));
        types[given + i] = slice_type(node, pf_onnx_in(node, given + i), attrs.input_axes.at[i]);
    }
    if (node->status || pf_onnx_scan_rounds(node, &attrs) || node->status)
        return;
    attrs.body = settled_body(node, &(states){ 0, 0, given, (uint32_t *)(types + count) }, types, count);
    if (!node->status && attrs.body->output_count != node->out_count)
        pf_onnx_fail(node, PF_INVALID, "its body gives %u values for %u outputs", attrs.body->output_count,
                     node->out_count);
    for (uint32_t i = 0; i < results && !node->status; i++) {
        int32_t rank = attrs.body->values[attrs.body->outputs[given + i]].shape.rank;

        if (rank >= 0)
            attrs.output_axes.at[i] = pf_onnx_axis(node, attrs.output_axes.at[i], rank + 1);
    }
    emit_with_body(node, PF_OP_SCAN, &attrs, attrs.body, first, count);
}
