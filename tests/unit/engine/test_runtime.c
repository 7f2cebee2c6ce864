#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/op.h"
#include "engine/runtime.h"
#include "engine/runtime_choice.h"
#include "tests/unit/engine/networks.h"

static pf_network *net;
static pf_plan    *plan;
static pf_device  *device;

static int make_plan(void **state)
{
    (void)state;
    device = cpu();
    net = residual_network("[batch,3,24,24]");
    plan = plan_of(net, "effort=1\nmin_shapes=input:1x3x24x24\nopt_shapes=input:2x3x24x24\n"
                        "max_shapes=input:32x3x24x24\n", device);
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

static pf_tensor images(int64_t batch, uint64_t seed)
{
    return random_tensor(PF_F32, 4, (int64_t[]){ batch, 3, 24, 24 }, seed);
}

static pf_context *new_context(const pf_allocator *allocator)
{
    pf_context *context = NULL;
    pf_err      err = { 0 };

    test_ok(pf_context_new(plan, device, allocator, &context, &err), &err);
    return context;
}

static void run_once(pf_context *context, int64_t batch, uint64_t seed)
{
    pf_tensor input = images(batch, seed), output = { 0 };
    pf_err    err = { 0 };

    test_ok(pf_context_run_host(context, &input, &output, &err), &err);
    assert_int_equal(output.dim[0], batch);
    expect_interpreted(net, &input, &output);
    pf_tensor_clear(&input);
    pf_tensor_clear(&output);
}

/* Bound to both, of which the output is allocated here. */
static pf_context *bound_context(const pf_tensor *input, pf_tensor *output)
{
    pf_context *context = new_context(NULL);
    pf_err      err = { 0 };

    *output = (pf_tensor){ .dtype = PF_F32, .rank = 2, .dim = { input->dim[0], 10 } };
    test_ok(pf_tensor_alloc(output, &err), &err);
    test_ok(pf_context_set_shape(context, 0, input->dim, 4, &err), &err);
    test_ok(pf_context_bind(context, 0, input->data, &err), &err);
    test_ok(pf_context_bind(context, 1, output->data, &err), &err);
    return context;
}

static void every_shape_agrees_with_the_reference(void **state)
{
    static const int64_t batches[] = { 2, 1, 32, 2, 7, 3, 1 };
    pf_context          *context = new_context(NULL);

    (void)state;
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++)
        run_once(context, batches[i], i);
    pf_context_free(context);
}

/* More shapes than are kept: the oldest are made again. */
static void shapes_come_and_go(void **state)
{
    pf_context *context = new_context(NULL);

    (void)state;
    for (int64_t round = 0; round < 2; round++)
        for (int64_t batch = 1; batch <= PF_INSTANCES_KEPT + 3; batch++)
            run_once(context, batch, (uint64_t)batch);
    pf_context_free(context);
}

static void a_ready_run_allocates_nothing(void **state)
{
    pf_tensor   input = images(2, 4), output = { 0 };
    pf_context *context = bound_context(&input, &output);
    uint64_t    before = 0;
    pf_err      err = { 0 };

    (void)state;
    test_ok(pf_context_ready(context, &err), &err);
    test_ok(pf_context_run(context, &err), &err);
    before = pf_alloc_count();
    for (int i = 0; i < 5; i++)
        test_ok(pf_context_run(context, &err), &err);
    test_ok(pf_context_set_shape(context, 0, input.dim, 4, &err), &err);      /* the same again */
    test_ok(pf_context_run(context, &err), &err);
    assert_int_equal(pf_alloc_count(), before);
    expect_interpreted(net, &input, &output);
    pf_context_free(context);
    pf_tensor_clear(&input);
    pf_tensor_clear(&output);
}

static void runs_give_the_same_bits(void **state)
{
    pf_context *context = new_context(NULL), *other = new_context(NULL);
    pf_tensor   input = images(3, 8), first = { 0 }, again = { 0 };
    pf_err      err = { 0 };

    (void)state;
    test_ok(pf_context_run_host(context, &input, &first, &err), &err);
    for (int i = 0; i < 4; i++) {
        test_ok(pf_context_run_host(i % 2 ? context : other, &input, &again, &err), &err);
        assert_memory_equal(first.data, again.data, first.bytes);
        pf_tensor_clear(&again);
    }
    pf_context_free(context);
    pf_context_free(other);
    pf_tensor_clear(&input);
    pf_tensor_clear(&first);
}

static void *run_many(void *argument)
{
    pf_context *context = new_context(NULL);
    pf_err      err = { 0 };
    uintptr_t   failures = 0, seed = (uintptr_t)argument;

    for (uint64_t i = 0; i < 8; i++) {
        pf_tensor     input = images(1 + (int64_t)(i + seed) % 3, seed), output = { 0 }, reference = { 0 };
        pf_difference difference = { 0 };

        failures += pf_context_run_host(context, &input, &output, &err) != PF_OK;
        failures += pf_interpret(pf_network_graph(net), &input, &reference, NULL, NULL, &err) != PF_OK;
        failures += pf_tensor_compare(&output, &reference, &difference, &err) != PF_OK ||
                    difference.max_rel_range > 1e-4;
        pf_tensor_clear(&input);
        pf_tensor_clear(&output);
        pf_tensor_clear(&reference);
    }
    pf_context_free(context);
    return (void *)failures;
}

static void contexts_run_in_parallel(void **state)
{
    pthread_t threads[3];

    (void)state;
    for (uintptr_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, (void *)i), 0);
    for (int i = 0; i < 3; i++) {
        void *failures = NULL;

        pthread_join(threads[i], &failures);
        assert_null(failures);
    }
}

typedef struct ledger { size_t live, most, calls, bytes; } ledger;

static void *ledger_alloc(void *user, size_t bytes, size_t alignment, bool on_device)
{
    ledger *book = user;
    void   *memory = pf_alloc_aligned(alignment, bytes);

    assert_true(on_device);
    book->calls++;
    book->live++;
    book->bytes += bytes;
    book->most = bytes > book->most ? bytes : book->most;
    return memory;
}

static void ledger_free(void *user, void *pointer, bool on_device)
{
    ((ledger *)user)->live--;
    assert_true(on_device);
    pf_free(pointer);
}

static void memory_comes_from_the_given_allocator(void **state)
{
    ledger       book = { 0 };
    pf_allocator allocator = { ledger_alloc, ledger_free, &book };
    pf_context  *context = new_context(&allocator);

    (void)state;
    run_once(context, 2, 1);
    assert_true(book.calls > 0 && book.live > 0);
    assert_true(book.most >= context->instance->memory.bytes);
    pf_context_free(context);
    assert_int_equal(book.live, 0);
}

/* As on a card: weights do not stay in the plan's bytes. */
static void what_a_context_holds_is_what_it_took(void **state)
{
    ledger       book = { 0 };
    pf_allocator allocator = { ledger_alloc, ledger_free, &book };
    pf_context  *context = NULL;
    int64_t      dim[4] = { 2, 3, 24, 24 };
    pf_err       err = { 0 };

    (void)state;
    device->host_is_device = false;
    context = new_context(&allocator);
    assert_int_equal(pf_context_device_bytes(context), 0);
    test_ok(pf_context_set_shape(context, 0, dim, 4, &err), &err);
    test_ok(pf_context_prepare(context, &err), &err);
    assert_int_equal(pf_context_device_bytes(context), book.bytes);
    assert_true(book.bytes > context->instance->memory.bytes);
    /* each weight begins at a multiple of the alignment */
    assert_true(book.bytes <= plan->weights_bytes + (uint64_t)plan->blob_count * PF_PLAN_ALIGNMENT +
                              context->instance->memory.bytes);
    assert_true(pf_plan_device_bound_bytes(plan, device) <= book.bytes);
    assert_true(pf_plan_device_bound_bytes(plan, device) > plan->check.memory_lower_bound_bytes);
    pf_context_free(context);
    device->host_is_device = true;
    assert_int_equal(book.live, 0);
}

static void *no_memory(void *user, size_t bytes, size_t alignment, bool on_device)
{
    (void)user, (void)bytes, (void)alignment, (void)on_device;
    return NULL;
}

static void out_of_device_memory_is_said(void **state)
{
    pf_allocator allocator = { no_memory, ledger_free, NULL };
    pf_context  *context = new_context(&allocator);
    pf_tensor    input = images(2, 1), output = { 0 };
    pf_err       err = { 0 };

    (void)state;
    test_fails(pf_context_run_host(context, &input, &output, &err), PF_NO_SPACE, &err);
    assert_null(output.data);
    pf_context_free(context);
    pf_tensor_clear(&input);
}

static void misuse_is_explained(void **state)
{
    pf_context *context = new_context(NULL);
    int64_t     large[4] = { 33, 3, 24, 24 }, wrong[4] = { 1, 4, 24, 24 }, right[4] = { 2, 3, 24, 24 };
    pf_tensor   half = { .dtype = PF_F16, .rank = 4, .dim = { 2, 3, 24, 24 } }, output = { 0 };
    pf_err      err = { 0 };

    (void)state;
    test_fails(pf_context_run(context, &err), PF_INVALID, &err);                                 /* no shape yet */
    assert_int_equal(pf_context_set_shape(context, 0, large, 4, &err), PF_INVALID);
    assert_non_null(strstr(err.msg, "\"input\" is 33"));
    pf_err_clear(&err);
    test_fails(pf_context_set_shape(context, 0, wrong, 4, &err), PF_INVALID, &err);
    test_fails(pf_context_set_shape(context, 0, right, 3, &err), PF_INVALID, &err);
    test_fails(pf_context_set_shape(context, 1, right, 2, &err), PF_INVALID, &err);
    test_fails(pf_context_set_shape(context, 2, right, 2, &err), PF_INVALID, &err);
    test_fails(pf_context_bind(context, 5, NULL, &err), PF_INVALID, &err);
    test_fails(pf_context_bind(context, 0, (void *)(uintptr_t)8, &err), PF_INVALID, &err);
    test_ok(pf_context_set_shape(context, 0, right, 4, &err), &err);
    test_fails(pf_context_run(context, &err), PF_INVALID, &err);                                 /* nothing bound */
    test_ok(pf_tensor_alloc(&half, &err), &err);
    test_fails(pf_context_run_host(context, &half, &output, &err), PF_INVALID, &err);
    pf_tensor_clear(&half);
    pf_context_free(context);
}

/* A plan whose choices cannot be had: each step goes down its list, to the reference at last, and the answer stays
   right. */
static void refused_choices_fall_back(void **state)
{
    pf_network  *small = NULL;
    pf_config   *config = config_of("effort=1\nmin_shapes=x:1x4x8x8\nopt_shapes=x:2x4x8x8\nmax_shapes=x:3x4x8x8\n");
    pf_plan     *made = NULL;
    pf_context  *context = NULL;
    pf_tensor_id x = PF_NONE;
    pf_tensor    input = { .dtype = PF_F32, .rank = 4, .dim = { 3, 4, 8, 8 } }, output = { 0 }, reference = { 0 };
    pf_err       err = { 0 };

    (void)state;
    test_ok(pf_network_new("small", &small, &err), &err);
    test_ok(pf_network_input(small, "x", PF_F32, "[n,4,8,8]", &x, &err), &err);
    x = layer(small, "sigmoid", "sigmoid", "", 1, (pf_tensor_id[]){ x });
    x = layer(small, "max_pool", "pool", "kernel=[2,2] strides=[2,2] pads=[0,0,0,0] dilations=[1,1]", 1,
              (pf_tensor_id[]){ x });
    test_ok(pf_network_output(small, x, "y", &err), &err);
    test_ok(pf_build(small, config, device, NULL, &made, NULL, &err), &err);
    test_ok(pf_context_new(made, device, NULL, &context, &err), &err);
    for (uint32_t s = 0; s < made->step_count; s++) {
        assert_string_equal(made->steps[s].ranked[made->steps[s].ranked_count - 1].tactic, "reference");
        for (uint32_t i = 0; i + 1 < made->steps[s].ranked_count; i++)
            made->steps[s].ranked[i].rev++;
    }
    test_ok(pf_tensor_alloc(&input, &err), &err);
    pf_tensor_fill_random(&input, 5);
    test_ok(pf_context_run_host(context, &input, &output, &err), &err);
    assert_true(context->instance->ranked[0] > 0);
    test_ok(pf_interpret(pf_network_graph(small), &input, &reference, NULL, NULL, &err), &err);
    assert_memory_equal(output.data, reference.data, reference.bytes);
    pf_tensor_clear(&input);
    pf_tensor_clear(&output);
    pf_tensor_clear(&reference);
    pf_context_free(context);
    pf_plan_free(made);
    pf_config_free(config);
    pf_network_free(small);
}

/* A tuning that is none at other sizes: the tactic's own guess takes its place before another tactic does. */
static void a_tuning_of_other_sizes_is_guessed_anew(void **state)
{
    pf_tensor   input = images(7, 5), output = { 0 };
    pf_context *context = NULL;
    pf_plan    *made = plan_of(net, "effort=1\nmin_shapes=input:1x3x24x24\nopt_shapes=input:2x3x24x24\n"
                                    "max_shapes=input:32x3x24x24\n", device);
    uint32_t    changed = 0;
    pf_err      err = { 0 };

    (void)state;
    for (uint32_t s = 0; s < made->step_count; s++)
        if (!strcmp(made->steps[s].ranked[0].tactic, "onednn_pool")) {
            made->steps[s].ranked[0].tuning = "impl=of-other-sizes";
            changed++;
        }
    assert_true(changed > 0);
    test_ok(pf_context_new(made, device, NULL, &context, &err), &err);
    test_ok(pf_context_run_host(context, &input, &output, &err), &err);
    for (uint32_t s = 0; s < made->step_count; s++)
        assert_int_equal(context->instance->ranked[s], 0);
    expect_interpreted(net, &input, &output);
    pf_tensor_clear(&input);
    pf_tensor_clear(&output);
    pf_context_free(context);
    pf_plan_free(made);
}

static bool is_far_at(const pf_plan_step *step, int64_t batch)
{
    pf_problem *p = NULL;
    bool        far = false;
    pf_err      err = { 0 };

    assert_int_equal(plan->symbol_count, 1);
    test_ok(pf_problem_bind(step->problem, plan->dims, &batch, &p, &err), &err);
    far = pf_runtime_is_far(plan, step, &batch, p);
    pf_problem_free(p);
    return far;
}

/* The plan's tunings are those of two images. */
static void tunings_are_no_guide_far_away(void **state)
{
    (void)state;
    for (uint32_t s = 0; s < plan->step_count; s++) {
        assert_false(is_far_at(&plan->steps[s], 1));
        assert_false(is_far_at(&plan->steps[s], 8));
        assert_int_equal(is_far_at(&plan->steps[s], 32), !pf_problem_is_bound(plan->steps[s].problem));
    }
}

static void outputs_have_shapes_before_a_run(void **state)
{
    pf_context *context = new_context(NULL);
    int64_t     dim[PF_MAX_RANK] = { 5, 3, 24, 24 };
    int32_t     rank = 0;
    pf_err      err = { 0 };

    (void)state;
    test_ok(pf_context_set_shape(context, 0, dim, 4, &err), &err);
    test_ok(pf_context_shape(context, 1, dim, &rank, &err), &err);
    assert_int_equal(rank, 2);
    assert_int_equal(dim[0], 5);
    assert_int_equal(dim[1], 10);
    pf_context_free(context);
}

static void a_profile_times_every_layer(void **state)
{
    pf_context *context = new_context(NULL);
    int64_t     dim[4] = { 2, 3, 24, 24 }, times[64] = { 0 };
    pf_err      err = { 0 };

    (void)state;
    assert_true(pf_plan_layer_count(plan) <= 64);
    test_ok(pf_context_set_shape(context, 0, dim, 4, &err), &err);
    test_fails(pf_context_profile(context, 0, times, &err), PF_INVALID, &err);
    test_ok(pf_context_profile(context, 3, times, &err), &err);
    for (uint32_t i = 0; i < pf_plan_layer_count(plan); i++)
        assert_true(times[i] > 0);
    /* a CPU captures nothing */
    test_fails(pf_context_profile_captured(context, 3, times, &err), PF_UNSUPPORTED, &err);
    pf_context_free(context);
}

/* What a profiler would be told, in order. */
static struct { uint32_t begun, open, deepest; char first[64]; } ranges;

static void note_begin(pf_device *of, const char *name)
{
    assert_ptr_equal(of, device);
    if (!ranges.begun++)
        snprintf(ranges.first, sizeof ranges.first, "%s", name);
    ranges.open++;
    ranges.deepest = ranges.open > ranges.deepest ? ranges.open : ranges.deepest;
}

static void note_end(pf_device *of)
{
    assert_ptr_equal(of, device);
    assert_true(ranges.open > 0);
    ranges.open--;
}

static uint32_t ranges_of_a_run(pf_context *context)
{
    memset(&ranges, 0, sizeof ranges);
    run_once(context, 2, 1);
    assert_int_equal(ranges.open, 0);
    return ranges.begun;
}

static void runs_and_layers_are_named_to_profilers(void **state)
{
    const pf_device_ops *kept = device->ops;
    pf_device_ops        noting = *kept;
    pf_context          *context = NULL;
    pf_err               err = { 0 };

    (void)state;
    noting.range_begin = note_begin;
    noting.range_end = note_end;
    device->ops = &noting;
    context = new_context(NULL);
    assert_int_equal(ranges_of_a_run(context), 0);
    test_ok(pf_context_mark_ranges(context, PF_RANGES_RUNS, &err), &err);
    assert_int_equal(ranges_of_a_run(context), 1);
    assert_string_equal(ranges.first, plan->network_name);
    test_ok(pf_context_mark_ranges(context, PF_RANGES_LAYERS, &err), &err);
    assert_int_equal(ranges_of_a_run(context), 1 + plan->step_count);
    assert_int_equal(ranges.deepest, 2);
    test_fails(pf_context_mark_ranges(context, (pf_ranges)3, &err), PF_INVALID, &err);
    pf_context_free(context);
    setenv("PLANFARM_RANGES", "runs", 1);
    context = new_context(NULL);
    unsetenv("PLANFARM_RANGES");
    assert_int_equal(ranges_of_a_run(context), 1);
    pf_context_free(context);
    device->ops = kept;
}

static bool count_values(void *user, uint32_t step, uint32_t value, const pf_tensor *tensor)
{
    uint32_t *seen = user;

    assert_true(step < plan->step_count && value < plan->value_count && tensor->data);
    return ++*seen < 3;
}

static void values_can_be_watched(void **state)
{
    pf_tensor   input = images(2, 1), output = { 0 };
    pf_context *context = bound_context(&input, &output);
    uint32_t    seen = 0;
    pf_err      err = { 0 };

    (void)state;
    test_ok(pf_context_run_watched(context, count_values, &seen, &err), &err);
    assert_int_equal(seen, 3);
    pf_context_free(context);
    pf_tensor_clear(&input);
    pf_tensor_clear(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_agrees_with_the_reference),
        cmocka_unit_test(shapes_come_and_go),
        cmocka_unit_test(a_ready_run_allocates_nothing),
        cmocka_unit_test(runs_give_the_same_bits),
        cmocka_unit_test(contexts_run_in_parallel),
        cmocka_unit_test(memory_comes_from_the_given_allocator), cmocka_unit_test(what_a_context_holds_is_what_it_took),
        cmocka_unit_test(runs_and_layers_are_named_to_profilers),
        cmocka_unit_test(out_of_device_memory_is_said),
        cmocka_unit_test(misuse_is_explained),
        cmocka_unit_test(refused_choices_fall_back),
        cmocka_unit_test(a_tuning_of_other_sizes_is_guessed_anew),
        cmocka_unit_test(tunings_are_no_guide_far_away),
        cmocka_unit_test(outputs_have_shapes_before_a_run),
        cmocka_unit_test(a_profile_times_every_layer),
        cmocka_unit_test(values_can_be_watched),
    };

    return cmocka_run_group_tests(tests, make_plan, drop_plan);
}
