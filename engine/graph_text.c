/* Graphs as text. */
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "engine/graph_private.h"
#include "engine/literal.h"

enum { CLEAR_LIMIT = 64 };      /* constants of at most so many elements stand in the text */

static const char *const kind_names[] = { [PF_VALUE_TENSOR] = "", [PF_VALUE_SEQUENCE] = "sequence",
                                          [PF_VALUE_OPTIONAL] = "optional" };

/* numbers: how each value is called. With names these are the values' ids; without, the order in which they are
   printed. */
typedef struct printer {
    const pf_graph *graph;
    bool            with_names;
    int             indent;
    uint32_t       *numbers, next;
    pf_buf         *out;
    pf_err         *err;
} printer;

static void number_value(printer *p, pf_value_id id) { p->numbers[id] = p->with_names ? id : p->next++; }

static void print_type(const printer *p, const pf_value *value)
{
    const char *dtype = pf_dtype_name(value->dtype);

    if (value->kind == PF_VALUE_TENSOR)
        pf_buf_printf(p->out, "%s ", dtype);
    else
        pf_buf_printf(p->out, "%s(%s) ", kind_names[value->kind], dtype);
    pf_shape_print(p->graph->dims, &value->shape, p->out);
}

static void print_name(const printer *p, const char *name)
{
    if (!p->with_names || !name[0])
        return;
    pf_buf_put_u8(p->out, ' ');
    pf_literal_put_string(name, p->out);
}

static void print_input(printer *p, uint32_t index)
{
    const pf_value *value = &p->graph->values[p->graph->inputs[index]];
    bool            captured = index >= p->graph->input_count - p->graph->capture_count;

    number_value(p, p->graph->inputs[index]);
    pf_buf_printf(p->out, "%*s%%%u = %s ", p->indent, "", p->numbers[p->graph->inputs[index]],
                  captured ? "capture" : "input");
    print_type(p, value);
    print_name(p, value->name);
    pf_buf_put_u8(p->out, '\n');
}

static void print_element(const printer *p, const pf_value *value, uint64_t i)
{
    pf_dtype_kind kind = pf_dtype_kind_of(value->dtype);

    if (kind == PF_KIND_STRING) {
        const char *text = ((const char *const *)value->constant.data)[i];

        pf_literal_put_string(text ? text : "", p->out);
    } else if (value->dtype == PF_U64)
        pf_buf_printf(p->out, "%llu", (unsigned long long)((const uint64_t *)value->constant.data)[i]);
    else if (kind != PF_KIND_FLOAT)
        pf_buf_printf(p->out, "%lld", (long long)pf_dtype_get_i64(value->dtype, value->constant.data, i));
    else if (value->dtype == PF_F64)
        pf_literal_put_double(pf_dtype_get(value->dtype, value->constant.data, i), p->out);
    else
        pf_literal_put_float((float)pf_dtype_get(value->dtype, value->constant.data, i), p->out);
}

static bool is_clear(const pf_value *value, int64_t elems)
{
    return elems <= CLEAR_LIMIT && pf_dtype_kind_of(value->dtype) != PF_KIND_COMPLEX;
}

static void print_digest(const printer *p, const pf_value *value)
{
    pf_digest digest = { { 0 } };
    char      hex[PF_DIGEST_HEX_BYTES] = "";

    pf_constant_digest(&value->constant, &digest);
    pf_digest_to_hex(&digest, hex);
    pf_buf_printf(p->out, " sha256:%s", hex);
}

static void print_constant(printer *p, pf_value_id id)
{
    const pf_value *value = &p->graph->values[id];
    int64_t         elems = pf_value_elems(value);

    number_value(p, id);
    pf_buf_printf(p->out, "%*s%%%u = constant ", p->indent, "", p->numbers[id]);
    print_type(p, value);
    if (is_clear(value, elems)) {
        pf_buf_printf(p->out, " {");
        for (int64_t i = 0; i < elems; i++) {
            if (i)
                pf_buf_put_u8(p->out, ',');
            print_element(p, value, (uint64_t)i);
        }
        pf_buf_put_u8(p->out, '}');
    } else
        print_digest(p, value);
    print_name(p, value->name);
    pf_buf_put_u8(p->out, '\n');
}

static void print_constants_of(printer *p, const pf_value_id *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] != PF_NONE && p->graph->values[ids[i]].is_constant && p->numbers[ids[i]] == PF_NONE)
            print_constant(p, ids[i]);
}

static bool any_name(const printer *p, const pf_node *node)
{
    bool any = false;

    for (uint32_t i = 0; i < node->out_count; i++)
        any |= p->with_names && p->graph->values[node->out[i]].name[0];
    return any;
}

/* "%4:2" when nobody has a name and the numbers follow each other, which they do without names. */
static void print_results(printer *p, const pf_node *node)
{
    for (uint32_t i = 0; i < node->out_count; i++)
        number_value(p, node->out[i]);
    pf_buf_printf(p->out, "%*s", p->indent, "");
    if (node->out_count > 1 && !any_name(p, node)) {
        pf_buf_printf(p->out, "%%%u:%u", p->numbers[node->out[0]], node->out_count);
        return;
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        pf_buf_printf(p->out, "%s%%%u", i ? ", " : "", p->numbers[node->out[i]]);
        print_name(p, p->graph->values[node->out[i]].name);
    }
}

/* The sizes that the node finds out, which the attributes of others may name. */
static void print_sizes(printer *p, pf_node_id id)
{
    uint32_t        count = 0;
    const uint32_t *symbols = pf_graph_sizes_of(p->graph, id, &count);

    for (uint32_t i = 0; i < count; i++)
        pf_buf_printf(p->out, "%s%s", i ? "," : " finds=[", pf_dims_symbol_name(p->graph->dims, symbols[i]));
    if (count)
        pf_buf_put_u8(p->out, ']');
}

static pf_status print_node(printer *p, pf_node_id id)
{
    const pf_node   *node = &p->graph->nodes[id];
    const pf_op_def *def = pf_op_def_of(node->op);
    pf_status        st = PF_OK;

    print_constants_of(p, node->in, node->in_count);
    print_results(p, node);
    pf_buf_printf(p->out, " = %s(", def->name);
    for (uint32_t i = 0; i < node->in_count; i++) {
        pf_buf_printf(p->out, "%s", i ? ", " : "");
        if (node->in[i] == PF_NONE)
            pf_buf_put_u8(p->out, '_');
        else
            pf_buf_printf(p->out, "%%%u", p->numbers[node->in[i]]);
    }
    pf_buf_put_u8(p->out, ')');
    print_sizes(p, id);
    if (node->attrs)
        st = graph_print_attrs(p->graph->dims, def, node->attrs, p->with_names, p->indent, p->out, p->err);
    print_name(p, node->name);
    pf_buf_put_u8(p->out, '\n');
    return st;
}

static pf_status print_graph(printer *p, const pf_node_id *order, uint32_t count)
{
    pf_status st = PF_OK;

    pf_buf_printf(p->out, "%*sgraph", p->indent, "");
    print_name(p, p->graph->name);
    pf_buf_put_u8(p->out, '\n');
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        print_input(p, i);
    for (uint32_t i = 0; i < count && !st; i++)
        st = print_node(p, order[i]);
    print_constants_of(p, p->graph->outputs, p->graph->output_count);
    for (uint32_t i = 0; i < p->graph->output_count && !st; i++) {
        pf_buf_printf(p->out, "%*soutput %%%u", p->indent, "", p->numbers[p->graph->outputs[i]]);
        print_name(p, p->graph->output_names[i]);
        pf_buf_put_u8(p->out, '\n');
    }
    if (!st && p->out->failed)
        st = PF_FAIL(p->err, PF_NO_SPACE, "the text of a graph is too long");
    return st;
}

pf_status graph_print_body(const pf_graph *graph, bool with_names, int indent, pf_buf *out, pf_err *err)
{
    printer     p = { graph, with_names, indent, NULL, 0, out, err };
    pf_node_id *order = NULL;
    uint32_t    count = 0;
    pf_status   st = pf_graph_order(graph, &order, &count, err);

    if (st)
        return st;
    p.numbers = pf_alloc((graph->value_count + 1) * sizeof *p.numbers);
    if (p.numbers) {
        memset(p.numbers, 0xff, (graph->value_count + 1) * sizeof *p.numbers);
        st = print_graph(&p, order, count);
    } else
        st = PF_FAIL_MEMORY(err, graph->value_count * sizeof *p.numbers);
    pf_free(p.numbers);
    pf_free(order);
    return st;
}

pf_status pf_graph_print(const pf_graph *graph, bool with_names, pf_buf *out, pf_err *err)
{
    return graph_print_body(graph, with_names, 0, out, err);
}
