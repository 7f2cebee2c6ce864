#include "engine/tactic.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/device_module.h"

static const pf_tactic *const built_in[] = {
#define PF_TACTIC(name) &pf_tactic_##name,
#include "engine/tactics.def"
#undef PF_TACTIC
};
enum { BUILT_IN = sizeof built_in / sizeof built_in[0] };

/* What a missing capability bit is called. */
static const struct cap_row { uint64_t cap; const char *reason; } caps[] = {
    { PF_CAP_CPU, "needs a CPU device" },
    { PF_CAP_CUDA, "needs a CUDA device" },
    { PF_CAP_AVX2, "needs AVX2" },
    { PF_CAP_AVX512, "needs AVX-512" },
    { PF_CAP_AMX, "needs AMX" },
    { PF_CAP_AVX512_BF16, "needs AVX-512 BF16" },
    { PF_CAP_SM75, "needs compute capability 7.5" },
    { PF_CAP_SM80, "needs compute capability 8.0" },
    { PF_CAP_SM89, "needs compute capability 8.9" },
    { PF_CAP_SM90, "needs compute capability 9.0" },
    { PF_CAP_CUDNN, "needs cuDNN" },
    { PF_CAP_CUBLASLT, "needs cuBLASLt" },
    { PF_CAP_NVRTC, "needs NVRTC" },
};

const pf_tactic *pf_tactic_at(uint32_t index)
{
    return index < BUILT_IN ? built_in[index] : pf_device_module_tactic(index - BUILT_IN);
}

const pf_tactic *pf_tactic_find(const char *name)
{
    const pf_tactic *tactic = NULL;

    for (uint32_t i = 0; (tactic = pf_tactic_at(i)) != NULL; i++)
        if (strcmp(tactic->name, name) == 0)
            return tactic;
    return NULL;
}

const char *pf_tactic_declines(const pf_tactic *tactic, const pf_device *device, const pf_problem *p)
{
    uint64_t missing = tactic->needs & ~device->caps;

    for (size_t i = 0; missing && i < sizeof caps / sizeof caps[0]; i++)
        if (missing & caps[i].cap)
            return caps[i].reason;
    if (missing)
        return "needs a capability that the device lacks";
    if (!(tactic->flags & PF_TACTIC_PITCHED) && pf_problem_has_pitch(p))
        return "a value lies in a wider one";
    if (!(tactic->flags & PF_TACTIC_ORACLE) && pf_problem_has_empty(p))     /* libraries divide by their sizes */
        return "a tensor has no elements";
    return tactic->declines(device, p);
}

pf_status pf_tuning_add(pf_tuning_list *list, pf_err *err, const char *format, ...)
{
    pf_tuning *tuning = NULL;
    va_list    arguments;
    int        length = 0;

    if (pf_grow((void **)&list->items, &list->capacity, list->count + 1, sizeof *tuning))
        return PF_FAIL_MEMORY(err, (list->count + 1) * sizeof *tuning);
    tuning = &list->items[list->count];
    va_start(arguments, format);
    length = vsnprintf(tuning->text, sizeof tuning->text, format, arguments);
    va_end(arguments);
    if (length < 0 || length >= (int)sizeof tuning->text)
        return PF_FAIL(err, PF_INTERNAL, "a tuning of %d bytes is over the limit of %d", length, PF_TUNING_BYTES);
    for (uint32_t i = 0; i < list->count; i++)      /* libraries list the same implementation twice at times */
        if (strcmp(list->items[i].text, tuning->text) == 0)
            return PF_OK;
    list->count++;
    return PF_OK;
}

void pf_tuning_clear(pf_tuning_list *list)
{
    pf_free(list->items);
    *list = (pf_tuning_list){ 0 };
}

bool pf_tactic_prefers_linear(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in,
                              pf_layout *out)
{
    (void)device;
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        in[i] = PF_LAYOUT_LINEAR;
    out[0] = PF_LAYOUT_LINEAR;
    return index == 0 && p->graph->output_count == 1;
}

pf_step *pf_step_new(const pf_tactic *tactic, size_t impl_bytes)
{
    pf_step *step = pf_calloc(1, sizeof *step);
    void    *impl = pf_calloc(1, impl_bytes);

    if (!step || !impl) {
        pf_free(step);
        pf_free(impl);
        return NULL;
    }
    *step = (pf_step){ .tactic = tactic, .in_place = -1, .impl = impl };
    return step;
}

void pf_step_free(pf_step *step)
{
    if (!step)
        return;
    if (step->tactic->release)
        step->tactic->release(step);
    else
        pf_free(step->impl);
    pf_free(step);
}
