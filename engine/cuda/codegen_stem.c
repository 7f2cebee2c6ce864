#include "engine/cuda/codegen_stem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cuda/bf16_parts.h"
#include "engine/cuda/codegen_product.h"
#include "engine/cuda/program_tactic.h"

extern const char pf_nvrtc_stem[];          /* kernels/nvrtc/stem.cuh */

enum {
    SOURCE_LIMIT_BYTES = 1 << 20, SHARED_LIMIT_BYTES = 200 << 10, PIXEL_BYTES = 8, LANE_BYTES = 16,
    CHANNELS_MAX = 4,
    KERNEL_MAX = 16,
    REGISTERS = 65536,          /* of an SM */
    REGISTERS_MAX = 255,        /* of a thread */
    REGISTERS_BESIDE = 36,      /* a thread's for all but pixels and sums */
    PLANE_REGISTERS = 4,        /* of 16 outputs, and of two tiles of weights */
    PARTS_REGISTERS = 20,       /* of 16 outputs besides where numbers have parts: those of the next step, and sums */
    PART_MAX = 4,               /* groups of columns at once */
};

enum { AXIS_H, AXIS_W };

/* What a kernel takes at once, by its tuning. */
typedef struct form { int vector, groups, part, parts, rows, steps, planes; int64_t patch[2], tiles; } form;

static int pairs_of(const cg_product *product) { return (int)cg_up(product->window.kernel[AXIS_W], 2); }

static int chunks_of(const cg_product *product) { return (int)product->window.kernel[AXIS_H] * pairs_of(product); }

/* As many groups of columns at once as their sums stay in registers for and as divide all; 0: not one. */
static int part_of(const cg_product *product, const form *f, const pf_stem_tuning *t)
{
    int threads = 32 * t->warps, share = REGISTERS / (threads * t->blocks);
    int most = share < REGISTERS_MAX ? share : REGISTERS_MAX;
    int pixels = (int)cg_up(f->patch[AXIS_H] * f->patch[AXIS_W], threads);
    int step = 1 + f->planes * PLANE_REGISTERS + (f->planes > 1 ? PARTS_REGISTERS : 0);
    int beside = REGISTERS_BESIDE + (f->planes - 1) * PLANE_REGISTERS + (int)product->window.channels * pixels;
    int left = most - beside - t->row_tiles * step;
    int part = left / (t->row_tiles * 2 * f->vector);

    if (left < 0) return 0;
    if (part > PART_MAX) part = PART_MAX;
    while (part > 0 && f->groups % part) part--;
    return part;
}

static void measure(const pf_problem *p, const cg_product *product, const pf_stem_tuning *t, form *f)
{
    const cg_window *window = &product->window;

    f->vector = cg_product_vector(p, product);
    if (f->vector == 8 && cg_up(product->n, 16) * 16 < cg_up(product->n, 32) * 32) f->vector = 4;
    f->groups = (int)cg_up(product->n, 4 * f->vector);
    f->planes = product->wide ? product->parts : 1;
    f->steps = (chunks_of(product) + 1) / 2;
    f->rows = 16 * t->row_tiles * t->warps / t->columns;
    f->patch[AXIS_H] = (f->rows - 1) * window->stride[AXIS_H] + window->kernel[AXIS_H];
    f->patch[AXIS_W] = (t->columns - 1) * window->stride[AXIS_W] + 2 * pairs_of(product);
    f->tiles = product->m / (window->out[AXIS_H] * window->out[AXIS_W]) * cg_up(window->out[AXIS_H], f->rows) *
               cg_up(window->out[AXIS_W], t->columns);
    f->part = part_of(product, f, t);
    f->parts = f->part ? f->groups / f->part : 0;
}

/* Of a part. */
static size_t plane_bytes(const form *f)
{
    return (size_t)f->steps * (size_t)(f->groups * f->vector / 4) * 32 * LANE_BYTES;
}

static size_t weight_bytes(const form *f) { return (size_t)f->planes * plane_bytes(f); }

static uint32_t shared_bytes(const form *f)
{
    return (uint32_t)(weight_bytes(f) +
                      2 * (size_t)(f->patch[AXIS_H] * f->patch[AXIS_W] * f->planes) * PIXEL_BYTES);
}

static bool is_tuning(const pf_problem *p, const cg_product *product, const pf_stem_tuning *t, form *f)
{
    if (t->row_tiles < 1 || t->row_tiles > 4 || t->warps < 1 || t->warps * t->blocks > 32 ||
        t->blocks < 1 || t->columns < 8 || t->columns > 64 ||
        t->columns % 8 || 16 * t->row_tiles * t->warps % t->columns)
        return false;
    measure(p, product, t, f);
    return f->part > 0 && shared_bytes(f) * (uint32_t)t->blocks <= SHARED_LIMIT_BYTES;
}

/* How many there are may vary. */
static bool are_pictures_known(const pf_problem *p, const cg_product *product)
{
    const pf_shape *x = &pf_graph_value(p->graph, product->node->in[0])->shape;

    for (int d = 1; d < x->rank; d++)
        if (!pf_dim_is_number(x->dim[d])) return false;
    return true;
}

static const char *window_declines(const pf_problem *p, const cg_product *product)
{
    const cg_window *window = &product->window;

    if (product->batch > 1 || window->channels > CHANNELS_MAX) return "more than four channels";
    if (window->stride[AXIS_W] % 2) return "windows that begin at odd pixels";
    if (window->dilation[AXIS_H] != 1 || window->dilation[AXIS_W] != 1) return "windows with gaps";
    if (window->kernel[AXIS_H] > KERNEL_MAX || window->kernel[AXIS_W] > KERNEL_MAX) return "a large window";
    if (pf_problem_is_bound(p) && product->m > INT32_MAX / 2) return "too many outputs";
    return cg_product_vector(p, product) < 4 ? "pixels of the result at odd places" : NULL;
}

static const char *types_decline(const pf_problem *p, const cg_product *product)
{
    pf_dtype dtype = pf_graph_value(p->graph, product->node->in[0])->dtype;
    pf_dtype raw = pf_graph_value(p->graph, p->graph->inputs[product->x])->dtype;

    if (!cg_storage_type(raw) || cg_type_of(raw) != CG_FLOAT) return "element type";
    if (product->wide)
        return p->numerics & (PF_NUMERICS_BF16_PARTS | PF_NUMERICS_BF16_THREE)
                   ? NULL
                   : "FP32 that is not to be taken in parts of 16 bits";
    return (dtype != PF_F16 && dtype != PF_BF16) || pf_graph_value(p->graph, product->node->in[1])->dtype != dtype
               ? "element type"
               : NULL;
}

const char *pf_codegen_stem_declines(const pf_problem *p)
{
    cg_product     product;
    pf_stem_tuning first = { 0 };
    bool           bound = pf_problem_is_bound(p);
    const char    *reason = cg_product_recognize_from_raw(p, &product);

    if (!reason) reason = cg_behind_declines(p->graph, product.node);
    if (reason) return reason;
    if (!product.windowed) return "not a convolution with a window";
    if (!bound && !are_pictures_known(p, &product)) return "pictures of any size";
    if (!p->in_constant[product.w]) return "weights that are computed";
    if (p->in_layout[product.x] != PF_LAYOUT_LINEAR || p->in_layout[product.w] != PF_LAYOUT_LINEAR)
        return "operands in another layout";
    reason = types_decline(p, &product);
    if (!reason) reason = window_declines(p, &product);
    if (reason) return reason;
    if (p->graph->input_count + p->graph->output_count > CG_IN_OUT_MAX)
        return "too many inputs and outputs for one kernel";
    reason = cg_product_check_results(p, &product);
    return reason ? reason : bound && !pf_codegen_stem_tunings(p, 1, &first, 1) ? "too many weights" : NULL;
}

void pf_codegen_stem_prefers(const pf_problem *p, pf_layout *in, pf_layout *out)
{
    cg_product product;

    pf_program_prefer_images(p, PF_LAYOUT_CHANNELS_LAST, PF_LAYOUT_CHANNELS_LAST, in, out);
    if (!cg_product_recognize_from_raw(p, &product)) in[product.x] = PF_LAYOUT_LINEAR;
}

/* ---- Tunings */

bool pf_stem_tuning_read(const char *text, pf_stem_tuning *out)
{
    return sscanf(text, PF_STEM_TUNING, &out->row_tiles, &out->warps, &out->columns, &out->blocks) == 4;
}

typedef struct guessed { pf_stem_tuning tuning; double ns; } guessed;

static int by_guess(const void *a, const void *b)
{
    double one = ((const guessed *)a)->ns, two = ((const guessed *)b)->ns;

    return one < two ? -1 : one > two;
}

/* Good enough to order by, in nanoseconds: a tile's products as long as an SM's shared memory takes for what its warps
   read of windows and weights, or its tensor cores; beside those the instructions for its pixels and results, which
   blocks of an SM hide from each other; its results in an SM's part of the memory's time. */
static double guess_ns(const cg_product *product, const pf_stem_tuning *t, const form *f, int sm_count)
{
    static const int terms[] = { 0, 1, 3, 6 };
    double tiles = t->warps * t->row_tiles, windows = tiles * f->parts * f->steps * 512 * f->planes,
           weights = (double)t->warps * (double)weight_bytes(f);
    double products = tiles * f->steps * f->groups * f->vector / 2 * terms[f->planes] *
                      (t->warps * t->blocks < 8 ? 1.6 : 1);
    double beside = (double)(f->patch[AXIS_H] * f->patch[AXIS_W]) * 0.4 + 16 * tiles * (double)product->n * 0.06;
    double results = 16 * tiles * (double)product->n * (product->wide ? 4 : 2) / 30;
    double tile = fmax(fmax((windows + weights) / 200, products) + beside / t->blocks, fmax(beside, results));

    return (double)cg_up(f->tiles, sm_count * t->blocks) * t->blocks * tile + 300.0 * t->blocks;
}

int pf_codegen_stem_tunings(const pf_problem *p, int sm_count, pf_stem_tuning *out, int max)
{
    static const pf_stem_tuning sizes[] = {
        { 2, 8, 0, 1 }, { 2, 16, 0, 1 }, { 4, 8, 0, 1 }, { 2, 4, 0, 2 }, { 2, 4, 0, 3 }, { 4, 4, 0, 2 }, { 1, 8, 0, 2 },
        { 1, 8, 0, 3 }, { 1, 4, 0, 4 },  { 1, 4, 0, 2 }, { 1, 8, 0, 1 }, { 1, 4, 0, 1 }, { 2, 8, 0, 2 },
    };
    static const int columns[] = { 8, 16, 32 };
    enum { SIZES = sizeof sizes / sizeof *sizes, COLUMNS = sizeof columns / sizeof *columns };
    guessed          list[SIZES * COLUMNS];
    cg_product       product;
    int              count = 0;

    cg_product_recognize_from_raw(p, &product);
    for (int i = 0; i < SIZES * COLUMNS; i++) {
        pf_stem_tuning t = sizes[i / COLUMNS];
        form           f = { 0 };

        t.columns = columns[i % COLUMNS];
        if (is_tuning(p, &product, &t, &f)) list[count++] = (guessed){ t, guess_ns(&product, &t, &f, sm_count) };
    }
    qsort(list, (size_t)count, sizeof *list, by_guess);
    if (count > max) count = max;
    if (count > PF_STEM_TUNINGS) count = PF_STEM_TUNINGS;
    for (int i = 0; i < count; i++) out[i] = list[i].tuning;
    return count;
}

/* ---- Emitting */

/* taken(): an element of x, as it is multiplied, from its input's; of FP32 the number itself. */
static pf_status print_taken(const pf_problem *p, const cg_product *product, pf_buf *out, pf_err *err)
{
    pf_value_id x = product->node->in[0], input = p->graph->inputs[product->x];
    pf_dtype    dtype = pf_graph_value(p->graph, input)->dtype;
    bool        bf16 = pf_graph_value(p->graph, x)->dtype == PF_BF16;
    const char *type = product->wide ? "float" : "unsigned";
    cg_context  cg;
    cg_point    point = { .rank = pf_graph_value(p->graph, x)->shape.rank };
    int32_t     id = 1;

    if (input == x) {
        pf_buf_printf(out, "typedef %s raw;\n__device__ __forceinline__ %s taken(const raw x) { return x; }\n",
                      product->wide ? "float" : "f16", type);
        return PF_OK;
    }
    pf_buf_printf(out, "#define V 1\ntypedef %s raw;\n__device__ __forceinline__ %s taken(const raw x)\n{\n"
                       "  float v%d[V]; v%d[0] = %s(x);\n", cg_storage_type(dtype), type, id, id,
                  cg_load_function(dtype));
    cg_context_init(&cg, p, out, 1, err);
    cg.next_id = id;
    id = cg_bind(&cg, input, &point, id) ? cg_eval(&cg, x, &point) : -1;
    cg_context_clear(&cg);
    if (product->wide) pf_buf_printf(out, "  return v%d[0];\n}\n#undef V\n", id);
    else
        pf_buf_printf(out, "  return %s(v%d[0])%s;\n}\n#undef V\n", cg_store_function(bf16 ? PF_BF16 : PF_F16), id,
                      bf16 ? ".bits" : "");
    return id > 0 ? PF_OK : PF_FAIL(err, PF_UNSUPPORTED, "what is in front of the stem cannot be evaluated");
}

static void print_axis(const cg_window *window, int axis, char name, pf_buf *out)
{
    pf_buf_printf(out, "#define OUT_%c %lld\n#define IN_%c %lld\n#define KERNEL_%c %lld\n#define STRIDE_%c %lld\n"
                       "#define PAD_%c %lld\n", name, (long long)window->out[axis], name, (long long)window->in[axis],
                  name, (long long)window->kernel[axis], name, (long long)window->stride[axis], name,
                  (long long)window->pad[axis]);
}

static void print_defines(const pf_problem *p, const cg_product *product, const pf_stem_tuning *t, const form *f,
                          pf_buf *out)
{
    const char *type = pf_graph_value(p->graph, product->node->in[0])->dtype == PF_F16 ? "f16" : "bf16";

    pf_buf_printf(out, "#define M %lld\n#define N %lld\n#define CHANNELS %lld\n", (long long)product->m,
                  (long long)product->n, (long long)product->window.channels);
    print_axis(&product->window, AXIS_H, 'H', out);
    print_axis(&product->window, AXIS_W, 'W', out);
    pf_buf_printf(out, "#define ROW_TILES %d\n#define WARPS %d\n#define TILE_W %d\n#define PART %d\n#define V %d\n"
                       "#define BLOCKS %d\n", t->row_tiles, t->warps, t->columns, f->part, f->vector, t->blocks);
    pf_buf_printf(out, "#define WIDE %d\n", product->parts);
    pf_buf_printf(out, "#define MMA \"f32.%s.%s.f32\"\n#define X ((const raw *)in%u)\n#define W in%u\n", type, type,
                  product->x, product->w);
    cg_product_print_defines(p, product, out);
}

pf_status pf_codegen_stem(const pf_problem *p, const pf_stem_tuning *t, pf_program *out, pf_err *err)
{
    cg_product  product;
    const char *reason = cg_product_recognize_from_raw(p, &product);
    form        f = { 0 };
    pf_status   st = PF_OK;

    memset(out, 0, sizeof *out);
    if (reason) return PF_FAIL(err, PF_UNSUPPORTED, "%s", reason);
    if (!is_tuning(p, &product, t, &f))
        return PF_FAIL(err, PF_INVALID, "%d x 16 outputs for each of %d warps in %d columns are no tuning",
                       t->row_tiles, t->warps, t->columns);
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    pf_buf_printf(&out->source, "%s", cg_prelude);
    cg_product_print_index(p, &product, &out->source);
    st = print_taken(p, &product, &out->source, err);
    print_defines(p, &product, t, &f, &out->source);
    if (!st) st = cg_product_emit_finish(p, &product, f.vector, &out->source, err);
    pf_buf_printf(&out->source, "%s", pf_nvrtc_stem);
    out->grid[0] = (uint32_t)f.tiles;
    out->grid[1] = out->grid[2] = out->block[1] = out->block[2] = 1;
    out->block[0] = (uint32_t)(32 * t->warps);
    out->shared_bytes = shared_bytes(&f);
    out->stays = true;
    out->resident = (uint32_t)t->blocks;
    out->packs = true;
    out->packed_input = product.w;
    out->packed_bytes = weight_bytes(&f);
    if (!st && out->source.failed)
        st = PF_FAIL(err, PF_UNSUPPORTED, "the generated kernel is longer than %d bytes", SOURCE_LIMIT_BYTES);
    if (st) pf_program_clear(out);
    return st;
}

/* ---- Packing */

/* Of a step's sixteen elements the k-th: where its tap's weight lies, or -1 where there is none. */
static int64_t weight_at(const cg_product *product, int64_t column, int step, int k)
{
    const cg_window *window = &product->window;
    int              chunk = 2 * step + k / 8, pairs = pairs_of(product), channel = k % 4;
    int64_t          down = chunk / pairs, right = chunk % pairs * 2 + k % 8 / 4;

    if (column >= product->n || chunk >= chunks_of(product) || right >= window->kernel[AXIS_W] ||
        channel >= window->channels)
        return -1;
    return ((column * window->channels + channel) * window->kernel[AXIS_H] + down) * window->kernel[AXIS_W] + right;
}

/* To its place in each part, which lie `apart` elements behind each other. */
static void put_weight(const cg_product *product, const void *weights, int64_t at, size_t apart, uint16_t *to)
{
    uint16_t parts[PF_BF16_PARTS_MAX] = { 0 };

    if (at >= 0 && !product->wide) parts[0] = ((const uint16_t *)weights)[at];
    if (at >= 0 && product->wide) pf_bf16_take_apart(((const float *)weights)[at], product->parts, parts);
    for (int part = 0; part < (product->wide ? product->parts : 1); part++) to[(size_t)part * apart] = parts[part];
}

void pf_codegen_stem_pack(const pf_problem *p, const pf_tensor *weights, void *to)
{
    static const pf_stem_tuning any = { 1, 4, 8, 1 };
    cg_product product;
    form       f = { 0 };
    uint16_t  *out = to;

    cg_product_recognize_from_raw(p, &product);
    measure(p, &product, &any, &f);
    for (int step = 0; step < f.steps; step++)
        for (int tile = 0; tile < f.groups * f.vector / 2; tile += 2)
            for (int lane = 0; lane < 32; lane++)
                for (int i = 0; i < 8; i++) {       /* of two tiles two registers of two elements each */
                    int own = tile + i / 4, n = lane / 4, of_group = f.vector / 2;
                    int column = own / of_group * 4 * f.vector + n / 2 * f.vector + own % of_group * 2 + n % 2;
                    int k = i / 2 % 2 * 8 + lane % 4 * 2 + i % 2;

                    put_weight(&product, weights->data, weight_at(&product, column, step, k), plane_bytes(&f) / 2,
                               out++);
                }
}
