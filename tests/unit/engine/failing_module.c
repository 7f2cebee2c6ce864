/* A device module for test_failing: hardmax on a CPU by tactics that take it and then fail, each for rows of one length
   and each in another way, of which most show only when a whole plan is run. */
#include <math.h>
#include <signal.h>
#include <string.h>

#include "engine/device_module.h"
#include "engine/op.h"
#include "engine/planfarm.h"

enum { ROWS = 3, LENGTH_LEAST = 4 };

/* What becomes of rows of LENGTH_LEAST elements, of one more, and so on. */
typedef enum failure_way { WRONG, NOT_A_NUMBER, FAILS, GREEDY, NOT_LOADED, WRONG_IF_POSITIVE, CRASHES } failure_way;

static const char *takes(const pf_problem *p, failure_way way)
{
    const pf_value *x = p->graph->input_count ? &p->graph->values[p->graph->inputs[0]] : NULL;

    if (p->graph->node_count != 1 || p->graph->nodes[0].op != PF_OP_HARDMAX)
        return "not hardmax";
    if (x->shape.rank != 2 || x->shape.dim[0] != ROWS || x->shape.dim[1] != LENGTH_LEAST + (int)way)
        return "another length";
    return NULL;
}

static pf_status one_tuning(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device, (void)p, (void)effort;
    return pf_tuning_add(out, err, "only");
}

/* All of them fail, one after the other. */
static pf_status five_tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out,
                              pf_err *err)
{
    pf_status st = PF_OK;

    (void)device, (void)p, (void)effort;
    for (int i = 1; i <= 5 && !st; i++)
        st = pf_tuning_add(out, err, "n=%d", i);
    return st;
}

/* Right, but for what goes wrong. */
static void hardmax(const float *x, float *y, int length)
{
    memset(y, 0, sizeof *y * ROWS * (size_t)length);
    for (int r = 0; r < ROWS; r++) {
        int best = 0;

        for (int i = 1; i < length; i++)
            best = x[r * length + i] > x[r * length + best] ? i : best;
        y[r * length + best] = 1;
    }
}

static bool is_positive(const float *x, int count)
{
    for (int i = 0; i < count; i++)
        if (x[i] < 0)
            return false;
    return true;
}

static pf_status run(const pf_bindings *b, failure_way way, pf_err *err)
{
    const float *x = b->in[0];
    float       *y = b->out[0];
    int          length = LENGTH_LEAST + (int)way;

    if (way == CRASHES)
        raise(SIGSEGV);
    if (way == FAILS)
        return PF_FAIL(err, PF_DEVICE, "this tactic fails when it is run");
    hardmax(x, y, length);
    if (way == WRONG || (way == WRONG_IF_POSITIVE && is_positive(x, ROWS * length)))
        memset(y, 0, sizeof *y * ROWS * (size_t)length);
    if (way == NOT_A_NUMBER)
        y[1] = NAN;
    return PF_OK;
}

static pf_status save_word(const pf_step *step, pf_buf *out, pf_err *err)
{
    (void)step, (void)err;
    pf_buf_put_u32(out, 1);
    return PF_OK;
}

#define TACTIC(tactic_name, way) \
    static const pf_tactic tactic_name; \
    static const char *declines_##tactic_name(const pf_device *device, const pf_problem *p) \
    { \
        (void)device; \
        return takes(p, way); \
    } \
    static pf_status run_##tactic_name(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err) \
    { \
        (void)step, (void)stream; \
        return run(b, way, err); \
    } \
    static pf_status prepare_##tactic_name(pf_device *device, const pf_problem *p, const char *tuning, \
                                           const void *saved, size_t saved_bytes, pf_step **out, pf_err *err) \
    { \
        (void)device, (void)p, (void)tuning, (void)saved_bytes; \
        *out = NULL; \
        if (way == NOT_LOADED && saved) \
            return PF_FAIL(err, PF_UNSUPPORTED, "this tactic takes nothing that was saved"); \
        *out = pf_step_new(&tactic_name, 1); \
        if (!*out) \
            return PF_FAIL_MEMORY(err, 1); \
        (*out)->in_place = -1; \
        (*out)->workspace_bytes = way == GREEDY ? (size_t)1 << 46 : 0; \
        return PF_OK; \
    } \
    static const pf_tactic tactic_name = { \
        .name = #tactic_name, .rev = 1, .needs = PF_CAP_CPU, .declines = declines_##tactic_name, \
        .tunings = way == WRONG_IF_POSITIVE ? five_tunings : one_tuning, \
        .prepare = prepare_##tactic_name, .enqueue = run_##tactic_name, \
        .save = way == NOT_LOADED ? save_word : NULL, \
    }
TACTIC(fails_wrong, WRONG);
TACTIC(fails_nan, NOT_A_NUMBER);
TACTIC(fails_to_run, FAILS);
TACTIC(fails_greedy, GREEDY);
TACTIC(fails_to_load, NOT_LOADED);
TACTIC(fails_if_positive, WRONG_IF_POSITIVE);
TACTIC(fails_by_crashing, CRASHES);

/* ---- Rows in any number, by a tactic that is wrong for few of them with what it would try first */

enum { GUESSED_LENGTH = 11, FEW_ROWS = 8, TUNINGS = 20 };

typedef struct rows { int64_t count; bool spoiled; } rows;

static const pf_tactic fails_if_guessed;

static const char *decline_others(const pf_device *device, const pf_problem *p)
{
    const pf_value *x = p->graph->input_count ? &p->graph->values[p->graph->inputs[0]] : NULL;

    (void)device;
    return p->graph->node_count == 1 && p->graph->nodes[0].op == PF_OP_HARDMAX && x->shape.rank == 2 &&
                   x->shape.dim[1] == GUESSED_LENGTH
               ? NULL
               : "not hardmax of that length";
}

static pf_status many_tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out,
                              pf_err *err)
{
    bool      few = p->graph->values[p->graph->inputs[0]].shape.dim[0] < FEW_ROWS;
    pf_status st = few ? pf_tuning_add(out, err, "few") : PF_OK;

    (void)device, (void)effort;
    for (int i = 1; i <= TUNINGS && !st; i++)
        st = pf_tuning_add(out, err, "n=%d", i);
    return st;
}

static pf_status prepare_rows(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                              size_t saved_bytes, pf_step **out, pf_err *err)
{
    rows *impl = NULL;

    (void)device, (void)saved, (void)saved_bytes;
    *out = pf_step_new(&fails_if_guessed, sizeof *impl);
    if (!*out)
        return PF_FAIL_MEMORY(err, sizeof *impl);
    impl = (*out)->impl;
    *impl = (rows){ p->graph->values[p->graph->inputs[0]].shape.dim[0], !strcmp(tuning, "few") };
    (*out)->in_place = -1;
    return PF_OK;
}

static pf_status run_rows(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const rows  *impl = step->impl;
    const float *x = b->in[0];
    float       *y = b->out[0];

    (void)stream, (void)err;
    memset(y, 0, sizeof *y * GUESSED_LENGTH * (size_t)impl->count);
    for (int64_t r = 0; r < impl->count && !impl->spoiled; r++) {
        int best = 0;

        for (int i = 1; i < GUESSED_LENGTH; i++)
            best = x[r * GUESSED_LENGTH + i] > x[r * GUESSED_LENGTH + best] ? i : best;
        y[r * GUESSED_LENGTH + best] = 1;
    }
    return PF_OK;
}

static void release_rows(pf_step *step)
{
    pf_free(step->impl);
}

static const pf_tactic fails_if_guessed = {
    .name = "fails_if_guessed", .rev = 1, .needs = PF_CAP_CPU, .declines = decline_others, .tunings = many_tunings,
    .prepare = prepare_rows, .enqueue = run_rows, .release = release_rows,
};

static const pf_tactic *const tactics[] = { &fails_wrong, &fails_nan, &fails_to_run, &fails_greedy, &fails_to_load,
                                            &fails_if_positive, &fails_by_crashing, &fails_if_guessed, NULL };

static pf_status no_device(int ordinal, const pf_device_options *options, pf_device **out, pf_err *err)
{
    (void)ordinal, (void)options;
    *out = NULL;
    return PF_FAIL(err, PF_NOT_FOUND, "this module has no devices");
}

extern const pf_device_module pf_device_module_v1;
const pf_device_module pf_device_module_v1 = { .abi = PF_BUILDER_ABI, .open = no_device, .tactics = tactics };
