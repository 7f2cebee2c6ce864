/* Outputs compared where they lie: an image of 200 MB takes tenths of a millisecond there, and tens of milliseconds on
   the way to a host's cores and through them. */
#include <math.h>

#include "engine/timing_bench_private.h"

/* Layouts that only put elements elsewhere, so that the answer can lie as the output does. */
static bool is_comparable(const pf_bench *bench, uint32_t i)
{
    pf_layout layout = bench->problem->out_layout[i];

    return bench->device->ops->compare && pf_dtype_is_float(bench->oracle->out[i].dtype) &&
           !pf_layout_pitch(layout) && bench->out_bytes[i] == bench->oracle->out[i].bytes;
}

static pf_status bring_answer(pf_bench *bench, uint32_t i, pf_err *err)
{
    const pf_device_ops *ops = bench->device->ops;
    const pf_tensor     *answer = &bench->oracle->out[i];
    pf_layout            layout = bench->problem->out_layout[i];
    const void          *host = answer->data;
    pf_status            st = PF_OK;

    if (layout != PF_LAYOUT_LINEAR) {
        st = pf_bench_need_room(bench->room, answer->bytes, err);
        if (st)
            return st;
        pf_layout_pack(layout, answer, answer->data, bench->room->memory);
        host = bench->room->memory;
    }
    st = pf_device_take(bench->device, NULL, answer->bytes + 1, &bench->answers[i], err);
    if (!st)
        st = ops->upload(bench->device, bench->stream, bench->answers[i], host, answer->bytes, err);
    if (!st)
        st = ops->stream_sync(bench->device, bench->stream, err);
    if (st && bench->answers[i]) {
        pf_device_give_back(bench->device, NULL, bench->answers[i]);
        bench->answers[i] = NULL;
    }
    return st;
}

/* As pf_tensor_compare says it. */
static double part_of_range(const pf_device_difference *d)
{
    double range = d->greatest - d->least;

    if (range <= 0)
        range = fmax(fabs(d->greatest), fabs(d->least));
    return d->max_abs > 0 ? (range > 0 ? d->max_abs / range : INFINITY) : 0;
}

bool pf_bench_agrees_there(pf_bench *bench, uint32_t output, double *error)
{
    const pf_tensor     *answer = &bench->oracle->out[output];
    pf_device_difference difference = { 0 };
    pf_err               ignored = { 0 };

    if (!is_comparable(bench, output) || (!bench->answers[output] && bring_answer(bench, output, &ignored)) ||
        bench->device->ops->compare(bench->device, bench->stream, answer->dtype, bench->home.out[output],
                                    bench->answers[output], (uint64_t)pf_tensor_elems(answer), &difference, &ignored))
        return false;
    *error = part_of_range(&difference);
    return !difference.not_finite && *error <= bench->tolerance;
}
