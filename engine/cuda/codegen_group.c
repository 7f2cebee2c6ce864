#include "engine/cuda/codegen_group.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/divisor.h"
#include "engine/cuda/codegen_loop.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

extern const char pf_nvrtc_group[];         /* kernels/nvrtc/group.cuh */

enum {
    SOURCE_LIMIT_BYTES = 1 << 20, SHARED_LIMIT_BYTES = 44 << 10, MOMENTS_BYTES = 8,
    KEPT_REGISTERS_MAX = 64,        /* of a thread */
    REGISTERS_BESIDE = 40, REGISTERS = 65536, THREADS_OF_SM = 2048, SPLIT_MAX = 8,
    SECTOR_BYTES = 32, LINE_BYTES = 128,
    CANDIDATES_MAX = 256,
    USUAL_PIXELS = 4096,            /* where their number varies */
};

typedef struct group_form {
    const pf_node *node;
    pf_dtype       dtype;                   /* of x */
    int            rank, channel_var;       /* loop variables are n, the spatial dims, c */
    int64_t        images, pixels, channels, group;     /* group: channels of one */
    double         epsilon;
} group_form;

/* ---- Recognizing */

static bool is_group_norm(const pf_node *node)
{
    return node->op == PF_OP_GROUP_NORM || node->op == PF_OP_INSTANCE_NORM;
}

static void take_norm(const pf_problem *p, const pf_node *node, group_form *form)
{
    const pf_value *x = pf_graph_value(p->graph, node->in[0]);
    bool            grouped = node->op == PF_OP_GROUP_NORM;

    *form = (group_form){ .node = node, .dtype = x->dtype, .rank = x->shape.rank, .channel_var = x->shape.rank - 1,
                          .images = x->shape.dim[0], .pixels = 1, .channels = x->shape.dim[1], .group = 1 };
    if (grouped) form->group = form->channels / ((const pf_group_norm_attrs *)node->attrs)->groups;
    form->epsilon = grouped ? ((const pf_group_norm_attrs *)node->attrs)->epsilon
                            : ((const pf_instance_norm_attrs *)node->attrs)->epsilon;
    for (int d = 2; d < x->shape.rank; d++) form->pixels *= x->shape.dim[d];
}

static const char *recognize(const pf_problem *p, group_form *form)
{
    const pf_node *node = NULL;
    const char    *reason = cg_find_anchor(p->graph, is_group_norm, "no norm of groups", "two norms of groups", &node);

    if (reason) return reason;
    if (pf_problem_shape(p, node->in[0])->rank < 3) return "no pixels";
    if (!pf_dim_is_number(pf_problem_shape(p, node->in[0])->dim[1])) return "channels that vary";
    take_norm(p, node, form);
    return NULL;
}

static const char *check_values(const pf_problem *p, const group_form *form)
{
    const pf_graph *graph = p->graph;

    for (uint32_t i = 0; i < graph->input_count; i++) {
        const pf_value *in = pf_graph_value(graph, graph->inputs[i]);
        bool            image = !p->in_constant[i] && in->shape.rank == form->rank;

        if (image ? !cg_is_channels_last(p->in_layout[i], in->dtype) : p->in_layout[i] != PF_LAYOUT_LINEAR)
            return "images that are not channels-last";
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const pf_value *out = pf_graph_value(graph, graph->outputs[i]);

        if (!cg_is_channels_last(p->out_layout[i], out->dtype)) return "images that are not channels-last";
        if (out->is_constant || out->producer == PF_NONE || !cg_storage_type(out->dtype))
            return "an output of no use here";
        if (!pf_shape_equal(&out->shape, pf_problem_shape(p, form->node->in[0]))) return "outputs of another shape";
    }
    return NULL;
}

const char *pf_codegen_group_declines(const pf_problem *p)
{
    pf_group_tuning first = { 0 };
    group_form      form;
    const char     *reason = recognize(p, &form);

    if (!reason) reason = cg_behind_declines(p->graph, form.node);
    if (reason) return reason;
    if (!pf_dtype_is_float(form.dtype)) return "not floats";
    if (p->graph->input_count + p->graph->output_count > CG_IN_OUT_MAX)
        return "too many inputs and outputs for one kernel";
    reason = check_values(p, &form);
    if (reason) return reason;
    return pf_codegen_group_tunings(p, 1, false, &first, 1) ? NULL : "groups of too many channels for a block";
}

/* ---- Tunings */

static int elem_bytes(const group_form *form) { return (int)pf_dtype_bits(form->dtype) / 8; }
static int64_t chunk_of(const group_form *form, int split) { return cg_up(form->pixels, split); }

static int64_t pixels_of_thread(const group_form *form, const pf_group_tuning *t)
{
    return cg_up(chunk_of(form, t->split), t->down);
}

/* Of a thread, for its pixels; 0: they do not fit. */
static int kept_registers(const group_form *form, const pf_group_tuning *t)
{
    int64_t count = pixels_of_thread(form, t) * t->vector * elem_bytes(form) / 4,
            left = REGISTERS / (t->across * t->down) - REGISTERS_BESIDE;

    return count > KEPT_REGISTERS_MAX || count > left ? 0 : (int)count;
}

/* Do the threads along channels have whole groups, and do blocks have equally many? */
static bool fits(const group_form *form, const pf_group_tuning *t)
{
    int64_t threads = (int64_t)t->across * t->down, slab = (int64_t)t->across * t->vector;
    int64_t units = slab / pf_common_divisor(form->group, t->vector);

    return t->vector >= 1 && t->vector <= 16 && t->across >= 1 && t->down >= 1 && t->split >= 1 &&
           t->split <= SPLIT_MAX && threads % 32 == 0 && threads <= 1024 && slab % form->group == 0 &&
           form->channels % slab == 0 && units * (t->down + 3) * MOMENTS_BYTES <= SHARED_LIMIT_BYTES;
}

typedef struct candidate { pf_group_tuning tuning; double ns; } candidate;

/* A guess in nanoseconds, good enough to order by: SMs take their blocks side by side as far as they have room, each
   round of them waits for its pixels and meets, and elements take their time at the rate of an SM that is busy. Where a
   block fills an SM, clusters of four and eight leave SMs idle on an H200, as they lie within one of the chip's
   parts. */
static double guess_ns(const group_form *form, const pf_group_tuning *t, int sm_count)
{
    int    threads = t->across * t->down, kept = kept_registers(form, t);
    double slab = (double)t->across * t->vector, bytes = slab * elem_bytes(form);
    double room = fmax(1, floor(fmin((double)THREADS_OF_SM / threads,
                                     (double)REGISTERS / (threads * (REGISTERS_BESIDE + kept)))));
    double sms = sm_count * (room > 1 || t->split < 4 ? 1 : t->split == 4 ? 0.85 : 0.61);
    double mine = ceil((double)form->images * ((double)form->channels / slab) * t->split / sms);
    double busy = fmin(1, fmin(mine, room) * threads / 256);
    double waste = bytes < SECTOR_BYTES ? SECTOR_BYTES / bytes : 1;

    return ceil(mine / room) * 1000 + 300 * log2(t->split) +
           mine * slab * (double)chunk_of(form, t->split) * 0.25 * waste * (kept ? 1 : 1.4) / busy;
}

static int by_guess(const void *a, const void *b)
{
    double one = ((const candidate *)a)->ns, two = ((const candidate *)b)->ns;

    return one < two ? -1 : one > two;
}

/* As many rows of threads as make up whole warps. */
static int rows_of(int across, int threads)
{
    int whole = 32 / (int)pf_common_divisor(across, 32);

    return threads / across / whole * whole;
}

static int add_candidates(const group_form *form, int vector, int across, bool clusters, int sm_count, candidate *list,
                          int count)
{
    for (int threads = 256; threads <= 1024; threads *= 2)
        for (int split = 1; split <= (clusters ? SPLIT_MAX : 1); split *= 2) {
            pf_group_tuning t = { vector, across, rows_of(across, threads), split };

            if (!fits(form, &t) || (threads > 256 && t.down > chunk_of(form, split)) || count == CANDIDATES_MAX)
                continue;
            list[count++] = (candidate){ t, guess_ns(form, &t, sm_count) };
        }
    return count;
}

int pf_codegen_group_tunings(const pf_problem *p, int sm_count, bool clusters, pf_group_tuning *out, int max)
{
    candidate  list[CANDIDATES_MAX];
    group_form form;
    int        count = 0, most = 0;
    bool       bound = pf_problem_is_bound(p);

    recognize(p, &form);
    if (!bound) form.images = 1, form.pixels = USUAL_PIXELS;
    most = 16 / elem_bytes(&form);
    while (most > 1 && form.channels % most) most /= 2;
    for (int vector = most; vector >= 1 && vector * 4 >= most; vector /= 2)
        for (int across = 1; across <= 128 && (int64_t)across * vector <= form.channels; across++)
            if (vector == most || across % 2)       /* else half as many threads with twice as many channels serve */
                count = add_candidates(&form, vector, across, clusters && bound, sm_count, list, count);
    qsort(list, (size_t)count, sizeof *list, by_guess);
    for (int i = 0; i < count && i < max; i++) out[i] = list[i].tuning;
    return count < max ? count : max;
}

bool pf_group_tuning_read(const char *text, pf_group_tuning *out)
{
    return sscanf(text, PF_GROUP_TUNING, &out->vector, &out->across, &out->down, &out->split) == 4;
}

/* ---- Emitting */

typedef struct group_code {
    cg_context cg;
    group_form form;
    pf_buf     body;
    cg_point   point;           /* of an element of x */
    bool       keeps;           /* pixels stay in registers; else they are read again */
    bool       flat;            /* nobody asks in which row a pixel lies: they are counted in the last spatial dim */
} group_code;

/* Is the value as large as x in all spatial dims, or of one element in all? */
static bool is_flat(const pf_shape *shape, const pf_shape *x)
{
    bool whole = shape->rank == x->rank, single = whole;

    for (int d = 2; whole && d < x->rank; d++) whole = shape->dim[d] == x->dim[d];
    for (int d = 2; single && d < x->rank; d++) single = shape->dim[d] == 1;
    return whole || single || shape->rank == 0;
}

static bool is_flat_node(const pf_node *node)
{
    return pf_op_is_pointwise(node->op) ||
           (node->op == PF_OP_CONCAT && ((const pf_axis_attrs *)node->attrs)->axis == 1);
}

/* The last spatial dim then counts all pixels, which it cannot where it has one: its index is dropped there, as of what
   is broadcast. */
static bool is_flat_problem(const pf_problem *p, const pf_node *norm)
{
    const pf_shape *x = pf_problem_shape(p, norm->in[0]);

    if (x->rank > 3 && x->dim[x->rank - 1] == 1) return false;
    for (uint32_t n = 0; n < p->graph->node_count; n++) {
        const pf_node *node = &p->graph->nodes[n];

        if (!node->live || node == norm) continue;
        for (uint32_t i = 0; i < node->in_count; i++)
            if (node->in[i] != PF_NONE && !is_flat(pf_problem_shape(p, node->in[i]), x)) return false;
        if (!is_flat_node(node)) return false;
    }
    return true;
}

/* The point of an element of x by the loop variables. */
static void open_space(group_code *code, const pf_problem *p)
{
    cg_context *cg = &code->cg;

    cg_loop_over(cg, PF_LAYOUT_CHANNELS_LAST, pf_graph_value(p->graph, code->form.node->in[0]), &code->point);
    code->flat = is_flat_problem(p, code->form.node);
    if (!code->flat) return;
    for (int v = 1; v < code->form.channel_var; v++) {
        bool last = v == code->form.channel_var - 1;

        cg->var_extent[v] = last ? code->form.pixels : 1;
        code->point.at[v + 1] = cg_index_of(cg, v);
    }
}

/* Starts a loop over the thread's pixels. What is unrolled asks where they end only where they may. */
static void open_pixels(group_code *code)
{
    cg_context *cg = &code->cg;
    pf_buf     *out = &code->body;

    cg_forget(cg);
    pf_buf_printf(out, code->keeps
                           ? "  _Pragma(\"unroll\") for (int c = 0; c < C; ++c) {\n"
                             "  if ((c + 1) * DOWN > LEAST && c * DOWN + (int)threadIdx.y >= count) break;\n"
                           : "  _Pragma(\"unroll 4\") for (int c = 0; c * DOWN + (int)threadIdx.y < count; ++c) {\n");
    if (code->flat) {
        pf_buf_printf(out, "  const idx i%d = PART * CHUNK + (idx)threadIdx.y + c * DOWN;\n",
                      code->form.channel_var - 1);
        return;
    }
    pf_buf_printf(out, "  unsigned left = PART * CHUNK + c * DOWN + threadIdx.y;\n");
    for (int v = code->form.channel_var - 1; v > 1; v--)
        pf_buf_printf(out, "  const idx i%d = left %% %lldu; left /= %lldu;\n", v, (long long)cg->var_extent[v],
                      (long long)cg->var_extent[v]);
    pf_buf_printf(out, "  const idx i1 = left;\n");
}

static void close_pixels(group_code *code) { pf_buf_printf(&code->body, "  }\n"); }

/* Where x has 16 bits, its own rounding makes more of a large mean than that of its squares in FP32. */
static bool emit_moments(group_code *code)
{
    bool        shifts = code->form.dtype == PF_F32;
    const char *store = cg_store_function(code->form.dtype);
    pf_buf     *out = &code->body;
    int32_t     x = 0;

    if (code->keeps) pf_buf_printf(out, "  wide<%s, V> kept[C];\n", cg_storage_type(code->form.dtype));
    pf_buf_printf(out, "  float sum[UNITS] = {}, squares[UNITS] = {};\n  %sfloat first[UNITS] = {};\n",
                  shifts ? "" : "const ");
    open_pixels(code);
    x = cg_eval(&code->cg, code->form.node->in[0], &code->point);
    if (x < 0) return false;
    if (code->keeps) pf_buf_printf(out, "  LANES kept[c].at[l] = %s(v%d[l]);\n", store, x);
    if (shifts) pf_buf_printf(out, "  if (c == 0) EACH_UNIT first[u] = v%d[u * U];\n", x);
    pf_buf_printf(out, "  LANES { const float off = v%d[l] - first[l / U]; sum[l / U] += off; "
                       "squares[l / U] = fmaf(off, off, squares[l / U]); }\n", x);
    close_pixels(code);
    pf_buf_printf(out, "  put_down(&statistics_of, first, sum, squares, pixels_of_thread(count, threadIdx.y));\n"
                       "  join(&statistics_of, count);\n");
    return true;
}

/* v<id>: scale or bias of the thread's channels; 0: there is none, -1: failed. */
static int32_t eval_operand(group_code *code, uint32_t slot)
{
    const pf_node *node = code->form.node;
    cg_point       at = { .rank = 1, .at[0] = code->point.at[1] };

    return slot >= node->in_count || node->in[slot] == PF_NONE ? 0 : cg_eval(&code->cg, node->in[slot], &at);
}

/* scale[l] and bias[l] of the thread's channels: the norm's and those that are given, which are sent for first. */
static bool emit_operands(group_code *code)
{
    pf_buf *out = &code->body;
    int32_t scale = eval_operand(code, 1), bias = eval_operand(code, 2);

    if (scale < 0 || bias < 0 || !emit_moments(code)) return false;
    pf_buf_printf(out, "  float scale[V], bias[V];\n"
                       "  LANES { const group_norm of = statistics_of.of_image[(threadIdx.x * V + l) / G]; "
                       "scale[l] = of.scale");
    if (scale) pf_buf_printf(out, " * v%d[l]", scale);
    pf_buf_printf(out, "; bias[l] = ");
    if (bias) pf_buf_printf(out, "v%d[l]", bias);
    pf_buf_printf(out, " - of.mean * scale[l]; }\n");
    return true;
}

static bool store_outputs(group_code *code)
{
    const pf_graph *graph = code->cg.problem->graph;

    for (uint32_t i = 0; i < graph->output_count; i++) {
        cg_index address = cg_address(&code->cg, code->cg.problem->out_layout[i],
                                      pf_graph_value(graph, graph->outputs[i]), &code->point);
        int32_t  id = cg_eval(&code->cg, graph->outputs[i], &code->point);

        if (id < 0) return false;
        cg_store(&code->cg, i, id, &address);
    }
    return true;
}

static bool emit_elements(group_code *code)
{
    const pf_node *node = code->form.node;
    pf_buf        *out = &code->body;
    int32_t        x = 0, y = 0;

    open_pixels(code);
    if (!code->keeps) x = cg_eval(&code->cg, node->in[0], &code->point);
    else {
        x = ++code->cg.next_id;
        pf_buf_printf(out, "  float v%d[V]; LANES v%d[l] = %s(kept[c].at[l]);\n", x, x,
                      cg_load_function(code->form.dtype));
        if (!cg_bind(&code->cg, node->in[0], &code->point, x)) return false;
    }
    if (x < 0) return false;
    y = ++code->cg.next_id;
    pf_buf_printf(out, "  float v%d[V]; LANES v%d[l] = fmaf(v%d[l], scale[l], bias[l]);\n", y, y, x);
    if (!cg_bind(&code->cg, node->out[0], &code->point, y) || !store_outputs(code)) return false;
    close_pixels(code);
    return true;
}

static void print_head(const group_code *code, const pf_group_tuning *t, pf_buf *out)
{
    const group_form *form = &code->form;
    int64_t           chunk = chunk_of(form, t->split), rest = form->pixels - chunk * (t->split - 1);
    pf_buf            functions = {0};

    pf_buf_init(&functions, SOURCE_LIMIT_BYTES);
    pf_buf_printf(&functions, "#define ACROSS %d\n#define DOWN %d\n#define SPLIT %d\n#define C %lld\n", t->across,
                  t->down, t->split, (long long)pixels_of_thread(form, t));
    pf_buf_printf(&functions, "#define D %lld\n#define CHUNK %lld\n#define LEAST %lld\n", (long long)form->pixels,
                  (long long)chunk, (long long)(rest < 0 ? 0 : rest));
    pf_buf_printf(&functions, "#define G %lld\n#define U %lld\n#define EPSILON %.9ef\n%s", (long long)form->group,
                  (long long)pf_common_divisor(form->group, t->vector), form->epsilon, pf_nvrtc_group);
    if (functions.failed) out->failed = true;
    else
        pf_codegen_header(code->cg.problem, t->vector, t->across * t->down, cg_most_places(code->cg.problem),
                          (const char *)functions.data, out);
    pf_buf_printf(out, "  __shared__ statistics statistics_of;\n  const int count = pixels_of_block(PART);\n"
                       "  const idx i0 = blockIdx.y, i%d = ((idx)blockIdx.x * ACROSS + threadIdx.x) * V;\n",
                  form->channel_var);
    pf_buf_clear(&functions);
}

static void set_launch(const group_form *form, const pf_group_tuning *t, pf_program *out)
{
    out->grid[0] = (uint32_t)(form->channels / (t->across * t->vector));
    out->grid[1] = (uint32_t)form->images;
    out->grid[2] = (uint32_t)t->split;
    out->block[0] = (uint32_t)t->across;
    out->block[1] = (uint32_t)t->down;
    out->block[2] = 1;
}

pf_status pf_codegen_group(const pf_problem *p, const pf_group_tuning *t, pf_program *out, pf_err *err)
{
    group_code  code = {0};
    const char *reason = recognize(p, &code.form);
    pf_status   st = PF_OK;

    memset(out, 0, sizeof *out);
    if (reason) return PF_FAIL(err, PF_UNSUPPORTED, "%s", reason);
    if (!fits(&code.form, t))
        return PF_FAIL(err, PF_UNSUPPORTED, "%d x %d threads of %d channels do not fit the groups", t->across, t->down,
                       t->vector);
    if (code.form.images > 65535) return PF_FAIL(err, PF_UNSUPPORTED, "more than 65535 images");
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    pf_buf_init(&code.body, SOURCE_LIMIT_BYTES);
    code.keeps = kept_registers(&code.form, t) > 0;
    cg_context_init(&code.cg, p, &code.body, t->vector, err);
    open_space(&code, p);
    if (!emit_operands(&code) || !emit_elements(&code))
        st = PF_FAIL(err, PF_UNSUPPORTED, "the region cannot be evaluated");
    print_head(&code, t, &out->source);
    pf_buf_put(&out->source, code.body.data, code.body.size);
    pf_buf_printf(&out->source, "  WAIT;\n}\n");
    if (!st && (code.body.failed || out->source.failed))
        st = PF_FAIL(err, PF_UNSUPPORTED, "the generated kernel is longer than %d bytes", SOURCE_LIMIT_BYTES);
    set_launch(&code.form, t, out);
    cg_context_clear(&code.cg);
    pf_buf_clear(&code.body);
    if (st) pf_program_clear(out);
    return st;
}
