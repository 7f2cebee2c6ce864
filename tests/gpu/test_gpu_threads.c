/* Contexts of one plan in several threads at once, on every device that is named: those of one device share steps and
   the libraries' handles, and a process may use several cards.  Each thread makes contexts anew, so that some capture
   while others run; every output must have the bits of a run alone.
   usage: test_gpu_threads [DEVICE...]      (cuda:0) */
#include <pthread.h>
#include <stdio.h>

#include "tests/unit/engine/networks.h"

enum { THREADS = 4, CONTEXTS = 6, RUNS = 5, DEVICES_MAX = 8, BATCH_MAX = 3 };

typedef struct place {                  /* a device with its plan, and what each batch gives there */
    pf_device *device;
    pf_plan   *plan;
    pf_tensor  input[BATCH_MAX], output[BATCH_MAX];
} place;

typedef struct work { const place *place; int seed, wrong; pf_err err; } work;

static pf_status run_alone(const place *p, int batch, pf_tensor *out, pf_err *err)
{
    pf_context *context = NULL;
    pf_status   st = pf_context_new(p->plan, p->device, NULL, &context, err);

    if (!st) st = pf_context_run_host(context, &p->input[batch], out, err);
    pf_context_free(context);
    return st;
}

/* Convolutions go through a library, or by kernels of our own. */
static void open_place(const char *name, pf_network *net, bool own, place *out)
{
    pf_config  *config = NULL;
    const char *tactics = "";
    pf_err      err = {0};

    test_ok(pf_device_open(name, NULL, &out->device, &err), &err);
    if (own) tactics = out->device->kind == PF_DEVICE_CUDA ? "-cudnn_conv,-cublaslt_matmul" : "-onednn_conv";
    test_ok(pf_config_new(&config, &err), &err);
    test_ok(pf_config_set(config, "effort", "0", &err), &err);
    test_ok(pf_config_set(config, "tactics", tactics, &err), &err);
    test_ok(pf_config_set(config, "min_shapes", "input:1x3x24x24", &err), &err);
    test_ok(pf_config_set(config, "opt_shapes", "input:2x3x24x24", &err), &err);
    test_ok(pf_config_set(config, "max_shapes", "input:3x3x24x24", &err), &err);
    test_ok(pf_build(net, config, out->device, NULL, &out->plan, NULL, &err), &err);
    for (int b = 0; b < BATCH_MAX; b++) {
        out->input[b] = random_tensor(PF_F32, 4, (int64_t[]){ b + 1, 3, 24, 24 }, (uint64_t)b);
        test_ok(run_alone(out, b, &out->output[b], &err), &err);
    }
    pf_config_free(config);
}

static void close_place(place *p)
{
    for (int b = 0; b < BATCH_MAX; b++) {
        pf_tensor_clear(&p->input[b]);
        pf_tensor_clear(&p->output[b]);
    }
    pf_plan_free(p->plan);
    pf_device_close(p->device);
}

static pf_status run_some(work *w, pf_context *context, int from)
{
    const place *p = w->place;
    pf_status    st = PF_OK;

    for (int r = 0; r < RUNS && !st; r++) {
        int       batch = (from + r / 2) % BATCH_MAX;
        pf_tensor out = {0};

        st = pf_context_run_host(context, &p->input[batch], &out, &w->err);
        if (!st) w->wrong += memcmp(out.data, p->output[batch].data, p->output[batch].bytes) != 0;
        pf_tensor_clear(&out);
    }
    return st;
}

static void *run_contexts(void *argument)
{
    work     *w = argument;
    pf_status st = PF_OK;

    for (int c = 0; c < CONTEXTS && !st; c++) {
        pf_context *context = NULL;

        st = pf_context_new(w->place->plan, w->place->device, NULL, &context, &w->err);
        if (!st) st = run_some(w, context, w->seed + c);
        pf_context_free(context);
    }
    w->wrong += st != PF_OK;
    return NULL;
}

static int run_threads(place *places, int count)
{
    pf_err    none = {0};
    pthread_t thread[DEVICES_MAX * THREADS];
    work      works[DEVICES_MAX * THREADS];
    int       wrong = 0;

    for (int i = 0; i < count * THREADS; i++) {
        works[i] = (work){ .place = &places[i % count], .seed = i, .err = none };
        assert_int_equal(pthread_create(&thread[i], NULL, run_contexts, &works[i]), 0);
    }
    for (int i = 0; i < count * THREADS; i++) {
        pthread_join(thread[i], NULL);
        if (works[i].wrong)
            printf("%s: %d wrong  %s\n", works[i].place->device->name, works[i].wrong, works[i].err.msg);
        wrong += works[i].wrong;
    }
    return wrong;
}

int main(int argc, char **argv)
{
    char *fallback[] = { (char *)"cuda:0" }, **names = argc > 1 ? argv + 1 : fallback;
    int   count = argc > 1 ? argc - 1 : 1, wrong = 0;

    if (count > DEVICES_MAX) {
        fprintf(stderr, "usage: test_gpu_threads [DEVICE...], at most %d\n", DEVICES_MAX);
        return 2;
    }
    for (int own = 0; own < 2; own++) {
        pf_network *net = residual_network("[batch,3,24,24]");
        place       places[DEVICES_MAX] = {0};

        for (int d = 0; d < count; d++) open_place(names[d], net, own, &places[d]);
        wrong += run_threads(places, count);
        for (int d = 0; d < count; d++) close_place(&places[d]);
        pf_network_free(net);
    }
    printf("%d devices, %d threads each, %d runs: %d wrong\n", count, THREADS,
           2 * count * THREADS * CONTEXTS * RUNS, wrong);
    return wrong != 0;
}
