/* Builds every network of tests/ops/samples.def for a device, in FP32, FP16 and BF16: a build compares each layer with
   the reference.  Prints what failed, at most 60 lines, and what the host computes; several processes share the work.
   The exit status is 1 when anything failed.
   usage: test_gpu_ops [--device NAME] [--effort N] [--processes N] [PATTERN] */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/device.h"
#include "engine/plan.h"
#include "tests/ops/samples.h"

enum { PRECISIONS = 3, PRINTED_MAX = 60, TEXT_BYTES = 400, PROCESSES_MAX = 64 };

static const char *const precisions[PRECISIONS] = { "", "fp16=true\n", "bf16=true\n" };
static const char *const precision_names[PRECISIONS] = { "fp32", "fp16", "bf16" };

typedef enum outcome { NOT_RUN, STARTED, BUILT, FAILED } outcome;
typedef struct result { outcome outcome; uint32_t steps, on_host; char text[TEXT_BYTES]; } result;
typedef struct options { const char *device, *effort, *pattern; long processes; } options;

static void count_host(const pf_plan *plan, result *out)
{
    out->steps = plan->step_count;
    for (uint32_t s = 0; s < plan->step_count; s++) {
        if (strcmp(plan->steps[s].ranked[0].tactic, "cuda_host")) continue;
        out->on_host++;
        snprintf(out->text, sizeof out->text, "%.200s", plan->steps[s].name);
    }
}

static pf_status build(const op_sample *sample, const char *precision, const options *o, pf_device *device, result *out,
                       pf_err *err)
{
    pf_network *net = NULL;
    pf_config  *config = NULL;
    pf_plan    *plan = NULL;
    char        spec[64] = {0};
    pf_status   st = op_sample_network(sample, &net, err);

    snprintf(spec, sizeof spec, "effort=%s\n%s", o->effort, precision);
    if (!st) st = pf_config_parse(spec, &config, err);
    if (!st) st = pf_build(net, config, device, NULL, &plan, NULL, err);
    if (!st) count_host(plan, out);
    pf_plan_free(plan);
    pf_config_free(config);
    pf_network_free(net);
    return st;
}

static int work(const options *o, long mine, result *results)
{
    pf_device *device = NULL;
    pf_err     err = {0};

    if (pf_device_open(o->device, NULL, &device, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    for (uint32_t i = 0; i < op_sample_count * PRECISIONS; i++) {
        result *r = &results[i];

        if (device->kind == PF_DEVICE_CPU && i % PRECISIONS) continue;      /* whose plans are FP32 */
        if (i / PRECISIONS % o->processes != mine || fnmatch(o->pattern, op_samples[i / PRECISIONS].name, 0)) continue;
        r->outcome = STARTED;
        pf_err_clear(&err);
        r->outcome = build(&op_samples[i / PRECISIONS], precisions[i % PRECISIONS], o, device, r, &err) ? FAILED
                                                                                                        : BUILT;
        if (r->outcome == FAILED) snprintf(r->text, sizeof r->text, "%.390s", err.msg);
    }
    pf_device_close(device);
    return 0;
}

static int report(const result *results)
{
    uint32_t counts[FAILED + 1] = {0}, steps = 0, on_host = 0, printed = 0;

    for (uint32_t i = 0; i < op_sample_count * PRECISIONS; i++) {
        const result *r = &results[i];
        const char   *what = r->outcome == STARTED  ? "CRASHED"
                             : r->outcome == FAILED ? "FAILED"
                             : r->on_host           ? "HOST"
                                                    : NULL;

        counts[r->outcome]++;
        steps += r->steps;
        on_host += r->on_host;
        if (what && printed++ < PRINTED_MAX)
            printf("%s %s (%s): %s\n", what, op_samples[i / PRECISIONS].name, precision_names[i % PRECISIONS], r->text);
    }
    printf("%u built, %u failed, %u crashed; %u of %u layers on the host\n", counts[BUILT], counts[FAILED],
           counts[STARTED], on_host, steps);
    return counts[FAILED] || counts[STARTED] || !counts[BUILT];
}

static bool take_options(int argc, char **argv, options *o)
{
    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && !strcmp(argv[i], "--device")) o->device = argv[++i];
        else if (i + 1 < argc && !strcmp(argv[i], "--effort")) o->effort = argv[++i];
        else if (i + 1 < argc && !strcmp(argv[i], "--processes")) o->processes = strtol(argv[++i], NULL, 10);
        else if (argv[i][0] != '-') o->pattern = argv[i];
        else return false;
    }
    return o->processes > 0 && o->processes <= PROCESSES_MAX;
}

int main(int argc, char **argv)
{
    long    cores = sysconf(_SC_NPROCESSORS_ONLN);
    options o = { .device = "cuda:0", .effort = "0", .pattern = "*",
                  .processes = cores < PROCESSES_MAX ? cores : PROCESSES_MAX };
    size_t  bytes = op_sample_count * PRECISIONS * sizeof(result);
    result *results = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (!take_options(argc, argv, &o) || results == MAP_FAILED) {
        fprintf(stderr, "usage: test_gpu_ops [--device NAME] [--effort N] [--processes 1..%d] [PATTERN]\n",
                PROCESSES_MAX);
        return 2;
    }
    for (long p = 0; p < o.processes; p++)
        if (fork() == 0) _exit(work(&o, p, results));
    while (wait(NULL) > 0) continue;
    return report(results);
}
