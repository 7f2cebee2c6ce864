/* What all tactics that generate code have in common: a file in tactics/ shows only where it applies, its tunings and
   how a tuning becomes a program. */
#ifndef PF_ENGINE_CUDA_PROGRAM_TACTIC_H
#define PF_ENGINE_CUDA_PROGRAM_TACTIC_H

#include "engine/cuda/program.h"
#include "engine/cuda/tactics.h"

/* The row of a tactic, last in its file.  generate: its pf_program_generator; behind it the fields of pf_tactic that
   differ. */
#define PF_PROGRAM_TACTIC(row, generate, ...) \
    static pf_status compile(pf_device *device, const pf_problem *p, const char *tuning, pf_err *err) \
    { \
        return pf_program_precompile(device, p, generate, tuning, err); \
    } \
    static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved, \
                             size_t saved_bytes, pf_step **out, pf_err *err) \
    { \
        return pf_program_prepare(device, &pf_tactic_##row, p, generate, tuning, saved, saved_bytes, out, err); \
    } \
    const pf_tactic pf_tactic_##row = { \
        .name = #row, .compile = compile, .prepare = prepare, .enqueue = pf_program_enqueue, .save = pf_program_save, \
        .release = pf_program_release, __VA_ARGS__ \
    }

/* How many tunings an effort tries: counts by effort. */
int  pf_program_count_at(const int counts[static 6], int effort);

/* A row of prefers: images come in one layout and go in one, all else is linear. */
void pf_program_prefer_images(const pf_problem *p, pf_layout from, pf_layout to, pf_layout *in, pf_layout *out);
/* The prefers of a tactic whose images are channels-last. */
bool pf_program_prefers_channels_last(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in,
                                      pf_layout *out);

#endif
