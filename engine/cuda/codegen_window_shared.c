/* Windows by way of shared memory (kernels/nvrtc/window.cuh): for depthwise convolutions of many taps, whose threads
   otherwise wait for memory many times one after another. */
#include "engine/cuda/codegen_window_private.h"
#include "engine/epilogue.h"

extern const char pf_nvrtc_window[];

enum {
    SHARED_LIMIT_BYTES = 64 << 10, CHUNK_BYTES = 16, BANK_BYTES = 4, BANKS = 32, WARP = 32,
    ROLLED_FROM = 128,          /* products of a row of taps: with more the loop over rows is not unrolled */
    PIXEL_COST = 8,             /* of fetching a pixel, in products */
};

typedef struct tile {
    int64_t across, along, down;        /* threads along channels, columns and rows */
    int64_t rows, width, pitch;         /* of pixels */
} tile;

static pf_dtype dtype_of(const pf_problem *p, const cg_window_form *form)
{
    return pf_graph_value(p->graph, form->node->in[0])->dtype;
}

static int64_t bytes_of(const pf_problem *p, const cg_window_form *form)
{
    return pf_dtype_bits(dtype_of(p, form)) / 8;
}

/* Channels that are copied at once: as many as all pixels are aligned for. */
static int64_t chunk_of(const pf_problem *p, const cg_window_form *form)
{
    int64_t chunk = CHUNK_BYTES / bytes_of(p, form);

    while (chunk > 1 && cg_window_in(p, form)->dim[1] % chunk) chunk /= 2;
    return chunk;
}

static int64_t seen(int64_t outputs, const cg_window_form *form, int dim)
{
    int64_t dilation = form->dilations->count ? form->dilations->at[dim] : 1;

    return (outputs - 1) * form->strides->at[dim] + (form->kernel->at[dim] - 1) * dilation + 1;
}

/* Words of the first warp's accesses that lie behind others of the same bank. */
static int conflicts(const tile *t, const cg_window_form *form, const pf_window_tuning *tuning, int64_t bytes)
{
    int64_t width = tuning->vector * bytes, phase = WARP * BANK_BYTES / width;
    int     count = 0;

    for (int64_t first = 0; first < WARP; first += phase) {
        uint32_t taken = 0;

        for (int64_t lane = first; lane < first + phase; lane++) {
            int64_t column = lane / t->across % t->along * tuning->strip * form->strides->at[1],
                    row = lane / t->across / t->along * tuning->rows * form->strides->at[0],
                    at = ((row * t->pitch + column) * tuning->channels + lane % t->across * tuning->vector) * bytes,
                    bank = at / BANK_BYTES % BANKS;
            uint32_t banks = (uint32_t)((UINT64_C(1) << width / BANK_BYTES) - 1) << bank;

            count += (taken & banks) != 0;
            taken |= banks;
        }
    }
    return count;
}

static void choose_pitch(tile *t, const cg_window_form *form, const pf_window_tuning *tuning, int64_t bytes)
{
    int64_t best = t->width;
    int     least = INT32_MAX;

    for (t->pitch = t->width; t->pitch < t->width + 4; t->pitch++) {
        int count = conflicts(t, form, tuning, bytes);

        if (count >= least) continue;
        least = count;
        best = t->pitch;
    }
    t->pitch = best;
}

/* What all tiles of an image cost: what threads multiply, also for outputs that are none, and what is fetched. */
static int64_t cost(const pf_shape *out, const cg_window_form *form, const pf_window_tuning *tuning, const tile *t)
{
    int64_t strips = cg_up(out->dim[3], tuning->strip), rows = cg_up(out->dim[2], tuning->rows),
            outputs = t->along * t->down * tuning->strip * tuning->rows,
            pixels = seen(t->down * tuning->rows, form, 0) * seen(t->along * tuning->strip, form, 1);

    return cg_up(strips, t->along) * cg_up(rows, t->down) *
           (outputs * form->kernel->at[0] * form->kernel->at[1] + pixels * PIXEL_COST);
}

static tile tile_of(const pf_problem *p, const cg_window_form *form, const pf_window_tuning *tuning)
{
    const pf_shape *out = cg_window_out(p, form);
    int64_t         strips = cg_up(out->dim[3], tuning->strip), rows = cg_up(out->dim[2], tuning->rows);
    tile            best = { .across = tuning->channels / tuning->vector };
    int64_t         places = tuning->threads / best.across, least = INT64_MAX;

    for (int64_t along = 1; along <= places && along <= strips; along++) {
        tile    t = { best.across, along, places / along < rows ? places / along : rows, 0, 0, 0 };
        int64_t taken = 0;

        t.down = cg_up(rows, cg_up(rows, t.down));
        taken = cost(out, form, tuning, &t);
        if (taken >= least) continue;
        least = taken;
        best = t;
    }
    best.rows = seen(best.down * tuning->rows, form, 0);
    best.width = seen(best.along * tuning->strip, form, 1);
    choose_pitch(&best, form, tuning, bytes_of(p, form));
    return best;
}

static int64_t shared_bytes(const pf_problem *p, const cg_window_form *form, const pf_window_tuning *tuning,
                            const tile *t)
{
    return tuning->channels * (form->kernel->at[0] * form->kernel->at[1] * (int64_t)sizeof(float) +
                               t->rows * t->pitch * bytes_of(p, form));
}

bool cg_shared_takes(const pf_problem *p, const cg_window_form *form, const pf_window_tuning *tuning)
{
    int64_t bytes = bytes_of(p, form), chunk = chunk_of(p, form);
    bool    apart = form->strides->at[0] != 1 || (form->dilations->count && form->dilations->at[0] != 1);
    tile    t;

    if (form->node->op != PF_OP_CONV || form->stem || chunk * bytes < BANK_BYTES) return false;
    if (tuning->vector * bytes < BANK_BYTES || tuning->vector * bytes > CHUNK_BYTES) return false;
    if (tuning->channels % tuning->vector || tuning->channels % chunk || tuning->channels * bytes % CHUNK_BYTES ||
        tuning->threads < tuning->channels / tuning->vector)
        return false;
    if (tuning->rows > 1 && (apart || tuning->rows > form->kernel->at[0])) return false;
    t = tile_of(p, form, tuning);
    return shared_bytes(p, form, tuning, &t) <= SHARED_LIMIT_BYTES;
}

void cg_shared_emit_defines(const pf_problem *p, const cg_window_form *form, const pf_window_tuning *tuning,
                            pf_buf *out)
{
    tile    t = tile_of(p, form, tuning);
    bool    packed = p->in_constant[pf_problem_input_index(p, form->node->in[1])];
    int64_t products = form->kernel->at[1] * tuning->strip * tuning->rows * tuning->vector;

    pf_buf_printf(out, "typedef %s stored;\n#define to_float %s\n", cg_storage_type(dtype_of(p, form)),
                  cg_load_function(dtype_of(p, form)));
    pf_buf_printf(out, "#define CHANNELS %lld\n#define PART %d\n#define ROWS %lld\n#define WIDTH %lld\n"
                       "#define PITCH %lld\n#define CHUNK %lld\n#define PACKED %d\n#define THREADS %lld\n"
                       "#define UNROLL %lld\n#define BLOCK_CHANNEL ((int)blockIdx.x %% %lld * PART)\n",
                  (long long)cg_window_out(p, form)->dim[1], tuning->channels,
                  (long long)t.rows, (long long)t.width, (long long)t.pitch, (long long)chunk_of(p, form), packed,
                  (long long)(t.across * t.along * t.down),
                  (long long)(products < ROLLED_FROM ? form->kernel->at[0] : 1),
                  (long long)cg_up(cg_window_out(p, form)->dim[1], tuning->channels));
    pf_buf_printf(out, "%s", pf_nvrtc_window);
    if (packed)     /* a constant need not wait for the kernel in front */
        pf_buf_printf(out, "#define AHEAD fetch_taps(in%u + BLOCK_CHANNEL, CHANNELS - BLOCK_CHANNEL);\n",
                      pf_problem_input_index(p, form->node->in[1]));
}

/* The thread's place, i3, ow, oh and i0, and sum[..]. */
void cg_shared_emit_sums(const pf_problem *p, const cg_window_form *form, const pf_window_tuning *tuning,
                         pf_program *out)
{
    const pf_shape *shape = cg_window_out(p, form);
    tile            t = tile_of(p, form, tuning);
    uint32_t        w = pf_problem_input_index(p, form->node->in[1]);
    int64_t parts = cg_up(shape->dim[1], tuning->channels), along = cg_up(shape->dim[3], t.along * tuning->strip),
            down = cg_up(shape->dim[2], t.down * tuning->rows);

    out->grid[0] = (uint32_t)(parts * along * down * shape->dim[0]);
    out->block[0] = (uint32_t)(t.across * t.along * t.down);
    out->shared_bytes = (uint32_t)shared_bytes(p, form, tuning, &t);
    pf_buf_printf(&out->source, "  idx rest = (idx)blockIdx.x / %lld;\n  const idx c0 = BLOCK_CHANNEL;\n"
                                "  const idx w0 = rest %% %lld * %lld; rest /= %lld;\n"
                                "  const idx h0 = rest %% %lld * %lld, i0 = rest / %lld;\n",
                  (long long)parts, (long long)along, (long long)(t.along * tuning->strip),
                  (long long)along, (long long)down, (long long)(t.down * tuning->rows), (long long)down);
    pf_buf_printf(&out->source, "  fetch_pixels(in%u + (long long)i0 * H * W * PIXEL + c0, h0 * SH - PH, w0 * SW - PW, "
                                "CHANNELS - c0);\n", form->x);
    if (!p->in_constant[w])
        pf_buf_printf(&out->source, "  fetch_taps(in%u + c0 * (KH * KW), CHANNELS - c0);\n", w);
    pf_buf_printf(&out->source, "  fetched();\n");
    pf_buf_printf(&out->source, "  const int c = threadIdx.x %% %lld * V, x = threadIdx.x / %lld %% %lld * S, "
                                "y = threadIdx.x / %lld * R;\n"
                                "  const idx i3 = c0 + c, ow = w0 + x, oh = h0 + y;\n"
                                "  if (i3 >= CHANNELS || ow >= %lld || oh >= %lld) return;\n",
                  (long long)t.across, (long long)t.across, (long long)t.along, (long long)(t.across * t.along),
                  (long long)shape->dim[3], (long long)shape->dim[2]);
    pf_buf_printf(&out->source, "  float sum[R * S][V];\n"
                                "  add_taps(sum, pixels_of_block() + (y * SH * PITCH + x * SW) * PART + c, "
                                "taps_of_block() + c);\n");
}
