#include "engine/cuda/codegen_attention.h"

#include <string.h>

#include "engine/cuda/attention_form.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

extern const char pf_nvrtc_attention[];     /* kernels/nvrtc/attention.cuh */

enum { SOURCE_LIMIT_BYTES = 1 << 20, PART_PADDING = 8, SHARED_LIMIT_BYTES = 96 << 10, HOPPER_LIMIT_BYTES = 227 << 10 };

static void print_strided(pf_buf *out, const char *name, const pf_strided *s)
{
    pf_buf_printf(out, "#define %s_AT %lldLL\n#define %s_B %lldLL\n#define %s_H %lldLL\n#define %s_S %lldLL\n", name,
                  (long long)s->first, name, (long long)s->batch, name, (long long)s->head, name,
                  (long long)s->position);
}

static int64_t causal_shift(const pf_attention_form *form)
{
    return ((const pf_attention_attrs *)form->node->attrs)->causal == PF_CAUSAL_BOTTOM_RIGHT
               ? form->keys - form->queries
               : 0;
}

/* Keys of the last tile when it has an end inside, as many as tensor cores take; else 0. */
static int64_t tail_keys(const pf_attention_form *form, const pf_attention_tuning *t)
{
    return cg_up(form->keys % t->tile_keys, 16 * t->key_warps) * 16 * t->key_warps;
}

/* Keys of a thread next to each other. Masks are read in long pieces. */
static int run_keys(const pf_attention_form *form, const pf_attention_tuning *t)
{
    if (form->mask == PF_NONE) return 2;
    return t->tile_keys / t->key_warps % 32 || tail_keys(form, t) / t->key_warps % 32 ? 4 : 8;
}

static void print_defines(const pf_problem *p, const pf_attention_form *form, const pf_attention_tuning *t, pf_buf *out)
{
    bool half = pf_graph_value(p->graph, form->node->in[0])->dtype == PF_F16;
    bool causal = ((const pf_attention_attrs *)form->node->attrs)->causal != PF_CAUSAL_NONE;

    pf_buf_printf(out, "#define COPY %d\n#define COPY_OUT %d\n", pf_attention_copy_width(form),
                  pf_attention_store_width(form));
    pf_buf_printf(out, "#define HEAD %lld\n#define SQ %lld\n#define SKV %lld\n#define GROUP %lld\n",
                  (long long)form->head_dim, (long long)form->queries, (long long)form->keys,
                  (long long)(form->heads / form->kv_heads));
    pf_buf_printf(out,
                  "#define WARPS_Q %d\n#define WARPS_K %d\n#define STAGES %d\n#define BN %d\n#define QUERY_TILES "
                  "%d\n#define MIN_BLOCKS %d\n#define WGMMA %d\n#define RUN %d\n",
                  t->query_warps, t->key_warps, t->stages, t->tile_keys, t->query_tiles, t->blocks, t->warp_groups,
                  run_keys(form, t));
    pf_buf_printf(out, "#define CAUSAL %d\n#define CAUSAL_SHIFT %lld\n#define SCALE_LOG2 %.9ef\n"
                       "#define MASKED %d\n", causal, (long long)causal_shift(form),
                  form->scale * 1.44269504088896340736, form->mask != PF_NONE);
    pf_buf_printf(out, "#define MMA \"f32.%s.%s.f32\"\n", half ? "f16" : "bf16", half ? "f16" : "bf16");
    pf_buf_printf(out,
                  "__device__ __forceinline__ unsigned pack2(float low, float high) { unsigned r; "
                  "asm(\"cvt.rn.%sx2.f32 %%0, %%1, %%2;\" : \"=r\"(r) : "
                  "\"f\"(high), \"f\"(low)); return r; }\n",
                  half ? "f16" : "bf16");
    print_strided(out, "Q", &form->q);
    print_strided(out, "K", &form->k);
    print_strided(out, "V", &form->v);
    print_strided(out, "O", &form->y);
    pf_buf_printf(out, "#define Q ((const f16 *)in%u)\n#define K ((const f16 *)in%u)\n"
                       "#define VALUES ((const f16 *)in%u)\n#define Y ((f16 *)out0)\n",
                  form->q.input, form->k.input, form->v.input);
}

/* "const T *in0, ..., " of the inputs, as parameters or as arguments. */
static void print_inputs(const pf_problem *p, bool types, pf_buf *out)
{
    for (uint32_t i = 0; i < p->graph->input_count; i++) {
        if (types)
            pf_buf_printf(out, "const %s *__restrict__ ",
                          cg_storage_type(pf_graph_value(p->graph, p->graph->inputs[i])->dtype));
        pf_buf_printf(out, "in%u, ", i);
    }
}

/* Loop variables 0..3 are batch, head, query and key; the mask broadcasts to them. A true element of a boolean mask
   attends. */
static bool print_mask(const pf_problem *p, const pf_attention_form *form, int run, pf_buf *out, pf_err *err)
{
    const pf_value *mask = pf_graph_value(p->graph, form->mask);
    int64_t         extent[4] = { form->batch, form->heads, form->queries, form->keys };
    cg_context      cg;
    cg_point        point = { .rank = mask->shape.rank };
    pf_buf          body = {0};
    int32_t         id = 0;
    int             vector = run;

    while (form->keys % vector) vector /= 2;
    pf_buf_init(&body, SOURCE_LIMIT_BYTES);
    cg_context_init(&cg, p, &body, vector, err);
    memcpy(cg.var_extent, extent, sizeof extent);
    cg.var_count = 4;
    cg.lane_var = 3;
    for (int d = 0; d < mask->shape.rank; d++)
        if (mask->shape.dim[d] != 1) point.at[d] = cg_index_var(4 - mask->shape.rank + d);
    id = cg_eval(&cg, form->mask, &point);
    pf_buf_printf(out, "#define V %d\n__device__ __forceinline__ void add_mask(", cg.vector);
    print_inputs(p, true, out);
    pf_buf_printf(out, "const idx i0, const idx i1, const idx i2, const idx first, float m[RUN])\n{\n"
                       "  _Pragma(\"unroll\") for (int k = 0; k < RUN; k += V) {\n  const idx i3 = first + k;\n"
                       "  if (i3 >= SKV) break;\n");
    pf_buf_put(out, body.data, body.size);
    if (mask->dtype == PF_BOOL) pf_buf_printf(out, "  LANES if (!v%d[l]) m[k + l] = __int_as_float(0xff800000);\n  }\n"
                                                   "}\n", id);
    else pf_buf_printf(out, "  LANES m[k + l] += v%d[l] * 1.44269504f;\n  }\n}\n#undef V\n", id);
    if (mask->dtype == PF_BOOL) pf_buf_printf(out, "#undef V\n");
    pf_buf_printf(out, "#define MASK_ARGUMENTS ");
    print_inputs(p, false, out);
    pf_buf_printf(out, "\n");
    cg_context_clear(&cg);
    pf_buf_clear(&body);
    return id > 0;
}

static bool is_resident(const pf_attention_form *form, const pf_attention_tuning *t)
{
    return cg_up(form->keys, t->tile_keys) <= t->stages;
}

static uint32_t shared_bytes(const pf_attention_form *form, const pf_attention_tuning *t)
{
    int64_t  row = cg_up(form->head_dim, 64) * 64, padded = cg_up(form->head_dim, 16) * 16;
    int64_t  keys = is_resident(form, t) ? form->keys / t->tile_keys * t->tile_keys + tail_keys(form, t)
                                         : t->stages * t->tile_keys;
    int64_t  queries = (t->query_tiles > 1 ? 2 : 1) * t->query_warps * 16;
    uint32_t tiles = (uint32_t)((2 * keys + queries) * row * 2);
    uint32_t parts = (uint32_t)(t->query_warps * t->key_warps * 16 * (padded + PART_PADDING + 2) * 4);

    return t->key_warps > 1 && parts > tiles ? parts : tiles;
}

static bool is_tuning(const pf_attention_form *form, const pf_attention_tuning *t)
{
    bool parts = t->key_warps == 1 || t->key_warps == 2 || t->key_warps == 4 || t->key_warps == 8;

    if (!parts || t->query_warps < 1 || t->query_warps * t->key_warps > 8 || t->stages < 1 || t->stages > 4 ||
        t->query_tiles < 1 || t->blocks < 1)
        return false;
    if (t->tile_keys < 16 || t->tile_keys > 256 || t->tile_keys % (16 * t->key_warps)) return false;
    if (t->stages == 1 && !is_resident(form, t)) return false;
    if (t->query_tiles > 1 && (t->key_warps > 1 || !is_resident(form, t))) return false;
    if (t->warp_groups && (t->key_warps > 1 || t->query_warps % 4)) return false;
    if (cg_up(form->head_dim, 16) * 16 / pf_attention_copy_width(form) > 32 * t->query_warps * t->key_warps)
        return false;
    return shared_bytes(form, t) <= (t->warp_groups || form->head_dim > 128 ? HOPPER_LIMIT_BYTES : SHARED_LIMIT_BYTES);
}

/* d = a b or d += a b of one warp group: d has `columns` columns, b lies in shared memory with its columns, or
   (`transposed`) rows, in one piece. Its descriptor's high word says: swizzled by 128 bytes, 1024 bytes from eight of
   its rows to the next. */
static void print_product(const char *name, int64_t columns, const char *type, bool transposed, pf_buf *out)
{
    int registers = (int)columns / 2;

    pf_buf_printf(out,
                  "__device__ __forceinline__ void %s(float (&d)[%d][4], const unsigned (&a)[4], unsigned b, bool "
                  "add)\n{\n  asm volatile(\"{ .reg .pred p; .reg .b64 b; "
                  "setp.ne.b32 p, %%%d, 0; mov.b64 b, {%%%d, 0x40000040}; "
                  "wgmma.mma_async.sync.aligned.m64n%dk16.f32.%s.%s {",
                  name, registers / 4, registers + 5, registers + 4, (int)columns, type, type);
    for (int i = 0; i < registers; i++) pf_buf_printf(out, "%s%%%d", i ? "," : "", i);
    pf_buf_printf(out, "}, {%%%d,%%%d,%%%d,%%%d}, b, p, 1, 1, %d; }\"\n    : ", registers, registers + 1, registers + 2,
                  registers + 3, transposed);
    for (int i = 0; i < registers; i++) pf_buf_printf(out, "%s\"+f\"(d[%d][%d])", i ? ", " : "", i / 4, i % 4);
    pf_buf_printf(out, "\n    : \"r\"(a[0]), \"r\"(a[1]), \"r\"(a[2]), \"r\"(a[3]), \"r\"(b), \"r\"((int)add));\n}\n");
}

static void print_products(const pf_problem *p, const pf_attention_form *form, const pf_attention_tuning *t,
                           pf_buf *out)
{
    const char *type = pf_graph_value(p->graph, form->node->in[0])->dtype == PF_F16 ? "f16" : "bf16";
    int64_t     tail = tail_keys(form, t);

    if (form->keys >= t->tile_keys) print_product("multiply_keys", t->tile_keys, type, false, out);
    if (tail && (form->keys < t->tile_keys || tail != t->tile_keys))
        print_product("multiply_keys", tail, type, false, out);
    print_product("multiply_values", cg_up(form->head_dim, 16) * 16, type, true, out);
}

/* What is tried, where the problem says: tile_keys = ALL or HALF of the keys, stages = ALL tiles, query_tiles = ALL
   that make every SM busy at once. */
enum { ALL = 0, HALF = -1, LONGEST = 4096 };      /* longer ones are never taken whole */

static const pf_attention_tuning hopper_many[] = {
    { 4, 1, ALL, HALF, ALL, 1, 3 }, { 4, 1, ALL, ALL, 1, 1, 3 }, { 4, 1, 2, 64, 1, 1, 4 }, { 8, 1, 2, 64, 1, 1, 2 },
    { 4, 1, ALL, 128, ALL, 1, 3 },
    { 4, 1, ALL, ALL, ALL, 1, 3 },  { 4, 1, 2, 64, 1, 1, 3 },    { 4, 1, 2, 128, 1, 1, 2 }, { 4, 1, 2, 64, 1, 0, 4 },
};
static const pf_attention_tuning hopper_few[] = {
    { 4, 1, ALL, ALL, 1, 1, 1 }, { 4, 1, ALL, HALF, 1, 1, 1 }, { 4, 1, 2, 128, 1, 1, 2 }, { 4, 1, 2, 64, 1, 1, 1 },
    { 1, 8, 2, 128, 1, 0, 1 }, { 2, 4, 2, 128, 1, 0, 1 }, { 1, 4, 2, 128, 1, 0, 1 },
    { 2, 4, ALL, ALL, 1, 0, 1 }, { 1, 8, ALL, ALL, 1, 0, 1 },  { 2, 4, 2, 64, 1, 0, 1 }, { 1, 4, 2, 64, 1, 0, 1 },
};
static const pf_attention_tuning many[] = {
    { 4, 1, 2, 64, 1, 0, 4 }, { 2, 1, 2, 64, 1, 0, 4 }, { 4, 1, 2, 64, 1, 0, 2 }, { 4, 1, ALL, 64, ALL, 0, 3 },
    { 8, 1, 2, 64, 1, 0, 1 }, { 4, 2, 2, 64, 1, 0, 1 },
};
static const pf_attention_tuning few[] = {
    { 2, 4, 2, 128, 1, 0, 1 },   { 1, 4, 2, 64, 1, 0, 1 }, { 1, 8, 2, 128, 1, 0, 1 }, { 4, 1, 2, 64, 1, 0, 1 },
    { 1, 4, 2, 128, 1, 0, 1 }, { 2, 2, 2, 64, 1, 0, 1 },
    { 1, 8, ALL, ALL, 1, 0, 1 }, { 2, 4, 2, 64, 1, 0, 1 }, { 2, 1, 2, 64, 1, 0, 1 },
};
static const struct { const pf_attention_tuning *at; int count;
} lists[2][2] = {
    { { many, sizeof many / sizeof *many }, { few, sizeof few / sizeof *few } },
    { { hopper_many, sizeof hopper_many / sizeof *hopper_many },
      { hopper_few, sizeof hopper_few / sizeof *hopper_few } },
};

static pf_attention_tuning of_problem(const pf_attention_form *form, int sm_count, pf_attention_tuning t)
{
    int64_t step = 16 * t.key_warps, keys = form->keys < LONGEST ? form->keys : LONGEST;
    int64_t tiles = cg_up(form->queries < LONGEST ? form->queries : LONGEST, 16 * t.query_warps),
            share = cg_up(tiles * form->heads * form->batch, t.blocks * sm_count);
    int     blocks = form->head_dim > 128 ? 1 : form->head_dim > 64 ? 2 : t.blocks;

    if (t.tile_keys <= 0) t.tile_keys = (int)(cg_up(keys, (t.tile_keys == HALF ? 2 : 1) * step) * step);
    if (t.stages == ALL) t.stages = (int)cg_up(keys, t.tile_keys);
    if (t.query_tiles == ALL) t.query_tiles = (int)(share < tiles ? share : tiles);
    if (t.blocks > blocks) t.blocks = blocks;
    return t;
}

static bool is_new(const pf_attention_tuning *t, const pf_attention_tuning *old, int count)
{
    for (int i = 0; i < count; i++)
        if (!memcmp(t, &old[i], sizeof *t)) return false;
    return true;
}

int pf_codegen_attention_tunings(const pf_problem *p, int sm_count, bool hopper, pf_attention_tuning *out, int max)
{
    pf_attention_form form;
    bool              is_few = false;
    int               count = 0;

    if (pf_attention_read(p, &form)) return 0;
    is_few = cg_up(form.queries, 16) * form.heads * form.batch < 8 * (int64_t)sm_count;
    for (int i = 0; i < lists[hopper][is_few].count && count < max; i++) {
        pf_attention_tuning t = of_problem(&form, sm_count, lists[hopper][is_few].at[i]);

        if (is_tuning(&form, &t) && is_new(&t, out, count)) out[count++] = t;
    }
    return count;
}

pf_status pf_codegen_attention(const pf_problem *p, const pf_attention_tuning *t, pf_program *out, pf_err *err)
{
    pf_attention_form form;
    const char       *reason = pf_attention_read(p, &form);

    memset(out, 0, sizeof *out);
    if (reason) return PF_FAIL(err, PF_UNSUPPORTED, "%s", reason);
    if (!is_tuning(&form, t))
        return PF_FAIL(err, PF_INVALID, "%d x %d warps with %d x %d keys are no tuning", t->query_warps, t->key_warps,
                       t->stages, t->tile_keys);
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    pf_buf_printf(&out->source, "%stypedef long long idx;\n", cg_prelude);
    print_defines(p, &form, t, &out->source);
    if (form.mask != PF_NONE && !print_mask(p, &form, run_keys(&form, t), &out->source, err)) {
        pf_program_clear(out);
        return PF_FAIL(err, PF_NO_SPACE, "out of memory");
    }
    if (t->warp_groups) print_products(p, &form, t, &out->source);
    cg_print_start(p, &out->source);
    pf_buf_printf(&out->source, "#define ARGUMENTS ");
    print_inputs(p, false, &out->source);
    pf_buf_printf(&out->source, "out0\n#define PARAMETERS ");
    print_inputs(p, true, &out->source);
    pf_buf_printf(&out->source, "%s *__restrict__ out0\n%s",
                  cg_storage_type(pf_graph_value(p->graph, p->graph->outputs[0])->dtype), pf_nvrtc_attention);
    out->grid[0] = (uint32_t)cg_up(form.queries, 16 * t->query_warps * t->query_tiles);
    out->grid[1] = (uint32_t)form.heads;
    out->grid[2] = (uint32_t)form.batch;
    out->block[0] = (uint32_t)(32 * t->query_warps * t->key_warps);
    out->block[1] = out->block[2] = 1;
    out->shared_bytes = shared_bytes(&form, t);
    return out->source.failed ? PF_FAIL_MEMORY(err, SOURCE_LIMIT_BYTES) : PF_OK;
}
