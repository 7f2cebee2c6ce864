#include "engine/cuda/codegen_scatter_rows.h"

#include <string.h>

#include "engine/cuda/codegen.h"
#include "engine/cuda/codegen_loop.h"
#include "engine/epilogue.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"

enum { SOURCE_LIMIT_BYTES = 1 << 20, THREADS = 256, ELEMS_MAX = 8, WIDTH_MAX = 512, BLOCKS_EACH = 4, ROWS_MAX = 256 };

/* x as rows: the indices lead to one, the update has as many elements. */
typedef struct rows_form {
    const pf_node  *node;
    const pf_shape *x, *index;
    int             depth;
    int64_t         rows, width, count;
} rows_form;

static const char *check_values(const pf_problem *p, const pf_node *node)
{
    for (uint32_t i = 0; i < 3; i++) {
        if (pf_problem_input_index(p, node->in[i]) != i) return "an operand in clear, or read twice";
        if (p->in_layout[i] != PF_LAYOUT_LINEAR) return "layout";
        if (!cg_storage_type(pf_graph_value(p->graph, node->in[i])->dtype)) return "element type without a CUDA form";
    }
    return p->out_layout[0] == PF_LAYOUT_LINEAR ? NULL : "layout";
}

const char *pf_codegen_scatter_rows_declines(const pf_problem *p)
{
    const pf_node  *node = cg_only_node(p->graph);
    const pf_shape *index = NULL;

    if (!node || node->op != PF_OP_SCATTER_ND || p->graph->input_count != 3 || p->graph->output_count != 1)
        return "no scatter alone";
    index = &pf_graph_value(p->graph, node->in[1])->shape;
    if (index->rank < 1 || !pf_dim_is_number(index->dim[index->rank - 1]) || index->dim[index->rank - 1] < 1 ||
        index->dim[index->rank - 1] > pf_graph_value(p->graph, node->in[0])->shape.rank)
        return "indices of unknown depth";
    return check_values(p, node);
}

static rows_form form_of(const pf_problem *p)
{
    const pf_node *node = cg_only_node(p->graph);
    rows_form      form = { .node = node, .x = &pf_graph_value(p->graph, node->in[0])->shape,
                            .index = &pf_graph_value(p->graph, node->in[1])->shape, .rows = 1, .width = 1, .count = 1 };

    form.depth = (int)form.index->dim[form.index->rank - 1];
    for (int d = 0; d < form.x->rank; d++) *(d < form.depth ? &form.rows : &form.width) *= form.x->dim[d];
    for (int d = 0; d + 1 < form.index->rank; d++) form.count *= form.index->dim[d];
    return form;
}

static int64_t tile_width(const rows_form *form) { return form->width < WIDTH_MAX ? form->width : WIDTH_MAX; }

static int most_rows(const rows_form *form)
{
    int64_t width = tile_width(form), rows = width > 0 ? THREADS * ELEMS_MAX / width : 1;

    return rows < 1 ? 1 : rows > ROWS_MAX ? ROWS_MAX : (int)rows;
}

int pf_codegen_scatter_rows_tunings(const pf_problem *p, int compute_units, int *rows, int max)
{
    rows_form form = form_of(p);
    int64_t   tiles = tile_width(&form) > 0 ? cg_up(form.width, tile_width(&form)) : 1;
    int64_t   fills = cg_up(form.rows * tiles, (int64_t)BLOCKS_EACH * compute_units);
    int       most = most_rows(&form), first = fills < 1 ? 1 : fills > most ? most : (int)fills, count = 0;

    rows[count++] = first;
    if (count < max && first * 2 <= most) rows[count++] = first * 2;
    if (count < max && first * 4 <= most) rows[count++] = first * 4;
    if (count < max && first > 1) rows[count++] = first / 2;
    return count;
}

/* ---- Emitting */

static void print_defines(const rows_form *form, int rows, pf_buf *out)
{
    int64_t width = tile_width(form);

    pf_buf_printf(out, "#define ROWS %lld\n#define WIDTH %lld\n#define COUNT %lld\n#define R %d\n#define TILE %lld\n",
                  (long long)form->rows, (long long)form->width, (long long)form->count, rows, (long long)width);
    pf_buf_printf(out, "#define K %lld\n#define LOOKS 4\n", (long long)cg_up(rows * width, THREADS));
}

/* mine[look]: the row that the index of this look leads to, less the block's first; -1 when it is none of the block's.
   All looks load before anybody waits for another. */
static void print_looks(const rows_form *form, pf_buf *out)
{
    pf_buf_printf(out, "  int mine[LOOKS]; unsigned votes[LOOKS];\n"
                       "  _Pragma(\"unroll\") for (int look = 0; look < LOOKS; ++look) {\n"
                       "    const int e = base + look * %d + (int)threadIdx.x;\n"
                       "    long long at = 0; bool inside = e < COUNT;\n", THREADS);
    for (int c = 0; c < form->depth; c++)
        pf_buf_printf(out,
                      "    { long long k = inside ? in1[(long long)e * %d + %d] : -1; k += k < 0 && inside ? %lld : 0; "
                      "inside = inside && k >= 0 && k < %lld; at = at * %lld + k; }\n",
                      form->depth, c, (long long)form->x->dim[c], (long long)form->x->dim[c],
                      (long long)form->x->dim[c]);
    pf_buf_printf(out, "    mine[look] = inside && at >= first && at < first + R ? (int)(at - first) : -1;\n  }\n");
}

/* What the block finds goes to place[] and row[] in the order of the indices; seen: how many that are. */
static void print_search(const rows_form *form, pf_buf *out)
{
    pf_buf_printf(out, "  for (int base = 0; base < COUNT; base += LOOKS * %d) {\n", THREADS);
    print_looks(form, out);
    pf_buf_printf(out, "  const int lane = threadIdx.x %% 32, warp = threadIdx.x / 32;\n"
                       "  _Pragma(\"unroll\") for (int look = 0; look < LOOKS; ++look) {\n"
                       "    votes[look] = __ballot_sync(0xffffffffu, mine[look] >= 0);\n"
                       "    if (lane == 0) found[look * %d + warp] = __popc(votes[look]);\n  }\n  __syncthreads();\n",
                  THREADS / 32);
    pf_buf_printf(out, "  int seen = 0;\n  _Pragma(\"unroll\") for (int look = 0; look < LOOKS; ++look) {\n"
                       "    int before = seen;\n    _Pragma(\"unroll\") for (int w = 0; w < %d; ++w) "
                       "{ const int n = found[look * %d + w]; before += w < warp ? n : 0; seen += n; }\n",
                  THREADS / 32, THREADS / 32);
    pf_buf_printf(out, "    if (mine[look] >= 0) { const int at = before + __popc(votes[look] & ((1u << lane) - 1)); "
                       "place[at] = base + look * %d + (int)threadIdx.x; row[at] = mine[look]; }\n  }\n"
                       "  __syncthreads();\n", THREADS);
}

static void print_body(const pf_problem *p, const rows_form *form, pf_buf *out)
{
    pf_dtype    dtype = pf_graph_value(p->graph, form->node->in[0])->dtype;
    const char *type = cg_type_of(dtype) == CG_FLOAT ? "float" : "long long", *load = cg_load_function(dtype);
    const char *combine = cg_scatter_combination(((const pf_scatter_nd_attrs *)form->node->attrs)->reduction);
    const char *store = cg_store_function(dtype);

    pf_buf_printf(out, "  __shared__ int place[LOOKS * %d], row[LOOKS * %d], found[LOOKS * %d];\n", THREADS, THREADS,
                  THREADS / 32);
    pf_buf_printf(out, "  const long long first = (long long)blockIdx.x * R, column = (long long)blockIdx.y * TILE;\n"
                       "  %s kept[K];\n", type);
    pf_buf_printf(out, "#define ELEM const int j = (int)threadIdx.x + k * %d, r = j / TILE; "
                       "const long long f = column + j %% TILE; "
                       "const bool owned = j < R * TILE && first + r < ROWS && f < WIDTH;\n", THREADS);
    pf_buf_printf(out, "  _Pragma(\"unroll\") for (int k = 0; k < K; ++k) { ELEM "
                       "kept[k] = owned ? (%s)%s(in0[(first + r) * WIDTH + f]) : (%s)0; }\n", type, load, type);
    print_search(form, out);
    pf_buf_printf(out, "  for (int i = 0; i < seen; ++i) _Pragma(\"unroll\") for (int k = 0; k < K; ++k) { ELEM\n"
                       "    if (owned && r == row[i]) { const %s a = kept[k], b = (%s)%s(in2[(long long)place[i] * "
                       "WIDTH + f]); kept[k] = %s; } }\n  __syncthreads();\n  }\n", type, type, load, combine);
    pf_buf_printf(out, "  _Pragma(\"unroll\") for (int k = 0; k < K; ++k) { ELEM "
                       "if (owned) out0[(first + r) * WIDTH + f] = ");
    if (*store) pf_buf_printf(out, "%s(kept[k]); }\n", store);
    else pf_buf_printf(out, "(%s)kept[k]; }\n", cg_storage_type(dtype));
}

pf_status pf_codegen_scatter_rows(const pf_problem *p, int rows, pf_program *out, pf_err *err)
{
    rows_form form = form_of(p);
    pf_buf    defines = {0};
    int64_t   elems = form.rows * form.width > form.count * form.width ? form.rows * form.width
                                                                       : form.count * form.width;

    memset(out, 0, sizeof *out);
    if (rows < 1 || rows > most_rows(&form) || form.width < 1 || form.rows < 1 || form.count > INT32_MAX / 2)
        return PF_FAIL(err, PF_UNSUPPORTED, "no scatter of %d rows a block", rows);
    pf_buf_init(&out->source, SOURCE_LIMIT_BYTES);
    pf_buf_init(&defines, SOURCE_LIMIT_BYTES);
    print_defines(&form, rows, &defines);
    pf_codegen_header(p, 1, THREADS, elems, defines.failed ? "" : (const char *)defines.data, &out->source);
    print_body(p, &form, &out->source);
    pf_buf_printf(&out->source, "}\n");
    out->grid[0] = (uint32_t)cg_up(form.rows, rows);
    out->grid[1] = (uint32_t)cg_up(form.width, tile_width(&form));
    out->grid[2] = out->block[1] = out->block[2] = 1;
    out->block[0] = THREADS;
    pf_buf_clear(&defines);
    if (!out->source.failed) return PF_OK;
    pf_program_clear(out);
    return PF_FAIL(err, PF_UNSUPPORTED, "the generated kernel is longer than %d bytes", SOURCE_LIMIT_BYTES);
}
