#include "tests/unit/engine/onnx_models.h"

/* Operators as older opsets spelt them, by what they compute. x is 1, 2, 3 ... */

static void test_broadcast_by_axis(void **state)
{
    (void)state;
    model_gives("opset 6\ninput x f32 2,3\nconst b f32 2 10,20\nnode Add x b -> y broadcast=i:1 axis=i:0\noutput y\n",
                "2,3", "11 12 13 24 25 26");
    model_gives("opset 6\ninput x f32 2,3\nconst b f32 3 10,20,30\nnode Sub x b -> y broadcast=i:1\noutput y\n", "2,3",
                "-9 -18 -27 -6 -15 -24");
    model_gives("opset 6\ninput x f32 1,2,2\nconst b f32 1,2 3,5\nnode Mul x b -> y broadcast=i:1 axis=i:0\noutput y\n",
                "1,2,2", "3 6 15 20");
    model_bad("opset 6\ninput x f32 2,3\nconst b f32 2 1,2\nnode Add x b -> y broadcast=i:1 axis=i:7\noutput y\n",
              PF_INVALID, "axis 7");
}

static void test_attributes_that_became_inputs(void **state)
{
    (void)state;
    model_gives("opset 4\ninput x f32 2,3\nnode Reshape x -> r shape=is:3,-1\nnode Shape r -> y\noutput y\n", "2,3",
                "3 2");
    model_gives("opset 6\ninput x f32 4\nnode Clip x -> y min=f:2 max=f:3\noutput y\n", "4", "2 2 3 3");
    model_gives("opset 11\ninput x f32 4\nconst hi f32 . 3\nnode Clip x _ hi -> y\noutput y\n", "4", "1 2 3 3");
    model_gives("opset 12\ninput x i64 4\nconst lo i64 . 2\nnode Clip x lo -> y\noutput y\n", "4", "2 2 2 3");
    model_gives("opset 1\ninput x f32 2\nnode Pad x -> y paddings=is:1,2 value=f:7\noutput y\n", "2", "7 1 2 7 7");
    model_gives("opset 2\ninput x f32 3\nnode Pad x -> y pads=is:1,1 mode=s:reflect\noutput y\n", "3", "2 1 2 3 2");
    model_gives(
        "opset 9\ninput x f32 4\nnode Slice x -> y starts=is:-3 ends=is:9223372036854775807 axes=is:0\noutput y\n", "4",
        "2 3 4");
    model_gives("opset 9\ninput x f32 1,2,1\nnode Squeeze x -> s\nnode Unsqueeze s -> u axes=is:0,2\nnode Shape u -> "
                "y\noutput y\n",
                "1,2,1", "1 2 1");
    model_gives("opset 1\ninput x f32 4\nnode TopK x -> v y k=i:2\noutput y\n", "4", "3 2");
    model_gives("opset 11\ninput x f32 2,2\nnode ReduceSum x -> y axes=is:1 keepdims=i:0\noutput y\n", "2,2", "3 7");
    model_gives("opset 11\ninput x f32 5\nnode Split x -> a y split=is:2,3\noutput y\n", "5", "3 4 5");
    model_gives("opset 5\ninput x f32 2\nconst t f32 1 2\nconst a f32 1 0\nnode Tile x t a -> y\noutput y\n", "2",
                "1 2 1 2");
}

/* More parts than the attribute of the op holds. */
static void test_many_parts(void **state)
{
    char   sizes[256] = "", text[2048], outputs[512] = "";
    size_t used = 0, shown = 0;

    (void)state;
    for (int i = 0; i < 20; i++) {
        used += (size_t)snprintf(sizes + used, sizeof sizes - used, "%s%d", i ? "," : "", i == 19 ? 2 : 1);
        shown += (size_t)snprintf(outputs + shown, sizeof outputs - shown, " %s%d", i == 19 ? "y" : "p", i);
    }
    snprintf(text, sizeof text, "opset 13\ninput x f32 21\nconst s i64 20 %s\nnode Split x s ->%s\noutput y19\n", sizes,
             outputs);
    model_gives(text, "21", "20 21");
    sizes[strlen(sizes) - 1] = '1';
    snprintf(text, sizeof text, "opset 13\ninput x f32 20\nconst s i64 20 %s\nnode Split x s ->%s\noutput y19\n", sizes,
             outputs);
    model_gives(text, "20", "20");
    snprintf(text, sizeof text, "opset 11\ninput x f32 22\nnode Split x ->%s split=is:%s\noutput y19\n", outputs,
             sizes);
    model_bad(text, PF_INVALID, "do not make up the dimension");
}

static void test_types_by_name(void **state)
{
    (void)state;
    model_gives("opset 1\ninput x f32 2\nnode Cast x -> i to=s:INT64\nnode Cast i -> y to=s:FLOAT\noutput y\n", "2",
                "1 2");
    model_bad("opset 1\ninput x f32 2\nnode Cast x -> y to=s:COLOUR\noutput y\n", PF_INVALID, "COLOUR");
    model_bad("opset 13\ninput x f32 2\nnode Cast x -> y to=i:77\noutput y\n", PF_INVALID, "77");
}

static void test_softmax_flattens(void **state)
{
    (void)state;
    /* Two rows of 1 1 1 1: the sum over all that follows axis 1 is one. */
    model_gives("opset 9\ninput x f32 2,2,2\nnode Sub x x -> z\nnode Softmax z -> y axis=i:1\noutput y\n", "2,2,2",
                ".25 .25 .25 .25 .25 .25 .25 .25");
    model_gives("opset 13\ninput x f32 2,2,2\nnode Sub x x -> z\nnode Softmax z -> y axis=i:1\noutput y\n", "2,2,2",
                ".5 .5 .5 .5 .5 .5 .5 .5");
}

static void test_norms(void **state)
{
    (void)state;
    model_gives("opset 7\ninput x f32 1,2\nconst s f32 2 1,2\nconst b f32 2 0,1\nconst m f32 2 1,1\nconst v f32 2 1,1\n"
                "node BatchNormalization x s b m v -> y epsilon=f:0\noutput y\n", "1,2", "0 3");
    /* Statistics per element. */
    model_gives("opset 7\ninput x f32 1,1,2\nconst s f32 1,2 1,2\nconst b f32 1,2 0,1\nconst m f32 1,2 1,1\nconst v "
                "f32 1,2 1,1\n"
                "node BatchNormalization x s b m v -> y epsilon=f:0 spatial=i:0\noutput y\n",
                "1,1,2", "0 3");
    model_gives("opset 6\ninput x f32 2\nnode Dropout x -> y mask ratio=f:0.9 is_test=i:1\noutput y\n", "2", "1 2");
    model_gives("opset 6\ninput x f32 2\nnode Dropout x -> y mask\noutput mask\n", "2", "1 1");
    model_bad("opset 13\ninput x f32 2\nconst r f32 . 0.5\nconst t bool . 1\nnode Dropout x r t -> y\noutput y\n",
              PF_UNSUPPORTED, "training");
}

static void test_resizing(void **state)
{
    (void)state;
    model_gives("opset 7\ninput x f32 1,1,1,2\nnode Upsample x -> y scales=fs:1,1,2,2\noutput y\n", "1,1,1,2",
                "1 1 2 2 1 1 2 2");
    model_gives("opset 9\ninput x f32 1,1,1,2\nconst s f32 4 1,1,1,2\nnode Upsample x s -> y\noutput y\n", "1,1,1,2",
                "1 1 2 2");
    model_gives("opset 1\ninput x f32 1,1,1,2\nnode Upsample x -> y height_scale=f:1 width_scale=f:2\noutput y\n",
                "1,1,1,2", "1 1 2 2");
    model_gives("opset 11\ninput x f32 1,1,1,2\nconst r f32 0\nconst s f32 0\nconst z i64 4 1,1,1,4\nnode Resize x r s "
                "z -> y\noutput y\n",
                "1,1,1,2", "1 1 2 2");
    model_bad("opset 11\ninput x f32 1,1,1,2\nconst r f32 0\nconst s f32 0\nnode Resize x r s -> y\noutput y\n",
              PF_INVALID, "either scales or sizes");
}

static void test_windows(void **state)
{
    (void)state;
    model_gives("opset 7\ninput x f32 1,1,4\nnode AveragePool x -> y kernel_shape=is:2 strides=is:2\noutput y\n",
                "1,1,4", "1.5 3.5");
    model_gives("opset 7\ninput x f32 1,1,3\nnode MaxPool x -> y kernel_shape=is:2 auto_pad=s:SAME_UPPER\noutput y\n",
                "1,1,3", "2 3 3");
    model_gives("opset 7\ninput x f32 1,1,3\nnode MaxPool x -> y kernel_shape=is:2 auto_pad=s:SAME_LOWER\noutput y\n",
                "1,1,3", "1 2 3");
    model_gives(
        "opset 7\ninput x f32 1,1,4\nnode MaxPool x -> y kernel_shape=is:2 strides=is:3 auto_pad=s:VALID\noutput y\n",
        "1,1,4", "2");
    model_gives("opset 1\ninput x f32 1,1,3\nconst w f32 1,1,2 1,1\nnode Conv x w -> y pads=is:1,0\noutput y\n",
                "1,1,3", "1 3 5");
    model_bad("opset 1\ninput x f32 1,1,3\nconst w f32 1,1,2 1,1\nnode Conv x w -> y kernel_shape=is:3\noutput y\n",
              PF_INVALID, "kernel_shape");
    model_bad("opset 1\ninput x f32 1,1,3\nconst w f32 1,1,2 1,1\nnode Conv x w -> y strides=is:0\noutput y\n",
              PF_INVALID, "stride");
    model_bad("opset 1\ninput x f32 1,1,3\nconst w f32 1,1,2 1,1\nnode Conv x w -> y strides=is:1,1\noutput y\n",
              PF_INVALID, "\"strides\" has 2");
    model_bad("opset 1\ninput x f32 1,1,3\nconst w f32 1,1,2 1,1\nnode Conv x w -> y auto_pad=s:SOME\noutput y\n",
              PF_INVALID, "SOME");
}

static void test_variadic(void **state)
{
    (void)state;
    model_gives("opset 6\ninput x f32 2\nnode Sum x x x -> y\noutput y\n", "2", "3 6");
    model_gives("opset 8\ninput x f32 2\nconst b f32 1 4\nnode Mean x b -> y\noutput y\n", "2", "2.5 3");
    model_gives("opset 8\ninput x f32 2\nnode Max x -> y\noutput y\n", "2", "1 2");
}

static void test_prelu(void **state)
{
    (void)state;
    model_gives("opset 6\ninput x f32 1,2,2\nconst s f32 2 2,3\nnode Neg x -> n\nnode PRelu n s -> y\noutput y\n",
                "1,2,2", "-2 -4 -9 -12");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broadcast_by_axis),
        cmocka_unit_test(test_attributes_that_became_inputs),
        cmocka_unit_test(test_many_parts),
        cmocka_unit_test(test_types_by_name),
        cmocka_unit_test(test_softmax_flattens),
        cmocka_unit_test(test_norms),
        cmocka_unit_test(test_resizing),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_variadic),
        cmocka_unit_test(test_prelu),
    };

    return cmocka_run_group_tests_name("onnx_old", tests, NULL, NULL);
}
