#include "engine/cuda/codegen_line.h"

#include <stdio.h>
#include <string.h>

#include "engine/cuda/codegen_loop.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

enum { SOURCE_LIMIT_BYTES = 4 << 20, LINES_MAX = INT32_MAX, KEPT_MAX = 32 /* elements in a thread's registers */ };

typedef struct line_form {
    const pf_node *node;
    int            axes[PF_MAX_RANK], axis_count;   /* that make up a line */
} line_form;

/* What one element contributes to a reduction of integers, how contributions are joined, and what joins to nothing. */
typedef struct integer_reduction { const char *map, *join, *identity; } integer_reduction;

static const integer_reduction integer_reductions[] = {
    [PF_REDUCE_SUM] = { "x", "a + b", "0" },
    [PF_REDUCE_MAX] = { "x", "a > b ? a : b", "(-9223372036854775807LL - 1)" },
    [PF_REDUCE_MIN] = { "x", "a < b ? a : b", "9223372036854775807LL" },
    [PF_REDUCE_PROD] = { "x", "a * b", "1" },
    [PF_REDUCE_L1] = { "(x < 0 ? -x : x)", "a + b", "0" },
    [PF_REDUCE_SUM_SQUARE] = { "x * x", "a + b", "0" },
};

static const integer_reduction *integer_reduction_of(int32_t mode)
{
    if (mode < 0 || mode >= (int32_t)(sizeof integer_reductions / sizeof *integer_reductions)) return NULL;
    return integer_reductions[mode].map ? &integer_reductions[mode] : NULL;
}

/* ---- Recognizing */

static const char *take_reduce(const pf_graph *graph, const pf_node *node, line_form *form)
{
    const pf_reduce_attrs *attrs = node->attrs;

    if (!pf_dtype_is_integer(pf_graph_value(graph, node->in[0])->dtype)) return "not integers";
    if (!integer_reduction_of(attrs->mode)) return "reduction without a form here";
    for (int i = 0; i < attrs->axes.count; i++) form->axes[form->axis_count++] = (int)attrs->axes.at[i];
    return form->axis_count ? NULL : "nothing is reduced";
}

static const char *take(const pf_graph *graph, const pf_node *node, line_form *form)
{
    const pf_topk_attrs *topk = node->attrs;

    form->node = node;
    if (node->op == PF_OP_REDUCE) return take_reduce(graph, node, form);
    form->axis_count = 1;
    if (node->op == PF_OP_TOPK) {
        form->axes[0] = (int)topk->axis;
        return NULL;
    }
    form->axes[0] = node->op == PF_OP_CUMULATE ? (int)((const pf_cumulate_attrs *)node->attrs)->axis
                                               : (int)((const pf_arg_reduce_attrs *)node->attrs)->axis;
    return NULL;
}

static bool is_line(const pf_node *node)
{
    return node->op == PF_OP_ARG_REDUCE || node->op == PF_OP_CUMULATE || node->op == PF_OP_TOPK ||
           node->op == PF_OP_REDUCE;
}

static const char *recognize(const pf_problem *p, line_form *form)
{
    const pf_node *node = NULL;
    const char    *reason = cg_find_anchor(p->graph, is_line, "no operation along lines", "two operations along lines",
                                           &node);

    *form = (line_form){ 0 };
    return reason ? reason : take(p->graph, node, form);
}

static const char *check_values(const pf_problem *p, const line_form *form)
{
    const pf_graph *graph = p->graph;
    const pf_value *x = pf_graph_value(graph, form->node->in[0]);

    if (!cg_storage_type(x->dtype) || x->shape.rank < 1 || x->shape.rank > CG_VARS - 2) return "element type or rank";
    if (graph->input_count + graph->output_count > CG_IN_OUT_MAX) return "too many inputs and outputs for one kernel";
    for (uint32_t i = 0; i < graph->input_count; i++)
        if (p->in_layout[i] != PF_LAYOUT_LINEAR) return "not linear";
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const pf_value *out = pf_graph_value(graph, graph->outputs[i]);

        if (out->producer == PF_NONE || pf_graph_node(graph, out->producer) != form->node)
            return "something behind the line";
        if (p->out_layout[i] != PF_LAYOUT_LINEAR || !cg_storage_type(out->dtype)) return "not linear";
    }
    return NULL;
}

const char *pf_codegen_line_declines(const pf_problem *p)
{
    line_form   form;
    const char *reason = recognize(p, &form);

    return reason ? reason : check_values(p, &form);
}

/* ---- Sizes */

static bool in_line(const line_form *form, int d)
{
    for (int i = 0; i < form->axis_count; i++)
        if (form->axes[i] == d) return true;
    return false;
}

static int64_t line_length(const pf_problem *p, const line_form *form)
{
    const pf_shape *x = &pf_graph_value(p->graph, form->node->in[0])->shape;
    int64_t         length = 1;

    for (int d = 0; d < x->rank; d++)
        if (in_line(form, d)) length *= x->dim[d];
    return length;
}

int pf_codegen_line_tunings(const pf_problem *p, int *threads, int max)
{
    static const int choices[] = { 256, 1024, 64, 32 };
    line_form        form;
    int              count = 0;

    recognize(p, &form);
    for (size_t i = 0; i < sizeof choices / sizeof *choices && count < max; i++)
        if (choices[i] <= 32 || choices[i] < 2 * line_length(p, &form)) threads[count++] = choices[i];
    return count;
}

/* ---- Emitting */

typedef struct line_code {
    cg_context       cg;
    line_form        form;
    pf_buf           body;
    cg_point         point;         /* of an element of x; the variables of the line are parameters of x_at */
    int64_t          length, lines;
    int              threads;       /* of a line */
    const char      *element;       /* what x_at gives: "float" or "long long" */
} line_code;

static const pf_value *x_of(const line_code *line)
{
    return pf_graph_value(line->cg.problem->graph, line->form.node->in[0]);
}

/* x_at(j): the line's element j. */
static bool emit_element(line_code *line)
{
    cg_context     *cg = &line->cg;
    const pf_shape *x = &x_of(line)->shape;
    int32_t         id = 0;

    pf_buf_printf(&line->body, "  const auto x_at = [&](const idx j) -> %s {\n  idx rest = j;\n", line->element);
    for (int d = x->rank - 1; d >= 0; d--)
        if (in_line(&line->form, d))
            pf_buf_printf(&line->body, "  const idx i%d = rest %% %lld; rest /= %lld;\n", d, (long long)x->dim[d],
                          (long long)x->dim[d]);
    id = cg_eval(cg, line->form.node->in[0], &line->point);
    pf_buf_printf(&line->body, "  return v%d[0];\n  };\n", id);
    cg_forget(cg);
    return id > 0;
}

/* Stores the expression in output o of the node, if it is one of the problem's, at `place` along the axis; "": where
   dims of the line are one or gone. */
static void emit_store(line_code *line, uint32_t o, const char *place, const char *expression)
{
    const pf_graph *graph = line->cg.problem->graph;
    const pf_value *y = pf_graph_value(graph, line->form.node->out[o]);
    int             rank = x_of(line)->shape.rank, next = 0;
    cg_point        at = { .rank = y->shape.rank };
    int32_t         opaque = ++line->cg.next_id, id = ++line->cg.next_id;

    if (*place) pf_buf_printf(&line->body, "  idx o%d[V]; o%d[0] = %s;\n", opaque, opaque, place);
    for (int d = 0; d < rank; d++) {
        if (!in_line(&line->form, d)) at.at[at.rank == rank ? d : next++] = line->point.at[d];
        else if (*place) at.at[d] = (cg_index){ .opaque = opaque };
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        if (graph->outputs[i] != line->form.node->out[o]) continue;
        pf_buf_printf(&line->body, "  %s v%d[V]; v%d[0] = %s;\n",
                      cg_type_of(y->dtype) == CG_FLOAT ? "float" : "long long", id, id, expression);
        cg_index address = cg_address(&line->cg, PF_LAYOUT_LINEAR, y, &at);
        cg_store(&line->cg, i, id, &address);
    }
}

static void emit_join_of_warp(line_code *line)
{
    pf_buf_printf(&line->body,
                  "  for (int m = 16; m; m /= 2) {\n"
                  "    const ELEMENT x = __shfl_xor_sync(0xffffffffu, best, m);\n"
                  "    const idx j = __shfl_xor_sync(0xffffffffu, at, m);\n"
                  "    if (j >= 0 && better(x, j, best, at)) { best = x; at = j; }\n  }\n"
                  "  best = __shfl_sync(0xffffffffu, best, 0); at = __shfl_sync(0xffffffffu, at, 0);\n");
}

/* best and at of all threads joined, at -1 where a thread has none.  round: a number of the kernel's, one more each
   time, so that nobody writes what others still read. */
static void emit_join(line_code *line, const char *round)
{
    emit_join_of_warp(line);
    if (line->threads == 32) return;
    pf_buf_printf(&line->body,
                  "  if (threadIdx.x %% 32 == 0) { bests[%s %% 2][threadIdx.x / 32] = best; "
                  "places[%s %% 2][threadIdx.x / 32] = at; }\n  __syncthreads();\n"
                  "  at = threadIdx.x %% 32 < T / 32 ? places[%s %% 2][threadIdx.x %% 32] : -1;\n"
                  "  best = at < 0 ? 0 : bests[%s %% 2][threadIdx.x %% 32];\n", round, round, round, round);
    emit_join_of_warp(line);
}

/* The best of a thread's elements, of those that satisfy the condition. */
static void emit_best(line_code *line, const char *condition)
{
    pf_buf_printf(&line->body,
                  "  for (idx j = threadIdx.x; j < D; j += T) { const ELEMENT x = x_at(j); if ((%s) && better(x, j, "
                  "best, at)) { best = x; at = j; } }\n",
                  condition);
}

/* better() says whether x at j goes before best at `at`, where no element has at -1. */
static void open_best(line_code *line, bool smallest, bool last)
{
    if (line->threads > 32)
        pf_buf_printf(&line->body, "  __shared__ ELEMENT bests[2][T / 32]; __shared__ idx places[2][T / 32];\n");
    pf_buf_printf(&line->body,
                  "  const auto better = [](ELEMENT x, idx j, ELEMENT best, idx at) { return at < 0 || x %s best || (x "
                  "== best && j %s at); };\n",
                  smallest ? "<" : ">", last ? ">" : "<");
}

static void emit_arg_reduce(line_code *line)
{
    const pf_arg_reduce_attrs *attrs = line->form.node->attrs;

    open_best(line, attrs->mode == PF_ARG_MIN, attrs->select_last);
    pf_buf_printf(&line->body, "  ELEMENT best = 0; idx at = -1;\n");
    emit_best(line, "true");
    emit_join(line, "0");
    pf_buf_printf(&line->body, "  if (threadIdx.x == 0) {\n");
    emit_store(line, 0, "", "at");
    pf_buf_printf(&line->body, "  }\n");
}

/* A thread's elements stay in its registers; each round the thread whose best was taken looks for its next. */
static void open_kept_rounds(line_code *line)
{
    pf_buf_printf(&line->body,
                  "  ELEMENT own[OWN], mine = 0; idx mine_at = -1; unsigned waiting = 0;\n"
                  "  const auto find_mine = [&]() {\n    mine_at = -1;\n"
                  "    _Pragma(\"unroll\") for (int i = 0; i < OWN; ++i)\n"
                  "      if (waiting >> i & 1 && better(own[i], threadIdx.x + i * T, mine, mine_at)) {\n"
                  "        mine = own[i]; mine_at = threadIdx.x + i * T; }\n  };\n");
    pf_buf_printf(&line->body,
                  "  _Pragma(\"unroll\") for (int i = 0; i < OWN; ++i) {\n    const idx j = threadIdx.x + i * T;\n"
                  "    own[i] = 0;\n    if (j < D) { own[i] = x_at(j); waiting |= 1u << i; }\n  }\n  find_mine();\n"
                  "  for (int rank = 0; rank < K; ++rank) {\n  ELEMENT best = mine; idx at = mine_at;\n");
}

static void close_kept_rounds(line_code *line)
{
    pf_buf_printf(&line->body, "  if (at >= 0 && at == mine_at) { waiting &= ~(1u << (at / T)); find_mine(); }\n  }\n");
}

/* Elements are read anew in each round, of which those behind the last one taken count. */
static void open_read_rounds(line_code *line)
{
    pf_buf_printf(&line->body, "  ELEMENT last = 0; idx last_at = -1;\n  for (int rank = 0; rank < K; ++rank) {\n"
                               "  ELEMENT best = 0; idx at = -1;\n");
    emit_best(line, "last_at < 0 || (j != last_at && better(last, last_at, x, j))");
}

/* Round by round the best of what is left. */
static void emit_topk(line_code *line)
{
    const pf_topk_attrs *attrs = line->form.node->attrs;
    bool                 kept = cg_up(line->length, line->threads) <= KEPT_MAX;

    open_best(line, attrs->smallest, false);
    pf_buf_printf(&line->body, "  constexpr int OWN = %lld, K = %lld; (void)OWN;\n",
                  (long long)cg_up(line->length, line->threads), (long long)attrs->k.at[0]);
    if (kept) open_kept_rounds(line);
    else open_read_rounds(line);
    emit_join(line, "rank");
    pf_buf_printf(&line->body, "  if (threadIdx.x == 0) {\n");
    emit_store(line, 0, "rank", "best");
    if (line->form.node->out_count > 1) emit_store(line, 1, "rank", "at < 0 ? 0 : at");
    pf_buf_printf(&line->body, "  }\n");
    if (kept) close_kept_rounds(line);
    else pf_buf_printf(&line->body, "  last = best; last_at = at;\n  }\n");
}

/* Piece by piece: an inclusive scan of T elements in shared memory, on top of what the pieces in front came to. */
static void emit_cumulate(line_code *line)
{
    const pf_cumulate_attrs *attrs = line->form.node->attrs;
    bool                     product = attrs->mode == PF_CUMULATE_PROD;
    pf_buf                  *out = &line->body;

    pf_buf_printf(out, "  __shared__ SUM sums[T];\n  SUM carry = %d;\n"
                       "  for (idx first = 0; first < D; first += T) {\n", product);
    pf_buf_printf(out, "  const idx k = first + threadIdx.x, j = %s;\n  const SUM x = k < D ? (SUM)x_at(j) : (SUM)%d;\n"
                       "  SUM sum = x;\n",
                  attrs->reverse ? "D - 1 - k" : "k", product);
    pf_buf_printf(out, "  sums[threadIdx.x] = sum;\n  __syncthreads();\n  for (int step = 1; step < T; step *= 2) {\n"
                       "    const SUM other = threadIdx.x >= step ? sums[threadIdx.x - step] : (SUM)%d;\n"
                       "    __syncthreads();\n"
                       "    sum = sum %s other; sums[threadIdx.x] = sum;\n    __syncthreads();\n  }\n",
                  product, product ? "*" : "+");
    if (attrs->exclusive)
        pf_buf_printf(out,
                      "  const SUM before = threadIdx.x ? sums[threadIdx.x - 1] : (SUM)%d, result = carry %s before;\n",
                      product, product ? "*" : "+");
    else pf_buf_printf(out, "  const SUM result = carry %s sum;\n", product ? "*" : "+");
    pf_buf_printf(out, "  if (k < D) {\n");
    emit_store(line, 0, "j", "result");
    pf_buf_printf(out, "  }\n  carry = carry %s sums[T - 1];\n  __syncthreads();\n  }\n", product ? "*" : "+");
}

static void emit_reduce(line_code *line)
{
    const integer_reduction *mode = integer_reduction_of(((const pf_reduce_attrs *)line->form.node->attrs)->mode);
    pf_buf                  *out = &line->body;

    pf_buf_printf(out, "  __shared__ ELEMENT sums[T];\n"
                       "  const auto join = [](ELEMENT a, ELEMENT b) -> ELEMENT { return %s; };\n"
                       "  ELEMENT sum = %s;\n", mode->join,
                  mode->identity);
    pf_buf_printf(out,
                  "  for (idx j = threadIdx.x; j < D; j += T) { const ELEMENT x = x_at(j); sum = join(sum, %s); }\n  "
                  "sums[threadIdx.x] = sum;\n",
                  mode->map);
    pf_buf_printf(out, "  for (int half = T / 2; half; half /= 2) { __syncthreads(); if (threadIdx.x < half) "
                       "sums[threadIdx.x] = join(sums[threadIdx.x], "
                       "sums[threadIdx.x + half]); }\n  __syncthreads();\n  if (threadIdx.x == 0) {\n");
    emit_store(line, 0, "", "sums[0]");
    pf_buf_printf(out, "  }\n");
}

static void emit_op(line_code *line)
{
    switch (line->form.node->op) {
    case PF_OP_ARG_REDUCE: emit_arg_reduce(line); return;
    case PF_OP_TOPK: emit_topk(line); return;
    case PF_OP_CUMULATE: emit_cumulate(line); return;
    default: emit_reduce(line); return;
    }
}

/* Header, and the variables of the line's number. */
static void emit_head(line_code *line, int threads, pf_buf *out)
{
    const pf_shape *x = &x_of(line)->shape;
    bool            floats = cg_type_of(x_of(line)->dtype) == CG_FLOAT;
    char            defines[256] = {0};

    snprintf(defines, sizeof defines, "#define T %d\n#define D %lld\n#define ELEMENT %s\n#define SUM %s\n", threads,
             (long long)line->length, line->element, floats ? "double" : "long long");
    pf_codegen_header(line->cg.problem, 1, threads, line->length * line->lines, defines, out);
    pf_buf_printf(out, "  idx left = (idx)blockIdx.x;\n");
    for (int d = x->rank - 1; d >= 0; d--)
        if (!in_line(&line->form, d))
            pf_buf_printf(out, "  const idx i%d = left %% %lld; left /= %lld;\n", d, (long long)x->dim[d],
                          (long long)x->dim[d]);
}

pf_status pf_codegen_line(const pf_problem *p, int threads, pf_program *out, pf_err *err)
{
    line_code   line = { 0 };
    const char *reason = recognize(p, &line.form);
    int64_t     elems = 0;
    pf_status   st = PF_OK;

    memset(out, 0, sizeof *out);
    if (reason) return PF_FAIL(err, PF_UNSUPPORTED, "%s", reason);
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    pf_buf_init(&line.body, SOURCE_LIMIT_BYTES);
    cg_context_init(&line.cg, p, &line.body, 1, err);
    cg_loop_over(&line.cg, PF_LAYOUT_LINEAR, x_of(&line), &line.point);
    line.element = cg_type_of(x_of(&line)->dtype) == CG_FLOAT ? "float" : "long long";
    line.length = line_length(p, &line.form);
    elems = pf_shape_elems(p->graph->dims, &x_of(&line)->shape);
    line.lines = line.length ? elems / line.length : 0;
    line.threads = threads;
    emit_head(&line, threads, &out->source);
    if (!emit_element(&line)) st = PF_FAIL(err, PF_UNSUPPORTED, "the region cannot be evaluated");
    emit_op(&line);
    pf_buf_put(&out->source, line.body.data, line.body.size);
    pf_buf_printf(&out->source, "}\n");
    if (!st && (line.body.failed || out->source.failed))
        st = PF_FAIL(err, PF_UNSUPPORTED, "the generated kernel is longer than %d bytes", SOURCE_LIMIT_BYTES);
    if (!st && (line.lines < 1 || line.lines > LINES_MAX))
        st = PF_FAIL(err, PF_UNSUPPORTED, "%lld lines", (long long)line.lines);
    out->grid[0] = (uint32_t)line.lines;
    out->grid[1] = out->grid[2] = out->block[1] = out->block[2] = 1;
    out->block[0] = (uint32_t)threads;
    cg_context_clear(&line.cg);
    pf_buf_clear(&line.body);
    if (st) pf_program_clear(out);
    return st;
}
