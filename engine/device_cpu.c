/* The CPU as a device.  Memory is the heap, a stream runs at once in its caller's thread, an event is a reading of the
   clock. */
#include "engine/device_cpu.h"

#include <oneapi/dnnl/dnnl.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/cpu_crowd.h"
#include "engine/thread_room.h"

enum { ALIGNMENT = 256, THREADS_MAX = 1024 };

typedef struct cpu_device {
    pf_device     base;             /* first */
    dnnl_engine_t dnnl;
    pf_isa        isa;
} cpu_device;

struct pf_stream {
    const pf_device *device;
    dnnl_stream_t    dnnl;
};

struct pf_event { int64_t at_ns; };

/* ---- What an instruction set is called, in oneDNN and here; best first. */
static const struct isa_row {
    const char    *name;            /* as in pf_device_options.isa */
    dnnl_cpu_isa_t cap;             /* what oneDNN may use under that cap */
    dnnl_cpu_isa_t least;           /* what oneDNN must report for the row to be in effect */
    pf_isa         kernels;
    uint64_t       caps;
} isa_rows[] = {
    { "amx",    dnnl_cpu_isa_all, dnnl_cpu_isa_avx512_core_amx, PF_ISA_AVX512,
      PF_CAP_AVX2 | PF_CAP_AVX512 | PF_CAP_AVX512_BF16 | PF_CAP_AMX },
    { "avx512", dnnl_cpu_isa_avx512_core_bf16, dnnl_cpu_isa_avx512_core, PF_ISA_AVX512, PF_CAP_AVX2 | PF_CAP_AVX512 },
    { "avx2",   dnnl_cpu_isa_avx2, dnnl_cpu_isa_avx2, PF_ISA_AVX2, PF_CAP_AVX2 },
    { "sse41",  dnnl_cpu_isa_sse41, (dnnl_cpu_isa_t)0, PF_ISA_BASE, 0 },
};
enum { ISA_ROWS = sizeof isa_rows / sizeof isa_rows[0] };

static const struct isa_row *isa_in_effect(void)
{
    dnnl_cpu_isa_t now = dnnl_get_effective_cpu_isa();
    const struct isa_row *row = isa_rows;

    while (row < isa_rows + ISA_ROWS - 1 && (now & row->least) != row->least)
        row++;
    return row;
}

static pf_status cap_isa(const char *name, pf_err *err)
{
    const struct isa_row *wanted = isa_rows;

    while (wanted < isa_rows + ISA_ROWS && strcmp(wanted->name, name) != 0)
        wanted++;
    if (wanted == isa_rows + ISA_ROWS)
        return PF_FAIL(err, PF_NOT_FOUND, "no instruction set is called %s; there are amx, avx512, avx2 and sse41",
                       name);
    dnnl_set_max_cpu_isa(wanted->cap);          /* refused once oneDNN was used; what counts is what is in effect now */
    if (isa_in_effect() > wanted)
        return PF_FAIL(err, PF_UNSUPPORTED, "this CPU has no %s, its best is %s", name, isa_in_effect()->name);
    if (isa_in_effect() < wanted)
        return PF_FAIL(err, PF_UNSUPPORTED, "this process already runs with %s; cap it at %s in a new process",
                       isa_in_effect()->name, name);
    return PF_OK;
}

/* ---- Memory and copies */
static pf_status cpu_alloc(pf_device *device, size_t bytes, void **out, pf_err *err)
{
    (void)device;
    *out = pf_alloc_untold(ALIGNMENT, bytes);
    return *out ? PF_OK : PF_FAIL_MEMORY(err, bytes);
}

static void cpu_free(pf_device *device, void *pointer)
{
    (void)device;
    pf_free_untold(pointer);
}

static pf_status cpu_copy(pf_device *device, pf_stream *stream, void *to, const void *from, size_t bytes, pf_err *err)
{
    (void)device, (void)stream, (void)err;
    if (bytes && to != from)
        memcpy(to, from, bytes);
    return PF_OK;
}

static pf_status cpu_fill(pf_device *device, pf_stream *stream, void *to, uint8_t value, size_t bytes, pf_err *err)
{
    (void)device, (void)stream, (void)err;
    if (bytes)
        memset(to, value, bytes);
    return PF_OK;
}

/* ---- Streams and events */
static void cpu_stream_free(pf_device *device, pf_stream *stream)
{
    (void)device;
    if (!stream)
        return;
    dnnl_stream_destroy(stream->dnnl);
    pf_free(stream);
}

static pf_status cpu_stream_new(pf_device *device, pf_stream **out, pf_err *err)
{
    pf_stream *stream = pf_calloc(1, sizeof *stream);

    *out = NULL;
    if (!stream)
        return PF_FAIL_MEMORY(err, sizeof *stream);
    stream->device = device;
    if (dnnl_stream_create(&stream->dnnl, ((cpu_device *)device)->dnnl, dnnl_stream_default_flags) != dnnl_success) {
        cpu_stream_free(device, stream);
        return PF_FAIL(err, PF_DEVICE, "oneDNN gives no stream for %s", device->name);
    }
    *out = stream;
    return PF_OK;
}

static pf_status cpu_stream_sync(pf_device *device, pf_stream *stream, pf_err *err)
{
    (void)device, (void)stream, (void)err;
    return PF_OK;
}

static pf_status cpu_event_new(pf_device *device, pf_event **out, pf_err *err)
{
    (void)device;
    *out = pf_calloc(1, sizeof **out);
    return *out ? PF_OK : PF_FAIL_MEMORY(err, sizeof **out);
}

static void cpu_event_free(pf_device *device, pf_event *event)
{
    (void)device;
    pf_free(event);
}

static pf_status cpu_event_record(pf_device *device, pf_event *event, pf_stream *stream, pf_err *err)
{
    (void)device, (void)stream, (void)err;
    event->at_ns = pf_clock_ns();
    return PF_OK;
}

static pf_status cpu_event_elapsed(pf_device *device, pf_event *start, pf_event *end, int64_t *ns, pf_err *err)
{
    (void)device, (void)err;
    *ns = end->at_ns - start->at_ns;
    return PF_OK;
}

static void cpu_sample(pf_device *device, pf_device_sample *out)
{
    (void)device;
    *out = (pf_device_sample){ .clock_mhz = pf_cpu_clock_mhz() };
}

static void cpu_ran(pf_device *device, int64_t took_ns)
{
    pf_cpu_crowd_look(device->threads, took_ns);
}

static void cpu_close(pf_device *device)
{
    cpu_device *cpu = (cpu_device *)device;

    pf_cpu_crowd_close();
    if (cpu->dnnl)
        dnnl_engine_destroy(cpu->dnnl);
    pf_free(cpu);
}

static const pf_device_ops cpu_ops = {
    .close = cpu_close,
    .alloc = cpu_alloc, .free = cpu_free, .upload = cpu_copy, .download = cpu_copy, .fill = cpu_fill, .copy = cpu_copy,
    .stream_new = cpu_stream_new, .stream_free = cpu_stream_free, .stream_sync = cpu_stream_sync,
    .event_new = cpu_event_new, .event_free = cpu_event_free, .event_record = cpu_event_record,
    .event_elapsed = cpu_event_elapsed,
    .ran = cpu_ran, .sample = cpu_sample,
};

/* ---- Opening */
/* Keys in alphabetical order: pf_device_class_difference relies on it. */
static void write_class(pf_device *device, const pf_cpu_facts *facts, const char *isa)
{
    const dnnl_version_t *onednn = dnnl_version();

    snprintf(device->class_name, sizeof device->class_name, "cpu-%s", isa);
    snprintf(device->class_text, sizeof device->class_text,
             "cpu=%s family %d model %d stepping %d\n"
             "device=cpu\n"
             "isa=%s\n"
             "kernels=%d\n"
             "l1d_bytes=%zu\n"
             "l2_bytes=%zu\n"
             "l3_bytes=%zu\n"
             "model_name=%s\n"
             "numa_nodes=%d\n"
             "onednn=%d.%d.%d\n"
             "onednn_isa=0x%x\n"
             "threads=%d\n"
             "vendor=%s\n",
             facts->vendor, facts->family, facts->model, facts->stepping, isa, PF_CPU_KERNEL_REVISION, facts->l1d_bytes,
             facts->l2_bytes, facts->l3_bytes, facts->model_name, facts->numa_nodes, onednn->major, onednn->minor,
             onednn->patch, (unsigned)dnnl_get_effective_cpu_isa(), device->threads, facts->vendor);
    pf_device_digest_class(device);
}

/* Threads of a device run when a step does, and where they cannot be started then the process ends.  The library keeps
   them: once there was room, the next device has it too. */
static pf_status check_room(int32_t threads, pf_err *err)
{
    static atomic_int seen = 1;

    if (threads <= atomic_load(&seen))
        return PF_OK;
    if (!pf_thread_room(threads - 1))
        return PF_FAIL(err, PF_NO_SPACE, "this process cannot start the %d threads that the CPU runs with: allow it "
                       "more (ulimit -u, or the pids limit of its container), or use fewer threads", threads);
    atomic_store(&seen, threads);
    return PF_OK;
}

pf_status pf_device_cpu_open(const pf_device_options *options, pf_device **out, pf_err *err)
{
    cpu_device  *cpu = NULL;
    pf_cpu_facts facts = { 0 };
    pf_status    st = PF_OK;

    *out = NULL;
    if (options->threads < 0 || options->threads > THREADS_MAX)
        return PF_FAIL(err, PF_INVALID, "a CPU device cannot run with %d threads", options->threads);
    if (options->share_percent < 0 || options->share_percent > 100)
        return PF_FAIL(err, PF_INVALID, "a share is 1 to 100 percent, not %d", options->share_percent);
    st = options->isa ? cap_isa(options->isa, err) : PF_OK;
    if (st)
        return st;
    cpu = pf_calloc(1, sizeof *cpu);
    if (!cpu)
        return PF_FAIL_MEMORY(err, sizeof *cpu);
    pf_cpu_crowd_open();
    pf_cpu_facts_read(&facts);
    cpu->base = (pf_device){
        .ops = &cpu_ops, .kind = PF_DEVICE_CPU, .name = "cpu", .caps = PF_CAP_CPU | isa_in_effect()->caps,
        .cache_bytes = facts.l3_bytes, .memory_bytes = facts.memory_bytes, .host_is_device = true,
    };
    if ((dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16)
        cpu->base.caps |= PF_CAP_AVX512_BF16;
    cpu->isa = isa_in_effect()->kernels;
    cpu->base.threads = options->threads ? options->threads : facts.cores;
    if (!options->threads && options->share_percent)        /* a share of the cores, at least one */
        cpu->base.threads = facts.cores * options->share_percent / 100 > 1
            ? facts.cores * options->share_percent / 100 : 1;
    cpu->base.compute_units = cpu->base.threads;
    cpu->base.impl = cpu;
    write_class(&cpu->base, &facts, isa_in_effect()->name);
    pf_device_cpu_enter(&cpu->base);
    st = check_room(cpu->base.threads, err);
    if (!st && dnnl_engine_create(&cpu->dnnl, dnnl_cpu, 0) != dnnl_success)
        st = PF_FAIL(err, PF_DEVICE, "oneDNN %d.%d gives no CPU engine", dnnl_version()->major, dnnl_version()->minor);
    if (st) {
        cpu_close(&cpu->base);
        return st;
    }
    *out = &cpu->base;
    return PF_OK;
}

pf_isa pf_device_cpu_isa(const pf_device *device)
{
    return ((const cpu_device *)device)->isa;
}

struct dnnl_engine *pf_device_cpu_dnnl(const pf_device *device)
{
    return ((const cpu_device *)device)->dnnl;
}

void pf_device_cpu_enter(const pf_device *device)
{
    if (omp_get_max_threads() != device->threads)
        omp_set_num_threads(device->threads);
}

void pf_device_cpu_enter_alone(void)
{
    omp_set_num_threads(1);
}

void pf_stream_cpu_enter(const pf_stream *stream)
{
    if (stream)
        pf_device_cpu_enter(stream->device);
}

int32_t pf_stream_cpu_threads(const pf_stream *stream)
{
    return stream ? stream->device->threads : omp_get_max_threads();
}

struct dnnl_stream *pf_stream_cpu_dnnl(const pf_stream *stream)
{
    return stream->dnnl;
}
