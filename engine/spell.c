#include "engine/spell.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/make.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

enum { SWEEPS = 4, OUTPUTS_MAX = 4, BEHIND_MOST = 8 };

static pf_spelling *const spellings[PF_OP_COUNT] = {
    [PF_OP_ATTENTION] = pf_spell_attention,
    [PF_OP_MATMUL] = pf_spell_matmul,
    [PF_OP_CONV] = pf_spell_conv,
    [PF_OP_CONV_TRANSPOSE] = pf_spell_conv_transpose,
    [PF_OP_MAX_POOL] = pf_spell_pool,
    [PF_OP_AVERAGE_POOL] = pf_spell_pool,
    [PF_OP_INSTANCE_NORM] = pf_spell_channel_norm,
    [PF_OP_GROUP_NORM] = pf_spell_channel_norm,
    [PF_OP_BATCH_NORM] = pf_spell_batch_norm,
    [PF_OP_DEPTH_TO_SPACE] = pf_spell_depth_to_space,
    [PF_OP_SPACE_TO_DEPTH] = pf_spell_space_to_depth,
    [PF_OP_QUANTIZE_LINEAR] = pf_spell_quantize,
    [PF_OP_DEQUANTIZE_LINEAR] = pf_spell_dequantize,
    [PF_OP_DYNAMIC_QUANTIZE_LINEAR] = pf_spell_dynamic_quantize,
    [PF_OP_MATMUL_INTEGER] = pf_spell_matmul_integer,
    [PF_OP_HARDMAX] = pf_spell_hardmax,
    [PF_OP_LP_NORM] = pf_spell_lp_norm,
    [PF_OP_MEAN_VARIANCE_NORM] = pf_spell_mean_variance_norm,
    [PF_OP_LRN] = pf_spell_lrn, [PF_OP_DIM_VALUES] = pf_spell_dim_values,
    [PF_OP_CONCAT] = pf_spell_concat,
    [PF_OP_REDUCE] = pf_spell_reduce_op,
    [PF_OP_RESIZE] = pf_spell_resize,
    [PF_OP_ROTARY_EMBEDDING] = pf_spell_rotary_embedding,
    [PF_OP_ONE_HOT] = pf_spell_one_hot,
    [PF_OP_DFT] = pf_spell_dft,
    [PF_OP_STFT] = pf_spell_stft,
    [PF_OP_COL2IM] = pf_spell_col2im,
    [PF_OP_DEFORM_CONV] = pf_spell_deform_conv,
    [PF_OP_MAX_UNPOOL] = pf_spell_max_unpool,
};

/* ---- What a value is made by */

static bool is_behind(const pf_graph *graph, pf_value_id value, bool (*is_source)(pf_op_kind), int depth)
{
    pf_node_id     producer = graph->values[value].producer;
    const pf_node *node = producer == PF_NONE ? NULL : &graph->nodes[producer];

    if (!node || depth == 0)
        return false;
    for (uint32_t i = 0; pf_op_is_pointwise(node->op) && i < node->in_count; i++)
        if (node->in[i] != PF_NONE && is_behind(graph, node->in[i], is_source, depth - 1))
            return true;
    return is_source(node->op);
}

bool pf_spell_is_behind(const pf_graph *graph, pf_value_id value, bool (*is_source)(pf_op_kind op))
{
    return is_behind(graph, value, is_source, BEHIND_MOST);
}

/* ---- Nodes in the making */

const pf_shape *pf_spell_shape(const pf_speller *s, pf_value_id x)
{
    static const pf_shape none;

    return x == PF_NONE ? &none : &s->graph->values[x].shape;
}

pf_dtype pf_spell_dtype(const pf_speller *s, pf_value_id x)
{
    return x == PF_NONE ? PF_DTYPE_NONE : s->graph->values[x].dtype;
}

bool pf_spell_has(const pf_node *node, uint32_t slot) { return slot < node->in_count && node->in[slot] != PF_NONE; }

static pf_value_id done(const pf_speller *s, pf_value_id out) { return s->status ? PF_NONE : out; }

pf_value_id pf_spell_node(pf_speller *s, pf_op_kind op, const pf_value_id *in, uint32_t count, const void *attrs)
{
    pf_value_id out = PF_NONE;

    if (!s->status)
        s->status = pf_graph_add_node(s->graph, op, s->name, in, count, attrs, 1, &out, s->err);
    return done(s, out);
}

pf_value_id pf_spell_reshape(pf_speller *s, pf_value_id x, int32_t rank, const pf_dim *dim)
{
    pf_shape    shape = { .rank = rank };
    pf_value_id out = PF_NONE;

    memcpy(shape.dim, dim, (size_t)rank * sizeof *dim);
    if (!s->status)
        s->status = pf_make_reshape(s->graph, s->name, x, &shape, &out, s->err);
    return done(s, out);
}

pf_value_id pf_spell_transpose(pf_speller *s, pf_value_id x, const int64_t *perm)
{
    pf_value_id out = PF_NONE;

    if (!s->status)
        s->status = pf_make_transpose(s->graph, s->name, x, perm, &out, s->err);
    return done(s, out);
}

pf_value_id pf_spell_slice(pf_speller *s, pf_value_id x, int64_t axis, pf_dim start, pf_dim end)
{
    pf_value_id out = PF_NONE;

    if (!s->status)
        s->status = pf_make_slice(s->graph, s->name, x, axis, start, end, 1, &out, s->err);
    return done(s, out);
}

pf_value_id pf_spell_cast(pf_speller *s, pf_value_id x, pf_dtype dtype)
{
    pf_value_id out = PF_NONE;

    if (!s->status)
        s->status = pf_make_cast(s->graph, s->name, x, dtype, &out, s->err);
    return done(s, out);
}

pf_value_id pf_spell_unary(pf_speller *s, pf_op_kind op, pf_value_id x, double p, double q)
{
    pf_value_id out = PF_NONE;

    if (!s->status)
        s->status = pf_make_unary(s->graph, op, s->name, x, p, q, &out, s->err);
    return done(s, out);
}

pf_value_id pf_spell_binary(pf_speller *s, pf_op_kind op, pf_value_id a, pf_value_id b)
{
    return pf_spell_node(s, op, (pf_value_id[]){ a, b }, 2, NULL);
}

pf_value_id pf_spell_number(pf_speller *s, pf_op_kind op, pf_value_id x, double number)
{
    pf_value_id out = PF_NONE;

    if (!s->status)
        s->status = pf_make_with_number(s->graph, op, s->name, x, number, &out, s->err);
    return done(s, out);
}

pf_value_id pf_spell_reduce(pf_speller *s, int32_t mode, pf_value_id x, const pf_ints *axes)
{
    pf_reduce_attrs attrs = { .mode = mode, .axes = *axes, .keepdims = 1 };

    return pf_spell_node(s, PF_OP_REDUCE, &x, 1, &attrs);
}

pf_value_id pf_spell_range(pf_speller *s, pf_dim start, pf_dim end, int32_t behind)
{
    pf_range_attrs attrs = { .dtype = PF_I64, .bounds = { 3, { start, end, 1 } } };
    pf_value_id    range = pf_spell_node(s, PF_OP_RANGE, NULL, 0, &attrs);
    pf_dim         dim[PF_MAX_RANK] = { pf_spell_shape(s, range)->dim[0] };

    for (int32_t d = 0; d < behind; d++)
        dim[d + 1] = 1;
    return pf_spell_reshape(s, range, behind + 1, dim);
}

/* ---- The pass */

typedef struct pass {
    pf_graph              *graph;
    const pf_device       *device;
    const pf_profile      *profile;
    const pf_region_rules *rules;
    uint32_t               count;       /* ops that were written out */
} pass;

/* Some tactic takes the op alone, at the usual shapes too. What cannot be asked is left as it is. */
static bool is_taken(const pass *p, pf_node_id id)
{
    pf_problem  *problem = NULL, *bound = NULL;
    pf_value_id *in = NULL, *out = NULL;
    bool         taken = true;

    if (!pf_problem_extract(p->graph, &id, 1, p->rules->numerics, &problem, &in, &out, NULL)) {
        taken = pf_region_taker(p->device, problem, p->rules) != NULL;
        if (taken && !pf_problem_is_bound(problem) &&
            !pf_problem_bind(problem, p->graph->dims, p->profile->usual, &bound, NULL))
            taken = pf_region_taker(p->device, bound, p->rules) != NULL;
    }
    pf_problem_free(bound);
    pf_problem_free(problem);
    pf_free(in);
    pf_free(out);
    return taken;
}

static bool keeps_type(const pf_graph *graph, const pf_node *node, uint32_t o, pf_value_id made)
{
    return graph->values[made].dtype == graph->values[node->out[o]].dtype;
}

static pf_status spell_node(pass *p, pf_node_id id, bool *changed, pf_err *err)
{
    pf_node     node = p->graph->nodes[id];
    pf_node_id  first = p->graph->node_count;
    pf_err      own = { 0 };
    pf_speller  s = { .graph = p->graph, .name = node.name, .err = &own };
    pf_value_id out[OUTPUTS_MAX] = { PF_NONE, PF_NONE, PF_NONE, PF_NONE };
    pf_status   st = PF_OK;

    if (node.out_count > OUTPUTS_MAX)
        return PF_OK;
    spellings[node.op](&s, &node, out);
    if (s.status == PF_NO_SPACE)
        return pf_err_set(err, s.status, own.file, own.line, "%s", own.msg);
    if (s.status) {
        pf_log(PF_LOG_WARN, "spell", "left node=\"%s\" op=%s reason=\"%s\"", node.name, pf_op_def_of(node.op)->name,
               own.msg);
        return PF_OK;
    }
    for (uint32_t o = 0; o < node.out_count; o++)
        if (pf_graph_use_count(p->graph, node.out[o]) && (out[o] == PF_NONE || !keeps_type(p->graph, &node, o, out[o])))
            return PF_OK;
    for (pf_node_id n = first; n < p->graph->node_count; n++)
        p->graph->nodes[n].refuses |= node.refuses;
    for (uint32_t o = 0; o < node.out_count && !st; o++)
        if (out[o] != PF_NONE)
            st = pf_graph_replace(p->graph, node.out[o], out[o], err);
    p->count++;
    *changed = true;
    return st;
}

static bool is_better(const pf_graph *graph, const pf_node *node)
{
    return pf_spell_adds_nothing(graph, node) || pf_spell_reduces_lines(graph, node);
}

/* Where the host is the device its references know every op: there only what would leave all that reads it to them. */
static bool may_spell(const pass *p, const pf_node *node)
{
    return node->live && spellings[node->op] && (!p->device->host_is_device || node->op == PF_OP_DIM_VALUES);
}

static pf_status sweep(pass *p, bool *changed, pf_err *err)
{
    uint32_t  count = p->graph->node_count;
    pf_status st = PF_OK;

    for (pf_node_id id = 0; id < count && !st; id++)
        if (may_spell(p, &p->graph->nodes[id]) &&
            (is_better(p->graph, &p->graph->nodes[id]) || !is_taken(p, id)))
            st = spell_node(p, id, changed, err);
    pf_graph_remove_dead(p->graph);
    return st ? st : pf_graph_infer(p->graph, err);
}

pf_status pf_spell_out(pf_graph *graph, const pf_device *device, const pf_profile *profile,
                       const pf_region_rules *rules, pf_err *err)
{
    pf_rewrite_options options = { .only = "drop_dead,fold_constants,drop_identity,merge_reshapes,merge_casts" };
    pass               p = { graph, device, profile, rules, 0 };
    bool               changed = true;
    pf_status          st = PF_OK;

    for (int i = 0; i < SWEEPS && changed && !st; i++) {
        changed = false;
        st = sweep(&p, &changed, err);
    }
    if (st || !p.count)
        return st;
    st = pf_spell_lift(graph, err);
    if (st)
        return st;
    pf_log(PF_LOG_DEBUG, "spell", "written-out ops=%u", p.count);
    return pf_rewrite_run(graph, &options, NULL, err);
}
