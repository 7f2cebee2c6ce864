/* Graphs before and after a rule: transposes, reshapes, slices and concats. */
#include "tests/unit/engine/rules/rows.h"

static const rule_row rows[] = {
    { "merge_slices,drop_dead",
      "%0 = input f32 [n,6,8]\n%1 = slice(%0) axes=[2] starts=[0] ends=[8] steps=[2]\n"
      "%2 = slice(%1) axes=[1] starts=[1] ends=[5] steps=[1]\n%3 = slice(%1) axes=[1] starts=[0] ends=[6] steps=[2]\n"
      "output %2\noutput %3\n",
      "%0 = input f32 [n,6,8]\n%1 = slice(%0) axes=[1,2] starts=[1,0] ends=[5,8] steps=[1,2]\n"
      "%2 = slice(%0) axes=[1,2] starts=[0,0] ends=[6,8] steps=[2,2]\noutput %1\noutput %2\n" },
    /* Along the same dim; read whole. */
    { "merge_slices",
      "%0 = input f32 [n,6,8]\n%1 = slice(%0) axes=[2] starts=[0] ends=[8] steps=[2]\n"
      "%2 = slice(%1) axes=[2] starts=[1] ends=[3] steps=[1]\n%3 = slice(%0) axes=[1] starts=[0] ends=[6] steps=[2]\n"
      "%4 = slice(%3) axes=[2] starts=[1] ends=[3] steps=[1]\n%5 = neg(%3)\noutput %2\noutput %4\noutput %5\n", STAYS },

    { "scatter_rows,drop_dead",
      "%0 = input f32 [200,n]\n%1 = input i64 [5,1]\n%2 = input f32 [5,n]\n%3 = expand(%1) shape=[5,n]\n"
      "%4 = scatter_elements(%0, %3, %2) axis=0 reduction=add\noutput %4\n",
      "%0 = input f32 [200,n]\n%1 = input i64 [5,1]\n%2 = input f32 [5,n]\n"
      "%3 = scatter_nd(%0, %1, %2) reduction=add\noutput %3\n" },
    { "scatter_rows,drop_dead",
      "%0 = input f32 [9,2]\n%1 = constant i64 [3,2] {4,4,-1,-1,4,4}\n%2 = input f32 [3,2]\n"
      "%3 = scatter_elements(%0, %1, %2) axis=0\noutput %3\n",
      "%0 = input f32 [9,2]\n%1 = input f32 [3,2]\n%2 = constant i64 [3,1] {4,-1,4}\n"
      "%3 = scatter_nd(%0, %2, %1)\noutput %3\n" },
    /* Along the rows; narrower than they. */
    { "scatter_rows",
      "%0 = input f32 [9,200]\n%1 = input i64 [1,5]\n%2 = input f32 [9,5]\n%3 = input i64 [5,1]\n"
      "%4 = input f32 [5,4]\n%5 = input f32 [200,6]\n%6 = expand(%1) shape=[9,5]\n"
      "%7 = scatter_elements(%0, %6, %2) axis=1\n%8 = expand(%3) shape=[5,4]\n"
      "%9 = scatter_elements(%5, %8, %4)\noutput %7\noutput %9\n", STAYS },

    /* A block inside; all of it; one position, counted from the end. */
    { "scatter_to_concat,drop_dead",
      "%0 = input f32 [2,5,n]\n%1 = constant i64 [2,3,2] {0,1,0,2,0,3,1,1,1,2,1,3}\n%2 = input f32 [2,3,n]\n"
      "%3 = scatter_nd(%0, %1, %2)\noutput %3\n",
      "%0 = input f32 [2,5,n]\n%1 = input f32 [2,3,n]\n"
      "%2 = slice(%0) axes=[1] starts=[0] ends=[1] steps=[1]\n%3 = slice(%0) axes=[1] starts=[4] ends=[5] steps=[1]\n"
      "%4 = concat(%2, %1, %3) axis=1\noutput %4\n" },
    { "scatter_to_concat,drop_dead",
      "%0 = input f32 [2,2,n]\n%1 = constant i64 [2,2,2] {0,0,0,1,1,0,1,1}\n%2 = input f32 [2,2,n]\n"
      "%3 = scatter_nd(%0, %1, %2)\n%4 = neg(%3)\noutput %4\n",
      "%0 = input f32 [2,2,n]\n%1 = input f32 [2,2,n]\n%2 = neg(%1)\noutput %2\n" },
    { "scatter_to_concat,drop_dead",
      "%0 = input f32 [2,5,n]\n%1 = constant i64 [2,2] {0,-1,1,-1}\n%2 = input f32 [2,n]\n"
      "%3 = scatter_nd(%0, %1, %2)\noutput %3\n",
      "%0 = input f32 [2,5,n]\n%1 = input f32 [2,n]\n%2 = reshape(%1) shape=[2,1,n]\n"
      "%3 = slice(%0) axes=[1] starts=[0] ends=[4] steps=[1]\n%4 = concat(%3, %2) axis=1\noutput %4\n" },
    /* Two blocks; one that is added; turned; round the end. */
    { "scatter_to_concat",
      "%0 = input f32 [4,n]\n%1 = input f32 [2,n]\n%2 = input f32 [2,2]\n%3 = constant i64 [2,1] {0,2}\n"
      "%4 = scatter_nd(%0, %3, %1)\n%5 = constant i64 [2,1] {0,1}\n%6 = scatter_nd(%0, %5, %1) reduction=add\n"
      "%7 = constant i64 [2,1] {1,0}\n%8 = scatter_nd(%0, %7, %1)\n%9 = constant i64 [2,2,2] {0,0,1,0,0,1,1,1}\n"
      "%10 = scatter_nd(%2, %9, %2)\n%11 = constant i64 [2,1] {-1,0}\n%12 = scatter_nd(%0, %11, %1)\n"
      "output %4\noutput %6\noutput %8\noutput %10\noutput %12\n", STAYS },

    { "shuffle_channels,drop_dead",
      "%0 = input f32 [n,6,4,w]\n%1 = reshape(%0) shape=[n,2,3,4,w]\n%2 = transpose(%1) perm=[0,2,1,3,4]\n"
      "%3 = reshape(%2) shape=[n,6,4,w]\noutput %3\n",
      "%0 = input f32 [n,6,4,w]\n%1 = constant i64 [6] {0,3,1,4,2,5}\n%2 = gather(%0, %1) axis=1\noutput %2\n" },
    /* Other dims are swapped; other dims are joined; something else is split. */
    { "shuffle_channels",
      "%0 = input f32 [n,6,4,w]\n%1 = reshape(%0) shape=[n,2,3,4,w]\n%2 = transpose(%1) perm=[0,1,2,4,3]\n"
      "%3 = reshape(%2) shape=[n,6,w,4]\n%4 = transpose(%1) perm=[0,2,1,3,4]\n%5 = reshape(%4) shape=[n,3,8,w]\n"
      "%6 = reshape(%0) shape=[n,6,2,2,w]\n%7 = transpose(%6) perm=[0,2,1,3,4]\n%8 = reshape(%7) shape=[n,6,4,w]\n"
      "output %3\noutput %5\noutput %8\n", STAYS },

    { "transpose_to_reshape,drop_dead",
      "%0 = input f32 [n,1,4,1]\n%1 = transpose(%0) perm=[1,0,3,2]\n%2 = transpose(%0) perm=[2,1,0,3]\noutput %1\n"
      "output %2\n",
      "%0 = input f32 [n,1,4,1]\n%1 = transpose(%0) perm=[2,1,0,3]\n%2 = reshape(%0) shape=[1,n,1,4]\noutput %2\n"
      "output %1\n" },

    /* Dims that are split, joined where they lie side by side, and gained or lost. */
    { "reshape_first,drop_dead",
      "%0 = input f32 [n,6,8]\n%1 = transpose(%0) perm=[2,1,0]\n%2 = reshape(%1) shape=[4,2,1,6,n]\n"
      "%3 = transpose(%0) perm=[0,2,1]\n%4 = reshape(%3) shape=[n,8,2,3]\n%5 = transpose(%4) perm=[2,3,0,1]\n"
      "%6 = reshape(%5) shape=[6,n,8]\noutput %2\noutput %6\n",
      "%0 = input f32 [n,6,8]\n%1 = reshape(%0) shape=[n,6,4,2,1]\n%2 = transpose(%1) perm=[2,3,4,1,0]\n"
      "%3 = reshape(%0) shape=[n,2,3,8]\n%4 = reshape(%3) shape=[n,6,8]\n%5 = transpose(%4) perm=[0,2,1]\n"
      "%6 = transpose(%5) perm=[2,0,1]\noutput %2\noutput %6\n" },
    { "reshape_first,drop_dead",
      "%0 = input f32 [n,6,8]\n%1 = slice(%0) axes=[1] starts=[1] ends=[4] steps=[1]\n"
      "%2 = reshape(%1) shape=[n,1,3,2,4]\n%3 = slice(%0) axes=[1] starts=[1] ends=[4] steps=[2]\n"
      "%4 = reshape(%3) shape=[n,16]\noutput %2\noutput %4\n",
      "%0 = input f32 [n,6,8]\n%1 = slice(%0) axes=[1] starts=[1] ends=[4] steps=[2]\n%2 = reshape(%1) shape=[n,16]\n"
      "%3 = reshape(%0) shape=[n,1,6,2,4]\n%4 = slice(%3) axes=[2] starts=[1] ends=[4] steps=[1]\noutput %4\n"
      "output %2\n" },
    /* Joined from afar; read twice. */
    { "reshape_first",
      "%0 = input f32 [n,6,8]\n%1 = transpose(%0) perm=[0,2,1]\n%2 = reshape(%1) shape=[n,48]\n"
      "%3 = transpose(%0) perm=[2,1,0]\n%4 = reshape(%3) shape=[8,6,n,1]\noutput %2\noutput %3\noutput %4\n", STAYS },
    /* Read twice, but undone where it is read: by a transpose, by a product. */
    { "reshape_first,drop_dead",
      "%0 = input f32 [n,3,4,2]\n%1 = transpose(%0) perm=[0,3,1,2]\n%2 = reshape(%1) shape=[n,2,12]\n"
      "%3 = transpose(%2) perm=[0,2,1]\n%4 = constant f32 [2,1] {5,6}\n%5 = matmul(%2, %4) trans_a=1\n"
      "output %1\noutput %3\noutput %5\n",
      "%0 = input f32 [n,3,4,2]\n%1 = transpose(%0) perm=[0,3,1,2]\n%2 = reshape(%0) shape=[n,12,2]\n"
      "%3 = transpose(%2) perm=[0,2,1]\n%4 = transpose(%3) perm=[0,2,1]\n%5 = constant f32 [2,1] {5,6}\n"
      "%6 = matmul(%3, %5) trans_a=1\noutput %1\noutput %4\noutput %6\n" },
    /* Read as it is as well; by the other matrix of a product. */
    { "reshape_first",
      "%0 = input f32 [n,3,4,2]\n%1 = transpose(%0) perm=[0,3,1,2]\n%2 = reshape(%1) shape=[n,2,12]\n"
      "%3 = transpose(%2) perm=[0,2,1]\n%4 = matmul(%2, %3)\noutput %1\noutput %4\n", STAYS },

    { "compute_first,drop_dead",
      "%0 = input f32 [n,2,3,3]\n%1 = constant f32 [2,2,1,1] {1,2,3,4}\n"
      "%2 = conv(%0, %1, _) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%3 = reshape(%2) shape=[n,2,9]\n"
      "%4 = transpose(%3) perm=[0,2,1]\n%5 = constant f32 [] {3}\n%6 = sub(%5, %4)\n%7 = gelu(%6)\noutput %7\n",
      "%0 = input f32 [n,2,3,3]\n%1 = constant f32 [2,2,1,1] {1,2,3,4}\n"
      "%2 = conv(%0, %1, _) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%3 = constant f32 [] {3}\n"
      "%4 = sub(%3, %2)\n%5 = gelu(%4)\n%6 = reshape(%5) shape=[n,2,9]\n%7 = transpose(%6) perm=[0,2,1]\n"
      "output %7\n" },
    /* Not of a convolution; read twice; with an operand for each channel; with another tensor. */
    { "compute_first",
      "%0 = input f32 [n,2,3,3]\n%1 = transpose(%0) perm=[0,2,3,1]\n%2 = relu(%1)\n"
      "%3 = constant f32 [2,2,1,1] {1,2,3,4}\n"
      "%4 = conv(%0, %3, _) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n%5 = transpose(%4) perm=[0,2,3,1]\n"
      "%6 = relu(%5)\n%7 = conv(%0, %3, _) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%8 = transpose(%7) perm=[0,2,3,1]\n%9 = constant f32 [2] {1,2}\n%10 = add(%8, %9)\n"
      "%11 = conv(%0, %3, _) strides=[1,1] dilations=[1,1] pads=[0,0,0,0] groups=1\n"
      "%12 = transpose(%11) perm=[0,2,3,1]\n%13 = add(%12, %1)\n"
      "output %2\noutput %5\noutput %6\noutput %10\noutput %13\n", STAYS },

    { "split_to_slices,drop_dead",
      "%0 = input f32 [n,7]\n%1:3 = split(%0) axis=1\n%4 = neg(%1)\n%5:2 = split(%0) axis=1 sizes=[2,5]\noutput %4\n"
      "output %3\noutput %6\n",
      "%0 = input f32 [n,7]\n%1 = slice(%0) axes=[1] starts=[0] ends=[3] steps=[1]\n%2 = neg(%1)\n"
      "%3 = slice(%0) axes=[1] starts=[6] ends=[7] steps=[1]\n%4 = slice(%0) axes=[1] starts=[2] ends=[7] steps=[1]\n"
      "output %2\noutput %3\noutput %4\n" },

    { "slice_first,drop_identity,drop_dead",
      "%0 = input f32 [n,8,3]\n%1 = slice(%0) axes=[1] starts=[2] ends=[-1] steps=[1]\n"
      "%2 = slice(%1) axes=[1] starts=[1] ends=[281474976710656] steps=[1]\n%3 = concat(%2, %0) axis=1\n"
      "%4 = slice(%3) axes=[1] starts=[0] ends=[4] steps=[1]\n%5 = slice(%3) axes=[1] starts=[5] ends=[7] steps=[1]\n"
      "%6 = neg(%4)\noutput %6\noutput %5\n",
      "%0 = input f32 [n,8,3]\n%1 = slice(%0) axes=[1] starts=[3] ends=[7] steps=[1]\n%2 = neg(%1)\n"
      "%3 = slice(%0) axes=[1] starts=[1] ends=[3] steps=[1]\noutput %2\noutput %3\n" },
    { "slice_first,drop_dead",
      "%0 = input f32 [n,12]\n%1 = reshape(%0) shape=[n,3,4]\n%2 = slice(%1) axes=[1] starts=[1] ends=[2] steps=[1]\n"
      "%3 = transpose(%1) perm=[1,0,2]\n%4 = slice(%3) axes=[0] starts=[2] ends=[3] steps=[1]\noutput %2\noutput %4\n",
      "%0 = input f32 [n,12]\n%1 = slice(%0) axes=[1] starts=[4] ends=[8] steps=[1]\n%2 = reshape(%1) shape=[n,1,4]\n"
      "%3 = slice(%0) axes=[1] starts=[8] ends=[12] steps=[1]\n%4 = reshape(%3) shape=[n,1,4]\n"
      "%5 = transpose(%4) perm=[1,0,2]\noutput %2\noutput %5\n" },
    /* Over the border of two parts, pieces apart, past a dim that stays, steps, and what others read whole. */
    { "slice_first",
      "%0 = input f32 [n,12]\n%1 = concat(%0, %0) axis=1\n%2 = slice(%1) axes=[1] starts=[10] ends=[14] steps=[1]\n"
      "%3 = reshape(%0) shape=[n,3,4]\n%4 = slice(%3) axes=[2] starts=[1] ends=[2] steps=[1]\n"
      "%5 = reshape(%0) shape=[n,1,12]\n%6 = slice(%5) axes=[2] starts=[1] ends=[2] steps=[1]\n"
      "%7 = transpose(%0) perm=[1,0]\n%8 = slice(%7) axes=[0] starts=[1] ends=[2] steps=[1]\n"
      "%9 = slice(%0) axes=[1] starts=[0] ends=[12] steps=[2]\n%10 = slice(%9) axes=[1] starts=[1] ends=[3] steps=[1]\n"
      "output %2\noutput %4\noutput %6\noutput %7\noutput %8\noutput %10\n", STAYS },

    { "merge_concats,drop_dead",
      "%0 = input f32 [n,4]\n%1 = input f32 [n,3]\n%2 = concat(%0, %1) axis=1\n%3 = concat(%1, %2, %0) axis=1\n"
      "%4 = slice(%0) axes=[1] starts=[0] ends=[2] steps=[1]\n%5 = slice(%0) axes=[1] starts=[2] ends=[3] steps=[1]\n"
      "%6 = concat(%4, %5) axis=1\noutput %3\noutput %6\n",
      "%0 = input f32 [n,4]\n%1 = input f32 [n,3]\n%2 = concat(%1, %0, %1, %0) axis=1\n"
      "%3 = slice(%0) axes=[1] starts=[0] ends=[3] steps=[1]\noutput %2\noutput %3\n" },
    /* Parts without elements, of which one stays where there are no others. */
    { "merge_concats,drop_dead",
      "%0 = input f32 [n,4]\n%1 = input f32 [n,0]\n%2 = concat(%1, %0, %0, %1) axis=1\n%3 = concat(%0, %1) axis=1\n"
      "%4 = concat(%1, %1) axis=1\noutput %2\noutput %3\noutput %4\n",
      "%0 = input f32 [n,4]\n%1 = input f32 [n,0]\n%2 = concat(%0, %0) axis=1\n%3 = identity(%0)\n"
      "%4 = identity(%1)\noutput %2\noutput %3\noutput %4\n" },
    /* Another dim, read twice, slices with a gap. */
    { "merge_concats,drop_identity,drop_dead",
      "%0 = input f32 [n,6]\n%1 = input f32 [n,3]\n%2 = slice(%0) axes=[1] starts=[0] ends=[2] steps=[1]\n"
      "%3 = slice(%0) axes=[1] starts=[2] ends=[6] steps=[1]\n%4 = concat(%1, %2, %3, %1) axis=1\n"
      "%5 = concat(%3, %2, %1) axis=1\noutput %4\noutput %5\n",
      "%0 = input f32 [n,6]\n%1 = input f32 [n,3]\n%2 = slice(%0) axes=[1] starts=[0] ends=[2] steps=[1]\n"
      "%3 = slice(%0) axes=[1] starts=[2] ends=[6] steps=[1]\n%4 = concat(%3, %2, %1) axis=1\n"
      "%5 = concat(%1, %0, %1) axis=1\noutput %5\noutput %4\n" },
    { "merge_concats",
      "%0 = input f32 [4,4]\n%1 = concat(%0, %0) axis=0\n%2 = concat(%1, %1) axis=1\n%3 = concat(%0, %0) axis=1\n"
      "%4 = concat(%3, %0) axis=1\n%5 = slice(%0) axes=[1] starts=[0] ends=[2] steps=[1]\n"
      "%6 = slice(%0) axes=[1] starts=[3] ends=[4] steps=[1]\n%7 = concat(%5, %6) axis=1\noutput %2\noutput %3\n"
      "output %4\noutput %7\n",
      "%0 = input f32 [4,4]\n%1 = concat(%0, %0)\n%2 = concat(%1, %1) axis=1\n%3 = concat(%0, %0) axis=1\n"
      "%4 = concat(%3, %0) axis=1\n%5 = slice(%0) axes=[1] starts=[0] ends=[2] steps=[1]\n"
      "%6 = slice(%0) axes=[1] starts=[3] ends=[4] steps=[1]\n%7 = concat(%5, %6) axis=1\noutput %2\noutput %3\n"
      "output %4\noutput %7\n" },

    /* There and back, round a product of rows, a bias, a norm and a reduction. */
    { "transpose_last,merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,5,2]\n%1 = transpose(%0) perm=[1,0,2]\n%2 = constant f32 [2,3] {1,2,3,4,5,6}\n"
      "%3 = matmul(%1, %2)\n%4 = constant f32 [3] {7,8,9}\n%5 = add(%3, %4)\n"
      "%6 = layer_norm(%5, %4, %4) axis=2 epsilon=0.001\n%7 = constant f32 [5,1,1] {1,2,3,4,5}\n%8 = mul(%6, %7)\n"
      "%9 = reduce(%8) mode=max axes=[0] keepdims=1\n%10 = transpose(%8) perm=[1,0,2]\n"
      "%11 = transpose(%9) perm=[1,0,2]\noutput %10\noutput %11\n",
      "%0 = input f32 [n,5,2]\n%1 = constant f32 [2,3] {1,2,3,4,5,6}\n%2 = matmul(%0, %1)\n"
      "%3 = constant f32 [3] {7,8,9}\n%4 = add(%2, %3)\n%5 = layer_norm(%4, %3, %3) axis=2 epsilon=0.001\n"
      "%6 = constant f32 [5,1,1] {1,2,3,4,5}\n%7 = transpose(%6) perm=[1,0,2]\n%8 = mul(%5, %7)\n"
      "%9 = reduce(%8) mode=max axes=[1] keepdims=1\noutput %8\noutput %9\n" },
    /* Two transposed alike are joined before they are transposed; channels last between two that need them first. */
    { "transpose_last,merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [n,2,3,4]\n%2 = transpose(%0) perm=[0,2,3,1]\n"
      "%3 = transpose(%1) perm=[0,2,3,1]\n%4 = add(%2, %3)\n%5 = constant f32 [2] {1,2}\n%6 = mul(%4, %5)\n"
      "%7 = relu(%6)\n%8 = transpose(%7) perm=[0,3,1,2]\n%9 = transpose(%1) perm=[0,3,1,2]\n"
      "%10 = concat(%9, %9) axis=1\noutput %8\noutput %10\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [n,2,3,4]\n%2 = transpose(%1) perm=[0,3,1,2]\n"
      "%3 = concat(%2, %2) axis=1\n%4 = add(%0, %1)\n%5 = constant f32 [2] {1,2}\n%6 = reshape(%5) shape=[1,1,1,2]\n"
      "%7 = transpose(%6) perm=[0,3,1,2]\n%8 = mul(%4, %7)\n%9 = relu(%8)\noutput %9\noutput %3\n" },
    /* What brings heads together stays, the order of batch and sequence goes on. */
    { "transpose_last,merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,2,5,3]\n%1 = transpose(%0) perm=[2,0,1,3]\n%2 = reshape(%1) shape=[5,n,6]\n%3 = relu(%2)\n"
      "%4 = transpose(%3) perm=[1,0,2]\noutput %4\n",
      "%0 = input f32 [n,2,5,3]\n%1 = transpose(%0) perm=[0,2,1,3]\n%2 = reshape(%1) shape=[n,5,6]\n%3 = relu(%2)\n"
      "output %3\n" },
    /* It would end in front of an output, of an operand in the other order, and of a product over the dim that
       moves. */
    { "transpose_last",
      "%0 = input f32 [5,5,2]\n%1 = transpose(%0) perm=[1,0,2]\n%2 = relu(%1)\n%3 = transpose(%2) perm=[1,0,2]\n"
      "%4 = add(%1, %0)\n%5 = transpose(%4) perm=[1,0,2]\n%6 = transpose(%0) perm=[0,2,1]\n"
      "%7 = constant f32 [5,5] {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25}\n"
      "%8 = matmul(%6, %7)\n%9 = transpose(%8) perm=[0,2,1]\noutput %2\noutput %3\noutput %5\noutput %9\n", STAYS },

    { "transpose_once,drop_dead",
      "%0 = input f32 [n,6,5]\n%1 = exp(%0)\n%2 = slice(%1) axes=[1] starts=[0] ends=[2] steps=[1]\n"
      "%3 = slice(%1) axes=[1] starts=[2] ends=[6] steps=[1]\n%4 = transpose(%2) perm=[0,2,1]\n"
      "%5 = transpose(%3) perm=[0,2,1]\noutput %4\noutput %5\n",
      "%0 = input f32 [n,6,5]\n%1 = exp(%0)\n%2 = transpose(%1) perm=[0,2,1]\n"
      "%3 = slice(%2) axes=[2] starts=[0] ends=[2] steps=[1]\n%4 = slice(%2) axes=[2] starts=[2] ends=[6] steps=[1]\n"
      "output %3\noutput %4\n" },
    /* Transposed in different ways, or read as a whole. */
    { "transpose_once",
      "%0 = input f32 [3,6,5]\n%1 = exp(%0)\n%2 = slice(%1) axes=[1] starts=[0] ends=[2] steps=[1]\n"
      "%3 = slice(%1) axes=[1] starts=[2] ends=[6] steps=[1]\n%4 = transpose(%2) perm=[0,2,1]\n"
      "%5 = transpose(%3) perm=[2,0,1]\n%6 = tanh(%0)\n%7 = slice(%6) axes=[1] starts=[0] ends=[2] steps=[1]\n"
      "%8 = transpose(%7) perm=[0,2,1]\noutput %4\noutput %5\noutput %6\noutput %8\n", STAYS },
    { "expand_in_product,drop_dead",
      "%0 = input f32 [1,n,4]\n%1 = input f32 [3,4,5]\n%2 = expand(%0) shape=[3,1,1]\n%3 = matmul(%2, %1)\n"
      "%4 = input f32 [4,4]\n%5 = expand(%4) shape=[3,4,4]\n%6 = input f32 [3,6,4]\n%7 = matmul(%6, %5) trans_b=1\n"
      "output %3\noutput %7\n",
      "%0 = input f32 [1,n,4]\n%1 = input f32 [3,4,5]\n%2 = input f32 [4,4]\n%3 = input f32 [3,6,4]\n"
      "%4 = reshape(%0) shape=[n,4]\n%5 = matmul(%4, %1)\n%6 = matmul(%3, %2) trans_b=1\noutput %5\noutput %6\n" },
    /* The other operand has not all of the batch, or rows are repeated. */
    { "expand_in_product",
      "%0 = input f32 [n,4]\n%1 = input f32 [4,5]\n%2 = expand(%0) shape=[3,n,4]\n%3 = matmul(%2, %1)\n"
      "output %3\n", STAYS },
    { "expand_in_product",
      "%0 = input f32 [1,4]\n%1 = input f32 [3,4,5]\n%2 = expand(%0) shape=[3,6,4]\n%3 = matmul(%2, %1)\noutput %3\n",
      STAYS },
};

const rule_rows rule_rows_moves = { rows, sizeof rows / sizeof *rows };
