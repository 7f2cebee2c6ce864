#include "engine/cuda/codegen_product.h"

#include <stdlib.h>
#include <string.h>

#include "engine/epilogue.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

enum {
    SOURCE_LIMIT_BYTES = 1 << 20,
    ROW_DIMS = 3,                           /* as many dims of the output may make up its rows */
    SHAPES_MAX = 64,
};

static const pf_shape *shape_of(const pf_problem *p, pf_value_id value)
{
    return &pf_graph_value(p->graph, value)->shape;
}

static bool is_product(const pf_node *node)
{
    return node->op == PF_OP_MATMUL || node->op == PF_OP_GEMM || node->op == PF_OP_CONV;
}

static bool is_repeated(const pf_ints *ints, int64_t value)
{
    for (int i = 0; i < ints->count; i++)
        if (ints->at[i] != value) return false;
    return true;
}

/* Few channels lie padded to eight: a stem. */
static int64_t channels_in_memory(const pf_problem *p, const cg_product *product, int64_t channels)
{
    return p->in_layout[product->x] == PF_LAYOUT_C8 ? (channels + 7) / 8 * 8 : channels;
}

static void take_window(const pf_problem *p, const pf_node *node, cg_product *product)
{
    const pf_conv_attrs *attrs = node->attrs;
    const pf_shape      *x = shape_of(p, node->in[0]), *w = shape_of(p, node->in[1]), *y = shape_of(p, node->out[0]);

    product->windowed = true;
    product->batch = attrs->groups;
    product->n = w->dim[0] / attrs->groups;
    product->window.channels = channels_in_memory(p, product, x->dim[1] / attrs->groups);
    for (int a = 0; a < 2; a++) {
        product->window.in[a] = x->dim[2 + a];
        product->window.out[a] = y->dim[2 + a];
        product->window.kernel[a] = w->dim[2 + a];
        product->window.stride[a] = attrs->strides.count ? attrs->strides.at[a] : 1;
        product->window.dilation[a] = attrs->dilations.count ? attrs->dilations.at[a] : 1;
        product->window.pad[a] = attrs->pads.count ? attrs->pads.at[a] : 0;
    }
    product->m = y->dim[0] * y->dim[2] * y->dim[3];
    product->k = product->window.channels * w->dim[2] * w->dim[3];
}

static const char *take_conv(const pf_problem *p, const pf_node *node, cg_product *product)
{
    const pf_conv_attrs *attrs = node->attrs;
    const pf_shape      *x = shape_of(p, node->in[0]), *w = shape_of(p, node->in[1]);

    if (x->rank != 4) return "not a convolution of pictures";
    if (attrs->groups != 1 && p->in_layout[product->x] == PF_LAYOUT_C8) return "groups of a stem";
    if (attrs->auto_pad) return "padding that depends on the shape";
    product->conv = product->trans_w = true;
    product->m = x->dim[0] * x->dim[2] * x->dim[3];
    product->k = x->dim[1];
    product->n = w->dim[0];
    if (w->dim[2] != 1 || w->dim[3] != 1 || !is_repeated(&attrs->strides, 1) || !is_repeated(&attrs->pads, 0) ||
        p->in_layout[product->x] == PF_LAYOUT_C8 || attrs->groups != 1)
        take_window(p, node, product);
    return NULL;
}

static bool is_one_matrix(const pf_shape *shape)
{
    for (int d = 0; d + 2 < shape->rank; d++)
        if (shape->dim[d] != 1) return false;
    return true;
}

/* Leading dims of w are those of x, or x is one matrix. */
static const char *take_batch(const pf_shape *x, const pf_shape *w, cg_product *product)
{
    product->batched = true;
    product->repeats_x = x->rank <= w->rank && is_one_matrix(x);
    if (!product->repeats_x && x->rank != w->rank) return "batches that broadcast in part";
    for (int d = 0; d + 2 < w->rank; d++) {
        if (!product->repeats_x && x->dim[d] != w->dim[d]) return "batches that broadcast in part";
        product->batch *= w->dim[d];
    }
    product->m = x->dim[x->rank - 2];
    return NULL;
}

/* Leading dims of x are rows where w is one matrix. */
static const char *take_rows(const pf_shape *x, const pf_shape *w, cg_product *product)
{
    if (x->rank < w->rank) return "a result of more dims than x";
    product->m = 1;
    for (int d = 0; d + 1 < x->rank; d++) product->m *= x->dim[d];
    return NULL;
}

static const char *take_matmul(const pf_problem *p, const pf_node *node, cg_product *product)
{
    const pf_matmul_attrs *matmul = node->op == PF_OP_MATMUL ? node->attrs : NULL;
    const pf_gemm_attrs   *gemm = node->op == PF_OP_GEMM ? node->attrs : NULL;
    const pf_shape        *x = shape_of(p, node->in[0]), *w = shape_of(p, node->in[1]);

    if (x->rank < 2 || w->rank < 2) return "a vector operand";
    if (matmul ? matmul->trans_a : gemm->trans_a) return "x is transposed";
    if (x->rank > ROW_DIMS + 1 || w->rank > ROW_DIMS + 1) return "too many dims";
    product->trans_w = matmul ? matmul->trans_b : gemm->trans_b;
    product->alpha = gemm ? gemm->alpha : 1;
    if (gemm && node->in_count > 2 && node->in[2] != PF_NONE && gemm->beta != 1) return "a scaled third operand";
    product->k = x->dim[x->rank - 1];
    product->n = w->dim[w->rank - (product->trans_w ? 2 : 1)];
    return is_one_matrix(w) ? take_rows(x, w, product) : take_batch(x, w, product);
}

/* The input that the value is computed from element by element, and from nothing else; UINT32_MAX: there is none. */
static uint32_t raw_input(const pf_problem *p, pf_value_id value)
{
    const pf_value *at = pf_graph_value(p->graph, value);

    while (at->producer != PF_NONE) {
        const pf_node *node = &p->graph->nodes[at->producer];

        if ((!pf_op_is_pointwise(node->op) && node->op != PF_OP_CAST) || node->in_count != 1) return UINT32_MAX;
        value = node->in[0];
        at = pf_graph_value(p->graph, value);
    }
    return pf_problem_input_index(p, value);
}

/* One number for each channel of each of the image's pictures. */
static bool is_factor_of(const pf_shape *factor, const pf_shape *image)
{
    return factor->rank == 4 && image->rank == 4 && factor->dim[0] == image->dim[0] &&
           factor->dim[1] == image->dim[1] && factor->dim[2] == 1 && factor->dim[3] == 1;
}

/* The image that the value is, times factors of its channels, which nothing else reads. */
static uint32_t scaled_input(const pf_problem *p, pf_value_id value, cg_product *product)
{
    const pf_value *at = pf_graph_value(p->graph, value);
    const pf_node  *node = at->producer == PF_NONE ? NULL : &p->graph->nodes[at->producer];

    if (!node) return pf_problem_input_index(p, value);
    if (node->op != PF_OP_MUL || pf_graph_use_count(p->graph, value) != 1) return UINT32_MAX;
    for (int side = 0; side < 2; side++) {
        pf_value_id image = node->in[side], factor = node->in[1 - side];

        if (!pf_shape_equal(shape_of(p, image), &at->shape) || !is_factor_of(shape_of(p, factor), &at->shape)) continue;
        product->factor = pf_problem_input_index(p, factor);
        product->scaled = product->factor != UINT32_MAX;
        product->image_rows = at->shape.dim[2] * at->shape.dim[3];
        return product->scaled ? pf_problem_input_index(p, image) : UINT32_MAX;
    }
    return UINT32_MAX;
}

/* What may be computed of x inside. */
typedef enum inside { NOTHING, FROM_RAW, SCALED } inside;

static uint32_t input_of(const pf_problem *p, pf_value_id value, inside may, cg_product *product)
{
    if (may == SCALED) return scaled_input(p, value, product);
    return may == FROM_RAW ? raw_input(p, value) : pf_problem_input_index(p, value);
}

static const char *take(const pf_problem *p, const pf_node *node, inside may, cg_product *product)
{
    product->node = node;
    product->alpha = 1;
    product->batch = 1;
    product->x = input_of(p, node->in[0], may, product);
    product->w = pf_problem_input_index(p, node->in[1]);
    if (product->x == UINT32_MAX || product->w == UINT32_MAX) return "an operand inside the region";
    product->wide = pf_graph_value(p->graph, node->in[0])->dtype == PF_F32 &&
                    pf_graph_value(p->graph, node->in[1])->dtype == PF_F32;
    product->w_constant = p->in_constant[product->w];
    product->parts = !product->wide ? 0 : p->numerics & PF_NUMERICS_BF16_PARTS ? 2 : 3;
    return node->op == PF_OP_CONV ? take_conv(p, node, product) : take_matmul(p, node, product);
}

static bool is_half(const pf_graph *graph, const pf_node *node, int64_t columns, int64_t start)
{
    const pf_slice_attrs *attrs = node->op == PF_OP_SLICE ? node->attrs : NULL;
    int32_t               last = pf_graph_value(graph, node->in[0])->shape.rank - 1;

    return attrs && attrs->axes.count == 1 && attrs->axes.at[0] == last && attrs->steps.at[0] == 1 &&
           attrs->starts.at[0] == start &&
           pf_graph_value(graph, node->out[0])->shape.dim[last] == columns / 2 && columns % 2 == 0;
}

/* The one node that reads it; NULL: none, or several, or it is an output. */
static const pf_node *only_reader(const pf_graph *graph, pf_value_id value)
{
    pf_use use = { 0 };

    if (pf_graph_use_count(graph, value) != 1) return NULL;
    use = pf_graph_use(graph, value, 0);
    return use.node == PF_NONE ? NULL : &graph->nodes[use.node];
}

/* The slices that take the two halves of each row of the product, or of what is computed from it element by element. */
static bool find_halves(const pf_graph *graph, const cg_product *product, const pf_node *halves[2])
{
    pf_value_id value = product->node->out[0];

    for (const pf_node *next = only_reader(graph, value); next; next = only_reader(graph, value)) {
        if (!pf_op_is_pointwise(next->op) && next->op != PF_OP_CAST) return false;
        value = next->out[0];
    }
    if (pf_graph_use_count(graph, value) != 2) return false;
    for (uint32_t i = 0; i < 2; i++) {
        pf_use use = pf_graph_use(graph, value, i);

        if (use.node == PF_NONE) return false;
        halves[i] = &graph->nodes[use.node];
    }
    if (is_half(graph, halves[1], product->n, 0)) {
        const pf_node *first = halves[1];

        halves[1] = halves[0];
        halves[0] = first;
    }
    return is_half(graph, halves[0], product->n, 0) && is_half(graph, halves[1], product->n, product->n / 2);
}

/* Does it make an image of [n,h,w,c], whose channels are last in memory then as they were before? */
static bool makes_image(const pf_node *node)
{
    const pf_ints *perm = node->op == PF_OP_TRANSPOSE ? &((const pf_transpose_attrs *)node->attrs)->perm : NULL;

    return perm && perm->count == 4 && perm->at[0] == 0 && perm->at[1] == 3 && perm->at[2] == 1 && perm->at[3] == 2;
}

static bool leaves(const pf_graph *graph, pf_value_id value)
{
    for (uint32_t i = 0; i < pf_graph_use_count(graph, value); i++)
        if (pf_graph_use(graph, value, i).node == PF_NONE) return true;
    return false;
}

/* The transpose that makes an image of the product, or of what is computed from it element by element, of which
   something is computed: alone it is no step.  NULL: there is none. */
static const pf_node *find_turn(const pf_graph *graph, const cg_product *product)
{
    const pf_node *next = only_reader(graph, product->node->out[0]);

    while (next && (pf_op_is_pointwise(next->op) || next->op == PF_OP_CAST) &&
           pf_shape_equal(&pf_graph_value(graph, next->out[0])->shape,
                          &pf_graph_value(graph, product->node->out[0])->shape))
        next = only_reader(graph, next->out[0]);
    return next && makes_image(next) && !leaves(graph, next->out[0]) ? next : NULL;
}

static const char *recognize(const pf_problem *p, inside may, cg_product *product)
{
    const pf_node *node = NULL, *halves[2] = { NULL, NULL };
    const char    *reason = cg_find_anchor(p->graph, is_product, "no product", "two products", &node);

    memset(product, 0, sizeof *product);
    if (!reason) reason = take(p, node, may, product);
    if (reason) return reason;
    product->halves = !product->conv && !product->batched && find_halves(p->graph, product, halves) ? 2 : 1;
    product->turn = product->halves == 1 && !product->conv && !product->batched ? find_turn(p->graph, product) : NULL;
    product->result = product->halves == 2 ? halves[0]->out[0] : product->turn ? product->turn->out[0] : node->out[0];
    return NULL;
}

const char *cg_product_recognize(const pf_problem *p, cg_product *product) { return recognize(p, NOTHING, product); }

const char *cg_product_recognize_from_raw(const pf_problem *p, cg_product *product)
{
    return recognize(p, FROM_RAW, product);
}

const char *cg_product_recognize_scaled(const pf_problem *p, cg_product *product)
{
    return recognize(p, SCALED, product);
}

const char *cg_product_behind_declines(const pf_problem *p, const cg_product *product)
{
    const pf_node *halves[2] = { NULL, NULL };
    const char    *reason = NULL;

    if (product->halves == 1) return cg_behind_declines(p->graph, product->turn ? product->turn : product->node);
    if (!find_halves(p->graph, product, halves)) return "something moves behind the product";
    for (int i = 0; i < 2 && !reason; i++) reason = cg_behind_declines(p->graph, halves[i]);
    return reason;
}

static bool lies_as_rows(bool image, pf_layout layout, pf_dtype dtype)
{
    return image ? cg_is_channels_last(layout, dtype) : layout == PF_LAYOUT_LINEAR;
}

static bool lies_side_by_side(const pf_problem *p, uint32_t input)
{
    pf_layout layout = p->in_layout[input];

    return lies_as_rows(true, layout, pf_graph_value(p->graph, p->graph->inputs[input])->dtype) &&
           !pf_layout_pitch(layout);
}

const char *cg_product_check_results(const pf_problem *p, const cg_product *product)
{
    const pf_shape *shape = shape_of(p, product->result);

    for (uint32_t i = 0; i < p->graph->output_count; i++) {
        const pf_value *out = pf_graph_value(p->graph, p->graph->outputs[i]);

        if (!lies_as_rows(product->conv || product->turn, p->out_layout[i], out->dtype) ||
            !pf_shape_equal(&out->shape, shape))
            return "outputs differ in shape or layout";
        if (out->is_constant || out->producer == PF_NONE) return "an output that is an input";
    }
    return NULL;
}

const char *cg_product_check_places(const pf_problem *p, const cg_product *product)
{
    bool padded = product->windowed && p->in_layout[product->x] == PF_LAYOUT_C8 &&
                  shape_of(p, product->node->in[0])->dim[1] <= 8;

    if ((!lies_as_rows(product->conv, p->in_layout[product->x],
                       pf_graph_value(p->graph, product->node->in[0])->dtype) &&
         !padded) ||
        p->in_layout[product->w] != PF_LAYOUT_LINEAR)
        return "operands in another layout";
    if (product->scaled && !lies_side_by_side(p, product->factor)) return "factors in another layout";
    return cg_product_check_results(p, product);
}

static const char *parameter_type(const pf_problem *p, pf_value_id value)
{
    return cg_storage_type(pf_graph_value(p->graph, value)->dtype);
}

/* "const T *in0, .., T *out0" as parameters; "in0, .., out0, " as arguments. */
static void print_parameters(const pf_problem *p, bool types, pf_buf *out)
{
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        if (types)
            pf_buf_printf(out, "%sconst %s *__restrict__ in%u", i ? ", " : "",
                          parameter_type(p, p->graph->inputs[i]), i);
        else pf_buf_printf(out, "in%u, ", i);
    for (uint32_t i = 0; i < p->graph->output_count; i++)
        if (types) pf_buf_printf(out, ", %s *__restrict__ out%u", parameter_type(p, p->graph->outputs[i]), i);
        else pf_buf_printf(out, "out%u, ", i);
}

/* The third operand of a convolution or a gemm at the output's point; 0: none, -1: failed. */
static int32_t eval_bias(cg_context *cg, const cg_product *product, const cg_point *point)
{
    const pf_node *node = product->node;
    cg_point       at = { .rank = 1 };

    if (node->op == PF_OP_MATMUL || node->in_count < 3 || node->in[2] == PF_NONE) return 0;
    if (product->conv) {
        at.at[0] = point->at[1];
        return cg_eval(cg, node->in[2], &at);
    }
    at = *point;
    at.rank = shape_of(cg->problem, node->in[2])->rank;
    for (int d = 0; d < at.rank; d++)
        at.at[d] = shape_of(cg->problem, node->in[2])->dim[d] == 1 ? cg_index_number(0)
                                                                   : point->at[point->rank - at.rank + d];
    return cg_eval(cg, node->in[2], &at);
}

/* The product at a point of one of its halves. */
static bool emit_product(cg_context *cg, const cg_product *product, const cg_point *point, int half)
{
    int32_t bias = eval_bias(cg, product, point), id = ++cg->next_id;

    if (bias < 0) return false;
    pf_buf_printf(cg->body, "  float v%d[V]; LANES v%d[l] = sum[%sl]", id, id, half ? "V + " : "");
    if (product->alpha != 1) pf_buf_printf(cg->body, " * %.9ef", product->alpha);
    if (bias) pf_buf_printf(cg->body, " + v%d[l]", bias);
    pf_buf_printf(cg->body, ";\n");
    return cg_bind(cg, product->node->out[0], point, id);
}

/* The product's point, of a point of the results. */
static cg_point product_point(const cg_product *product, const cg_point *point)
{
    const pf_ints *perm = product->turn ? &((const pf_transpose_attrs *)product->turn->attrs)->perm : NULL;
    cg_point       at = *point;

    for (int32_t d = 0; perm && d < perm->count; d++) at.at[perm->at[d]] = point->at[d];
    return at;
}

static bool emit_values(cg_context *cg, const cg_product *product, const cg_point *point)
{
    const pf_graph *graph = cg->problem->graph;

    for (int half = 0; half < product->halves; half++) {
        cg_point at = product_point(product, point);

        at.at[at.rank - 1].constant += half * cg_product_columns(product);
        if (!emit_product(cg, product, &at, half)) return false;
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        int32_t value = cg_eval(cg, graph->outputs[i], point);

        if (value < 0) return false;
        cg_return(cg, i, value);
    }
    return true;
}

/* How many sums evaluate() takes. */
static const char *sums_text(const cg_product *product) { return product->halves == 2 ? "2 * V" : "V"; }

/* Loop variables from row and column, the product's value from its sum, and what follows. */
static pf_status print_evaluate(const pf_problem *p, const cg_product *product, int vector, pf_buf *out, pf_err *err)
{
    cg_context cg;
    cg_point   point;
    pf_buf     body = {0};
    bool       fine = false;

    pf_buf_init(&body, SOURCE_LIMIT_BYTES);
    cg_context_init(&cg, p, &body, vector, err);
    cg_loop_over(&cg, p->out_layout[0], pf_graph_value(p->graph, product->result), &point);
    fine = emit_values(&cg, product, &point);
    pf_buf_printf(out, "__device__ __forceinline__ finished evaluate(PARAMETERS, const idx row, const idx column, "
                       "const float sum[%s])\n{\n  finished to;\n  idx rest = ROW_IN(row);\n",
                  sums_text(product));
    for (int v = cg.var_count - 2; v > 0; v--)
        pf_buf_printf(out, "  const idx i%d = rest %% %lld; rest /= %lld;\n", v, (long long)cg.var_extent[v],
                      (long long)cg.var_extent[v]);
    pf_buf_printf(out, "  const idx i0 = rest, i%d = COLUMN_IN(row, column);\n", cg.var_count - 1);
    pf_buf_put(out, body.data, body.size);
    pf_buf_printf(out, "  return to;\n}\n");
    if (fine && body.failed) fine = false;
    cg_context_clear(&cg);
    pf_buf_clear(&body);
    return fine ? PF_OK : PF_FAIL(err, PF_UNSUPPORTED, "the region behind the product cannot be evaluated");
}

/* From one row of a matrix to the next. */
static int64_t row_elems(pf_layout layout, int64_t columns)
{
    return pf_layout_pitch(layout) ? pf_layout_pitch(layout) : columns;
}

int64_t cg_product_x_row(const pf_problem *p, const cg_product *product)
{
    return row_elems(p->in_layout[product->x],
                     product->windowed ? product->batch * product->window.channels : product->k);
}

/* Where a row and column of the batch lie in the output: groups of a convolution lie side by side in its rows. */
static void print_places(const cg_product *product, pf_buf *out)
{
    bool groups = product->conv && product->batch > 1;

    pf_buf_printf(out, "#define ROW_IN(row) (%s)\n#define COLUMN_IN(row, column) (%s)\n", groups ? "(row) % M" : "row",
                  groups ? "(row) / M * N + (column)" : "column");
}

pf_status cg_product_emit_finish(const pf_problem *p, const cg_product *product, int vector, pf_buf *out, pf_err *err)
{
    const pf_graph *graph = p->graph;
    int64_t         columns = product->conv ? product->batch * product->n : cg_product_columns(product);
    pf_status       st = PF_OK;

    print_places(product, out);
    pf_buf_printf(out, "struct finished {");
    for (uint32_t i = 0; i < graph->output_count; i++)
        pf_buf_printf(out, " wide<%s, V> result%u;", parameter_type(p, graph->outputs[i]), i);
    pf_buf_printf(out, " };\n");
    st = print_evaluate(p, product, vector, out, err);
    pf_buf_printf(out, "__device__ __forceinline__ "
                       "void store(PARAMETERS, const idx row, const idx column, const finished &from)\n{\n");
    for (uint32_t i = 0; i < graph->output_count; i++)
        pf_buf_printf(out, "  *(wide<%s, V> *)(out%u + ROW_IN(row) * %lld + COLUMN_IN(row, column)) = from.result%u;\n",
                      parameter_type(p, graph->outputs[i]), i, (long long)row_elems(p->out_layout[i], columns), i);
    pf_buf_printf(out, "}\n__device__ __forceinline__ "
                       "void finish(PARAMETERS, const idx row, const idx column, const float sum[%s])\n{\n"
                       "  store(ARGUMENTS row, column, evaluate(ARGUMENTS row, column, sum));\n}\n",
                  sums_text(product));
    return st;
}

int cg_product_vector(const pf_problem *p, const cg_product *product)
{
    int vector = 8;

    while (cg_product_columns(product) % vector) vector /= 2;
    for (uint32_t i = 0; i < p->graph->output_count; i++) {
        int fits = 128 / (int)pf_dtype_bits(pf_graph_value(p->graph, p->graph->outputs[i])->dtype);

        if (fits < vector) vector = fits;
    }
    return vector;
}

void cg_product_print_defines(const pf_problem *p, const cg_product *product, pf_buf *out)
{
    pf_buf_printf(out, "#define W_CONSTANT %d\n", p->in_constant[product->w]);
    cg_print_start(p, out);
    pf_buf_printf(out, "#define ARGUMENTS ");
    print_parameters(p, false, out);
    pf_buf_printf(out, "\n#define PARAMETERS ");
    print_parameters(p, true, out);
    pf_buf_printf(out, "\n");
}

int64_t cg_warp_group_place(int64_t i, int run)
{
    int64_t in_group = i % (4 * run), thread = in_group / run, at = in_group % run;

    return i - in_group + at / 2 * 8 + thread * 2 + at % 2;
}

void cg_product_print_factor(const cg_product *product, pf_buf *out)
{
    pf_buf_printf(out, "__device__ __forceinline__ float4 times_factor(PARAMETERS, const float4 of, const idx row, "
                       "const idx k)\n{\n");
    if (product->scaled)        /* rounded as a kernel of its own does it, and not as part of what follows */
        pf_buf_printf(out, "  if (k >= K) return of;\n"
                           "  const float4 by = *(const float4 *)(in%u + row / %lld * K + k);\n"
                           "  return make_float4(__fmul_rn(of.x, by.x), __fmul_rn(of.y, by.y), "
                           "__fmul_rn(of.z, by.z), __fmul_rn(of.w, by.w));\n}\n",
                      product->factor, (long long)product->image_rows);
    else pf_buf_printf(out, "  return of;\n}\n");
}

void cg_product_print_index(const pf_problem *p, const cg_product *product, pf_buf *out)
{
    const int64_t limit = INT64_C(1) << 30;
    const int64_t batch = product->batch;
    bool          narrow = batch * product->m * product->n < limit && batch * product->m * product->k < limit &&
                           batch * product->n * product->k < limit &&
                           (!pf_problem_has_pitch(p) || cg_most_places(p) < limit);

    pf_buf_printf(out, "typedef %s idx;\n", narrow ? "int" : "long long");
}

/* ---- Tunings */

static int by_guess(const void *a, const void *b)
{
    double one = ((const cg_tiling *)a)->ns, two = ((const cg_tiling *)b)->ns;

    return one < two ? -1 : one > two;
}

int cg_product_tilings(const pf_problem *p, int sm_count, int shapes, cg_tiling_guess *guess, cg_tiling *out, int max)
{
    static const int splits[] = { 1, 2, 4, 8 };
    cg_tiling        list[SHAPES_MAX * sizeof splits / sizeof *splits];
    cg_product       product;
    int              count = 0;

    cg_product_recognize_scaled(p, &product);
    for (int s = 0; s < shapes && s < SHAPES_MAX; s++)
        for (size_t k = 0; k < sizeof splits / sizeof *splits; k++) {
            double ns = cg_product_steps(&product) < splits[k] ? -1 : guess(&product, s, splits[k], sm_count);

            if (ns >= 0) list[count++] = (cg_tiling){ s, splits[k], ns };
        }
    qsort(list, (size_t)count, sizeof *list, by_guess);
    if (count > max) count = max;
    memcpy(out, list, (size_t)count * sizeof *out);
    return count;
}
