/* Graphs before and after a rule: what is known, dead or said twice. */
#include "tests/unit/engine/rules/rows.h"

#define X4 "%0 = input f32 [n,2,3,3]\n"

/* The branch that is not taken picks places that its table does not have. */
#define BRANCHES \
    "then_branch={\n  graph\n  %0 = capture f32 [2]\n  %1 = relu(%0)\n  output %1\n} else_branch={\n  graph\n" \
    "  %0 = constant f32 [2] {1,2}\n  %1 = constant i64 [2] {7,9}\n  %2 = gather(%0, %1)\n  output %2\n}\n"
#define NEVER_TAKEN       "%0 = constant bool [] {1}\n%1 = input f32 [2]\n%2 = if(%0, %1) " BRANCHES "output %2\n"
#define NEVER_TAKEN_AFTER "%0 = input f32 [2]\n%1 = constant bool [] {1}\n%2 = if(%1, %0) " BRANCHES "output %2\n"

static const rule_row rows[] = {
    { "drop_dead", X4 "%1 = relu(%0)\n%2 = exp(%1)\n%3 = neg(%0)\noutput %3\n", X4 "%1 = neg(%0)\noutput %1\n" },
    { "drop_dead",
      "%0 = input i64 [4]\n%1 = input f32 [n,9]\n%2 = non_zero(%0) finds=[nonzero]\n"
      "%3 = slice(%1) axes=[1] starts=[0] ends=[nonzero] steps=[1]\noutput %3\n", STAYS },

    { "fold_constants,drop_dead",
      "%0 = input f32 [2]\n%1 = constant f32 [2] {1,2}\n%2 = add(%1, %1)\n%3 = mul(%0, %2)\noutput %3\n",
      "%0 = input f32 [2]\n%1 = constant f32 [2] {2,4}\n%2 = mul(%0, %1)\noutput %2\n" },
    { "fold_constants",
      "%0 = constant f32 [2] {1,2}\n%1 = neg(%0)\noutput %1\n",
      "%0 = constant f32 [2] {-1,-2}\n%1 = identity(%0)\noutput %1\n" },
    /* A size that data decides stands in another node's attributes: known once its op is folded, and else the op is not
       dead. */
    { "fold_constants,drop_dead",
      "%0 = input f32 [n,3]\n%1 = constant i64 [4] {0,5,0,7}\n%2 = non_zero(%1)\n"
      "%3 = slice(%0) axes=[1] starts=[0] ends=[nonzero] steps=[1]\n%4 = cast(%2) dtype=f32\noutput %3\noutput %4\n",
      "%0 = input f32 [n,3]\n%1 = slice(%0) axes=[1] starts=[0] ends=[2] steps=[1]\n%2 = constant f32 [1,2] {1,3}\n"
      "%3 = identity(%2)\noutput %1\noutput %3\n" },
    /* What cannot be computed stays: here in a branch that is never taken. */
    { "fold_constants", NEVER_TAKEN, NEVER_TAKEN_AFTER },

    { "merge_common,drop_dead",
      "%0 = input i64 [4]\n%1 = input f32 [n,9]\n%2 = non_zero(%0) finds=[nonzero]\n%3 = non_zero(%0)\n"
      "%4 = slice(%1) axes=[1] starts=[0] ends=[nonzero_2] steps=[1]\n%5 = cast(%2) dtype=f32\n"
      "%6 = cast(%3) dtype=f32\n%7 = concat(%5, %6) axis=1\noutput %4\noutput %7\n",
      "%0 = input i64 [4]\n%1 = input f32 [n,9]\n%2 = non_zero(%0) finds=[nonzero]\n"
      "%3 = slice(%1) axes=[1] starts=[0] ends=[nonzero] steps=[1]\n%4 = cast(%2) dtype=f32\n"
      "%5 = concat(%4, %4) axis=1\noutput %3\noutput %5\n" },
    { "merge_common",
      "%0 = input f32 [n]\n%1 = constant f32 [1] {3}\n%2 = constant f32 [1] {3}\n%3 = add(%0, %1)\n%4 = add(%2, %0)\n"
      "%5 = exp(%3)\n%6 = exp(%4)\n%7 = sub(%5, %6)\n%8 = relu(%7)\noutput %8\n",
      "%0 = input f32 [n]\n%1 = constant f32 [1] {3}\n%2 = add(%0, %1)\n%3 = exp(%2)\n%4 = sub(%3, %3)\n%5 = relu(%4)\n"
      "output %5\n" },
    { "merge_common",
      "%0 = input f32 [n]\n%1 = clip(%0) p=1 q=2\n%2 = clip(%0) p=1 q=3\n%3 = sub(%1, %2)\n%4 = sub(%2, %1)\n"
      "%5 = mul(%3, %4)\noutput %5\n", STAYS },

    /* Bodies are rewritten too. */
    { "drop_identity,fold_constants,drop_dead",
      "%0 = input bool []\n%1 = input f32 [n]\n%2 = identity(%1)\n%3 = if(%0, %2, %1) then_branch={\n  graph\n"
      "  %0 = capture f32 [n]\n  %1 = identity(%0)\n  %2 = exp(%1)\n  %3 = relu(%1)\n  output %3\n} else_branch={\n"
      "  graph\n  %0 = capture f32 [n]\n  %1 = constant f32 [2] {1,2}\n  %2 = reduce(%1) mode=sum axes=[0]\n"
      "  %3 = mul(%0, %2)\n  output %3\n}\noutput %3\n",
      "%0 = input bool []\n%1 = input f32 [n]\n%2 = if(%0, %1, %1) then_branch={\n  graph\n  %0 = capture f32 [n]\n"
      "  %1 = relu(%0)\n  output %1\n} else_branch={\n  graph\n  %0 = capture f32 [n]\n  %1 = constant f32 [] {3}\n"
      "  %2 = mul(%0, %1)\n  output %2\n}\noutput %2\n" },
    { "drop_identity",
      "%0 = input f32 [n,2]\n%1 = identity(%0)\n%2 = cast(%1) dtype=f32\n%3 = reshape(%2) shape=[n,2]\n"
      "%4 = transpose(%3) perm=[0,1]\n%5 = pad(%4) pads=[0,0,0,0]\n%6 = expand(%5) shape=[n,1]\n%7 = concat(%6)\n"
      "%8 = slice(%7) axes=[1] starts=[0] ends=[9] steps=[1]\n%9 = clip(%8) p=-inf q=inf\n%10 = reduce(%9) mode=sum\n"
      "%11 = relu(%10)\noutput %11\n",
      "%0 = input f32 [n,2]\n%1 = relu(%0)\noutput %1\n" },
    { "drop_identity",
      "%0 = input f32 [n,2]\n%1 = constant f32 [] {1}\n%2 = constant f32 [1,2] {0,0}\n%3 = mul(%1, %0)\n"
      "%4 = add(%3, %2)\n%5 = sub(%4, %2)\n%6 = div(%5, %1)\n%7 = pow(%6, %1)\n%8 = constant bool [2] {1,1}\n"
      "%9 = where(%8, %7, %2)\n%10 = neg(%9)\noutput %10\n",
      "%0 = input f32 [n,2]\n%1 = neg(%0)\noutput %1\n" },
    /* These are something: a broadcast, a reversal, 0 - x, a reduction of one element by its logarithm. */
    { "drop_identity",
      "%0 = input f32 [2]\n%1 = constant f32 [3,2] {0,0,0,0,0,0}\n%2 = add(%0, %1)\noutput %2\n", STAYS },
    { "drop_identity",
      "%0 = input f32 [n]\n%1 = slice(%0) axes=[0] starts=[-1] ends=[-281474976710656] steps=[-1]\n"
      "%2 = constant f32 [] {0}\n%3 = sub(%2, %1)\noutput %3\n", STAYS },
    /* A graph output stays a node's. */
    { "drop_identity",
      "%0 = input f32 [n]\n%1 = identity(%0)\n%2 = relu(%0)\n%3 = identity(%2)\noutput %1\noutput %2\n"
      "output %3\n", STAYS },
    { "drop_identity",
      "%0 = input f32 [n]\n%1 = constant f32 [] {1}\n%2 = mul(%0, %1)\noutput %2\n",
      "%0 = input f32 [n]\n%1 = identity(%0)\noutput %1\n" },
    { "drop_identity,drop_dead",
      "%0 = input bool [n]\n%1 = constant bool [1] {1}\n%2 = constant bool [] {0}\n%3 = and(%0, %1)\n%4 = or(%2, %3)\n"
      "%5 = not(%4)\noutput %5\n",
      "%0 = input bool [n]\n%1 = not(%0)\noutput %1\n" },

    { "known_content,drop_dead",
      "%0 = input f32 [n,4,6]\n%1 = shape(%0) start=1 end=3\n%2 = constant i64 [2] {2,3}\n%3 = mul(%1, %2)\n"
      "%4 = cast(%3) dtype=f32\n%5 = cast(%0) dtype=f16\noutput %4\noutput %5\n",
      "%0 = input f32 [n,4,6]\n%1 = constant i64 [2] {8,18}\n%2 = cast(%1) dtype=f32\n%3 = cast(%0) dtype=f16\n"
      "output %2\noutput %3\n" },
    { "known_content,drop_dead",
      "%0 = input f32 [n,m]\n%1 = shape(%0) end=2\n%2 = constant i64 [2] {3,1}\n%3 = mul(%1, %2)\n"
      "%4 = cast(%3) dtype=f32\noutput %4\noutput %0\n",
      "%0 = input f32 [n,m]\n%1 = dim_values() dtype=i64 rank=1 values=[3*n,m]\n%2 = cast(%1) dtype=f32\noutput %2\n"
      "output %0\n" },

    { "resolve_dynamic",
      "%0 = input f32 [n,4]\n%1 = constant i64 [2] {0,-1}\n%2 = reshape_dynamic(%0, %1)\noutput %2\n",
      "%0 = input f32 [n,4]\n%1 = reshape(%0) shape=[n,-1]\noutput %1\n" },
    { "resolve_dynamic",
      "%0 = input f32 [n,4]\n%1 = constant i64 [1] {1}\n%2 = constant i64 [1] {9223372036854775807}\n"
      "%3 = slice_dynamic(%0, %1, %2) axes=[1] steps=[2]\noutput %3\n",
      "%0 = input f32 [n,4]\n%1 = slice(%0) axes=[1] starts=[1] ends=[281474976710656] steps=[2]\noutput %1\n" },

    { "merge_reshapes,drop_dead",
      "%0 = input f32 [n,4,6]\n%1 = reshape(%0) shape=[n,24]\n%2 = reshape(%1) shape=[2*n,12]\noutput %2\n",
      "%0 = input f32 [n,4,6]\n%1 = reshape(%0) shape=[2*n,12]\noutput %1\n" },

    { "merge_transposes,drop_dead",
      "%0 = input f32 [n,4,6]\n%1 = transpose(%0) perm=[1,2,0]\n%2 = transpose(%1) perm=[2,1,0]\noutput %2\n",
      "%0 = input f32 [n,4,6]\n%1 = transpose(%0) perm=[0,2,1]\noutput %1\n" },
    { "merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,4,6]\n%1 = transpose(%0) perm=[1,2,0]\n%2 = transpose(%1) perm=[2,0,1]\n%3 = relu(%2)\n"
      "output %3\n",
      "%0 = input f32 [n,4,6]\n%1 = relu(%0)\noutput %1\n" },

    { "constants_last",
      "%0 = input f32 [n]\n%1 = constant f32 [] {3}\n%2 = add(%1, %0)\n%3 = sub(%1, %2)\noutput %3\n",
      "%0 = input f32 [n]\n%1 = constant f32 [] {3}\n%2 = add(%0, %1)\n%3 = sub(%1, %2)\noutput %3\n" },

    { "dequantize_blocks,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant u4 [2,4] {1,2,3,4,5,6,7,8}\n%2 = constant f32 [2,2] {1,10,100,0.5}\n"
      "%3 = constant u4 [2,2] {0,1,2,3}\n%4 = dequantize_linear(%1, %2, %3) dtype=f32 axis=1 block_size=2\n"
      "%5 = matmul(%0, %4) trans_b=1\noutput %5\n",
      "%0 = input f32 [n,4]\n%1 = constant f32 [2,4] {1,2,20,30,300,400,2,2.5}\n%2 = matmul(%0, %1) trans_b=1\n"
      "output %2\n" },
    /* Blocks of an axis that is not the last, of which the last block is shorter. */
    { "dequantize_blocks,drop_dead",
      "%0 = input f16 [n,3]\n%1 = constant i8 [3,2] {1,2,3,4,5,6}\n%2 = constant f16 [2,2] {1,10,100,1000}\n"
      "%3 = dequantize_linear(%1, %2) dtype=f16 axis=0 block_size=2\n%4 = matmul(%0, %3)\noutput %4\n",
      "%0 = input f16 [n,3]\n%1 = constant f16 [3,2] {1,20,3,40,500,6000}\n%2 = matmul(%0, %1)\noutput %2\n" },
    { "quantize_by_parts,drop_dead",
      "%0 = input f32 [n,3]\n%1 = constant f32 [] {0.5}\n%2 = constant u8 [] {7}\n"
      "%3 = quantize_linear(%0, %1, %2) dtype=u8\n%4 = dequantize_linear(%3, %1, %2) dtype=f32\noutput %4\n",
      "%0 = input f32 [n,3]\n%1 = constant u8 [] {7}\n%2 = cast(%1) dtype=f32\n%3 = constant f32 [] {0.5}\n"
      "%4 = div(%0, %3)\n%5 = round(%4)\n%6 = add(%5, %2)\n%7 = clip(%6) q=255\n%8 = cast(%7) dtype=u8\n"
      "%9 = cast(%1) dtype=f32\n%10 = cast(%8) dtype=f32\n%11 = sub(%10, %9)\n%12 = mul(%11, %3)\noutput %12\n" },
    { "quantize_by_parts,fold_constants,drop_dead",
      "%0 = input f32 [n,2]\n%1 = constant i8 [2,2] {1,2,3,-4}\n%2 = constant f32 [2] {0.5,2}\n"
      "%3 = constant i8 [2] {0,0}\n%4 = dequantize_linear(%1, %2, %3) dtype=f32 axis=0\n%5 = matmul(%0, %4)\n"
      "output %5\n",
      "%0 = input f32 [n,2]\n%1 = constant f32 [2,2] {0.5,1,6,-8}\n%2 = matmul(%0, %1)\noutput %2\n" },
    { "quantize_by_parts",
      "%0 = input f32 [n,3]\n%1 = input f32 []\n%2 = quantize_linear(%0, %1) dtype=i8\noutput %2\n", STAYS },

    /* Position ids from a counter, each compared with the one before it: that they rise by one everywhere is known, and
       then what is left is causal. */
    { "known_index,drop_dead",
      "%0 = range() dtype=i64 bounds=[0,s,1]\n%1 = reshape(%0) shape=[1,s]\n%2 = expand(%1) shape=[n,1]\n"
      "%3 = slice(%2) axes=[1] starts=[0] ends=[1] steps=[1]\n%4 = constant i64 [] {1}\n%5 = sub(%3, %4)\n"
      "%6 = concat(%5, %2) axis=1\n%7 = slice(%6) axes=[1] starts=[0] ends=[s] steps=[1]\n"
      "%8 = slice(%6) axes=[1] starts=[1] ends=[s + 1] steps=[1]\n%9 = sub(%8, %7)\n%10 = equal(%9, %4)\n"
      "%11 = not(%10)\n%12 = cast(%11) dtype=i64\n%13 = cumulate(%12) axis=1\n%14 = input f32 [n,s]\n"
      "%15 = cast(%13) dtype=f32\n%16 = add(%14, %15)\noutput %16\n",
      "%0 = input f32 [n,s]\n%1 = constant f32 [1,1] {0}\n%2 = expand(%1) shape=[n,s]\n%3 = add(%0, %2)\noutput %3\n" },
    { "known_index,drop_dead",
      "%0 = constant bool [1,1] {1}\n%1 = expand(%0) shape=[4,4]\n%2 = trilu(%1) k=3\n%3 = input f32 [n,4,4]\n"
      "%4 = constant f32 [] {7}\n%5 = where(%2, %3, %4)\noutput %5\n",
      "%0 = input f32 [n,4,4]\n%1 = constant bool [1,1] {1}\n%2 = expand(%1) shape=[4,4]\n%3 = constant f32 [] {7}\n"
      "%4 = where(%2, %0, %3)\noutput %4\n" },
    /* Not known: a test of what is read, and triangles. */
    { "known_index",
      "%0 = input i64 [n]\n%1 = constant i64 [] {3}\n%2 = less(%0, %1)\n%3 = range() dtype=i64 bounds=[0,n,1]\n"
      "%4 = less(%3, %1)\n%5 = and(%2, %4)\noutput %5\n", STAYS },

    { "expand_last,drop_dead",
      "%0 = input f32 [n,1]\n%1 = expand(%0) shape=[n,4]\n%2 = exp(%1)\n%3 = constant f32 [1,4] {2,2,2,2}\n"
      "%4 = mul(%2, %3)\n%5 = input f32 [n,4]\n%6 = add(%4, %5)\noutput %6\noutput %4\n",
      "%0 = input f32 [n,1]\n%1 = input f32 [n,4]\n%2 = exp(%0)\n%3 = constant f32 [] {2}\n%4 = mul(%2, %3)\n"
      "%5 = expand(%4) shape=[n,4]\n%6 = add(%4, %1)\noutput %6\noutput %5\n" },
    /* A constant that makes the result larger stays as large. */
    { "expand_last", "%0 = input f32 [n,1]\n%1 = constant f32 [1,4] {2,2,2,2}\n%2 = mul(%0, %1)\noutput %2\n", STAYS },

    { "gather_to_slice,drop_dead",
      "%0 = input f32 [n,6,3]\n%1 = constant i64 [] {-2}\n%2 = gather(%0, %1) axis=1\n%3 = constant i64 [1,3] {1,3,5}\n"
      "%4 = gather(%0, %3) axis=1\noutput %2\noutput %4\n",
      "%0 = input f32 [n,6,3]\n%1 = slice(%0) axes=[1] starts=[4] ends=[5] steps=[1]\n%2 = reshape(%1) shape=[n,3]\n"
      "%3 = slice(%0) axes=[1] starts=[1] ends=[6] steps=[2]\n%4 = reshape(%3) shape=[n,1,3,3]\noutput %2\n"
      "output %4\n" },
    { "gather_to_slice,drop_dead",
      "%0 = input bool [n,s]\n%1 = range() dtype=i64 bounds=[0,n,1]\n%2 = reshape(%1) shape=[n,1,1,1,1]\n"
      "%3 = expand(%2) shape=[n,1,1,s,1]\n%4 = range() dtype=i64 bounds=[0,s,1]\n%5 = reshape(%4) shape=[1,1,1,s,1]\n"
      "%6 = expand(%5) shape=[n,1,1,s,1]\n%7 = concat(%3, %6) axis=4\n%8 = gather_nd(%0, %7)\noutput %8\n",
      "%0 = input bool [n,s]\n%1 = reshape(%0) shape=[n,1,1,s]\noutput %1\n" },
    /* What the table does not have, in a branch that is never taken. */
    { "gather_to_slice", NEVER_TAKEN, NEVER_TAKEN_AFTER },
    /* Positions that fall, and those of another result. */
    { "gather_to_slice",
      "%0 = input f32 [3,3]\n%1 = constant i64 [3] {2,1,0}\n%2 = gather(%0, %1)\n%3 = constant i64 [3,1] {0,1,2}\n"
      "%4 = reshape(%1) shape=[3,1]\n%5 = concat(%3, %4) axis=1\n%6 = gather_nd(%2, %5)\noutput %6\n",
      "%0 = input f32 [3,3]\n%1 = constant i64 [3] {2,1,0}\n%2 = gather(%0, %1)\n%3 = reshape(%1) shape=[3,1]\n"
      "%4 = constant i64 [3,1] {0,1,2}\n%5 = concat(%4, %3) axis=1\n%6 = gather_nd(%2, %5)\noutput %6\n" },

    { "inline_if,drop_dead",
      "%0 = constant bool [] {0}\n%1 = input f32 [n]\n%2 = if(%0, %1, %1) then_branch={\n  graph\n"
      "  %0 = capture f32 [n]\n  %1 = relu(%0)\n  output %1\n} else_branch={\n  graph\n  %0 = capture f32 [n]\n"
      "  %1 = constant f32 [] {3}\n  %2 = mul(%0, %1)\n  output %2\n}\noutput %2\n",
      "%0 = input f32 [n]\n%1 = constant f32 [] {3}\n%2 = mul(%0, %1)\noutput %2\n" },
    /* Not known. */
    { "inline_if",
      "%0 = input bool []\n%1 = input f32 [n]\n%2 = if(%0, %1, %1) then_branch={\n  graph\n  %0 = capture f32 [n]\n"
      "  %1 = relu(%0)\n  output %1\n} else_branch={\n  graph\n  %0 = capture f32 [n]\n  %1 = exp(%0)\n  output %1\n}\n"
      "output %2\n", STAYS },
};

const rule_rows rule_rows_known = { rows, sizeof rows / sizeof *rows };
