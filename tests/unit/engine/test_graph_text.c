#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/literal.h"
#include "engine/ops/attrs.h"
#include "tests/unit/engine/graphs.h"

/* Texts in the printer's own form: they come back letter by letter. */
static const char *const canonical[] = {
    "graph\n"
    "%0 = input f32 [batch,3,224,224]\n"
    "%1 = constant f32 [2] {0.5,-1e+20}\n"
    "%2 = relu(%0)\n"
    "output %2\n",

    "graph\n"
    "%0 = input i64 [4*n]\n"
    "%1:3 = split(%0) sizes=[n,2*n,n]\n"
    "%4 = concat(%1, %3)\n"
    "output %4\n"
    "output %2\n",

    "graph\n"
    "%0 = input f16 [n,floor((h + 1)/2)]\n"
    "%1 = input sequence(f32) [?]\n"
    "%2 = input optional(i8) [2]\n"
    "%3 = clip(%0) p=-inf q=6.25\n"
    "%4 = transpose(%3) perm=[1,0]\n"
    "%5 = cast(%4) dtype=i32\n"
    "output %5\n",

    "graph\n"
    "%0 = input bool []\n"
    "%1 = input f32 [n]\n"
    "%2 = input i64 []\n"
    "%3 = if(%0, %1, %1) then_branch={\n"
    "  graph\n"
    "  %0 = capture f32 [n]\n"
    "  %1 = relu(%0)\n"
    "  output %1\n"
    "} else_branch={\n"
    "  graph\n"
    "  %0 = capture f32 [n]\n"
    "  %1 = neg(%0)\n"
    "  output %1\n"
    "}\n"
    "%4 = loop(%2, _, %3, %0, %1) finds=[rounds] body={\n"
    "  graph\n"
    "  %0 = input i64 []\n"
    "  %1 = input bool []\n"
    "  %2 = input f32 [n]\n"
    "  %3 = capture bool []\n"
    "  %4 = capture f32 [n]\n"
    "  %5 = if(%3, %2, %4, %4) then_branch={\n"
    "    graph\n"
    "    %0 = capture f32 [n]\n"
    "    %1 = capture f32 [n]\n"
    "    %2 = add(%0, %1)\n"
    "    output %2\n"
    "  } else_branch={\n"
    "    graph\n"
    "    %0 = capture f32 [n]\n"
    "    %1 = constant f32 [] {2}\n"
    "    %2 = mul(%0, %1)\n"
    "    output %2\n"
    "  }\n"
    "  output %1\n"
    "  output %5\n"
    "} carried=1\n"
    "output %4\n",

    "graph\n"
    "%0 = constant string [2] {\"a \\\"b\\\"\\n\",\"\"}\n"
    "%1 = identity(%0)\n"
    "%2 = constant u64 [1] {18446744073709551615}\n"
    "%3 = identity(%2)\n"
    "%4 = constant bool [] {1}\n"
    "%5 = identity(%4)\n"
    "%6 = constant i4 [3] {-8,7,0}\n"
    "%7 = identity(%6)\n"
    "%8 = constant f64 [3] {0.1,nan,-inf}\n"
    "%9 = identity(%8)\n"
    "%10 = constant i64 [1] {-9223372036854775808}\n"
    "%11 = identity(%10)\n"
    "output %1\n"
    "output %3\n"
    "output %5\n"
    "output %7\n"
    "output %9\n"
    "output %11\n",
    /* A size that data decides keeps its name, so that the attribute behind it means the same one. */
    "graph\n"
    "%0 = input bool [4]\n"
    "%1 = input f32 [9]\n"
    "%2 = non_zero(%0) finds=[found]\n"
    "%3 = slice(%1) axes=[0] starts=[0] ends=[found] steps=[1]\n"
    "output %2\n"
    "output %3\n",
};

static void test_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof canonical / sizeof canonical[0]; i++) {
        pf_graph *graph = graph_of(canonical[i]);
        pf_buf    text;

        if (i > 0)           /* the first one has a constant that nobody uses, which is not printed */
            assert_string_equal(text_of(graph, false, &text), canonical[i]);
        else
            assert_null(strstr(text_of(graph, false, &text), "constant"));
        pf_buf_clear(&text);
        pf_graph_free(graph);
    }
}

static void test_every_byte_of_a_name(void **state)
{
    char        name[256] = "", *read = NULL;
    pf_arena   *arena = pf_arena_new();
    const char *text = NULL;
    pf_buf      printed;
    pf_err      err = { 0 };

    (void)state;
    for (int i = 1; i < 256; i++)
        name[i - 1] = (char)i;
    pf_buf_init(&printed, 4096);
    pf_literal_put_string(name, &printed);
    pf_buf_put_u8(&printed, 0);
    text = (const char *)printed.data;
    assert_null(strchr(text, '\n'));
    test_ok(pf_literal_read_string(arena, &text, &read, &err), &err);
    assert_string_equal(read, name);
    assert_int_equal(*text, 0);
    pf_buf_clear(&printed);
    pf_arena_free(arena);
}

static void test_names(void **state)
{
    static const char text[] =
        "graph \"net\"\n"
        "%0 = input f32 [n] \"the input\"\n"
        "%1 \"mid/1\" = relu(%0) \"first\"\n"
        "%2 \"a\", %3 \"b\" = split(%1) sizes=[floor(n/2),n - floor(n/2)] \"cut\"\n"
        "output %2 \"logits\"\n"
        "output %3 \"rest\"\n";
    pf_graph *graph = graph_of(text);
    pf_buf    with, without;

    (void)state;
    assert_string_equal(text_of(graph, true, &with), text);
    assert_string_equal(graph->name, "net");
    assert_string_equal(graph->nodes[1].name, "cut");
    assert_string_equal(graph->values[2].name, "a");
    assert_string_equal(graph->output_names[1], "rest");
    assert_null(strchr(text_of(graph, false, &without), '"'));
    pf_buf_clear(&with);
    pf_buf_clear(&without);
    pf_graph_free(graph);
}

/* Equal computations have equal text, whatever things are called and in whatever order symbols and constants were
   made. */
static void test_equal_computations(void **state)
{
    pf_graph *a = graph_of("graph \"one\"\n%x = input f32 [n,m]\n%c = constant f32 [] {2}\n%y = mul(%x, %c) \"p\"\n"
                           "output %y \"out\"\n");
    pf_graph *b = graph_of("graph\n%unused = constant i64 [1] {3}\n%d = constant f32 [] {2}\n%in = input f32 [n , m]\n"
                           "%z = mul(%in,%d)\noutput %z\n");
    pf_buf    text_a, text_b;

    (void)state;
    assert_string_equal(text_of(a, false, &text_a), text_of(b, false, &text_b));
    pf_buf_clear(&text_a);
    pf_buf_clear(&text_b);
    pf_graph_free(a);
    pf_graph_free(b);
}

static void test_large_constants(void **state)
{
    pf_graph   *graph = pf_graph_new("", NULL), *back = NULL;
    pf_shape    shape = { .rank = 2, .dim = { 10, 10 } };
    static float data[100];
    pf_value_id w = 0, y = 0;
    pf_buf      text;
    pf_err      err = { 0 };

    (void)state;
    test_ok(pf_graph_add_constant(graph, "w", PF_F32, &shape, data, sizeof data, &w, &err), &err);
    test_ok(pf_graph_add_node(graph, PF_OP_RELU, "", &w, 1, NULL, 1, &y, &err), &err);
    test_ok(pf_graph_add_output(graph, y, "y", &err), &err);
    /* SHA-256 of 400 zero bytes. */
    assert_non_null(
        strstr(text_of(graph, false, &text),
               "%0 = constant f32 [10,10] sha256:7a12e561363385e9dfeeab326368731c030ed4b374e7f5897ac819159d2884c5"));
    back = graph_of((char *)text.data);
    assert_int_equal(back->input_count, 1);
    pf_buf_clear(&text);
    pf_graph_free(back);
    pf_graph_free(graph);
}

static void test_refuses(void **state)
{
    static const struct { const char *text, *says;
    } rows[] = {
        { "", "begins with" },
        { "graph\n%x = input f33 [1]\n", "no element type" },
        { "graph\n%x = input f32 [1\n", "',' or ']'" },
        { "graph\n%x = input f32 [1]\n%x = input f32 [1]\n", "made twice" },
        { "graph\n%y = relu(%x)\n", "before it is made" },
        { "graph\n%x = input f32 [1]\n%y = frobnicate(%x)\n", "is no op" },
        { "graph\n%x = input f32 [1]\n%y = relu(%x) z=3\n", "no attribute" },
        { "graph\n%x = input f32 [1]\n%y = relu(%x, %x)\n", "line 3" },
        { "graph\n%x = input f32 [1]\noutput %x extra\n", "more behind its end" },
        { "graph\n%x = constant f32 [2] {1}\n", "','" },
        { "graph\n%x = constant f32 [2] {1,2,3}\n", "'}'" },
        { "graph\n%x = constant f32 [n] {1}\n", "not all numbers" },
        { "graph\n%x = constant f32 [1000000000] {1}\n", "fewer elements" },
        { "graph\n%x = constant f32 [1000000,1000000,1000000,1000000] {1}\n", "more elements" },
        { "graph\n%x = input f32 [1]\n}\n", "too many" },
        { "graph\n%x = input f32 [1]\n%y = transpose(%x) perm=[0\n", "','" },
        { "graph\n%x = input f32 [1]\n%y = transpose(%x) perm=[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]\n",
          "more than 16" },
        { "graph\n%1:999 = split(%x)\n", "outputs" },
        { "graph \"open\n", "closing quote" },
        { "graph\n%c = input bool []\n%y = if(%c) then_branch={ graph\n output %c }\n", "before it is made" },
        { "graph\n%c = input bool []\n%y = if(%c) then_branch={ graph\n", "'}'" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pf_graph *graph = NULL;
        pf_err    err = { 0 };

        if (!pf_graph_parse(rows[i].text, &graph, &err))
            fail_msg("accepted: %s", rows[i].text);
        assert_null(graph);
        if (!strstr(err.msg, rows[i].says))
            fail_msg("\"%s\" should say \"%s\", but says: %s", rows[i].text, rows[i].says, err.msg);
    }
}

/* Damaged texts are refused or read, never more. */
static void test_damage(void **state)
{
    pf_random random;

    (void)state;
    pf_random_init(&random, 11);
    for (int i = 0; i < 4000; i++) {
        char     *text = pf_strdup(canonical[pf_random_below(&random, sizeof canonical / sizeof canonical[0])]);
        size_t    length = strlen(text);
        pf_graph *graph = NULL;
        pf_err    err = { 0 };

        for (uint64_t n = 1 + pf_random_below(&random, 3); n > 0; n--)
            text[pf_random_below(&random, length)] = (char)(32 + pf_random_below(&random, 95));
        if (pf_random_below(&random, 4) == 0)
            text[pf_random_below(&random, length)] = 0;
        if (!pf_graph_parse(text, &graph, &err))
            test_ok(pf_graph_verify(graph, &err), &err);
        else
            assert_true(err.msg[0]);
        pf_graph_free(graph);
        pf_free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_names),
        cmocka_unit_test(test_every_byte_of_a_name),
        cmocka_unit_test(test_equal_computations),
        cmocka_unit_test(test_large_constants), cmocka_unit_test(test_refuses), cmocka_unit_test(test_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
