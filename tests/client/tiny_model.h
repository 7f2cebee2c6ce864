/* ONNX models of a few nodes, for tests of the program: written as an exporter writes them. */
#ifndef PF_TESTS_CLIENT_TINY_MODEL_H
#define PF_TESTS_CLIENT_TINY_MODEL_H

/* input "x" f32 [batch,3,16,16] -> Conv(3x3, pads 1) -> Relu -> "conv" ; GlobalAveragePool -> Flatten -> Gemm ->
   "scores" [batch,4]. Weights are small pseudo-random numbers, inside the file. */
void tiny_model(const char *path);
/* The same with other weights. */
void tiny_model_again(const char *path);
/* The same, with its weights in the file `location` of the folder that path is in; location may name a folder that is
   there. */
void tiny_model_external(const char *path, const char *location);
/* input "input" f32 [batch,3,224,224] -> Conv(3x3, strides 16) -> Relu -> GlobalAveragePool -> Flatten -> Gemm ->
   "output" [batch,10]. */
void tiny_model_image(const char *path);
/* input "x" f32 [1,4,side,side] -> as many convolutions of different sizes in a row: a build that takes a while.
   Models of one side have layers in common, of which only the first one's build times anything. */
void tiny_model_deep(const char *path, int layers, int side);
/* "x" and "y" f32 [2,3] -> Add -> "sum". */
void tiny_model_add(const char *path);
/* "x" f32 [2,3] -> Relu -> Relu -> "twice". */
void tiny_model_twice(const char *path);
/* "x" f32 [2,3] -> Relu -> NonZero -> "places": how many there are only the values say. */
void tiny_model_places(const char *path);
/* "x" f32 [3,3] -> NonZero -> the rows of x that these places name -> MatMul -> "y": a product that is left to the
   host, as only data decides how many rows there are. */
void tiny_model_placed_rows(const char *path);
/* "x" f32 [2,3] -> Relu -> "../two\nlines". */
void tiny_model_odd_name(const char *path);
/* Two nodes of ops that nobody knows. */
void tiny_model_unknown(const char *path);
/* Two Relu nodes that feed each other. */
void tiny_model_cycle(const char *path);
/* A MatMul of [2,3] by [4,5]. */
void tiny_model_misfit(const char *path);

#endif
