#include "engine/refine_runs.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/device_capture.h"
#include "engine/race.h"

enum { RUNS_OF_BASE = 8 };      /* that tell how long the whole takes outside its windows */

/* ---- Life */

pf_status pf_refine_runs_open(const pf_draft *draft, pf_context *context, pf_timing_arena *arena, pf_refine_runs *out,
                              pf_err *err)
{
    pf_status st = PF_OK;

    *out = (pf_refine_runs){ .net = { draft, context, context->device, arena, context->plan->step_count, NULL } };
    out->net.group_of = pf_calloc(out->net.step_count, sizeof *out->net.group_of);
    out->kept = pf_calloc(out->net.step_count, sizeof *out->kept);
    if (!out->net.group_of || !out->kept)
        st = PF_FAIL_MEMORY(err, out->net.step_count * sizeof *out->kept);
    for (int i = 0; i < PF_REFINE_MARKS && !st; i++)
        st = out->net.device->ops->event_new(out->net.device, &out->marks[i], err);
    return st ? st : pf_refine_windows_open(out->net.device, &out->windows, err);
}

void pf_refine_runs_close(pf_refine_runs *r)
{
    const pf_device_ops *ops = r->net.device->ops;

    for (uint32_t g = 0; r->kept && g < r->net.step_count; g++)
        pf_refine_variant_drop(&r->net, &r->kept[g]);
    if (r->base)
        ops->graph_free(r->net.device, r->base);
    for (int i = 0; i < PF_REFINE_MARKS; i++)
        if (r->marks[i])
            ops->event_free(r->net.device, r->marks[i]);
    pf_refine_windows_close(&r->windows);
    pf_free(r->net.group_of);
    pf_free(r->kept);
}

/* ---- Runs */

/* with NULL: as it stands. */
typedef struct network { const pf_refine_runs *runs; uint32_t group; const pf_refine_variant *with; } network;

static pf_status enqueue_step(const network *n, uint32_t s, pf_err *err)
{
    const pf_refine_net     *net = &n->runs->net;
    const pf_refine_variant *kept = &n->runs->kept[net->group_of[s]];
    const pf_refine_variant *v = n->with && net->group_of[s] == n->group ? n->with : kept;
    pf_bindings              bindings = net->context->step_bindings[s];

    if (!v->step)
        return pf_context_enqueue_step(net->context, s, net->context->stream, err);
    bindings.workspace = v->workspace;
    bindings.packed = v->constants ? v->constants[s].packed : NULL;
    bindings.in = v->constants && v->constants[s].in ? v->constants[s].in : bindings.in;
    return v->step->tactic->enqueue(v->step, &bindings, net->context->stream, err);
}

static pf_status enqueue(const network *n, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t s = 0; s < n->runs->net.step_count && !st; s++)
        st = enqueue_step(n, s, err);
    return st;
}

static pf_status enqueue_with_windows(void *user, pf_err *err)
{
    const network        *n = user;
    const pf_refine_runs *r = n->runs;
    pf_stream            *stream = r->net.context->stream;
    pf_status             st = PF_OK;

    for (uint32_t s = 0; s < r->net.step_count && !st; s++) {
        st = pf_refine_windows_enter(&r->windows, s, stream, err);
        if (!st)
            st = enqueue_step(n, s, err);
        if (!st)
            st = pf_refine_windows_leave(&r->windows, s, stream, err);
    }
    return st;
}

/* One run outside first: it loads the code of every kernel. */
pf_status pf_refine_runs_capture(const pf_refine_runs *r, uint32_t group, const pf_refine_variant *variant,
                                 pf_device_graph **out, pf_err *err)
{
    network   all = { r, group, variant };
    pf_status st = enqueue(&all, err);

    *out = NULL;
    if (!st)
        st = r->net.device->ops->stream_sync(r->net.device, r->net.context->stream, err);
    return st || !r->net.device->ops->capture_begin
               ? st : pf_device_capture(r->net.device, r->net.context->stream, enqueue_with_windows, &all, out, err);
}

static pf_status run(const pf_refine_runs *r, const pf_refine_other *other, pf_err *err)
{
    pf_device_graph *graph = other ? other->graph : r->base;

    if (graph)
        return r->net.device->ops->graph_launch(r->net.device, graph, r->net.context->stream, err);
    return enqueue(&(network){ r, other ? other->group : 0, other ? &other->variant : NULL }, err);
}

/* In the turns of a pair, does the other one run?  Which goes first alternates, so that each follows each as often. */
static bool is_other(int turn)
{
    return turn % 2 != turn / 2 % 2;
}

pf_status pf_refine_runs_blocks(void *user, int64_t count, int blocks, int64_t *block_ns, pf_err *err)
{
    const pf_refine_runs *r = user;
    const pf_device_ops  *ops = r->net.device->ops;
    pf_stream            *stream = r->net.context->stream;
    pf_status             st = ops->event_record(r->net.device, r->marks[0], stream, err);

    for (int b = 0; b < blocks && !st; b++) {
        for (int64_t i = 0; i < count && !st; i++)
            st = run(r, NULL, err);
        if (!st)
            st = ops->event_record(r->net.device, r->marks[b + 1], stream, err);
    }
    for (int b = 0; b < blocks && !st; b++)
        st = ops->event_elapsed(r->net.device, r->marks[b], r->marks[b + 1], &block_ns[b], err);
    return st;
}

static pf_status read_marks(const pf_refine_runs *r, int pairs, int64_t *base_ns, int64_t *other_ns, pf_err *err)
{
    pf_status st = PF_OK;

    for (int t = 0; t < 2 * pairs && !st; t++)
        st = r->net.device->ops->event_elapsed(r->net.device, r->marks[t], r->marks[t + 1],
                                               is_other(t) ? &other_ns[t / 2] : &base_ns[t / 2], err);
    return st;
}

/* What finds the card idle is not counted, nor what finds it rested where it does not stay so. */
static pf_status warm_up(pf_refine_duel *d, pf_err *err)
{
    int64_t   pairs = d->warm || d->runs->warm_runs < 2 ? 1 : d->runs->warm_runs / 2;
    pf_status st = PF_OK;

    for (int64_t i = 0; i < pairs && !st; i++) {
        st = run(d->runs, d->other, err);
        if (!st)
            st = run(d->runs, NULL, err);
    }
    d->warm = true;
    return st;
}

/* All runs are enqueued before the first is waited for, as by who asks for one answer after another: on an H200 runs of
   two networks that began on an idle card scattered by 1.2 and 0.75 %, and these by 0.65 and 0.35 %. */
pf_status pf_refine_runs_turns(void *user, int pairs, int64_t *base_ns, int64_t *other_ns, pf_err *err)
{
    pf_refine_duel       *d = user;
    const pf_refine_runs *r = d->runs;
    const pf_device_ops  *ops = r->net.device->ops;
    pf_stream            *stream = r->net.context->stream;
    pf_status             st = warm_up(d, err);

    if (!st)
        st = ops->event_record(r->net.device, r->marks[0], stream, err);
    for (int t = 0; t < 2 * pairs && !st; t++) {
        st = run(r, is_other(t) ? d->other : NULL, err);
        if (!st)
            st = ops->event_record(r->net.device, r->marks[t + 1], stream, err);
    }
    return st ? st : read_marks(r, pairs, base_ns, other_ns, err);
}

static pf_status run_in_windows(const pf_refine_runs *r, const pf_refine_other *other, int64_t *ns, pf_err *err)
{
    pf_status st = run(r, other, err);

    if (!st)
        st = r->net.device->ops->stream_sync(r->net.device, r->net.context->stream, err);
    return st ? st : pf_refine_windows_read(&r->windows, ns, err);
}

/* One after the other, as the events hold one run's times.  What is outside counts as it was without the other one. */
pf_status pf_refine_runs_turns_in_windows(void *user, int pairs, int64_t *base_ns, int64_t *other_ns, pf_err *err)
{
    const pf_refine_duel *d = user;
    const pf_refine_runs *r = d->runs;
    int64_t               ignored = 0;
    pf_status             st = run_in_windows(r, d->other, &ignored, err);

    for (int t = 0; t < 2 * pairs && !st; t++) {
        int64_t *ns = is_other(t) ? &other_ns[t / 2] : &base_ns[t / 2];

        st = run_in_windows(r, is_other(t) ? d->other : NULL, ns, err);
        *ns += r->windows.rest_ns;
    }
    return st;
}

static pf_status measure_rest(pf_refine_runs *r, pf_err *err)
{
    int64_t   whole_ns = 0, inside_ns[RUNS_OF_BASE] = { 0 };
    pf_status st = run(r, NULL, err);

    if (!st)
        st = pf_refine_runs_blocks(r, RUNS_OF_BASE, 1, &whole_ns, err);
    for (int i = 0; i < RUNS_OF_BASE && !st; i++)
        st = run_in_windows(r, NULL, &inside_ns[i], err);
    pf_race_sort_ns(inside_ns, RUNS_OF_BASE);
    r->windows.rest_ns = whole_ns / RUNS_OF_BASE - inside_ns[RUNS_OF_BASE / 2];
    return st;
}

pf_status pf_refine_runs_look_at(pf_refine_runs *r, uint32_t group, pf_err *err)
{
    pf_device_graph *before = r->base;
    pf_status        st = PF_OK;

    pf_refine_windows_place(&r->windows, r->net.group_of, r->net.step_count, group);
    st = pf_refine_runs_capture(r, group, NULL, &r->base, err);
    r->net.device->ops->graph_free(r->net.device, before);
    return st || !r->windows.count ? st : measure_rest(r, err);
}

/* ---- Bursts */

static pf_status run_many(const pf_refine_duel *d, bool other, int64_t runs, pf_err *err)
{
    pf_status st = PF_OK;

    for (int64_t i = 0; i < runs && !st; i++)
        st = run(d->runs, other ? d->other : NULL, err);
    return st;
}

static pf_status run_block(const pf_refine_duel *d, const pf_refine_burst *burst, int b, pf_err *err)
{
    const pf_refine_runs *r = d->runs;
    const pf_device_ops  *ops = r->net.device->ops;
    pf_status             st = run_many(d, burst->other[b], burst->settle_runs, err);

    if (!st)
        st = ops->event_record(r->net.device, r->marks[2 * b], r->net.context->stream, err);
    if (!st)
        st = run_many(d, burst->other[b], burst->runs, err);
    return st ? st : ops->event_record(r->net.device, r->marks[2 * b + 1], r->net.context->stream, err);
}

pf_status pf_refine_runs_burst(void *user, const pf_refine_burst *burst, int64_t block_ns[PF_REFINE_BURST_BLOCKS],
                               pf_err *err)
{
    const pf_refine_duel *d = user;
    const pf_refine_runs *r = d->runs;
    pf_status             st = PF_OK;

    pf_clock_sleep_ns(PF_REFINE_REST_NS);
    st = run_many(d, burst->other[0], burst->warm_runs, err);
    for (int b = 0; b < PF_REFINE_BURST_BLOCKS && !st; b++)
        st = run_block(d, burst, b, err);
    for (int b = 0; b < PF_REFINE_BURST_BLOCKS && !st; b++)
        st = r->net.device->ops->event_elapsed(r->net.device, r->marks[2 * b], r->marks[2 * b + 1], &block_ns[b], err);
    return st;
}
