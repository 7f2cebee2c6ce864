#include <stdio.h>

#include "engine/graph.h"
#include "engine/op.h"
#include "engine/plan.h"
#include "tests/unit/engine/networks.h"

typedef struct built {
    pf_network      *net;
    pf_config       *config;
    pf_device       *device;
    pf_plan         *plan;
    pf_build_report  report;
} built;

static pf_status try_build(built *b, pf_network *net, const char *spec, const pf_build_options *options, pf_err *err)
{
    *b = (built){ .net = net, .config = config_of(spec), .device = cpu() };
    return pf_build(b->net, b->config, b->device, options, &b->plan, &b->report, err);
}

static built build(pf_network *net, const char *spec, pf_timing_store *store)
{
    built            b = { 0 };
    pf_build_options options = { .store = store };
    pf_err           err = { 0 };

    test_ok(try_build(&b, net, spec, &options, &err), &err);
    return b;
}

static void drop(built *b)
{
    pf_plan_free(b->plan);
    pf_device_close(b->device);
    pf_config_free(b->config);
    pf_network_free(b->net);
}

static pf_timing_store *new_store(void)
{
    pf_timing_store *store = NULL;
    pf_err           err = { 0 };

    test_ok(pf_timing_store_memory(&store, &err), &err);
    return store;
}

static bool same_bytes(const pf_plan *a, const pf_plan *b)
{
    size_t      bytes_a = 0, bytes_b = 0;
    const void *x = pf_plan_bytes(a, &bytes_a), *y = pf_plan_bytes(b, &bytes_b);

    return bytes_a == bytes_b && !memcmp(x, y, bytes_a);
}

static void builds_and_agrees(void **state)
{
    built b = build(residual_network("[2,3,32,32]"), "effort=1\n", NULL);

    (void)state;
    assert_true(b.report.problems > 3);
    assert_true(b.report.candidates_timed > 0);
    assert_true(b.report.max_rel_error >= 0 && b.report.max_rel_error < 1e-4);
    assert_true(b.report.memory_bytes >= b.report.memory_lower_bound_bytes);
    assert_true(b.report.least_cosine > 0.999999 && b.report.least_cosine < 1.000001);
    assert_int_equal(b.report.device_bytes, b.report.memory_bytes);     /* a CPU's weights stay in the plan */
    assert_int_equal(b.report.device_bound_bytes, b.report.memory_lower_bound_bytes);
    drop(&b);
}

/* A store that counts the checks of plans which are asked for and stored. */
typedef struct watched_store { pf_timing_store base; pf_timing_store *inner; uint32_t found, kept; } watched_store;

static pf_status watched_lookup(pf_timing_store *base, const pf_digest *device_class, const pf_digest *problems,
                                uint32_t count, pf_timing_record *out, pf_err *err)
{
    watched_store *w = (watched_store *)base;
    pf_status      st = w->inner->lookup(w->inner, device_class, problems, count, out, err);

    for (uint32_t i = 0; i < count && !st; i++)
        w->found += pf_timing_record_find(&out[i], "plan", "usual") != NULL;
    return st;
}

static pf_status watched_merge(pf_timing_store *base, const char *class_text, const char *problem_text,
                               const pf_timing_record *entries, pf_err *err)
{
    watched_store *w = (watched_store *)base;

    w->kept += pf_timing_record_find(entries, "plan", "usual") != NULL;
    return w->inner->merge(w->inner, class_text, problem_text, entries, err);
}

static void bytes_that_were_checked_are_not_checked_again(void **state)
{
    watched_store watched = { .base = { .lookup = watched_lookup, .merge = watched_merge }, .inner = new_store() };
    built         first = build(residual_network("[2,3,32,32]"), "effort=1\n", &watched.base), second = { 0 },
                  other = { 0 };

    (void)state;
    assert_int_equal(watched.kept, 1);
    assert_int_equal(watched.found, 0);
    second = build(residual_network("[2,3,32,32]"), "effort=1\n", &watched.base);
    assert_int_equal(watched.kept, 1);
    assert_int_equal(watched.found, 1);
    assert_true(second.report.max_rel_error == first.report.max_rel_error);
    assert_true(second.report.least_cosine == first.report.least_cosine);
    assert_int_equal(second.report.device_bytes, first.report.device_bytes);
    assert_int_equal(second.report.memory_bytes, first.report.memory_bytes);
    assert_int_equal(second.report.memory_lower_bound_bytes, first.report.memory_lower_bound_bytes);
    other = build(residual_network("[3,3,32,32]"), "effort=1\n", &watched.base);
    assert_int_equal(watched.kept, 2);
    drop(&first);
    drop(&second);
    drop(&other);
    watched.inner->close(watched.inner);
}

static void a_full_store_gives_the_same_bytes_and_times_nothing(void **state)
{
    pf_timing_store *store = new_store();
    built            first = build(residual_network("[2,3,32,32]"), "effort=1\n", store);
    built            second = build(residual_network("[2,3,32,32]"), "effort=1\n", store);
    built            replayed = build(residual_network("[2,3,32,32]"), "effort=1\nreplay=1\n", store);

    (void)state;
    assert_true(first.report.candidates_timed > 0);
    assert_int_equal(first.report.cache_hits, 0);
    assert_int_equal(second.report.candidates_timed, 0);
    assert_int_equal(second.report.cache_misses, 0);
    assert_int_equal(second.report.cache_hits, second.report.problems);
    assert_true(same_bytes(first.plan, second.plan));
    assert_int_equal(replayed.report.candidates_timed, 0);
    assert_true(same_bytes(first.plan, replayed.plan));
    drop(&first);
    drop(&second);
    drop(&replayed);
    store->close(store);
}

/* A store that hands everything on to another one, entry by entry, the last first and each twice, through the form in
   which timings travel. */
typedef struct forking_store { pf_timing_store base; pf_timing_store *inner, *other; } forking_store;

static pf_status forking_lookup(pf_timing_store *base, const pf_digest *device_class, const pf_digest *problems,
                                uint32_t count, pf_timing_record *out, pf_err *err)
{
    pf_timing_store *inner = ((forking_store *)base)->inner;

    return inner->lookup(inner, device_class, problems, count, out, err);
}

static pf_status hand_on(pf_timing_store *to, const char *class_text, const char *problem_text,
                         const pf_timing_record *one, pf_err *err)
{
    pf_timing_record arrived = { 0 };
    pf_buf           bytes;
    pf_status        st = PF_OK;

    pf_buf_init(&bytes, 1 << 20);
    assert_true(pf_timing_record_encode(one, &bytes));
    st = pf_timing_record_decode(bytes.data, bytes.size, &arrived, err);
    if (!st)
        st = to->merge(to, class_text, problem_text, &arrived, err);
    pf_buf_clear(&bytes);
    pf_timing_record_clear(&arrived);
    return st;
}

static pf_status forking_merge(pf_timing_store *base, const char *class_text, const char *problem_text,
                               const pf_timing_record *entries, pf_err *err)
{
    forking_store *f = (forking_store *)base;
    pf_status      st = f->inner->merge(f->inner, class_text, problem_text, entries, err);

    for (uint32_t i = 0; i < 2 * entries->count && !st; i++) {
        pf_timing_record one = { &entries->entries[(2 * entries->count - 1 - i) / 2], 1, 1, entries->effort };

        st = hand_on(f->other, class_text, problem_text, &one, err);
    }
    return st;
}

static void merged_timings_give_the_same_bytes(void **state)
{
    forking_store store = { .base = { .lookup = forking_lookup, .merge = forking_merge }, .inner = new_store(),
                            .other = new_store() };
    built         first = build(residual_network("[2,3,32,32]"), "effort=2\n", &store.base);
    built         merged = build(residual_network("[2,3,32,32]"), "effort=2\n", store.other);

    (void)state;
    assert_int_equal(merged.report.candidates_timed, 0);
    assert_true(same_bytes(first.plan, merged.plan));
    drop(&first);
    drop(&merged);
    store.inner->close(store.inner);
    store.other->close(store.other);
}

/* A store in which whatever was measured of choices inside a network says that the second candidate of every step is
   better. */
typedef struct swapping_store {
    pf_timing_store  base;
    pf_timing_store *inner;
    uint32_t         kept;
    bool             swaps;
} swapping_store;

static pf_status swapping_lookup(pf_timing_store *base, const pf_digest *device_class, const pf_digest *problems,
                                 uint32_t count, pf_timing_record *out, pf_err *err)
{
    swapping_store *w = (swapping_store *)base;

    return w->inner->lookup(w->inner, device_class, problems, count, out, err);
}

static pf_status swapping_merge(pf_timing_store *base, const char *class_text, const char *problem_text,
                                const pf_timing_record *entries, pf_err *err)
{
    swapping_store  *w = (swapping_store *)base;
    pf_timing_record record = { 0 };
    pf_timing_entry  entry = { .tactic = "refined", .rev = 1 };
    pf_status        st = PF_OK;

    if (strncmp(problem_text, "refined choices\n", 16) != 0)
        return w->inner->merge(w->inner, class_text, problem_text, entries, err);
    w->kept++;
    st = pf_timing_record_merge(&record, entries, err);
    for (int step = 0; step < 64 && w->swaps && !st; step++) {
        snprintf(entry.tuning, sizeof entry.tuning, "step=%d rank=1", step);
        st = pf_timing_record_put(&record, &entry, err);
    }
    if (!st)
        st = w->inner->merge(w->inner, class_text, problem_text, &record, err);
    pf_timing_record_clear(&record);
    return st;
}

static uint32_t differing_choices(const pf_plan *a, const pf_plan *b)
{
    uint32_t count = 0;

    assert_int_equal(a->step_count, b->step_count);
    for (uint32_t s = 0; s < a->step_count; s++)
        count += strcmp(a->steps[s].ranked[0].tactic, b->steps[s].ranked[0].tactic) ||
                 strcmp(a->steps[s].ranked[0].tuning, b->steps[s].ranked[0].tuning);
    return count;
}

static void expect_measured_once(const char *image, const char *config)
{
    swapping_store store = { .base = { .lookup = swapping_lookup, .merge = swapping_merge }, .inner = new_store() };
    built          first = build(residual_network(image), config, &store.base);
    built          second = build(residual_network(image), config, &store.base);

    assert_int_equal(store.kept, 1);
    assert_int_equal(second.report.candidates_timed, 0);
    assert_true(same_bytes(first.plan, second.plan));
    drop(&first);
    drop(&second);
    store.inner->close(store.inner);
}

/* Step by step with the one behind it, and from effort 4 on in whole runs, which cards always take. */
static void choices_are_measured_again_inside_the_network_once(void **state)
{
    (void)state;
    expect_measured_once("[1,3,32,32]", "effort=2\n");
    expect_measured_once("[1,3,8,8]", "effort=4\n");
}

static void what_was_measured_inside_the_network_decides(void **state)
{
    swapping_store store = { .base = { .lookup = swapping_lookup, .merge = swapping_merge }, .inner = new_store(),
                             .swaps = true };
    built          first = build(residual_network("[1,3,32,32]"), "effort=2\n", &store.base);
    built          second = build(residual_network("[1,3,32,32]"), "effort=2\n", &store.base);
    built          third = build(residual_network("[1,3,32,32]"), "effort=2\nreplay=1\n", &store.base);

    (void)state;
    assert_true(differing_choices(first.plan, second.plan) > 0);
    assert_true(second.report.max_rel_error >= 0 && second.report.max_rel_error < 1e-4);
    assert_int_equal(second.report.candidates_timed, 0);
    assert_true(same_bytes(second.plan, third.plan));
    drop(&first);
    drop(&second);
    drop(&third);
    store.inner->close(store.inner);
}

/* A store in which products of so many columns take very long. */
typedef struct slow_store { pf_timing_store base; pf_timing_store *inner; const char *columns; } slow_store;

static pf_status slow_lookup(pf_timing_store *base, const pf_digest *device_class, const pf_digest *problems,
                             uint32_t count, pf_timing_record *out, pf_err *err)
{
    slow_store *w = (slow_store *)base;

    return w->inner->lookup(w->inner, device_class, problems, count, out, err);
}

static pf_status slow_merge(pf_timing_store *base, const char *class_text, const char *problem_text,
                            const pf_timing_record *entries, pf_err *err)
{
    slow_store      *w = (slow_store *)base;
    pf_timing_record record = { 0 };
    bool             slow = strstr(problem_text, "matmul") && strstr(problem_text, w->columns);
    pf_status        st = pf_timing_record_merge(&record, entries, err);

    for (uint32_t i = 0; i < record.count && slow; i++)
        record.entries[i].min_ns = record.entries[i].median_ns = 1000000000;
    if (!st)
        st = w->inner->merge(w->inner, class_text, problem_text, &record, err);
    pf_timing_record_clear(&record);
    return st;
}

static pf_network *three_products(void)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, y = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("three", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[8,32]", &x, &err), &err);
    for (uint64_t i = 0; i < 3; i++) {
        pf_tensor_id w = random_constant(net, "w", 2, (int64_t[]){ 32, 40 }, 0.3, i + 1);

        y = layer(net, "matmul", (const char *[]){ "query", "key", "value" }[i], "", 2, (pf_tensor_id[]){ x, w });
        test_ok(pf_network_output(net, layer(net, "relu", "relu", "", 1, &y), (const char *[]){ "q", "k", "v" }[i],
                                  &err),
                &err);
    }
    return net;
}

static uint32_t products_of(const char *slow_columns, uint32_t *again)
{
    slow_store store = { .base = { .lookup = slow_lookup, .merge = slow_merge }, .inner = new_store(),
                         .columns = slow_columns };
    built      measured = build(three_products(), "effort=1\n", &store.base);     /* by its own times, as they are */
    built      first = build(three_products(), "effort=1\n", &store.base),
               second = build(three_products(), "effort=1\nreplay=1\n", &store.base);
    uint32_t   count = 0;

    for (uint32_t s = 0; s < first.plan->step_count; s++)
        count += strstr(first.plan->steps[s].problem_text, "matmul") != NULL;
    *again = first.report.candidates_timed;
    assert_true(same_bytes(first.plan, second.plan));
    drop(&measured);
    drop(&first);
    drop(&second);
    store.inner->close(store.inner);
    return count;
}

/* Three products of one value are one only where that is faster. */
static void merges_are_measured(void **state)
{
    uint32_t again = 0;

    (void)state;
    assert_int_equal(products_of("[32,40]", &again), 1);
    assert_int_equal(again, 0);
    assert_int_equal(products_of("[32,120]", &again), 3);
    assert_int_equal(again, 0);
}

/* Attention scores with a soft cap: two inputs multiplied, and two functions of one kind behind, whose numbers are
   operands. */
static pf_network *capped_product(const char *a_shape, const char *b_shape)
{
    pf_network  *net = NULL;
    pf_tensor_id a = PF_NONE, b = PF_NONE, y = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("capped", &net, &err), &err);
    test_ok(pf_network_input(net, "a", PF_F32, a_shape, &a, &err), &err);
    test_ok(pf_network_input(net, "b", PF_F32, b_shape, &b, &err), &err);
    y = layer(net, "matmul", "scores", "", 2, (pf_tensor_id[]){ a, b });
    y = layer(net, "mul", "down", "", 2, (pf_tensor_id[]){ y, random_constant(net, "1/cap", 0, NULL, 0.5, 1) });
    y = layer(net, "tanh", "tanh", "", 1, &y);
    y = layer(net, "mul", "up", "", 2, (pf_tensor_id[]){ y, random_constant(net, "cap", 0, NULL, 2, 2) });
    test_ok(pf_network_output(net, y, "y", &err), &err);
    return net;
}

static void numbers_are_packed_where_there_are_no_weights(void **state)
{
    static const char *specs[] = { "effort=0\n", "effort=1\n" };

    (void)state;
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        built fixed = build(capped_product("[2,4,8]", "[2,8,6]"), specs[i], NULL), free_dims = { 0 };

        assert_true(fixed.report.max_rel_error >= 0 && fixed.report.max_rel_error < 1e-4);
        free_dims = build(capped_product("[batch,4,8]", "[batch,8,6]"), specs[i], NULL);
        assert_true(free_dims.report.max_rel_error >= 0 && free_dims.report.max_rel_error < 1e-4);
        drop(&fixed);
        drop(&free_dims);
    }
}

static void more_effort_times_again_and_then_satisfies_less(void **state)
{
    pf_timing_store *store = new_store();
    built            low = build(residual_network("[1,3,16,16]"), "effort=1\n", store);
    built            high = build(residual_network("[1,3,16,16]"), "effort=3\n", store);
    built            again = build(residual_network("[1,3,16,16]"), "effort=1\n", store);

    (void)state;
    assert_true(high.report.candidates_timed >= low.report.candidates_timed);
    assert_int_equal(again.report.candidates_timed, 0);
    drop(&low);
    drop(&high);
    drop(&again);
    store->close(store);
}

static void replay_with_a_hole_names_the_layer(void **state)
{
    pf_timing_store *store = new_store();
    pf_build_options options = { .store = store };
    built            b = { 0 };
    pf_err           err = { 0 };

    (void)state;
    assert_int_equal(try_build(&b, residual_network("[1,3,16,16]"), "replay=1\n", &options, &err), PF_CACHE_MISS);
    assert_non_null(strstr(err.msg, "conv1"));
    assert_null(b.plan);
    drop(&b);
    store->close(store);
}

/* FP32 is the most there is. */
static void an_error_that_nothing_meets_is_said(void **state)
{
    built  b = { 0 };
    pf_err err = { 0 };

    (void)state;
    assert_int_equal(try_build(&b, residual_network("[2,3,32,32]"), "effort=0\nmax_error=1e-12\n", NULL, &err),
                     PF_MISMATCH);
    assert_null(b.plan);
    assert_non_null(strstr(err.msg, "everything computed in FP32"));
    assert_non_null(strstr(err.msg, "max_error is 1e-12"));
    drop(&b);
}

static void effort_0_times_nothing(void **state)
{
    built b = build(residual_network("[2,3,32,32]"), "effort=0\n", NULL);

    (void)state;
    assert_int_equal(b.report.candidates_timed, 0);
    assert_true(b.report.max_rel_error >= 0 && b.report.max_rel_error < 1e-4);
    drop(&b);
}

static void the_key_names_what_decides_the_bytes(void **state)
{
    built     one = build(residual_network("[2,3,32,32]"), "effort=0\n", NULL),
              other = build(residual_network("[1,3,32,32]"), "effort=0\n", NULL);
    built     same = build(residual_network("[2,3,32,32]"), "effort=0\n", NULL);
    pf_digest a = { 0 }, b = { 0 }, c = { 0 };

    (void)state;
    pf_plan_key_of(one.plan, &a);
    pf_plan_key_of(other.plan, &b);
    pf_plan_key_of(same.plan, &c);
    assert_false(pf_digest_equal(&a, &b));
    assert_true(pf_digest_equal(&a, &c));
    assert_true(same_bytes(one.plan, same.plan));       /* with nothing timed there is no chance in it */
    drop(&one);
    drop(&other);
    drop(&same);
}

static bool stop(void *user, const pf_progress *progress)
{
    uint32_t *left = user;

    assert_true(progress->phase < PF_PHASE_COUNT);
    assert_true(progress->problems_done <= progress->problems_total);
    return (*left)-- > 0;
}

static void can_be_cancelled(void **state)
{
    (void)state;
    for (uint32_t calls = 0; calls < 3; calls++) {
        uint32_t         left = calls;
        pf_build_options options = { .progress = stop, .user = &left };
        built            b = { 0 };
        pf_err           err = { 0 };

        test_fails(try_build(&b, residual_network("[2,3,32,32]"), "effort=2\n", &options, &err), PF_CANCELLED, &err);
        assert_null(b.plan);
        drop(&b);
    }
}

static void tactics_can_be_left_out(void **state)
{
    built            plain = build(residual_network("[1,3,8,8]"), "tactics=reference\neffort=1\n", NULL), b = { 0 };
    pf_build_options options = { 0 };
    pf_layer         first = { 0 };
    pf_err           err = { 0 };

    (void)state;
    for (uint32_t i = 0; i < pf_plan_layer_count(plain.plan); i++) {
        pf_plan_layer(plain.plan, i, &first);
        assert_string_equal(first.tactic, "reference");
    }
    drop(&plain);
    assert_int_equal(try_build(&b, residual_network("[1,3,8,8]"), "tactics=onednn_pool\neffort=1\n", &options, &err),
                     PF_BUILD_FAILED);
    assert_non_null(strstr(err.msg, "conv1"));
    drop(&b);
}

static void shapes_that_do_not_fit_are_named(void **state)
{
    static const struct { const char *spec, *word; } wrong[] = {
        { "shapes=input:1x3x32\n", "dims" },          { "shapes=inptu:1x3x32x32\n", "inptu" },
        { "shapes=input:1x4x32x32\n", "dim 1" },
        { "min_shapes=input:4x3x32x32\nmax_shapes=input:2x3x32x32\n", "batch" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        built  b = { 0 };
        pf_err err = { 0 };

        assert_int_equal(try_build(&b, residual_network("[batch,3,32,32]"), wrong[i].spec, NULL, &err), PF_USAGE);
        assert_non_null(strstr(err.msg, wrong[i].word));
        drop(&b);
    }
}

/* Dims that a spec fixes become numbers in attributes too: batch, and what is left of 15 when divided by seq, are the
   same then. */
static void fixed_dims_reach_attributes(void **state)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, flat = PF_NONE, named = PF_NONE, left = PF_NONE, sum = PF_NONE;
    pf_err       err = { 0 };
    built        b = { 0 };

    (void)state;
    test_ok(pf_network_new("fixed", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[batch,seq,6]", &x, &err), &err);
    flat = layer(net, "reshape", "flat", "shape=[-1,6]", 1, (pf_tensor_id[]){ x });
    named = layer(net, "reshape", "named", "shape=[batch,seq,6]", 1, (pf_tensor_id[]){ flat });
    left = layer(net, "reshape", "left", "shape=[-1,seq,6]", 1, (pf_tensor_id[]){ flat });
    sum = layer(net, "add", "sum", "", 2, (pf_tensor_id[]){ named, left });
    test_ok(pf_network_output(net, sum, "y", &err), &err);
    test_ok(try_build(&b, net, "shapes=x:3x5x6\neffort=0\n", NULL, &err), &err);
    assert_int_equal(pf_plan_io(b.plan, pf_plan_find_io(b.plan, "y"))->dim[0], 3);
    assert_int_equal(pf_plan_io(b.plan, pf_plan_find_io(b.plan, "y"))->dim[1], 5);
    drop(&b);
}

/* Outputs that nothing computes: an input, a constant, one value twice, and a view of another output. */
static pf_network *odd_outputs(void)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, c = PF_NONE, y = PF_NONE, v = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("odd", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[2,6]", &x, &err), &err);
    c = random_constant(net, "c", 2, (int64_t[]){ 2, 6 }, 1, 9);
    y = layer(net, "add", "y", "", 2, (pf_tensor_id[]){ x, c });
    v = layer(net, "reshape", "v", "shape=[3,4]", 1, (pf_tensor_id[]){ y });
    test_ok(pf_network_output(net, x, "x_again", &err), &err);
    test_ok(pf_network_output(net, c, "c_out", &err), &err);
    test_ok(pf_network_output(net, y, "y_out", &err), &err);
    test_ok(pf_network_output(net, y, "y_twice", &err), &err);
    test_ok(pf_network_output(net, v, "y_view", &err), &err);
    return net;
}

static void odd_outputs_are_copied(void **state)
{
    built b = build(odd_outputs(), "effort=1\n", NULL);

    (void)state;
    assert_int_equal(pf_plan_io_count(b.plan), 6);
    assert_true(b.report.max_rel_error < 1e-6);
    drop(&b);
}

static void describes_itself(void **state)
{
    built  b = build(residual_network("[2,3,32,32]"), "effort=0\n", NULL);
    pf_buf json = { 0 };
    pf_err err = { 0 };

    (void)state;
    pf_buf_init(&json, 1 << 22);
    test_ok(pf_plan_describe(b.plan, &json, &err), &err);
    assert_non_null(strstr((const char *)json.data, "\"max_rel_error\""));
    assert_non_null(strstr((const char *)json.data, "conv1"));
    assert_non_null(strstr((const char *)json.data, "\"effort\": \"0\""));
    pf_buf_clear(&json);
    drop(&b);
}

/* A convolution ahead, then what only data decides: which elements are positive, and how many. */
static pf_network *finding_network(void)
{
    pf_network  *net = NULL;
    pf_tensor_id x = PF_NONE, y = PF_NONE, where = PF_NONE;
    pf_err       err = { 0 };

    test_ok(pf_network_new("finding", &net, &err), &err);
    test_ok(pf_network_input(net, "x", PF_F32, "[n,3,12,12]", &x, &err), &err);
    y = layer(net, "relu", "relu", "", 1, (pf_tensor_id[]){ conv3x3(net, "conv", x, 3, 8, 4) });
    where = layer(net, "non_zero", "where", "", 1, (pf_tensor_id[]){ y });
    test_ok(pf_network_output(net, where, "where", &err), &err);
    test_ok(pf_network_output(net, y, "y", &err), &err);
    test_ok(pf_network_output(net, layer(net, "cast", "count", "dtype=f32", 1, (pf_tensor_id[]){ where }), "where_f32",
                              &err),
            &err);
    return net;
}

static void what_data_decides_runs_on_the_host(void **state)
{
    built       b = build(finding_network(), "effort=1\nmin_shapes=x:1x3x12x12\nopt_shapes=x:2x3x12x12\n"
                                             "max_shapes=x:4x3x12x12\n", NULL);
    pf_context *context = NULL;
    pf_tensor   input = { .dtype = PF_F32, .rank = 4,
                          .dim = { 3, 3, 12, 12 } }, outputs[3] = { { 0 } }, references[3] = { { 0 } };
    pf_err      err = { 0 };

    (void)state;
    assert_true(pf_plan_layer_count(b.plan) > 0);
    test_ok(pf_tensor_alloc(&input, &err), &err);
    pf_tensor_fill_random(&input, 3);
    test_ok(pf_context_new(b.plan, b.device, NULL, &context, &err), &err);
    for (int round = 0; round < 2; round++) {
        test_ok(pf_context_run_host(context, &input, outputs, &err), &err);
        test_ok(pf_interpret(pf_network_graph(b.net), &input, references, NULL, NULL, &err), &err);
        assert_int_equal(outputs[0].rank, 2);
        assert_true(outputs[0].dim[1] > 0);
        for (int i = 0; i < 3; i++) {
            pf_difference difference = { 0 };

            test_ok(pf_tensor_compare(&outputs[i], &references[i], &difference, &err), &err);
            assert_true(difference.max_rel_range < 1e-4);
            pf_tensor_clear(&outputs[i]);
            pf_tensor_clear(&references[i]);
        }
    }
    pf_context_free(context);
    pf_tensor_clear(&input);
    drop(&b);
}

/* With effort 0 layers are compared too, and what was bound for that must not be written in the next run. */
static void ranges_of_shapes_and_a_tail_are_checked_at_effort_0(void **state)
{
    built b = build(finding_network(), "effort=0\nmin_shapes=x:1x3x12x12\nopt_shapes=x:2x3x12x12\n"
                                       "max_shapes=x:4x3x12x12\n", NULL);

    (void)state;
    assert_true(pf_plan_layer_count(b.plan) > 0);
    drop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds_and_agrees),
        cmocka_unit_test(a_full_store_gives_the_same_bytes_and_times_nothing),
        cmocka_unit_test(merged_timings_give_the_same_bytes),
        cmocka_unit_test(bytes_that_were_checked_are_not_checked_again),
        cmocka_unit_test(choices_are_measured_again_inside_the_network_once),
        cmocka_unit_test(what_was_measured_inside_the_network_decides),
        cmocka_unit_test(merges_are_measured),
        cmocka_unit_test(numbers_are_packed_where_there_are_no_weights),
        cmocka_unit_test(more_effort_times_again_and_then_satisfies_less),
        cmocka_unit_test(replay_with_a_hole_names_the_layer),
        cmocka_unit_test(an_error_that_nothing_meets_is_said),
        cmocka_unit_test(effort_0_times_nothing),
        cmocka_unit_test(the_key_names_what_decides_the_bytes),
        cmocka_unit_test(can_be_cancelled),
        cmocka_unit_test(tactics_can_be_left_out),
        cmocka_unit_test(shapes_that_do_not_fit_are_named),
        cmocka_unit_test(fixed_dims_reach_attributes),
        cmocka_unit_test(odd_outputs_are_copied),
        cmocka_unit_test(what_data_decides_runs_on_the_host),
        cmocka_unit_test(ranges_of_shapes_and_a_tail_are_checked_at_effort_0),
        cmocka_unit_test(describes_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
