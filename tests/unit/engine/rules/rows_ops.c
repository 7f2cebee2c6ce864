/* Graphs before and after a rule: ops that a graph spells out: attention, norms, activations. */
#include "tests/unit/engine/rules/rows.h"

static const rule_row rows[] = {
    /* Scale on the scores, mask added on the left, k transposed by a transpose. */
    { "attention,merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [n,2,5,4]\n%2 = input f32 [n,2,5,6]\n%3 = input f32 [n,1,1,5]\n"
      "%4 = transpose(%1) perm=[0,1,3,2]\n%5 = matmul(%0, %4)\n%6 = constant f32 [] {2}\n%7 = div(%5, %6)\n"
      "%8 = add(%3, %7)\n%9 = softmax(%8) axis=3\n%10 = matmul(%9, %2)\noutput %10\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [n,2,5,4]\n%2 = input f32 [n,2,5,6]\n%3 = input f32 [n,1,1,5]\n"
      "%4 = attention(%0, %1, %2, %3) scale=0.5\noutput %4\n" },
    /* The root of the scale on q and on k, before and behind moves; positions compared make it causal; the row of a
       hidden query is guarded. */
    { "attention,merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,3,2,4]\n%1 = input f32 [n,2,3,4]\n%2 = input f32 [n,2,3,4]\n%3 = constant f32 [1] {0.5}\n"
      "%4 = mul(%0, %3)\n%5 = transpose(%4) perm=[0,2,1,3]\n%6 = transpose(%1) perm=[0,1,3,2]\n%7 = mul(%6, %3)\n"
      "%8 = matmul(%5, %7)\n%9 = range() dtype=i64 bounds=[0,3,1]\n%10 = reshape(%9) shape=[3,1]\n"
      "%11 = less_equal(%9, %10)\n%12 = constant f32 [] {-inf}\n%13 = where(%11, %8, %12)\n%14 = softmax(%13) axis=3\n"
      "%15 = is_nan(%14)\n%16 = constant f32 [] {0}\n%17 = where(%15, %16, %14)\n%18 = matmul(%17, %2)\noutput %18\n",
      "%0 = input f32 [n,3,2,4]\n%1 = input f32 [n,2,3,4]\n%2 = input f32 [n,2,3,4]\n"
      "%3 = transpose(%0) perm=[0,2,1,3]\n%4 = attention(%3, %1, %2) scale=0.25 causal=top_left\noutput %4\n" },
    /* Repeated heads of k and v are read once. */
    { "attention,merge_transposes,merge_reshapes,drop_identity,drop_dead",
      "%0 = input f32 [n,4,3,4]\n%1 = input f32 [n,3,2,4]\n%2 = input f32 [n,2,3,4]\n"
      "%3 = reshape(%1) shape=[n,3,2,1,4]\n%4 = expand(%3) shape=[n,3,2,2,4]\n%5 = reshape(%4) shape=[n,3,4,4]\n"
      "%6 = transpose(%5) perm=[0,2,1,3]\n%7 = reshape(%2) shape=[n,2,1,3,4]\n%8 = concat(%7, %7) axis=2\n"
      "%9 = reshape(%8) shape=[n,4,3,4]\n%10 = matmul(%0, %6) trans_b=1\n%11 = softmax(%10) axis=3\n"
      "%12 = matmul(%11, %9)\noutput %12\n",
      "%0 = input f32 [n,4,3,4]\n%1 = input f32 [n,3,2,4]\n%2 = input f32 [n,2,3,4]\n"
      "%3 = transpose(%1) perm=[0,2,1,3]\n%4 = attention(%0, %3, %2) scale=1\noutput %4\n" },
    /* One head, and the second product transposed. */
    { "attention,merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,4,6]\n%1 = input f32 [n,4,5]\n%2 = matmul(%0, %1) trans_a=1\n%3 = softmax(%2) axis=2\n"
      "%4 = matmul(%1, %3) trans_b=1\noutput %4\n",
      "%0 = input f32 [n,4,6]\n%1 = input f32 [n,4,5]\n%2 = transpose(%0) perm=[0,2,1]\n"
      "%3 = reshape(%2) shape=[n,1,6,4]\n%4 = transpose(%1) perm=[0,2,1]\n%5 = reshape(%4) shape=[n,1,5,4]\n"
      "%6 = transpose(%1) perm=[0,2,1]\n%7 = reshape(%6) shape=[n,1,5,4]\n%8 = attention(%3, %5, %7) scale=1\n"
      "%9 = transpose(%8) perm=[0,1,3,2]\n%10 = reshape(%9) shape=[n,4,6]\noutput %10\n" },
    /* Batch and heads are one dim but for the mask, which is a constant triangle: with more keys than queries it ends
       at the last one. */
    { "attention,merge_transposes,merge_reshapes,drop_identity,drop_dead",
      "%0 = input f32 [2*n,2,4]\n%1 = input f32 [2*n,3,4]\n%2 = matmul(%0, %1) trans_b=1\n"
      "%3 = reshape(%2) shape=[n,2,2,3]\n%4 = constant f32 [1,1,2,3] {0,0,-1e9,0,0,0}\n%5 = add(%3, %4)\n"
      "%6 = reshape(%5) shape=[2*n,2,3]\n%7 = softmax(%6) axis=2\n%8 = matmul(%7, %1)\noutput %8\n",
      "%0 = input f32 [2*n,2,4]\n%1 = input f32 [2*n,3,4]\n%2 = reshape(%0) shape=[n,2,2,4]\n"
      "%3 = reshape(%1) shape=[n,2,3,4]\n%4 = reshape(%1) shape=[n,2,3,4]\n"
      "%5 = attention(%2, %3, %4) scale=1 causal=bottom_right\n%6 = reshape(%5) shape=[2*n,2,4]\noutput %6\n" },
    /* Padding and a causal test in one condition: with minus infinity they come apart. */
    { "attention,merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = input bool [n,1,1,3]\n%2 = constant bool [3,3] {1,0,0,1,1,0,1,1,1}\n"
      "%3 = and(%1, %2)\n%4 = constant f32 [] {-inf}\n%5 = constant f32 [] {0}\n%6 = where(%3, %5, %4)\n"
      "%7 = matmul(%0, %0) trans_b=1\n%8 = add(%7, %6)\n%9 = softmax(%8) axis=3\n%10 = matmul(%9, %0)\noutput %10\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input bool [n,1,1,3]\n%2 = attention(%0, %0, %0, %1) scale=1 causal=top_left\n"
      "output %2\n" },
    /* With a number they do not: a row that is hidden throughout would change. */
    { "attention,merge_transposes,drop_identity,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = input bool [n,1,1,3]\n%2 = constant bool [3,3] {1,0,0,1,1,0,1,1,1}\n"
      "%3 = and(%1, %2)\n%4 = constant f32 [] {-10000}\n%5 = matmul(%0, %0) trans_b=1\n%6 = where(%3, %5, %4)\n"
      "%7 = softmax(%6) axis=3\n%8 = matmul(%7, %0)\noutput %8\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input bool [n,1,1,3]\n%2 = constant bool [3,3] {1,0,0,1,1,0,1,1,1}\n"
      "%3 = and(%1, %2)\n%4 = constant f32 [] {0}\n%5 = constant f32 [] {-3.4028235e+38}\n%6 = where(%3, %4, %5)\n"
      "%7 = attention(%0, %0, %0, %6) scale=1\noutput %7\n" },
    /* Scores that are capped before the mask, and scaled before that. */
    { "attention,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [3,3]\n%2 = constant f32 [] {0.5}\n%3 = mul(%0, %2)\n"
      "%4 = matmul(%3, %0) trans_b=1\n%5 = constant f32 [] {4}\n%6 = div(%4, %5)\n%7 = tanh(%6)\n%8 = mul(%7, %5)\n"
      "%9 = sub(%8, %1)\n%10 = softmax(%9) axis=3\n%11 = matmul(%10, %0)\noutput %11\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [3,3]\n%2 = constant f32 [] {-1}\n%3 = mul(%1, %2)\n"
      "%4 = attention(%0, %0, %0, %3) scale=0.5 softcap=4\noutput %4\n" },
    /* Left alone: probabilities that are read twice, a softmax over queries, a mask larger than the scores, v of
       another type. */
    { "attention,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = matmul(%0, %0) trans_b=1\n%2 = softmax(%1) axis=3\n%3 = matmul(%2, %0)\n"
      "output %3\noutput %2\n", STAYS },
    { "attention,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = matmul(%0, %0) trans_b=1\n%2 = softmax(%1) axis=2\n%3 = matmul(%2, %0)\n"
      "output %3\n", STAYS },
    { "attention,drop_dead",
      "%0 = input f32 [1,2,3,4]\n%1 = input f32 [n,1,1,3]\n%2 = matmul(%0, %0) trans_b=1\n%3 = add(%2, %1)\n"
      "%4 = softmax(%3) axis=3\n%5 = matmul(%4, %0)\noutput %5\n", STAYS },
    { "attention,drop_dead",
      "%0 = input f32 [1,2,3,4]\n%1 = cast(%0) dtype=f16\n%2 = matmul(%1, %1) trans_b=1\n%3 = cast(%2) dtype=f32\n"
      "%4 = softmax(%3) axis=3\n%5 = matmul(%4, %0)\noutput %5\n", STAYS },
    /* Windows of images: the mask of each window, and a bias of each head. */
    { "attention,drop_identity,drop_dead",
      "%0 = input f32 [4*n,2,3,8]\n%1 = input f32 [2,3,3]\n%2 = input f32 [4,3,3]\n%3 = matmul(%0, %0) trans_b=1\n"
      "%4 = add(%3, %1)\n%5 = reshape(%4) shape=[n,4,2,3,3]\n%6 = reshape(%2) shape=[4,1,3,3]\n%7 = add(%5, %6)\n"
      "%8 = reshape(%7) shape=[4*n,2,3,3]\n%9 = softmax(%8) axis=3\n%10 = matmul(%9, %0)\noutput %10\n",
      "%0 = input f32 [4*n,2,3,8]\n%1 = input f32 [2,3,3]\n%2 = input f32 [4,3,3]\n%3 = reshape(%2) shape=[4,1,3,3]\n"
      "%4 = reshape(%3) shape=[1,4,1,3,3]\n%5 = expand(%4) shape=[n,4,1,3,3]\n%6 = reshape(%5) shape=[4*n,1,3,3]\n"
      "%7 = add(%6, %1)\n%8 = attention(%0, %0, %0, %7) scale=1\noutput %8\n" },
    /* Images and windows are dims of their own: a bias of each head, and the mask of each window. */
    { "attention,drop_identity,drop_dead",
      "%0 = input f32 [n,4,2,3,8]\n%1 = input f32 [1,1,2,3,3]\n%2 = input f32 [4,1,3,3]\n%3 = constant f32 [] {0.5}\n"
      "%4 = mul(%0, %3)\n%5 = matmul(%4, %0) trans_b=1\n%6 = add(%5, %1)\n%7 = add(%6, %2)\n%8 = softmax(%7) axis=4\n"
      "%9 = matmul(%8, %0)\noutput %9\n",
      "%0 = input f32 [n,4,2,3,8]\n%1 = input f32 [1,1,2,3,3]\n%2 = input f32 [4,1,3,3]\n"
      "%3 = reshape(%0) shape=[4*n,2,3,8]\n%4 = reshape(%0) shape=[4*n,2,3,8]\n%5 = reshape(%0) shape=[4*n,2,3,8]\n"
      "%6 = reshape(%2) shape=[1,4,1,3,3]\n%7 = expand(%6) shape=[n,4,1,3,3]\n%8 = reshape(%7) shape=[4*n,1,3,3]\n"
      "%9 = reshape(%1) shape=[1,2,3,3]\n%10 = add(%8, %9)\n%11 = attention(%3, %4, %5, %10) scale=0.5\n"
      "%12 = reshape(%11) shape=[n,4,2,3,8]\noutput %12\n" },
    /* A causal mask before five dims of windows; probabilities that lose a dim. */
    { "attention,drop_identity,drop_dead,merge_reshapes",
      "%0 = input f32 [n,2,2,2,3,8]\n%1 = constant f32 [3,3] {0,-inf,-inf,0,0,-inf,0,0,0}\n"
      "%2 = matmul(%0, %0) trans_b=1\n%3 = add(%2, %1)\n%4 = softmax(%3) axis=5\n%5 = reshape(%4) shape=[4*n,2,3,3]\n"
      "%6 = reshape(%0) shape=[4*n,2,3,8]\n%7 = matmul(%5, %6)\noutput %7\n",
      "%0 = input f32 [n,2,2,2,3,8]\n%1 = reshape(%0) shape=[4*n,2,3,8]\n%2 = reshape(%0) shape=[4*n,2,3,8]\n"
      "%3 = reshape(%0) shape=[4*n,2,3,8]\n%4 = attention(%2, %3, %1) scale=1 causal=top_left\noutput %4\n" },
    /* Left alone: windows that are broadcast, which would fit if joined. */
    { "attention,drop_dead",
      "%0 = input f32 [1,4,2,3,8]\n%1 = input f32 [4,1,2,3,8]\n%2 = matmul(%0, %1) trans_b=1\n%3 = softmax(%2) axis=4\n"
      "%4 = matmul(%3, %1)\noutput %4\n", STAYS },
    /* A factor of each head. */
    { "attention,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = constant f32 [2,1,1] {3,5}\n%2 = input f32 [2,3,3]\n"
      "%3 = matmul(%0, %0) trans_b=1\n%4 = mul(%3, %1)\n%5 = add(%4, %2)\n%6 = softmax(%5) axis=3\n"
      "%7 = matmul(%6, %0)\noutput %7\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [2,3,3]\n%2 = constant f32 [2,1,1] {3,5}\n%3 = mul(%0, %2)\n"
      "%4 = attention(%3, %0, %0, %1) scale=1\noutput %4\n" },
    /* A factor of each key; one of each head that the mask has too. */
    { "attention",
      "%0 = input f32 [n,2,3,4]\n%1 = constant f32 [3] {3,5,7}\n%2 = matmul(%0, %0) trans_b=1\n%3 = mul(%2, %1)\n"
      "%4 = softmax(%3) axis=3\n%5 = matmul(%4, %0)\n%6 = constant f32 [2,1,1] {3,5}\n%7 = input f32 [2,3,3]\n"
      "%8 = matmul(%0, %0) trans_b=1\n%9 = add(%8, %7)\n%10 = mul(%9, %6)\n%11 = softmax(%10) axis=3\n"
      "%12 = matmul(%11, %0)\noutput %5\noutput %12\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [2,3,3]\n%2 = matmul(%0, %0) trans_b=1\n%3 = constant f32 [3] {3,5,7}\n"
      "%4 = mul(%2, %3)\n%5 = softmax(%4) axis=3\n%6 = matmul(%5, %0)\n%7 = matmul(%0, %0) trans_b=1\n"
      "%8 = add(%7, %1)\n%9 = constant f32 [2,1,1] {3,5}\n%10 = mul(%8, %9)\n%11 = softmax(%10) axis=3\n"
      "%12 = matmul(%11, %0)\noutput %6\noutput %12\n" },

    { "gelu,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {1.4142135}\n%2 = div(%0, %1)\n%3 = erf(%2)\n"
      "%4 = constant f32 [] {1}\n%5 = add(%4, %3)\n%6 = mul(%0, %5)\n%7 = constant f32 [1] {0.5}\n%8 = mul(%6, %7)\n"
      "output %8\n",
      "%0 = input f32 [n,4]\n%1 = gelu(%0)\noutput %1\n" },
    /* The number in another place, and x itself a product of a number. */
    { "gelu,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {0.5}\n%2 = mul(%0, %1)\n%3 = constant f32 [] {0.70710677}\n"
      "%4 = mul(%3, %2)\n%5 = erf(%4)\n%6 = mul(%5, %1)\n%7 = add(%6, %1)\n%8 = mul(%7, %2)\noutput %8\n",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {0.5}\n%2 = mul(%0, %1)\n%3 = gelu(%2)\noutput %3\n" },
    { "gelu,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {3}\n%2 = pow(%0, %1)\n%3 = constant f32 [] {0.044715}\n"
      "%4 = mul(%2, %3)\n%5 = add(%0, %4)\n%6 = constant f32 [] {0.7978846}\n%7 = mul(%5, %6)\n%8 = tanh(%7)\n"
      "%9 = constant f32 [] {1}\n%10 = add(%8, %9)\n%11 = constant f32 [] {0.5}\n%12 = mul(%0, %11)\n"
      "%13 = mul(%12, %10)\noutput %13\n",
      "%0 = input f32 [n,4]\n%1 = gelu_tanh(%0)\noutput %1\n" },
    { "gelu,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {0.044715}\n%2 = mul(%0, %1)\n%3 = mul(%2, %0)\n"
      "%4 = constant f32 [] {1}\n%5 = add(%3, %4)\n%6 = constant f32 [] {1.5957692}\n%7 = mul(%0, %6)\n"
      "%8 = mul(%7, %5)\n%9 = sigmoid(%8)\n%10 = mul(%0, %9)\noutput %10\n",
      "%0 = input f32 [n,4]\n%1 = gelu_tanh(%0)\noutput %1\n" },
    /* Not quite: another number, another x. */
    { "gelu",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {0.7}\n%2 = mul(%0, %1)\n%3 = erf(%2)\n%4 = constant f32 [] {1}\n"
      "%5 = add(%3, %4)\n%6 = mul(%0, %5)\n%7 = constant f32 [] {0.5}\n%8 = mul(%6, %7)\n"
      "%9 = constant f32 [] {0.70710677}\n%10 = mul(%8, %9)\n%11 = erf(%10)\n%12 = add(%11, %4)\n%13 = mul(%12, %0)\n"
      "%14 = mul(%13, %7)\noutput %14\n", STAYS },
    /* The other side of the distribution. */
    { "gelu,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {-0.70710677}\n%2 = mul(%0, %1)\n%3 = erf(%2)\n"
      "%4 = constant f32 [] {1}\n%5 = sub(%4, %3)\n%6 = mul(%0, %5)\n%7 = constant f32 [] {0.5}\n%8 = mul(%6, %7)\n"
      "output %8\n",
      "%0 = input f32 [n,4]\n%1 = gelu(%0)\noutput %1\n" },

    /* Weights behind it leave the last factor to the pattern. */
    { "gelu,fold_input,drop_dead",
      "%0 = input f32 [n,2]\n%1 = constant f32 [] {1.4142135}\n%2 = div(%0, %1)\n%3 = erf(%2)\n"
      "%4 = constant f32 [] {1}\n%5 = add(%3, %4)\n%6 = mul(%0, %5)\n%7 = constant f32 [] {0.5}\n%8 = mul(%6, %7)\n"
      "%9 = constant f32 [2,3] {1,2,3,4,5,6}\n%10 = matmul(%8, %9)\noutput %10\n",
      "%0 = input f32 [n,2]\n%1 = gelu(%0)\n%2 = constant f32 [2,3] {1,2,3,4,5,6}\n%3 = matmul(%1, %2)\noutput %3\n" },
    { "hard_swish,fold_input,drop_dead",
      "%0 = input f32 [n,2]\n%1 = constant f32 [] {3}\n%2 = add(%0, %1)\n%3 = clip(%2) p=0 q=6\n%4 = mul(%0, %3)\n"
      "%5 = constant f32 [] {6}\n%6 = div(%4, %5)\n%7 = constant f32 [2,3] {1,2,3,4,5,6}\n%8 = matmul(%6, %7)\n"
      "output %8\n",
      "%0 = input f32 [n,2]\n%1 = hard_swish(%0)\n%2 = constant f32 [2,3] {1,2,3,4,5,6}\n%3 = matmul(%1, %2)\n"
      "output %3\n" },

    { "swish,drop_dead",
      "%0 = input f32 [n,4]\n%1 = sigmoid(%0)\n%2 = mul(%1, %0)\n%3 = constant f32 [] {1.702}\n%4 = mul(%3, %2)\n"
      "%5 = sigmoid(%4)\n%6 = mul(%2, %5)\n%7 = neg(%6)\n%8 = exp(%7)\n%9 = constant f32 [] {1}\n%10 = add(%8, %9)\n"
      "%11 = reciprocal(%10)\n%12 = div(%9, %10)\n%13 = div(%6, %10)\noutput %11\noutput %12\noutput %13\n",
      "%0 = input f32 [n,4]\n%1 = swish(%0) p=1\n%2 = swish(%1) p=1.7020000219345093\n%3 = sigmoid(%2)\n"
      "%4 = sigmoid(%2)\n%5 = swish(%2) p=1\noutput %3\noutput %4\noutput %5\n" },
    /* A gate that is not x; integers have no sigmoid. */
    { "swish",
      "%0 = input f32 [n,4]\n%1 = input f32 [1,4]\n%2 = sigmoid(%1)\n%3 = mul(%0, %2)\n%4 = mul(%2, %3)\n"
      "output %4\n", STAYS },

    { "hard_swish,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {3}\n%2 = add(%0, %1)\n%3 = clip(%2) p=0 q=6\n"
      "%4 = constant f32 [] {6}\n%5 = div(%3, %4)\n%6 = mul(%0, %5)\n%7 = constant f32 [] {0.2}\n%8 = mul(%6, %7)\n"
      "%9 = constant f32 [] {0.5}\n%10 = add(%8, %9)\n%11 = clip(%10) p=0 q=1\n%12 = mul(%11, %6)\n%13 = add(%12, %1)\n"
      "%14 = clip(%13) p=0 q=6\n%15 = mul(%12, %14)\n%16 = div(%15, %4)\noutput %16\n",
      "%0 = input f32 [n,4]\n%1 = hard_swish(%0)\n%2 = hard_sigmoid(%1) p=0.20000000298023224 q=0.5\n%3 = mul(%2, %1)\n"
      "%4 = hard_swish(%3)\noutput %4\n" },

    { "clip,constants_last,drop_dead",
      "%0 = input f32 [n,4]\n%1 = relu(%0)\n%2 = constant f32 [] {6}\n%3 = min(%1, %2)\n%4 = neg(%3)\n"
      "%5 = constant f32 [] {-inf}\n%6 = max(%5, %4)\n%7 = constant f32 [] {0}\n%8 = max(%6, %7)\n%9 = exp(%8)\n"
      "%10 = clip(%9) p=2 q=5\n%11 = clip(%10) p=6 q=7\n%12 = relu(%9)\n%13 = relu(%12)\noutput %11\noutput %13\n",
      "%0 = input f32 [n,4]\n%1 = clip(%0) q=6\n%2 = neg(%1)\n%3 = relu(%2)\n%4 = exp(%3)\n%5 = clip(%4) p=6 q=6\n"
      "%6 = relu(%4)\noutput %5\noutput %6\n" },
    /* A limit per element, integers, a limit that makes the result larger. */
    { "clip",
      "%0 = input f32 [n,1]\n%1 = constant f32 [4] {1,2,3,4}\n%2 = max(%0, %1)\n%3 = input i32 [n]\n"
      "%4 = constant i32 [] {3}\n%5 = min(%3, %4)\n%6 = constant f32 [4] {1,1,1,1}\n%7 = min(%0, %6)\noutput %2\n"
      "output %5\noutput %7\n",
      "%0 = input f32 [n,1]\n%1 = input i32 [n]\n%2 = constant f32 [4] {1,2,3,4}\n%3 = max(%0, %2)\n"
      "%4 = constant i32 [] {3}\n%5 = min(%1, %4)\n%6 = constant f32 [4] {1,1,1,1}\n%7 = min(%0, %6)\noutput %3\n"
      "output %5\noutput %7\n" },

    { "leaky_relu,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {0.25}\n%2 = mul(%0, %1)\n%3 = max(%0, %2)\n"
      "%4 = constant f32 [4] {-2,-2,-2,-2}\n%5 = prelu(%3, %4)\n%6 = constant f32 [] {0}\n%7 = greater(%5, %6)\n"
      "%8 = mul(%5, %1)\n%9 = where(%7, %5, %8)\n%10 = relu(%9)\n%11 = neg(%9)\n%12 = relu(%11)\n%13 = mul(%12, %1)\n"
      "%14 = sub(%10, %13)\n%15 = greater(%14, %6)\n%16 = exp(%14)\n%17 = constant f32 [] {1}\n%18 = sub(%16, %17)\n"
      "%19 = where(%15, %14, %18)\noutput %19\n",
      "%0 = input f32 [n,4]\n%1 = leaky_relu(%0) p=0.25\n%2 = leaky_relu(%1) p=-2\n%3 = leaky_relu(%2) p=0.25\n"
      "%4 = leaky_relu(%3) p=0.25\n%5 = elu(%4) p=1\noutput %5\n" },
    /* A slope above 1: the other way round. */
    { "leaky_relu",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {4}\n%2 = mul(%0, %1)\n%3 = max(%0, %2)\noutput %3\n", STAYS },
    { "leaky_relu,drop_dead",
      "%0 = input f32 [n,4]\n%1 = constant f32 [] {0}\n%2 = greater(%0, %1)\n%3 = where(%2, %0, %1)\noutput %3\n",
      "%0 = input f32 [n,4]\n%1 = relu(%0)\noutput %1\n" },

    { "softplus,drop_dead",
      "%0 = input f32 [n,4]\n%1 = exp(%0)\n%2 = constant f32 [] {1}\n%3 = add(%1, %2)\n%4 = log(%3)\n%5 = tanh(%4)\n"
      "%6 = mul(%0, %5)\n%7 = abs(%6)\n%8 = add(%7, %2)\n%9 = div(%6, %8)\noutput %9\n",
      "%0 = input f32 [n,4]\n%1 = mish(%0)\n%2 = softsign(%1)\noutput %2\n" },
    { "softplus",
      "%0 = input f32 [n,4]\n%1 = exp(%0)\n%2 = constant f32 [] {2}\n%3 = add(%1, %2)\n%4 = log(%3)\n"
      "output %4\n", STAYS },

    { "softmax,drop_dead",
      "%0 = input f32 [n,4,3]\n%1 = reduce(%0) mode=max axes=[1] keepdims=1\n%2 = sub(%0, %1)\n%3 = exp(%2)\n"
      "%4 = reduce(%3) mode=sum axes=[1] keepdims=1\n%5 = div(%3, %4)\n%6 = exp(%5)\n"
      "%7 = reduce(%6) mode=sum axes=[2] keepdims=1\n%8 = reciprocal(%7)\n%9 = mul(%6, %8)\n%10 = log(%9)\n"
      "output %10\n",
      "%0 = input f32 [n,4,3]\n%1 = softmax(%0) axis=1\n%2 = log_softmax(%1) axis=2\noutput %2\n" },
    /* The sum of another axis than the maximum, and a sum that is read twice. */
    { "softmax",
      "%0 = input f32 [n,4,3]\n%1 = reduce(%0) mode=max axes=[2] keepdims=1\n%2 = sub(%0, %1)\n%3 = exp(%2)\n"
      "%4 = reduce(%3) mode=sum axes=[1] keepdims=1\n%5 = div(%3, %4)\n%6 = exp(%5)\n"
      "%7 = reduce(%6) mode=sum axes=[2] keepdims=1\n%8 = div(%6, %7)\noutput %8\noutput %7\n",
      "%0 = input f32 [n,4,3]\n%1 = reduce(%0) mode=max axes=[2] keepdims=1\n%2 = sub(%0, %1)\n%3 = exp(%2)\n"
      "%4 = reduce(%3) axes=[1] keepdims=1\n%5 = softmax(%2) axis=1\n%6 = exp(%5)\n"
      "%7 = reduce(%6) axes=[2] keepdims=1\n%8 = div(%6, %7)\noutput %8\noutput %7\n" },
    /* By a reduction that takes the logarithm, and that takes the exponential too. */
    { "softmax,drop_dead",
      "%0 = input f32 [n,4]\n%1 = reduce(%0) mode=log_sum_exp axes=[1] keepdims=1\n%2 = sub(%0, %1)\n%3 = exp(%2)\n"
      "%4 = exp(%3)\n%5 = reduce(%4) mode=log_sum axes=[1] keepdims=1\n%6 = sub(%3, %5)\n"
      "%7 = reduce(%6) mode=max axes=[1] keepdims=1\n%8 = sub(%6, %7)\n%9 = exp(%8)\n"
      "%10 = reduce(%9) mode=log_sum axes=[1] keepdims=1\n%11 = sub(%8, %10)\noutput %11\n",
      "%0 = input f32 [n,4]\n%1 = softmax(%0) axis=1\n%2 = log_softmax(%1) axis=1\n%3 = log_softmax(%2) axis=1\n"
      "output %3\n" },
    /* The greatest is added again. */
    { "softmax,drop_dead",
      "%0 = input f32 [n,4]\n%1 = reduce(%0) mode=max axes=[1] keepdims=1\n%2 = sub(%0, %1)\n%3 = exp(%2)\n"
      "%4 = reduce(%3) mode=log_sum axes=[1] keepdims=1\n%5 = add(%4, %1)\n%6 = sub(%0, %5)\noutput %6\n",
      "%0 = input f32 [n,4]\n%1 = log_softmax(%0) axis=1\noutput %1\n" },
    /* Greatest along another dim, or two of them; a sum without the exponential. */
    { "softmax",
      "%0 = input f32 [3,4]\n%1 = reduce(%0) mode=max axes=[0] keepdims=1\n%2 = sub(%0, %1)\n%3 = exp(%2)\n"
      "%4 = reduce(%0) mode=max axes=[1] keepdims=1\n%5 = sub(%0, %4)\n%6 = exp(%5)\n"
      "%7 = reduce(%6) mode=sum axes=[1] keepdims=1\n%8 = div(%3, %7)\n%9 = exp(%0)\n"
      "%10 = reduce(%9) mode=log_sum axes=[1] keepdims=1\n%11 = sub(%9, %10)\noutput %8\noutput %11\n",
      "%0 = input f32 [3,4]\n%1 = reduce(%0) mode=max axes=[0] keepdims=1\n%2 = sub(%0, %1)\n%3 = exp(%2)\n"
      "%4 = reduce(%0) mode=max axes=[1] keepdims=1\n%5 = sub(%0, %4)\n%6 = exp(%5)\n"
      "%7 = reduce(%6) axes=[1] keepdims=1\n%8 = div(%3, %7)\n%9 = exp(%0)\n"
      "%10 = reduce(%9) mode=log_sum axes=[1] keepdims=1\n%11 = sub(%9, %10)\noutput %8\noutput %11\n" },

    { "layer_norm,norm_affine,drop_dead",
      "%0 = input f32 [n,3,4]\n%1 = reduce(%0) mode=mean axes=[2] keepdims=1\n%2 = sub(%0, %1)\n%3 = mul(%2, %2)\n"
      "%4 = reduce(%3) mode=mean axes=[2] keepdims=1\n%5 = constant f32 [] {0.001}\n%6 = add(%4, %5)\n%7 = sqrt(%6)\n"
      "%8 = div(%2, %7)\n%9 = constant f32 [4] {1,2,3,4}\n%10 = mul(%8, %9)\n%11 = constant f32 [1,1,4] {5,6,7,8}\n"
      "%12 = add(%10, %11)\noutput %12\n",
      "%0 = input f32 [n,3,4]\n%1 = constant f32 [4] {1,2,3,4}\n%2 = constant f32 [4] {5,6,7,8}\n"
      "%3 = layer_norm(%0, %1, %2) axis=2 epsilon=0.0010000000474974513\noutput %3\n" },
    /* As in TensorFlow: the scale meets the reciprocal root first. */
    { "layer_norm,norm_affine,drop_dead",
      "%0 = input f32 [n,3,4]\n%1 = reduce(%0) mode=mean axes=[2] keepdims=1\n%2 = sub(%0, %1)\n%3 = mul(%2, %2)\n"
      "%4 = reduce(%3) mode=mean axes=[2] keepdims=1\n%5 = constant f32 [] {0.001}\n%6 = add(%4, %5)\n%7 = rsqrt(%6)\n"
      "%8 = constant f32 [4] {1,2,3,4}\n%9 = mul(%7, %8)\n%10 = mul(%0, %9)\n%11 = mul(%1, %9)\n"
      "%12 = constant f32 [4] {5,6,7,8}\n%13 = sub(%12, %11)\n%14 = add(%10, %13)\noutput %14\n",
      "%0 = input f32 [n,3,4]\n%1 = constant f32 [4] {1,2,3,4}\n%2 = constant f32 [4] {5,6,7,8}\n"
      "%3 = layer_norm(%0, %1, %2) axis=2 epsilon=0.0010000000474974513\noutput %3\n" },
    /* Over the spatial dims, by the mean of squares. */
    { "layer_norm,norm_affine,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = reduce(%0) mode=mean axes=[3,2] keepdims=1\n%2 = mul(%0, %0)\n"
      "%3 = reduce(%2) mode=mean axes=[2,3] keepdims=1\n%4 = mul(%1, %1)\n%5 = sub(%3, %4)\n"
      "%6 = constant f32 [] {0.001}\n%7 = add(%5, %6)\n%8 = rsqrt(%7)\n%9 = sub(%0, %1)\n%10 = mul(%9, %8)\n"
      "%11 = constant f32 [2,1,1] {2,3}\n%12 = mul(%10, %11)\noutput %12\n",
      "%0 = input f32 [n,2,3,4]\n%1 = constant f32 [2] {2,3}\n%2 = constant f32 [2] {0,0}\n"
      "%3 = instance_norm(%0, %1, %2) epsilon=0.0010000000474974513\noutput %3\n" },
    /* The mean is read by others; the dims in the middle; squares of something else. */
    { "layer_norm",
      "%0 = input f32 [n,3,4]\n%1 = reduce(%0) mode=mean axes=[2] keepdims=1\n%2 = sub(%0, %1)\n%3 = mul(%2, %2)\n"
      "%4 = reduce(%3) mode=mean axes=[2] keepdims=1\n%5 = constant f32 [] {0.001}\n%6 = add(%4, %5)\n%7 = sqrt(%6)\n"
      "%8 = div(%2, %7)\noutput %8\noutput %1\n", STAYS },
    { "layer_norm",
      "%0 = input f32 [n,3,4]\n%1 = reduce(%0) mode=mean axes=[1] keepdims=1\n%2 = sub(%0, %1)\n%3 = mul(%2, %2)\n"
      "%4 = reduce(%3) mode=mean axes=[1] keepdims=1\n%5 = constant f32 [] {0.001}\n%6 = add(%4, %5)\n%7 = sqrt(%6)\n"
      "%8 = div(%2, %7)\noutput %8\n", STAYS },
    /* Scaled before the quotient; mean - x squared; what is an rms_norm already. */
    { "layer_norm,drop_dead",
      "%0 = input f32 [n,4]\n%1 = reduce(%0) mode=mean axes=[1] keepdims=1\n%2 = sub(%0, %1)\n%3 = mul(%2, %2)\n"
      "%4 = reduce(%3) mode=mean axes=[1] keepdims=1\n%5 = constant f32 [] {0.001}\n%6 = add(%4, %5)\n%7 = sqrt(%6)\n"
      "%8 = constant f32 [4] {1,2,3,4}\n%9 = mul(%8, %2)\n%10 = div(%9, %7)\n"
      "%11 = reduce(%10) mode=mean axes=[1] keepdims=1\n%12 = sub(%11, %10)\n%13 = mul(%12, %12)\n"
      "%14 = reduce(%13) mode=mean axes=[1] keepdims=1\n%15 = add(%14, %5)\n%16 = sqrt(%15)\n%17 = sub(%10, %11)\n"
      "%18 = div(%17, %16)\n%19 = reduce(%18) mode=mean axes=[1] keepdims=1\n%20 = sub(%18, %19)\n"
      "%21 = rms_norm(%20, %8) axis=1 epsilon=0.001\noutput %21\n",
      "%0 = input f32 [n,4]\n%1 = constant f32 [4] {1,1,1,1}\n"
      "%2 = layer_norm(%0, %1) axis=1 epsilon=0.0010000000474974513\n%3 = constant f32 [4] {1,2,3,4}\n"
      "%4 = mul(%2, %3)\n%5 = constant f32 [4] {1,1,1,1}\n"
      "%6 = layer_norm(%4, %5) axis=1 epsilon=0.0010000000474974513\n%7 = layer_norm(%6, %3) axis=1 epsilon=0.001\n"
      "output %7\n" },
    /* The mean of another dim, or read elsewhere. */
    { "layer_norm",
      "%0 = input f32 [3,4]\n%1 = constant f32 [4] {1,2,3,4}\n%2 = reduce(%0) mode=mean axes=[0] keepdims=1\n"
      "%3 = sub(%0, %2)\n%4 = rms_norm(%3, %1) axis=1 epsilon=0.001\n%5 = reduce(%0) mode=mean axes=[1] keepdims=1\n"
      "%6 = sub(%0, %5)\n%7 = rms_norm(%6, %1) axis=1 epsilon=0.001\noutput %4\noutput %5\noutput %7\n",
      "%0 = input f32 [3,4]\n%1 = reduce(%0) mode=mean axes=[0] keepdims=1\n%2 = sub(%0, %1)\n"
      "%3 = constant f32 [4] {1,2,3,4}\n%4 = rms_norm(%2, %3) axis=1 epsilon=0.001\n"
      "%5 = reduce(%0) mode=mean axes=[1] keepdims=1\n%6 = sub(%0, %5)\n%7 = rms_norm(%6, %3) axis=1 epsilon=0.001\n"
      "output %4\noutput %5\noutput %7\n" },

    { "rms_norm,norm_affine,drop_dead",
      "%0 = input f32 [n,3,4]\n%1 = mul(%0, %0)\n%2 = reduce(%1) mode=mean axes=[2] keepdims=1\n"
      "%3 = constant f32 [] {0.001}\n%4 = add(%2, %3)\n%5 = rsqrt(%4)\n%6 = mul(%0, %5)\n"
      "%7 = constant f32 [4] {1,2,3,4}\n%8 = mul(%6, %7)\noutput %8\n",
      "%0 = input f32 [n,3,4]\n%1 = constant f32 [4] {1,2,3,4}\n"
      "%2 = rms_norm(%0, %1) axis=2 epsilon=0.0010000000474974513\noutput %2\n" },
    /* A scale that is no constant, on the root's side. */
    { "rms_norm,drop_dead",
      "%0 = input f32 [n,3,4]\n%1 = input f32 [4]\n%2 = mul(%0, %0)\n%3 = reduce(%2) mode=mean axes=[2] keepdims=1\n"
      "%4 = constant f32 [] {0.001}\n%5 = add(%3, %4)\n%6 = rsqrt(%5)\n%7 = mul(%6, %1)\n%8 = mul(%0, %7)\noutput %8\n",
      "%0 = input f32 [n,3,4]\n%1 = input f32 [4]\n%2 = constant f32 [4] {1,1,1,1}\n"
      "%3 = rms_norm(%0, %2) axis=2 epsilon=0.0010000000474974513\n%4 = mul(%3, %1)\noutput %4\n" },
    /* A sum is no mean. */
    { "rms_norm",
      "%0 = input f32 [n,3,4]\n%1 = mul(%0, %0)\n%2 = reduce(%1) mode=sum axes=[2] keepdims=1\n"
      "%3 = constant f32 [] {0.001}\n%4 = add(%2, %3)\n%5 = rsqrt(%4)\n%6 = mul(%0, %5)\noutput %6\n",
      "%0 = input f32 [n,3,4]\n%1 = mul(%0, %0)\n%2 = reduce(%1) axes=[2] keepdims=1\n%3 = constant f32 [] {0.001}\n"
      "%4 = add(%2, %3)\n%5 = rsqrt(%4)\n%6 = mul(%0, %5)\noutput %6\n" },

    { "group_norm,norm_affine,drop_dead",
      "%0 = input f32 [n,4,2,3]\n%1 = reshape(%0) shape=[n,2,-1]\n%2 = constant f32 [2] {1,2}\n"
      "%3 = constant f32 [2] {0,1}\n%4 = instance_norm(%1, %2, %3) epsilon=0.001\n%5 = reshape(%4) shape=[n,4,2,3]\n"
      "%6 = constant f32 [4,1,1] {1,2,3,4}\n%7 = mul(%5, %6)\n%8 = constant f32 [1,4,1,1] {5,6,7,8}\n%9 = add(%7, %8)\n"
      "output %9\n",
      "%0 = input f32 [n,4,2,3]\n%1 = constant f32 [4] {1,2,6,8}\n%2 = constant f32 [4] {5,6,10,12}\n"
      "%3 = group_norm(%0, %1, %2) groups=2 epsilon=0.001\noutput %3\n" },
    { "group_norm,drop_dead",
      "%0 = input f32 [n,4,6]\n%1 = reshape(%0) shape=[n,2,2,6]\n%2 = constant f32 [2,6] {1,1,1,1,1,1,1,1,1,1,1,1}\n"
      "%3 = layer_norm(%1, %2) axis=2 epsilon=0.001\n%4 = reshape(%3) shape=[n,4,6]\noutput %4\n",
      "%0 = input f32 [n,4,6]\n%1 = constant f32 [4] {1,1,1,1}\n%2 = constant f32 [4] {0,0,0,0}\n"
      "%3 = group_norm(%0, %1, %2) groups=2 epsilon=0.001\noutput %3\n" },
    /* Groups that are not split channels; a layer norm with a scale of its own. */
    { "group_norm",
      "%0 = input f32 [4,4,6]\n%1 = reshape(%0) shape=[2,2,24]\n%2 = constant f32 [2] {1,1}\n"
      "%3 = constant f32 [2] {0,0}\n%4 = instance_norm(%1, %2, %3) epsilon=0.001\n%5 = reshape(%4) shape=[4,4,6]\n"
      "output %5\n", STAYS },

    /* A constant along another dim, one that is added behind the root mean square, a norm that is read twice. */
    { "norm_affine",
      "%0 = input f32 [n,4,4]\n%1 = constant f32 [4] {1,2,3,4}\n%2 = layer_norm(%0, %1) axis=2 epsilon=0.001\n"
      "%3 = constant f32 [4,1] {1,2,3,4}\n%4 = mul(%2, %3)\n%5 = rms_norm(%4, %1) axis=2 epsilon=0.001\n"
      "%6 = add(%5, %1)\n%7 = layer_norm(%6, %1) axis=2 epsilon=0.001\n%8 = add(%7, %1)\n%9 = mul(%7, %8)\n"
      "output %9\n", STAYS },

    { "narrow_norm,drop_dead",
      "%0 = input f16 [n,4]\n%1 = cast(%0) dtype=f32\n%2 = constant f32 [4] {1,2,3,4}\n"
      "%3 = rms_norm(%1, %2) axis=1 epsilon=0.001\n%4 = cast(%3) dtype=f16\n%5 = cast(%4) dtype=f32\n"
      "%6 = softmax(%5) axis=1\n%7 = cast(%6) dtype=f16\noutput %7\n",
      "%0 = input f16 [n,4]\n%1 = constant f16 [4] {1,2,3,4}\n%2 = rms_norm(%0, %1) axis=1 epsilon=0.001\n"
      "%3 = softmax(%2) axis=1\noutput %3\n" },
    /* A scale that the narrow type does not hold; a result that is wanted in FP32; another type in front. */
    { "narrow_norm",
      "%0 = input f16 [n,4]\n%1 = cast(%0) dtype=f32\n%2 = constant f32 [4] {1,2,3,4.0001}\n"
      "%3 = rms_norm(%1, %2) axis=1 epsilon=0.001\n%4 = cast(%3) dtype=f16\n%5 = softmax(%1) axis=1\n"
      "%6 = cast(%5) dtype=f16\n%7 = softmax(%1) axis=1\n%8 = cast(%7) dtype=bf16\noutput %4\noutput %5\noutput %6\n"
      "output %8\n", STAYS },

    /* The rotation of a half by the other, with tables that repeat; broadcast tables are given to each batch. */
    { "rotary_embedding,drop_dead",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [1,3,2]\n%2 = concat(%1, %1) axis=2\n%3 = cos(%2)\n%4 = sin(%2)\n"
      "%5 = reshape(%3) shape=[1,1,3,4]\n%6 = reshape(%4) shape=[1,1,3,4]\n%7 = mul(%0, %5)\n"
      "%8 = slice(%0) axes=[3] starts=[0] ends=[2] steps=[1]\n"
      "%9 = slice(%0) axes=[3] starts=[2] ends=[281474976710656] steps=[1]\n%10 = neg(%9)\n"
      "%11 = concat(%10, %8) axis=3\n%12 = mul(%6, %11)\n%13 = add(%12, %7)\noutput %13\n",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [1,3,2]\n%2 = concat(%1, %1) axis=2\n%3 = cos(%2)\n%4 = sin(%2)\n"
      "%5 = reshape(%3) shape=[1,1,3,4]\n%6 = reshape(%4) shape=[1,1,3,4]\n"
      "%7 = slice(%5) axes=[3] starts=[0] ends=[2] steps=[1]\n%8 = reshape(%7) shape=[1,3,2]\n"
      "%9 = expand(%8) shape=[n,3,2]\n%10 = slice(%6) axes=[3] starts=[0] ends=[2] steps=[1]\n"
      "%11 = reshape(%10) shape=[1,3,2]\n%12 = expand(%11) shape=[n,3,2]\n%13 = rotary_embedding(%0, %9, %12)\n"
      "output %13\n" },
    /* Tables that do not repeat; the first half negated. */
    { "rotary_embedding",
      "%0 = input f32 [n,2,3,4]\n%1 = input f32 [1,1,3,4]\n%2 = mul(%0, %1)\n"
      "%3 = slice(%0) axes=[3] starts=[0] ends=[2] steps=[1]\n%4 = slice(%0) axes=[3] starts=[2] ends=[4] steps=[1]\n"
      "%5 = neg(%4)\n%6 = concat(%5, %3) axis=3\n%7 = mul(%6, %1)\n%8 = add(%2, %7)\noutput %8\n", STAYS },
};

const rule_rows rule_rows_ops = { rows, sizeof rows / sizeof *rows };
