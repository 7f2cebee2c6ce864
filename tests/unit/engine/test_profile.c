/* Sizes of dims that have names: given, guessed, and refused in a sentence. */
#include "tests/test.h"

#include <string.h>

#include "engine/config.h"
#include "engine/profile.h"
#include "engine/profile_guess.h"
#include "tests/unit/engine/networks.h"

#define IMAGE "graph \"\"\n%x = input f32 [batch,3,h,w] \"image\"\n%k = input f32 [4,3,7,7] \"k\"\n" \
              "%a = conv(%x, %k, _) strides=[2,2] dilations=[1,1] pads=[0,0,0,0] groups=1\n" \
              "%b = max_pool(%a) kernel=[3,3] strides=[3,3] dilations=[1,1] pads=[0,0,0,0]\n"
#define SEQUENCE "graph \"\"\n%x = input f32 [batch,seq,4] \"x\"\n%t = input f32 [6,4] \"t\"\n" \
                 "%s = slice(%t) axes=[0] starts=[0] ends=[seq] steps=[1]\n%y = add(%x, %s)\noutput %y\n"

static pf_status apply(const char *text, const char *config_text, pf_graph **graph, pf_profile *profile, pf_err *err)
{
    pf_config *config = config_of(config_text);
    pf_status  st = PF_OK;

    test_ok(pf_graph_parse(text, graph, err), err);
    st = pf_profile_apply(config, *graph, profile, err);
    pf_config_free(config);
    return st;
}

static int64_t value_of(const pf_graph *graph, const int64_t *values, const char *symbol)
{
    return values[pf_dims_symbol_index(graph->dims, symbol)];
}

static void open_sizes_are_the_least_that_the_network_takes(void **state)
{
    pf_err     err = { 0 };
    pf_graph  *graph = NULL;
    pf_profile profile = { 0 };

    (void)state;
    test_ok(apply(IMAGE "output %b\n", "", &graph, &profile, &err), &err);
    test_ok(pf_graph_verify(graph, &err), &err);
    assert_int_equal(value_of(graph, profile.usual, "batch"), 1);
    assert_int_equal(value_of(graph, profile.usual, "h"), 16);          /* 7 are needed for one pixel, 11 for three */
    assert_int_equal(value_of(graph, profile.least, "w"), 16);
    assert_int_equal(value_of(graph, profile.most, "w"), PF_PROFILE_MOST);
    pf_profile_clear(&profile);
    pf_graph_free(graph);
}

/* The mean of each channel is taken off: three channels, or one that is made three. */
static void channels_need_not_be_as_many_as_rows(void **state)
{
    pf_err     err = { 0 };
    pf_graph  *graph = NULL;
    pf_profile profile = { 0 };

    (void)state;
    test_ok(apply("graph \"\"\n%x = input f32 [batch,channels,h,w] \"image\"\n%m = input f32 [1,3,1,1] \"mean\"\n"
                  "%k = input f32 [4,3,7,7] \"k\"\n%s = sub(%x, %m)\n"
                  "%y = conv(%s, %k) strides=[2,2] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %y\n", "", &graph,
                  &profile, &err), &err);
    assert_int_equal(value_of(graph, profile.usual, "batch"), 1);
    assert_int_equal(value_of(graph, profile.usual, "channels"), 1);
    assert_int_equal(value_of(graph, profile.usual, "h"), 8);
    pf_profile_clear(&profile);
    pf_graph_free(graph);
}

/* 400 samples have room for the windows of a speech model's convolutions. */
static void a_bound_leads_to_a_usual_size(void **state)
{
    pf_err    err = { 0 };
    pf_graph *graph = NULL;
    int64_t   value = 400;
    bool      open = true;

    (void)state;
    test_ok(pf_graph_parse("graph \"\"\n%x = input f32 [samples] \"x\"\n%y = neg(%x)\noutput %y\n", &graph, &err),
            &err);
    pf_dims_bound(graph->dims, 0, 400, 5000);
    test_ok(pf_profile_guess(graph, &open, &value, &err), &err);
    assert_int_equal(value, 512);
    value = 450;
    pf_dims_bound(graph->dims, 0, 450, 500);
    test_ok(pf_profile_guess(graph, &open, &value, &err), &err);
    assert_int_equal(value, 500);
    pf_graph_free(graph);
}

static void given_sizes_are_kept(void **state)
{
    pf_err     err = { 0 };
    pf_graph  *graph = NULL;
    pf_profile profile = { 0 };

    (void)state;
    test_ok(apply(IMAGE "output %b\n", "min_shapes=image:1x3x20x30\nmax_shapes=image:8x3x40x50\n", &graph, &profile,
                  &err),
            &err);
    assert_int_equal(value_of(graph, profile.least, "h"), 20);
    assert_int_equal(value_of(graph, profile.usual, "w"), 50);
    assert_int_equal(value_of(graph, profile.most, "batch"), 8);
    pf_profile_clear(&profile);
    pf_graph_free(graph);
}

static void tables_bound_a_sequence(void **state)
{
    pf_err     err = { 0 };
    pf_graph  *graph = NULL;
    pf_profile profile = { 0 };

    (void)state;
    test_ok(apply(SEQUENCE, "", &graph, &profile, &err), &err);
    test_ok(pf_graph_verify(graph, &err), &err);
    assert_int_equal(value_of(graph, profile.usual, "seq"), 1);
    assert_int_equal(value_of(graph, profile.most, "seq"), 6);
    pf_profile_clear(&profile);
    pf_graph_free(graph);
    test_fails(apply(SEQUENCE, "min_shapes=x:1x1x4\nmax_shapes=x:1x9x4\n", &graph, &profile, &err), PF_USAGE, &err);
    pf_graph_free(graph);
}

static void what_does_not_fit_is_told_by_the_key_that_gave_it(void **state)
{
    static const struct { const char *spec, *says; } wrong[] = {
        { "shapes=image:1x4x20x30\n", "shapes gives input \"image\" 4 as dim 1, and the network has 3 there" },
        { "shapes=image:1x3x20\n", "shapes gives input \"image\" 3 dims, and it has 4" },
        { "shapes=picture:1x3x20x30\n", "shapes names the input \"picture\", and the network has image, k" },
        { "min_shapes=image:1x3x20\nmax_shapes=image:2x3x20x30\n", "min_shapes gives input \"image\" 3 dims" },
        { "max_shapes=image:1x4x20x30\n", "max_shapes gives input \"image\" 4 as dim 1" },
        { "shapes=image:0x3x20x30\n", "shapes gives input \"image\" 0 as dim 0, and sizes that the network" },
    };
    pf_graph  *graph = NULL;
    pf_profile profile = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        pf_err err = { 0 };
        assert_int_equal(apply(IMAGE "output %b\n", wrong[i].spec, &graph, &profile, &err), PF_USAGE);
        assert_ptr_equal(strstr(err.msg, wrong[i].says), err.msg);
        pf_profile_clear(&profile);
        pf_graph_free(graph);
    }
}

static void a_network_may_say_that_an_input_is_empty(void **state)
{
    pf_err     err = { 0 };
    pf_graph  *graph = NULL;
    pf_profile profile = { 0 };

    (void)state;
    test_ok(apply("graph \"\"\n%p = input f32 [1,0,4] \"past\"\n%x = input f32 [1,n,4] \"x\"\n"
                  "%y = concat(%p, %x) axis=1\noutput %y\n",
                  "shapes=past:1x0x4,x:1x3x4\n", &graph, &profile, &err), &err);
    test_ok(pf_graph_verify(graph, &err), &err);
    assert_int_equal(graph->values[graph->outputs[0]].shape.dim[1], 3);
    pf_profile_clear(&profile);
    pf_graph_free(graph);
}

/* A number that no size gives: three by three pixels of a pool, and a table of 100000. */
static void what_no_size_suits_is_refused_with_the_input(void **state)
{
    pf_err     err = { 0 };
    pf_graph  *graph = NULL;
    pf_profile profile = { 0 };

    (void)state;
    assert_int_equal(apply(IMAGE "%t = input f32 [100000] \"t\"\n%r = reshape(%b) shape=[100000]\n%y = add(%r, %t)\n"
                                 "output %y\n", "", &graph, &profile,
                           &err), PF_USAGE);
    assert_non_null(strstr(err.msg, "\"image\""));
    assert_non_null(strstr(err.msg, "shapes=image:"));
    pf_profile_clear(&profile);
    pf_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_sizes_are_the_least_that_the_network_takes),
        cmocka_unit_test(channels_need_not_be_as_many_as_rows),
        cmocka_unit_test(a_bound_leads_to_a_usual_size),
        cmocka_unit_test(given_sizes_are_kept),
        cmocka_unit_test(tables_bound_a_sequence),
        cmocka_unit_test(a_network_may_say_that_an_input_is_empty),
        cmocka_unit_test(what_does_not_fit_is_told_by_the_key_that_gave_it),
        cmocka_unit_test(what_no_size_suits_is_refused_with_the_input),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
