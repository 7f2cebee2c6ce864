/* Clients that submit without end, each submit repeated with its id until it is acknowledged, over as many coordinators
   as that takes; and a journal of what was acknowledged, which is the oracle of the tests that kill, cut and crash. */
#ifndef PF_TESTS_FARM_JOURNAL_H
#define PF_TESTS_FARM_JOURNAL_H

#include <pthread.h>

#include "tests/farm/daemon.h"

enum { JOURNAL_MAX = 20000, JOURNAL_MODELS = 24, SUBMITTERS_MAX = 4 };

typedef struct journal_entry {
    uint8_t  id[PF_SUBMIT_ID_BYTES];
    uint32_t model;
    uint64_t job_id;
    bool     acked;
} journal_entry;

typedef struct submitter {
    struct journal *journal;
    pthread_t       thread;
    uint32_t        number, count, limit;
    journal_entry   entry[JOURNAL_MAX];
    uint32_t        retries;            /* sendings beyond the first: the ack was lost or the coordinator was away */
} submitter;

typedef struct journal {                /* open; large: static */
    const daemon_process *daemon;       /* read anew at each connect */
    pf_digest    model_digest[JOURNAL_MODELS];
    char         model_name[JOURNAL_MODELS][32];
    uint64_t     job_of_model[JOURNAL_MODELS];      /* after journal_check; 0: never acknowledged */
    submitter    submitter[SUBMITTERS_MAX];
    uint32_t     submitters_count;
    _Atomic bool stop;
    _Atomic uint32_t ended;             /* submitters that have */
    uint64_t     seed;
    uint32_t     acked, retries;        /* after journal_check */
} journal;

/* Uploads the models.  seed: of submit ids and the order of models. */
void journal_open(journal *j, const daemon_process *d, uint64_t seed);
/* Starts clients, of at most limit submits each. */
void journal_start(journal *j, uint32_t submitters, uint32_t limit);
bool journal_is_done(const journal *j);                 /* all that they wanted is acknowledged */
uint32_t journal_models_asked(const journal *j);        /* how many models they asked for; when done */
/* Ends them: at once, or when all that they wanted is acknowledged. */
void journal_end(journal *j, bool at_once);
/* Every acknowledged submit is known and has the job that was said; jobs of one model are one. */
void journal_check(journal *j, const daemon_process *d);
/* Every job becomes COMMITTED, and the bytes of its plan are there and good. */
void journal_check_plans(const journal *j, const daemon_process *d);

#endif
