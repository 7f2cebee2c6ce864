/* A network without a file: two products with a ReLU between and a softmax behind, for any batch from 1 to 64; then
   several threads that run it at once, each with a context and inputs of its own.
     cc -pthread -o layer_by_layer layer_by_layer.c $(pkg-config --cflags --libs planfarm) */
#include <planfarm.h>
#include <pthread.h>
#include <stdio.h>

enum { THREADS = 3, INPUTS = 32, HIDDEN = 64, CLASSES = 10 };

static pf_status add_weights(pf_network *network, const char *name, int64_t rows, int64_t columns, pf_tensor_id *out,
                             pf_err *err)
{
    pf_tensor tensor = { .dtype = PF_F32, .rank = columns ? 2 : 1, .dim = { rows, columns } };
    pf_status status = pf_tensor_alloc(&tensor, err);

    if (!status) {
        pf_tensor_fill_random(&tensor, (uint64_t)(rows + columns));
        status = pf_network_constant(network, name, &tensor, out, err);        /* copied */
    }
    pf_tensor_clear(&tensor);
    return status;
}

/* y = x w + b, under the names that the layers of the plan will have. */
static pf_status add_product(pf_network *network, const char *name, pf_tensor_id x, int64_t rows, int64_t columns,
                             pf_tensor_id *out, pf_err *err)
{
    pf_tensor_id in[3] = { x };
    pf_status    status = add_weights(network, "weights", rows, columns, &in[1], err);

    if (!status)
        status = add_weights(network, "bias", columns, 0, &in[2], err);
    return status ? status : pf_network_layer(network, "gemm", name, in, 3, "alpha=1 beta=1", 1, out, err);
}

static pf_status describe(pf_network *network, pf_err *err)
{
    pf_tensor_id x = 0;
    pf_status    status = pf_network_input(network, "x", PF_F32, "[batch,32]", &x, err);

    if (!status)
        status = add_product(network, "first", x, INPUTS, HIDDEN, &x, err);
    if (!status)
        status = pf_network_layer(network, "relu", "activation", &x, 1, "", 1, &x, err);
    if (!status)
        status = add_product(network, "second", x, HIDDEN, CLASSES, &x, err);
    if (!status)
        status = pf_network_layer(network, "softmax", "softmax", &x, 1, "axis=1", 1, &x, err);
    return status ? status : pf_network_output(network, x, "classes", err);
}

static pf_status build(pf_device *device, pf_plan **out, pf_err *err)
{
    pf_network *network = NULL;
    pf_config  *config = NULL;
    pf_status   status = pf_network_new("layers", &network, err);

    if (!status)
        status = describe(network, err);
    if (!status)
        status = pf_config_parse("min_shapes=x:1x32\nopt_shapes=x:8x32\nmax_shapes=x:64x32\n", &config, err);
    if (!status)
        status = pf_build(network, config, device, NULL, out, NULL, err);
    pf_config_free(config);
    pf_network_free(network);           /* the plan holds all that it needs */
    return status;
}

typedef struct worker {
    pf_plan   *plan;
    pf_device *device;
    int64_t    batch;
    pf_status  status;
    pf_err     err;
    double     sum;
} worker;

static void *run(void *argument)
{
    worker     *w = argument;
    pf_context *context = NULL;
    pf_tensor   input = { .dtype = PF_F32, .rank = 2, .dim = { w->batch, INPUTS } }, output = { 0 };

    w->status = pf_tensor_alloc(&input, &w->err);
    if (!w->status) {
        pf_tensor_fill_random(&input, 7);
        w->status = pf_context_new(w->plan, w->device, NULL, &context, &w->err);
    }
    if (!w->status)
        w->status = pf_context_run_host(context, &input, &output, &w->err);
    for (int64_t i = 0; i < pf_tensor_elems(&output) && !w->status; i++)
        w->sum += ((const float *)output.data)[i];
    pf_tensor_clear(&output);
    pf_tensor_clear(&input);
    pf_context_free(context);
    return NULL;
}

int main(void)
{
    pf_device *device = NULL;
    pf_plan   *plan = NULL;
    pf_err     err = { 0 };
    worker     workers[THREADS] = { 0 };
    pthread_t  threads[THREADS];
    int        started = 0;
    pf_status  status = pf_device_open("cpu", NULL, &device, &err);

    if (!status)
        status = build(device, &plan, &err);
    for (uint32_t i = 0; !status && i < pf_plan_layer_count(plan); i++) {
        pf_layer layer;

        pf_plan_layer(plan, i, &layer);
        printf("layer %s: %s\n", layer.name, layer.tactic);
    }
    for (; !status && started < THREADS; started++) {
        workers[started] = (worker){ plan, device, started + 1, PF_OK, { 0 }, 0 };
        if (pthread_create(&threads[started], NULL, run, &workers[started]))
            break;
    }
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        printf("batch %d: the classes sum to %.3f\n", i + 1, workers[i].sum);
        if (workers[i].status && !status) {
            status = workers[i].status;
            err = workers[i].err;
        }
    }
    if (status)
        fprintf(stderr, "layer_by_layer: %s\n", err.msg);
    pf_plan_free(plan);
    pf_device_close(device);
    return pf_status_exit_code(status);
}
