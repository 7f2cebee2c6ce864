/* Graphs before and after a rule: what goes into the weights of a convolution or a product. */
#include "tests/unit/engine/rules/rows.h"

#define X4 "%0 = input f32 [n,2,3,3]\n"
/* A convolution of two channels to two, 1x1. */
#define W4 "%1 = constant f32 [2,2,1,1] {1,2,3,4}\n"

/* Zeros of the padding, what is read twice, weights that others read, a constant of another dim. */
#define NOT_FOLDED \
    "%0 = input f32 [3,2,2,2]\n%1 = constant f32 [2,1,1] {1,2}\n%2 = add(%0, %1)\n%3 = constant f32 [1,2,1,1] {1,2}\n" \
    "%4 = conv(%2, %3) strides=[1,1] dilations=[1,1] pads=[1,1,1,1] groups=1\n%5 = mul(%0, %1)\n" \
    "%6 = constant f32 [1,2,1,1] {3,4}\n" \
    "%7 = conv(%5, %6) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%8 = neg(%5)\n" \
    "%9 = constant f32 [2,1] {2,3}\n" \
    "%10 = mul(%0, %9)\n%11 = constant f32 [2,2] {1,2,3,4}\n%12 = matmul(%10, %11)\n%13 = constant f32 [2] {4,5}\n" \
    "%14 = mul(%0, %13)\n" \
    "%15 = matmul(%14, %11)\noutput %4\noutput %7\noutput %8\noutput %12\noutput %15\n"

static const rule_row rows[] = {
    { "merge_convs,drop_dead",
      X4 "%1 = constant f32 [1,2,1,1] {1,2}\n%2 = constant f32 [2,2,1,1] {3,4,5,6}\n%3 = constant f32 [2] {7,8}\n"
      "%4 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%5 = relu(%4)\n"
      "%6 = conv(%0, %2, %3) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%7 = relu(%6)\n%8 = neg(%5)\n"
      "%9 = neg(%7)\n%10 = exp(%7)\noutput %8\noutput %9\noutput %10\n",
      X4 "%1 = constant f32 [3,2,1,1] {1,2,3,4,5,6}\n%2 = constant f32 [3] {0,7,8}\n"
      "%3 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%4 = relu(%3)\n"
      "%5 = slice(%4) axes=[1] starts=[0] ends=[1] steps=[1]\n%6 = neg(%5)\n"
      "%7 = slice(%4) axes=[1] starts=[1] ends=[3] steps=[1]\n%8 = neg(%7)\n%9 = exp(%7)\noutput %6\noutput %8\n"
      "output %9\n" },
    { "merge_convs",
      X4 "%1 = constant f32 [1,2,1,1] {1,2}\n%2 = constant f32 [2,2,1,1] {3,4,5,6}\n"
      "%3 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%4 = conv(%0, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%5 = concat(%3, %4) axis=1\n"
      "output %5\n",
      X4 "%1 = constant f32 [1,2,1,1] {1,2}\n%2 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%3 = constant f32 [2,2,1,1] {3,4,5,6}\n%4 = conv(%0, %3) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%5 = concat(%2, %4) axis=1\noutput %5\n" },

    { "fold_pad,drop_dead",
      X4 "%1 = pad(%0) pads=[0,0,1,2,0,0,0,1]\n%2 = constant f32 [1,2,2,2] {1,2,3,4,5,6,7,8}\n"
      "%3 = conv(%1, %2) strides=[1,1] dilations=[1,1] pads=[0,1,0,0] groups=1\noutput %3\n",
      X4 "%1 = constant f32 [1,2,2,2] {1,2,3,4,5,6,7,8}\n"
      "%2 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[1,3,0,1] groups=1\noutput %2\n" },
    { "fold_pad,drop_dead",
      X4 "%1 = pad(%0) pads=[0,0,1,1,0,0,1,1]\n"
      "%2 = average_pool(%1) kernel=[2,2] strides=[1,1] dilations=[1,1] pads=[0,0,0,0]\noutput %2\n",
      X4 "%1 = average_pool(%0) kernel=[2,2] strides=[1,1] dilations=[1,1] pads=[1,1,1,1] count_include_pad=1\n"
      "output %1\n" },
    { "fold_pad,drop_dead",
      X4 "%1 = pad(%0) pads=[0,0,1,1,0,0,1,1] value=-inf\n"
      "%2 = max_pool(%1) kernel=[2,2] strides=[1,1] dilations=[1,1] pads=[0,0,0,0]\noutput %2\n",
      X4 "%1 = max_pool(%0) kernel=[2,2] strides=[1,1] dilations=[1,1] pads=[1,1,1,1]\noutput %1\n" },
    /* Zeros are not what a maximum pads with; ones are not what a convolution pads with. */
    { "fold_pad",
      X4 "%1 = pad(%0) pads=[0,0,1,1,0,0,1,1]\n"
      "%2 = max_pool(%1) kernel=[2,2] strides=[1,1] dilations=[1,1] pads=[0,0,0,0]\noutput %2\n", STAYS },
    { "fold_pad",
      X4 "%1 = pad(%0) pads=[0,0,1,1,0,0,1,1] value=1\n%2 = constant f32 [1,2,1,1] {1,2}\n"
      "%3 = conv(%1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %3\n", STAYS },
    /* A transposed convolution leaves out less. */
    { "fold_pad,drop_dead",
      "%0 = input f32 [n,1,3,3]\n%1 = pad(%0) pads=[0,0,1,0,0,0,1,1] value=0\n"
      "%2 = constant f32 [1,1,3,2] {1,2,3,4,5,6}\n"
      "%3 = conv_transpose(%1, %2) strides=[2,2] dilations=[1,1] pads=[3,0,2,2] output_padding=[0,0] groups=1\n"
      "output %3\n",
      "%0 = input f32 [n,1,3,3]\n%1 = constant f32 [1,1,3,2] {1,2,3,4,5,6}\n"
      "%2 = conv_transpose(%0, %1) strides=[2,2] dilations=[1,1] pads=[1,0,0,0] output_padding=[0,0] groups=1\n"
      "output %2\n" },
    /* It leaves out too little. */
    { "fold_pad",
      "%0 = input f32 [n,1,3,3]\n%1 = pad(%0) pads=[0,0,1,0,0,0,1,1] value=0\n"
      "%2 = constant f32 [1,1,3,2] {1,2,3,4,5,6}\n"
      "%3 = conv_transpose(%1, %2) strides=[2,2] dilations=[1,1] pads=[1,0,2,2] output_padding=[0,0] groups=1\n"
      "output %3\n",
      "%0 = input f32 [n,1,3,3]\n%1 = pad(%0) pads=[0,0,1,0,0,0,1,1]\n%2 = constant f32 [1,1,3,2] {1,2,3,4,5,6}\n"
      "%3 = conv_transpose(%1, %2) strides=[2,2] dilations=[1,1] pads=[1,0,2,2] output_padding=[0,0] groups=1\n"
      "output %3\n" },

    { "fold_crop,drop_dead",
      "%0 = input f32 [n,1,3,3]\n%1 = constant f32 [1,1,3,2] {1,2,3,4,5,6}\n%2 = constant f32 [1] {7}\n"
      "%3 = conv_transpose(%0, %1, %2) strides=[2,2] dilations=[1,1] pads=[1,0,0,0] output_padding=[0,0] groups=1\n"
      "%4 = slice(%3) axes=[2,3] starts=[1,1] ends=[-2,-1] steps=[1,1]\noutput %4\n",
      "%0 = input f32 [n,1,3,3]\n%1 = constant f32 [1,1,3,2] {1,2,3,4,5,6}\n%2 = constant f32 [1] {7}\n"
      "%3 = conv_transpose(%0, %1, %2) strides=[2,2] dilations=[1,1] pads=[2,1,2,1] output_padding=[0,0] groups=1\n"
      "output %3\n" },
    /* Every other one; channels; read whole. */
    { "fold_crop",
      "%0 = input f32 [n,1,3,3]\n%1 = constant f32 [1,2,1,2] {1,2,3,4}\n"
      "%2 = conv_transpose(%0, %1) strides=[2,2] dilations=[1,1] pads=[0,0,0,0] output_padding=[0,0] groups=1\n"
      "%3 = slice(%2) axes=[2] starts=[0] ends=[5] steps=[2]\n%4 = exp(%0)\n"
      "%5 = conv_transpose(%4, %1) strides=[2,2] dilations=[1,1] pads=[0,0,0,0] output_padding=[0,0] groups=1\n"
      "%6 = slice(%5) axes=[1,2] starts=[0,0] ends=[1,4] steps=[1,1]\n%7 = tanh(%0)\n"
      "%8 = conv_transpose(%7, %1) strides=[2,2] dilations=[1,1] pads=[0,0,0,0] output_padding=[0,0] groups=1\n"
      "%9 = slice(%8) axes=[2] starts=[0] ends=[4] steps=[1]\noutput %3\noutput %6\noutput %8\noutput %9\n", STAYS },

    /* Only the middle of one dim meets an element, all of the other do. */
    { "fold_taps,fold_constants,drop_dead",
      "%0 = input f32 [n,1,3,4]\n%1 = constant f32 [1,1,3,3] {1,2,3,4,5,6,7,8,9}\n%2 = constant f32 [1] {7}\n"
      "%3 = conv(%0, %1, %2) strides=[1,1] dilations=[3,2] pads=[3,2,3,2] groups=1\noutput %3\n",
      "%0 = input f32 [n,1,3,4]\n%1 = constant f32 [1,1,1,3] {4,5,6}\n%2 = constant f32 [1] {7}\n"
      "%3 = conv(%0, %1, %2) strides=[1,1] dilations=[1,2] pads=[0,2,0,2] groups=1\noutput %3\n" },
    { "fold_taps,fold_constants,drop_dead",
      "%0 = input f32 [n,1,1,5]\n%1 = constant f32 [1,1,5,1] {1,2,3,4,5}\n"
      "%2 = conv(%0, %1) strides=[2,1] dilations=[1,1] pads=[2,0,2,0] groups=1\noutput %2\n",
      "%0 = input f32 [n,1,1,5]\n%1 = constant f32 [1,1,1,1] {3}\n"
      "%2 = conv(%0, %1) strides=[2,1] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %2\n" },
    /* All taps are needed; padding would differ at both ends; a size that is not known. */
    { "fold_taps",
      "%0 = input f32 [n,1,3,m]\n%1 = constant f32 [1,1,3,1] {1,2,3}\n"
      "%2 = conv(%0, %1) strides=[1,1] dilations=[2,1] pads=[2,0,2,0] groups=1\n"
      "%3 = conv(%0, %1) strides=[1,1] dilations=[3,1] pads=[3,0,4,0] groups=1\n"
      "%4 = constant f32 [1,1,1,3] {1,2,3}\n"
      "%5 = conv(%0, %4) strides=[1,1] dilations=[1,9] pads=[0,9,0,9] groups=1\noutput %2\noutput %3\noutput %5\n",
      STAYS },

    { "fold_batchnorm,drop_dead",
      X4 W4 "%2 = constant f32 [2] {10,20}\n"
      "%3 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%4 = constant f32 [2] {2,4}\n"
      "%5 = constant f32 [2] {1,-1}\n%6 = constant f32 [2] {3,5}\n%7 = constant f32 [2] {4,16}\n"
      "%8 = batch_norm(%3, %4, %5, %6, %7)\noutput %8\n",
      X4 "%1 = constant f32 [2,2,1,1] {1,2,3,4}\n%2 = constant f32 [2] {8,14}\n"
      "%3 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %3\n" },
    { "fold_batchnorm,drop_dead",
      "%0 = input f32 [n,4,3]\n%1 = constant f32 [4,1,1] {1,2,3,4}\n"
      "%2 = conv_transpose(%0, %1) strides=[1] dilations=[1] pads=[0,0] output_padding=[0] groups=2\n"
      "%3 = constant f32 [2] {2,3}\n%4 = constant f32 [2] {0,1}\n%5 = constant f32 [2] {0,0}\n"
      "%6 = constant f32 [2] {1,1}\n%7 = batch_norm(%2, %3, %4, %5, %6)\noutput %7\n",
      "%0 = input f32 [n,4,3]\n%1 = constant f32 [4,1,1] {2,4,9,12}\n%2 = constant f32 [2] {0,1}\n"
      "%3 = conv_transpose(%0, %1, %2) strides=[1] dilations=[1] pads=[0,0] output_padding=[0] groups=2\noutput %3\n" },
    { "fold_batchnorm,drop_dead",
      "%0 = input f32 [n,2]\n%1 = constant f32 [3,2] {1,2,3,4,5,6}\n%2 = constant f32 [1,3] {1,1,1}\n"
      "%3 = gemm(%0, %1, %2) trans_b=1 alpha=2 beta=3\n%4 = constant f32 [3] {2,1,1}\n%5 = constant f32 [3] {0,0,7}\n"
      "%6 = constant f32 [3] {0,0,0}\n%7 = constant f32 [3] {1,1,1}\n%8 = batch_norm(%3, %4, %5, %6, %7)\noutput %8\n",
      "%0 = input f32 [n,2]\n%1 = constant f32 [3,2] {4,8,6,8,10,12}\n%2 = constant f32 [3] {6,3,10}\n"
      "%3 = gemm(%0, %1, %2) trans_b=1 alpha=1 beta=1\noutput %3\n" },
    { "fold_batchnorm,drop_dead",
      X4 "%1 = constant f32 [2] {2,4}\n%2 = constant f32 [2] {1,-1}\n%3 = constant f32 [2] {3,5}\n"
      "%4 = constant f32 [2] {4,16}\n%5 = batch_norm(%0, %1, %2, %3, %4)\noutput %5\n",
      X4 "%1 = constant f32 [2,1,1] {1,1}\n%2 = mul(%0, %1)\n%3 = constant f32 [2,1,1] {-2,-6}\n%4 = add(%2, %3)\n"
      "output %4\n" },

    { "fold_scale,drop_dead",
      X4 W4 "%2 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%3 = constant f32 [2,1,1] {2,3}\n"
      "%4 = mul(%2, %3)\n%5 = constant f32 [1,2,1,1] {5,6}\n%6 = add(%4, %5)\noutput %6\n",
      X4 "%1 = constant f32 [2,2,1,1] {2,4,9,12}\n%2 = constant f32 [2] {5,6}\n"
      "%3 = conv(%0, %1, %2) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %3\n" },
    { "fold_scale,drop_dead",
      "%0 = input f32 [n,2]\n%1 = constant f32 [2,3] {1,2,3,4,5,6}\n%2 = matmul(%0, %1)\n"
      "%3 = constant f32 [3] {7,8,9}\n%4 = sub(%2, %3)\n%5 = constant f32 [] {2}\n%6 = div(%4, %5)\noutput %6\n",
      "%0 = input f32 [n,2]\n%1 = constant f32 [2,3] {0.5,1,1.5,2,2.5,3}\n%2 = constant f32 [3] {-3.5,-4,-4.5}\n"
      "%3 = gemm(%0, %1, %2) alpha=1 beta=1\noutput %3\n" },
    /* A product of higher rank takes a scale, but has no place for a bias. */
    { "fold_scale,drop_dead",
      "%0 = input f32 [n,3,2]\n%1 = constant f32 [3,2] {1,2,3,4,5,6}\n%2 = matmul(%0, %1) trans_b=1\n"
      "%3 = constant f32 [3] {2,1,1}\n%4 = mul(%2, %3)\n%5 = constant f32 [3] {7,8,9}\n%6 = add(%4, %5)\noutput %6\n",
      "%0 = input f32 [n,3,2]\n%1 = constant f32 [3,2] {2,4,3,4,5,6}\n%2 = matmul(%0, %1) trans_b=1\n"
      "%3 = constant f32 [3] {7,8,9}\n%4 = add(%2, %3)\noutput %4\n" },
    /* Along another axis than the channels, by zero, of a value that is used twice: left alone. */
    { "fold_scale",
      X4 W4 "%2 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%3 = constant f32 [3] {2,3,4}\n"
      "%4 = mul(%2, %3)\noutput %4\n", STAYS },
    { "fold_scale",
      X4 W4 "%2 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%3 = constant f32 [] {2}\n"
      "%4 = mul(%2, %3)\n%5 = add(%4, %2)\noutput %5\n", STAYS },

    /* Pixels that are normalized, a product of rows, groups. */
    { "fold_input,drop_dead",
      "%0 = input f32 [n,2,3,3]\n%1 = constant f32 [2,1,1] {1,2}\n%2 = sub(%0, %1)\n%3 = constant f32 [1,2,1,1] {2,4}\n"
      "%4 = div(%2, %3)\n%5 = constant f32 [3,2,1,1] {1,2,3,4,5,6}\n"
      "%6 = conv(%4, %5) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%7 = constant f32 [2,1,2,1] {1,2,3,4}\n"
      "%8 = mul(%0, %1)\n%9 = conv(%8, %7) strides=[1,1] dilations=[1,1] pads=[1,0,0,0] groups=2\n"
      "%10 = constant f32 [3] {1,2,3}\n%11 = add(%0, %10)\n%12 = constant f32 [3,2] {1,2,3,4,5,6}\n"
      "%13 = matmul(%11, %12)\noutput %6\noutput %9\noutput %13\n",
      "%0 = input f32 [n,2,3,3]\n%1 = constant f32 [2,1,2,1] {1,2,6,8}\n"
      "%2 = conv(%0, %1) strides=[1,1] dilations=[1,1] pads=[1,0,0,0] groups=2\n%3 = constant f32 [3,2] {1,2,3,4,5,6}\n"
      "%4 = matmul(%0, %3)\n%5 = constant f32 [2] {22,28}\n%6 = add(%4, %5)\n"
      "%7 = constant f32 [3,2,1,1] {0.5,0.5,1.5,1,2.5,1.5}\n%8 = constant f32 [3] {-1.5,-3.5,-5.5}\n"
      "%9 = conv(%0, %7, %8) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %9\noutput %2\n"
      "output %6\n" },
    { "fold_input,drop_dead",
      "%0 = input f32 [n,2]\n%1 = constant f32 [2] {2,3}\n%2 = mul(%0, %1)\n%3 = add(%2, %1)\n"
      "%4 = constant f32 [3,2] {1,2,3,4,5,6}\n%5 = constant f32 [3] {7,8,9}\n"
      "%6 = gemm(%3, %4, %5) trans_b=1 alpha=2 beta=3\noutput %6\n",
      "%0 = input f32 [n,2]\n%1 = constant f32 [3,2] {4,12,12,24,20,36}\n%2 = constant f32 [3] {37,60,83}\n"
      "%3 = gemm(%0, %1, %2) trans_b=1 alpha=1 beta=1\noutput %3\n" },
    { "fold_input", NOT_FOLDED, STAYS },

    { "fold_gemm,drop_dead",
      "%0 = input f32 [n,2]\n%1 = constant f32 [2,2] {1,2,3,4}\n%2 = constant f32 [] {5}\n"
      "%3 = gemm(%0, %1, %2) alpha=2 beta=3\noutput %3\n",
      "%0 = input f32 [n,2]\n%1 = constant f32 [2,2] {2,4,6,8}\n%2 = constant f32 [2] {15,15}\n"
      "%3 = gemm(%0, %1, %2) alpha=1 beta=1\noutput %3\n" },
    { "fold_gemm,drop_dead",
      "%0 = input f32 [n,2]\n%1 = input f32 [2,2]\n%2 = input f32 [2]\n%3 = gemm(%0, %1, %2) alpha=1\noutput %3\n",
      "%0 = input f32 [n,2]\n%1 = input f32 [2,2]\n%2 = input f32 [2]\n%3 = gemm(%0, %1) alpha=1 beta=1\noutput %3\n" },

    { "fold_transpose,drop_dead",
      "%0 = input f32 [n,2,4]\n%1 = constant f32 [3,4] {1,2,3,4,5,6,7,8,9,10,11,12}\n%2 = transpose(%1) perm=[1,0]\n"
      "%3 = transpose(%0) perm=[0,2,1]\n%4 = matmul(%0, %2)\n%5 = matmul(%3, %0)\n%6 = matmul(%3, %3) trans_a=1\n"
      "output %4\noutput %5\noutput %6\n",
      "%0 = input f32 [n,2,4]\n%1 = constant f32 [3,4] {1,2,3,4,5,6,7,8,9,10,11,12}\n%2 = matmul(%0, %1) trans_b=1\n"
      "%3 = matmul(%0, %0) trans_a=1\n%4 = matmul(%0, %0) trans_b=1\noutput %2\noutput %3\noutput %4\n" },
    { "fold_transpose,drop_dead",
      "%0 = input f32 [2,n]\n%1 = transpose(%0) perm=[1,0]\n%2 = gemm(%1, %1, %1) trans_b=1 alpha=1\noutput %2\n",
      "%0 = input f32 [2,n]\n%1 = transpose(%0) perm=[1,0]\n%2 = gemm(%0, %0, %1) trans_a=1 alpha=1\noutput %2\n" },
    /* Not the last two; a vector; an addend. */
    { "fold_transpose",
      "%0 = input f32 [2,2,2]\n%1 = transpose(%0) perm=[1,0,2]\n%2 = matmul(%0, %1)\n%3 = input f32 [2]\n"
      "%4 = transpose(%0) perm=[0,2,1]\n%5 = matmul(%4, %3)\n%6 = matmul(%3, %2)\n%7 = add(%5, %6)\noutput %7\n",
      "%0 = input f32 [2,2,2]\n%1 = input f32 [2]\n%2 = transpose(%0) perm=[1,0,2]\n%3 = matmul(%0, %2)\n"
      "%4 = transpose(%0) perm=[0,2,1]\n%5 = matmul(%4, %1)\n%6 = matmul(%1, %3)\n%7 = add(%5, %6)\noutput %7\n" },
    /* Places of an image that a convolution made, but not a batch of matrices times them. */
    { "fold_transpose",
      "%0 = input f32 [n,2,3,3]\n%1 = constant f32 [2,2,1,1] {1,2,3,4}\n"
      "%2 = conv(%0, %1, _) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%3 = relu(%2)\n"
      "%4 = reshape(%3) shape=[n,2,9]\n%5 = transpose(%4) perm=[0,2,1]\n%6 = constant f32 [2,1] {5,6}\n"
      "%7 = matmul(%5, %6)\noutput %7\n", STAYS },
    { "fold_transpose,drop_dead",
      "%0 = input f32 [n,2,3,3]\n%1 = constant f32 [2,2,1,1] {1,2,3,4}\n"
      "%2 = conv(%0, %1, _) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%3 = reshape(%2) shape=[n,2,9]\n%4 = transpose(%3) perm=[0,2,1]\n%5 = matmul(%4, %3)\noutput %5\n",
      "%0 = input f32 [n,2,3,3]\n%1 = constant f32 [2,2,1,1] {1,2,3,4}\n"
      "%2 = conv(%0, %1, _) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%3 = reshape(%2) shape=[n,2,9]\n%4 = matmul(%3, %3) trans_a=1\noutput %4\n" },

    { "merge_products,drop_dead",
      "%0 = input f32 [n,s,2]\n%1 = constant f32 [2,1] {1,2}\n%2 = constant f32 [2,2] {3,4,5,6}\n"
      "%3 = constant f32 [2,3] {7,8,9,10,11,12}\n%4 = matmul(%0, %1)\n%5 = matmul(%0, %2)\n"
      "%6 = constant f32 [1,2] {13,14}\n%7 = add(%5, %6)\n%8 = matmul(%0, %3)\noutput %4\noutput %7\noutput %8\n",
      "%0 = input f32 [n,s,2]\n%1 = constant f32 [2,6] {1,3,4,7,8,9,2,5,6,10,11,12}\n%2 = matmul(%0, %1)\n"
      "%3 = constant f32 [6] {0,13,14,0,0,0}\n%4 = add(%2, %3)\n%5 = slice(%4) axes=[2] starts=[0] ends=[1] steps=[1]\n"
      "%6 = slice(%4) axes=[2] starts=[1] ends=[3] steps=[1]\n%7 = slice(%4) axes=[2] starts=[3] ends=[6] steps=[1]\n"
      "output %5\noutput %6\noutput %7\n" },
    { "merge_products,drop_dead",
      "%0 = input f32 [n,2]\n%1 = constant f32 [1,2] {1,2}\n%2 = constant f32 [2,2] {3,4,5,6}\n"
      "%3 = constant f32 [1] {7}\n%4 = gemm(%0, %1, %3) trans_b=1 alpha=1 beta=1\n%5 = matmul(%0, %2) trans_b=1\n"
      "output %4\noutput %5\n",
      "%0 = input f32 [n,2]\n%1 = constant f32 [3,2] {1,2,3,4,5,6}\n%2 = matmul(%0, %1) trans_b=1\n"
      "%3 = constant f32 [3] {7,0,0}\n%4 = add(%2, %3)\n%5 = slice(%4) axes=[1] starts=[0] ends=[1] steps=[1]\n"
      "%6 = slice(%4) axes=[1] starts=[1] ends=[3] steps=[1]\noutput %5\noutput %6\n" },
    /* The other way round, on the right, with a factor, of another value. */
    { "merge_products",
      "%0 = input f32 [2,2]\n%1 = constant f32 [2,2] {1,2,3,4}\n%2 = matmul(%0, %1)\n%3 = matmul(%0, %1) trans_b=1\n"
      "%4 = matmul(%1, %0)\n%5 = gemm(%0, %1) alpha=2\n%6 = matmul(%2, %1)\noutput %3\noutput %4\noutput %5\n"
      "output %6\n", STAYS },

    { "patches_to_matmul,drop_dead",
      "%0 = input f32 [n,2,4,8]\n%1 = constant f32 [1,2,2,4] {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7}\n%2 = input f32 [1]\n"
      "%3 = conv(%0, %1, %2) strides=[2,4] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %3\n",
      "%0 = input f32 [n,2,4,8]\n%1 = input f32 [1]\n%2 = reshape(%0) shape=[n,2,2,2,2,4]\n"
      "%3 = transpose(%2) perm=[0,2,4,1,3,5]\n%4 = reshape(%3) shape=[n,4,16]\n"
      "%5 = constant f32 [1,2,2,4] {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7}\n%6 = reshape(%5) shape=[1,16]\n"
      "%7 = matmul(%4, %6) trans_b=1\n%8 = add(%7, %1)\n%9 = transpose(%8) perm=[0,2,1]\n"
      "%10 = reshape(%9) shape=[n,1,2,2]\noutput %10\n" },
    /* Windows that overlap, that leave a rest, padding, small patches. */
    { "patches_to_matmul",
      "%0 = input f32 [n,2,5,8]\n%1 = constant f32 [1,2,2,4] {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7}\n"
      "%2 = input f32 [n,1,4,8]\n%3 = constant f32 [1,1,2,2] {1,2,3,4}\n"
      "%4 = conv(%0, %1) strides=[2,4] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%5 = conv(%0, %1) strides=[3,4] dilations=[1,1] pads=[0,0,1,0] groups=1\n"
      "%6 = conv(%2, %3) strides=[2,2] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %4\noutput %5\noutput %6\n",
      "%0 = input f32 [n,2,5,8]\n%1 = input f32 [n,1,4,8]\n"
      "%2 = constant f32 [1,2,2,4] {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7}\n"
      "%3 = conv(%0, %2) strides=[2,4] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%4 = conv(%0, %2) strides=[3,4] dilations=[1,1] pads=[0,0,1,0] groups=1\n%5 = constant f32 [1,1,2,2] {1,2,3,4}\n"
      "%6 = conv(%1, %5) strides=[2,2] dilations=[1,1] pads=[0,0,0,0] groups=1\noutput %3\noutput %4\noutput %6\n" },
};

const rule_rows rule_rows_weights = { rows, sizeof rows / sizeof *rows };
