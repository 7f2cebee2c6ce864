/* Steps of plans for a range of sizes: which candidates do for all of them, and what stands behind the choice. */
#include "engine/builder_range.h"
#include "tests/unit/engine/networks.h"

enum { LEAST = 1, USUAL = 4, MOST = 64 };

/* A tactic that takes batches up to `taken`, can be prepared for those up to `prepared`, and packs in one way up to
   `packed_alike`. */
static struct { int64_t taken, prepared, packed_alike; int preparations; } limits;

static int64_t batch_of(const pf_problem *p)
{
    return p->graph->values[p->graph->inputs[0]].shape.dim[0];
}

static const char *declines(const pf_device *device, const pf_problem *p)
{
    (void)device;
    return batch_of(p) > limits.taken ? "a large batch" : NULL;
}

static const pf_tactic limited;

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    (void)device;
    (void)tuning;
    (void)saved;
    (void)saved_bytes;
    limits.preparations++;
    if (batch_of(p) > limits.prepared)
        return PF_FAIL(err, PF_UNSUPPORTED, "it takes no batch of %lld", (long long)batch_of(p));
    *out = pf_step_new(&limited, 1);
    assert_non_null(*out);
    (*out)->packed_bytes = batch_of(p) > limits.packed_alike ? 512 : 256;
    return PF_OK;
}

static const pf_tactic limited = { .name = "limited", .declines = declines, .prepare = prepare };

typedef struct ranged {
    pf_device  *device;
    pf_problem *problem, *usual;
    int64_t     least_batch, usual_batch, most_batch;
    pf_profile  profile;
    pf_formats  formats;
    pf_draft    draft;
    pf_step    *prepared;               /* at the usual batch */
} ranged;

static void open_range(ranged *r, int64_t least, int64_t most)
{
    const char *text = "problem in=linear out=linear numerics=0\ngraph\n%0 = input f32 [batch,8]\n%1 = relu(%0)\n"
                       "output %1\n";
    pf_err      err = { 0 };

    *r = (ranged){ .device = cpu(), .least_batch = least, .usual_batch = USUAL, .most_batch = most };
    test_ok(pf_problem_parse(text, &r->problem, &err), &err);
    test_ok(pf_problem_bind(r->problem, r->problem->graph->dims, &r->usual_batch, &r->usual, &err), &err);
    r->profile = (pf_profile){ 1, &r->least_batch, &r->usual_batch, &r->most_batch };
    r->formats = (pf_formats){ .graph = r->problem->graph, .profile = &r->profile };
    r->draft = (pf_draft){ .formats = &r->formats };
    test_ok(limited.prepare(r->device, r->usual, "", NULL, 0, &r->prepared, &err), &err);
    limits.preparations = 0;
}

static void close_range(ranged *r)
{
    pf_step_free(r->prepared);
    pf_problem_free(r->usual);
    pf_problem_free(r->problem);
    pf_device_close(r->device);
}

static bool serves(const ranged *r, pf_problem *problem)
{
    pf_plan_candidate choice = { .tactic = limited.name, .tuning = "" };
    pf_plan_step      step = { .problem = problem, .ranked = &choice, .ranked_count = 1 };

    return pf_builder_range_serves(&r->draft, r->device, &step, r->prepared);
}

static void expect(int64_t taken, int64_t prepared, int64_t packed_alike, bool does)
{
    ranged r;

    limits.taken = taken;
    limits.prepared = prepared;
    limits.packed_alike = packed_alike;
    open_range(&r, LEAST, MOST);
    assert_int_equal(serves(&r, r.problem), does);
    assert_true(serves(&r, r.usual));
    close_range(&r);
}

static void both_ends_must_be_taken_and_prepared_alike(void **state)
{
    (void)state;
    expect(MOST, MOST, MOST, true);
    expect(MOST - 1, MOST, MOST, false);
    expect(MOST, MOST - 1, MOST, false);
    expect(MOST, MOST, MOST - 1, false);
    expect(MOST, MOST, USUAL, false);
}

/* What is usual was prepared already. */
static void only_other_ends_are_asked_about(void **state)
{
    ranged r;

    (void)state;
    limits.taken = limits.prepared = limits.packed_alike = MOST;
    open_range(&r, USUAL, MOST);
    assert_true(serves(&r, r.problem));
    assert_int_equal(limits.preparations, 1);
    close_range(&r);
    open_range(&r, LEAST, MOST);
    assert_true(serves(&r, r.problem));
    assert_int_equal(limits.preparations, 2);
    close_range(&r);
}

/* What is preferred to the choice stands before it where sizes vary, and in its place where they do not. */
static void what_is_preferred_leaves_the_choice_behind_it(void **state)
{
    pf_timing_entry   better = { .tactic = "better", .tuning = "t", .rev = 3, .min_ns = 60, .median_ns = 70 };
    pf_plan_candidate list[PF_RANKED_MOST + 1] = { { "choice", "c", 1, 50 }, { "other", "o", 2, 90 } };
    pf_plan_step      step = { .ranked = list, .ranked_count = 2 };
    ranged            r;

    (void)state;
    open_range(&r, LEAST, MOST);
    r.draft.plan.steps = &step;
    step.problem = r.problem;
    pf_builder_prefer(&r.draft, 0, &better);
    assert_int_equal(step.ranked_count, 3);
    assert_string_equal(list[0].tactic, "better");
    assert_int_equal(list[0].time_ns, 70);
    assert_string_equal(list[1].tactic, "choice");
    assert_string_equal(list[2].tactic, "other");
    step.problem = r.usual;
    pf_builder_prefer(&r.draft, 0, &(pf_timing_entry){ .tactic = "best", .tuning = "b" });
    assert_int_equal(step.ranked_count, 3);
    assert_string_equal(list[0].tactic, "best");
    assert_string_equal(list[1].tactic, "choice");
    step.problem = r.problem;
    for (int i = 0; i < PF_RANKED_MOST; i++)
        pf_builder_prefer(&r.draft, 0, &better);
    assert_int_equal(step.ranked_count, PF_RANKED_MOST);
    assert_null(list[PF_RANKED_MOST].tactic);
    close_range(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_must_be_taken_and_prepared_alike),
        cmocka_unit_test(only_other_ends_are_asked_about),
        cmocka_unit_test(what_is_preferred_leaves_the_choice_behind_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
