#include "engine/builder_picks.h"

#include "engine/op.h"

typedef struct taking { const pf_graph *rewritten; const pf_value_id *graph_value; pf_picks *picks; } taking;

static bool take(void *user, uint32_t step, uint32_t value, const pf_tensor *tensor)
{
    taking *t = user;

    (void)step;
    pf_picks_note_named(t->picks, pf_picks_name(t->rewritten, t->graph_value[value]), tensor);
    return !t->picks->failed;
}

pf_status pf_builder_picks_take(pf_context *context, const pf_graph *rewritten, const pf_value_id *graph_value,
                                const pf_graph *graph, pf_picks *out, pf_err *err)
{
    taking    t = { rewritten, graph_value, out };
    pf_status st = pf_picks_open(graph, out, err);

    if (!st && out->count + out->crossing_count)
        st = pf_context_run_watched(context, take, &t, err);
    if (!st && out->failed)
        st = PF_FAIL_MEMORY(err, 0);
    if (st)
        pf_picks_close(out);
    return st;
}

typedef struct watching {
    pf_following        following;
    pf_interpret_watch *watch;
    void               *user;
} watching;

static void follow(void *user, pf_value_id value, pf_tensor *tensor)
{
    watching *w = user;

    pf_picks_follow(&w->following, value, tensor);
    if (w->watch)
        w->watch(w->user, value, tensor);
}

pf_status pf_builder_picks_follow(const pf_graph *graph, const pf_picks *given, const pf_oracle *oracle,
                                  pf_interpret_watch *watch, void *user, pf_tensor *outputs, double *loss,
                                  pf_err *err)
{
    pf_picks  own = { 0 };
    watching  w = { { &own, given, 0 }, watch, user };
    pf_status st = pf_picks_open(graph, &own, err);

    if (!st)
        st = pf_interpret(graph, oracle->in, outputs, follow, &w, err);
    for (uint32_t i = 0; i < graph->output_count && !st && own.failed; i++)
        pf_tensor_clear(&outputs[i]);
    if (!st && own.failed)
        st = PF_FAIL_MEMORY(err, 0);
    *loss = w.following.loss;
    pf_picks_close(&own);
    return st;
}
