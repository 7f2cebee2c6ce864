/* Concats that are written, slices that are read in place and transposes that move nothing: the same results with fewer
   steps. */
#include <stdio.h>

#include "engine/graph.h"
#include "engine/plan.h"
#include "tests/unit/engine/seeded.h"

enum { ROUNDS = 40, LAYERS = 14, POOL = 40, OUTPUTS_MOST = 4 };

typedef struct grower {
    pf_network  *net;
    pf_random    random;
    pf_tensor_id pool[POOL];
    uint32_t     count;
} grower;

static const pf_shape *shape_of(const grower *g, pf_tensor_id id)
{
    return &pf_graph_value(pf_network_graph(g->net), id)->shape;
}

/* Begins a network with one input "x" of that shape, and gives that. */
static pf_tensor_id start(grower *g, const char *name, const char *shape, uint64_t seed)
{
    pf_tensor_id x = PF_NONE;
    pf_err       err = { 0 };

    pf_random_init(&g->random, seed);
    test_ok(pf_network_new(name, &g->net, &err), &err);
    test_ok(pf_network_input(g->net, "x", PF_F32, shape, &x, &err), &err);
    return x;
}

static pf_tensor_id pick(grower *g)
{
    return g->pool[pf_random_below(&g->random, g->count)];
}

static void keep(grower *g, pf_tensor_id id)
{
    if (g->count < POOL)
        g->pool[g->count++] = id;
}

static pf_tensor_id convolve(grower *g, pf_tensor_id x, int64_t out)
{
    int64_t      in = shape_of(g, x)->dim[1];
    uint64_t     seed = pf_random_u64(&g->random);
    pf_tensor_id w = random_constant(g->net, "w", 4, (int64_t[]){ out, in, 1, 1 }, 0.3, seed);

    x = layer(g->net, "conv", "conv", "strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=1", 2,
              (pf_tensor_id[]){ x, w });
    return seed % 2 ? layer(g->net, "relu", "relu", "", 1, &x) : x;
}

static void grow_conv(grower *g)
{
    static const int64_t channels[] = { 16, 32, 48, 20 };

    keep(g, convolve(g, pick(g), channels[pf_random_below(&g->random, 4)]));
}

/* New values, a view and old ones, of which some are claimed twice or are outputs. */
static void grow_concat(grower *g)
{
    int64_t      axis = pf_random_below(&g->random, 4) ? 1 : (int64_t)pf_random_below(&g->random, 4);
    pf_tensor_id parts[4] = { pick(g) };
    uint32_t     count = 2 + (uint32_t)pf_random_below(&g->random, 3);
    char         attrs[32] = "";

    for (uint32_t i = 1; i < count; i++) {
        parts[i] = axis == 1 ? convolve(g, parts[0], 16 * (1 + (int64_t)pf_random_below(&g->random, 2)))
                             : convolve(g, parts[0], shape_of(g, parts[0])->dim[1]);
        if (pf_random_below(&g->random, 3) == 0)
            keep(g, parts[i]);
    }
    if (pf_random_below(&g->random, 2))
        parts[0] = convolve(g, parts[0], shape_of(g, parts[0])->dim[1]);
    snprintf(attrs, sizeof attrs, "axis=%d", (int)axis);
    if (shape_of(g, parts[0])->dim[axis] < 64)
        keep(g, layer(g->net, "concat", "concat", attrs, count, parts));
}

static void grow_slice(grower *g)
{
    pf_tensor_id x = pick(g);
    int64_t      axis = pf_random_below(&g->random, 3) ? 1 : (int64_t)pf_random_below(&g->random, 4),
                 size = shape_of(g, x)->dim[axis];
    int64_t      start = size > 16 && axis == 1 ? 16 * (int64_t)pf_random_below(&g->random, (uint64_t)size / 16)
                                                : (size - 1) / 2;
    int64_t      end = start + 1 + (int64_t)pf_random_below(&g->random, (uint64_t)(size - start));
    char         attrs[128] = "";

    if (axis == 1 && size > 16 && end - start > 16)
        end = start + 16;
    snprintf(attrs, sizeof attrs, "axes=[%d] starts=[%d] ends=[%d] steps=[1]", (int)axis, (int)start, (int)end);
    x = layer(g->net, "slice", "slice", attrs, 1, &x);
    keep(g, pf_random_below(&g->random, 2) ? x : convolve(g, x, 16));
}

static void grow_view(grower *g)
{
    pf_tensor_id    x = pick(g);
    const pf_shape *s = shape_of(g, x);
    char            attrs[64] = "";

    snprintf(attrs, sizeof attrs, "shape=[%d,%d,%d,%d]", (int)s->dim[0], (int)s->dim[1], (int)s->dim[3],
             (int)s->dim[2]);
    keep(g, layer(g->net, "reshape", "view", attrs, 1, &x));
}

static pf_tensor_id turned(pf_network *net, pf_tensor_id x, const char *perm)
{
    return layer(net, "transpose", "turn", perm, 1, &x);
}

static void grow_turn(grower *g)
{
    static const char *const perms[] = { "perm=[0,2,3,1]", "perm=[0,3,1,2]", "perm=[0,3,2,1]" };
    pf_tensor_id             x = pick(g);

    x = turned(g->net, x, perms[pf_random_below(&g->random, 3)]);
    keep(g, pf_random_below(&g->random, 2) ? x : convolve(g, x, 16));
}

/* Of [n,c,h,w] its places, as [n,h*w,c]. */
static pf_tensor_id tokens_of(const grower *g, pf_tensor_id x)
{
    const pf_shape *s = shape_of(g, x);
    char            attrs[64] = "";

    snprintf(attrs, sizeof attrs, "shape=[-1,%d,%d]", (int)s->dim[1], (int)(s->dim[2] * s->dim[3]));
    return turned(g->net, layer(g->net, "reshape", "flat", attrs, 1, &x), "perm=[0,2,1]");
}

/* An image as tokens, and as an image again. */
static void grow_tokens(grower *g)
{
    pf_tensor_id x = pick(g);
    pf_shape     s = *shape_of(g, x);
    char         attrs[64] = "";

    x = layer(g->net, "softmax", "row", "axis=2", 1, (pf_tensor_id[]){ tokens_of(g, x) });
    if (pf_random_below(&g->random, 2)) {
        snprintf(attrs, sizeof attrs, "shape=[%d,%d,%d,%d]", (int)s.dim[0], (int)s.dim[2], (int)s.dim[3],
                 (int)s.dim[1]);
        x = turned(g->net, layer(g->net, "reshape", "grid", attrs, 1, &x), "perm=[0,3,1,2]");
    } else {
        snprintf(attrs, sizeof attrs, "shape=[%d,%d,%d,%d]", (int)s.dim[0], (int)s.dim[1], (int)s.dim[2],
                 (int)s.dim[3]);
        x = turned(g->net, x, "perm=[0,2,1]");
        x = layer(g->net, "reshape", "grid", attrs, 1, &x);
    }
    keep(g, pf_random_below(&g->random, 2) ? x : convolve(g, x, 16));
}

/* Pairs of rows of an image apart, and together again, through shapes that mix its channels with its rows. */
static void grow_patches(grower *g)
{
    pf_tensor_id x = pick(g);
    pf_shape     s = *shape_of(g, x);
    char         attrs[64] = "";

    if (s.dim[2] % 2)
        return;
    snprintf(attrs, sizeof attrs, "shape=[%d,2,%d]", (int)(s.dim[0] * s.dim[1] * s.dim[2] / 2), (int)s.dim[3]);
    x = turned(g->net, layer(g->net, "reshape", "pairs", attrs, 1, &x), "perm=[1,0,2]");
    x = turned(g->net, layer(g->net, "softmax", "row", "axis=2", 1, &x), "perm=[1,0,2]");
    snprintf(attrs, sizeof attrs, "shape=[%d,%d,%d,%d]", (int)s.dim[0], (int)s.dim[1], (int)s.dim[2],
             (int)s.dim[3]);
    x = layer(g->net, "reshape", "together", attrs, 1, &x);
    keep(g, pf_random_below(&g->random, 2) ? x : convolve(g, x, 16));
}

static pf_network *random_network(uint64_t seed)
{
    static void (*const growers[])(grower *g) = { grow_conv, grow_concat, grow_concat, grow_slice, grow_view,
                                                    grow_turn, grow_tokens, grow_patches };
    grower              g = { 0 };
    pf_err              err = { 0 };

    keep(&g, start(&g, "parts", seed % 4 ? "[1,16,6,4]" : "[2,16,6,4]", seed));
    for (int i = 0; i < LAYERS; i++)
        growers[pf_random_below(&g.random, sizeof growers / sizeof growers[0])](&g);
    for (uint32_t i = 0; i < 4; i++)
        test_ok(pf_network_output(g.net, i ? pick(&g) : g.pool[g.count - 1], (const char *[]){ "a", "b", "c", "d" }[i],
                                  &err),
                &err);
    return g.net;
}

/* Of an input of so many images; again and again the same. */
static void run(pf_plan *plan, pf_device *device, int64_t batch, pf_tensor *outputs)
{
    const uint32_t output_count = pf_plan_io_count(plan) - 1;
    pf_tensor      input = { .dtype = PF_F32, .rank = 4, .dim = { batch, 16, 6, 4 } };
    pf_context    *context = NULL;
    pf_random      random;
    pf_err         err = { 0 };

    test_ok(pf_tensor_alloc(&input, &err), &err);
    pf_random_init(&random, 5);
    for (int64_t i = 0; i < pf_tensor_elems(&input); i++)
        ((float *)input.data)[i] = (float)pf_random_normal(&random);
    test_ok(pf_context_new(plan, device, NULL, &context, &err), &err);
    test_ok(pf_context_run_host(context, &input, outputs, &err), &err);
    for (int again = 0; again < 2; again++) {
        pf_tensor others[OUTPUTS_MOST] = { { 0 } };

        test_ok(pf_context_run_host(context, &input, others, &err), &err);
        for (uint32_t i = 0; i < output_count; i++) {
            assert_int_equal(others[i].bytes, outputs[i].bytes);
            assert_memory_equal(others[i].data, outputs[i].data, outputs[i].bytes);
            pf_tensor_clear(&others[i]);
        }
    }
    pf_context_free(context);
    pf_tensor_clear(&input);
}

static void expect_the_same(pf_plan *with, pf_plan *without, pf_device *device, int64_t batch)
{
    pf_tensor a[OUTPUTS_MOST] = { { 0 } }, b[OUTPUTS_MOST] = { { 0 } };

    run(with, device, batch, a);
    run(without, device, batch, b);
    for (uint32_t i = 0; i < pf_plan_io_count(with) - 1; i++) {
        expect_close(&a[i], &b[i], 1e-5);       /* the layouts, and so the order of sums, may differ */
        pf_tensor_clear(&a[i]);
        pf_tensor_clear(&b[i]);
    }
}

static uint32_t parts_of(const pf_plan *plan)
{
    uint32_t parts = 0;

    for (uint32_t i = 0; i < plan->value_count; i++)
        parts += plan->values[i].view_offset > 0;
    return parts;
}

/* Both plans agree with the reference, which pf_build sees to, and with each other; the one with parts has no more
   steps. */
static void random_networks_compute_the_same(void **state)
{
    pf_device *device = cpu();
    uint32_t   parts = 0, fewer = 0;

    (void)state;
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        pf_network *net = random_network(seed);
        pf_plan    *with = plan_of(net, "effort=0\n", device),
                   *without = plan_of(net, "effort=0\ndisable_rules=parts_in_place\n", device);

        assert_int_equal(parts_of(without), 0);
        assert_true(with->step_count <= without->step_count);
        parts += parts_of(with);
        fewer += with->step_count < without->step_count;
        expect_the_same(with, without, device, pf_plan_io(with, 0)->opt[0]);
        pf_plan_free(with);
        pf_plan_free(without);
        pf_network_free(net);
    }
    assert_true(parts > ROUNDS / 2);
    assert_true(fewer > ROUNDS / 4);
    pf_device_close(device);
}

static uint32_t transposes_of(const pf_plan *plan)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < plan->step_count; i++)
        count += strstr(plan->steps[i].problem_text, "transpose(") != NULL;
    return count;
}

/* Channels last in the network, and in memory wherever the convolution has them so. */
static void channels_turn_in_place(void **state)
{
    pf_device *device = cpu();

    (void)state;
    for (int any = 0; any < 2; any++) {
        grower       g = { 0 };
        pf_tensor_id x = start(&g, "turned", any ? "[n,6,4,16]" : "[2,6,4,16]", 1);
        pf_err       err = { 0 };
        pf_plan     *with = NULL, *without = NULL;
        const char  *shapes = any ? "min_shapes=x:1x6x4x16\nopt_shapes=x:2x6x4x16\nmax_shapes=x:4x6x4x16\n" : "";
        char         spec[256] = "";

        x = layer(g.net, "softmax", "first", "axis=3", 1, &x);
        x = convolve(&g, turned(g.net, x, "perm=[0,3,1,2]"), 32);
        x = layer(g.net, "softmax", "last", "axis=3", 1, (pf_tensor_id[]){ turned(g.net, x, "perm=[0,2,3,1]") });
        test_ok(pf_network_output(g.net, x, "y", &err), &err);
        snprintf(spec, sizeof spec, "effort=0\n%s", shapes);
        with = plan_of(g.net, spec, device);
        snprintf(spec, sizeof spec, "effort=0\n%sdisable_rules=parts_in_place\n", shapes);
        without = plan_of(g.net, spec, device);
        assert_int_equal(transposes_of(with), 0);
        assert_int_equal(transposes_of(without), 2);
        assert_true(with->step_count <= without->step_count - 2);
        pf_plan_free(with);
        pf_plan_free(without);
        pf_network_free(g.net);
    }
    pf_device_close(device);
}

/* The places of an image are a list of tokens: no step, whatever their number. */
static void places_are_tokens(void **state)
{
    pf_device *device = cpu();

    (void)state;
    for (int any = 0; any < 2; any++) {
        grower       g = { 0 };
        pf_tensor_id x = start(&g, "tokens", any ? "[n,16,6,4]" : "[2,16,6,4]", 1);
        pf_err       err = { 0 };
        pf_plan     *plan = NULL;

        x = layer(g.net, "softmax", "row", "axis=2", 1, (pf_tensor_id[]){ tokens_of(&g, convolve(&g, x, 32)) });
        test_ok(pf_network_output(g.net, x, "y", &err), &err);
        plan = plan_of(g.net, any ? "effort=0\nmin_shapes=x:1x16x6x4\nopt_shapes=x:2x16x6x4\n"
                                    "max_shapes=x:4x16x6x4\n"
                                  : "effort=0\n", device);
        assert_int_equal(transposes_of(plan), 0);
        pf_plan_free(plan);
        pf_network_free(g.net);
    }
    pf_device_close(device);
}

static pf_plan *joined_plan(pf_device *device, pf_network **net)
{
    grower       g = { 0 };
    pf_tensor_id x = start(&g, "joined", "[1,16,6,4]", 1), parts[3];
    pf_err       err = { 0 };
    pf_plan     *plan = NULL;

    for (int i = 0; i < 3; i++)
        parts[i] = convolve(&g, x, 16);
    x = layer(g.net, "concat", "concat", "axis=2", 3, parts);
    test_ok(pf_network_output(g.net, convolve(&g, x, 16), "y", &err), &err);
    plan = plan_of(g.net, "effort=0\n", device);
    *net = g.net;
    return plan;
}

/* A whole that is read before the rest of the whole that it is a part of is written. */
static void a_part_may_be_a_whole(void **state)
{
    pf_device   *device = cpu();
    grower       g = { 0 };
    pf_tensor_id x = start(&g, "nested", "[1,16,6,4]", 1), inner = PF_NONE;
    pf_tensor    outputs[OUTPUTS_MOST] = { { 0 } };
    pf_err       err = { 0 };
    pf_plan     *plan = NULL;

    (void)state;
    inner = layer(g.net, "concat", "inner", "axis=2", 2,
                  (pf_tensor_id[]){ convolve(&g, x, 16), convolve(&g, x, 16) });
    x = convolve(&g, inner, 16);
    x = layer(g.net, "concat", "outer", "axis=2", 2, (pf_tensor_id[]){ inner, x });
    for (uint32_t i = 0; i < 4; i++)
        test_ok(pf_network_output(g.net, convolve(&g, i % 2 ? x : inner, 16),
                                  (const char *[]){ "a", "b", "c", "d" }[i], &err), &err);
    plan = plan_of(g.net, "effort=0\n", device);
    assert_true(parts_of(plan) >= 2);
    run(plan, device, 1, outputs);
    for (uint32_t i = 0; i < OUTPUTS_MOST; i++)
        pf_tensor_clear(&outputs[i]);
    pf_plan_free(plan);
    pf_network_free(g.net);
    pf_device_close(device);
}

static void what_is_damaged_is_seen(void **state)
{
    pf_device     *device = cpu();
    pf_network    *net = NULL;
    pf_plan       *plan = joined_plan(device, &net);
    pf_plan_value *last = NULL;
    pf_err         err = { 0 };
    uint64_t       offset = 0;

    (void)state;
    test_ok(pf_plan_check_tables(plan, &err), &err);
    for (uint32_t i = 0; i < plan->value_count; i++)
        if (plan->values[i].view_offset > offset) {
            last = &plan->values[i];
            offset = last->view_offset;
        }
    assert_non_null(last);
    last->view_offset = offset - 64;            /* over the part before */
    test_fails(pf_plan_check_tables(plan, &err), PF_CORRUPT, &err);
    last->view_offset = offset + 64;            /* past the end */
    test_fails(pf_plan_check_tables(plan, &err), PF_CORRUPT, &err);
    last->view_offset = UINT64_MAX - 63;
    test_fails(pf_plan_check_tables(plan, &err), PF_CORRUPT, &err);
    last->view_offset = offset - 4;             /* where no part may begin */
    test_fails(pf_plan_check_tables(plan, &err), PF_CORRUPT, &err);
    last->view_offset = offset;
    plan->values[last->view_of].view_offset = 64;
    test_fails(pf_plan_check_tables(plan, &err), PF_CORRUPT, &err);
    plan->values[last->view_of].view_offset = 0;
    last->view_of = PF_NONE;                    /* then a part of the whole is missing */
    last->view_offset = 0;
    test_fails(pf_plan_check_tables(plan, &err), PF_CORRUPT, &err);
    pf_plan_free(plan);
    pf_network_free(net);
    pf_device_close(device);
}

/* ---- Parts with gaps: batches, whose parts no single run of bytes holds */

/* What lies in wider values takes next to nothing. */
static int64_t gaps_are_fast(const char *problem_text, const char *tactic, uint32_t index)
{
    const char *colon = strchr(problem_text, ':'), *line = strchr(problem_text, '\n');
    bool        wide = colon && line && colon < line;

    return (wide ? 1000 : 100000 + 17 * (int64_t)(strlen(problem_text) % 50)) + 10 * (int64_t)strlen(tactic) + index;
}

static uint32_t gaps_of(const pf_plan *plan)
{
    uint32_t gaps = 0;

    for (uint32_t i = 0; i < plan->value_count; i++)
        gaps += plan->values[i].view_of != PF_NONE && pf_layout_pitch(plan->values[i].layout) > 0;
    return gaps;
}

/* Two branches that a concat joins, a slice of them that a function reads, and a pool of the whole. */
static pf_network *branches(const char *input_shape)
{
    grower       g = { 0 };
    pf_tensor_id x = start(&g, "branches", input_shape, 3), parts[2], whole = PF_NONE, slice = PF_NONE;
    pf_err       err = { 0 };

    parts[0] = convolve(&g, x, 16);
    parts[1] = convolve(&g, x, 32);
    whole = layer(g.net, "concat", "concat", "axis=1", 2, parts);
    slice = layer(g.net, "slice", "slice", "axes=[1] starts=[16] ends=[48] steps=[1]", 1, &whole);
    slice = layer(g.net, "sigmoid", "sigmoid", "", 1, &slice);
    test_ok(pf_network_output(g.net, convolve(&g, whole, 16), "a", &err), &err);
    test_ok(pf_network_output(g.net, slice, "b", &err), &err);
    return g.net;
}

/* Three branches, joined two by two and all together: what the smaller concats join follows each other in the largest,
   once from its first part on and once from its second. */
static pf_network *nested(const char *input_shape)
{
    grower       g = { 0 };
    pf_tensor_id x = start(&g, "nested", input_shape, 4), parts[3], whole = PF_NONE;
    pf_err       err = { 0 };

    for (int i = 0; i < 3; i++)
        parts[i] = convolve(&g, x, i == 1 ? 32 : 16);
    for (int i = 0; i < 2; i++) {
        pf_tensor_id both = layer(g.net, "concat", "concat", "axis=1", 2, parts + i);

        test_ok(pf_network_output(g.net, convolve(&g, both, 16), i ? "b" : "a", &err), &err);
    }
    whole = layer(g.net, "concat", "concat", "axis=1", 3, parts);
    test_ok(pf_network_output(g.net, convolve(&g, whole, 16), "c", &err), &err);
    return g.net;
}

static void gaps_are_left_alone(void **state)
{
    static pf_network *(*const networks[])(const char *) = { branches, nested };
    static const struct { const char *shape, *spec, *plain; int64_t least, most; } cases[] = {
        { "[3,16,6,4]", "effort=1\nreplay=1\n", "effort=0\ndisable_rules=parts_in_place\n", 3, 3 },
        { "[b,16,6,4]", "effort=1\nreplay=1\nmin_shapes=x:1x16x6x4\nopt_shapes=x:2x16x6x4\nmax_shapes=x:5x16x6x4\n",
          "effort=0\ndisable_rules=parts_in_place\nmin_shapes=x:1x16x6x4\nopt_shapes=x:2x16x6x4\n"
          "max_shapes=x:5x16x6x4\n", 1, 5 },
    };
    pf_device *device = cpu();

    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        pf_network *net = networks[i % 2](cases[i / 2].shape);
        pf_plan    *with = build_seeded(net, device, cases[i / 2].spec, gaps_are_fast),
                   *without = plan_of(net, cases[i / 2].plain, device);

        assert_int_equal(gaps_of(without), 0);
        assert_true(gaps_of(with) >= (i % 2 ? 5 : 2));
        expect_the_same(with, without, device, cases[i / 2].least);
        expect_the_same(with, without, device, cases[i / 2].most);
        pf_plan_free(with);
        pf_plan_free(without);
        pf_network_free(net);
    }
    pf_device_close(device);
}

static void damaged_gaps_are_seen(void **state)
{
    pf_device     *device = cpu();
    pf_network    *net = branches("[3,16,6,4]");
    pf_plan       *plan = build_seeded(net, device, "effort=1\nreplay=1\n", gaps_are_fast);
    pf_plan_value *part = NULL;
    pf_layout      layout = PF_LAYOUT_LINEAR;
    uint64_t       offset = 0;
    pf_err         err = { 0 };

    (void)state;
    test_ok(pf_plan_check_tables(plan, &err), &err);
    for (uint32_t i = 0; i < plan->value_count; i++)
        if (plan->values[i].view_offset && pf_layout_pitch(plan->values[i].layout))
            part = &plan->values[i];
    assert_non_null(part);
    offset = part->view_offset;
    layout = part->layout;
    part->view_offset = 0;                      /* over the part before */
    test_fails(pf_plan_check_tables(plan, &err), PF_CORRUPT, &err);
    part->view_offset = offset * 2;             /* past the last channel */
    test_fails(pf_plan_check_tables(plan, &err), PF_CORRUPT, &err);
    part->view_offset = UINT64_MAX - 63;
    test_fails(pf_plan_check_tables(plan, &err), PF_CORRUPT, &err);
    part->view_offset = offset + 64;            /* where no channel begins */
    test_fails(pf_plan_check_tables(plan, &err), PF_CORRUPT, &err);
    part->view_offset = offset;
    part->layout = pf_layout_pitched(layout, 64);       /* of a whole with other channels */
    test_fails(pf_plan_check_tables(plan, &err), PF_CORRUPT, &err);
    part->layout = layout;
    part->shape.dim[0]++;                       /* of a whole of other images */
    test_fails(pf_plan_check_tables(plan, &err), PF_CORRUPT, &err);
    part->shape.dim[0]--;
    test_ok(pf_plan_check_tables(plan, &err), &err);
    pf_plan_free(plan);
    pf_network_free(net);
    pf_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_networks_compute_the_same),
        cmocka_unit_test(channels_turn_in_place),
        cmocka_unit_test(places_are_tokens),
        cmocka_unit_test(a_part_may_be_a_whole),
        cmocka_unit_test(what_is_damaged_is_seen),
        cmocka_unit_test(gaps_are_left_alone),
        cmocka_unit_test(damaged_gaps_are_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
