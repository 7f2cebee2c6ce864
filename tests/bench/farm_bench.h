/* What the benchmarks of a farm share: the coordinator that they ask, and what they ask it for. */
#ifndef PF_TESTS_BENCH_FARM_BENCH_H
#define PF_TESTS_BENCH_FARM_BENCH_H

#include "tests/bench/farm_figures.h"
#include "tests/bench/farm_load.h"
#include "tests/farm/daemon.h"

typedef struct farm_bench {             /* open */
    daemon_process d;
    pf_digest      model;
    uint64_t       jobs;                /* submits of a throughput run */
    uint64_t       next_submit;         /* submits made so far in this state */
} farm_bench;

/* CPU seconds of a process so far, and its memory without the pages of mapped files: those of the database belong to
   the page cache. */
double farm_cpu_seconds(pid_t pid);
double farm_own_mib(pid_t pid);

/* Submits of jobs that nobody submitted before. */
farm_load farm_submit_load(farm_bench *bench, uint32_t sockets, uint32_t in_flight, uint64_t requests);
void farm_run_submits(farm_bench *bench, farm_load *load);

/* Starts a coordinator on a fresh state of that name and makes a device class known. */
void farm_start(farm_bench *bench, const char *name);

/* ---- farm_agents.c */
void farm_declare_class(const farm_bench *bench);
/* Seconds until a new agent of the class gets an offer. */
void farm_await_offer(const farm_bench *bench);
void farm_measure_cycle(farm_bench *bench);
void farm_measure_idle_agents(farm_bench *bench);

/* ---- farm_timings.c */
void farm_measure_timings(farm_bench *bench);

/* ---- farm_peer.c: beanstalkd */
void farm_measure_beanstalkd(uint64_t puts);

#endif
