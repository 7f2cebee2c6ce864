/* Convolution and transposed convolution with their epilogue through cuDNN's graph backend.  Tunings are engine
   configurations: "e=<engine> <knob>=<value> ...".

   The order of operations decides what cuDNN offers: convolution, then the residual, then the bias, then the
   activation, with FP32 virtual tensors and the bias in the type of the data, gets its precompiled kernels; bias before
   residual loses nine in ten of them (measured, cuDNN 9.19).
   So the epilogue is brought into that order here, whatever order the graph has. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/cuda/codegen.h"
#include "engine/cuda/compile_pool.h"
#include "engine/cuda/conv_form.h"
#include "engine/cuda/conv_weights.h"
#include "engine/cuda/cudnn_graph.h"
#include "engine/cuda/program.h"
#include "engine/cuda/tactics.h"
#include "engine/op.h"

enum { UID_X = 1, UID_W, UID_BIAS, UID_Z, UID_Y, UID_SCALAR, SCALARS_MAX = 3, HEURISTIC_CONFIGS = 64,
       PACK_ALIGNMENT = 256, SAVED_LIMIT_BYTES = 64 << 20 };

static bool x_is_padded(const pf_problem *p, const pf_conv_form *form)
{
    return form->conv->op == PF_OP_CONV && p->in_layout[form->x] == PF_LAYOUT_C8 &&
           pf_cuda_shape(p, form->x)->dim[1] <= 8;
}

/* cuDNN 9.19 lists engines for volumes alike, but not for transposed ones with an epilogue, and for a group for each
   channel only generic ones: slices of those go to our own kernels. */
static const char *volume_declines(const pf_problem *p, const pf_conv_form *form)
{
    pf_conv_window window = pf_conv_window_of(form->conv);

    if (window.transposed && p->graph->outputs[0] != form->conv->out[0]) return "a transposed volume with an epilogue";
    if (window.transposed && form->bias != PF_NO_INPUT) return "a transposed volume with a bias";
    return window.groups > 1 && window.groups == pf_cuda_shape(p, form->x)->dim[1]
               ? "a volume with a group for each channel"
               : NULL;
}

/* Weights that are known are packed once; others come as an image of their own, whose channels are last. */
static const char *weights_decline(const pf_problem *p, const pf_conv_form *form)
{
    if (p->in_constant[form->w]) return NULL;
    if (x_is_padded(p, form)) return "x is padded and the weights are computed";
    return p->in_layout[form->w] == PF_LAYOUT_CHANNELS_LAST ? NULL : "computed weights are not channels-last";
}

/* In FP32 without tensor cores cuDNN 9.19 then lists one engine that compiles for 2 to 20 s and takes 0.4 to 1.6 ms
   where its kernels for the convolution by itself take 10 to 70 us (rt_detr at 320 x 320, H200). */
static bool is_slow_in_fp32(const pf_problem *p, const pf_conv_form *form)
{
    pf_conv_window window = pf_conv_window_of(form->conv);

    return pf_graph_value(p->graph, p->graph->outputs[0])->dtype == PF_F32 && !(p->numerics & PF_NUMERICS_TF32) &&
           window.groups == 1 && !window.transposed && pf_conv_leaves_fast_path(form);
}

static const char *declines(const pf_device *device, const pf_problem *p)
{
    pf_conv_form    form;
    const char     *reason = pf_conv_recognize(p, &form);
    const pf_value *x = NULL;

    (void)device;
    if (reason) return reason;
    x = pf_graph_value(p->graph, p->graph->inputs[form.x]);
    if (x->shape.rank != 4 && x->shape.rank != 5) return "not a convolution over two or three spatial dims";
    if (x->dtype != PF_F16 && x->dtype != PF_BF16 && x->dtype != PF_F32) return "element type";
    if (pf_conv_window_of(form.conv).reason) return pf_conv_window_of(form.conv).reason;
    if (is_slow_in_fp32(p, &form)) return "an epilogue that is slow in FP32";
    if (x->shape.rank == 5 && volume_declines(p, &form)) return volume_declines(p, &form);
    if (!cg_is_channels_last(p->in_layout[form.x], x->dtype) && !x_is_padded(p, &form))
        return "x is not channels-last";
    if (form.residual != PF_NO_INPUT && !cg_is_channels_last(p->in_layout[form.residual], x->dtype))
        return "residual is not channels-last";
    if (form.bias != PF_NO_INPUT && p->in_layout[form.bias] != PF_LAYOUT_LINEAR) return "bias is not linear";
    return cg_is_channels_last(p->out_layout[0], x->dtype) ? weights_decline(p, &form) : "output is not channels-last";
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    pf_conv_form form;

    (void)device;
    if (index > 1 || pf_conv_recognize(p, &form)) return false;
    for (uint32_t i = 0; i < p->graph->input_count; i++) in[i] = PF_LAYOUT_LINEAR;
    in[form.x] = out[0] = PF_LAYOUT_CHANNELS_LAST;
    if (form.residual != PF_NO_INPUT) in[form.residual] = PF_LAYOUT_CHANNELS_LAST;
    if (!p->in_constant[form.w]) in[form.w] = PF_LAYOUT_CHANNELS_LAST;
    if (index == 0) return true;
    in[form.x] = PF_LAYOUT_C8;          /* few channels, padded to eight: a stem */
    return form.conv->op == PF_OP_CONV && p->in_constant[form.w] && pf_cuda_shape(p, form.x)->dim[1] < 8;
}

/* ---- The cuDNN graph */

typedef struct conv_scalars { float value[SCALARS_MAX]; int count; } conv_scalars;

static int64_t channels_in(const pf_problem *p, const pf_conv_form *form)
{
    return x_is_padded(p, form) ? 8 : pf_cuda_shape(p, form->x)->dim[1];
}

typedef struct builder {
    const pf_problem *p;
    pf_cudnn_graph  *g;
    int32_t          rank;
    const int64_t   *y;
    cudnnDataType_t  type;
    conv_scalars    *scalars;
    int              left;
    pf_cudnn_tensor  last;
} builder;

/* A tensor of these dims with its channels last, perhaps in a wider one. */
static pf_cudnn_tensor nhwc_in(const builder *b, pf_layout layout, int64_t uid, cudnnDataType_t type, const int64_t *d)
{
    pf_strides s = pf_layout_strides(pf_layout_pitched(PF_LAYOUT_CHANNELS_LAST, pf_layout_pitch(layout)), b->rank, d);

    return uid ? pf_cudnn_tensor_new(b->g, uid, type, b->rank, d, s.dim)
               : pf_cudnn_virtual(b->g, type, b->rank, d, s.dim);
}

static pf_cudnn_tensor nhwc(const builder *b, int64_t uid, cudnnDataType_t type, const int64_t *d)
{
    return nhwc_in(b, PF_LAYOUT_CHANNELS_LAST, uid, type, d);
}

/* The next result: the output when no operation is left, otherwise virtual and FP32. */
static pf_cudnn_tensor next(builder *b)
{
    return --b->left == 0 ? nhwc_in(b, b->p->out_layout[0], UID_Y, b->type, b->y) : nhwc(b, 0, CUDNN_DATA_FLOAT, b->y);
}

static void apply(builder *b, cudnnPointwiseMode_t mode, pf_cudnn_tensor x, pf_cudnn_tensor other)
{
    pf_cudnn_tensor y = next(b);

    pf_cudnn_pointwise(b->g, mode, x, other, y);
    b->last = y;
}

static pf_cudnn_tensor scalar(builder *b, double value)
{
    int at = b->scalars->count++;

    b->scalars->value[at] = (float)value;
    return pf_cudnn_scalar(b->g, UID_SCALAR + at, b->rank);
}

static int activation_operations(const pf_node *node)
{
    return !node ? 0 : node->op == PF_OP_HARD_SWISH ? 5
         : node->op == PF_OP_CLIP || node->op == PF_OP_LEAKY_RELU ? 2 : 1;
}

/* hard_swish(a) = a * min(max(a / 6 + 1/2, 0), 1), and leaky_relu(a) = max(a, p a) as long as p is no more than 1;
   RELU's own clip attributes lose every fast configuration. */
static void apply_activation(builder *b, const pf_node *node)
{
    const pf_pointwise_attrs *attrs = node->attrs;
    cudnnPointwiseMode_t      mode = CUDNN_POINTWISE_IDENTITY;
    pf_cudnn_tensor           a = b->last;

    if (node->op == PF_OP_CLIP) {
        if (attrs->p == 0) apply(b, CUDNN_POINTWISE_RELU_FWD, a, NULL);
        else apply(b, CUDNN_POINTWISE_MAX, a, scalar(b, attrs->p));
        apply(b, CUDNN_POINTWISE_MIN, b->last, scalar(b, attrs->q));
    } else if (node->op == PF_OP_LEAKY_RELU) {
        apply(b, CUDNN_POINTWISE_MUL, a, scalar(b, attrs->p));
        apply(b, CUDNN_POINTWISE_MAX, b->last, a);
    } else if (node->op == PF_OP_HARD_SWISH) {
        apply(b, CUDNN_POINTWISE_MUL, a, scalar(b, 1.0 / 6.0));
        apply(b, CUDNN_POINTWISE_ADD, b->last, scalar(b, 0.5));
        apply(b, CUDNN_POINTWISE_RELU_FWD, b->last, NULL);
        apply(b, CUDNN_POINTWISE_MIN, b->last, scalar(b, 1.0));
        apply(b, CUDNN_POINTWISE_MUL, b->last, a);
    } else if (pf_conv_pointwise(node->op, &mode)) apply(b, mode, a, NULL);
}

static void add_convolution(builder *b, const pf_problem *p, const pf_conv_form *form)
{
    pf_conv_window  conv = pf_conv_window_of(form->conv);
    int             dims = b->rank - 2;
    pf_cudnn_window window = { dims, conv.pads->at, conv.pads->at + dims, conv.strides->at, conv.dilations->at };
    pf_shape        x = *pf_cuda_shape(p, form->x), w = *pf_cuda_shape(p, form->w);
    pf_cudnn_tensor x_tensor = NULL, w_tensor = NULL, y = NULL;

    x.dim[1] = channels_in(p, form);
    if (!conv.transposed) w.dim[1] = x.dim[1] / conv.groups;
    x_tensor = nhwc_in(b, p->in_layout[form->x], UID_X, b->type, x.dim);
    w_tensor = nhwc(b, UID_W, b->type, w.dim);
    y = next(b);
    if (conv.transposed) pf_cudnn_convolution_transpose(b->g, x_tensor, w_tensor, y, &window);
    else pf_cudnn_convolution(b->g, x_tensor, w_tensor, y, &window);
    b->last = y;
}

static void add_residual(builder *b, const pf_conv_form *form)
{
    apply(b, CUDNN_POINTWISE_ADD, b->last, nhwc_in(b, b->p->in_layout[form->residual], UID_Z, b->type, b->y));
}

static void build_graph(pf_cudnn_graph *g, const pf_problem *p, const pf_conv_form *form, conv_scalars *scalars)
{
    const pf_value *out = pf_graph_value(p->graph, p->graph->outputs[0]);
    int64_t         bias_dim[5] = { 1, out->shape.dim[1], 1, 1, 1 };
    builder         b = { .p = p, .g = g, .rank = out->shape.rank, .y = out->shape.dim,
                          .type = pf_cudnn_type(out->dtype), .scalars = scalars };
    bool            residual = form->residual != PF_NO_INPUT;

    b.left = 1 + pf_conv_has_bias(form) + residual + activation_operations(form->activation);
    add_convolution(&b, p, form);
    if (residual && !form->residual_last) add_residual(&b, form);
    if (pf_conv_has_bias(form)) apply(&b, CUDNN_POINTWISE_ADD, b.last, nhwc(&b, UID_BIAS, b.type, bias_dim));
    if (form->activation) apply_activation(&b, form->activation);
    if (residual && form->residual_last) add_residual(&b, form);
    pf_cudnn_finish(g);
}

/* ---- Tunings */

static bool config_equal(const pf_cudnn_config *a, const pf_cudnn_config *b)
{
    size_t bytes = sizeof a->type[0] * (size_t)a->knob_count;

    return a->engine == b->engine && a->knob_count == b->knob_count && !memcmp(a->type, b->type, bytes) &&
           !memcmp(a->value, b->value, bytes);
}

static pf_status add_config(const pf_cudnn_config *configs, int at, pf_tuning_list *out, pf_err *err)
{
    char text[PF_TUNING_BYTES * 2] = {0};

    for (int i = 0; i < at; i++)
        if (config_equal(&configs[i], &configs[at])) return PF_OK;
    pf_cudnn_config_print(&configs[at], text, sizeof text);
    return strlen(text) < PF_TUNING_BYTES ? pf_tuning_add(out, err, "%s", text) : PF_OK;
}

/* On the fast path the first choice of the heuristics is within 2 % of the best over a network, single layers up to 18
   % (measured on an H100): a handful is worth timing, FALLBACK only when asked for everything. */
static int configs_at(int effort)
{
    return effort < 1 ? 1 : effort < 2 ? 4 : effort < 3 ? 10 : effort < 4 ? 24 : HEURISTIC_CONFIGS;
}

/* Small convolutions of one pixel and of one channel each are won by our own kernels (54 of 56 measured on an H200): a
   look at cuDNN's first guesses is enough. */
static bool is_own(const pf_device *device, const pf_problem *p)
{
    return !pf_tactic_nvrtc_matmul.declines(device, p) || !pf_tactic_nvrtc_window.declines(device, p);
}

static int configs_worth(bool own, int effort)
{
    int want = configs_at(effort);

    return own && effort < PF_TUNINGS_ALL_EFFORT && want > 2 ? 2 : want;
}

/* Each that cuDNN has to compile takes a second and more: of those half as many are timed, and none where our own
   kernels are. Of 736 such problems, in builds of some sixty networks on H200s, cuDNN's were best by more than 2 % in
   one, by 6 %. */
static int compiled_worth(bool own, int effort)
{
    if (effort >= PF_TUNINGS_ALL_EFFORT) return HEURISTIC_CONFIGS;
    return own && effort > 0 ? 0 : (configs_at(effort) + 1) / 2;
}

/* How many are left. */
static int leave_out_compiled(pf_cudnn_graph *g, pf_cudnn_config *configs, int count, int most)
{
    int kept = 0, compiled = 0;

    for (int i = 0; i < count; i++) {
        bool compiles = pf_cudnn_config_compiles(g, &configs[i]);

        if (!compiles || compiled < most) configs[kept++] = configs[i];
        compiled += compiles;
    }
    return kept;
}

/* *count: how many. */
static pf_status list_configs(pf_cudnn_graph *g, const pf_problem *p, int effort, bool own, pf_cudnn_config *configs,
                              int *count, pf_err *err)
{
    int          want = configs_worth(own, effort);
    conv_scalars scalars = {0};
    pf_conv_form form;
    bool         tf32 = p->numerics & PF_NUMERICS_TF32;
    bool         fp32 = pf_graph_value(p->graph, p->graph->outputs[0])->dtype == PF_F32;
    pf_status    st = PF_OK;

    pf_conv_recognize(p, &form);
    build_graph(g, p, &form, &scalars);
    st = pf_cudnn_graph_status(g, "a convolution", err);
    if (st) return st;
    *count = pf_cudnn_heuristics(g, CUDNN_HEUR_MODE_A, tf32, fp32, configs, want);
    if (*count < want && (effort > 3 || *count < 2))
        *count += pf_cudnn_heuristics(g, CUDNN_HEUR_MODE_FALLBACK, tf32, fp32, configs + *count, want - *count);
    if (!*count) return PF_FAIL(err, PF_UNSUPPORTED, "cuDNN lists no engine for this convolution");
    *count = leave_out_compiled(g, configs, *count, compiled_worth(own, effort));
    return PF_OK;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    pf_cudnn_config *configs = pf_calloc(HEURISTIC_CONFIGS, sizeof *configs);
    pf_cudnn_graph  *g = pf_calloc(1, sizeof *g);
    cudnnHandle_t    handle = NULL;
    int              count = 0;
    pf_status        st = configs && g ? pf_cudnn_plans_take((pf_device *)device, &handle, err)
                                       : PF_FAIL_MEMORY(err, sizeof *g);

    if (!st) {
        pf_cudnn_graph_init(g, handle);
        st = list_configs(g, p, effort, is_own(device, p), configs, &count, err);
        pf_cudnn_graph_clear(g);
        pf_cudnn_plans_leave((pf_device *)device);
    }
    for (int i = 0; i < count && !st; i++) st = add_config(configs, i, out, err);
    pf_free(g);
    pf_free(configs);
    return st;
}

/* ---- Steps */

typedef struct conv_impl {
    cudnnBackendDescriptor_t plan;
    pf_device               *device;
    conv_scalars             scalars;
    int                      x, w, bias, residual;      /* inputs of the problem, or PF_NO_INPUT */
    bool                     packs_weights, packs_bias, adds_zeros;
    size_t                   bias_offset;       /* in the packed constants */
    pf_digest                problem;
} conv_impl;

/* Innermost extent of the packed weights. */
static int64_t weight_channels(const pf_problem *p, const pf_conv_form *form)
{
    pf_conv_window conv = pf_conv_window_of(form->conv);

    return conv.transposed ? pf_cuda_shape(p, form->w)->dim[1] : channels_in(p, form) / conv.groups;
}

static size_t weight_bytes(const pf_problem *p, const pf_conv_form *form)
{
    const pf_value *w = pf_graph_value(p->graph, p->graph->inputs[form->w]);
    int64_t         elems = w->shape.dim[0] * weight_channels(p, form);

    for (int32_t d = 2; d < w->shape.rank; d++) elems *= w->shape.dim[d];
    return pf_dtype_bytes(w->dtype, (uint64_t)elems);
}

static void key_of(const pf_problem *p, const char *tuning, pf_digest *out)
{
    pf_hash hash;

    pf_hash_init(&hash);
    pf_hash_add(&hash, &p->hash, sizeof p->hash);
    pf_hash_add_u64(&hash, pf_tactic_cudnn_conv.rev);
    pf_hash_add_string(&hash, tuning);
    pf_hash_end(&hash, out);
}

/* False also where it cannot be said, and preparing will say why. */
static bool has_to_compile(pf_device *device, const pf_problem *p, const char *tuning)
{
    conv_scalars    scalars = {0};
    pf_conv_form    form;
    pf_cudnn_config config;
    pf_cudnn_graph *g = pf_calloc(1, sizeof *g);
    cudnnHandle_t   handle = NULL;
    bool            compiles = false;

    if (g && pf_cudnn_config_parse(tuning, &config) && !pf_cudnn_plans_take(device, &handle, NULL)) {
        pf_conv_recognize(p, &form);
        pf_cudnn_graph_init(g, handle);
        build_graph(g, p, &form, &scalars);
        compiles = pf_cudnn_config_compiles(g, &config);
        pf_cudnn_graph_clear(g);
        pf_cudnn_plans_leave(device);
    }
    pf_free(g);
    return compiles;
}

/* What cuDNN has ready is made in a millisecond, where a process that compiles takes two seconds to begin. */
static pf_status compile(pf_device *device, const pf_problem *p, const char *tuning, pf_err *err)
{
    pf_cuda  *cuda = pf_cuda_of(device);
    pf_digest key = {0};
    pf_buf    saved = {0};
    uint8_t  *bytes = NULL;
    size_t    count = 0;
    pf_status st = PF_OK;

    if (!has_to_compile(device, p, tuning)) return PF_OK;
    key_of(p, tuning, &key);
    if (pf_program_cache_has(cuda->programs, &key)) return PF_OK;
    pf_buf_init(&saved, SAVED_LIMIT_BYTES);
    st = pf_compile_pool_run(cuda->compilers, pf_tactic_cudnn_conv.name, p, tuning, &saved, err);
    bytes = st ? NULL : pf_buf_take(&saved, &count);
    if (bytes) pf_program_cache_keep(cuda->programs, &key, bytes, count);
    pf_buf_clear(&saved);
    return st;
}

/* Saved form: hash of the problem, JSON of the plan. Of another problem (other bindings of the same symbols) only the
   configuration holds. */
static void adopt_saved(conv_impl *impl, const void *saved, size_t bytes, cudnnHandle_t handle)
{
    if (saved && bytes > sizeof impl->problem && !memcmp(saved, &impl->problem, sizeof impl->problem))
        impl->plan = pf_cudnn_plan_from_json(handle, (const char *)saved + sizeof impl->problem,
                                             bytes - sizeof impl->problem);
}

/* What the plan file kept, or what a worker compiled. */
static void adopt(conv_impl *impl, pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                  size_t saved_bytes, cudnnHandle_t handle)
{
    pf_digest key = {0};
    uint8_t  *compiled = NULL;
    size_t    bytes = 0;

    adopt_saved(impl, saved, saved_bytes, handle);
    if (impl->plan) return;
    key_of(p, tuning, &key);
    compiled = pf_program_cache_copy(pf_cuda_of(device)->programs, &key, &bytes);
    adopt_saved(impl, compiled, bytes, handle);
    pf_free(compiled);
}

static pf_status make_plan(conv_impl *impl, const pf_problem *p, const pf_conv_form *form, const char *tuning,
                           cudnnHandle_t handle, pf_err *err)
{
    pf_cudnn_graph *g = pf_calloc(1, sizeof *g);
    pf_cudnn_config config;
    pf_status       st = PF_OK;

    if (!g) return PF_FAIL_MEMORY(err, sizeof *g);
    pf_cudnn_graph_init(g, handle);
    impl->scalars.count = 0;
    build_graph(g, p, form, &impl->scalars);
    if (!impl->plan) {
        if (!pf_cudnn_config_parse(tuning, &config))
            st = PF_FAIL(err, PF_INVALID, "cudnn_conv has no tuning '%s'", tuning);
        else impl->plan = pf_cudnn_plan(g, &config);
    }
    if (!st && !impl->plan) st = pf_cudnn_graph_status(g, "an engine configuration", err);
    pf_cudnn_graph_clear(g);
    pf_free(g);
    return st;
}

static void measure(pf_step *step, const pf_problem *p, const pf_conv_form *form)
{
    conv_impl *impl = step->impl;

    impl->x = form->x;
    impl->w = form->w;
    impl->bias = form->bias;
    impl->residual = form->residual;
    impl->packs_weights = p->in_constant[form->w];
    impl->adds_zeros = pf_conv_adds_zeros(form);
    impl->packs_bias = impl->adds_zeros || (form->bias != PF_NO_INPUT && p->in_constant[form->bias]);
    if (impl->packs_weights)
        impl->bias_offset = (weight_bytes(p, form) + PACK_ALIGNMENT - 1) / PACK_ALIGNMENT * PACK_ALIGNMENT;
    step->packed_bytes = impl->bias_offset;
    if (impl->packs_bias) {
        const pf_value *out = pf_graph_value(p->graph, p->graph->outputs[0]);

        step->packed_bytes += pf_dtype_bytes(out->dtype, (uint64_t)out->shape.dim[1]);
    }
    step->workspace_bytes = (size_t)pf_cudnn_plan_workspace(impl->plan);
    step->capturable = true;
    step->in_place = -1;
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    pf_step      *step = pf_step_new(&pf_tactic_cudnn_conv, sizeof(conv_impl));
    conv_impl    *impl = step ? step->impl : NULL;
    pf_conv_form  form;
    cudnnHandle_t handle = NULL;
    pf_status     st = PF_OK;

    *out = NULL;
    if (!step) return PF_FAIL_MEMORY(err, sizeof *impl);
    impl->device = device;
    impl->problem = p->hash;
    pf_conv_recognize(p, &form);
    st = pf_cudnn_plans_take(device, &handle, err);
    if (!st) {
        adopt(impl, device, p, tuning, saved, saved_bytes, handle);
        st = make_plan(impl, p, &form, tuning, handle, err);
        pf_cudnn_plans_leave(device);
    }
    if (st) {
        pf_step_free(step);
        return st;
    }
    measure(step, p, &form);
    *out = step;
    return PF_OK;
}

static pf_status pack(const pf_step *step, const pf_problem *p, const pf_tensor *constants, void *packed, pf_err *err)
{
    const conv_impl *impl = step->impl;
    pf_conv_form     form;

    (void)err;
    pf_conv_recognize(p, &form);
    memset(packed, 0, step->packed_bytes);
    if (impl->packs_weights) pf_conv_weights_pack(&constants[form.w], weight_channels(p, &form), packed);
    if (impl->packs_bias && !impl->adds_zeros)
        memcpy((uint8_t *)packed + impl->bias_offset, constants[form.bias].data, constants[form.bias].bytes);
    return PF_OK;
}

static pf_status enqueue(const pf_step *step, const pf_bindings *bindings, pf_stream *stream, pf_err *err)
{
    const conv_impl *impl = step->impl;
    int64_t          uids[5 + SCALARS_MAX] = { UID_X, UID_W, UID_Y };
    void            *pointers[5 + SCALARS_MAX] = { bindings->in[impl->x],
                                                   impl->packs_weights ? bindings->packed : bindings->in[impl->w],
                                                   bindings->out[0] };
    int              count = 3;

    if (impl->bias != PF_NO_INPUT || impl->adds_zeros) {
        uids[count] = UID_BIAS;
        pointers[count++] = impl->packs_bias ? (uint8_t *)bindings->packed + impl->bias_offset
                                             : bindings->in[impl->bias];
    }
    if (impl->residual != PF_NO_INPUT) {
        uids[count] = UID_Z;
        pointers[count++] = bindings->in[impl->residual];
    }
    for (int i = 0; i < impl->scalars.count; i++) {
        uids[count] = UID_SCALAR + i;
        pointers[count++] = (void *)&impl->scalars.value[i];
    }
    return pf_cudnn_execute(impl->device, impl->plan, uids, pointers, count, bindings->workspace, stream, err);
}

static pf_status save(const pf_step *step, pf_buf *out, pf_err *err)
{
    const conv_impl *impl = step->impl;

    pf_buf_put(out, &impl->problem, sizeof impl->problem);
    return pf_cudnn_plan_json(impl->plan, out, err);
}

static void release(pf_step *step)
{
    conv_impl *impl = step->impl;

    if (impl->plan) cudnnBackendDestroyDescriptor(impl->plan);
    pf_free(impl);
}

const pf_tactic pf_tactic_cudnn_conv = {
    .name = "cudnn_conv", .rev = 2,
    .flags = PF_TACTIC_COMPILES_WITH_DEVICE | PF_TACTIC_PITCHED | PF_TACTIC_PACKS_ONE_WAY,
    .needs = PF_CAP_CUDA | PF_CAP_CUDNN, .compile_ms = 500,
    .declines = declines, .prefers = prefers, .tunings = tunings, .compile = compile, .prepare = prepare, .pack = pack,
    .enqueue = enqueue, .save = save, .release = release,
};
