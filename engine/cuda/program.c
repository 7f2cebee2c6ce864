#include "engine/cuda/program.h"

#include <nvrtc.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "engine/cuda/compile_pool.h"

enum { CUBIN_LIMIT_BYTES = 64 << 20, ARGUMENTS_MAX = 128, CONSTANT_ALIGNMENT = 256,
       MAP_ROW_BYTES = 128 };

typedef CUresult encode_map_fn(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *, const cuuint64_t *,
                               const cuuint64_t *, const cuuint32_t *, const cuuint32_t *, CUtensorMapInterleave,
                               CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

typedef struct program_impl {
    pf_device    *device;
    cudaLibrary_t library;
    cudaKernel_t  kernel;
    pf_program    launch;               /* without its source */
    pf_digest     source;
    uint8_t      *cubin; size_t cubin_bytes;
    uint32_t      in_count, out_count;
    encode_map_fn *encode_map;          /* the driver's; NULL where the kernel has no maps */
    bool          early;                /* the card can launch it before its predecessor has ended */
    bool          is_packed[ARGUMENTS_MAX];
    size_t        offset[ARGUMENTS_MAX];        /* of packed inputs */
} program_impl;

void pf_program_clear(pf_program *program)
{
    pf_buf_clear(&program->source);
    memset(program, 0, sizeof *program);
}

/* The first line of NVRTC's log that says "error". */
static pf_status compile_failed(nvrtcProgram handle, nvrtcResult result, pf_err *err)
{
    size_t bytes = 0;
    char  *log = NULL, *line = NULL, *end = NULL;

    if (nvrtcGetProgramLogSize(handle, &bytes) == NVRTC_SUCCESS) log = pf_calloc(1, bytes + 1);
    if (log) nvrtcGetProgramLog(handle, log);
    line = log ? strstr(log, "error") : NULL;
    end = line ? strchr(line, '\n') : NULL;
    if (end) *end = 0;
    PF_FAIL(err, PF_INTERNAL, "generated code does not compile (%s): %s", nvrtcGetErrorString(result),
            line ? line : "no log");
    pf_free(log);
    return PF_INTERNAL;
}

static pf_status take_cubin(nvrtcProgram handle, pf_buf *cubin, pf_err *err)
{
    size_t bytes = 0;
    char  *data = NULL;
    bool   fine = false;

    if (nvrtcGetCUBINSize(handle, &bytes) != NVRTC_SUCCESS || bytes > CUBIN_LIMIT_BYTES)
        return PF_FAIL(err, PF_INTERNAL, "NVRTC gave no machine code");
    data = pf_alloc(bytes);
    if (!data) return PF_FAIL_MEMORY(err, bytes);
    fine = nvrtcGetCUBIN(handle, data) == NVRTC_SUCCESS && pf_buf_put(cubin, data, bytes);
    pf_free(data);
    return fine ? PF_OK : PF_FAIL(err, PF_NO_SPACE, "machine code of %zu bytes does not fit", bytes);
}

/* Without NVRTC's own cache: pf_program_folder is ours.  Without line numbers: nobody has the source, code with them
   takes a seventh longer and is three times as large. */
pf_status pf_program_compile(const pf_program *program, int cc, pf_buf *cubin, pf_err *err)
{
    char         arch[32] = {0};
    const char  *options[] = { arch, "--std=c++17", "-default-device", "--fmad=true",
#if CUDART_VERSION >= 13000
                                  "--no-cache",
#endif
                                };
    nvrtcProgram handle = NULL;
    nvrtcResult  result = NVRTC_SUCCESS;
    pf_status    st = PF_OK;

    snprintf(arch, sizeof arch, cc == 90 ? "--gpu-architecture=sm_%da" : "--gpu-architecture=sm_%d", cc);
    result = nvrtcCreateProgram(&handle, (const char *)program->source.data, "region.cu", 0, NULL, NULL);
    if (result != NVRTC_SUCCESS) return PF_FAIL(err, PF_INTERNAL, "NVRTC: %s", nvrtcGetErrorString(result));
    result = nvrtcCompileProgram(handle, sizeof options / sizeof *options, options);
    st = result == NVRTC_SUCCESS ? take_cubin(handle, cubin, err) : compile_failed(handle, result, err);
    nvrtcDestroyProgram(&handle);
    return st;
}

/* compilers: NULL, or processes to ask first. What they refuse is compiled here too, as the reason is known here
   alone. */
static pf_status compile(pf_device *device, pf_compile_pool *compilers, const pf_program *program, uint8_t **out,
                         size_t *bytes, pf_err *err)
{
    int       cc = pf_cuda_of(device)->cc;
    pf_buf    cubin = {0};
    pf_status st = PF_OK;

    pf_buf_init(&cubin, CUBIN_LIMIT_BYTES);
    if (!compilers || pf_compile_pool_program(compilers, program, cc, &cubin, NULL))
        st = pf_program_compile(program, cc, &cubin, err);
    if (!st) {
        *out = pf_buf_take(&cubin, bytes);
        if (!*out) st = PF_FAIL_MEMORY(err, cubin.size);
    }
    pf_buf_clear(&cubin);
    return st;
}

pf_status pf_program_precompile(pf_device *device, const pf_problem *p, pf_program_generator *generate,
                                const char *tuning, pf_err *err)
{
    pf_program_cache *cache = pf_cuda_of(device)->programs;
    pf_program        program = {0};
    pf_digest         source = {0};
    uint8_t          *cubin = NULL;
    size_t            bytes = 0;
    pf_status         st = generate(p, tuning, &program, err);

    if (!st) {
        pf_digest_of(program.source.data, program.source.size, &source);
        if (!pf_program_cache_has(cache, &source))
            st = compile(device, pf_cuda_of(device)->program_compilers, &program, &cubin, &bytes, err);
        if (cubin) pf_program_cache_keep(cache, &source, cubin, bytes);
    }
    pf_program_clear(&program);
    return st;
}

/* ---- Steps */

/* Saved form: digest of the source, machine code. */
static bool adopt_saved(program_impl *impl, const void *saved, size_t bytes)
{
    if (!saved || bytes <= sizeof impl->source || memcmp(saved, &impl->source, sizeof impl->source) != 0) return false;
    impl->cubin_bytes = bytes - sizeof impl->source;
    impl->cubin = pf_alloc(impl->cubin_bytes);
    if (!impl->cubin) return false;
    memcpy(impl->cubin, (const uint8_t *)saved + sizeof impl->source, impl->cubin_bytes);
    return true;
}

/* For equal layers, and for the next process where there is a folder. */
static void keep_code(pf_device *device, const program_impl *impl)
{
    uint8_t *copy = pf_alloc(impl->cubin_bytes);

    if (!copy) return;
    memcpy(copy, impl->cubin, impl->cubin_bytes);
    pf_program_cache_keep(pf_cuda_of(device)->programs, &impl->source, copy, impl->cubin_bytes);
}

static pf_status find_code(pf_device *device, const pf_program *program, const void *saved, size_t saved_bytes,
                           program_impl *impl, pf_err *err)
{
    pf_status st = PF_OK;

    pf_digest_of(program->source.data, program->source.size, &impl->source);
    if (adopt_saved(impl, saved, saved_bytes)) return PF_OK;
    impl->cubin = pf_program_cache_copy(pf_cuda_of(device)->programs, &impl->source, &impl->cubin_bytes);
    if (impl->cubin) return PF_OK;
    st = compile(device, NULL, program, &impl->cubin, &impl->cubin_bytes, err);
    if (!st) keep_code(device, impl);
    return st;
}

static pf_status load(program_impl *impl, pf_err *err)
{
    PF_CUDA_ON(impl->device, err, cudaLibraryLoadData(&impl->library, impl->cubin, NULL, NULL, 0, NULL, NULL, 0));
    PF_CUDA_TRY(err, cudaLibraryGetKernel(&impl->kernel, impl->library, "kernel"));
    if (impl->launch.shared_bytes > 48 * 1024)
        PF_CUDA_TRY(err, cudaFuncSetAttribute((const void *)impl->kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                              (int)impl->launch.shared_bytes));
    if (impl->launch.large_clusters)
        PF_CUDA_TRY(err, cudaFuncSetAttribute((const void *)impl->kernel,
                                              cudaFuncAttributeNonPortableClusterSizeAllowed, 1));
    return PF_OK;
}

static pf_status find_encoder(program_impl *impl, pf_err *err)
{
    enum cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
    void                                *function = NULL;

    if (!impl->launch.map_count) return PF_OK;
    PF_CUDA_TRY(err, cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault,
                                                      &found));
    if (found != cudaDriverEntryPointSuccess)
        return PF_FAIL(err, PF_UNSUPPORTED, "the driver has no cuTensorMapEncodeTiled: it is older than CUDA 12");
    impl->encode_map = (encode_map_fn *)function;
    return PF_OK;
}

/* Their bytes in all. */
static size_t place_constants(program_impl *impl, const pf_problem *p, const pf_program *program)
{
    size_t at = 0;

    for (uint32_t i = 0; program->packs && i < impl->in_count; i++) {
        const pf_value *value = pf_graph_value(p->graph, p->graph->inputs[i]);

        impl->is_packed[i] = p->in_constant[i];
        if (!impl->is_packed[i]) continue;
        impl->offset[i] = at;
        at += i == program->packed_input
            ? program->packed_bytes
            : pf_dtype_bytes(value->dtype, (uint64_t)pf_shape_elems(p->graph->dims, &value->shape));
        at = (at + CONSTANT_ALIGNMENT - 1) / CONSTANT_ALIGNMENT * CONSTANT_ALIGNMENT;
    }
    return at;
}

void *pf_program_pack(const pf_step *step, const pf_tensor *constants, void *packed, const pf_tensor **own)
{
    const program_impl *impl = step->impl;

    for (uint32_t i = 0; i < impl->in_count; i++)
        if (impl->is_packed[i] && i != impl->launch.packed_input)
            memcpy((uint8_t *)packed + impl->offset[i], constants[i].data, constants[i].bytes);
    *own = &constants[impl->launch.packed_input];
    return (uint8_t *)packed + impl->offset[impl->launch.packed_input];
}

int pf_program_packed_form(const pf_step *step)
{
    const program_impl *impl = step->impl;

    return impl->launch.packed_form;
}

static pf_status make_step(pf_device *device, const pf_tactic *tactic, const pf_problem *p, const pf_program *program,
                           const void *saved, size_t saved_bytes, pf_step **out, pf_err *err)
{
    pf_step      *step = pf_step_new(tactic, sizeof(program_impl));
    program_impl *impl = step ? step->impl : NULL;
    uint32_t      at_once = (uint32_t)pf_cuda_of(device)->sm_count * (program->resident ? program->resident : 1);
    pf_status     st = PF_OK;

    if (!step) return PF_FAIL_MEMORY(err, sizeof *impl);
    impl->device = device;
    impl->launch = *program;
    memset(&impl->launch.source, 0, sizeof impl->launch.source);
    if (program->stays && impl->launch.grid[0] > at_once) impl->launch.grid[0] = at_once;
    impl->early = pf_cuda_of(device)->cc >= 90;
    impl->in_count = p->graph->input_count;
    impl->out_count = p->graph->output_count;
    if (impl->in_count + impl->out_count > ARGUMENTS_MAX)
        st = PF_FAIL(err, PF_UNSUPPORTED, "more than %d kernel arguments", ARGUMENTS_MAX);
    if (!st) step->packed_bytes = place_constants(impl, p, program);
    if (program->packs) step->packed_as = 1 + (uint32_t)program->packed_form;
    step->capturable = true;
    step->in_place = -1;
    if (!st) st = find_code(device, program, saved, saved_bytes, impl, err);
    if (!st) st = load(impl, err);
    if (!st) st = find_encoder(impl, err);
    if (st) {
        pf_step_free(step);
        return st;
    }
    *out = step;
    return PF_OK;
}

pf_status pf_program_prepare(pf_device *device, const pf_tactic *tactic, const pf_problem *p,
                             pf_program_generator *generate, const char *tuning, const void *saved, size_t saved_bytes,
                             pf_step **out, pf_err *err)
{
    pf_program program = {0};
    pf_status  st = PF_OK;

    *out = NULL;
    st = generate(p, tuning, &program, err);
    if (!st) st = make_step(device, tactic, p, &program, saved, saved_bytes, out, err);
    pf_program_clear(&program);
    return st;
}

static pf_status encode_map(const program_impl *impl, const pf_program_map *map, void *address, CUtensorMap *out,
                            pf_err *err)
{
    uint32_t   bytes = pf_dtype_bits(map->dtype) / 8;
    cuuint64_t dims[2] = { map->columns, map->rows }, row_bytes[1] = { map->row_elems * bytes };
    cuuint32_t box[2] = { MAP_ROW_BYTES / bytes, map->box_rows }, one[2] = { 1, 1 };
    CUtensorMapDataType type = map->dtype == PF_F16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16
                             : map->dtype == PF_F32 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT32
                                                    : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    CUresult result = impl->encode_map(out, type, 2, address, dims, row_bytes, box, one,
                                       CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                       CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);

    if (result != CUDA_SUCCESS)
        return PF_FAIL(err, PF_DEVICE, "cuTensorMapEncodeTiled refused a matrix of %llu x %llu at %p (%d)",
                       (unsigned long long)map->rows, (unsigned long long)map->columns, address, (int)result);
    return PF_OK;
}

pf_status pf_program_enqueue(const pf_step *step, const pf_bindings *bindings, pf_stream *stream, pf_err *err)
{
    const program_impl *impl = step->impl;
    const pf_program   *launch = &impl->launch;
    void               *arguments[ARGUMENTS_MAX + PF_PROGRAM_MAPS], *packed[ARGUMENTS_MAX];
    CUtensorMap         maps[PF_PROGRAM_MAPS];
    pf_status           st = PF_OK;
    cudaLaunchAttribute early = { .id = cudaLaunchAttributeProgrammaticStreamSerialization };
    cudaLaunchConfig_t  config = { .gridDim = { launch->grid[0], launch->grid[1], launch->grid[2] },
                                   .blockDim = { launch->block[0], launch->block[1], launch->block[2] },
                                   .dynamicSmemBytes = launch->shared_bytes, .stream = pf_cuda_stream(stream) };

    PF_CUDA_TRY(err, pf_cuda_enter(impl->device));
    for (uint32_t i = 0; i < impl->in_count; i++) {
        if (impl->is_packed[i]) packed[i] = (uint8_t *)bindings->packed + impl->offset[i];
        arguments[i] = impl->is_packed[i] ? (void *)&packed[i] : (void *)&bindings->in[i];
    }
    for (uint32_t i = 0; i < impl->out_count; i++) arguments[impl->in_count + i] = (void *)&bindings->out[i];
    for (uint32_t i = 0; i < launch->map_count && !st; i++) {
        st = encode_map(impl, &launch->maps[i], *(void **)arguments[launch->maps[i].input], &maps[i], err);
        arguments[impl->in_count + impl->out_count + i] = &maps[i];
    }
    if (st) return st;
    early.val.programmaticStreamSerializationAllowed = 1;
    if (impl->early) {
        config.attrs = &early;
        config.numAttrs = 1;
    }
    PF_CUDA_TRY(err, cudaLaunchKernelExC(&config, (const void *)impl->kernel, arguments));
    return PF_OK;
}

pf_status pf_program_save(const pf_step *step, pf_buf *out, pf_err *err)
{
    const program_impl *impl = step->impl;

    pf_buf_put(out, &impl->source, sizeof impl->source);
    return pf_buf_put(out, impl->cubin, impl->cubin_bytes) ? PF_OK : PF_FAIL_MEMORY(err, impl->cubin_bytes);
}

void pf_program_release(pf_step *step)
{
    program_impl *impl = step->impl;

    if (impl->library) PF_CUDA_DROP(impl->device, cudaLibraryUnload(impl->library));
    pf_free(impl->cubin);
    pf_free(impl);
}
