#include "engine/builder_trial.h"

#include "engine/ban.h"

static void note(void *user, uint32_t step, uint32_t candidate, bool guessed)
{
    const pf_builder_trial  *t = user;
    const pf_draft          *d = t->draft;
    const pf_plan_candidate *tried = step == PF_NONE ? NULL : &d->plan.steps[step].ranked[candidate];

    if (tried)
        pf_ban_note_trial(t->store, t->device, t->key, &d->formats->search->items[d->step_item[step]].problem->hash,
                          tried->tactic, guessed ? PF_BAN_EVERY_TUNING : tried->tuning, tried->rev);
    else
        pf_ban_end_trial(t->store);
}

pf_step_tries pf_builder_trial_tries(pf_builder_trial *trial)
{
    return (pf_step_tries){ trial->store->note_trial ? note : NULL, trial };
}
