#include <string.h>

#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

/* Weights of com.microsoft with a scale for each block of a row: packed numbers of 4 or 8 bits, whose rows begin at
   whole bytes. */

typedef struct weights {
    int64_t rows, columns, block, blocks;   /* blocks of a row */
    int64_t bits;
} weights;

static pf_dtype dtype_of(const weights *w) { return w->bits == 4 ? PF_U4 : PF_U8; }

/* The same numbers without the half byte behind each row of an odd number. */
static const void *without_gaps(pf_onnx_node *node, const uint8_t *from, int64_t rows, int64_t columns, size_t bytes)
{
    const uint64_t row_bytes = pf_dtype_bytes(PF_U4, (uint64_t)columns);
    uint8_t       *to = pf_arena_alloc(node->graph->arena, bytes);

    if (!to) {
        pf_onnx_fail(node, PF_NO_SPACE, "out of memory");
        return NULL;
    }
    memset(to, 0, bytes);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            pf_dtype_set_i64(PF_U4, to, (uint64_t)(r * columns + c),
                             pf_dtype_get_i64(PF_U4, from + (uint64_t)r * row_bytes, (uint64_t)c));
    return to;
}

/* An integer constant of another type over the same bytes. */
static pf_value_id unpacked(pf_onnx_node *node, const weights *w, pf_value_id value, int64_t columns)
{
    pf_tensor    tensor = { 0 };
    pf_onnx_data data = { .dtype = dtype_of(w), .shape = { 2, { w->rows, columns } } };
    size_t       given = (size_t)w->rows * pf_dtype_bytes(data.dtype, (uint64_t)columns);

    if (!pf_onnx_constant(node, value, &tensor) || tensor.dtype != PF_U8) {
        pf_onnx_fail(node, PF_UNSUPPORTED, "weights or zero points that are not constants of packed numbers");
        return PF_NONE;
    }
    if (given != tensor.bytes) {
        pf_onnx_fail(node, PF_INVALID, "%zu bytes of packed numbers where %zu are needed", tensor.bytes, given);
        return PF_NONE;
    }
    data.bytes = pf_dtype_bytes(data.dtype, (uint64_t)w->rows * (uint64_t)columns);
    data.data = given == data.bytes ? tensor.data
                                    : without_gaps(node, tensor.data, w->rows, columns, data.bytes);
    return data.data ? pf_onnx_add_data(node, &data) : PF_NONE;
}

/* Where the model gives no zero points they are in the middle. */
static pf_value_id middles(pf_onnx_node *node, const weights *w)
{
    pf_onnx_data data = { .dtype = dtype_of(w), .shape = { 2, { w->rows, w->blocks } } };
    uint8_t     *bytes = NULL;

    data.bytes = pf_dtype_bytes(data.dtype, (uint64_t)w->rows * (uint64_t)w->blocks);
    bytes = pf_arena_alloc(node->graph->arena, data.bytes);
    if (!bytes) {
        pf_onnx_fail(node, PF_NO_SPACE, "out of memory");
        return PF_NONE;
    }
    memset(bytes, w->bits == 4 ? 0x88 : 0x80, data.bytes);
    data.data = bytes;
    return pf_onnx_add_data(node, &data);
}

static bool check(pf_onnx_node *node, weights *w)
{
    if (!node->status && (w->rows < 1 || w->columns < 1 || w->block < 1 || w->rows > INT32_MAX ||
                          w->columns > INT32_MAX || w->block > INT32_MAX))
        pf_onnx_fail(node, PF_INVALID, "%lld rows of %lld numbers in blocks of %lld", (long long)w->rows,
                     (long long)w->columns, (long long)w->block);
    if (!node->status && ((w->bits != 4 && w->bits != 8) || w->columns % w->block))
        pf_onnx_fail(node, PF_UNSUPPORTED, "numbers of %lld bits in blocks of %lld of %lld", (long long)w->bits,
                     (long long)w->block, (long long)w->columns);
    w->blocks = w->block > 0 ? w->columns / w->block : 0;
    return !node->status;
}

/* [rows, columns] in the scales' type */
static pf_value_id dequantized(pf_onnx_node *node, const weights *w, pf_value_id packed, pf_value_id scale,
                               pf_value_id zero)
{
    pf_dequantize_linear_attrs attrs = { .dtype = (int32_t)pf_onnx_dtype(node, scale), .axis = 1,
                                         .block_size = w->block };
    pf_dim_list                grid = { 2, { w->rows, w->blocks } };

    packed = unpacked(node, w, packed, w->columns);
    zero = zero == PF_NONE ? middles(node, w) : unpacked(node, w, zero, w->blocks);
    if (node->status)
        return PF_NONE;
    return pf_onnx_emit3(node, PF_OP_DEQUANTIZE_LINEAR, &attrs, packed, pf_onnx_reshape_to(node, scale, &grid), zero);
}

/* a [..., k], b [n, blocks, bytes], scales, zero points, (order), bias: y = a * dequantized(b)^T */
void pf_onnx_matmul_nbits(pf_onnx_node *node)
{
    weights w = { .rows = pf_onnx_int(node, "N", 0), .columns = pf_onnx_int(node, "K", 0),
                  .block = pf_onnx_int(node, "block_size", 0), .bits = pf_onnx_int(node, "bits", 4) };
    pf_matmul_attrs product = { 0, 1 };
    pf_value_id     b = PF_NONE;

    if (!node->status && pf_onnx_in(node, 4) != PF_NONE)
        pf_onnx_fail(node, PF_UNSUPPORTED, "blocks in an order of their own");
    if (!check(node, &w))
        return;
    b = dequantized(node, &w, pf_onnx_in(node, 1), pf_onnx_in(node, 2), pf_onnx_in(node, 3));
    if (!node->status)
        node->out[0] = pf_onnx_add_bias(node, pf_onnx_emit2(node, PF_OP_MATMUL, &product, pf_onnx_in(node, 0), b),
                                        pf_onnx_in(node, 5));
}

/* Embeddings: data [rows, bytes], indices, scales [rows, blocks], zero points */
void pf_onnx_gather_block_quantized(pf_onnx_node *node)
{
    static const pf_axis_attrs first = { 0 };
    pf_value_id packed = pf_onnx_in(node, 0), scale = pf_onnx_in(node, 2), table = PF_NONE;
    int64_t     axis = pf_onnx_int(node, "quantize_axis", 1);
    weights     w = { .block = pf_onnx_int(node, "block_size", 128), .bits = pf_onnx_int(node, "bits", 4) };
    pf_dim      rows = pf_onnx_dim(node, packed, 0), bytes = pf_onnx_dim(node, packed, 1);

    if (!node->status && (pf_onnx_rank(node, packed) != 2 || pf_onnx_int(node, "gather_axis", 0) ||
                          (axis != 1 && axis != -1) || pf_onnx_dtype(node, packed) != PF_U8 ||
                          !pf_dim_is_number(rows) || !pf_dim_is_number(bytes) || bytes > INT32_MAX))
        pf_onnx_fail(node, PF_UNSUPPORTED, "other than rows of a table of packed numbers");
    w.rows = node->status ? 0 : rows;
    w.columns = node->status || w.bits < 1 ? 0 : bytes * 8 / w.bits;
    if (!check(node, &w))
        return;
    table = dequantized(node, &w, packed, scale, pf_onnx_in(node, 3));
    if (!node->status)
        node->out[0] = pf_onnx_emit2(node, PF_OP_GATHER, &first, table, pf_onnx_in(node, 1));
}
