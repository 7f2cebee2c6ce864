/* Attention: the scores of some heads at a time by oneDNN, softmax with all masks in place, then the product with the
   values.  Either all threads share the heads of a pass, or each thread has heads of its own and never waits for
   another.  q, k and v may be windows on their inputs, and the result may be written through one. */
#include <math.h>
#include <omp.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/onednn.h"
#include "engine/ops/attrs.h"
#include "engine/strided.h"
#include "kernels/cpu_softmax.h"

enum { Q, K, V, MASK, VALID, OPERANDS };
enum { CACHE_BYTES = 1 << 20, ALIGNMENT = 256, SERIAL_ELEMS = 1 << 13 };

typedef struct attention {              /* what a problem asks for */
    pf_strided  in[3], y;
    pf_value_id mask, valid;            /* PF_NONE: none */
    const pf_attention_attrs *attrs;
} attention;

typedef struct attention_impl {
    pf_isa        isa;
    pf_onednn_op *scores, *products;
    uint32_t      slot[OPERANDS];       /* UINT32_MAX: none */
    /* floats, of q, k and v; head_step: from one key head to the next */
    int64_t       at[3], batch_step[3], head_step[3];
    int64_t       y_batch_step, y_head_step;
    int64_t       batches, key_heads, heads_at_once, group, queries, keys;
    bool          per_thread;           /* each thread runs passes of one head by itself */
    size_t        pass_bytes;           /* of the workspace: scores and scratch of one pass */
    int64_t       mask_step[4];         /* elements per batch, head, query, key */
    bool          mask_is_bool;
    int32_t       causal;
    float         scale, softcap;
} attention_impl;

static pf_value_id operand(const pf_node *node, uint32_t slot)
{
    return node->in_count > slot ? node->in[slot] : PF_NONE;
}

static const char *read_attention(const pf_problem *p, attention *out)
{
    const pf_node *node = pf_problem_anchor(p);
    const char    *reason = NULL;
    pf_epilogue    chain;

    if (node->op != PF_OP_ATTENTION)
        return "not attention";
    *out = (attention){ .mask = operand(node, MASK), .valid = operand(node, VALID), .attrs = node->attrs };
    for (int i = 0; i < 3 && !reason; i++)
        reason = pf_strided_read(p, node->in[i], &out->in[i]);
    if (!reason)
        reason = pf_epilogue_read_to_moves(p, node->out[0], &chain);
    if (!reason && chain.count)
        reason = "an epilogue";
    return reason ? reason : pf_strided_write(p, node->out[0], &out->y);
}

static bool is_linear_input(const pf_problem *p, pf_value_id value)
{
    uint32_t input = pf_problem_input_index(p, value);

    return input != UINT32_MAX &&
           pf_layout_same_bytes(p->in_layout[input], PF_LAYOUT_LINEAR, pf_problem_shape(p, value));
}

/* Each dim of the mask is 1 or that of the scores. */
static bool mask_fits(const pf_problem *p, const attention *a)
{
    const pf_value *mask = pf_graph_value(p->graph, a->mask);
    const pf_dim    scores[4] = { a->in[Q].dim[0], a->in[Q].dim[1], a->in[Q].dim[2], a->in[K].dim[2] };

    if ((mask->dtype != PF_F32 && mask->dtype != PF_BOOL) || mask->shape.rank > 4)
        return false;
    for (int32_t d = 0; d < mask->shape.rank; d++)
        if (mask->shape.dim[d] != 1 && mask->shape.dim[d] != scores[d + 4 - mask->shape.rank])
            return false;
    return true;
}

static const char *declines(const pf_device *device, const pf_problem *p)
{
    attention   a;
    const char *reason = read_attention(p, &a);

    (void)device;
    if (reason)
        return reason;
    for (int i = 0; i < 3; i++) {
        if (pf_graph_value(p->graph, a.in[i].base)->dtype != PF_F32)
            return "not f32";
        if (!is_linear_input(p, a.in[i].base))
            return "q, k or v is not linear, or computed inside";
        if (a.in[i].unit != 3 && !(i == K && a.in[i].unit == 2))
            return "the depth of heads is not contiguous";
    }
    if (a.y.unit != 3)
        return "the depth of heads is not contiguous";
    if (pf_dim_is_symbolic(a.in[Q].dim[1]) || pf_dim_is_symbolic(a.in[K].dim[1]))
        return "the number of heads is not known";
    if (a.mask != PF_NONE && (!is_linear_input(p, a.mask) || !mask_fits(p, &a)))
        return "a mask of another kind";
    if (a.valid != PF_NONE && !is_linear_input(p, a.valid))
        return "lengths are not an input";
    return p->out_layout[0] == PF_LAYOUT_LINEAR ? NULL : "the result is not linear";
}

/* How many heads go together: one a thread, all, as many as their scores fit a core's cache, or one by all threads. */
static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    static const char *const kinds[] = { "thread", "cache", "all", "one" };
    pf_status                st = PF_OK;

    (void)device, (void)p;
    for (int i = 0; i < (effort > 1 ? 4 : effort > 0 ? 2 : 1) && !st; i++)
        st = pf_tuning_add(out, err, "heads=%s", kinds[i]);
    return st;
}

/* ---- Making the two products */
static int64_t heads_at_once(const char *tuning, const attention_impl *impl)
{
    int64_t bytes = impl->group * impl->queries * impl->keys * (int64_t)sizeof(float), heads = impl->key_heads;

    if (strcmp(tuning, "heads=one") == 0 || impl->per_thread)
        heads = 1;
    if (strcmp(tuning, "heads=cache") == 0 && bytes > 0 && CACHE_BYTES / bytes < heads)
        heads = CACHE_BYTES / bytes < 1 ? 1 : CACHE_BYTES / bytes;
    while (impl->key_heads % heads)
        heads--;
    return heads;
}

/* [heads, group, rows, columns]; k and v have a group of one, which is broadcast. */
static pf_status describe(int64_t heads, int64_t group, int64_t rows, int64_t columns, int64_t head_step,
                          int64_t group_step, int64_t row_step, int64_t column_step, dnnl_memory_desc_t *out,
                          pf_err *err)
{
    dnnl_dims_t   dims = { heads, group, rows, columns }, strides = { head_step, group_step, row_step, column_step };
    dnnl_status_t status = dnnl_memory_desc_init_by_strides(out, 4, dims, dnnl_f32, strides);

    return status ? pf_onednn_fail(status, "describe heads", err) : PF_OK;
}

typedef struct maker {
    pf_device          *device;
    attention_impl     *impl;
    dnnl_memory_desc_t  q, k, v, s, y;
    size_t              workspace_bytes;
} maker;

/* A thread that works by itself needs a primitive for one thread: oneDNN looks at OpenMP's setting when it makes
   one. */
static pf_status choose_product(maker *m, const dnnl_matmul_desc_t *desc, const_dnnl_primitive_attr_t attr,
                                dnnl_primitive_desc_t *out, pf_err *err)
{
    dnnl_primitive_desc_iterator_t all = NULL;
    dnnl_status_t                  status = dnnl_success;

    if (!m->impl->per_thread)
        return pf_onednn_choose(m->device, desc, attr, "", false, out, err);
    omp_set_num_threads(1);
    status = dnnl_primitive_desc_iterator_create(&all, desc, attr, pf_device_cpu_dnnl(m->device), NULL);
    if (!status)
        *out = dnnl_primitive_desc_iterator_fetch(all);
    if (all)
        dnnl_primitive_desc_iterator_destroy(all);
    return *out ? PF_OK : pf_onednn_fail(status ? status : dnnl_unimplemented, "multiply heads", err);
}

static pf_status make_product(maker *m, const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b,
                              const dnnl_memory_desc_t *y, pf_onednn_args *args, pf_onednn_op **out, pf_err *err)
{
    dnnl_matmul_desc_t    desc;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t chosen = NULL;
    dnnl_status_t         status = dnnl_matmul_desc_init(&desc, a, b, NULL, y);
    pf_status             st = status ? pf_onednn_fail(status, "describe a product of heads", err) : PF_OK;

    if (!st)
        st = pf_onednn_attr(&attr, err);
    if (!st)
        st = choose_product(m, &desc, attr, &chosen, err);
    if (!st) {
        const dnnl_memory_desc_t *scratch = dnnl_primitive_desc_query_md(chosen, dnnl_query_scratchpad_md, 0);

        if (scratch && dnnl_memory_desc_get_size(scratch)) {
            pf_onednn_args_add(args, DNNL_ARG_SCRATCHPAD, PF_ONEDNN_WORKSPACE, 0, m->workspace_bytes, scratch);
            m->workspace_bytes += (dnnl_memory_desc_get_size(scratch) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
        st = pf_onednn_op_new(m->device, chosen, args,
                              m->impl->per_thread ? 2 * (uint32_t)m->device->threads : PF_ONEDNN_AT_ONCE, out, err);
    }
    if (chosen)
        dnnl_primitive_desc_destroy(chosen);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return st;
}

static pf_status describe_all(maker *m, const attention *a, pf_err *err)
{
    const attention_impl *impl = m->impl;
    int64_t               h = impl->heads_at_once, g = impl->group, depth = a->in[Q].dim[3], width = a->in[V].dim[3];
    int64_t               cells = impl->queries * impl->keys;
    pf_status             st = describe(h, g, impl->queries, depth, g * a->in[Q].stride[1], a->in[Q].stride[1],
                                        a->in[Q].stride[2], 1, &m->q, err);

    if (!st)
        st = describe(h, 1, depth, impl->keys, a->in[K].stride[1], a->in[K].stride[1], a->in[K].stride[3],
                      a->in[K].stride[2], &m->k, err);
    if (!st)
        st = describe(h, g, impl->queries, impl->keys, g * cells, cells, impl->keys, 1, &m->s, err);
    if (!st)
        st = describe(h, 1, impl->keys, width, a->in[V].stride[1], a->in[V].stride[1], a->in[V].stride[2], 1, &m->v,
                      err);
    if (!st)
        st = describe(h, g, impl->queries, width, g * a->y.stride[1], a->y.stride[1], a->y.stride[2], 1, &m->y, err);
    return st;
}

static pf_status make_products(maker *m, pf_err *err)
{
    pf_onednn_args scores = { .count = 0 }, products = { .count = 0 };
    pf_status      st = PF_OK;

    m->workspace_bytes = (dnnl_memory_desc_get_size(&m->s) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    pf_onednn_args_add(&scores, DNNL_ARG_SRC, PF_ONEDNN_IN, Q, 0, &m->q);
    pf_onednn_args_add(&scores, DNNL_ARG_WEIGHTS, PF_ONEDNN_IN, K, 0, &m->k);
    pf_onednn_args_add(&scores, DNNL_ARG_DST, PF_ONEDNN_WORKSPACE, 0, 0, &m->s);
    pf_onednn_args_add(&products, DNNL_ARG_SRC, PF_ONEDNN_WORKSPACE, 0, 0, &m->s);
    pf_onednn_args_add(&products, DNNL_ARG_WEIGHTS, PF_ONEDNN_IN, V, 0, &m->v);
    pf_onednn_args_add(&products, DNNL_ARG_DST, PF_ONEDNN_OUT, 0, 0, &m->y);
    st = make_product(m, &m->q, &m->k, &m->s, &scores, &m->impl->scores, err);
    return st ? st : make_product(m, &m->s, &m->v, &m->y, &products, &m->impl->products, err);
}

static void plan_mask(const pf_problem *p, const attention *a, attention_impl *impl)
{
    const pf_shape *shape = a->mask == PF_NONE ? NULL : pf_problem_shape(p, a->mask);
    int64_t         step = 1;

    if (!shape)
        return;
    impl->mask_is_bool = pf_graph_value(p->graph, a->mask)->dtype == PF_BOOL;
    for (int32_t d = shape->rank; d-- > 0;) {
        impl->mask_step[d + 4 - shape->rank] = shape->dim[d] == 1 ? 0 : step;
        step *= shape->dim[d];
    }
}

static void plan(const pf_problem *p, const attention *a, const char *tuning, attention_impl *impl)
{
    const pf_attention_attrs *attrs = a->attrs;

    for (int i = 0; i < 3; i++) {
        impl->slot[i] = pf_problem_input_index(p, a->in[i].base);
        impl->at[i] = a->in[i].offset;
        impl->batch_step[i] = a->in[i].stride[0];
        impl->head_step[i] = a->in[i].stride[1];
    }
    impl->slot[MASK] = a->mask == PF_NONE ? UINT32_MAX : pf_problem_input_index(p, a->mask);
    impl->slot[VALID] = a->valid == PF_NONE ? UINT32_MAX : pf_problem_input_index(p, a->valid);
    impl->batches = a->in[Q].dim[0];
    impl->key_heads = a->in[K].dim[1];
    impl->group = a->in[Q].dim[1] / impl->key_heads;
    impl->queries = a->in[Q].dim[2];
    impl->keys = a->in[K].dim[2];
    impl->head_step[Q] *= impl->group;
    impl->y_batch_step = a->y.stride[0];
    impl->y_head_step = a->y.stride[1] * impl->group;
    impl->causal = attrs->causal;
    impl->softcap = (float)attrs->softcap;
    impl->scale = (float)(attrs->scale != 0 ? attrs->scale : 1 / sqrt((double)a->in[Q].dim[3]));
    plan_mask(p, a, impl);
    impl->per_thread = strcmp(tuning, "heads=thread") == 0;
    impl->heads_at_once = heads_at_once(tuning, impl);
}

static void release(pf_step *step)
{
    attention_impl *impl = step->impl;

    pf_onednn_op_free(impl->scores);
    pf_onednn_op_free(impl->products);
    pf_free(impl);
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    pf_step  *step = NULL;
    maker     m = { .device = device };
    attention a;
    pf_status st = PF_OK;

    (void)saved, (void)saved_bytes;
    *out = NULL;
    (void)read_attention(p, &a);
    if (!pf_problem_is_bound(p) || a.in[K].dim[1] < 1 || a.in[Q].dim[1] % a.in[K].dim[1])
        return PF_FAIL(err, PF_INVALID, "a step needs a problem whose dims are numbers that fit together");
    step = pf_step_new(&pf_tactic_cpu_attention, sizeof *m.impl);
    if (!step)
        return PF_FAIL_MEMORY(err, sizeof *m.impl);
    m.impl = step->impl;
    m.impl->isa = pf_device_cpu_isa(device);
    plan(p, &a, tuning, m.impl);
    st = describe_all(&m, &a, err);
    if (!st)
        st = make_products(&m, err);
    pf_device_cpu_enter(device);
    if (st) {
        pf_step_free(step);
        return st;
    }
    m.impl->pass_bytes = m.workspace_bytes;
    step->workspace_bytes = m.workspace_bytes * (m.impl->per_thread ? (size_t)device->threads : 1);
    *out = step;
    return PF_OK;
}

/* ---- Running */
static void softmax(const attention_impl *impl, const pf_bindings *b, int64_t batch, int64_t first_head, float *scores,
                    int32_t threads)
{
    const char    *mask = impl->slot[MASK] == UINT32_MAX ? NULL : b->in[impl->slot[MASK]];
    const int64_t *lengths = impl->slot[VALID] == UINT32_MAX ? NULL : b->in[impl->slot[VALID]];
    int64_t        valid = lengths ? lengths[batch] : impl->keys,
                   rows = impl->heads_at_once * impl->group * impl->queries;
    int64_t        ahead = impl->causal == PF_CAUSAL_BOTTOM_RIGHT ? valid - impl->queries : 0;

#pragma omp parallel for num_threads(threads) if (threads > 1 && rows * impl->keys >= SERIAL_ELEMS) schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        int64_t        head = first_head * impl->group + r / impl->queries, query = r % impl->queries, visible = valid;
        int64_t        at = batch * impl->mask_step[0] + head * impl->mask_step[1] + query * impl->mask_step[2];
        pf_softmax_row row = { .x = scores + r * impl->keys, .n = impl->keys, .scale = impl->scale,
                               .softcap = impl->softcap, .mask_step = impl->mask_step[3] };

        if (impl->causal != PF_CAUSAL_NONE && query + ahead + 1 < visible)
            visible = query + ahead + 1;
        row.visible = visible < 0 ? 0 : visible > impl->keys ? impl->keys : visible;
        if (mask && impl->mask_is_bool)
            row.keep = (const uint8_t *)mask + at;
        else if (mask)
            row.mask = (const float *)(const void *)mask + at;
        pf_softmax_row_run(impl->isa, &row);
    }
}

/* One pass: heads_at_once key heads from `head` on, by `threads` threads, with scores in `memory`. */
static pf_status run_heads(const attention_impl *impl, const pf_bindings *b, pf_stream *stream, int64_t batch,
                           int64_t head, void *memory, int32_t threads, pf_err *err)
{
    void       *in[3] = { NULL },
               *out[1] = { (float *)b->out[0] + batch * impl->y_batch_step + head * impl->y_head_step };
    pf_bindings own = { in, out, NULL, memory };
    pf_status   st = PF_OK;

    for (int i = 0; i < 3; i++)
        in[i] = (float *)b->in[impl->slot[i]] + impl->at[i] + batch * impl->batch_step[i] + head * impl->head_step[i];
    st = pf_onednn_op_run(impl->scores, &own, stream, err);
    if (!st)
        softmax(impl, b, batch, head, memory, threads);
    return st ? st : pf_onednn_op_run(impl->products, &own, stream, err);
}

static pf_status run_per_thread(const attention_impl *impl, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    int64_t    passes = impl->batches * impl->key_heads;
    atomic_int failed = PF_OK;

#pragma omp parallel for num_threads(pf_stream_cpu_threads(stream)) schedule(dynamic)
    for (int64_t i = 0; i < passes; i++) {
        char     *memory = (char *)b->workspace + (size_t)omp_get_thread_num() * impl->pass_bytes;
        pf_err    own = { 0 };
        pf_status st = run_heads(impl, b, stream, i / impl->key_heads, i % impl->key_heads, memory, 1, &own);

        if (st)
            atomic_store(&failed, (int)st);
    }
    return failed ? PF_FAIL(err, (pf_status)failed, "oneDNN failed at a head of attention") : PF_OK;
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const attention_impl *impl = step->impl;
    pf_status             st = PF_OK;

    pf_stream_cpu_enter(stream);
    if (impl->per_thread)
        return run_per_thread(impl, b, stream, err);
    for (int64_t batch = 0; batch < impl->batches && !st; batch++)
        for (int64_t head = 0; head < impl->key_heads && !st; head += impl->heads_at_once)
            st = run_heads(impl, b, stream, batch, head, b->workspace, pf_stream_cpu_threads(stream), err);
    return st;
}

const pf_tactic pf_tactic_cpu_attention = {
    .name = "cpu_attention", .rev = 1, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = pf_tactic_prefers_linear, .tunings = tunings, .prepare = prepare,
    .enqueue = enqueue, .release = release,
};
