/* A generated kernel: source, launch shape, and the machine code that NVRTC makes of it.
   Making and compiling need no device; loading does. */
#ifndef PF_ENGINE_CUDA_PROGRAM_H
#define PF_ENGINE_CUDA_PROGRAM_H

#include "base/buf.h"
#include "engine/cuda/cuda_device.h"
#include "engine/cuda/program_cache.h"
#include "engine/tactic.h"

/* A matrix for the tensor copy engine: an input of rows x columns elements, copied in boxes of box_rows rows of 128
   bytes that are swizzled; what lies outside the matrix comes as zeros. The address of the input and the
   bytes of a row are multiples of 16. */
typedef struct pf_program_map {
    uint32_t input;
    uint64_t rows, columns, row_elems;      /* from one row to the next */
    uint32_t box_rows;          /* at most 256 */
    pf_dtype dtype;             /* F16, BF16 or F32 */
} pf_program_map;

enum { PF_PROGRAM_MAPS = 2 };

typedef struct pf_program {
    pf_buf   source;            /* CUDA C++ holding one extern "C" kernel named "kernel": parameters are all inputs, all
                                   outputs, then all maps. It is launched before the kernel in front of it has ended,
                                   and waits for that itself (start() of cg_prelude) */
    uint32_t grid[3], block[3];
    uint32_t shared_bytes;      /* dynamic */
    bool     large_clusters;    /* of more blocks than every card can run at once: eight */
    bool     packs;             /* constants come packed, one behind the other: one of them in a form of the tactic's */
    uint32_t packed_input;      /* own: which, */
    size_t   packed_bytes;      /* and how long it is then */
    int      packed_form;       /* which of its forms, where the tactic has several */
    bool     stays;             /* its blocks take one tile after another: no more are launched than run at once */
    uint32_t resident;          /* of such a kernel: blocks that run on an SM at once; 0: one */
    uint32_t map_count;
    pf_program_map maps[PF_PROGRAM_MAPS];
} pf_program;

void      pf_program_clear(pf_program *program);
/* Compiles for compute capability cc (90: sm_90a) into cubin. Errors   INTERNAL with NVRTC's first error line: our
   generator is at fault. */
pf_status pf_program_compile(const pf_program *program, int cc, pf_buf *cubin, pf_err *err);

/* What a tactic that generates code writes: the program of one tuning. Any thread. */
typedef pf_status pf_program_generator(const pf_problem *p, const char *tuning, pf_program *out, pf_err *err);

/* The slow part of prepare, ahead of it and in any thread. */
pf_status pf_program_precompile(pf_device *device, const pf_problem *p, pf_program_generator *generate,
                                const char *tuning, pf_err *err);
/* A step of one generated kernel: the impl of every tactic that generates code. saved: what pf_program_save gave, used
   when it is of the same source. */
pf_status pf_program_prepare(pf_device *device, const pf_tactic *tactic, const pf_problem *p,
                             pf_program_generator *generate, const char *tuning, const void *saved, size_t saved_bytes,
                             pf_step **out, pf_err *err);
/* Copies the constants to their places, but for packed_input: returns where the tactic has to put that one, and in own
   what it is. */
void     *pf_program_pack(const pf_step *step, const pf_tensor *constants, void *packed, const pf_tensor **own);
int       pf_program_packed_form(const pf_step *step);
pf_status pf_program_enqueue(const pf_step *step, const pf_bindings *bindings, pf_stream *stream, pf_err *err);
pf_status pf_program_save(const pf_step *step, pf_buf *out, pf_err *err);
void      pf_program_release(pf_step *step);

#endif
