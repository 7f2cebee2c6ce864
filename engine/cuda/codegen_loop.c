/* The loop skeleton: every thread computes `vector` neighbouring elements of all outputs, which share one shape and
   layout. */
#include "engine/cuda/codegen_loop.h"

#include <stdio.h>
#include <string.h>

#include "engine/op.h"

enum { SOURCE_LIMIT_BYTES = 4 << 20, TURN_EXTENT_MIN = 16 };

/* Blocks of eight serve tensor cores for images of few channels; other blocked layouts are for CPUs. */
static bool fits_layout(pf_layout layout, const pf_value *value)
{
    return layout == PF_LAYOUT_LINEAR || cg_is_channels_last(layout, value->dtype) ||
           (layout == PF_LAYOUT_C8 && pf_dim_is_number(value->shape.dim[1]) && value->shape.dim[1] <= 8);
}

static const char *check_layouts(const pf_problem *p)
{
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        if (!fits_layout(p->in_layout[i], pf_graph_value(p->graph, p->graph->inputs[i])))
            return "a layout that this device does not use";
    for (uint32_t i = 0; i < p->graph->output_count; i++)
        if (!fits_layout(p->out_layout[i], pf_graph_value(p->graph, p->graph->outputs[i])))
            return "a layout that this device does not use";
    return NULL;
}

const char *pf_codegen_loop_declines(const pf_problem *p)
{
    const pf_graph *graph = p->graph;
    const pf_value *first = graph->output_count ? pf_graph_value(graph, graph->outputs[0]) : NULL;

    if (!first || graph->input_count + graph->output_count > CG_IN_OUT_MAX)
        return "too many inputs and outputs for one kernel";
    for (uint32_t n = 0; n < graph->node_count; n++) {
        const char *reason = graph->nodes[n].live ? cg_node_declines(graph, &graph->nodes[n]) : NULL;

        if (reason) return reason;
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const pf_value *out = pf_graph_value(graph, graph->outputs[i]);

        if (out->is_constant || out->producer == PF_NONE) return "an output that is an input";
        if (!pf_shape_equal(&out->shape, &first->shape) || p->out_layout[i] != p->out_layout[0])
            return "outputs of different shapes";
    }
    return check_layouts(p);
}

static void print_parameters(const pf_problem *p, pf_buf *out)
{
    const pf_graph *graph = p->graph;

    for (uint32_t i = 0; i < graph->input_count; i++)
        pf_buf_printf(out, "%sconst %s *__restrict__ in%u", i ? ", " : "",
                      cg_storage_type(pf_graph_value(graph, graph->inputs[i])->dtype), i);
    for (uint32_t i = 0; i < graph->output_count; i++)
        pf_buf_printf(out, "%s%s *__restrict__ out%u", i || graph->input_count ? ", " : "",
                      cg_storage_type(pf_graph_value(graph, graph->outputs[i])->dtype), i);
}

static void print_arguments(const pf_problem *p, pf_buf *out)
{
    for (uint32_t i = 0; i < p->graph->input_count; i++) pf_buf_printf(out, "%sin%u", i ? ", " : "", i);
    for (uint32_t i = 0; i < p->graph->output_count; i++)
        pf_buf_printf(out, "%sout%u", i || p->graph->input_count ? ", " : "", i);
}

void pf_codegen_header(const pf_problem *p, int vector, int threads, int64_t elems, const char *functions, pf_buf *out)
{
    pf_buf_printf(out, "%s#define V %d\ntypedef %s idx;\n%s%s", cg_prelude, vector,
                  elems < INT64_C(1) << 30 ? "int" : "long long",
                  cg_has_node(p->graph, PF_OP_GRID_SAMPLE) ? cg_grid_sample_functions : "", functions);
    pf_buf_printf(out, "__device__ __forceinline__ void region(");
    print_parameters(p, out);
    pf_buf_printf(out, ");\n");
    cg_print_start(p, out);
    pf_buf_printf(out, "#ifndef CLUSTER\n#define CLUSTER\n#endif\n#ifndef AHEAD\n#define AHEAD\n#endif\n"
                       "extern \"C\" __global__ void __launch_bounds__(%d) CLUSTER kernel(", threads);
    print_parameters(p, out);
    pf_buf_printf(out, ")\n{\n  AHEAD START\n  region(");
    print_arguments(p, out);
    pf_buf_printf(out, ");\n}\n__device__ __forceinline__ void region(");
    print_parameters(p, out);
    pf_buf_printf(out, ")\n{\n");
}

/* Loop variables from the number n of the thread's first element, innermost first. */
static void print_variables(const cg_context *cg, pf_buf *out)
{
    pf_buf_printf(out, "  idx rest = n;\n");
    for (int v = cg->var_count - 1; v > 0; v--)
        pf_buf_printf(out, "  const idx i%d = rest %% %lld; rest /= %lld;\n", v, (long long)cg->var_extent[v],
                      (long long)cg->var_extent[v]);
    pf_buf_printf(out, "  const idx i0 = rest;\n");
}

/* ---- Tiles */

/* The only input that is no constant and not much smaller than the output; PF_NONE: there is none, or several. */
static uint32_t large_input(const pf_problem *p)
{
    const pf_graph *graph = p->graph;
    int64_t         elems = pf_shape_elems(graph->dims, &pf_graph_value(graph, graph->outputs[0])->shape);
    uint32_t        found = PF_NONE;

    for (uint32_t i = 0; i < graph->input_count; i++) {
        const pf_shape *shape = &pf_graph_value(graph, graph->inputs[i])->shape;

        if (p->in_constant[i] || pf_shape_elems(graph->dims, shape) < elems / 2) continue;
        if (found != PF_NONE) return PF_NONE;
        found = i;
    }
    return found;
}

/* The loop variable along which the large input's elements are neighbours, where outputs' are along another; -1. */
static int reading_variable(const pf_problem *p)
{
    uint32_t   input = pf_problem_is_bound(p) ? large_input(p) : PF_NONE;
    cg_context cg;
    cg_point   point;
    pf_buf     scratch = {0};
    int        found = -1;

    if (input == PF_NONE) return -1;
    pf_buf_init(&scratch, SOURCE_LIMIT_BYTES);
    cg_context_init(&cg, p, &scratch, 1, NULL);
    cg.tracing = true;
    cg.traced_input = UINT32_MAX;
    cg_loop_over(&cg, p->out_layout[0], pf_graph_value(p->graph, p->graph->outputs[0]), &point);
    if (cg_eval(&cg, p->graph->outputs[0], &point) > 0 && cg.traced_input == input && !cg.traced_address.opaque &&
        cg.traced_address.coef[cg.lane_var] > 1 && cg.var_extent[cg.lane_var] >= TURN_EXTENT_MIN)
        for (int v = 0; v < cg.var_count; v++)
            if (cg.traced_address.coef[v] == 1 && cg.var_extent[v] >= TURN_EXTENT_MIN) found = v;
    cg_context_clear(&cg);
    pf_buf_clear(&scratch);
    return found;
}

bool pf_codegen_loop_turns(const pf_problem *p) { return reading_variable(p) >= 0; }

/* Blocks are tiles of the variables `read` and lane_var, along which a thread has V elements; the others count tiles.
   Returns how many blocks there are. */
static int64_t print_tile_variables(const cg_context *cg, int read, int vector, int threads, int along, pf_buf *out)
{
    int     lane = cg->lane_var;
    int64_t across = threads / along, tiles_across = cg_up(cg->var_extent[lane] / vector, across),
            tiles_along = cg_up(cg->var_extent[read], along), blocks = tiles_across * tiles_along;

    pf_buf_printf(out, "  idx rest = (idx)blockIdx.x;\n"
                       "  const idx i%d = (rest %% %lld * %lld + (int)threadIdx.x %% %lld) * V; rest /= %lld;\n"
                       "  const idx i%d = rest %% %lld * %d + (int)threadIdx.x / %lld; rest /= %lld;\n"
                       "  if (i%d >= %lld || i%d >= %lld) return;\n",
                  lane, (long long)tiles_across, (long long)across, (long long)across, (long long)tiles_across, read,
                  (long long)tiles_along, along, (long long)across, (long long)tiles_along, lane,
                  (long long)cg->var_extent[lane], read, (long long)cg->var_extent[read]);
    for (int v = cg->var_count - 1; v >= 0; v--) {
        if (v == lane || v == read) continue;
        pf_buf_printf(out, "  const idx i%d = rest %% %lld; rest /= %lld;\n", v, (long long)cg->var_extent[v],
                      (long long)cg->var_extent[v]);
        blocks *= cg->var_extent[v];
    }
    return blocks;
}

static int64_t loop_elems(const cg_context *cg)
{
    int64_t elems = 1;

    for (int v = 0; v < cg->var_count; v++) elems *= cg->var_extent[v];
    return elems;
}

static int64_t largest_tensor(const pf_problem *p)
{
    int64_t most = cg_most_places(p);

    for (uint32_t v = 0; v < p->graph->value_count; v++) {
        int64_t elems = pf_shape_elems(p->graph->dims, &p->graph->values[v].shape);

        if (elems > most) most = elems;
    }
    return most;
}

/* Evaluates and stores every output; padding lanes of blocked layouts are stored as zero. */
static pf_status emit_outputs(cg_context *cg, const cg_point *point)
{
    const pf_graph *graph = cg->problem->graph;

    for (uint32_t i = 0; i < graph->output_count; i++) {
        const pf_value *value = pf_graph_value(graph, graph->outputs[i]);
        cg_index        address = cg_address(cg, cg->problem->out_layout[i], value, point);
        int32_t         id = cg_eval(cg, graph->outputs[i], point);

        if (id < 0) return PF_NO_SPACE;
        if (point->guard) pf_buf_printf(cg->body, "  LANES if (!g%d[l]) v%d[l] = 0;\n", point->guard, id);
        cg_store(cg, i, id, &address);
    }
    return PF_OK;
}

/* The value that out0 holds at the point, loaded and bound. */
static bool bind_stored(cg_context *cg, pf_value_id value, const cg_point *point)
{
    pf_dtype    dtype = pf_graph_value(cg->problem->graph, value)->dtype;
    cg_index    address = cg_address(cg, PF_LAYOUT_LINEAR, pf_graph_value(cg->problem->graph, value), point);
    const char *type = cg_storage_type(dtype);
    int32_t     id = ++cg->next_id;

    pf_buf_printf(cg->body, "  float v%d[V]; { const wide<%s, V> w = *(const wide<%s, V> *)(out0 + ", id, type, type);
    cg_index_print(cg, &address, "0", cg->body);
    pf_buf_printf(cg->body, "); LANES v%d[l] = %s(w.at[l]); }\n", id, cg_load_function(dtype));
    return cg_bind(cg, value, point, id);
}

/* A thread after the other along the outputs. Returns how many blocks there are. */
static int64_t print_line_variables(const cg_context *cg, int vector, int threads, pf_buf *out)
{
    int64_t items = loop_elems(cg) / vector;

    pf_buf_printf(out, "  const long long item = (long long)blockIdx.x * %d + threadIdx.x;\n"
                       "  if (item >= %lld) return;\n  const idx n = (idx)item * V;\n", threads, (long long)items);
    print_variables(cg, out);
    return cg_up(items, threads);
}

/* stored: PF_NONE, or what out0 holds already.  along: threads of a tile along the dim that is read; 0: no tiles. */
static pf_status generate(const pf_problem *p, pf_value_id stored, int vector, int threads, int along, pf_program *out,
                          pf_err *err)
{
    cg_context      cg;
    cg_point        point;
    pf_buf          body = {0};
    const pf_value *value = pf_graph_value(p->graph, p->graph->outputs[0]);
    int64_t         elems = 0, blocks = 0;
    int             read = along ? reading_variable(p) : -1;
    pf_status       st = PF_OK;

    memset(out, 0, sizeof *out);
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    pf_buf_init(&body, SOURCE_LIMIT_BYTES);
    cg_context_init(&cg, p, &body, vector, err);
    cg_loop_over(&cg, p->out_layout[0], value, &point);
    elems = loop_elems(&cg);
    if (stored != PF_NONE && !bind_stored(&cg, stored, &point)) st = PF_FAIL_MEMORY(err, SOURCE_LIMIT_BYTES);
    if (!st) st = emit_outputs(&cg, &point);
    pf_codegen_header(p, vector, threads, elems > largest_tensor(p) ? elems : largest_tensor(p), "",
                      &out->source);
    blocks = read < 0 ? print_line_variables(&cg, vector, threads, &out->source)
                      : print_tile_variables(&cg, read, vector, threads, along, &out->source);
    pf_buf_put(&out->source, body.data, body.size);
    pf_buf_printf(&out->source, "}\n");
    if (!st && (body.failed || out->source.failed))
        st = PF_FAIL(err, PF_UNSUPPORTED, "the generated kernel is longer than %d bytes", SOURCE_LIMIT_BYTES);
    out->grid[0] = (uint32_t)blocks;
    out->grid[1] = out->grid[2] = out->block[1] = out->block[2] = 1;
    out->block[0] = (uint32_t)threads;
    cg_context_clear(&cg);
    pf_buf_clear(&body);
    if (st) pf_program_clear(out);
    return st;
}

pf_status pf_codegen_loop(const pf_problem *p, int vector, int threads, int along, pf_program *out, pf_err *err)
{
    return generate(p, PF_NONE, vector, threads, along, out, err);
}

const char *pf_codegen_behind_declines(const pf_problem *p, pf_value_id value)
{
    const pf_graph *graph = p->graph;
    const pf_value *from = pf_graph_value(graph, value),
                   *to = graph->output_count == 1 ? pf_graph_value(graph, graph->outputs[0]) : NULL;

    if (!to || from->dtype != to->dtype || !pf_shape_equal(&from->shape, &to->shape) ||
        p->out_layout[0] != PF_LAYOUT_LINEAR)
        return "an output of another kind";
    if (!pf_dtype_is_float(from->dtype) || !cg_storage_type(from->dtype)) return "element type";
    if (graph->input_count + 1 > CG_IN_OUT_MAX) return "too many inputs and outputs for one kernel";
    return cg_behind_declines(graph, &graph->nodes[from->producer]);
}

pf_status pf_codegen_behind(const pf_problem *p, pf_value_id value, int threads, pf_program *out, pf_err *err)
{
    return generate(p, value, pf_codegen_loop_widest(p), threads, 0, out, err);
}

int pf_codegen_loop_widest(const pf_problem *p)
{
    const pf_graph *graph = p->graph;
    cg_context      cg;
    cg_point        point;
    pf_buf          scratch = {0};
    int             widest = 16;

    for (uint32_t i = 0; i < graph->output_count; i++) {
        int fits = 128 / (int)pf_dtype_bits(pf_graph_value(graph, graph->outputs[i])->dtype);

        if (fits < widest) widest = fits;
    }
    pf_buf_init(&scratch, 4096);
    cg_context_init(&cg, p, &scratch, 1, NULL);
    cg_loop_over(&cg, p->out_layout[0], pf_graph_value(graph, graph->outputs[0]), &point);
    while (widest > 1 && cg.var_extent[cg.lane_var] % widest) widest /= 2;
    pf_buf_clear(&scratch);
    return widest < 1 ? 1 : widest;
}
