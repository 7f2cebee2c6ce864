/* Contexts of one plan in several threads at once, on every device that is named: those of one device share steps and
   the libraries' handles, and a process may use several cards.  Each thread makes contexts anew, so that some capture
   while others run; every output must have the bits of a run alone.  Each case says by what its layers are computed.
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

/* ---- By what the layers are computed */

typedef enum hosts { HOSTS_NONE, HOSTS_SOME } hosts;

typedef struct plan_case {
    const char *name;
    pf_network *(*network)(const char *input_shape);
    const char *cuda_spec, *cpu_spec;
    hosts       hosts;                  /* layers of a card's plan that the host computes */
} plan_case;

static const plan_case cases[] = {
    { "libraries", residual_network, "", "", HOSTS_NONE },
    { "kernels of our own", separable_network, "fp16=1\ntactics=-cudnn_conv,-cublaslt_matmul\n",
      "tactics=-onednn_conv\n", HOSTS_NONE },
    { "the host", residual_network, "tactics=-cudnn_conv,-cublaslt_matmul\n", "tactics=reference\n", HOSTS_SOME },
};

enum { CASES = sizeof cases / sizeof *cases };

static uint32_t count_host_layers(const pf_plan *plan)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < pf_plan_layer_count(plan); i++) {
        pf_layer layer = {0};

        pf_plan_layer(plan, i, &layer);
        count += !strcmp(layer.tactic, "cuda_host");
    }
    return count;
}

static void build_plan(const plan_case *c, pf_network *net, place *out)
{
    bool on_card = out->device->kind == PF_DEVICE_CUDA;
    char spec[512] = "";

    snprintf(spec, sizeof spec, "effort=0\n%smin_shapes=input:1x3x24x24\nopt_shapes=input:2x3x24x24\n"
             "max_shapes=input:3x3x24x24\n", on_card ? c->cuda_spec : c->cpu_spec);
    out->plan = plan_of(net, spec, out->device);
    printf("%s on %s: %u layers, %u on the host\n", c->name, out->device->name, pf_plan_layer_count(out->plan),
           count_host_layers(out->plan));
    if (on_card) assert_int_equal(count_host_layers(out->plan) > 0, c->hosts == HOSTS_SOME);
}

/* ---- Places */

static void open_place(const char *name, const plan_case *c, pf_network *net, place *out)
{
    pf_err err = {0};

    test_ok(pf_device_open(name, NULL, &out->device, &err), &err);
    build_plan(c, net, out);
    for (int b = 0; b < BATCH_MAX; b++) {
        out->input[b] = random_tensor(PF_F32, 4, (int64_t[]){ b + 1, 3, 24, 24 }, (uint64_t)b);
        test_ok(run_alone(out, b, &out->output[b], &err), &err);
    }
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

static int run_case(const plan_case *c, char **names, int count)
{
    pf_network *net = c->network("[batch,3,24,24]");
    place       places[DEVICES_MAX] = {0};
    int         wrong = 0;

    for (int d = 0; d < count; d++) open_place(names[d], c, net, &places[d]);
    wrong = run_threads(places, count);
    printf("%s: %d wrong\n", c->name, wrong);
    for (int d = 0; d < count; d++) close_place(&places[d]);
    pf_network_free(net);
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
    setvbuf(stdout, NULL, _IOLBF, 0);   /* a crash must leave what was printed before it */
    for (int c = 0; c < CASES; c++) wrong += run_case(&cases[c], names, count);
    printf("%d devices, %d threads each, %d runs: %d wrong\n", count, THREADS,
           CASES * count * THREADS * CONTEXTS * RUNS, wrong);
    return wrong != 0;
}
