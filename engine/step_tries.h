/* Who is told which step of a plan is about to be made ready or run, and with what: either may end the process. */
#ifndef PF_ENGINE_STEP_TRIES_H
#define PF_ENGINE_STEP_TRIES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct pf_step_tries {
    /* candidate: its number among the step's; guessed: with its tactic's first guess, not with its own tuning.  step
       PF_NONE: that is over.  NULL: nobody is told. */
    void (*tell)(void *user, uint32_t step, uint32_t candidate, bool guessed);
    void  *user;
} pf_step_tries;

static inline void pf_step_tries_tell(const pf_step_tries *tries, uint32_t step, uint32_t candidate, bool guessed)
{
    if (tries->tell)
        tries->tell(tries->user, step, candidate, guessed);
}

#endif
