#include "engine/cuda/codegen_recurrent.h"

#include <stdio.h>
#include <string.h>

#include "engine/cuda/codegen.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

extern const char pf_nvrtc_recurrent[], pf_nvrtc_recurrent_cluster[];   /* kernels/nvrtc/<name>.cuh */

enum { X, W, R, BIAS, LENGTHS, INITIAL_H, INITIAL_C, PEEPHOLES, OPERANDS };
enum { SOURCE_LIMIT_BYTES = 1 << 20, SHARED_LIMIT_BYTES = 96 << 10, CLUSTER_SHARED_LIMIT_BYTES = 227 << 10 };
/* Of a block in a cluster: warps, and those of one that is alone, parts of a sum, sequences, entries of x held at once,
   and registers of a thread that keep weights. */
enum { WARPS_MAX = 16, WARPS_ALONE_MAX = 32 };
enum { PARTS_MAX = 4, COLUMNS_MAX = 8, SLICE_MAX = 512, KEPT_REGISTERS_MAX = 64 };

/* The function's text of v with its alpha (a) and beta (b). */
static const char *const functions[] = {
    [PF_RNN_TANH] = "tanhf(v)", [PF_RNN_SIGMOID] = "1.0f / (1.0f + expf(-v))", [PF_RNN_RELU] = "v < 0.0f ? 0.0f : v",
    [PF_RNN_AFFINE] = "a * v + b",
    [PF_RNN_LEAKY_RELU] = "v < 0.0f ? a * v : v", [PF_RNN_THRESHOLDED_RELU] = "v > a ? v : 0.0f",
    [PF_RNN_SCALED_TANH] = "a * tanhf(b * v)",
    [PF_RNN_HARD_SIGMOID] = "fminf(fmaxf(a * v + b, 0.0f), 1.0f)", [PF_RNN_ELU] = "v < 0.0f ? a * expm1f(v) : v",
    [PF_RNN_SOFTSIGN] = "v / (1.0f + fabsf(v))", [PF_RNN_SOFTPLUS] = "fmaxf(v, 0.0f) + log1pf(expf(-fabsf(v)))",
};

/* Where results have 16 bits: off by some 1e-7, for two approximate instructions instead of some thirty.  What they
   make of the largest and the least numbers is right too: the quotient by an infinity is 0. */
static const char *const approximate_functions[] = {
    [PF_RNN_TANH] = "1.0f - __fdividef(2.0f, 1.0f + __expf(2.0f * v))",
    [PF_RNN_SIGMOID] = "__fdividef(1.0f, 1.0f + __expf(-v))",
};

static const char *function_of(int kind, bool approximate)
{
    bool has = approximate && (size_t)kind < sizeof approximate_functions / sizeof *approximate_functions &&
               approximate_functions[kind];

    return has ? approximate_functions[kind] : functions[kind];
}

static const pf_node *node_of(const pf_problem *p)
{
    const pf_node *node = p->graph->node_count == 1 ? &p->graph->nodes[0] : NULL;

    return node && pf_op_def_of(node->op)->flags & PF_OPF_RECURRENT ? node : NULL;
}

static int gates_of(const pf_node *node) { return node->op == PF_OP_LSTM ? 4 : node->op == PF_OP_GRU ? 3 : 1; }
static int functions_of(const pf_node *node) { return node->op == PF_OP_LSTM ? 3 : node->op == PF_OP_GRU ? 2 : 1; }
static int directions_of(const pf_rnn_attrs *attrs) { return attrs->direction == PF_RNN_BIDIRECTIONAL ? 2 : 1; }

static int64_t shared_bytes(const pf_problem *p, const pf_node *node)
{
    int64_t input = pf_graph_value(p->graph, node->in[X])->shape.dim[2],
            hidden = ((const pf_rnn_attrs *)node->attrs)->hidden;

    return (input + 3 * hidden + 2 * gates_of(node) * hidden) * 4;
}

const char *pf_codegen_recurrent_declines(const pf_problem *p)
{
    const pf_node *node = node_of(p);

    if (!node) return "not one recurrent op";
    if (!pf_dim_is_number(pf_graph_value(p->graph, node->in[X])->shape.dim[2])) return "input of unknown size";
    if (shared_bytes(p, node) > SHARED_LIMIT_BYTES) return "states that do not fit into shared memory";
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        if (p->in_layout[i] != PF_LAYOUT_LINEAR ||
            !cg_storage_type(pf_graph_value(p->graph, p->graph->inputs[i])->dtype))
            return "element type or layout";
    for (uint32_t i = 0; i < p->graph->output_count; i++)
        if (p->out_layout[i] != PF_LAYOUT_LINEAR) return "layout";
    return pf_dtype_is_float(pf_graph_value(p->graph, node->in[X])->dtype) ? NULL : "not floats";
}

/* ---- Operands */

static uint32_t input_index(const pf_problem *p, const pf_node *node, uint32_t slot)
{
    for (uint32_t i = 0; slot < node->in_count && i < p->graph->input_count; i++)
        if (node->in[slot] != PF_NONE && p->graph->inputs[i] == node->in[slot]) return i;
    return UINT32_MAX;
}

static void print_loads(const pf_problem *p, const pf_node *node, pf_buf *out)
{
    static const char *const names[OPERANDS] = { "X", "W", "R", "B", "LENGTH", "H", "C", "P" };
    static const char *const flags[OPERANDS] = { NULL, NULL, NULL, "BIAS", "LENGTHS", "H", "C", "PEEPHOLES" };

    for (uint32_t slot = 0; slot < OPERANDS; slot++) {
        uint32_t i = input_index(p, node, slot);

        if (flags[slot]) pf_buf_printf(out, "#define HAS_%s %d\n", flags[slot], i != UINT32_MAX);
        if (i != UINT32_MAX)
            pf_buf_printf(out, "#define LOAD_%s(i) %s(in%u[i])\n", names[slot],
                          cg_load_function(pf_graph_value(p->graph, p->graph->inputs[i])->dtype), i);
    }
}

static void print_stores(const pf_problem *p, const pf_node *node, pf_buf *out)
{
    static const char *const names[] = { "Y", "H", "C" };

    for (uint32_t o = 0; o < 3; o++) {
        uint32_t i = 0;

        while (o < node->out_count && i < p->graph->output_count && p->graph->outputs[i] != node->out[o]) i++;
        if (o < node->out_count && i < p->graph->output_count)
            pf_buf_printf(out, "#define STORE_%s(i, v) out%u[i] = %s(v)\n", names[o], i,
                          cg_store_function(pf_graph_value(p->graph, node->out[o])->dtype));
        else pf_buf_printf(out, "#define STORE_%s(i, v) (void)0\n", names[o]);
    }
}

static void print_parameters(const pf_problem *p, pf_buf *out)
{
    pf_buf_printf(out, "#define PARAMETERS ");
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        pf_buf_printf(out, "%sconst %s *__restrict__ in%u", i ? ", " : "",
                      cg_storage_type(pf_graph_value(p->graph, p->graph->inputs[i])->dtype), i);
    for (uint32_t i = 0; i < p->graph->output_count; i++)
        pf_buf_printf(out, ", %s *__restrict__ out%u",
                      cg_storage_type(pf_graph_value(p->graph, p->graph->outputs[i])->dtype), i);
    pf_buf_printf(out, "\n#define ARGUMENTS ");
    for (uint32_t i = 0; i < p->graph->input_count; i++) pf_buf_printf(out, "%sin%u", i ? ", " : "", i);
    for (uint32_t i = 0; i < p->graph->output_count; i++) pf_buf_printf(out, ", out%u", i);
    pf_buf_printf(out, "\n");
}

/* ---- Functions of gates */

static void print_function(const pf_rnn_attrs *attrs, int at, bool approximate, pf_buf *out)
{
    pf_buf_printf(out, "{ const float a = %.9ef, b = %.9ef; (void)a; (void)b; return %s; }", attrs->alphas.at[at],
                  attrs->betas.at[at], function_of((int)attrs->activations.at[at], approximate));
}

/* The function number `at` is one of the way back that is the same on the way forwards: then nobody asks which way it
   is, and the functions of a step wait for no branch. */
static bool is_as_forwards(const pf_rnn_attrs *attrs, int count, int at)
{
    int other = at % count;

    return at >= count && attrs->activations.at[at] == attrs->activations.at[other] &&
           attrs->alphas.at[at] == attrs->alphas.at[other] && attrs->betas.at[at] == attrs->betas.at[other];
}

static void print_functions(const pf_node *node, bool approximate, pf_buf *out)
{
    const pf_rnn_attrs *attrs = node->attrs;
    int                 count = functions_of(node);

    pf_buf_printf(out, "__device__ __forceinline__ float act(const int d, const int f, float v)\n{\n");
    if (attrs->clip > 0)
        pf_buf_printf(out, "  v = v > %.9ef ? %.9ef : v < %.9ef ? %.9ef : v;\n", attrs->clip, attrs->clip, -attrs->clip,
                      -attrs->clip);
    for (int i = count * directions_of(attrs) - 1; i >= 0; i--) {
        if (is_as_forwards(attrs, count, i)) continue;
        pf_buf_printf(out, i < count ? "  if (f == %d) " : "  if (f == %d && d == 1) ", i % count);
        print_function(attrs, i, approximate, out);
        pf_buf_printf(out, "\n");
    }
    pf_buf_printf(out, "  return 0.0f;\n}\n__device__ __forceinline__ float out_act(const int d, const float v)\n{\n");
    for (int d = directions_of(attrs) - 1; d >= 0; d--) {
        if (is_as_forwards(attrs, count, d * count + count - 1)) continue;
        if (d) pf_buf_printf(out, "  if (d == 1) ");
        print_function(attrs, d * count + count - 1, approximate, out);
        pf_buf_printf(out, "\n");
    }
    pf_buf_printf(out, "}\n");
}

static void print_sizes(const pf_problem *p, const pf_node *node, int threads, pf_buf *out)
{
    const pf_rnn_attrs *attrs = node->attrs;
    const int64_t      *x = pf_graph_value(p->graph, node->in[X])->shape.dim;

    pf_buf_printf(out, "#define KIND %d\n#define GATES %d\n#define DIRS %d\n#define THREADS %d\n",
                  node->op == PF_OP_LSTM  ? 0
                  : node->op == PF_OP_GRU ? 1
                                          : 2,
                  gates_of(node), directions_of(attrs), threads);
    pf_buf_printf(out, "#define SEQ %lld\n#define BATCH %lld\n#define INPUT %lld\n#define HIDDEN %lld\n",
                  (long long)x[attrs->batch_first ? 1 : 0], (long long)x[attrs->batch_first ? 0 : 1], (long long)x[2],
                  (long long)attrs->hidden);
    pf_buf_printf(out,
                  "#define REVERSE %d\n#define BATCH_FIRST %d\n#define LINEAR_BEFORE_RESET %d\n#define INPUT_FORGET "
                  "%d\n",
                  attrs->direction == PF_RNN_REVERSE, attrs->batch_first != 0, attrs->linear_before_reset != 0,
                  attrs->input_forget != 0);
}

static void print_definitions(const pf_problem *p, const pf_node *node, int threads, bool approximate, pf_buf *out)
{
    pf_buf_init(out, SOURCE_LIMIT_BYTES);
    pf_buf_printf(out, "%s", cg_prelude);
    print_sizes(p, node, threads, out);
    print_loads(p, node, out);
    print_stores(p, node, out);
    print_functions(node, approximate, out);
    print_parameters(p, out);
    cg_print_start(p, out);
}

pf_status pf_codegen_recurrent(const pf_problem *p, int threads, pf_program *out, pf_err *err)
{
    const pf_node *node = node_of(p);
    const char    *reason = pf_codegen_recurrent_declines(p);
    int64_t        sequences = 0;

    memset(out, 0, sizeof *out);
    if (reason) return PF_FAIL(err, PF_UNSUPPORTED, "%s", reason);
    sequences = pf_graph_value(p->graph, node->in[X])
                    ->shape.dim[((const pf_rnn_attrs *)node->attrs)->batch_first ? 0 : 1] *
                directions_of(node->attrs);
    if (sequences < 1 || sequences > INT32_MAX)
        return PF_FAIL(err, PF_UNSUPPORTED, "%lld sequences", (long long)sequences);
    print_definitions(p, node, threads, false, &out->source);
    pf_buf_printf(&out->source, "%s", pf_nvrtc_recurrent);
    out->grid[0] = (uint32_t)sequences;
    out->grid[1] = out->grid[2] = out->block[1] = out->block[2] = 1;
    out->block[0] = (uint32_t)threads;
    out->shared_bytes = (uint32_t)shared_bytes(p, node);
    return out->source.failed ? PF_FAIL_MEMORY(err, SOURCE_LIMIT_BYTES) : PF_OK;
}

/* ---- Clusters */

typedef struct cluster_form {
    int     split, units, columns, parts, slice, threads;
    bool    resident;
    int64_t shared_bytes;
} cluster_form;

static int64_t rounded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

static int64_t batch_of(const pf_problem *p, const pf_node *node)
{
    return pf_graph_value(p->graph, node->in[X])->shape.dim[((const pf_rnn_attrs *)node->attrs)->batch_first ? 0 : 1];
}

/* Sizes as recurrent_cluster.cuh has them. */
static cluster_form form_of(const pf_problem *p, const pf_node *node, int split)
{
    const pf_rnn_attrs *attrs = node->attrs;
    int64_t             input = pf_graph_value(p->graph, node->in[X])->shape.dim[2];
    int64_t             units = rounded((attrs->hidden + split - 1) / split, split > 1 ? 16 : 32);
    cluster_form        f = { .split = split, .units = (int)units, .columns = 1, .parts = 1 };
    int                 rows = gates_of(node) * f.units, tiles = rows / 16, padded = f.units * split;

    while (f.columns < COLUMNS_MAX && f.columns < batch_of(p, node)) f.columns *= 2;
    while (split > 1 && f.parts < PARTS_MAX && tiles * f.parts * 2 <= WARPS_MAX && padded / 32 % (f.parts * 2) == 0)
        f.parts *= 2;
    f.threads = tiles * f.parts * 32;
    f.resident = padded / 32 / f.parts * 8 <= KEPT_REGISTERS_MAX;
    f.slice = (int)(input < SLICE_MAX ? rounded(input, 32) : SLICE_MAX);
    f.shared_bytes = 2 * (2 * f.columns * (padded + 8) + 32 * (f.slice + 8) + f.columns * f.units) +
                     4 * f.parts * rows * (33 + f.columns);
    return f;
}

static const char *operands_decline(const pf_problem *p, const pf_node *node)
{
    const pf_rnn_attrs *attrs = node->attrs;
    uint32_t            w = input_index(p, node, W), r = input_index(p, node, R);
    pf_dtype            dtype = pf_graph_value(p->graph, node->in[W])->dtype;

    if (w == UINT32_MAX || r == UINT32_MAX || !p->in_constant[w] || !p->in_constant[r])
        return "weights that are computed";
    if ((dtype != PF_F16 && dtype != PF_BF16) || pf_graph_value(p->graph, node->in[R])->dtype != dtype)
        return "weights that are not of 16 bits";
    if (input_index(p, node, LENGTHS) != UINT32_MAX || input_index(p, node, PEEPHOLES) != UINT32_MAX)
        return "lengths or peepholes";
    return node->op == PF_OP_GRU && !attrs->linear_before_reset ? "a state that is reset before its product" : NULL;
}

const char *pf_codegen_recurrent_cluster_declines(const pf_problem *p, int split)
{
    const pf_node *node = node_of(p);
    const char    *reason = pf_codegen_recurrent_declines(p);
    cluster_form   f = { 0 };

    if (!reason) reason = operands_decline(p, node);
    if (reason) return reason;
    if (!pf_dim_is_number(batch_of(p, node)) || batch_of(p, node) < 1) return "batch of unknown size";
    f = form_of(p, node, split);
    if ((int64_t)f.units * (split - 1) >= ((const pf_rnn_attrs *)node->attrs)->hidden) return "blocks without a state";
    if (f.threads > (split > 1 ? WARPS_MAX : WARPS_ALONE_MAX) * 32 || f.units * split % 32)
        return "states of a block that are too many or too few";
    return f.shared_bytes > CLUSTER_SHARED_LIMIT_BYTES ? "states that do not fit into shared memory" : NULL;
}

pf_status pf_codegen_recurrent_cluster(const pf_problem *p, int split, pf_program *out, pf_err *err)
{
    const pf_node *node = node_of(p);
    const char    *reason = pf_codegen_recurrent_cluster_declines(p, split);
    cluster_form   f = { 0 };
    bool           bf16 = false;

    memset(out, 0, sizeof *out);
    if (reason) return PF_FAIL(err, PF_UNSUPPORTED, "%s", reason);
    f = form_of(p, node, split);
    bf16 = pf_graph_value(p->graph, node->in[W])->dtype == PF_BF16;
    print_definitions(p, node, f.threads, true, &out->source);
    pf_buf_printf(&out->source, "#define SPLIT %d\n#define UNITS %d\n#define COLUMNS %d\n#define PARTS %d\n"
                                "#define SLICE %d\n#define RESIDENT %d\n",
                  f.split, f.units, f.columns, f.parts, f.slice, f.resident);
    pf_buf_printf(&out->source, "#define MMA \"f32.%s.%s.f32\"\n#define TO_16(v) %s\n#define W_DATA in%u\n"
                                "#define R_DATA in%u\n", bf16 ? "bf16" : "f16", bf16 ? "bf16" : "f16",
                  bf16 ? "to_bf16(v).bits" : "to_f16(v)", input_index(p, node, W), input_index(p, node, R));
    pf_buf_printf(&out->source, "%s", pf_nvrtc_recurrent_cluster);
    out->grid[0] = (uint32_t)(split * directions_of(node->attrs) * (rounded(batch_of(p, node), f.columns) / f.columns));
    out->grid[1] = out->grid[2] = out->block[1] = out->block[2] = 1;
    out->block[0] = (uint32_t)f.threads;
    out->shared_bytes = (uint32_t)f.shared_bytes;
    out->large_clusters = split > 8;
    return out->source.failed ? PF_FAIL_MEMORY(err, SOURCE_LIMIT_BYTES) : PF_OK;
}
