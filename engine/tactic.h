/* One way to solve a problem.  A row of tactics.def is a `const pf_tactic pf_tactic_<name>` in engine/tactics/<name>.c,
   immutable and stateless.  A tactic that searches a library's own configurations (cuDNN, cuBLASLt, oneDNN) offers each
   as a tuning; a tuning is a short text that means the same in every process with the same library versions. */
#ifndef PF_ENGINE_TACTIC_H
#define PF_ENGINE_TACTIC_H

#include "base/buf.h"
#include "engine/device.h"
#include "engine/problem.h"

enum { PF_TUNING_BYTES = 192, PF_TACTIC_NAME_BYTES = 48 };

/* A tuning that begins so packs constants for one binding of the dims alone: plans whose shapes vary do without it. */
#define PF_TUNING_FIXED "fixed:"

typedef struct pf_tuning { char text[PF_TUNING_BYTES]; } pf_tuning;
typedef struct pf_tuning_list { pf_tuning *items; uint32_t count, capacity; } pf_tuning_list;
pf_status pf_tuning_add(pf_tuning_list *list, pf_err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void      pf_tuning_clear(pf_tuning_list *list);

typedef struct pf_tactic pf_tactic;

/* A tactic made ready for one bound problem: immutable after prepare, so that several contexts may run it at once;
   unless it says otherwise. */
typedef struct pf_step {
    const pf_tactic *tactic;
    size_t   workspace_bytes;   /* scratch for one run, 256-byte aligned by the caller */
    size_t   packed_bytes;      /* of the packed constants; 0: constants are bound as they are. Their layout is always
                                   LINEAR */
    uint32_t packed_as;         /* steps of a tactic for one problem that say the same, and not 0, pack alike; see also
                                   PF_TACTIC_PACKS_ONE_WAY */
    bool     capturable;        /* may be enqueued while a stream is captured */
    bool     alone;             /* runs work in memory of the step's: one context at a time may have it */
    int32_t  in_place;          /* input that output 0 may overwrite, or -1 */
    void    *impl;              /* owned by the tactic */
} pf_step;

typedef struct pf_bindings {    /* device pointers, in the problem's order */
    void *const *in;            /* NULL for constants that were packed */
    void *const *out;
    void        *packed;        /* device copy of what pack wrote */
    void        *workspace;
} pf_bindings;

enum {                          /* pf_tactic.flags */
    /* the plain reference: takes every problem, is the measure of the others, wins only when nothing else applies */
    PF_TACTIC_ORACLE = 1,
    PF_TACTIC_NONDETERMINISTIC = 4,
    PF_TACTIC_PITCHED = 8,  /* may take values that lie in wider ones; the others are never asked about such problems */
    PF_TACTIC_COMPILES_WITH_DEVICE = 16,        /* compile needs the device */
    PF_TACTIC_PACKS_ONE_WAY = 32,   /* constants are packed alike whatever the tuning */
};

enum { PF_TUNINGS_ALL_EFFORT = 3 };     /* from here on no tactic leaves a problem to others */

struct pf_tactic {
    const char *name;           /* key in timing records and plans: never renamed, never reused */
    uint16_t    rev;            /* raise when speed or results change: older timings become stale */
    uint16_t    flags;
    uint64_t    needs;          /* PF_CAP_* bits that the device must have */
    uint32_t    compile_ms;     /* what compile takes, about; only the order hangs on it */

    /* Why this tactic cannot compute p exactly as asked (layouts included): a static string, or NULL when it can. Pure,
       no device call, under 10 us. Symbolic dims: answer for every binding, or decline. */
    const char *(*declines)(const pf_device *device, const pf_problem *p);
    /* The layouts it would like for p's inputs and outputs, best first; index counts up, false ends. NULL: any layouts
       that all values share. */
    bool (*prefers)(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out);
    /* Tunings of a bound problem worth timing at an effort of 0..5 (0: the first guess alone), best guess first.
       Above 0 and below PF_TUNINGS_ALL_EFFORT there may be none, where another tactic always does better. */
    pf_status (*tunings)(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err);
    /* (optional) The slow part of prepare, which compiles: done ahead for many candidates at once, in any thread.
       prepare then finds the result, and does without when there is none. */
    pf_status (*compile)(pf_device *device, const pf_problem *p, const char *tuning, pf_err *err);
    /* Makes a step of a bound problem. saved: NULL, or what save gave for the same tactic and tuning, perhaps at other
       bindings of the same symbols: then the packed constants must keep the form they had. *out is owned by the caller:
       pf_step_free.
       Errors   UNSUPPORTED: the library refuses after all; NO_SPACE; DEVICE. */
    pf_status (*prepare)(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err);
    /* Packs constants (host, LINEAR, by problem input index; others have data NULL) into packed_bytes of host memory;
       gaps need not be written, and are zeros where the bytes are kept. NULL: nothing is packed. */
    pf_status (*pack)(const pf_step *step, const pf_problem *p, const pf_tensor *constants, void *packed, pf_err *err);
    /* Enqueues one run. Allocates nothing, never synchronises. Errors: DEVICE. */
    pf_status (*enqueue)(const pf_step *step, const pf_bindings *bindings, pf_stream *stream, pf_err *err);
    /* What a plan keeps to prepare faster and with the same packing: compiled code, library blobs. NULL: nothing. */
    pf_status (*save)(const pf_step *step, pf_buf *out, pf_err *err);
    void (*release)(pf_step *step);     /* frees impl */
};

#define PF_TACTIC(name) extern const pf_tactic pf_tactic_##name;
#include "engine/tactics.def"
#undef PF_TACTIC

const pf_tactic *pf_tactic_at(uint32_t index);                  /* table order breaks ties; NULL past the end */
const pf_tactic *pf_tactic_find(const char *name);              /* NULL when there is none */
/* declines, after the capability bits; the reason names a missing capability. */
const char      *pf_tactic_declines(const pf_tactic *tactic, const pf_device *device, const pf_problem *p);
/* A `prefers` of one row: everything linear, one output. */
bool             pf_tactic_prefers_linear(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in,
                                          pf_layout *out);
pf_step         *pf_step_new(const pf_tactic *tactic, size_t impl_bytes);   /* zeroed impl; NULL when out of memory */
void             pf_step_free(pf_step *step);                   /* NULL is fine */

#endif
