/* What the generators of matrix products share: which products and convolutions they take, and the text of what follows
   a sum. */
#ifndef PF_ENGINE_CUDA_CODEGEN_PRODUCT_H
#define PF_ENGINE_CUDA_CODEGEN_PRODUCT_H

#include "engine/cuda/codegen.h"

typedef struct cg_window {
    int64_t in[2], out[2], channels;        /* channels: of a group, as they lie in memory */
    int64_t kernel[2], stride[2], pad[2], dilation[2];
} cg_window;

/* y[batch,m,n] = alpha x[batch,m,k] w[batch,k,n] and what follows it.  Of a gated one that is computed from two halves
   of each row of y: its results have half of y's columns. */
typedef struct cg_product {
    const pf_node *node;
    uint32_t       x, w;                    /* inputs of the problem */
    bool           trans_w, conv, windowed;
    bool           w_constant;
    bool           wide;                    /* FP32 operands */
    int            parts;                   /* of BF16 that each of them is taken as; 0: they are not wide */
    cg_window      window;                 /* when windowed */
    double         alpha;
    int64_t        m, n, k;
    pf_value_id    result;                  /* a value whose shape is that of the results */
    int            halves;                  /* 2: it is gated */
    const pf_node *turn;                    /* (optional) makes an image with channels last of its rows, behind it */
    bool           batched;                 /* w is several matrices; else one, and m counts all rows of x */
    int64_t        batch;                   /* of a convolution: its groups, whose rows are the same pixels */
    bool           repeats_x;               /* x is one matrix, which serves the whole batch */
    bool           scaled;                  /* x is that input times the input `factor`, */
    uint32_t       factor;                  /* which has a number for each channel of an image, */
    int64_t        image_rows;              /* of as many rows of x */
} cg_product;

/* Fills product. Returns why the problem is not one product with something computed behind it, or NULL. */
const char *cg_product_recognize(const pf_problem *p, cg_product *product);
/* The same where x may be computed inside as well, element by element from an input, which product->x then is. */
const char *cg_product_recognize_from_raw(const pf_problem *p, cg_product *product);
/* The same where x may be such a product of an image and factors of its channels. */
const char *cg_product_recognize_scaled(const pf_problem *p, cg_product *product);
/* Why what is behind the product is not computed element by element, or of a gated one from two halves, or NULL. */
const char *cg_product_behind_declines(const pf_problem *p, const cg_product *product);
/* Columns of the results. */
static inline int64_t cg_product_columns(const cg_product *product) { return product->n / product->halves; }
/* Why inputs and outputs do not lie as rows of a matrix, or NULL. */
const char *cg_product_check_places(const pf_problem *p, const cg_product *product);
/* The same of outputs alone. */
const char *cg_product_check_results(const pf_problem *p, const cg_product *product);
/* START, ARGUMENTS and PARAMETERS of a kernel's text, and W_CONSTANT. */
void        cg_product_print_defines(const pf_problem *p, const cg_product *product, pf_buf *out);
/* times_factor(ARGUMENTS numbers, row, k): four neighbours in a row of x, as they are in memory, as the product has
   them. Behind START's text and K. */
void        cg_product_print_factor(const cg_product *product, pf_buf *out);
/* Where the i-th element goes so that a thread of a warp-group instruction, which has two neighbours of every eight,
   has run neighbours of each 4 run. */
int64_t     cg_warp_group_place(int64_t i, int run);
/* How many elements of a row are finished at once: 16 bytes of the widest output, at most eight, and no more than
   divide a row. */
int         cg_product_vector(const pf_problem *p, const cg_product *product);
/* "typedef .. idx;": wide enough for every operand. */
void        cg_product_print_index(const pf_problem *p, const cg_product *product, pf_buf *out);
/* Elements from one row of x to the next, or from pixel to pixel. */
int64_t     cg_product_x_row(const pf_problem *p, const cg_product *product);
/* What follows a product, for V neighbours in a row of N, from their sums, and of a gated one those of the other half
   behind them: evaluate() gives it as a struct finished, store() puts that into memory, finish() does both. */
pf_status   cg_product_emit_finish(const pf_problem *p, const cg_product *product, int vector, pf_buf *out,
                                   pf_err *err);

/* Elements of K that a tile takes at once, half as many of FP32; and their bytes. */
enum { CG_STEP_K = 64, CG_STEP_BYTES = 128 };
static inline int64_t cg_product_steps(const cg_product *product)
{
    return cg_up(product->k, product->wide ? CG_STEP_K / 2 : CG_STEP_K);
}

/* A shape of tiles, by its row in the generator's table, and how many blocks of a cluster share the sum over K. */
typedef struct cg_tiling { int shape, split; double ns; } cg_tiling;
/* Guesses how many nanoseconds it takes on a card of so many SMs; negative: it is no tuning. */
typedef double cg_tiling_guess(const cg_product *product, int shape, int split, int sm_count);
/* Of `shapes` shapes and all splits that K has steps for: best guess first; their number, at most max. */
int         cg_product_tilings(const pf_problem *p, int sm_count, int shapes, cg_tiling_guess *guess, cg_tiling *out,
                               int max);

#endif
