/* A device module for test_refused: tactics that take an op, and then refuse to prepare it, or to list how, or leave
   it to others at low efforts. */
#include <string.h>

#include "engine/device_module.h"
#include "engine/op.h"
#include "engine/planfarm.h"

static const char *takes(const pf_problem *p, pf_op_kind op)
{
    return p->graph->node_count == 1 && p->graph->nodes[0].op == op ? NULL : "not the op that is refused";
}

static const char *takes_det(const pf_device *device, const pf_problem *p)
{
    (void)device;
    return takes(p, PF_OP_DET);
}

static const char *takes_cumulate(const pf_device *device, const pf_problem *p)
{
    (void)device;
    return takes(p, PF_OP_CUMULATE);
}

static pf_status one_tuning(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device;
    (void)p;
    (void)effort;
    return pf_tuning_add(out, err, "only");
}

static pf_status no_tuning(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device;
    (void)p;
    (void)effort;
    (void)out;
    return PF_FAIL(err, PF_UNSUPPORTED, "this tactic lists nothing");
}

static pf_status from_effort_3(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out,
                               pf_err *err)
{
    return effort < 3 ? PF_OK : one_tuning(device, p, effort, out, err);
}

static pf_status refuse(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                        size_t saved_bytes, pf_step **out, pf_err *err)
{
    (void)device;
    (void)p;
    (void)tuning;
    (void)saved;
    (void)saved_bytes;
    *out = NULL;
    return PF_FAIL(err, PF_UNSUPPORTED, "this tactic refuses to be prepared");
}

static const pf_tactic refuses_to_prepare = {
    .name = "refuses_to_prepare", .rev = 1, .needs = PF_CAP_CPU, .declines = takes_det,
    .tunings = one_tuning, .prepare = refuse,
};
static const pf_tactic refuses_to_list = {
    .name = "refuses_to_list", .rev = 1, .needs = PF_CAP_CPU, .declines = takes_cumulate,
    .tunings = no_tuning, .prepare = refuse,
};
extern int refusing_left_prepared;
int        refusing_left_prepared;      /* how often what is left to others was tried after all */

static pf_status note_and_refuse(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                                 size_t saved_bytes, pf_step **out, pf_err *err)
{
    refusing_left_prepared++;
    return refuse(device, p, tuning, saved, saved_bytes, out, err);
}

static const pf_tactic leaves_to_others = {
    .name = "leaves_to_others", .rev = 1, .needs = PF_CAP_CPU, .declines = takes_det,
    .tunings = from_effort_3, .prepare = note_and_refuse,
};
static const pf_tactic *const tactics[] = { &refuses_to_prepare, &refuses_to_list, &leaves_to_others, NULL };

static pf_status no_device(int ordinal, const pf_device_options *options, pf_device **out, pf_err *err)
{
    (void)ordinal;
    (void)options;
    *out = NULL;
    return PF_FAIL(err, PF_NOT_FOUND, "this module has no devices");
}

extern const pf_device_module pf_device_module_v1;
const pf_device_module pf_device_module_v1 = { .abi = PF_BUILDER_ABI, .open = no_device, .tactics = tactics };
