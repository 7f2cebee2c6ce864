/* The public calls that other tests do not come to: questions to a network, errors one by one, and who gives the
   memory. */
#include <stdio.h>

#include "engine/op.h"
#include "engine/runtime.h"
#include "tests/unit/engine/networks.h"

static const char spec[] = "effort=1\nmin_shapes=input:1x3x24x24\nopt_shapes=input:2x3x24x24\n"
                           "max_shapes=input:4x3x24x24\n";

static pf_tensor images(int64_t batch, uint64_t seed)
{
    return random_tensor(PF_F32, 4, (int64_t[]){ batch, 3, 24, 24 }, seed);
}

/* ---- Questions */

static void a_network_says_what_is_in_it(void **state)
{
    pf_network    *net = residual_network("[batch,3,24,24]");
    pf_tensor_info tensor = { 0 };
    pf_layer_info  info = { 0 };
    pf_err         err = { 0 };

    (void)state;
    assert_int_equal(pf_network_input_count(net), 1);
    assert_int_equal(pf_network_output_count(net), 1);
    assert_string_equal(pf_network_output_name(net, 0), "logits");
    assert_string_equal(pf_network_output_name(net, 1), "");
    test_ok(pf_network_tensor(net, pf_network_input_at(net, 0), &tensor, &err), &err);
    assert_string_equal(tensor.name, "input");
    assert_string_equal(tensor.shape, "[batch,3,24,24]");
    assert_int_equal(tensor.dim[0], -1);
    assert_int_equal(tensor.dim[3], 24);
    assert_true(tensor.is_input && !tensor.is_constant);
    assert_int_equal(pf_network_layer_count(net), 8);
    test_ok(pf_network_layer_at(net, 0, &info, &err), &err);
    assert_string_equal(info.name, "conv1");
    assert_string_equal(info.op, "conv");
    assert_int_equal(info.in_count, 3);
    assert_int_equal(info.in[0], pf_network_input_at(net, 0));
    test_ok(pf_network_tensor(net, info.in[1], &tensor, &err), &err);
    assert_true(tensor.is_constant);
    assert_string_equal(tensor.shape, "[16,3,3,3]");
    test_ok(pf_network_layer_at(net, 7, &info, &err), &err);
    assert_int_equal(info.out[0], pf_network_output_at(net, 0));
    assert_int_equal(pf_network_output_at(net, 1), PF_NONE);
    test_fails(pf_network_layer_at(net, 8, &info, &err), PF_NOT_FOUND, &err);
    test_fails(pf_network_tensor(net, 1000, &tensor, &err), PF_NOT_FOUND, &err);
    assert_true(strlen(pf_version()) >= 5);
    pf_network_free(net);
}

static void the_output_of_a_layer_may_take_its_inputs_place(void **state)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE;
    pf_err       err = { 0 };

    (void)state;
    test_ok(pf_network_new("one", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[2,3]", &x, &err), &err);
    test_ok(pf_network_layer(net, "relu", "a", &x, 1, "", 1, &x, &err), &err);
    test_ok(pf_network_layer(net, "sigmoid", "b", &x, 1, "", 1, &x, &err), &err);
    assert_int_equal(pf_network_layer_count(net), 2);
    pf_network_free(net);
}

/* ---- Errors */

static void a_refused_layer_is_named(void **state)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, y = PF_NONE, out = PF_NONE;
    pf_err       err = { 0 };

    (void)state;
    test_ok(pf_network_new("one", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[2,3]", &x, &err), &err);
    test_ok(pf_network_input(net, "y", PF_F32, "[4,5]", &y, &err), &err);
    assert_int_equal(pf_network_layer(net, "matmul", "misfit", (pf_tensor_id[]){ x, y }, 2, "", 1, &out, &err),
                     PF_INVALID);
    assert_string_equal(err.node, "misfit");
    pf_err_clear(&err);
    assert_int_equal(pf_network_layer(net, "relu", "odd", &x, 1, "slope=1", 1, &out, &err), PF_INVALID);
    assert_string_equal(err.node, "odd");
    assert_int_equal(out, PF_NONE);
    assert_int_equal(pf_network_layer_count(net), 0);
    pf_network_free(net);
}

/* A choice of which there is another revision now: it is listed with its layer, and the run still succeeds. */
static void refused_choices_are_listed(void **state)
{
    pf_error_list *list = NULL;
    pf_err         err = { 0 };
    pf_device     *device = cpu();
    pf_network    *net = residual_network("[batch,3,24,24]");
    pf_plan       *plan = plan_of(net, spec, device);
    pf_context    *context = NULL;
    pf_tensor      input = images(2, 1), output = { 0 };
    pf_error       one = { 0 };
    pf_plan_step  *pool = NULL;

    (void)state;
    test_ok(pf_error_list_new(&list, &err), &err);
    err.list = list;
    for (uint32_t s = 0; s < plan->step_count; s++)
        if (strstr(plan->steps[s].name, "pool"))
            pool = &plan->steps[s];
    assert_non_null(pool);
    assert_true(pool->ranked_count > 1);
    test_ok(pf_context_new(plan, device, NULL, &context, &err), &err);
    pool->ranked[0].rev++;
    test_ok(pf_context_run_host(context, &input, &output, &err), &err);
    assert_int_equal(pf_error_list_count(list), 1);
    pf_error_list_at(list, 0, &one);
    assert_int_equal(one.status, PF_STALE);
    assert_string_equal(one.node, pool->name);
    assert_non_null(strstr(one.message, pool->ranked[0].tactic));
    pf_context_free(context);
    pf_tensor_clear(&input);
    pf_tensor_clear(&output);
    pf_plan_free(plan);
    pf_network_free(net);
    pf_device_close(device);
    pf_error_list_free(list);
}

/* ---- Memory */

typedef struct ledger { size_t live, calls; } ledger;

static void *ledger_alloc(void *user, size_t bytes, size_t alignment, bool on_device)
{
    ledger *book = user;

    assert_true(on_device);
    book->live++;
    book->calls++;
    return pf_alloc_aligned(alignment, bytes);
}

static void ledger_free(void *user, void *pointer, bool on_device)
{
    assert_true(on_device);
    ((ledger *)user)->live--;
    pf_free(pointer);
}

static void run_and_compare(pf_context *context, pf_network *net, int64_t batch)
{
    pf_tensor input = images(batch, 3), output = { 0 };
    pf_err    err = { 0 };

    test_ok(pf_context_run_host(context, &input, &output, &err), &err);
    expect_interpreted(net, &input, &output);
    pf_tensor_clear(&input);
    pf_tensor_clear(&output);
}

static void builds_and_runs_take_device_memory_from_the_devices_allocator(void **state)
{
    ledger       book = { 0 };
    pf_allocator allocator = { ledger_alloc, ledger_free, &book };
    pf_device   *device = NULL;
    pf_network  *net = residual_network("[batch,3,24,24]");
    pf_plan     *plan = NULL;
    pf_context  *context = NULL;
    pf_err       err = { 0 };
    size_t       by_build = 0;

    (void)state;
    test_ok(pf_device_open("cpu", &(pf_device_options){ .allocator = &allocator }, &device, &err), &err);
    plan = plan_of(net, spec, device);
    by_build = book.calls;
    assert_true(by_build > 10);                 /* each candidate has inputs, outputs and workspace */
    assert_int_equal(book.live, 0);
    test_ok(pf_context_new(plan, device, NULL, &context, &err), &err);
    run_and_compare(context, net, 2);
    assert_true(book.calls > by_build);
    pf_context_free(context);
    assert_int_equal(book.live, 0);
    pf_plan_free(plan);
    pf_network_free(net);
    pf_device_close(device);
}

static void a_build_and_a_run_are_in_the_list_of_events(void **state)
{
    pf_memory_log   *log = NULL;
    pf_memory_totals totals = { 0 };
    pf_device       *device = cpu();
    pf_network      *net = residual_network("[batch,3,24,24]");
    pf_plan         *plan = NULL;
    pf_context      *context = NULL;
    pf_err           err = { 0 };
    uint32_t         on_device = 0, on_host = 0;

    (void)state;
    test_ok(pf_memory_log_start(1 << 20, &log, &err), &err);
    plan = plan_of(net, spec, device);
    test_ok(pf_context_new(plan, device, NULL, &context, &err), &err);
    run_and_compare(context, net, 4);
    pf_memory_log_totals(log, &totals);
    assert_true(totals.device_bytes >= (int64_t)context->instance->memory.bytes);
    assert_true(totals.host_bytes > 0 && totals.host_peak_bytes > totals.host_bytes);
    pf_context_free(context);
    pf_plan_free(plan);
    pf_memory_log_stop(log);
    pf_memory_log_totals(log, &totals);
    assert_int_equal(totals.device_bytes, 0);
    assert_true(totals.device_peak_bytes > 0);
    assert_int_equal(totals.dropped_count, 0);
    for (uint32_t i = 0; i < pf_memory_log_count(log); i++) {
        on_device += pf_memory_log_event(log, i)->on_device;
        on_host += !pf_memory_log_event(log, i)->on_device;
    }
    assert_true(on_device > 10 && on_host > 100);
    assert_int_equal(on_device % 2, 0);         /* what was taken was given back */
    pf_memory_log_free(log);
    pf_network_free(net);
    pf_device_close(device);
}

static void ask_memory(pf_context *context, int64_t batch, size_t *bytes)
{
    int64_t dim[4] = { batch, 3, 24, 24 };
    pf_err  err = { 0 };

    test_ok(pf_context_set_shape(context, 0, dim, 4, &err), &err);
    test_ok(pf_context_memory_bytes(context, bytes, &err), &err);
}

/* Two contexts in turns on one piece of memory, one of them too small for a larger batch. */
static void a_caller_may_provide_the_memory_of_contexts(void **state)
{
    ledger       book = { 0 };
    pf_allocator allocator = { ledger_alloc, ledger_free, &book };
    pf_err       err = { 0 };
    pf_device   *device = cpu();
    pf_network  *net = residual_network("[batch,3,24,24]");
    pf_plan     *plan = plan_of(net, spec, device);
    pf_context  *context = NULL, *other = NULL;
    size_t       small = 0, large = 0;
    void        *memory = NULL;
    pf_tensor    input = images(4, 3), output = { 0 };

    (void)state;
    test_ok(pf_context_new(plan, device, &allocator, &context, &err), &err);
    test_ok(pf_context_new(plan, device, &allocator, &other, &err), &err);
    ask_memory(context, 1, &small);
    ask_memory(context, 4, &large);
    assert_true(small > 0 && large > small);
    memory = pf_alloc_aligned(PF_DEVICE_ALIGNMENT, large);
    assert_non_null(memory);
    test_fails(pf_context_use_memory(context, (char *)memory + 16, large, &err), PF_INVALID, &err);
    test_ok(pf_context_use_memory(context, memory, large, &err), &err);
    test_ok(pf_context_use_memory(other, memory, small, &err), &err);
    book.calls = 0;
    run_and_compare(context, net, 4);
    run_and_compare(other, net, 1);
    run_and_compare(context, net, 1);
    assert_ptr_equal(context->arena, memory);
    assert_ptr_equal(other->arena, memory);
    assert_int_equal(pf_context_run_host(other, &input, &output, &err), PF_NO_SPACE);
    assert_non_null(strstr(err.msg, "were provided"));
    pf_err_clear(&err);
    test_ok(pf_context_use_memory(other, NULL, 0, &err), &err);
    run_and_compare(other, net, 4);
    assert_ptr_not_equal(other->arena, memory);
    pf_context_free(context);
    pf_context_free(other);
    assert_int_equal(book.live, 0);
    pf_free(memory);
    pf_tensor_clear(&input);
    pf_plan_free(plan);
    pf_network_free(net);
    pf_device_close(device);
}

/* ---- Timings on disk */

static void a_folder_of_timings_is_a_store(void **state)
{
    pf_config       *config = config_of(spec);
    pf_device       *device = cpu();
    pf_network      *net = residual_network("[batch,3,24,24]");
    char             folder[4096] = "";
    pf_build_report  report = { 0 };
    pf_err           err = { 0 };

    (void)state;
    snprintf(folder, sizeof folder, "%s", test_path("timings"));
    for (int round = 0; round < 2; round++) {
        pf_build_options options = { 0 };
        pf_plan         *plan = NULL;

        test_ok(pf_timing_store_open(folder, &options.store, &err), &err);
        test_ok(pf_build(net, config, device, &options, &plan, &report, &err), &err);
        options.store->close(options.store);
        pf_plan_free(plan);
        assert_true(round ? report.candidates_timed == 0 : report.candidates_timed > 0);
    }
    pf_network_free(net);
    pf_config_free(config);
    pf_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_says_what_is_in_it),
        cmocka_unit_test(the_output_of_a_layer_may_take_its_inputs_place),
        cmocka_unit_test(a_refused_layer_is_named),
        cmocka_unit_test(refused_choices_are_listed),
        cmocka_unit_test(builds_and_runs_take_device_memory_from_the_devices_allocator),
        cmocka_unit_test(a_build_and_a_run_are_in_the_list_of_events),
        cmocka_unit_test(a_caller_may_provide_the_memory_of_contexts),
        cmocka_unit_test(a_folder_of_timings_is_a_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
