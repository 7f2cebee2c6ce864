#include "engine/cuda/codegen_column.h"

#include <stdio.h>
#include <string.h>

#include "engine/cuda/codegen_loop.h"
#include "engine/cuda/codegen_reduce.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

enum { SOURCE_LIMIT_BYTES = 1 << 20, VAR_N = 0, VAR_H = 1, VAR_W = 2, VAR_C = 3,
       THREADS_WANTED = 1 << 16,            /* half of what a large card holds */
       BLOCKS_WANTED = 256, SPLIT_MAX = 8, LEAST_PIXELS = 4 /* of a thread, where blocks share an image */ };

/* An image's loop variables are n, h, w, c; else they are the dims of x. */
typedef struct column_form {
    const pf_node *node;
    bool           image, reduced[PF_MAX_RANK];     /* dims */
} column_form;

static bool is_pooling(const pf_graph *graph, const pf_node *node)
{
    const pf_ints *axes = &((const pf_reduce_attrs *)node->attrs)->axes;

    return pf_graph_value(graph, node->in[0])->shape.rank == 4 && axes->count == 2 &&
           axes->at[0] + axes->at[1] == 5 && axes->at[0] * axes->at[1] == 6;
}

static const char *take_reduce(const pf_problem *p, const pf_node *node, column_form *form)
{
    const pf_reduce_attrs *attrs = node->attrs;
    const pf_shape        *x = &pf_graph_value(p->graph, node->in[0])->shape;

    form->node = node;
    form->image = is_pooling(p->graph, node);
    for (int i = 0; i < attrs->axes.count; i++) form->reduced[attrs->axes.at[i]] = true;
    if (!cg_reduction_of(attrs->mode)) return "reduction without a form here";
    if (form->image) return NULL;
    return x->rank < 2 || attrs->axes.count < 1 || form->reduced[x->rank - 1] || x->rank > CG_VARS - 2
               ? "the innermost dim is reduced"
               : NULL;
}

static bool is_reduce(const pf_node *node) { return node->op == PF_OP_REDUCE; }

static const char *recognize(const pf_problem *p, column_form *form)
{
    const pf_node *node = NULL;
    const char    *reason = cg_find_anchor(p->graph, is_reduce, "no reduction", "two reductions", &node);

    *form = (column_form){ 0 };
    return reason ? reason : take_reduce(p, node, form);
}

static pf_layout layout_of(const column_form *form, int rank)
{
    return form->image && rank == 4 ? PF_LAYOUT_CHANNELS_LAST : PF_LAYOUT_LINEAR;
}

/* Layouts are those of memory: where images are pooled they lie channels-last, anything else is written linear, and
   read wherever its elements lie. A result of one pixel may count as either. */
static const char *check_values(const pf_problem *p, const column_form *form)
{
    const pf_graph *graph = p->graph;
    const pf_shape *result = &pf_graph_value(graph, form->node->out[0])->shape;

    for (uint32_t i = 0; i < graph->input_count; i++) {
        int  rank = pf_graph_value(graph, graph->inputs[i])->shape.rank;
        bool reads = !form->image && !p->in_constant[i] && p->in_layout[i] == PF_LAYOUT_CHANNELS_LAST;

        if (!reads && p->in_layout[i] != layout_of(form, p->in_constant[i] ? 0 : rank)) return "layout";
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const pf_value *out = pf_graph_value(graph, graph->outputs[i]);

        if (p->out_layout[i] != layout_of(form, result->rank)) return "layout";
        if (!pf_shape_equal(&out->shape, result) || out->is_constant || out->producer == PF_NONE ||
            !cg_storage_type(out->dtype))
            return "an output of another shape, or of no use here";
    }
    return NULL;
}

const char *pf_codegen_column_declines(const pf_problem *p)
{
    const pf_graph *graph = p->graph;
    column_form     form;
    const char     *reason = recognize(p, &form);

    if (!reason) reason = cg_behind_declines(p->graph, form.node);
    if (reason) return reason;
    if (!pf_dtype_is_float(pf_graph_value(graph, form.node->in[0])->dtype)) return "not floats";
    if (graph->input_count + graph->output_count > CG_IN_OUT_MAX) return "too many inputs and outputs for one kernel";
    return check_values(p, &form);
}

/* ---- Tunings */

/* Elements that are reduced to one, or results. */
static int64_t count_of(const pf_problem *p, const column_form *form, bool reduced)
{
    const pf_shape *x = &pf_graph_value(p->graph, form->node->in[0])->shape;
    int64_t         count = 1;

    for (int d = 0; d < x->rank; d++)
        if (form->reduced[d] == reduced) count *= x->dim[d];
    return count;
}

/* 16 bytes of x, and no more than divide what lies side by side. */
static int widest(const pf_problem *p, const column_form *form)
{
    const pf_value *x = pf_graph_value(p->graph, form->node->in[0]);
    int64_t         extent = x->shape.dim[form->image ? 1 : x->shape.rank - 1];
    int             vector = 128 / (int)pf_dtype_bits(x->dtype);

    while (vector > 1 && extent % vector) vector /= 2;
    return vector;
}

/* As many threads down a column as it takes to fill a card, and twice and four times as many. */
static int linear_tunings(const pf_problem *p, const column_form *form, pf_column_tuning *out, int max)
{
    int64_t reduced = count_of(p, form, true), results = count_of(p, form, false);
    int     count = 0;

    for (int vector = widest(p, form), least = vector / 4; vector >= 1 && vector >= least; vector /= 2) {
        int down = 1;

        while (down < 32 && 2 * down <= reduced && results / vector * down < THREADS_WANTED) down *= 2;
        for (int more = 0; more < 3 && count < max && down <= 32 && (!more || down <= reduced); more++, down *= 2)
            out[count++] = (pf_column_tuning){ vector, down <= 4 ? 128 / down : 32, down, 1 };
    }
    return count;
}

/* How many blocks share the pixels of an image so that all of a large card works. */
static int split_of(const pf_shape *x, int vector, int across, int down)
{
    int64_t blocks = x->dim[0] * cg_up(x->dim[1], across * vector), pixels = x->dim[2] * x->dim[3];
    int     split = 1;

    while (split < SPLIT_MAX && blocks * 2 * split <= BLOCKS_WANTED && down * 2 * split * LEAST_PIXELS <= pixels)
        split *= 2;
    return split;
}

static int image_tunings(const pf_problem *p, const column_form *form, bool clusters, pf_column_tuning *out, int max)
{
    static const int across[] = { 8, 16, 32, 4 };
    const pf_shape  *x = &pf_graph_value(p->graph, form->node->in[0])->shape;
    int              count = 0, most = widest(p, form);
    bool             bound = pf_problem_is_bound(p);

    for (int vector = most; vector >= 1 && vector * 4 >= most; vector /= 2)
        for (size_t a = 0; a < sizeof across / sizeof *across; a++)
            for (int threads = 256; threads <= 1024 && count < max; threads *= 4) {
                int down = threads / across[a],
                    split = clusters && bound && threads == 256 ? split_of(x, vector, across[a], down) : 1;

                if (down <= x->dim[2] * x->dim[3] * 2)
                    out[count++] = (pf_column_tuning){ vector, across[a], down, split };
            }
    if (!count) out[count++] = (pf_column_tuning){ most, 32, 1, 1 };
    return count;
}

int pf_codegen_column_tunings(const pf_problem *p, bool clusters, pf_column_tuning *out, int max)
{
    column_form form;

    recognize(p, &form);
    return form.image ? image_tunings(p, &form, clusters, out, max) : linear_tunings(p, &form, out, max);
}

/* ---- Emitting */

/* The loop variables of a pixel. */
static void print_pixel(const cg_context *cg, const column_form *form, pf_buf *out)
{
    int rank = pf_graph_value(cg->problem->graph, form->node->in[0])->shape.rank;

    if (form->image) {
        pf_buf_printf(out, "  const idx i1 = pixel / %lld, i2 = pixel %% %lld;\n", (long long)cg->var_extent[VAR_W],
                      (long long)cg->var_extent[VAR_W]);
        return;
    }
    pf_buf_printf(out, "  idx left = pixel;\n");
    for (int d = rank - 1; d >= 0; d--)
        if (form->reduced[d])
            pf_buf_printf(out, "  const idx i%d = left %% %lld; left /= %lld;\n", d, (long long)cg->var_extent[d],
                          (long long)cg->var_extent[d]);
}

/* The first row of threads of a cluster's first block joins what the blocks have; nobody leaves before. */
static const char join_blocks[] =
    "#if SPLIT > 1\n"
    "#define CLUSTER __cluster_dims__(1, 1, SPLIT)\n"
    "#define MEET asm volatile(\"barrier.cluster.arrive.release.aligned;\\nbarrier.cluster.wait.acquire.aligned;\" "
    "::: \"memory\")\n"
    "template <class Join> __device__ __forceinline__ void join_blocks(float sum[V], float *own, bool joins) {\n"
    "  if (threadIdx.y == 0) LANES own[l] = sum[l];\n"
    "  MEET;\n"
    "  if (joins) for (unsigned s = 1; s < SPLIT; ++s) LANES {\n"
    "    unsigned at; float other;\n"
    "    asm volatile(\"mapa.shared::cluster.u32 %0, %1, %2;\" : \"=r\"(at) "
    ": \"r\"((unsigned)__cvta_generic_to_shared(own + l)), \"r\"(s));\n"
    "    asm volatile(\"ld.shared::cluster.f32 %0, [%1];\" : \"=f\"(other) : \"r\"(at) : \"memory\");\n"
    "    sum[l] = Join::of(sum[l], other); }\n"
    "  MEET; }\n"
    "#else\n"
    "template <class Join> __device__ __forceinline__ void join_blocks(float *, float *, bool) { }\n"
    "#endif\n";

/* Pixels: the sum of what the thread's own contribute, then over the threads along y, then over the blocks. */
static bool emit_reduction(cg_context *cg, const column_form *form, const cg_point *point)
{
    const pf_node      *reduce = form->node;
    const cg_reduction *mode = cg_reduction_of(((const pf_reduce_attrs *)reduce->attrs)->mode);
    pf_buf             *out = cg->body;
    int32_t             x = 0;

    pf_buf_printf(out, "  float sum[V]; LANES sum[l] = %s;\n", mode->identity);
    pf_buf_printf(out, "  if (inside) _Pragma(\"unroll 8\")\n"
                       "  for (idx pixel = threadIdx.y + DOWN * blockIdx.z; pixel < D; pixel += DOWN * SPLIT) {\n");
    print_pixel(cg, form, out);
    x = cg_eval(cg, reduce->in[0], point);
    if (x < 0) return false;
    pf_buf_printf(out, "  LANES { const float x = v%d[l]; sum[l] = %s::of(sum[l], %s); }\n  }\n", x, mode->join,
                  mode->map);
    pf_buf_printf(out, "  if (DOWN > 1) {\n  LANES part[threadIdx.y][threadIdx.x][l] = sum[l];\n  __syncthreads();\n"
                       "  }\n  const bool last = !threadIdx.y && !blockIdx.z && inside;\n");
    pf_buf_printf(out, "  if (!threadIdx.y) for (int t = 1; t < DOWN; ++t) LANES sum[l] = %s::of(sum[l], "
                       "part[t][threadIdx.x][l]);\n"
                       "  join_blocks<%s>(sum, part[0][threadIdx.x], last);\n  if (!last) return;\n",
                  mode->join, mode->join);
    pf_buf_printf(out, "  float result[V]; LANES { const float r = sum[l]; result[l] = %s; }\n", mode->finish);
    return true;
}

/* The point of a result: zeros where reduced dims were kept. */
static cg_point result_point(const cg_context *cg, const column_form *form)
{
    const pf_graph *graph = cg->problem->graph;
    int             rank = pf_graph_value(graph, form->node->in[0])->shape.rank, next = 0;
    cg_point        at = { .rank = pf_graph_value(graph, form->node->out[0])->shape.rank };

    if (form->image) {
        at.at[0] = cg_index_of(cg, VAR_N);
        at.at[1] = cg_index_of(cg, VAR_C);
        return at;
    }
    for (int d = 0; d < rank; d++)
        if (!form->reduced[d]) at.at[at.rank == rank ? d : next++] = cg_index_of(cg, d);
    return at;
}

static bool emit_outputs(cg_context *cg, const column_form *form)
{
    const pf_graph *graph = cg->problem->graph;
    const pf_node  *reduce = form->node;
    cg_point        at = result_point(cg, form);
    int32_t         id = ++cg->next_id;

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

/* Where the thread's results are: images along y of the grid, or all results in one row. */
static void print_place(const cg_context *cg, const column_form *form, const pf_column_tuning *tuning, int64_t columns,
                        pf_buf *out)
{
    int rank = pf_graph_value(cg->problem->graph, form->node->in[0])->shape.rank;

    pf_buf_printf(out, "  __shared__ float part[DOWN][%d][V];\n"
                       "  const idx column = ((idx)blockIdx.x * %d + threadIdx.x) * V;\n"
                       "  const bool inside = column < %lld;\n",
                  tuning->across, tuning->across, (long long)columns);
    if (form->image) {
        pf_buf_printf(out, "  const idx i0 = blockIdx.y, i3 = column;\n");
        return;
    }
    pf_buf_printf(out, "  idx rest = column;\n");
    for (int d = rank - 1; d >= 0; d--)
        if (!form->reduced[d])
            pf_buf_printf(out, "  const idx i%d = rest %% %lld; rest /= %lld;\n", d, (long long)cg->var_extent[d],
                          (long long)cg->var_extent[d]);
}

pf_status pf_codegen_column(const pf_problem *p, const pf_column_tuning *given, pf_program *out, pf_err *err)
{
    column_form      form;
    cg_context       cg;
    cg_point         point;
    pf_column_tuning t = *given;
    pf_buf           body = {0};
    char             functions[4096] = {0};
    int64_t          columns = 0, images = 1, pixels = 0;
    pf_status        st = PF_OK;

    memset(out, 0, sizeof *out);
    recognize(p, &form);
    if (t.vector > widest(p, &form)) t.vector = widest(p, &form);       /* a plan at another shape of its profile */
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    pf_buf_init(&body, SOURCE_LIMIT_BYTES);
    cg_context_init(&cg, p, &body, t.vector, err);
    cg_loop_over(&cg, layout_of(&form, 4), pf_graph_value(p->graph, form.node->in[0]), &point);
    images = form.image ? cg.var_extent[VAR_N] : 1;
    pixels = count_of(p, &form, true);
    columns = images ? count_of(p, &form, false) / images : 0;
    if (!emit_reduction(&cg, &form, &point) || !emit_outputs(&cg, &form))
        st = PF_FAIL(err, PF_UNSUPPORTED, "the region cannot be evaluated");
    snprintf(functions, sizeof functions, "#define D %lld\n#define DOWN %d\n#define SPLIT %d\n%s%s", (long long)pixels,
             t.down, t.split, CG_REDUCTION_FUNCTORS, join_blocks);
    pf_codegen_header(p, t.vector, t.across * t.down, images * pixels * columns, functions, &out->source);
    print_place(&cg, &form, &t, columns, &out->source);
    pf_buf_put(&out->source, body.data, body.size);
    pf_buf_printf(&out->source, "}\n");
    if (!st && (body.failed || out->source.failed))
        st = PF_FAIL(err, PF_UNSUPPORTED, "the generated kernel is longer than %d bytes", SOURCE_LIMIT_BYTES);
    if (!st && images > 65535) st = PF_FAIL(err, PF_UNSUPPORTED, "more than 65535 images");
    out->grid[0] = (uint32_t)cg_up(columns, t.across * t.vector);
    out->grid[1] = (uint32_t)images;
    out->grid[2] = (uint32_t)t.split;
    out->block[2] = 1;
    out->block[0] = (uint32_t)t.across;
    out->block[1] = (uint32_t)t.down;
    cg_context_clear(&cg);
    pf_buf_clear(&body);
    if (st) pf_program_clear(out);
    return st;
}
