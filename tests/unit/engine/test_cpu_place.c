/* The CPU's tactics that place elements (pads that repeat, scatters, triangles) on random small problems: the same bits
   as the references, with one thread and with several; and what they say of an index that is outside. */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "engine/op.h"
#include "engine/oracle.h"
#include "engine/tactic.h"

enum { TEXT_BYTES = 1024, INPUTS = 3, RANK = 3 };

static const char *const dtypes[] = { "f32", "i64", "i32" };

static int64_t between(pf_random *r, int64_t low, int64_t high)
{
    return low + (int64_t)pf_random_below(r, (uint64_t)(high - low + 1));
}

static const char *one_of(pf_random *r, const char *const *names, uint64_t count)
{
    return names[pf_random_below(r, count)];
}

static void print_list(char *out, const int64_t *x, int32_t count)
{
    size_t used = 1;

    out[0] = '[';
    for (int32_t i = 0; i < count; i++)
        used += (size_t)sprintf(out + used, "%s%lld", i ? "," : "", (long long)x[i]);
    out[used] = ']';
    out[used + 1] = 0;
}

/* ---- Random problems */
static int32_t draw_dims(pf_random *r, int32_t least_rank, int64_t most, int64_t *dim)
{
    int32_t rank = (int32_t)between(r, least_rank, RANK);

    for (int32_t d = 0; d < rank; d++)
        dim[d] = between(r, 1, most);
    return rank;
}

static void draw_pad(pf_random *r, char *text)
{
    static const char *const modes[] = { "reflect", "edge", "wrap" };
    char                     shape[128], pads[128];
    int64_t                  dim[RANK], pad[2 * RANK];
    int32_t                  rank = draw_dims(r, 1, 12, dim);

    for (int32_t d = 0; d < rank; d++) {
        pad[d] = between(r, -dim[d] / 3, 14);
        pad[d + rank] = between(r, -dim[d] / 3, 14);
    }
    print_list(shape, dim, rank);
    print_list(pads, pad, 2 * rank);
    snprintf(text, TEXT_BYTES, "problem in=linear out=linear numerics=0\ngraph\n%%0 = input %s %s\n"
                               "%%1 = pad(%%0) mode=%s pads=%s\noutput %%1\n",
             one_of(r, dtypes, 3), shape, one_of(r, modes, 3), pads);
}

static void draw_trilu(pf_random *r, char *text)
{
    char    shape[128];
    int64_t dim[RANK];
    int32_t rank = draw_dims(r, 2, 40, dim);

    print_list(shape, dim, rank);
    snprintf(text, TEXT_BYTES, "problem in=linear out=linear numerics=0\ngraph\n%%0 = input %s %s\n"
                               "%%1 = trilu(%%0) upper=%d k=%lld\noutput %%1\n",
             one_of(r, dtypes, 3), shape, (int)between(r, 0, 1), (long long)between(r, -50, 50));
}

static void print_scatter(pf_random *r, char *text, const char *shapes[INPUTS], const char *call)
{
    static const char *const reductions[] = { "none", "add", "mul", "max", "min" };
    const char              *dtype = one_of(r, dtypes, 3);

    snprintf(text, TEXT_BYTES,
             "problem in=linear,linear,linear out=linear numerics=0\ngraph\n%%0 = input %s %s\n%%1 = input %s %s\n%%2 "
             "= input %s %s\n"
             "%%3 = %s reduction=%s\noutput %%3\n",
             dtype, shapes[0], one_of(r, dtypes + 1, 2), shapes[1], dtype, shapes[2], call, one_of(r, reductions, 5));
}

/* Dims that indices look into have 100 and more: random integers are below that. */
static void draw_scatter_nd(pf_random *r, char *text)
{
    char        x[128], at[128], u[128];
    const char *shapes[INPUTS] = { x, at, u };
    int64_t     dim[RANK], places[3], updates[RANK + 2];
    int32_t     rank = draw_dims(r, 1, 20, dim), depth = rank > 1 ? (int32_t)between(r, 1, 2) : 1;

    places[0] = between(r, 1, 9);
    places[1] = between(r, 1, 9);
    places[2] = depth;
    updates[0] = places[0];
    updates[1] = places[1];
    for (int32_t d = 0; d < depth; d++)
        dim[d] = between(r, 100, 110);
    for (int32_t d = depth; d < rank; d++)
        updates[2 + d - depth] = dim[d] = between(r, 1, 6);
    print_list(x, dim, rank);
    print_list(at, places, 3);
    print_list(u, updates, 2 + rank - depth);
    print_scatter(r, text, shapes, "scatter_nd(%0, %1, %2)");
}

static void draw_scatter_elements(pf_random *r, char *text)
{
    char        x[128], at[128], call[128];
    const char *shapes[INPUTS] = { x, at, at };
    int64_t     dim[RANK], count[RANK];
    int32_t     rank = draw_dims(r, 1, 20, dim), axis = (int32_t)between(r, 0, rank - 1);

    dim[axis] = between(r, 100, 120);
    for (int32_t d = 0; d < rank; d++)
        count[d] = between(r, 1, d == axis ? 20 : dim[d]);
    print_list(x, dim, rank);
    print_list(at, count, rank);
    snprintf(call, sizeof call, "scatter_elements(%%0, %%1, %%2) axis=%d", axis);
    print_scatter(r, text, shapes, call);
}

/* ---- Running one */
static pf_status run(const char *name, int32_t threads, const pf_problem *p, void *const *in, void *const *out,
                     pf_err *err)
{
    const pf_tactic  *tactic = pf_tactic_find(name);
    pf_device_options options = { .threads = threads };
    pf_device        *device = NULL;
    pf_stream        *stream = NULL;
    pf_step          *step = NULL;
    pf_bindings       bindings = { in, out, NULL, NULL };
    pf_status         st = PF_OK;

    test_ok(pf_device_open("cpu", &options, &device, err), err);
    test_ok(device->ops->stream_new(device, &stream, err), err);
    if (pf_tactic_declines(tactic, device, p))
        fail_msg("%s: %s\n%s", name, pf_tactic_declines(tactic, device, p), p->text);
    test_ok(tactic->prepare(device, p, "", NULL, 0, &step, err), err);
    st = tactic->enqueue(step, &bindings, stream, err);
    pf_step_free(step);
    device->ops->stream_free(device, stream);
    pf_device_close(device);
    return st;
}

static void same_as_reference(const char *name, const char *text)
{
    pf_problem *p = NULL;
    pf_oracle   oracle = { 0 };
    void       *in[INPUTS] = { NULL }, *out = NULL;
    pf_err      err = { 0 };

    test_ok(pf_problem_parse(text, &p, &err), &err);
    test_ok(pf_oracle_make(p, &oracle, &err), &err);
    for (uint32_t i = 0; i < oracle.in_count; i++)
        in[i] = oracle.in[i].data;
    out = pf_alloc(oracle.out[0].bytes + 1);
    assert_non_null(out);
    for (int32_t threads = 1; threads <= 3; threads += 2) {
        memset(out, 0xA5, oracle.out[0].bytes);
        test_ok(run(name, threads, p, in, &out, &err), &err);
        if (memcmp(out, oracle.out[0].data, oracle.out[0].bytes) != 0)
            fail_msg("%s differs with %d threads\n%s", name, threads, text);
    }
    pf_free(out);
    pf_oracle_clear(&oracle);
    pf_problem_free(p);
}

static void draw_and_compare(const char *name, void (*draw)(pf_random *r, char *text), uint64_t seed)
{
    pf_random r;
    char      text[TEXT_BYTES];

    pf_random_init(&r, seed);
    for (uint64_t i = 0, count = test_count("PF_PLACE_COUNT", 60, 3000); i < count; i++) {
        draw(&r, text);
        same_as_reference(name, text);
    }
}

static void pads_are_those_of_the_reference(void **state) { (void)state; draw_and_compare("cpu_pad", draw_pad, 1); }
static void triangles_are_those_of_the_reference(void **state)
{
    (void)state;
    draw_and_compare("cpu_trilu", draw_trilu, 2);
}
static void slices_are_put_like_the_reference_does(void **state)
{
    (void)state;
    draw_and_compare("cpu_scatter", draw_scatter_nd, 3);
}
static void elements_are_put_like_the_reference_does(void **state)
{
    (void)state;
    draw_and_compare("cpu_scatter", draw_scatter_elements, 4);
}

static void indices_outside_end_a_scatter(void **state)
{
    static const int64_t wrong[] = { 5, -6, INT64_MAX, INT64_MIN };
    float                x[5] = { 0 }, u[2] = { 1, 2 }, y[5] = { 0 };
    void                *out = y;
    pf_problem          *p = NULL;
    pf_err               err = { 0 };

    (void)state;
    test_ok(pf_problem_parse("problem in=linear,linear,linear out=linear numerics=0\ngraph\n%0 = input f32 [5]\n"
                             "%1 = input i64 [2,1]\n%2 = input f32 [2]\n"
                             "%3 = scatter_nd(%0, %1, %2)\noutput %3\n", &p, &err), &err);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int64_t at[2] = { -5, wrong[i] };
        void   *in[INPUTS] = { x, at, u };

        test_fails(run("cpu_scatter", 1, p, in, &out, &err), PF_INVALID, &err);
    }
    pf_problem_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pads_are_those_of_the_reference), cmocka_unit_test(triangles_are_those_of_the_reference),
        cmocka_unit_test(slices_are_put_like_the_reference_does),
        cmocka_unit_test(elements_are_put_like_the_reference_does), cmocka_unit_test(indices_outside_end_a_scatter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
