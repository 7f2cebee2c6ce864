/* Where elements lie: loops over memory, addresses, wide loads and stores. */
#include "engine/cuda/codegen_expr.h"

#include <stdio.h>
#include <string.h>

/* geluf(x) = max(x, 0) - |x| P(-|x|), where P is the normal distribution: the logarithm of P(-a) is nearly a square, so
   seven multiply-adds and one power say it to 4e-6 of itself up to a = 6, behind which the product is below 6e-9. These
   are two thirds of the instructions of 0.5 x (1 + erf). Results of 16 bits take five, geluf_short(x): then the product
   is off by 2e-6 at most, and by 5e-5 of itself up to a = 3, where their rounding is 5e-4.
   sigmoid_short(x), for such results too, has two slow instructions and two others, where expf and a quotient as exact
   as FP32 take ten times as long: it is off by (2 + |x|) 1e-7 of itself.  sigmoidf(x) is off by 3e-7 of itself, one of
   FP32's last places more than such a quotient, for half of the instructions.
   The lanes of a thread as statements: LANES expands to an unrolled loop over l. f16 and bf16 travel as unsigned short
   and are converted by single instructions, so that no toolkit header is needed at run time.
   start(): kernels are launched while the one before still runs (programmatic dependent launch), and have to call it
   before they touch what another kernel writes or reads; a pointer goes through settled() behind it, or the compiler
   may load what is const and restricted ahead of the wait. */
const char cg_prelude[] =
    "#define LANES _Pragma(\"unroll\") for (int l = 0; l < V; ++l)\n"
    "typedef unsigned short f16; struct bf16 { unsigned short bits; };\n"
    "template <class T, int N> struct alignas(sizeof(T) * N) wide { T at[N]; };\n"
    "__device__ __forceinline__ float from_f16(f16 h) "
    "{ float f; asm(\"cvt.f32.f16 %0, %1;\" : \"=f\"(f) : \"h\"(h)); return f; }\n"
    "__device__ __forceinline__ f16 to_f16(float f) "
    "{ f16 h; asm(\"cvt.rn.f16.f32 %0, %1;\" : \"=h\"(h) : \"f\"(f)); return h; }\n"
    "__device__ __forceinline__ float from_bf16(bf16 b) { return __uint_as_float((unsigned)b.bits << 16); }\n"
    "__device__ __forceinline__ bf16 to_bf16(float f) { unsigned u = __float_as_uint(f); bf16 b;\n"
    "  if (f != f) { b.bits = 0x7fff; return b; }\n"
    "  b.bits = (unsigned short)((u + 0x7fff + ((u >> 16) & 1)) >> 16); return b; }\n"
    "__device__ __forceinline__ long long to_i64(float f) { return f != f ? 0 : __float2ll_rz(f); }\n"
    "__device__ __forceinline__ void start(void) {\n"
    "#if __CUDA_ARCH__ >= 900\n"
    "  asm volatile(\"griddepcontrol.wait;\\ngriddepcontrol.launch_dependents;\" ::: \"memory\");\n"
    "#endif\n"
    "}\n"
    "template <class T> __device__ __forceinline__ T *settled(T *p) { size_t at = __cvta_generic_to_global(p);\n"
    "  asm volatile(\"\" : \"+l\"(at) :: \"memory\"); return (T *)__cvta_global_to_generic(at); }\n"
    "__device__ __forceinline__ float fast_erf(float x) { const float a = fabsf(x); float t, e;\n"
    "  asm(\"rcp.approx.ftz.f32 %0, %1;\" : \"=f\"(t) : \"f\"(fmaf(0.3275911f, a, 1.0f)));\n"
    "  asm(\"ex2.approx.ftz.f32 %0, %1;\" : \"=f\"(e) : \"f\"(-1.44269504f * a * a));\n"
    "  const float p = t * fmaf(t, fmaf(t, fmaf(t, fmaf(t, 1.061405429f, -1.453152027f), 1.421413741f), "
    "-0.284496736f), 0.254829592f);\n"
    "  return copysignf(fmaf(-p, e, 1.0f), x); }\n"
    "#define erff fast_erf\n"
    "__device__ __forceinline__ float sigmoid_short(float x) { float e, y;\n"
    "  asm(\"ex2.approx.ftz.f32 %0, %1;\" : \"=f\"(e) : \"f\"(-1.44269504f * x));\n"
    "  asm(\"rcp.approx.ftz.f32 %0, %1;\" : \"=f\"(y) : \"f\"(1.0f + e)); return y; }\n"
    "__device__ __forceinline__ float sigmoidf(float x) { float y;\n"
    "  asm(\"rcp.approx.ftz.f32 %0, %1;\" : \"=f\"(y) : \"f\"(1.0f + expf(-x))); return y; }\n"
    "__device__ __forceinline__ float most(float a, float b) { float y;\n"
    "#if __CUDA_ARCH__ >= 800\n"
    "  asm(\"max.NaN.f32 %0, %1, %2;\" : \"=f\"(y) : \"f\"(a), \"f\"(b));\n"
    "#else\n"
    "  y = a > b || a != a ? a : b;\n"
    "#endif\n"
    "  return y; }\n"
    "__device__ __forceinline__ float gelu_of(float x, float a, float e) { float tail;\n"
    "  asm(\"ex2.approx.ftz.f32 %0, %1;\" : \"=f\"(tail) : \"f\"(e)); return fmaf(-a, tail, most(x, 0.0f)); }\n"
    "__device__ __forceinline__ float geluf(float x) { const float a = fminf(fabsf(x), 6.0f);\n"
    "  float e = fmaf(a, -1.834811314e-06f, 6.159828627e-05f); e = fmaf(a, e, -9.305247222e-04f);\n"
    "  e = fmaf(a, e, 8.507890627e-03f); e = fmaf(a, e, -5.396006629e-02f); e = fmaf(a, e, -4.584643841e-01f);\n"
    "  e = fmaf(a, e, -1.151251078e+00f); return gelu_of(x, a, fmaf(a, e, -9.999952912e-01f)); }\n"
    "__device__ __forceinline__ float geluf_short(float x) { const float a = fminf(fabsf(x), 6.0f);\n"
    "  float e = fmaf(a, -4.371752148e-04f, 6.830760278e-03f); e = fmaf(a, e, -5.122778192e-02f);\n"
    "  e = fmaf(a, e, -4.605323374e-01f); e = fmaf(a, e, -1.150649548e+00f);\n"
    "  return gelu_of(x, a, fmaf(a, e, -1.000031590e+00f)); }\n";

/* Constants may be loaded before the kernel in front has ended. */
void cg_print_start(const pf_problem *p, pf_buf *out)
{
    pf_buf_printf(out, "#define START start();");
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        if (!p->in_constant[i]) pf_buf_printf(out, " in%u = settled(in%u);", i, i);
    for (uint32_t i = 0; i < p->graph->output_count; i++) pf_buf_printf(out, " out%u = settled(out%u);", i, i);
    pf_buf_printf(out, "\n");
}

typedef struct storage { pf_dtype dtype; const char *type, *load, *store; } storage;

static const storage storages[] = {
    { PF_F32,  "float",          "%s",            "%s" },
    { PF_F16,  "f16",            "from_f16(%s)",  "to_f16(%s)" },
    { PF_BF16, "bf16",           "from_bf16(%s)", "to_bf16(%s)" },
    { PF_I64,  "long long",      "%s",            "%s" },
    { PF_I32,  "int",            "%s",            "(int)(%s)" },
    { PF_I16,  "short",          "%s",            "(short)(%s)" },
    { PF_I8,   "signed char",    "%s",            "(signed char)(%s)" },
    { PF_U32,  "unsigned",       "%s",            "(unsigned)(%s)" },
    { PF_U16,  "unsigned short", "%s",            "(unsigned short)(%s)" },
    { PF_U8,   "unsigned char",  "%s",            "(unsigned char)(%s)" },
    { PF_BOOL, "unsigned char",  "(%s != 0)",     "(unsigned char)((%s) != 0)" },
};

static const storage *storage_of(pf_dtype dtype)
{
    for (size_t i = 0; i < sizeof storages / sizeof *storages; i++)
        if (storages[i].dtype == dtype) return &storages[i];
    return NULL;
}

const char *cg_storage_type(pf_dtype dtype)
{
    const storage *s = storage_of(dtype);

    return s ? s->type : NULL;
}

const char *cg_load_function(pf_dtype dtype)
{
    return dtype == PF_F16 ? "from_f16" : dtype == PF_BF16 ? "from_bf16" : "";
}

const char *cg_store_function(pf_dtype dtype)
{
    return dtype == PF_F16 ? "to_f16" : dtype == PF_BF16 ? "to_bf16" : "";
}

cg_type cg_type_of(pf_dtype dtype)
{
    return dtype == PF_BOOL ? CG_BOOL : pf_dtype_is_float(dtype) ? CG_FLOAT : CG_INT;
}

static int64_t channel_block(pf_layout layout)
{
    pf_layout kind = pf_layout_kind(layout);

    return kind == PF_LAYOUT_C8 ? 8 : kind == PF_LAYOUT_C16 ? 16 : 0;
}

/* Dims in memory order, outermost first. */
static int memory_order(pf_layout layout, int rank, int order[PF_MAX_RANK])
{
    int n = 0;

    if (pf_layout_kind(layout) != PF_LAYOUT_CHANNELS_LAST) {
        for (int d = 0; d < rank; d++) order[n++] = d;
        return n;
    }
    order[n++] = 0;
    for (int d = 2; d < rank; d++) order[n++] = d;
    order[n++] = 1;
    return n;
}

static int add_var(cg_context *cg, int64_t extent)
{
    cg->var_extent[cg->var_count] = extent;
    return cg->var_count++;
}

/* Lanes past the last channel of the last block are padding. */
static void guard_padding(cg_context *cg, cg_point *point, int64_t channels)
{
    point->guard = ++cg->next_id;
    point->guard_uniform = false;
    pf_buf_printf(cg->body, "  bool g%d[V]; LANES g%d[l] = ", point->guard, point->guard);
    cg_index_print(cg, &point->at[1], "l", cg->body);
    pf_buf_printf(cg->body, " < %lld;\n", (long long)channels);
}

void cg_loop_over(cg_context *cg, pf_layout layout, const pf_value *value, cg_point *point)
{
    int     order[PF_MAX_RANK] = {0};
    int     rank = value->shape.rank;
    int64_t block = channel_block(layout);

    memset(point, 0, sizeof *point);
    point->rank = rank;
    cg->var_count = 0;
    memory_order(layout, rank, order);
    for (int k = 0; k < rank; k++) {
        int64_t extent = value->shape.dim[order[k]];

        if (block && order[k] == 1) extent = (extent + block - 1) / block;
        point->at[order[k]] = cg_index_of(cg, add_var(cg, extent));
    }
    if (block) {
        int lane = add_var(cg, block);

        point->at[1] = cg_index_scale(point->at[1], block);
        point->at[1].coef[lane] = 1;
    }
    if (!cg->var_count) add_var(cg, 1);
    cg->lane_var = cg->var_count - 1;
    if (block && value->shape.dim[1] % block) guard_padding(cg, point, value->shape.dim[1]);
}

bool cg_is_channels_last(pf_layout layout, pf_dtype dtype)
{
    return pf_layout_kind(layout) == PF_LAYOUT_CHANNELS_LAST &&
           (uint64_t)pf_layout_pitch(layout) * pf_dtype_bits(dtype) % 128 == 0;
}

static int64_t places(pf_layout layout, const pf_value *value, int64_t elems)
{
    return pf_layout_pitch(layout) ? elems / value->shape.dim[1] * pf_layout_pitch(layout) : elems;
}

int64_t cg_most_places(const pf_problem *p)
{
    const pf_graph *graph = p->graph;
    int64_t         most = 1;

    for (uint32_t i = 0; i < graph->input_count + graph->output_count; i++) {
        bool            is_in = i < graph->input_count;
        uint32_t        at = is_in ? i : i - graph->input_count;
        const pf_value *value = pf_graph_value(graph, is_in ? graph->inputs[at] : graph->outputs[at]);
        int64_t         count = places(is_in ? p->in_layout[at] : p->out_layout[at], value,
                                       pf_shape_elems(graph->dims, &value->shape));

        if (count > most) most = count;
    }
    return most;
}

cg_index cg_address(cg_context *cg, pf_layout layout, const pf_value *value, const cg_point *point)
{
    int      order[PF_MAX_RANK] = {0};
    int      rank = value->shape.rank;
    int64_t  block = channel_block(layout), stride = block ? block : 1;
    cg_index address = cg_index_number(0);

    memory_order(layout, rank, order);
    for (int k = rank - 1; k >= 0; k--) {
        int64_t  extent = order[k] == 1 && pf_layout_pitch(layout) ? pf_layout_pitch(layout)
                                                                  : value->shape.dim[order[k]];
        cg_index at = point->at[order[k]];

        if (block && order[k] == 1) {
            cg_index inner = {0};

            cg_index_split(cg, at, block, &at, &inner);
            address = cg_index_add(cg, address, inner);
            extent = (extent + block - 1) / block;
        }
        address = cg_index_add(cg, address, cg_index_mul(cg, at, stride));
        stride *= extent;
    }
    return address;
}

bool cg_contiguous(const cg_context *cg, const cg_index *address)
{
    if (address->opaque && (!address->step || address->step % cg->vector)) return false;
    if (address->coef[cg->lane_var] != 1 || address->constant % cg->vector) return false;
    for (int v = 0; v < CG_VARS; v++)
        if (v != cg->lane_var && address->coef[v] % cg->vector) return false;
    return true;
}

static void convert(pf_buf *out, const char *format, const char *what)
{
    const char *slot = strstr(format, "%s");

    pf_buf_printf(out, "%.*s%s%s", (int)(slot - format), format, what, slot + 2);
}

/* A load of all lanes at once up to its address, and from behind that. */
static void print_wide_load(cg_context *cg, const storage *s, const cg_point *point)
{
    pf_buf_printf(cg->body, "{ wide<%s, V> w = {}; ", s->type);
    if (point->guard) pf_buf_printf(cg->body, "if (g%d[0]) ", point->guard);
    pf_buf_printf(cg->body, "w = *(const wide<%s, V> *)(", s->type);
}

static void finish_wide_load(cg_context *cg, const storage *s, int32_t id)
{
    pf_buf_printf(cg->body, "); LANES v%d[l] = ", id);
    convert(cg->body, s->load, "w.at[l]");
    pf_buf_printf(cg->body, "; }\n");
}

int32_t cg_load_at(cg_context *cg, int32_t pointer, pf_dtype dtype, const cg_point *point)
{
    const storage *s = storage_of(dtype);
    int32_t        id = ++cg->next_id;

    cg_declare(cg, id, cg_type_of(dtype));
    print_wide_load(cg, s, point);
    pf_buf_printf(cg->body, "p%d", pointer);
    finish_wide_load(cg, s, id);
    return id;
}

/* Loads `input` at an address into a fresh array. */
static int32_t load(cg_context *cg, uint32_t input, pf_dtype dtype, const cg_point *point, const cg_index *address)
{
    const storage *s = storage_of(dtype);
    pf_buf        *out = cg->body;
    int32_t        id = ++cg->next_id;
    bool           wide = cg->vector > 1 && cg_contiguous(cg, address) && (!point->guard || point->guard_uniform);
    bool           splat = !wide && !address->opaque && !address->coef[cg->lane_var] && !point->guard;

    pf_buf_printf(out, "  %s v%d[V]; ", cg_lane_type(cg_type_of(dtype)), id);
    if (wide) {
        print_wide_load(cg, s, point);
        pf_buf_printf(out, "in%u + ", input);
        cg_index_print(cg, address, "0", out);
        finish_wide_load(cg, s, id);
        return id;
    }
    pf_buf_printf(out, "{ %s%s x; ", s->type, splat ? "" : " ");
    if (!splat) pf_buf_printf(out, "LANES { ");
    if (point->guard) pf_buf_printf(out, "x = {}; if (g%d[l]) ", point->guard);
    pf_buf_printf(out, "x = in%u[", input);
    cg_index_print(cg, address, splat ? "0" : "l", out);
    pf_buf_printf(out, "]; ");
    if (splat) pf_buf_printf(out, "LANES ");
    pf_buf_printf(out, "v%d[l] = ", id);
    convert(out, s->load, "x");
    pf_buf_printf(out, splat ? "; }\n" : "; } }\n");
    return id;
}

int32_t cg_load(cg_context *cg, uint32_t input, const pf_value *value, const cg_point *point)
{
    cg_index address = cg_address(cg, cg->problem->in_layout[input], value, point);

    if (cg->tracing) {
        cg->traced_input = input;
        cg->traced_address = address;
        return ++cg->next_id;
    }
    return load(cg, input, value->dtype, point, &address);
}

void cg_return(cg_context *cg, uint32_t output, int32_t id)
{
    char lane[32] = {0};

    snprintf(lane, sizeof lane, "v%d[l]", id);
    pf_buf_printf(cg->body, "  LANES to.result%u.at[l] = ", output);
    convert(cg->body, storage_of(pf_graph_value(cg->problem->graph, cg->problem->graph->outputs[output])->dtype)->store,
            lane);
    pf_buf_printf(cg->body, ";\n");
}

void cg_store(cg_context *cg, uint32_t output, int32_t id, const cg_index *address)
{
    const pf_value *value = pf_graph_value(cg->problem->graph, cg->problem->graph->outputs[output]);
    const storage  *s = storage_of(value->dtype);
    pf_buf         *out = cg->body;
    char            lane[32] = {0};

    snprintf(lane, sizeof lane, "v%d[l]", id);
    if (cg->vector > 1 && cg_contiguous(cg, address)) {
        pf_buf_printf(out, "  { wide<%s, V> w; LANES w.at[l] = ", s->type);
        convert(out, s->store, lane);
        pf_buf_printf(out, "; *(wide<%s, V> *)(out%u + ", s->type, output);
        cg_index_print(cg, address, "0", out);
        pf_buf_printf(out, ") = w; }\n");
        return;
    }
    pf_buf_printf(out, "  LANES out%u[", output);
    cg_index_print(cg, address, "l", out);
    pf_buf_printf(out, "] = ");
    convert(out, s->store, lane);
    pf_buf_printf(out, ";\n");
}
