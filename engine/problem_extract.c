/* Taking nodes out of a graph into a problem, in one canonical order, so that equal computations get equal texts
   whatever their nodes were called or numbered.  Nodes are met depth first from the outputs; the inputs of commutative
   ops and the outputs are put in the order of a hash of what they compute. */
#include <string.h>

#include "base/alloc.h"
#include "engine/op.h"
#include "engine/problem_copy.h"

typedef struct member {         /* a node that is taken */
    pf_node_id   node;
    pf_value_id *in;            /* its inputs in canonical order */
    uint64_t     hash;
    uint32_t     depth;
    bool         met;
} member;

typedef struct extraction {
    const pf_graph *graph;
    member         *members; uint32_t count;
    uint32_t       *place;      /* node -> index in members + 1; 0: not taken */
    pf_value_id    *slots;      /* memory of all members' in */
    bool           *is_weight;  /* value -> an ANCHOR op of the region reads it */
    uint32_t       *sequence; uint32_t sequence_count;         /* members in canonical order */
    pf_value_id    *in_values; uint32_t in_count;               /* outer values that become inputs */
    bool           *in_constant;
    pf_value_id    *clear; uint32_t clear_count;                /* constants held in clear */
    bool           *seen;       /* value -> is in in_values or clear */
    pf_value_id    *out_values; uint32_t out_count;
} extraction;

static void extraction_clear(extraction *x)
{
    pf_free(x->members), pf_free(x->place), pf_free(x->slots), pf_free(x->is_weight), pf_free(x->sequence),
        pf_free(x->in_values);
    pf_free(x->in_constant), pf_free(x->clear), pf_free(x->seen), pf_free(x->out_values);
    *x = (extraction){ 0 };
}

static member *member_of(const extraction *x, pf_value_id value)
{
    pf_node_id producer = pf_graph_value(x->graph, value)->producer;

    return producer == PF_NONE || !x->place[producer] ? NULL : &x->members[x->place[producer] - 1];
}

static pf_status extraction_init(extraction *x, const pf_graph *graph, const pf_node_id *nodes, uint32_t count,
                                 pf_err *err)
{
    size_t slots = 0, outs = 0;

    for (uint32_t i = 0; i < count; i++) {
        slots += graph->nodes[nodes[i]].in_count;
        outs += graph->nodes[nodes[i]].out_count;
    }
    *x = (extraction){ .graph = graph, .count = count };
    x->members = pf_calloc(count + 1, sizeof *x->members);
    x->place = pf_calloc(graph->node_count + 1, sizeof *x->place);
    x->slots = pf_calloc(slots + 1, sizeof *x->slots);
    x->is_weight = pf_calloc(graph->value_count + 1, sizeof *x->is_weight);
    x->sequence = pf_calloc(count + 1, sizeof *x->sequence);
    x->in_values = pf_calloc(slots + 1, sizeof *x->in_values);
    x->in_constant = pf_calloc(slots + 1, sizeof *x->in_constant);
    x->clear = pf_calloc(slots + 1, sizeof *x->clear);
    x->seen = pf_calloc(graph->value_count + 1, sizeof *x->seen);
    x->out_values = pf_calloc(outs + 1, sizeof *x->out_values);
    if (x->members && x->place && x->slots && x->is_weight && x->sequence && x->in_values && x->in_constant &&
        x->clear && x->seen && x->out_values)
        return PF_OK;
    extraction_clear(x);
    return PF_FAIL_MEMORY(err, (slots + graph->value_count) * sizeof *x->slots);
}

/* An outer value is told from others by what a problem will say of it: type, shape, and contents where they are part of
   the text. */
static bool is_clear(const extraction *x, pf_value_id value)
{
    const pf_value *v = pf_graph_value(x->graph, value);
    int64_t         elems = 1;

    if (!v->is_constant || x->is_weight[value])
        return false;
    for (int32_t i = 0; i < v->shape.rank; i++)
        elems *= v->shape.dim[i];
    return elems <= PF_PROBLEM_CLEAR;
}

static uint64_t end_hash(pf_hash *hash)
{
    pf_digest digest;
    uint64_t  out = 0;

    pf_hash_end(hash, &digest);
    memcpy(&out, digest.byte, sizeof out);
    return out;
}

static uint64_t value_hash(const extraction *x, pf_value_id value)
{
    const pf_value *v = pf_graph_value(x->graph, value);
    const member   *m = member_of(x, value);
    pf_hash         hash;
    pf_buf          shape;

    pf_hash_init(&hash);
    if (m) {
        pf_hash_add_u64(&hash, m->hash);
        pf_hash_add_u64(&hash, v->slot);
        return end_hash(&hash);
    }
    pf_buf_init(&shape, 4096);
    pf_shape_print(x->graph->dims, &v->shape, &shape);
    pf_hash_add_string(&hash, pf_dtype_name(v->dtype));
    pf_hash_add_string(&hash, shape.data ? (const char *)shape.data : "");
    pf_hash_add_u64(&hash, v->is_constant);
    if (is_clear(x, value))
        pf_hash_add(&hash, v->constant.data, v->constant.bytes);
    pf_buf_clear(&shape);
    return end_hash(&hash);
}

static uint32_t value_depth(const extraction *x, pf_value_id value)
{
    const member *m = member_of(x, value);

    return m ? m->depth : 0;
}

/* What the region computes comes first, then by hash. */
static bool is_before(const extraction *x, pf_value_id a, pf_value_id b)
{
    uint32_t depth_a = value_depth(x, a), depth_b = value_depth(x, b);

    return depth_a != depth_b ? depth_a > depth_b : value_hash(x, a) < value_hash(x, b);
}

static void describe(extraction *x, member *m)
{
    const pf_node   *node = pf_graph_node(x->graph, m->node);
    const pf_op_def *def = pf_op_def_of(node->op);
    pf_hash          hash;
    pf_buf           attrs;

    if ((def->flags & PF_OPF_COMMUTATIVE) && node->in_count >= 2 && m->in[0] != PF_NONE && m->in[1] != PF_NONE
        && is_before(x, m->in[1], m->in[0])) {
        m->in[0] = node->in[1];
        m->in[1] = node->in[0];
    }
    pf_buf_init(&attrs, 1 << 16);
    pf_attrs_print(x->graph->dims, def, node->attrs, &attrs);
    pf_hash_init(&hash);
    pf_hash_add_string(&hash, def->name);
    pf_hash_add_string(&hash, attrs.data ? (const char *)attrs.data : "");
    for (uint32_t i = 0; i < node->in_count; i++) {
        pf_hash_add_u64(&hash, m->in[i] == PF_NONE ? 0 : value_hash(x, m->in[i]));
        if (m->in[i] != PF_NONE && value_depth(x, m->in[i]) >= m->depth)
            m->depth = value_depth(x, m->in[i]);
    }
    m->depth++;
    m->hash = end_hash(&hash);
    pf_buf_clear(&attrs);
}

static void mark_weights(extraction *x, const pf_node *node)
{
    if (pf_op_class_of(node) != PF_CLASS_ANCHOR)
        return;
    for (uint32_t i = 0; i < node->in_count; i++)
        if (node->in[i] != PF_NONE)
            x->is_weight[node->in[i]] = true;
}

static void take_nodes(extraction *x, const pf_node_id *nodes)
{
    pf_value_id *slots = x->slots;

    for (uint32_t i = 0; i < x->count; i++) {
        const pf_node *node = pf_graph_node(x->graph, nodes[i]);

        x->members[i] = (member){ .node = nodes[i], .in = slots };
        memcpy(slots, node->in, node->in_count * sizeof *slots);
        slots += node->in_count;
        x->place[nodes[i]] = i + 1;
        mark_weights(x, node);
    }
    for (uint32_t i = 0; i < x->count; i++)
        describe(x, &x->members[i]);
}

/* Does anything outside of the region read it? */
static bool is_read_outside(const extraction *x, pf_value_id value)
{
    uint32_t uses = pf_graph_use_count(x->graph, value);

    for (uint32_t i = 0; i < uses; i++) {
        pf_use use = pf_graph_use(x->graph, value, i);

        if (use.node == PF_NONE || !x->place[use.node])
            return true;
    }
    return false;
}

static void find_outputs(extraction *x)
{
    for (uint32_t i = 0; i < x->count; i++) {
        const pf_node *node = pf_graph_node(x->graph, x->members[i].node);

        for (uint32_t slot = 0; slot < node->out_count; slot++) {
            uint32_t at = x->out_count;

            if (!is_read_outside(x, node->out[slot]))
                continue;
            /* few: insertion keeps ties as given */
            for (; at > 0 && is_before(x, node->out[slot], x->out_values[at - 1]); at--)
                x->out_values[at] = x->out_values[at - 1];
            x->out_values[at] = node->out[slot];
            x->out_count++;
        }
    }
}

static void meet_outer(extraction *x, pf_value_id value)
{
    if (x->seen[value])
        return;
    x->seen[value] = true;
    if (is_clear(x, value)) {
        x->clear[x->clear_count++] = value;
        return;
    }
    x->in_constant[x->in_count] = pf_graph_value(x->graph, value)->is_constant;
    x->in_values[x->in_count++] = value;
}

/* Regions are small, so the depth of this recursion is too. */
static void meet(extraction *x, member *m)
{
    uint32_t count = pf_graph_node(x->graph, m->node)->in_count;

    if (m->met)
        return;
    m->met = true;
    for (uint32_t i = 0; i < count; i++) {
        if (m->in[i] == PF_NONE)
            continue;
        if (member_of(x, m->in[i]))
            meet(x, member_of(x, m->in[i]));
        else
            meet_outer(x, m->in[i]);
    }
    x->sequence[x->sequence_count++] = (uint32_t)(m - x->members);
}

static pf_status build(const extraction *x, pf_graph **out, pf_err *err)
{
    pf_problem_copy copy;
    pf_status       st = pf_problem_copy_begin(&copy, x->graph, NULL, err);

    *out = NULL;
    if (st)
        return st;
    for (uint32_t i = 0; i < x->in_count && !st; i++)
        st = pf_problem_copy_input(&copy, x->in_values[i], err);
    for (uint32_t i = 0; i < x->clear_count && !st; i++)
        st = pf_problem_copy_constant(&copy, x->clear[i], err);
    for (uint32_t i = 0; i < x->sequence_count && !st; i++)
        st = pf_problem_copy_node(&copy, x->members[x->sequence[i]].node, x->members[x->sequence[i]].in, err);
    for (uint32_t i = 0; i < x->out_count && !st; i++)
        st = pf_problem_copy_output(&copy, x->out_values[i], err);
    if (!st) {
        *out = copy.to;
        copy.to = NULL;
    }
    pf_problem_copy_clear(&copy);
    return st;
}

static pf_status arrange(extraction *x, const pf_node_id *nodes, pf_err *err)
{
    take_nodes(x, nodes);
    find_outputs(x);
    for (uint32_t i = 0; i < x->out_count; i++)
        meet(x, member_of(x, x->out_values[i]));
    if (x->out_count == 0)
        return PF_FAIL(err, PF_INVALID, "a problem must have an output");
    if (x->in_count > PF_PROBLEM_VALUES || x->out_count > PF_PROBLEM_VALUES)
        return PF_FAIL(err, PF_UNSUPPORTED, "a problem of %u inputs and %u outputs is over the limit of %d",
                       x->in_count, x->out_count, PF_PROBLEM_VALUES);
    return PF_OK;
}

pf_status pf_problem_extract(const pf_graph *graph, const pf_node_id *nodes, uint32_t count, uint32_t numerics,
                             pf_problem **out, pf_value_id **in_values, pf_value_id **out_values, pf_err *err)
{
    extraction x;
    pf_graph  *own = NULL;
    pf_status  st = extraction_init(&x, graph, nodes, count, err);

    *out = NULL;
    *in_values = *out_values = NULL;
    if (st)
        return st;
    st = arrange(&x, nodes, err);
    if (!st)
        st = build(&x, &own, err);
    for (uint32_t i = 0; i < count; i++)
        numerics &= ~graph->nodes[nodes[i]].refuses;
    if (!st)
        st = pf_problem_make(own, NULL, NULL, x.in_constant, numerics, out, err);
    if (!st) {
        *in_values = x.in_values;
        *out_values = x.out_values;
        x.in_values = x.out_values = NULL;
    }
    extraction_clear(&x);
    return st;
}
