#include "engine/builder_range.h"

#include <string.h>

enum { SAVED_LIMIT = 1 << 26 };

typedef struct candidate {
    const char    *tuning;
    const pf_step *prepared;            /* for the usual sizes */
    pf_buf         saved;
} candidate;

static bool serves(const pf_draft *d, pf_device *device, const pf_problem *problem, const int64_t *bindings,
                   const candidate *c)
{
    const pf_tactic *tactic = c->prepared->tactic;
    pf_problem      *bound = NULL;
    pf_step         *prepared = NULL;
    bool             does = !pf_problem_bind(problem, d->formats->graph->dims, bindings, &bound, NULL) &&
                            !pf_tactic_declines(tactic, device, bound) &&
                            !tactic->prepare(device, bound, c->tuning, c->saved.size ? c->saved.data : NULL,
                                             c->saved.size, &prepared, NULL) &&
                            prepared->packed_bytes == c->prepared->packed_bytes;

    pf_step_free(prepared);
    pf_problem_free(bound);
    return does;
}

/* The usual sizes are what it was made for. */
static bool serves_ends(const pf_draft *d, pf_device *device, const pf_problem *problem, const candidate *c)
{
    const pf_profile *profile = d->formats->profile;
    const int64_t    *ends[] = { profile->least, profile->most };
    bool              does = true;

    for (int i = 0; i < 2 && does; i++)
        does = !memcmp(ends[i], profile->usual, profile->count * sizeof *profile->usual) ||
               serves(d, device, problem, ends[i], c);
    return does;
}

bool pf_builder_range_serves(const pf_draft *draft, pf_device *device, const pf_problem *problem, const char *tuning,
                             const pf_step *prepared)
{
    candidate c = { tuning, prepared, { 0 } };
    bool      does = true;

    if (pf_problem_is_bound(problem))
        return true;
    pf_buf_init(&c.saved, SAVED_LIMIT);
    if (prepared->tactic->save)
        does = !prepared->tactic->save(prepared, &c.saved, NULL) && !c.saved.failed;
    does = does && serves_ends(draft, device, problem, &c);
    pf_buf_clear(&c.saved);
    return does;
}
