/* Graphs before and after a rule: sums, products, casts and reductions. */
#include "tests/unit/engine/rules/rows.h"

static const rule_row rows[] = {
    { "simplify_arithmetic,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {2}\n%2 = pow(%0, %1)\n%3 = constant f32 [] {0.5}\n%4 = pow(%2, %3)\n"
      "%5 = constant f32 [] {-0.5}\n%6 = pow(%4, %5)\n%7 = constant f32 [] {-1}\n%8 = pow(%6, %7)\n"
      "%9 = constant f32 [] {1}\n%10 = sqrt(%8)\n%11 = div(%9, %10)\n%12 = reciprocal(%10)\n%13 = div(%9, %12)\n"
      "%14 = add(%11, %13)\noutput %14\n",
      "%0 = input f32 [n,4]\n%1 = mul(%0, %0)\n%2 = sqrt(%1)\n%3 = rsqrt(%2)\n%4 = reciprocal(%3)\n%5 = rsqrt(%4)\n"
      "%6 = reciprocal(%5)\n%7 = rsqrt(%4)\n%8 = add(%7, %6)\noutput %8\n" },
    { "simplify_arithmetic,drop_dead",
      "%0 = input f32 [n,4]\n%1 = input f32 [n,4]\n%2 = constant f32 [] {8}\n%3 = div(%0, %2)\n"
      "%4 = constant f32 [4] {1,2,3,4}\n%5 = sub(%3, %4)\n%6 = neg(%1)\n%7 = add(%6, %5)\n%8 = sub(%7, %6)\n"
      "%9 = constant f32 [] {-1}\n%10 = mul(%8, %9)\n%11 = constant f32 [] {3}\n%12 = div(%10, %11)\noutput %12\n",
      "%0 = input f32 [n,4]\n%1 = input f32 [n,4]\n%2 = constant f32 [] {0.125}\n%3 = mul(%0, %2)\n"
      "%4 = constant f32 [4] {-1,-2,-3,-4}\n%5 = add(%3, %4)\n%6 = sub(%5, %1)\n%7 = add(%6, %1)\n%8 = neg(%7)\n"
      "%9 = constant f32 [] {3}\n%10 = div(%8, %9)\noutput %10\n" },
    { "simplify_arithmetic,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [4] {1,2,3,4}\n%2 = mul(%0, %1)\n%3 = constant f32 [] {5}\n"
      "%4 = mul(%2, %3)\n%5 = add(%4, %3)\n%6 = add(%5, %1)\n%7 = mul(%6, %1)\n%8 = mul(%7, %1)\n"
      "%9 = input bool [n,4]\n%10 = not(%9)\n%11 = where(%10, %8, %0)\noutput %11\n",
      "%0 = input f32 [n,4]\n%1 = input bool [n,4]\n%2 = constant f32 [4] {5,10,15,20}\n%3 = mul(%0, %2)\n"
      "%4 = constant f32 [4] {6,7,8,9}\n%5 = add(%3, %4)\n%6 = constant f32 [4] {1,2,3,4}\n%7 = mul(%5, %6)\n"
      "%8 = mul(%7, %6)\n%9 = where(%1, %0, %8)\noutput %9\n" },
    /* Integers, quotients that would round, and a product that is read twice. */
    { "simplify_arithmetic",
      "%0 = input i32 [4]\n%1 = constant i32 [] {2}\n%2 = div(%0, %1)\n%3 = input f32 [4]\n%4 = constant f32 [] {3}\n"
      "%5 = div(%3, %4)\n%6 = mul(%5, %4)\n%7 = mul(%6, %4)\noutput %2\noutput %6\noutput %7\n",
      "%0 = input i32 [4]\n%1 = input f32 [4]\n%2 = constant i32 [] {2}\n%3 = div(%0, %2)\n%4 = constant f32 [] {3}\n"
      "%5 = div(%1, %4)\n%6 = mul(%5, %4)\n%7 = mul(%6, %4)\noutput %3\noutput %6\noutput %7\n" },
    { "simplify_arithmetic,drop_dead",
      "%0 = input f32 [n,4]\n%1 = abs(%0)\n%2 = mul(%1, %1)\n%3 = neg(%2)\n%4 = mul(%3, %3)\n%5 = mul(%1, %2)\n"
      "output %4\noutput %5\n",
      "%0 = input f32 [n,4]\n%1 = abs(%0)\n%2 = mul(%0, %0)\n%3 = mul(%1, %2)\n%4 = mul(%2, %2)\noutput %4\n"
      "output %3\n" },

    { "merge_casts,drop_dead",
      "%0 = input f16 [n]\n%1 = cast(%0) dtype=f32\n%2 = cast(%1) dtype=f16\n%3 = neg(%2)\n%4 = cast(%3) dtype=f32\n"
      "%5 = cast(%4) dtype=i32\n%6 = cast(%5) dtype=i64\n%7 = cast(%6) dtype=f32\noutput %7\n",
      "%0 = input f16 [n]\n%1 = neg(%0)\n%2 = cast(%1) dtype=i32\n%3 = cast(%2) dtype=f32\noutput %3\n" },
    /* What is in between holds less. */
    { "merge_casts",
      "%0 = input f32 [n]\n%1 = cast(%0) dtype=i32\n%2 = cast(%1) dtype=f16\n%3 = cast(%2) dtype=f32\n"
      "%4 = cast(%3) dtype=bf16\n%5 = cast(%4) dtype=f16\noutput %5\n",
      "%0 = input f32 [n]\n%1 = cast(%0) dtype=i32\n%2 = cast(%1) dtype=f16\n%3 = cast(%2) dtype=f32\n"
      "%4 = cast(%2) dtype=bf16\n%5 = cast(%4) dtype=f16\noutput %5\n" },

    { "keep_reduced,drop_dead",
      "%0 = input f32 [n,4,3]\n%1 = reduce(%0) mode=max axes=[0,2]\n%2 = reshape(%1) shape=[1,4,1]\n"
      "%3 = reshape(%1) shape=[2,2]\noutput %2\noutput %3\n",
      "%0 = input f32 [n,4,3]\n%1 = reduce(%0) mode=max axes=[0,2]\n%2 = reshape(%1) shape=[2,2]\n"
      "%3 = reduce(%0) mode=max axes=[0,2] keepdims=1\noutput %3\noutput %2\n" },

    { "merge_reductions,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = reduce(%0) mode=mean axes=[3] keepdims=1\n"
      "%2 = reduce(%1) mode=mean axes=[2] keepdims=1\n%3 = reduce(%0) mode=max axes=[1]\n"
      "%4 = reduce(%3) mode=max axes=[0,2]\noutput %2\noutput %4\n",
      "%0 = input f32 [n,2,3,4]\n%1 = reduce(%0) mode=mean axes=[2,3] keepdims=1\n"
      "%2 = reduce(%0) mode=max axes=[0,1,3]\noutput %1\noutput %2\n" },
    /* Integers round each time. */
    { "merge_reductions",
      "%0 = input i32 [n,2,3]\n%1 = reduce(%0) mode=mean axes=[2] keepdims=1\n"
      "%2 = reduce(%1) mode=mean axes=[1] keepdims=1\noutput %2\n", STAYS },
    /* Of different kinds, read twice, dims kept by one alone. */
    { "merge_reductions",
      "%0 = input f32 [n,2,3]\n%1 = reduce(%0) mode=mean axes=[2] keepdims=1\n"
      "%2 = reduce(%1) mode=max axes=[1] keepdims=1\n%3 = reduce(%0) mode=sum axes=[2] keepdims=1\n"
      "%4 = reduce(%3) mode=sum axes=[1] keepdims=1\n%5 = reduce(%0) mode=min axes=[2] keepdims=1\n"
      "%6 = reduce(%5) mode=min axes=[1]\noutput %2\noutput %3\noutput %4\noutput %6\n",
      "%0 = input f32 [n,2,3]\n%1 = reduce(%0) mode=mean axes=[2] keepdims=1\n"
      "%2 = reduce(%1) mode=max axes=[1] keepdims=1\n%3 = reduce(%0) axes=[2] keepdims=1\n"
      "%4 = reduce(%3) axes=[1] keepdims=1\n%5 = reduce(%0) mode=min axes=[2] keepdims=1\n"
      "%6 = reduce(%5) mode=min axes=[1]\noutput %2\noutput %3\noutput %4\noutput %6\n" },

    { "reduce_first,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = transpose(%0) perm=[0,3,1,2]\n%2 = reduce(%1) mode=mean axes=[2,3]\n"
      "%3 = transpose(%0) perm=[3,2,1,0]\n%4 = reduce(%3) mode=max axes=[1]\n%5 = transpose(%0) perm=[0,2,3,1]\n"
      "%6 = reduce(%5) mode=sum axes=[1,2] keepdims=1\noutput %2\noutput %4\noutput %6\n",
      "%0 = input f32 [n,2,3,4]\n%1 = reduce(%0) mode=mean axes=[1,2]\n%2 = reduce(%0) mode=max axes=[2]\n"
      "%3 = transpose(%2) perm=[2,1,0]\n%4 = reduce(%0) axes=[2,3] keepdims=1\n%5 = transpose(%4) perm=[0,2,3,1]\n"
      "output %1\noutput %3\noutput %5\n" },

    { "pool_to_reduce,drop_dead",
      "%0 = input f32 [n,2,3,4]\n"
      "%1 = average_pool(%0) kernel=[3,4] strides=[1,1] dilations=[1,1] pads=[0,0,0,0] count_include_pad=1\n"
      "%2 = max_pool(%0) kernel=[9,5] strides=[9,5] dilations=[1,1] pads=[0,0,0,0] ceil_mode=1\n"
      "%3 = lp_pool(%0) kernel=[9,4] strides=[9,2] dilations=[1,1] pads=[0,0,0,0] ceil_mode=1 p=2\n"
      "output %1\noutput %2\noutput %3\n",
      "%0 = input f32 [n,2,3,4]\n%1 = reduce(%0) mode=mean axes=[2,3] keepdims=1\n"
      "%2 = reduce(%0) mode=max axes=[2,3] keepdims=1\n%3 = reduce(%0) mode=l2 axes=[2,3] keepdims=1\n"
      "output %1\noutput %2\noutput %3\n" },
    /* Padding that counts; places that are left out; two windows; a size that may be larger. */
    { "pool_to_reduce",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [n,2,h,4]\n"
      "%2 = average_pool(%0) kernel=[4,4] strides=[1,1] dilations=[1,1] pads=[1,0,0,0] count_include_pad=1\n"
      "%3 = max_pool(%0) kernel=[2,4] strides=[1,1] dilations=[2,1] pads=[0,0,0,0]\n"
      "%4 = max_pool(%0) kernel=[3,2] strides=[1,2] dilations=[1,1] pads=[0,0,0,0]\n"
      "%5 = average_pool(%1) kernel=[99,4] strides=[99,4] dilations=[1,1] pads=[0,0,0,0] ceil_mode=1\n"
      "output %2\noutput %3\noutput %4\noutput %5\n", STAYS },

    { "merge_reduce,drop_dead",
      "%0 = input f32 [n,4,3]\n%1 = mul(%0, %0)\n%2 = reduce(%1) mode=sum axes=[1] keepdims=1\n%3 = sqrt(%2)\n"
      "%4 = abs(%0)\n%5 = reduce(%4) mode=sum axes=[2]\n%6 = exp(%0)\n%7 = reduce(%6) mode=sum axes=[0]\n%8 = log(%7)\n"
      "%9 = reduce(%0) mode=sum axes=[1,2]\n%10 = constant f32 [] {0.083333336}\n%11 = mul(%9, %10)\noutput %3\n"
      "output %5\noutput %8\noutput %11\n",
      "%0 = input f32 [n,4,3]\n%1 = exp(%0)\n%2 = reduce(%0) mode=l2 axes=[1] keepdims=1\n"
      "%3 = reduce(%0) mode=l1 axes=[2]\n%4 = reduce(%1) mode=log_sum axes=[0]\n%5 = reduce(%0) mode=mean axes=[1,2]\n"
      "output %2\noutput %3\noutput %4\noutput %5\n" },
    /* Squares that are read twice, and a share of a number of elements that is not known. */
    { "merge_reduce",
      "%0 = input f32 [n,4]\n%1 = mul(%0, %0)\n%2 = reduce(%1) mode=sum axes=[1]\n%3 = reduce(%0) mode=sum axes=[0]\n"
      "%4 = constant f32 [] {0.25}\n%5 = mul(%3, %4)\noutput %1\noutput %2\noutput %5\n",
      "%0 = input f32 [n,4]\n%1 = mul(%0, %0)\n%2 = reduce(%1) axes=[1]\n%3 = reduce(%0) axes=[0]\n"
      "%4 = constant f32 [] {0.25}\n%5 = mul(%3, %4)\noutput %1\noutput %2\noutput %5\n" },
    { "merge_reduce,drop_dead",
      "%0 = input f32 [n,4]\n%1 = reduce(%0) mode=sum_square axes=[1] keepdims=1\n%2 = constant f32 [] {4}\n"
      "%3 = div(%1, %2)\noutput %3\n",
      "%0 = input f32 [n,4]\n%1 = mul(%0, %0)\n%2 = reduce(%1) mode=mean axes=[1] keepdims=1\noutput %2\n" },

    { "flat_product,merge_reshapes,drop_identity,drop_dead",
      "%0 = input f32 [n,s,2]\n%1 = reshape(%0) shape=[-1,2]\n%2 = constant f32 [3,2] {1,2,3,4,5,6}\n"
      "%3 = constant f32 [3] {7,8,9}\n%4 = gemm(%1, %2, %3) trans_b=1 alpha=1 beta=1\n%5 = reshape(%4) shape=[n,s,3]\n"
      "%6 = relu(%5)\n%7 = reshape(%6) shape=[n*s,3]\n%8 = matmul(%7, %2)\n%9 = reshape(%8) shape=[n,s,2]\noutput %9\n",
      "%0 = input f32 [n,s,2]\n%1 = constant f32 [3,2] {1,2,3,4,5,6}\n%2 = matmul(%0, %1) trans_b=1\n"
      "%3 = constant f32 [3] {7,8,9}\n%4 = add(%2, %3)\n%5 = relu(%4)\n%6 = matmul(%5, %1)\noutput %6\n" },
    /* The flat product is read as such; an addend per row; another shape behind it. */
    { "flat_product",
      "%0 = input f32 [n,s,2]\n%1 = reshape(%0) shape=[-1,2]\n%2 = constant f32 [2,2] {1,2,3,4}\n"
      "%3 = gemm(%1, %2) alpha=1\n%4 = reshape(%3) shape=[n,s,2]\n%5 = gemm(%1, %2, %1) alpha=1 beta=1\n"
      "%6 = reshape(%5) shape=[n,s,2]\n%7 = gemm(%1, %2) alpha=1\n%8 = reshape(%7) shape=[n,s,2,1]\noutput %3\n"
      "output %4\noutput %6\noutput %8\n", STAYS },

    { "einsum_to_matmul,drop_dead",
      "%0 = input f32 [n,3,2,4]\n%1 = input f32 [n,5,2,4]\n%2 = einsum(%0, %1) equation=\"bqhd,bkhd->bhqk\"\n"
      "%3 = einsum(%2) equation=\"abcd->dcba\"\n%4 = input f32 [2,4,6]\n"
      "%5 = einsum(%0, %4) equation=\"b t h d, h d e -> b t e\"\noutput %3\noutput %5\n",
      "%0 = input f32 [n,3,2,4]\n%1 = input f32 [n,5,2,4]\n%2 = input f32 [2,4,6]\n%3 = transpose(%0) perm=[0,2,1,3]\n"
      "%4 = transpose(%1) perm=[0,2,3,1]\n%5 = matmul(%3, %4)\n%6 = transpose(%5) perm=[3,2,1,0]\n"
      "%7 = reshape(%0) shape=[3*n,8]\n%8 = reshape(%2) shape=[8,6]\n%9 = matmul(%7, %8)\n"
      "%10 = reshape(%9) shape=[n,3,6]\noutput %6\noutput %10\n" },
    /* A diagonal, a sum over what one tensor has alone, a dim that is broadcast, three tensors. */
    { "einsum_to_matmul",
      "%0 = input f32 [3,3]\n%1 = input f32 [1,3]\n%2 = einsum(%0) equation=\"ii->i\"\n"
      "%3 = einsum(%0, %0) equation=\"ij,kj->k\"\n%4 = einsum(%0, %1) equation=\"ij,ij->ij\"\n"
      "%5 = einsum(%0, %0, %0) equation=\"ij,jk,kl->il\"\n%6 = einsum(%0) equation=\"ij->i\"\n"
      "output %2\noutput %3\noutput %4\noutput %5\noutput %6\n", STAYS },
    { "einsum_to_matmul,drop_dead",
      "%0 = input f32 [n,5,2]\n%1 = input f32 [2,4]\n%2 = einsum(%0, %1) equation=\"...i,ij->...j\"\noutput %2\n",
      "%0 = input f32 [n,5,2]\n%1 = input f32 [2,4]\n%2 = reshape(%0) shape=[5*n,2]\n%3 = matmul(%2, %1)\n"
      "%4 = reshape(%3) shape=[n,5,4]\noutput %4\n" },
    /* The pair that keeps least comes first: a product element by element here, and the rest is a matrix product. */
    { "einsum_in_steps,einsum_to_matmul,drop_dead",
      "%0 = input f32 [n,4,6,6]\n%1 = input f32 [n,8,4,6,6]\n%2 = input f32 [n,4,6,8,5]\n"
      "%3 = einsum(%0, %1, %2) equation=\"npls,nhpls,npshd->nplhd\"\noutput %3\n",
      "%0 = input f32 [n,4,6,6]\n%1 = input f32 [n,8,4,6,6]\n%2 = input f32 [n,4,6,8,5]\n"
      "%3 = reshape(%0) shape=[n,1,4,6,6]\n%4 = mul(%3, %1)\n%5 = transpose(%2) perm=[0,3,1,2,4]\n"
      "%6 = matmul(%4, %5)\n%7 = transpose(%6) perm=[0,2,3,1,4]\noutput %7\n" },
    /* Sums of what one tensor has alone, dims of one that are repeated, an ellipsis. */
    { "einsum_in_steps,einsum_to_matmul,drop_dead",
      "%0 = input f32 [3,n]\n%1 = input f32 [1,n]\n%2 = einsum(%0, %1) equation=\"ij,kj->i\"\n"
      "%3 = einsum(%0, %1) equation=\"...j,...j->...j\"\n%4 = einsum(%0) equation=\"ij->j\"\n"
      "output %2\noutput %3\noutput %4\n",
      "%0 = input f32 [3,n]\n%1 = input f32 [1,n]\n%2 = reduce(%1) axes=[0]\n%3 = reshape(%1) shape=[n]\n"
      "%4 = reduce(%0) axes=[0]\n%5 = reshape(%2) shape=[n,1]\n%6 = matmul(%0, %5)\n%7 = reshape(%6) shape=[3]\n"
      "%8 = reshape(%3) shape=[1,n]\n%9 = mul(%0, %8)\noutput %7\noutput %9\noutput %4\n" },
    /* A diagonal, and what is a matrix product. */
    { "einsum_in_steps",
      "%0 = input f32 [3,3]\n%1 = einsum(%0) equation=\"ii->i\"\n%2 = einsum(%0, %0) equation=\"ij,jk->ik\"\n"
      "output %1\noutput %2\n", STAYS },
    /* Operands in the other order than their labels in the result. */
    { "einsum_to_matmul,drop_dead",
      "%0 = input f32 [n,5,2,4]\n%1 = input f32 [n,3,2,4]\n%2 = einsum(%0, %1) equation=\"aecd,abcd->acbe\"\n"
      "output %2\n",
      "%0 = input f32 [n,5,2,4]\n%1 = input f32 [n,3,2,4]\n%2 = transpose(%1) perm=[0,2,1,3]\n"
      "%3 = transpose(%0) perm=[0,2,3,1]\n%4 = matmul(%2, %3)\noutput %4\n" },
};

const rule_rows rule_rows_arithmetic = { rows, sizeof rows / sizeof *rows };
