/* Matrix products with bias, activation and residual through cuBLASLt; what else is computed behind them follows as a
   generated kernel that works in place.  Tunings are its algorithm descriptors: "a=<64 bytes in hex>", which the
   library promises to understand in the same version (the version is part of the device class).

   cuBLASLt is column-major, so the transpose is asked for: rows of D are features, which is also the dimension along
   which its bias runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/cuda/codegen_loop.h"
#include "engine/cuda/cuda_device.h"
#include "engine/cuda/tactics.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

enum { ALGORITHMS_MAX = 64, WORKSPACE_LIMIT_BYTES = 32 << 20, REST_THREADS = 256 };

/* y[batch,m,n] = activation(x[batch,m,k] w[k,n] + bias[n] + residual); a stride of 0 repeats an operand over the
   batch. */
typedef struct matmul_form {
    int     x, w, bias, residual;           /* inputs of the problem, or PF_NO_INPUT */
    int     epilogue;                       /* PF_OP_RELU, PF_OP_GELU_TANH, or PF_OP_NONE */
    bool    trans_x, trans_w;
    bool    widens;                         /* operands of 16 bits, a result of FP32 */
    float   alpha;
    int64_t batch, m, n, k, x_stride, w_stride;
    pf_value_id product;  /* what the library computes: the output, or what the rest of the region is computed from */
} matmul_form;

/* [n] or [1,..,1,n] */
static bool is_row(const pf_shape *shape, pf_dim n)
{
    for (int d = 0; d + 1 < shape->rank; d++)
        if (shape->dim[d] != 1) return false;
    return shape->rank >= 1 && shape->dim[shape->rank - 1] == n;
}

static const char *take_product(const pf_problem *p, const pf_node *node, matmul_form *form)
{
    const pf_matmul_attrs *matmul = node->op == PF_OP_MATMUL ? node->attrs : NULL;
    const pf_gemm_attrs   *gemm = node->op == PF_OP_GEMM ? node->attrs : NULL;

    if (!matmul && !gemm) return "no matrix product first";
    form->x = pf_cuda_input(p, node->in[0]);
    form->w = pf_cuda_input(p, node->in[1]);
    form->trans_x = matmul ? matmul->trans_a : gemm->trans_a;
    form->trans_w = matmul ? matmul->trans_b : gemm->trans_b;
    form->alpha = gemm ? (float)gemm->alpha : 1;
    if (form->x == PF_NO_INPUT || form->w == PF_NO_INPUT) return "an operand inside the region";
    if (gemm && node->in_count > 2 && node->in[2] != PF_NONE) {
        form->bias = pf_cuda_input(p, node->in[2]);
        if (gemm->beta != 1 || form->bias == PF_NO_INPUT ||
            !is_row(pf_cuda_shape(p, form->bias), pf_graph_value(p->graph, node->out[0])->shape.dim[1]))
            return "a gemm whose third operand is no row";
    }
    return NULL;
}

static const char *take_add(const pf_problem *p, const pf_node *node, pf_value_id chain, matmul_form *form)
{
    const pf_shape *out = &pf_graph_value(p->graph, node->out[0])->shape;
    int             other = pf_cuda_input(p, node->in[0] == chain ? node->in[1] : node->in[0]);

    if (other == PF_NO_INPUT || (node->in[0] != chain && node->in[1] != chain)) return "an epilogue that is no chain";
    if (!pf_shape_equal(&pf_graph_value(p->graph, chain)->shape, out)) return "an addition that broadcasts the product";
    if (form->bias == PF_NO_INPUT && !form->widens && is_row(pf_cuda_shape(p, other), out->dim[out->rank - 1]))
        form->bias = other;
    else if (form->residual == PF_NO_INPUT && pf_shape_equal(pf_cuda_shape(p, other), out)) form->residual = other;
    else return "an addition that is neither bias nor residual";
    return NULL;
}

/* The library keeps its sums in FP32, and may leave them so. */
static const char *take_cast(const pf_problem *p, const pf_node *node, pf_value_id chain, matmul_form *form)
{
    pf_dtype from = pf_graph_value(p->graph, chain)->dtype, to = pf_graph_value(p->graph, node->out[0])->dtype;

    if ((from != PF_F16 && from != PF_BF16) || to != PF_F32 || form->bias != PF_NO_INPUT ||
        form->residual != PF_NO_INPUT)
        return "a conversion that cuBLASLt lacks";
    form->widens = true;
    return NULL;
}

/* What the library's epilogue does with a node; a reason when it lacks it. */
static const char *take_epilogue(const pf_problem *p, const pf_node *node, pf_value_id chain, matmul_form *form)
{
    if (form->epilogue) return "something behind the activation";
    if (node->op == PF_OP_ADD) return take_add(p, node, chain, form);
    if (node->op == PF_OP_CAST) return take_cast(p, node, chain, form);
    if (form->widens || (node->op != PF_OP_RELU && node->op != PF_OP_GELU_TANH) || node->in[0] != chain)
        return "an epilogue that cuBLASLt lacks";
    form->epilogue = node->op;
    return NULL;
}

static bool reads(const pf_node *node, pf_value_id value)
{
    for (uint32_t i = 0; i < node->in_count; i++)
        if (node->in[i] == value) return true;
    return false;
}

/* The rest of the region, from node `first` on, may read of the product only what the library leaves. */
static const char *check_rest(const pf_problem *p, uint32_t first, const matmul_form *form)
{
    const pf_graph *graph = p->graph;

    /* scores: to the softmax */
    if (pf_cuda_shape(p, form->w)->rank != 2)
        return "what follows products in batches is better left to the next kernel";
    for (uint32_t i = first; i < graph->node_count; i++) {
        const pf_node *node = &graph->nodes[i];
        const char    *reason = node->live ? cg_node_declines(graph, node) : NULL;

        if (reason) return reason;
        for (uint32_t k = 0; k < first && node->live; k++)
            if (graph->nodes[k].live && graph->nodes[k].out[0] != form->product && reads(node, graph->nodes[k].out[0]))
                return "a value inside the product's chain";
    }
    return pf_codegen_behind_declines(p, form->product);
}

/* Adds come first, one activation last: what the library's epilogues compute. */
static const char *recognize(const pf_problem *p, matmul_form *form)
{
    const pf_graph *graph = p->graph;
    uint32_t        i = 0;

    memset(form, 0, sizeof *form);
    form->x = form->w = form->bias = form->residual = PF_NO_INPUT;
    form->product = PF_NONE;
    if (graph->output_count != 1) return "several outputs";
    for (; i < graph->node_count; i++) {
        const pf_node *node = &graph->nodes[i];
        const char    *reason = NULL;

        if (!node->live) continue;
        if (form->product != PF_NONE && take_epilogue(p, node, form->product, form)) break;
        if (form->product == PF_NONE) reason = take_product(p, node, form);
        if (reason) return reason;
        form->product = node->out[0];
    }
    if (form->product == PF_NONE) return "no matrix product";
    return form->product == graph->outputs[0] ? NULL : check_rest(p, i, form);
}

static bool is_operand(const pf_problem *p, int input, pf_dtype dtype)
{
    return input == PF_NO_INPUT || pf_graph_value(p->graph, p->graph->inputs[input])->dtype == dtype;
}

static const char *measure(const pf_problem *p, matmul_form *form);

static const char *declines(const pf_device *device, const pf_problem *p)
{
    matmul_form form;
    const char *reason = recognize(p, &form);
    pf_dtype    dtype = PF_DTYPE_NONE, operands = PF_DTYPE_NONE;

    (void)device;
    if (reason) return reason;
    dtype = pf_graph_value(p->graph, form.product)->dtype;
    operands = form.widens ? pf_graph_value(p->graph, p->graph->inputs[form.x])->dtype : dtype;
    if (dtype != PF_F16 && dtype != PF_BF16 && dtype != PF_F32) return "element type";
    if (!is_operand(p, form.x, operands) || !is_operand(p, form.w, operands) || !is_operand(p, form.bias, dtype) ||
        !is_operand(p, form.residual, dtype))
        return "mixed element types";
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        if (p->in_layout[i] != PF_LAYOUT_LINEAR) return "not linear";
    if (p->out_layout[0] != PF_LAYOUT_LINEAR) return "not linear";
    if (pf_cuda_shape(p, form.x)->rank < 2 || pf_cuda_shape(p, form.w)->rank < 2) return "a vector operand";
    return pf_problem_is_bound(p) ? measure(p, &form) : NULL;
}

/* Sizes of a bound problem. A two-dim w takes all leading dims of x as rows; otherwise both are batches, equal or
   repeated whole. */
static const char *measure(const pf_problem *p, matmul_form *form)
{
    const pf_shape *x = pf_cuda_shape(p, form->x), *w = pf_cuda_shape(p, form->w);
    int64_t         x_batch = 1, w_batch = 1;

    for (int d = 0; d + 2 < x->rank; d++) x_batch *= x->dim[d];
    for (int d = 0; d + 2 < w->rank; d++) w_batch *= w->dim[d];
    form->m = x->dim[x->rank - (form->trans_x ? 1 : 2)];
    form->k = x->dim[x->rank - (form->trans_x ? 2 : 1)];
    form->n = w->dim[w->rank - (form->trans_w ? 2 : 1)];
    form->batch = x_batch > w_batch ? x_batch : w_batch;
    if ((x_batch != 1 && x_batch != form->batch) || (w_batch != 1 && w_batch != form->batch))
        return "batches that broadcast in part";
    if (x->rank > 2 && w->rank > 2 && x_batch != 1 && w_batch != 1)
        for (int d = 1; d + 2 < x->rank && d + 2 < w->rank; d++)
            if (x->dim[x->rank - 2 - d] != w->dim[w->rank - 2 - d]) return "batches that broadcast in part";
    if (w_batch == 1 && !form->trans_x) {
        form->m *= x_batch;
        form->batch = x_batch = 1;
    }
    form->x_stride = x_batch == 1 ? 0 : form->m * form->k;
    form->w_stride = w_batch == 1 ? 0 : form->k * form->n;
    return NULL;
}

/* ---- The library's descriptors: plain structs, no heap. */

typedef struct lt_problem {
    cublasLtMatmulDescOpaque_t   operation;
    cublasLtMatrixLayoutOpaque_t a, b, c, d;
} lt_problem;

static cudaDataType_t cuda_type(pf_dtype dtype)
{
    return dtype == PF_F16 ? CUDA_R_16F : dtype == PF_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static cublasLtEpilogue_t epilogue_of(const matmul_form *form)
{
    bool bias = form->bias != PF_NO_INPUT;

    if (form->epilogue == PF_OP_RELU) return bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
    if (form->epilogue == PF_OP_GELU_TANH) return bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
    return bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
}

static void layout(cublasLtMatrixLayoutOpaque_t *out, cudaDataType_t type, int64_t rows, int64_t columns, int64_t batch,
                   int64_t stride)
{
    int32_t count = (int32_t)batch;

    cublasLtMatrixLayoutInit(out, type, (uint64_t)rows, (uint64_t)columns, rows);
    cublasLtMatrixLayoutSetAttribute(out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count);
    cublasLtMatrixLayoutSetAttribute(out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride);
}

static void describe(const pf_problem *p, const matmul_form *form, lt_problem *lt)
{
    pf_dtype            dtype = pf_graph_value(p->graph, p->graph->outputs[0])->dtype;
    cudaDataType_t      to = cuda_type(dtype),
                        type = cuda_type(pf_graph_value(p->graph, p->graph->inputs[form->x])->dtype);
    cublasComputeType_t compute = type == CUDA_R_32F && (p->numerics & PF_NUMERICS_TF32) ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                                      : CUBLAS_COMPUTE_32F;
    cublasOperation_t   a_op = form->trans_w ? CUBLAS_OP_T : CUBLAS_OP_N,
                        b_op = form->trans_x ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasLtEpilogue_t  epilogue = epilogue_of(form);
    int64_t             y_stride = form->batch == 1 ? 0 : form->m * form->n;

    cublasLtMatmulDescInit(&lt->operation, compute, CUDA_R_32F);
    cublasLtMatmulDescSetAttribute(&lt->operation, CUBLASLT_MATMUL_DESC_TRANSA, &a_op, sizeof a_op);
    cublasLtMatmulDescSetAttribute(&lt->operation, CUBLASLT_MATMUL_DESC_TRANSB, &b_op, sizeof b_op);
    cublasLtMatmulDescSetAttribute(&lt->operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    if (form->trans_w) layout(&lt->a, type, form->k, form->n, form->batch, form->w_stride);
    else layout(&lt->a, type, form->n, form->k, form->batch, form->w_stride);
    if (form->trans_x) layout(&lt->b, type, form->m, form->k, form->batch, form->x_stride);
    else layout(&lt->b, type, form->k, form->m, form->batch, form->x_stride);
    layout(&lt->c, to, form->n, form->m, form->batch, y_stride);
    layout(&lt->d, to, form->n, form->m, form->batch, y_stride);
}

/* The bias pointer's value tells heuristics its alignment: one like those that run time gives. */
static void set_bias(lt_problem *lt, const void *pointer)
{
    cublasLtMatmulDescSetAttribute(&lt->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &pointer, sizeof pointer);
}

static void set_preference(cublasLtMatmulPreferenceOpaque_t *preference, size_t workspace)
{
    cublasLtMatmulPreferenceInit(preference);
    cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                         sizeof workspace);
}

static int algorithms_at(int effort)
{
    return effort < 1 ? 1 : effort < 2 ? 4 : effort < 3 ? 10 : effort < 4 ? 24 : ALGORITHMS_MAX;
}

static pf_status add_algorithm(const cublasLtMatmulHeuristicResult_t *result, pf_tuning_list *out, pf_err *err)
{
    char           hex[2 * sizeof result->algo + 1] = {0};
    const uint8_t *bytes = (const uint8_t *)&result->algo;

    for (size_t i = 0; i < sizeof result->algo; i++) snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    return pf_tuning_add(out, err, "a=%s", hex);
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    cublasLtMatmulHeuristicResult_t  results[ALGORITHMS_MAX];
    cublasLtMatmulPreferenceOpaque_t preference;
    cublasLtHandle_t                 handle = NULL;
    lt_problem                       lt;
    matmul_form                      form;
    int                              count = 0;
    const char                      *reason = recognize(p, &form);
    pf_status                        st = PF_OK;

    if (!reason) reason = measure(p, &form);
    if (reason) return PF_FAIL(err, PF_UNSUPPORTED, "%s", reason);
    st = pf_cuda_cublaslt((pf_device *)device, &handle, err);
    if (st) return st;
    describe(p, &form, &lt);
    set_bias(&lt, (const void *)(uintptr_t)256);
    set_preference(&preference, WORKSPACE_LIMIT_BYTES);
    if (cublasLtMatmulAlgoGetHeuristic(handle, &lt.operation, &lt.a, &lt.b, &lt.c, &lt.d, &preference,
                                       algorithms_at(effort), results, &count) != CUBLAS_STATUS_SUCCESS ||
        !count)
        return PF_FAIL(err, PF_UNSUPPORTED, "cuBLASLt lists no algorithm for this product");
    for (int i = 0; i < count && !st; i++)
        if (results[i].state == CUBLAS_STATUS_SUCCESS) st = add_algorithm(&results[i], out, err);
    return st;
}

/* ---- Steps */

typedef struct matmul_impl {
    pf_device            *device;
    lt_problem            lt;
    cublasLtMatmulAlgo_t  algorithm;
    int                   x, w, bias, residual;
    float                 alpha, beta;
    size_t                workspace_bytes;
    pf_step              *rest;         /* owned; what follows in place, NULL: nothing */
} matmul_impl;

static bool has_rest(const pf_problem *p, const matmul_form *form) { return form->product != p->graph->outputs[0]; }

static pf_status generate_rest(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err)
{
    matmul_form form;
    const char *reason = recognize(p, &form);

    (void)tuning;
    return reason ? PF_FAIL(err, PF_UNSUPPORTED, "%s", reason)
                  : pf_codegen_behind(p, form.product, REST_THREADS, out, err);
}

static pf_status compile(pf_device *device, const pf_problem *p, const char *tuning, pf_err *err)
{
    matmul_form form;

    return !recognize(p, &form) && has_rest(p, &form) ? pf_program_precompile(device, p, generate_rest, tuning, err)
                                                      : PF_OK;
}

/* Who frees the step of the rest. */
static const pf_tactic rest_tactic = { .name = "cublaslt_matmul", .release = pf_program_release };

static bool rest_reads(const pf_problem *p, const matmul_form *form, int input)
{
    bool behind = false;

    for (uint32_t n = 0; n < p->graph->node_count && input != PF_NO_INPUT; n++) {
        const pf_node *node = &p->graph->nodes[n];

        if (behind && node->live && reads(node, p->graph->inputs[input])) return true;
        behind |= node->live && node->out[0] == form->product;
    }
    return false;
}

static bool parse_algorithm(const char *tuning, cublasLtMatmulAlgo_t *out)
{
    uint8_t *bytes = (uint8_t *)out;

    if (strncmp(tuning, "a=", 2) != 0 || strlen(tuning) != 2 + 2 * sizeof *out) return false;
    for (size_t i = 0; i < sizeof *out; i++) {
        char  pair[3] = { tuning[2 + 2 * i], tuning[3 + 2 * i], 0 }, *end = NULL;

        bytes[i] = (uint8_t)strtoul(pair, &end, 16);
        if (*end) return false;
    }
    return true;
}

/* The algorithm must still be legal here; a plan at another shape of its profile may have to take the heuristics'
   first. */
static pf_status settle_algorithm(matmul_impl *impl, cublasLtHandle_t handle, const char *tuning, pf_err *err)
{
    cublasLtMatmulHeuristicResult_t  result = {0};
    cublasLtMatmulPreferenceOpaque_t preference;
    lt_problem                       lt = impl->lt;
    int                              count = 0;

    if (!parse_algorithm(tuning, &impl->algorithm))
        return PF_FAIL(err, PF_INVALID, "cublaslt_matmul has no tuning '%s'", tuning);
    set_bias(&lt, (const void *)(uintptr_t)256);
    if (cublasLtMatmulAlgoCheck(handle, &lt.operation, &lt.a, &lt.b, &lt.c, &lt.d, &impl->algorithm, &result) !=
        CUBLAS_STATUS_SUCCESS) {
        set_preference(&preference, WORKSPACE_LIMIT_BYTES);
        if (cublasLtMatmulAlgoGetHeuristic(handle, &lt.operation, &lt.a, &lt.b, &lt.c, &lt.d, &preference, 1, &result,
                                           &count) != CUBLAS_STATUS_SUCCESS ||
            !count)
            return PF_FAIL(err, PF_UNSUPPORTED, "cuBLASLt refuses the algorithm and lists no other");
        impl->algorithm = result.algo;
    }
    impl->workspace_bytes = result.workspaceSize;
    return PF_OK;
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    pf_step         *step = pf_step_new(&pf_tactic_cublaslt_matmul, sizeof(matmul_impl));
    matmul_impl     *impl = step ? step->impl : NULL;
    cublasLtHandle_t handle = NULL;
    matmul_form      form;
    const char      *reason = recognize(p, &form);
    pf_status        st = PF_OK;

    *out = NULL;
    if (!step) return PF_FAIL_MEMORY(err, sizeof *impl);
    if (!reason) reason = measure(p, &form);
    st = reason ? PF_FAIL(err, PF_UNSUPPORTED, "%s", reason) : pf_cuda_cublaslt(device, &handle, err);
    if (!st) {
        impl->device = device;
        describe(p, &form, &impl->lt);
        st = settle_algorithm(impl, handle, tuning, err);
    }
    if (!st && has_rest(p, &form))
        st = pf_program_prepare(device, &rest_tactic, p, generate_rest, tuning, saved, saved_bytes, &impl->rest, err);
    if (st) {
        pf_step_free(step);
        return st;
    }
    impl->x = form.x;
    impl->w = form.w;
    impl->bias = form.bias;
    impl->residual = form.residual;
    impl->alpha = form.alpha;
    impl->beta = form.residual != PF_NO_INPUT ? 1 : 0;
    step->workspace_bytes = impl->workspace_bytes;
    step->capturable = true;
    step->in_place = rest_reads(p, &form, form.residual) ? PF_NO_INPUT : form.residual;
    *out = step;
    return PF_OK;
}

static pf_status enqueue(const pf_step *step, const pf_bindings *bindings, pf_stream *stream, pf_err *err)
{
    const matmul_impl *impl = step->impl;
    lt_problem         lt = impl->lt;           /* a copy: contexts that run at once bind different biases */
    const void        *residual = impl->residual != PF_NO_INPUT ? bindings->in[impl->residual] : bindings->out[0];
    cublasStatus_t     status = CUBLAS_STATUS_SUCCESS;

    PF_CUDA_TRY(err, pf_cuda_enter(impl->device));
    if (impl->bias != PF_NO_INPUT) set_bias(&lt, bindings->in[impl->bias]);
    status = cublasLtMatmul(pf_cuda_of(impl->device)->cublaslt, &lt.operation, &impl->alpha, bindings->in[impl->w],
                            &lt.a, bindings->in[impl->x], &lt.b, &impl->beta, residual, &lt.c, bindings->out[0], &lt.d,
                            &impl->algorithm, bindings->workspace, impl->workspace_bytes, pf_cuda_stream(stream));
    if (status) return PF_FAIL(err, PF_DEVICE, "cuBLASLt cannot run a product: %s", cublasLtGetStatusString(status));
    return impl->rest ? pf_program_enqueue(impl->rest, bindings, stream, err) : PF_OK;
}

static pf_status save(const pf_step *step, pf_buf *out, pf_err *err)
{
    const matmul_impl *impl = step->impl;

    return impl->rest ? pf_program_save(impl->rest, out, err) : PF_OK;
}

static void release(pf_step *step)
{
    matmul_impl *impl = step->impl;

    pf_step_free(impl->rest);
    pf_free(impl);
}

const pf_tactic pf_tactic_cublaslt_matmul = {
    .name = "cublaslt_matmul", .rev = 4, .flags = PF_TACTIC_COMPILES_WITH_DEVICE,
    .needs = PF_CAP_CUDA | PF_CAP_CUBLASLT, .compile_ms = 10,
    .declines = declines, .tunings = tunings, .compile = compile, .prepare = prepare, .enqueue = enqueue, .save = save,
    .release = release,
};
