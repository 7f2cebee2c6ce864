/* Products of one value with several constant matrices, each with a bias or without, are one product with the matrices
   side by side, and slices of it: queries, keys and values of attention, gate and rise of gated layers.
   Condition: the matrices lie the same way round, the value is not transposed, and all together are no more than
   LIMIT. */
#include <string.h>

#include "base/alloc.h"
#include "engine/fold.h"
#include "engine/make.h"
#include "engine/ops/attrs.h"

enum { LIMIT = 8 };

typedef struct factor {
    pf_node_id  root;           /* the product, or the addition of its bias */
    pf_value_id weights, bias;  /* bias PF_NONE: none */
    int64_t     columns;
} factor;

typedef struct factors {
    factor      at[LIMIT];
    uint32_t    count;
    bool        trans_w, has_bias;
    pf_dtype    dtype;
    int64_t     rows;
} factors;

static bool is_bias(const pf_graph *graph, pf_value_id value, int32_t rank, int64_t columns)
{
    double *items = pf_alloc((size_t)columns * sizeof *items);
    bool    fits = items && pf_fold_along(graph, value, rank, rank - 1, columns, items);

    pf_free(items);
    return fits;
}

/* The bias that is added behind a product, when nothing else reads the product. */
static void take_bias(const pf_graph *graph, factor *f)
{
    pf_value_id    made = graph->nodes[f->root].out[0];
    pf_node_id     user = pf_rewrite_used_once(graph, made) ? pf_graph_use(graph, made, 0).node : PF_NONE;
    const pf_node *add = user != PF_NONE && graph->nodes[user].op == PF_OP_ADD ? &graph->nodes[user] : NULL;

    if (!add || add->in[0] != made || !pf_shape_equal(&graph->values[made].shape, &graph->values[add->out[0]].shape) ||
        graph->values[add->in[1]].dtype != graph->values[made].dtype ||
        !is_bias(graph, add->in[1], graph->values[made].shape.rank, f->columns))
        return;
    f->bias = add->in[1];
    f->root = user;
}

/* A product of x, on the left and as it is, with a constant matrix. */
static bool read_factor(const pf_graph *graph, pf_use use, pf_value_id x, factor *out, bool *trans_w)
{
    const pf_node         *node = use.node == PF_NONE || use.slot != 0 ? NULL : &graph->nodes[use.node];
    const pf_matmul_attrs *matmul = node && node->op == PF_OP_MATMUL ? node->attrs : NULL;
    const pf_gemm_attrs   *gemm = node && node->op == PF_OP_GEMM ? node->attrs : NULL;
    const pf_value        *w = matmul || gemm ? &graph->values[node->in[1]] : NULL;

    if (!w || node->in[0] != x || !w->is_constant || w->shape.rank != 2 || graph->values[x].shape.rank < 2)
        return false;
    if (matmul ? matmul->trans_a != 0 : gemm->trans_a || gemm->alpha != 1 || gemm->beta != 1)
        return false;
    *trans_w = matmul ? matmul->trans_b : gemm->trans_b;
    *out = (factor){ .root = use.node, .weights = node->in[1], .bias = PF_NONE,
                     .columns = w->shape.dim[*trans_w ? 0 : 1] };
    if (gemm && node->in_count > 2 && node->in[2] != PF_NONE) {
        out->bias = node->in[2];
        return graph->values[node->in[2]].dtype == w->dtype && is_bias(graph, node->in[2], 2, out->columns);
    }
    take_bias(graph, out);
    return true;
}

static bool find_factors(const pf_graph *graph, pf_node_id id, factors *out)
{
    pf_value_id x = graph->nodes[id].in[0];
    factor      own = { 0 };

    *out = (factors){ .count = 0 };
    if (!read_factor(graph, (pf_use){ id, 0 }, x, &own, &out->trans_w))
        return false;
    out->dtype = graph->values[own.weights].dtype;
    out->rows = graph->values[own.weights].shape.dim[out->trans_w ? 1 : 0];
    for (uint32_t i = 0; i < pf_graph_use_count(graph, x); i++) {
        factor next = { 0 };
        bool   trans_w = false;

        if (!read_factor(graph, pf_graph_use(graph, x, i), x, &next, &trans_w) || trans_w != out->trans_w ||
            graph->values[next.weights].dtype != out->dtype)
            continue;
        if (out->count == LIMIT)
            return false;
        out->at[out->count++] = next;
        out->has_bias |= next.bias != PF_NONE;
    }
    return out->count > 1 && pf_dtype_is_float(out->dtype) && pf_dtype_bits(out->dtype) >= 8;
}

/* All matrices side by side: rows of a run from each; or one behind the other when they are transposed: one such row.
   run, pitch: elements. */
typedef struct joined {
    pf_late  late;
    uint32_t count;
    uint64_t pitch;
    struct { pf_constant from; uint64_t run; } at[LIMIT];
} joined;

/* Elements [first, first + count) of one matrix. */
static void copy_part(const pf_constant *from, pf_dtype dtype, uint64_t first, uint64_t count, char *to)
{
    const void *part = pf_constant_part(from, dtype, first, count, to);

    if (part != to)
        memcpy(to, part, pf_dtype_bytes(dtype, count));
}

static void fill_joined(const pf_late *late, uint64_t first, uint64_t count, void *out)
{
    const joined *j = (const joined *)late;
    const size_t  item = pf_dtype_bytes(late->dtype, 1);
    char         *to = out;

    while (count) {
        uint64_t row = first / j->pitch, column = first % j->pitch, part = 0;
        uint32_t i = 0;

        for (; column >= j->at[i].run; i++)
            column -= j->at[i].run;
        part = j->at[i].run - column < count ? j->at[i].run - column : count;
        copy_part(&j->at[i].from, late->dtype, row * j->at[i].run + column, part, to);
        to += item * part;
        first += part;
        count -= part;
    }
}

static void forget_joined(const pf_late *late)
{
    const joined *j = (const joined *)late;

    for (uint32_t i = 0; i < j->count; i++)
        pf_constant_forget(&j->at[i].from);
}

static pf_status join_weights(pf_graph *graph, const factors *f, int64_t columns, pf_value_id *out, pf_err *err)
{
    pf_shape shape = { 2, { f->trans_w ? columns : f->rows, f->trans_w ? f->rows : columns } };
    joined  *j = pf_arena_alloc(graph->arena, sizeof *j);

    *out = PF_NONE;
    if (!j)
        return PF_FAIL_MEMORY(err, sizeof *j);
    j->late.fill = fill_joined;
    j->late.forget = forget_joined;
    j->late.dtype = f->dtype;
    j->count = f->count;
    for (uint32_t i = 0; i < f->count; i++) {
        j->at[i].from = graph->values[f->at[i].weights].constant;
        j->at[i].run = (uint64_t)(f->at[i].columns * (f->trans_w ? f->rows : 1));
        j->pitch += j->at[i].run;
    }
    return pf_graph_add_late(graph, graph->values[f->at[0].weights].name, &shape, &j->late, out, err);
}

static pf_status join_biases(pf_graph *graph, const factors *f, int64_t columns, pf_value_id *out, pf_err *err)
{
    double   *items = pf_calloc((size_t)columns, sizeof *items), *to = items;
    pf_status st = items ? PF_OK : PF_FAIL_MEMORY(err, (size_t)columns * sizeof *items);

    for (uint32_t i = 0; i < f->count && !st; i++) {
        if (f->at[i].bias != PF_NONE) {
            int32_t rank = graph->values[f->at[i].bias].shape.rank > 0 ? graph->values[f->at[i].bias].shape.rank : 1;

            (void)pf_fold_along(graph, f->at[i].bias, rank, rank - 1, f->at[i].columns, to);
        }
        to += f->at[i].columns;
    }
    if (!st)
        st = pf_fold_vector(graph, f->dtype, items, columns, out, err);
    pf_free(items);
    return st;
}

static pf_status add_product(pf_graph *graph, pf_value_id x, const char *name, const factors *f, int64_t columns,
                             pf_value_id *out, pf_err *err)
{
    pf_value_id weights = PF_NONE, bias = PF_NONE;
    pf_status   st = join_weights(graph, f, columns, &weights, err);

    if (!st)
        st = pf_make_matmul(graph, name, x, weights, false, f->trans_w, out, err);
    if (!st && f->has_bias)
        st = join_biases(graph, f, columns, &bias, err);
    return st || !f->has_bias ? st : pf_make_binary(graph, PF_OP_ADD, name, *out, bias, out, err);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    factors     f = { .count = 0 };
    const char *name = graph->nodes[id].name;
    int64_t     columns = 0, start = 0;
    pf_value_id whole = PF_NONE;
    pf_status   st = PF_OK;

    if ((graph->nodes[id].op != PF_OP_MATMUL && graph->nodes[id].op != PF_OP_GEMM) || !find_factors(graph, id, &f))
        return PF_OK;
    for (uint32_t i = 0; i < f.count && name; i++) {
        columns += f.at[i].columns;
        name = pf_rewrite_joined_name(graph, name, graph->nodes[f.at[i].root].name);
    }
    if (!name)
        return PF_FAIL_MEMORY(err, 1);
    st = add_product(graph, graph->nodes[id].in[0], name, &f, columns, &whole, err);
    for (uint32_t i = 0; i < f.count && !st; i++) {
        pf_value_id part = PF_NONE;

        st = pf_make_slice(graph, graph->nodes[f.at[i].root].name, whole, graph->values[whole].shape.rank - 1, start,
                           start + f.at[i].columns, 1, &part, err);
        if (!st)
            st = pf_rewrite_replace(rewrite, f.at[i].root, 0, part, changed, err);
        start += f.at[i].columns;
    }
    return st;
}

const pf_rule pf_rule_merge_products = {
    .name = "merge_products", .summary = "one product where several constant matrices meet one value",
    .phase = PF_RULES_MERGE, .default_on = true, .may_lose = PF_RULE_LOSES_SELDOM, .apply = apply,
};
