/* What tests of code generation share: problems from their texts, and programs that must compile. */
#ifndef PF_TESTS_UNIT_CUDA_PROGRAMS_H
#define PF_TESTS_UNIT_CUDA_PROGRAMS_H

#include "engine/cuda/program.h"
#include "tests/test.h"

/* For texts of problems. */
#define PARTS "8"       /* PF_NUMERICS_BF16_PARTS */
#define THREE "16"      /* PF_NUMERICS_BF16_THREE */
#define PIXEL "strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1"     /* of a convolution */

/* Freed by the caller. */
static inline pf_problem *problem_of(const char *text)
{
    pf_problem *p = NULL;
    pf_err      err = { 0 };

    test_ok(pf_problem_parse(text, &p, &err), &err);
    return p;
}

/* For a card of that compute capability; name: what is said of it when it does not. */
static inline void expect_compiles(const pf_program *program, int capability, const char *name)
{
    pf_buf cubin = { 0 };
    pf_err err = { 0 };

    pf_buf_init(&cubin, 64 << 20);
    if (pf_program_compile(program, capability, &cubin, &err))
        fail_msg("%s: %s\n%s", name, err.msg, (const char *)program->source.data);
    assert_true(cubin.size > 0);
    pf_buf_clear(&cubin);
}

#endif
