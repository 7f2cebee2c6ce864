#include "client/ready_plan.h"

#include "base/clock.h"
#include "client/path_kind.h"

pf_status pf_ready_plan_open(pf_call *call, const char *path, pf_ready_plan *out, pf_err *err)
{
    int64_t   start_ns = pf_clock_ns();
    pf_status status = PF_OK;

    *out = (pf_ready_plan){0};
    status = pf_path_load_plan(path, &out->plan, err);
    out->load_ns = pf_clock_ns() - start_ns;
    if (!status)
        status = pf_device_choose_for_plan(call, out->plan, &out->device, err);
    if (!status)
        status = pf_inputs_of_plan(out->plan, &out->inputs, err);
    if (!status)
        status = pf_inputs_fill(&out->inputs, call, err);
    if (status)
        pf_ready_plan_close(out);
    return status;
}

void pf_ready_plan_close(pf_ready_plan *ready)
{
    pf_inputs_clear(&ready->inputs);
    pf_plan_free(ready->plan);
    pf_device_close(ready->device);
    *ready = (pf_ready_plan){0};
}

pf_status pf_ready_plan_run(pf_call *call, pf_ready_plan_work *work, pf_err *err)
{
    pf_ready_plan ready = {0};
    pf_status     status = pf_args_expect(call->args, 1, 1, "PLAN", err);

    if (!status)
        status = pf_ready_plan_open(call, pf_args_operand(call->args, 0), &ready, err);
    if (!status)
        status = work(call, &ready, err);
    pf_ready_plan_close(&ready);
    return status;
}
