#include "engine/cuda/codegen_column.h"

#include <stdio.h>
#include <string.h>

#include "engine/cuda/codegen_loop.h"
#include "engine/cuda/codegen_reduce.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

enum { SOURCE_LIMIT_BYTES = 1 << 20, VAR_N = 0, VAR_H = 1, VAR_W = 2, VAR_C = 3 };

static const char *check_reduce(const pf_graph *graph, const pf_node *node)
{
    const pf_reduce_attrs *attrs = node->attrs;

    if (pf_graph_value(graph, node->in[0])->shape.rank != 4 || attrs->axes.count != 2 ||
        attrs->axes.at[0] + attrs->axes.at[1] != 5 || attrs->axes.at[0] * attrs->axes.at[1] != 6)
        return "reduced dims are not the two spatial ones";
    return cg_reduction_of(attrs->mode) ? NULL : "reduction without a form here";
}

static bool is_reduce(const pf_node *node) { return node->op == PF_OP_REDUCE; }

static const char *recognize(const pf_problem *p, const pf_node **reduce)
{
    const char *reason = cg_find_anchor(p->graph, is_reduce, "no reduction", "two reductions", reduce);

    return reason ? reason : check_reduce(p->graph, *reduce);
}

/* Layouts are those of memory: images channels-last, anything else linear. A result of one pixel may count as
   either. */
const char *pf_codegen_column_declines(const pf_problem *p)
{
    const pf_graph *graph = p->graph;
    const pf_node  *reduce = NULL;
    const char     *reason = recognize(p, &reduce);
    const pf_shape *result = NULL;

    if (!reason) reason = cg_behind_declines(p->graph, reduce);
    if (reason) return reason;
    result = &pf_graph_value(graph, reduce->out[0])->shape;
    if (!pf_dtype_is_float(pf_graph_value(graph, reduce->in[0])->dtype)) return "not floats";
    if (graph->input_count + graph->output_count > CG_IN_OUT_MAX) return "too many inputs and outputs for one kernel";
    for (uint32_t i = 0; i < graph->input_count; i++) {
        bool image = pf_graph_value(graph, graph->inputs[i])->shape.rank == 4 && !p->in_constant[i];

        if (p->in_layout[i] != (image ? PF_LAYOUT_CHANNELS_LAST : PF_LAYOUT_LINEAR)) return "layout";
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const pf_value *out = pf_graph_value(graph, graph->outputs[i]);

        if (p->out_layout[i] != (result->rank == 4 ? PF_LAYOUT_CHANNELS_LAST : PF_LAYOUT_LINEAR)) return "layout";
        if (!pf_shape_equal(&out->shape, result) || out->is_constant || out->producer == PF_NONE)
            return "an output of another shape";
    }
    return NULL;
}

int pf_codegen_column_tunings(const pf_problem *p, pf_column_tuning *out, int max)
{
    static const int across[] = { 8, 16, 32, 4 };
    const pf_node   *reduce = NULL;
    const pf_value  *x = NULL;
    int              widest = 0, count = 0;

    recognize(p, &reduce);
    x = pf_graph_value(p->graph, reduce->in[0]);
    for (widest = 128 / (int)pf_dtype_bits(x->dtype); widest > 1 && x->shape.dim[1] % widest;) widest /= 2;
    for (int vector = widest; vector >= 1 && vector * 4 >= widest; vector /= 2)
        for (size_t a = 0; a < sizeof across / sizeof *across; a++)
            for (int threads = 256; threads <= 1024 && count < max; threads *= 4)
                if (threads / across[a] <= x->shape.dim[2] * x->shape.dim[3] * 2) out[count++] = (pf_column_tuning){
                    vector, across[a], threads / across[a],
                };
    if (!count) out[count++] = (pf_column_tuning){ widest, 32, 1 };
    return count;
}

/* Pixels: the sum of what the thread's own contribute, then over the threads along y. */
static bool emit_reduction(cg_context *cg, const pf_node *reduce, const cg_point *point)
{
    const cg_reduction *mode = cg_reduction_of(((const pf_reduce_attrs *)reduce->attrs)->mode);
    pf_buf             *out = cg->body;
    int32_t             x = 0;

    pf_buf_printf(out, "  float sum[V]; LANES sum[l] = %s;\n", mode->identity);
    pf_buf_printf(out, "  if (inside) for (idx pixel = threadIdx.y; pixel < D; pixel += DOWN) {\n"
                       "  const idx i1 = pixel / %lld, i2 = pixel %% %lld;\n",
                  (long long)cg->var_extent[VAR_W], (long long)cg->var_extent[VAR_W]);
    x = cg_eval(cg, reduce->in[0], point);
    if (x < 0) return false;
    pf_buf_printf(out, "  LANES { const float x = v%d[l]; sum[l] = %s::of(sum[l], %s); }\n  }\n", x, mode->join,
                  mode->map);
    pf_buf_printf(out, "  LANES part[threadIdx.y][threadIdx.x][l] = sum[l];\n  __syncthreads();\n");
    pf_buf_printf(out, "  if (threadIdx.y || !inside) return;\n"
                       "  for (int t = 1; t < DOWN; ++t) LANES sum[l] = %s::of(sum[l], part[t][threadIdx.x][l]);\n",
                  mode->join);
    pf_buf_printf(out, "  float result[V]; LANES { const float r = sum[l]; result[l] = %s; }\n", mode->finish);
    return true;
}

static bool emit_outputs(cg_context *cg, const pf_node *reduce)
{
    const pf_graph *graph = cg->problem->graph;
    cg_point        at = { .rank = pf_graph_value(graph, reduce->out[0])->shape.rank };
    int32_t         id = ++cg->next_id;

    at.at[0] = cg_index_of(cg, VAR_N);
    at.at[1] = cg_index_of(cg, VAR_C);
    cg_forget(cg);
    pf_buf_printf(cg->body, "  float v%d[V]; LANES v%d[l] = result[l];\n", id, id);
    if (!cg_bind(cg, reduce->out[0], &at, id)) return false;
    for (uint32_t i = 0; i < graph->output_count; i++) {
        cg_index address = cg_address(cg, cg->problem->out_layout[i], pf_graph_value(graph, graph->outputs[i]), &at);
        int32_t  y = cg_eval(cg, graph->outputs[i], &at);

        if (y < 0) return false;
        cg_store(cg, i, y, &address);
    }
    return true;
}

pf_status pf_codegen_column(const pf_problem *p, const pf_column_tuning *tuning, pf_program *out, pf_err *err)
{
    const pf_node *reduce = NULL;
    cg_context     cg;
    cg_point       point;
    pf_buf         body = {0};
    char           functions[1024] = {0};
    int64_t        vectors = 0, pixels = 0;
    pf_status      st = PF_OK;

    memset(out, 0, sizeof *out);
    recognize(p, &reduce);
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    pf_buf_init(&body, SOURCE_LIMIT_BYTES);
    cg_context_init(&cg, p, &body, tuning->vector, err);
    cg_loop_over(&cg, PF_LAYOUT_CHANNELS_LAST, pf_graph_value(p->graph, reduce->in[0]), &point);
    vectors = cg.var_extent[VAR_C] / tuning->vector;
    pixels = cg.var_extent[VAR_H] * cg.var_extent[VAR_W];
    if (!emit_reduction(&cg, reduce, &point) || !emit_outputs(&cg, reduce))
        st = PF_FAIL(err, PF_UNSUPPORTED, "the region cannot be evaluated");
    snprintf(functions, sizeof functions, "#define D %lld\n#define DOWN %d\n%s", (long long)pixels, tuning->down,
             CG_REDUCTION_FUNCTORS);
    pf_codegen_header(p, tuning->vector, tuning->across * tuning->down,
                      cg.var_extent[VAR_N] * pixels * cg.var_extent[VAR_C], functions, &out->source);
    pf_buf_printf(&out->source,
                  "  __shared__ float part[DOWN][%d][V];\n  const idx i0 = blockIdx.y, i3 = ((idx)blockIdx.x * %d + "
                  "threadIdx.x) * V;\n",
                  tuning->across, tuning->across);
    pf_buf_printf(&out->source, "  const bool inside = i3 < %lld;\n", (long long)cg.var_extent[VAR_C]);
    pf_buf_put(&out->source, body.data, body.size);
    pf_buf_printf(&out->source, "}\n");
    if (!st && (body.failed || out->source.failed))
        st = PF_FAIL(err, PF_UNSUPPORTED, "the generated kernel is longer than %d bytes", SOURCE_LIMIT_BYTES);
    if (!st && cg.var_extent[VAR_N] > 65535) st = PF_FAIL(err, PF_UNSUPPORTED, "more than 65535 images");
    out->grid[0] = (uint32_t)((vectors + tuning->across - 1) / tuning->across);
    out->grid[1] = (uint32_t)cg.var_extent[VAR_N];
    out->grid[2] = out->block[2] = 1;
    out->block[0] = (uint32_t)tuning->across;
    out->block[1] = (uint32_t)tuning->down;
    cg_context_clear(&cg);
    pf_buf_clear(&body);
    if (st) pf_program_clear(out);
    return st;
}
