/* Writes small models of many kinds into a folder: where the fuzzer starts. */
#include <stdio.h>

#include "base/file.h"
#include "tests/unit/engine/onnx_models.h"

#define X "input x f32 1,4,6,6\n"

static const char *const models[] = {
    /* The same op in all opsets meets all of its importers. */
    "opset 13\n" X
    "const w f32 2,4,3,3 1\nconst b f32 2 1,2\nnode Conv x w b -> y pads=is:1,1,1,1 strides=is:2,2\noutput y\n",
    "opset 13\n" X
    "const w f32 4,2,2,2 1\nnode ConvTranspose x w -> y strides=is:2,2 output_padding=is:1,1\noutput y\n",
    "opset 13\n" X "const w f32 4,1,3,3 1\nnode Conv x w -> y group=i:4 auto_pad=s:SAME_UPPER\noutput y\n",
    "opset 13\n" X "node MaxPool x -> y i kernel_shape=is:2,2 ceil_mode=i:1\noutput y\noutput i\n",
    "opset 13\n" X "node AveragePool x -> y kernel_shape=is:3,3 pads=is:1,1,1,1 count_include_pad=i:1\noutput y\n",
    "opset 13\n" X "node GlobalAveragePool x -> a\nnode Flatten a -> b\nconst w f32 3,4 1\nnode Gemm b w -> y "
                   "transB=i:1 alpha=f:0.5\noutput y\n",
    "opset 13\n" X "const s f32 4 1,1,1,1\nnode BatchNormalization x s s s s -> y epsilon=f:0.001\noutput y\n",
    "opset 13\n" X "const s f32 4 1,1,1,1\nnode InstanceNormalization x s s -> y\noutput y\n",
    "opset 17\n" X "const s f32 6 1\nnode LayerNormalization x s s -> y m d axis=i:-1\noutput y\noutput m\n",
    "opset 21\n" X "const s f32 4 1\nnode GroupNormalization x s s -> y num_groups=i:2\noutput y\n",
    "opset 18\n" X "const s f32 2 1\nnode GroupNormalization x s s -> y num_groups=i:2\noutput y\n",
    "opset 13\n" X "node Softmax x -> y axis=i:1\noutput y\n",
    "opset 9\n" X "node Softmax x -> y axis=i:2\noutput y\n",
    "opset 13\n" X "node LRN x -> y size=i:3\noutput y\n",
    "opset 18\n" X "const a i64 2 2,-1\nnode ReduceMean x a -> y keepdims=i:0\noutput y\n",
    "opset 11\n" X "node ReduceL2 x -> y axes=is:1\noutput y\n",
    "opset 13\n" X "node ArgMax x -> y axis=i:1 keepdims=i:0\noutput y\n",
    "opset 13\n" X "const k i64 1 2\nnode TopK x k -> v i largest=i:0\noutput v\noutput i\n",
    "opset 14\n" X "const a i64 . 1\nnode CumSum x a -> y reverse=i:1\noutput y\n",
    "opset 13\n" X "node Transpose x -> y perm=is:0,2,3,1\noutput y\n",
    "opset 13\n" X "const s i64 3 0,-1,36\nnode Reshape x s -> y\noutput y\n",
    "opset 13\ninput x f32 n,4,h\nnode Shape x -> s\nconst i i64 . 0\nnode Gather s i -> n\nconst a i64 1 0\nnode "
    "Unsqueeze n a -> u\n"
    "const m i64 1 -1\nnode Concat u m -> t axis=i:0\nnode Reshape x t -> y\noutput y\n",
    "opset 13\n" X "const s i64 2 1,1\nconst e i64 2 -1,9223372036854775807\nconst a i64 2 2,3\nconst t i64 2 "
                   "1,2\nnode Slice x s e a t -> y\noutput y\n",
    "opset 9\n" X "node Slice x -> y starts=is:1 ends=is:3 axes=is:2\noutput y\n",
    "opset 13\n" X "const s i64 2 1,3\nnode Split x s -> y z axis=i:1\noutput y\noutput z\n",
    "opset 18\n" X "node Split x -> y z w axis=i:1 num_outputs=i:3\noutput y\noutput w\n",
    "opset 13\n" X "const p i64 8 0,0,1,1,0,0,1,1\nconst v f32 . 3\nnode Pad x p v -> y mode=s:constant\noutput y\n",
    "opset 2\n" X "node Pad x -> y pads=is:0,0,1,1,0,0,1,1 mode=s:edge\noutput y\n",
    "opset 13\n" X "const s i64 5 2,1,4,6,6\nnode Expand x s -> y\noutput y\n",
    "opset 13\n" X "const s i64 4 1,2,1,1\nnode Tile x s -> y\noutput y\n",
    "opset 13\n" X "const i i64 3 0,2,1\nnode Gather x i -> y axis=i:1\noutput y\n",
    "opset 13\n" X "const i i64 1,2 0,1\nnode GatherND x i -> y\noutput y\n",
    "opset 16\n" X "const i i64 1,1,1,2 0,1\nconst u f32 1,1,1,2 5,6\nnode ScatterElements x i u -> y axis=i:3 "
                   "reduction=s:add\noutput y\n",
    "opset 13\n" X "const i i64 1,1 0\nconst u f32 1,4,6,6 1\nnode ScatterND x i u -> y\noutput y\n",
    "opset 19\n" X "const s f32 4 1,1,2,2\nnode Resize x _ s -> y mode=s:linear "
                   "coordinate_transformation_mode=s:align_corners\noutput y\n",
    "opset 11\n" X "const r f32 0\nconst z i64 4 1,4,3,9\nnode Resize x r r z -> y mode=s:cubic\noutput y\n",
    "opset 9\n" X "const s f32 4 1,1,2,2\nnode Upsample x s -> y mode=s:nearest\noutput y\n",
    "opset 16\n" X "const g f32 1,2,2,2 0.5\nnode GridSample x g -> y mode=s:bicubic padding_mode=s:border\noutput y\n",
    "opset 13\n" X "node DepthToSpace x -> y blocksize=i:2 mode=s:CRD\noutput y\n",
    "opset 13\n" X "node SpaceToDepth x -> y blocksize=i:2\noutput y\n",
    "opset 14\n" X "node Trilu x -> y upper=i:0\noutput y\n",
    "opset 13\ninput x i64 3\nconst d i64 . 5\nconst v f32 2 0,1\nnode OneHot x d v -> y axis=i:0\noutput y\n",
    "opset 13\nconst a i64 . 1\nconst b i64 . 9\nconst c i64 . 2\nnode Range a b c -> r\ninput x i64 4\nnode Add r x "
    "-> y\noutput y\n",
    "opset 13\n" X "const lo f32 . -1\nconst hi f32 . 1\nnode Clip x lo hi -> y\noutput y\n",
    "opset 13\n" X "node Cast x -> i to=i:7\nnode Mod i i -> m\nnode Cast m -> y to=i:16\noutput y\n",
    "opset 19\n" X
    "const s f32 . 0.5\nconst z i8 . 1\nnode QuantizeLinear x s z -> q\nnode DequantizeLinear q s z -> y\noutput y\n",
    "opset 13\n" X "const s f32 . 0.5\nconst z u8 . 1\nnode QuantizeLinear x s z -> q\nconst w u8 2,4,1,1 1\n"
    "node QLinearConv q s z w s z s z -> y\noutput y\n",
    "opset 13\n" X "node DynamicQuantizeLinear x -> q s z\noutput q\noutput s\noutput z\n",
    "opset 14\ninput x f32 3,1,2\nconst w f32 1,8,2 1\nconst r f32 1,8,2 1\nnode LSTM x w r -> y h c "
    "hidden_size=i:2\noutput y\noutput c\n",
    "opset 14\ninput x f32 3,1,2\nconst w f32 2,6,2 1\nconst r f32 2,6,2 1\nnode GRU x w r -> y hidden_size=i:2 "
    "direction=s:bidirectional\noutput y\n",
    "opset 13\ninput x f32 2,3\ninput w f32 3,4\nnode Einsum x w -> y equation=s:ij,jk->ik\noutput y\n",
    "opset 23\ninput q f32 1,5,8\nnode Attention q q q -> y q_num_heads=i:2 kv_num_heads=i:2 is_causal=i:1\noutput y\n",
    "opset 13\ninput x bool 3\nnode NonZero x -> y\noutput y\n",
    "opset 13\n" X "node Unique x -> y\noutput y\n",
    "opset 13\ninput c bool .\ninput x f32 2\nnode If c -> y\ngraph then_branch\nnode Neg x -> a\noutput a\nend\n"
    "graph else_branch\nnode Abs x -> b\noutput b\nend\noutput y\n",
    "opset 13\ninput x f32 2\nconst n i64 . 3\nconst t bool . 1\nnode Loop n t x -> y s\ngraph body\ninput i i64 "
    ".\ninput c bool .\ninput v f32 2\n"
    "node Add v x -> w\nnode Identity c -> d\noutput d\noutput w\noutput v\nend\noutput y\noutput s\n",
    "opset 13\ninput x f32 4,2\nconst z f32 2 0\nnode Scan z x -> e y num_scan_inputs=i:1\ngraph body\ninput a f32 "
    "2\ninput b f32 2\n"
    "node Add a b -> c\nnode Neg c -> d\noutput c\noutput d\nend\noutput e\noutput y\n",
    "opset 13\ninput x f32 2\nnode SequenceConstruct x x -> s\nconst i i64 . 1\nnode SequenceAt s i -> y\noutput y\n",
    "opset 18\ninput x f32 2\nnode Optional x -> o\nnode OptionalGetElement o -> y\noutput y\n",
    "opset 17\ninput x f32 1,16,1\nconst l i64 . 8\nnode DFT x l -> y axis=i:1\noutput y\n",
    "opset 12\nopset e 1\nfunction e:F a -> b k=f:2\nnode Constant -> c value_float=r:k\nnode Mul a c -> b\nend\ninput "
    "x f32 n\nnode e:F x -> y\noutput y\n",
    "ir 3\nopset 6\ninput x f32 2,3\ninput w f32 2\nconst w f32 2 1,2\nnode Add x w -> y broadcast=i:1 "
    "axis=i:0\noutput y\n",
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof models / sizeof *models; i++) {
        char   path[4096];
        pf_buf bytes;
        pf_err err = { 0 };

        model_bytes(model_of(models[i]), &bytes);
        snprintf(path, sizeof path, "%s/model_%02zu.onnx", argv[1], i);
        if (pf_dir_make(argv[1], &err) || pf_file_write(path, bytes.data, bytes.size, &err)) {
            fprintf(stderr, "%s\n", err.msg);
            return 1;
        }
        pf_buf_clear(&bytes);
    }
    return argc == 2 ? 0 : 1;
}
