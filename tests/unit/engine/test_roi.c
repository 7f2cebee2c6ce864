/* Regions that are none: what data holds must not be read as places of an image. */
#include <math.h>

#include "tests/unit/engine/graphs.h"
#include "tests/unit/engine/tensors.h"

enum { SIDE = 4, BINS = 4 };

static const char regions_of_one[] =
    "graph\n%x = input f32 [1,1,4,4] \"x\"\n%rois = input f32 [1,4] \"rois\"\n%at = constant i64 [1] {0}\n"
    "%y = roi_align(%x, %rois, %at) output_height=2 output_width=2 sampling_ratio=0 spatial_scale=1 "
    "coordinates=half_pixel mode=avg\noutput %y\n";

/* Of an image of ones. */
static void align(const float region[4], float out[BINS])
{
    float       ones[SIDE * SIDE];
    pf_graph   *graph = graph_of(regions_of_one);
    pf_tensor   inputs[] = { { .dtype = PF_F32, .rank = 4, .dim = { 1, 1, SIDE, SIDE }, .data = ones,
                               .bytes = sizeof ones },
                             { .dtype = PF_F32, .rank = 2, .dim = { 1, 4 }, .data = (void *)(uintptr_t)region,
                               .bytes = 4 * sizeof *region } };
    pf_tensor   output = { 0 };
    pf_err      err = { 0 };

    for (int i = 0; i < SIDE * SIDE; i++)
        ones[i] = 1;
    test_ok(pf_interpret(graph, inputs, &output, NULL, NULL, &err), &err);
    for (int i = 0; i < BINS; i++)
        out[i] = ((const float *)output.data)[i];
    pf_tensor_clear(&output);
    pf_graph_free(graph);
}

static void what_is_no_region_is_zero(void **state)
{
    static const float regions[][4] = {
        { NAN, NAN, NAN, NAN }, { NAN, 0, 3, 3 }, { 0, 0, INFINITY, 3 }, { -INFINITY, -INFINITY, INFINITY, INFINITY },
        { 3, 3, 0, 0 }, { 100, 100, 104, 104 }, { -90, -90, -80, -80 },
    };

    (void)state;
    for (size_t r = 0; r < sizeof regions / sizeof regions[0]; r++) {
        float out[BINS] = { 0 };

        align(regions[r], out);
        for (int i = 0; i < BINS; i++)
            assert_true(out[i] == 0);
    }
}

static void what_is_inside_is_the_mean(void **state)
{
    float out[BINS] = { 0 };

    (void)state;
    align((const float[]){ 0, 0, 4, 4 }, out);
    for (int i = 0; i < BINS; i++)
        assert_true(fabsf(out[i] - 1) < 1e-6f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_region_is_zero),
        cmocka_unit_test(what_is_inside_is_the_mean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
