/* A farm of real processes for a test: in test_folder()/farm, on free ports of loopback, with short times. */
#ifndef PF_TESTS_FARM_LIVE_LIVE_H
#define PF_TESTS_FARM_LIVE_LIVE_H

#include <jansson.h>
#include <sys/types.h>

#include "tests/client/program.h"

enum { LIVE_TTL_MS = 3000, LIVE_BEAT_MS = 300, LIVE_BACKOFF_MS = 200 };

typedef struct live {
    pid_t coordinator, agent;           /* 0: none runs */
    char  url[128], client[128], agents[128];
    const char *reserve_bytes;          /* of disk that the coordinator keeps free; NULL: as usual */
} live;

/* Starts the coordinator, on the ports that it had when it ran before. */
void live_start_coordinator(live *farm);
/* Starts an agent in test_folder()/farm/<name> and waits until it is ready.  disk_bytes: its folder is a disk of that
   size; 0: it is not.  False when this machine does not let a test mount a disk. */
bool live_start_agent(live *farm, const char *name, size_t disk_bytes);
/* The same without waiting; its log is farm/<name>.log. */
pid_t live_spawn_agent(const live *farm, const char *name, size_t disk_bytes);
void live_start(live *farm);            /* both */
void live_kill(pid_t *pid, int signal_number);      /* and waits for its end */
int  live_wait(pid_t *pid);             /* for its end, at most 120 s; its exit code, -N for signal N */
void live_stop(live *farm);
int  live_end(void **state);            /* the same of *state, for cmocka */
/* Fails when a process whose command line holds this word runs. */
void live_nothing_runs(const char *word);
/* How many run. */
int  live_count(const char *word);

/* Runs planfarm with these words and "--json", and the farm's address in the environment; the object it printed. */
#define LIVE_JSON(farm, wanted, ...) live_json((farm), (wanted), (const char *const[]){__VA_ARGS__, "--json", NULL})
json_t *live_json(const live *farm, int wanted_code, const char *const *words);
/* jobs[0] of an answer; borrowed. */
json_t *live_job(const json_t *answer);
const char *live_text(const json_t *object, const char *name);      /* "" when absent */
int64_t live_number(const json_t *object, const char *name);
/* Waits until the job's state is the one wanted, and answers the object of planfarm status; fails after 120 s. */
json_t *live_until(const live *farm, int64_t job_id, const char *state);
/* The file of a blob in the coordinator's store. */
const char *live_blob_path(const char *sha256);
/* The program's last lines on standard error after LIVE_JSON. */
const char *live_errors(void);

#endif
