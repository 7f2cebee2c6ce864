#include "engine/problem.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/op.h"
#include "engine/problem_copy.h"

/* The text's first line:  problem in=nhwc,linear* out=nhwc:256 numerics=0
   A star marks a constant; "-" stands for an empty list; numerics are the PF_NUMERICS_* bits in decimal. */
enum { TEXT_LIMIT = 1 << 20 };

static void print_layouts(pf_buf *text, const char *key, const pf_layout *layout, const bool *constant, uint32_t count)
{
    pf_buf_printf(text, " %s=%s", key, count ? "" : "-");
    for (uint32_t i = 0; i < count; i++)
        pf_buf_printf(text, "%s%s%s", i ? "," : "", pf_layout_print(layout[i]).at, constant && constant[i] ? "*" : "");
}

static pf_status write_text(pf_problem *problem, pf_err *err)
{
    pf_buf    text;
    pf_status st = PF_OK;
    size_t    bytes = 0;

    pf_buf_init(&text, TEXT_LIMIT);
    pf_buf_printf(&text, "problem");
    print_layouts(&text, "in", problem->in_layout, problem->in_constant, problem->graph->input_count);
    print_layouts(&text, "out", problem->out_layout, NULL, problem->graph->output_count);
    pf_buf_printf(&text, " numerics=%u\n", problem->numerics);
    st = pf_graph_print(problem->graph, false, &text, err);
    if (!st && text.failed)
        st = PF_FAIL(err, PF_NO_SPACE, "the text of a problem is longer than %d bytes", TEXT_LIMIT);
    if (!st) {
        bytes = text.size;
        problem->text = pf_arena_strndup(problem->graph->arena, (const char *)text.data, bytes);
        st = problem->text ? PF_OK : PF_FAIL_MEMORY(err, bytes);
    }
    if (!st)
        pf_digest_of(problem->text, bytes, &problem->hash);
    pf_buf_clear(&text);
    return st;
}

/* The first anchor; moves that it took in do not count. */
static pf_node_id find_anchor(const pf_graph *graph)
{
    pf_node_id move = 0;
    bool       moved = false;

    for (pf_node_id n = 0; n < graph->node_count; n++) {
        pf_op_class klass = pf_op_class_of(&graph->nodes[n]);

        if (graph->nodes[n].live && klass == PF_CLASS_ANCHOR)
            return n;
        if (graph->nodes[n].live && klass == PF_CLASS_MOVE && !moved) {
            move = n;
            moved = true;
        }
    }
    return move;
}

static pf_status check_layouts(const pf_problem *problem, pf_err *err)
{
    const pf_graph *graph = problem->graph;

    for (uint32_t i = 0; i < graph->input_count; i++)
        if (!pf_layout_takes(problem->in_layout[i], &pf_graph_value(graph, graph->inputs[i])->shape) ||
            (problem->in_constant[i] && pf_layout_pitch(problem->in_layout[i])))
            return PF_FAIL(err, PF_INVALID, "layout %s does not fit input %u of a problem",
                           pf_layout_print(problem->in_layout[i]).at, i);
    for (uint32_t i = 0; i < graph->output_count; i++)
        if (!pf_layout_takes(problem->out_layout[i], &pf_graph_value(graph, graph->outputs[i])->shape))
            return PF_FAIL(err, PF_INVALID, "layout %s does not fit output %u of a problem",
                           pf_layout_print(problem->out_layout[i]).at, i);
    return PF_OK;
}

static bool has_wide_product(const pf_graph *graph)
{
    for (uint32_t n = 0; n < graph->node_count; n++) {
        const pf_node *node = &graph->nodes[n];
        bool           is_product = node->op == PF_OP_CONV || node->op == PF_OP_MATMUL || node->op == PF_OP_GEMM;

        if (node->live && is_product && graph->values[node->in[0]].dtype == PF_F32)
            return true;
    }
    return false;
}

static pf_status fill(pf_problem *problem, const pf_layout *in, const pf_layout *out_layouts, const bool *constant,
                      pf_err *err)
{
    pf_arena *arena = problem->graph->arena;
    uint32_t  ins = problem->graph->input_count, outs = problem->graph->output_count;
    bool      has_constants = false;
    pf_status st = PF_OK;

    problem->in_layout = pf_arena_alloc(arena, (ins + 1) * sizeof *problem->in_layout);
    problem->out_layout = pf_arena_alloc(arena, (outs + 1) * sizeof *problem->out_layout);
    problem->in_constant = pf_arena_alloc(arena, (ins + 1) * sizeof *problem->in_constant);
    if (!problem->in_layout || !problem->out_layout || !problem->in_constant)
        return PF_FAIL_MEMORY(err, ins + outs);
    for (uint32_t i = 0; i < ins; i++) {
        problem->in_layout[i] = in ? in[i] : PF_LAYOUT_LINEAR;
        problem->in_constant[i] = constant && constant[i];
        has_constants |= problem->in_constant[i];
    }
    if (!has_constants)
        problem->numerics &= ~(uint32_t)PF_NUMERICS_COLD_WEIGHTS;
    if (!has_wide_product(problem->graph))
        problem->numerics &= ~(uint32_t)(PF_NUMERICS_BF16_PARTS | PF_NUMERICS_BF16_THREE);
    for (uint32_t i = 0; i < outs; i++)
        problem->out_layout[i] = out_layouts ? out_layouts[i] : PF_LAYOUT_LINEAR;
    st = check_layouts(problem, err);
    problem->anchor = find_anchor(problem->graph);
    return st ? st : write_text(problem, err);
}

pf_status pf_problem_make(pf_graph *graph, const pf_layout *in, const pf_layout *out_layouts, const bool *constant,
                          uint32_t numerics, pf_problem **out, pf_err *err)
{
    pf_problem *problem = pf_calloc(1, sizeof *problem);
    pf_status   st = PF_OK;

    *out = NULL;
    if (!problem) {
        pf_graph_free(graph);
        return PF_FAIL_MEMORY(err, sizeof *problem);
    }
    problem->graph = graph;
    problem->numerics = numerics;
    st = fill(problem, in, out_layouts, constant, err);
    if (st)
        pf_problem_free(problem);
    else
        *out = problem;
    return st;
}

void pf_problem_free(pf_problem *problem)
{
    if (!problem)
        return;
    pf_graph_free(problem->graph);
    pf_free(problem);
}

/* A copy with other layouts, other dims, or both. */
static pf_status copy_problem(const pf_problem *problem, const pf_layout *in, const pf_layout *out_layouts,
                              const int64_t *bindings, pf_problem **out, pf_err *err)
{
    pf_problem_copy copy;
    pf_graph       *graph = NULL;
    pf_status       st = pf_problem_copy_begin(&copy, problem->graph, bindings, err);

    *out = NULL;
    if (st)
        return st;
    st = pf_problem_copy_all(&copy, err);
    if (!st) {
        graph = copy.to;
        copy.to = NULL;
        st = pf_problem_make(graph, in, out_layouts, problem->in_constant, problem->numerics, out, err);
    }
    pf_problem_copy_clear(&copy);
    return st;
}

pf_status pf_problem_with_layouts(const pf_problem *problem, const pf_layout *in, const pf_layout *out_layouts,
                                  pf_problem **out, pf_err *err)
{
    return copy_problem(problem, in, out_layouts, NULL, out, err);
}

pf_status pf_problem_bind(const pf_problem *problem, const pf_dims *outer, const int64_t *bindings, pf_problem **out,
                          pf_err *err)
{
    const pf_dims *dims = problem->graph->dims;
    uint32_t       count = pf_dims_symbol_count(dims);
    int64_t       *numbers = pf_alloc((count + 1) * sizeof *numbers);
    pf_status      st = PF_OK;

    *out = NULL;
    if (!numbers)
        return PF_FAIL_MEMORY(err, count * sizeof *numbers);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = outer ? pf_dims_symbol_index(outer, pf_dims_symbol_name(dims, i)) : UINT32_MAX;

        numbers[i] = at == UINT32_MAX ? PF_UNBOUND : bindings[at];
    }
    st = copy_problem(problem, problem->in_layout, problem->out_layout, numbers, out, err);
    pf_free(numbers);
    return st;
}

bool pf_problem_has_constants(const pf_problem *problem)
{
    for (uint32_t i = 0; i < problem->graph->input_count; i++)
        if (problem->in_constant[i])
            return true;
    return false;
}

bool pf_problem_has_pitch(const pf_problem *problem)
{
    for (uint32_t i = 0; i < problem->graph->input_count; i++)
        if (pf_layout_pitch(problem->in_layout[i]))
            return true;
    for (uint32_t i = 0; i < problem->graph->output_count; i++)
        if (pf_layout_pitch(problem->out_layout[i]))
            return true;
    return false;
}

static bool is_empty(const pf_value *value)
{
    for (int32_t d = 0; d < value->shape.rank; d++)
        if (value->shape.dim[d] == 0)
            return true;
    return false;
}

bool pf_problem_has_empty(const pf_problem *problem)
{
    const pf_graph *graph = problem->graph;

    for (uint32_t i = 0; i < graph->input_count; i++)
        if (is_empty(&graph->values[graph->inputs[i]]))
            return true;
    for (uint32_t i = 0; i < graph->output_count; i++)
        if (is_empty(&graph->values[graph->outputs[i]]))
            return true;
    return false;
}

bool pf_problem_is_bound(const pf_problem *problem)
{
    for (uint32_t i = 0; i < problem->graph->value_count; i++)
        if (!pf_shape_is_static(&problem->graph->values[i].shape))
            return false;
    return true;
}

pf_status pf_problem_reformat(const pf_dims *dims, pf_dtype dtype, const pf_shape *shape, pf_layout from, pf_layout to,
                              pf_problem **out, pf_err *err)
{
    pf_graph   *graph = pf_graph_new("", NULL);
    pf_shape    own = *shape;
    pf_value_id x = PF_NONE, y = PF_NONE;
    pf_status   st = graph ? PF_OK : PF_FAIL_MEMORY(err, sizeof *graph);

    *out = NULL;
    for (int32_t i = 0; i < shape->rank && !st; i++)
        if (pf_dim_is_symbolic(shape->dim[i]))
            own.dim[i] = pf_dim_translate(dims, shape->dim[i], graph->dims);
    if (!st)
        st = pf_graph_add_input(graph, "", dtype, &own, &x, err);
    if (!st)
        st = pf_graph_add_node(graph, PF_OP_IDENTITY, "", &x, 1, NULL, 1, &y, err);
    if (!st)
        st = pf_graph_add_output(graph, y, "", err);
    if (!st)
        return pf_problem_make(graph, &from, &to, NULL, 0, out, err);
    pf_graph_free(graph);
    return st;
}

/* ---- Reading the text */
typedef struct header {
    pf_layout in[PF_PROBLEM_VALUES], out[PF_PROBLEM_VALUES];
    bool      constant[PF_PROBLEM_VALUES];
    uint32_t  in_count, out_count, numerics;
} header;

/* "nhwc,linear*,c16" up to a space */
static bool parse_layouts(const char **text, pf_layout *layout, bool *constant, uint32_t *count)
{
    const char *at = *text;

    *count = 0;
    if (*at == '-') {
        *text = at + 1;
        return true;
    }
    for (;;) {
        char   name[PF_LAYOUT_TEXT_BYTES] = "";
        size_t length = strcspn(at, ",* \n");

        if (length == 0 || length >= sizeof name || *count == PF_PROBLEM_VALUES)
            return false;
        memcpy(name, at, length);
        layout[*count] = pf_layout_from_name(name);
        if (layout[*count] == PF_LAYOUT_COUNT)
            return false;
        at += length;
        constant[*count] = *at == '*';
        at += *at == '*';
        ++*count;
        if (*at != ',')
            break;
        at++;
    }
    *text = at;
    return true;
}

static bool skip(const char **text, const char *word)
{
    size_t length = strlen(word);

    if (strncmp(*text, word, length) != 0)
        return false;
    *text += length;
    return true;
}

static bool parse_number(const char **text, uint32_t *out)
{
    const char *start = *text;

    *out = 0;
    while (**text >= '0' && **text <= '9' && *text - start < 9)
        *out = *out * 10 + (uint32_t)(*(*text)++ - '0');
    return *text > start;
}

static bool parse_header(const char **text, header *h)
{
    bool unused[PF_PROBLEM_VALUES] = { false };

    return skip(text, "problem in=") && parse_layouts(text, h->in, h->constant, &h->in_count)
        && skip(text, " out=") && parse_layouts(text, h->out, unused, &h->out_count)
        && skip(text, " numerics=") && parse_number(text, &h->numerics) && skip(text, "\n");
}

pf_status pf_problem_parse(const char *text, pf_problem **out, pf_err *err)
{
    header   *h = pf_calloc(1, sizeof *h);
    pf_graph *graph = NULL;
    pf_status st = h ? PF_OK : PF_FAIL_MEMORY(err, sizeof *h);

    *out = NULL;
    if (!st && !parse_header(&text, h))
        st = PF_FAIL(err, PF_INVALID, "the first line of a problem is malformed");
    if (!st)
        st = pf_graph_parse(text, &graph, err);
    if (!st && (graph->input_count != h->in_count || graph->output_count != h->out_count))
        st = PF_FAIL(err, PF_INVALID, "a problem of %u inputs and %u outputs gives layouts for %u and %u",
                     graph->input_count, graph->output_count, h->in_count, h->out_count);
    if (!st) {
        st = pf_problem_make(graph, h->in, h->out, h->constant, h->numerics, out, err);
        graph = NULL;
    }
    pf_graph_free(graph);
    pf_free(h);
    return st;
}
