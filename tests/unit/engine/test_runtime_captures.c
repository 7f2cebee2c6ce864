/* Weights and captured runs, on a CPU that is given what a card has: memory of its own, and captures.  A capture keeps
   the steps and the pointers of the run in which it was taken, and a launch computes with these, as a graph of launches
   does. */
#include <stdlib.h>
#include <string.h>

#include "engine/device_capture.h"
#include "engine/op.h"
#include "engine/runtime.h"
#include "tests/unit/engine/networks.h"

struct pf_device_graph {
    pf_instance *instance;              /* alive as long as the capture is */
    uint32_t     step_count;
    pf_bindings *bindings;              /* owned, with the lists of pointers */
};

static pf_network    *net;
static pf_plan       *plan;
static pf_device     *device;
static pf_device_ops  ops;
static pf_context    *context;          /* whose run is captured: devices see launches, not contexts */
static int            captured, launched, given_back, uploads, waits;
static pf_stream     *caller;           /* waits for it are counted */
static pf_status    (*sync_of_cpu)(pf_device *, pf_stream *, pf_err *);
static pf_status    (*upload_of_cpu)(pf_device *, pf_stream *, void *, const void *, size_t, pf_err *);

/* ---- A device that captures */

static void **copy_of(void *const *pointers, uint32_t count)
{
    void **copy = calloc(count + 1, sizeof *copy);

    assert_non_null(copy);
    memcpy(copy, pointers, count * sizeof *copy);
    return copy;
}

static pf_status capture_begin(pf_device *of, pf_stream *stream, pf_err *err)
{
    (void)of, (void)stream, (void)err;
    return PF_OK;
}

static pf_status capture_end(pf_device *of, pf_stream *stream, pf_device_graph **out, pf_err *err)
{
    pf_device_graph *graph = calloc(1, sizeof *graph);

    (void)of, (void)stream, (void)err;
    assert_non_null(graph);
    *graph = (pf_device_graph){ context->instance, plan->step_count, calloc(plan->step_count, sizeof(pf_bindings)) };
    assert_non_null(graph->bindings);
    for (uint32_t s = 0; s < plan->step_count; s++) {
        graph->bindings[s] = context->step_bindings[s];
        graph->bindings[s].in = copy_of(context->step_bindings[s].in, plan->steps[s].problem->graph->input_count);
        graph->bindings[s].out = copy_of(context->step_bindings[s].out, plan->steps[s].problem->graph->output_count);
    }
    captured++;
    *out = graph;
    return PF_OK;
}

static pf_status graph_launch(pf_device *of, pf_device_graph *graph, pf_stream *stream, pf_err *err)
{
    pf_status st = PF_OK;

    (void)of;
    launched++;
    for (uint32_t s = 0; s < graph->step_count && !st; s++) {
        const pf_step *step = graph->instance->steps[s];

        st = step->tactic->enqueue(step, &graph->bindings[s], stream, err);
    }
    return st;
}

static void graph_free(pf_device *of, pf_device_graph *graph)
{
    (void)of;
    given_back++;
    for (uint32_t s = 0; s < graph->step_count; s++) {
        free((void *)(uintptr_t)graph->bindings[s].in);
        free((void *)(uintptr_t)graph->bindings[s].out);
    }
    free(graph->bindings);
    free(graph);
}

static pf_status refuse_upload(pf_device *of, pf_stream *stream, void *to, const void *host, size_t bytes, pf_err *err)
{
    return uploads++ ? upload_of_cpu(of, stream, to, host, bytes, err)
                     : PF_FAIL(err, PF_NO_SPACE, "the first upload is refused");
}

static pf_status upload(pf_device *of, pf_stream *stream, void *to, const void *host, size_t bytes, pf_err *err)
{
    uploads++;
    return upload_of_cpu(of, stream, to, host, bytes, err);
}

static pf_status stream_sync(pf_device *of, pf_stream *stream, pf_err *err)
{
    waits += caller && stream == caller;
    return sync_of_cpu(of, stream, err);
}

static int make_plan(void **state)
{
    (void)state;
    device = cpu();
    net = residual_network("[batch,3,height,width]");
    plan = plan_of(net, "effort=0\nmin_shapes=input:1x3x4x4\nopt_shapes=input:2x3x24x24\nmax_shapes=input:4x3x24x24\n",
                   device);
    ops = *device->ops;
    upload_of_cpu = ops.upload;
    sync_of_cpu = ops.stream_sync;
    ops.upload = upload;
    ops.stream_sync = stream_sync;
    ops.capture_begin = capture_begin;
    ops.capture_end = capture_end;
    ops.graph_launch = graph_launch;
    ops.graph_free = graph_free;
    device->ops = &ops;
    device->host_is_device = false;
    return 0;
}

static int drop_plan(void **state)
{
    (void)state;
    pf_plan_free(plan);
    pf_network_free(net);
    pf_device_close(device);
    return 0;
}

static int open_context(void **state)
{
    pf_err err = { 0 };

    (void)state;
    captured = launched = given_back = uploads = 0;
    test_ok(pf_context_new(plan, device, NULL, &context, &err), &err);
    return 0;
}

static int close_context(void **state)
{
    (void)state;
    pf_context_free(context);
    return 0;
}

/* ---- Runs */

/* CPUs' steps do not say that they may be captured, since nothing asks them. */
static void allow_captures(const pf_tensor *input)
{
    pf_err err = { 0 };

    test_ok(pf_context_set_shape(context, 0, input->dim, 4, &err), &err);
    test_ok(pf_context_prepare(context, &err), &err);
    context->instance->capturable = true;
}

static void run_once(int64_t batch, int64_t side)
{
    pf_tensor input = random_tensor(PF_F32, 4, (int64_t[]){ batch, 3, side, side }, (uint64_t)(batch * 100 + side));
    pf_tensor output = { 0 };
    pf_err    err = { 0 };

    allow_captures(&input);
    test_ok(pf_context_run_host(context, &input, &output, &err), &err);
    expect_interpreted(net, &input, &output);
    pf_tensor_clear(&input);
    pf_tensor_clear(&output);
}

/* The choices' weights go up in one block, in fewer copies than there are weights; other contexts find them there. */
static void weights_go_up_at_once(void **state)
{
    const pf_resident *resident = context->resident;
    pf_context        *other = NULL;
    uint32_t           there = 0, apart = 0;
    pf_err             err = { 0 };

    (void)state;
    test_ok(pf_context_set_shape(context, 0, (int64_t[]){ 2, 3, 24, 24 }, 4, &err), &err);
    test_ok(pf_context_prepare(context, &err), &err);
    for (uint32_t i = 0; i < plan->blob_count; i++) {
        const uint8_t *blob = resident->blobs[i], *block = resident->weights;

        there += blob != NULL;
        apart += resident->blob_owned[i];
        assert_true(!blob || (blob >= block && blob + plan->blobs[i].bytes <= block + resident->weights_bytes));
        assert_true(!blob || !memcmp(blob, plan->data + plan->blobs[i].offset, plan->blobs[i].bytes));
    }
    assert_in_range(there, 2, plan->blob_count);
    assert_int_equal(apart, 0);
    assert_in_range(uploads, 1, there - 1);
    uploads = 0;
    test_ok(pf_context_new(plan, device, NULL, &other, &err), &err);
    test_ok(pf_context_set_shape(other, 0, (int64_t[]){ 2, 3, 24, 24 }, 4, &err), &err);
    test_ok(pf_context_prepare(other, &err), &err);
    assert_int_equal(uploads, 0);
    assert_true(pf_context_device_bytes(other) >= resident->weights_bytes);
    pf_context_free(other);
}

/* When they cannot go up at once they go up one by one, and stay where they are when others come. */
static void weights_that_came_one_by_one_stay(void **state)
{
    pf_err err = { 0 };

    (void)state;
    ops.upload = refuse_upload;
    test_ok(pf_context_set_shape(context, 0, (int64_t[]){ 2, 3, 24, 24 }, 4, &err), &err);
    test_ok(pf_context_prepare(context, &err), &err);
    assert_null(context->resident->weights);
    assert_true(uploads > 2);
    run_once(2, 24);
    run_once(1, 4);
    ops.upload = upload;
}

/* Of the same shapes again, the capture is launched and nothing captured anew. */
static void equal_shapes_share_a_capture(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        run_once(2, 24);
    assert_int_equal(captured, 1);
    assert_int_equal(launched, 3);
}

/* Smaller inputs lie where the larger ones lay, so no pointer changes: only the shapes say that another capture is
   due. */
static void smaller_shapes_take_a_capture_of_their_own(void **state)
{
    (void)state;
    run_once(4, 24);
    run_once(1, 4);
    run_once(2, 12);
    assert_int_equal(captured, 3);
    run_once(4, 24);
    run_once(1, 4);
    assert_int_equal(captured, 3);
    assert_int_equal(launched, 5);
}

static void ready_at(int64_t batch, int64_t side)
{
    pf_tensor input = random_tensor(PF_F32, 4, (int64_t[]){ batch, 3, side, side }, 1);
    pf_err    err = { 0 };

    allow_captures(&input);
    test_ok(pf_context_ready(context, &err), &err);
    pf_tensor_clear(&input);
}

/* Those made ready last, whether they ran or not. */
static void the_last_four_captures_are_kept(void **state)
{
    pf_tensor memory[2] = { random_tensor(PF_F32, 4, (int64_t[]){ 4, 3, 24, 24 }, 1),
                            random_tensor(PF_F32, 2, (int64_t[]){ 4, 10 }, 1) };
    pf_err    err = { 0 };

    (void)state;
    for (uint32_t io = 0; io < 2; io++)
        test_ok(pf_context_bind(context, io, memory[io].data, &err), &err);
    ready_at(4, 24);                    /* so that the memory between the layers does not grow */
    for (int64_t side = 4; side < 4 + 2 * PF_CAPTURES_KEPT; side++)
        ready_at(1, side);
    assert_int_equal(captured, 1 + 2 * PF_CAPTURES_KEPT);
    for (int64_t side = 4 + PF_CAPTURES_KEPT; side < 4 + 2 * PF_CAPTURES_KEPT; side++)
        ready_at(1, side);
    assert_int_equal(captured, 1 + 2 * PF_CAPTURES_KEPT);
    pf_tensor_clear(&memory[0]);
    pf_tensor_clear(&memory[1]);
}

/* A step that works in memory of its own, as one that a card's host computes, is no two contexts' at a time. */
static void what_works_in_its_own_memory_is_not_shared(void **state)
{
    pf_context  *other = NULL;
    pf_instance *first = NULL;
    pf_err       err = { 0 };

    (void)state;
    run_once(2, 24);
    first = context->instance;
    first->steps[0]->alone = true;
    test_ok(pf_context_new(plan, device, NULL, &other, &err), &err);
    test_ok(pf_context_set_shape(other, 0, (int64_t[]){ 2, 3, 24, 24 }, 4, &err), &err);
    test_ok(pf_context_prepare(other, &err), &err);
    assert_ptr_not_equal(other->instance, first);
    run_once(1, 4);
    run_once(2, 24);
    assert_ptr_equal(context->instance, first);
    assert_int_equal(captured, 2);
    first->steps[0]->alone = false;
    pf_context_free(other);
}

/* Not another one of the same shapes, which another context has left: the steps that were captured must stay. */
static void a_capture_keeps_the_steps_that_it_was_made_of(void **state)
{
    pf_context *other = NULL;
    pf_err      err = { 0 };

    (void)state;
    test_ok(pf_context_new(plan, device, NULL, &other, &err), &err);
    test_ok(pf_context_set_shape(other, 0, (int64_t[]){ 2, 3, 24, 24 }, 4, &err), &err);
    test_ok(pf_context_prepare(other, &err), &err);
    other->instance->steps[0]->alone = true;
    test_ok(pf_context_set_shape(context, 0, (int64_t[]){ 2, 3, 24, 24 }, 4, &err), &err);
    test_ok(pf_context_prepare(context, &err), &err);
    context->instance->steps[0]->alone = true;
    pf_context_free(other);
    run_once(2, 24);
    assert_ptr_equal(context->captures[0].instance, context->instance);
    run_once(2, 24);
    assert_int_equal(captured, 1);
}

/* Two sets of outputs in turns on the caller's stream: the run before a capture writes the memory between the layers,
   which the caller's last run may still read; afterwards nothing is waited for. */
static void a_capture_waits_for_the_callers_stream(void **state)
{
    pf_tensor input = random_tensor(PF_F32, 4, (int64_t[]){ 2, 3, 24, 24 }, 7), output[2] = { 0 };
    pf_err    err = { 0 };

    (void)state;
    allow_captures(&input);
    test_ok(device->ops->stream_new(device, &caller, &err), &err);
    assert_non_null(caller);
    test_ok(pf_context_bind(context, 0, input.data, &err), &err);
    waits = 0;
    for (int i = 0; i < 6; i++) {
        pf_tensor *out = &output[i % 2];

        if (!out->data) {
            out->dtype = pf_plan_io(plan, 1)->dtype;
            test_ok(pf_context_shape(context, 1, out->dim, &out->rank, &err), &err);
            test_ok(pf_tensor_alloc(out, &err), &err);
        }
        test_ok(pf_context_bind(context, 1, out->data, &err), &err);
        test_ok(pf_context_enqueue(context, caller, &err), &err);
        assert_int_equal(waits, i < 2 ? i + 1 : 2);
        expect_interpreted(net, &input, out);
    }
    assert_int_equal(captured, 2);
    device->ops->stream_free(device, caller);
    caller = NULL;
    pf_tensor_clear(&input);
    pf_tensor_clear(&output[0]);
    pf_tensor_clear(&output[1]);
}

static pf_status fail_to_enqueue(void *user, pf_err *err)
{
    (void)user;
    return PF_FAIL(err, PF_DEVICE, "a kernel was refused");
}

static pf_status refuse_to_end(pf_device *of, pf_stream *stream, pf_device_graph **out, pf_err *err)
{
    (void)of, (void)stream;
    *out = NULL;
    captured++;
    return PF_FAIL(err, PF_DEVICE, "this driver captures nothing");
}

/* Its runs are slower, and right; it is tried once for each shape. */
static void what_cannot_be_captured_is_launched_step_by_step(void **state)
{
    (void)state;
    ops.capture_end = refuse_to_end;
    run_once(2, 24);
    run_once(2, 24);
    assert_int_equal(captured, 1);
    run_once(1, 4);
    run_once(1, 4);
    assert_int_equal(captured, 2);
    assert_int_equal(launched, 0);
    ops.capture_end = capture_end;
}

static void a_capture_that_fails_is_ended_and_given_back(void **state)
{
    pf_device_graph *graph = NULL;
    pf_err           err = { 0 };

    (void)state;
    run_once(2, 24);
    assert_int_equal(pf_device_capture(device, context->stream, fail_to_enqueue, NULL, &graph, &err), PF_DEVICE);
    assert_string_equal(err.msg, "a kernel was refused");
    assert_null(graph);
    assert_int_equal(captured, 2);
    assert_int_equal(given_back, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(weights_go_up_at_once, open_context, close_context),
        cmocka_unit_test_setup_teardown(weights_that_came_one_by_one_stay, open_context, close_context),
        cmocka_unit_test_setup_teardown(equal_shapes_share_a_capture, open_context, close_context),
        cmocka_unit_test_setup_teardown(smaller_shapes_take_a_capture_of_their_own, open_context, close_context),
        cmocka_unit_test_setup_teardown(the_last_four_captures_are_kept, open_context, close_context),
        cmocka_unit_test_setup_teardown(what_works_in_its_own_memory_is_not_shared, open_context, close_context),
        cmocka_unit_test_setup_teardown(a_capture_keeps_the_steps_that_it_was_made_of, open_context, close_context),
        cmocka_unit_test_setup_teardown(a_capture_waits_for_the_callers_stream, open_context, close_context),
        cmocka_unit_test_setup_teardown(what_cannot_be_captured_is_launched_step_by_step, open_context, close_context),
        cmocka_unit_test_setup_teardown(a_capture_that_fails_is_ended_and_given_back, open_context, close_context),
    };

    return cmocka_run_group_tests(tests, make_plan, drop_plan);
}
