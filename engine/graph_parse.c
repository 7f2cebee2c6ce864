/* The text of graphs, read. */
#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "engine/graph_private.h"
#include "engine/literal.h"

enum { WORD_LIMIT = 256, NODE_INPUT_LIMIT = 4096, NODE_OUTPUT_LIMIT = 256, BODY_DEPTH_LIMIT = 16 };

typedef struct parser {
    pf_graph   *graph;
    pf_map     *values;         /* "%x" without the sign -> id */
    const char *at;
    pf_err     *err;
} parser;

/* What stands in front of '=': the names of a node's outputs. */
typedef struct results {
    uint32_t    count;
    char        word[NODE_OUTPUT_LIMIT][WORD_LIMIT];
    const char *name[NODE_OUTPUT_LIMIT];
} results;

static void skip_blanks(parser *p)
{
    while (*p->at == ' ' || *p->at == '\t')
        p->at++;
}

static void skip_lines(parser *p)
{
    while (isspace((unsigned char)*p->at) || *p->at == '#') {
        if (*p->at == '#')
            while (*p->at && *p->at != '\n')
                p->at++;
        else
            p->at++;
    }
}

static pf_status expect(parser *p, char wanted)
{
    skip_blanks(p);
    if (*p->at != wanted)
        return PF_FAIL(p->err, PF_INVALID, "'%c' is needed before \"%.30s\"", wanted, p->at);
    p->at++;
    return PF_OK;
}

static bool accept(parser *p, char wanted)
{
    skip_blanks(p);
    if (*p->at != wanted)
        return false;
    p->at++;
    return true;
}

static pf_status read_word(parser *p, char out[WORD_LIMIT])
{
    size_t length = 0;

    skip_blanks(p);
    while (isalnum((unsigned char)*p->at) || *p->at == '_' || *p->at == '.') {
        if (length + 1 == WORD_LIMIT)
            return PF_FAIL(p->err, PF_INVALID, "a word is longer than %d bytes", WORD_LIMIT - 1);
        out[length++] = *p->at++;
    }
    out[length] = 0;
    return length ? PF_OK : PF_FAIL(p->err, PF_INVALID, "a word is needed before \"%.30s\"", p->at);
}

static bool accept_word(parser *p, const char *word)
{
    size_t length = strlen(word);

    skip_blanks(p);
    if (strncmp(p->at, word, length) || isalnum((unsigned char)p->at[length]) || p->at[length] == '_')
        return false;
    p->at += length;
    return true;
}

/* The quoted name at this place, or "". */
static pf_status read_name(parser *p, const char **out)
{
    char     *text = NULL;
    pf_status st = PF_OK;

    *out = "";
    skip_blanks(p);
    if (*p->at != '"')
        return PF_OK;
    st = pf_literal_read_string(p->graph->arena, &p->at, &text, p->err);
    if (!st)
        *out = text;
    return st;
}

static pf_status read_reference(parser *p, pf_value_id *out)
{
    char      word[WORD_LIMIT] = "";
    uint64_t  id = 0;
    pf_status st = expect(p, '%');

    *out = PF_NONE;
    if (!st)
        st = read_word(p, word);
    if (!st && !pf_map_get(p->values, word, &id))
        st = PF_FAIL(p->err, PF_INVALID, "%%%s is used before it is made", word);
    if (!st)
        *out = (pf_value_id)id;
    return st;
}

/* A word that is no number is the value's name, unless another one was given. */
static pf_status name_value(parser *p, const char *word, const char *name, pf_value_id id)
{
    uint64_t unused = 0;

    if (pf_map_get(p->values, word, &unused))
        return PF_FAIL(p->err, PF_INVALID, "%%%s is made twice", word);
    if (!pf_map_set(p->values, word, id))
        return PF_FAIL_MEMORY(p->err, strlen(word));
    p->graph->values[id].name = name[0] || isdigit((unsigned char)word[0]) ? name : graph_copy_name(p->graph, word);
    return p->graph->values[id].name ? PF_OK : PF_FAIL_MEMORY(p->err, strlen(word));
}

/* "%4:2": the numbers from there on. */
static pf_status read_counted(parser *p, results *r)
{
    int64_t     count = 0;
    uint64_t    first = 0;
    const char *digits = r->word[0];
    pf_buf      text;
    pf_status   st = pf_literal_read_i64(&p->at, &count, p->err);

    if (!st)
        st = pf_literal_read_u64(&digits, &first, p->err);
    if (!st && (count < 1 || count > NODE_OUTPUT_LIMIT))
        st = PF_FAIL(p->err, PF_INVALID, "a node has 1 to %d outputs, not %lld", NODE_OUTPUT_LIMIT, (long long)count);
    for (uint32_t i = 0; i < (uint64_t)count && !st; i++) {
        pf_buf_init(&text, WORD_LIMIT - 1);
        pf_buf_printf(&text, "%llu", (unsigned long long)(first + i));
        if (text.failed)
            st = PF_FAIL_MEMORY(p->err, WORD_LIMIT);
        else
            memcpy(r->word[i], text.data, text.size + 1);
        r->name[i] = "";
        r->count = i + 1;
        pf_buf_clear(&text);
    }
    return st;
}

static pf_status read_results(parser *p, results *r)
{
    pf_status st = PF_OK;

    do {
        if (r->count == NODE_OUTPUT_LIMIT)
            return PF_FAIL(p->err, PF_INVALID, "a node has more than %d outputs", NODE_OUTPUT_LIMIT);
        st = expect(p, '%');
        if (!st)
            st = read_word(p, r->word[r->count]);
        if (!st && r->count == 0 && accept(p, ':'))
            return read_counted(p, r);
        if (!st)
            st = read_name(p, &r->name[r->count++]);
    } while (!st && accept(p, ','));
    return st;
}

static pf_status read_type(parser *p, pf_value_kind *kind, pf_dtype *dtype, pf_shape *shape)
{
    char      word[WORD_LIMIT] = "";
    bool      wrapped = true;
    pf_status st = PF_OK;

    *kind = accept_word(p, "sequence")   ? PF_VALUE_SEQUENCE
            : accept_word(p, "optional") ? PF_VALUE_OPTIONAL
                                         : PF_VALUE_TENSOR;
    wrapped = *kind != PF_VALUE_TENSOR;
    if (wrapped)
        st = expect(p, '(');
    if (!st)
        st = read_word(p, word);
    if (!st && wrapped)
        st = expect(p, ')');
    if (st)
        return st;
    *dtype = pf_dtype_from_name(word);
    if (*dtype == PF_DTYPE_NONE)
        return PF_FAIL(p->err, PF_INVALID, "\"%s\" is no element type", word);
    skip_blanks(p);
    return pf_shape_parse_prefix(p->graph->dims, &p->at, shape, p->err);
}

static pf_status read_input(parser *p, const results *r, bool captured)
{
    pf_value_kind kind = PF_VALUE_TENSOR;
    pf_dtype      dtype = PF_DTYPE_NONE;
    pf_shape      shape = { 0 };
    const char   *name = "";
    pf_value_id   id = PF_NONE;
    pf_status     st = read_type(p, &kind, &dtype, &shape);

    if (!st)
        st = read_name(p, &name);
    if (!st)
        st = captured ? graph_add_captured(p->graph, dtype, &shape, &id, p->err)
                      : pf_graph_add_input(p->graph, "", dtype, &shape, &id, p->err);
    if (st)
        return st;
    p->graph->values[id].kind = kind;
    return name_value(p, r->word[0], name, id);
}

static pf_status read_element(parser *p, pf_dtype dtype, void *data, uint64_t i)
{
    pf_dtype_kind kind = pf_dtype_kind_of(dtype);
    double        real = 0;
    int64_t       whole = 0;
    pf_status     st = PF_OK;

    skip_blanks(p);
    if (kind == PF_KIND_STRING)
        return pf_literal_read_string(p->graph->arena, &p->at, &((char **)data)[i], p->err);
    if (dtype == PF_U64)
        return pf_literal_read_u64(&p->at, &((uint64_t *)data)[i], p->err);
    if (kind == PF_KIND_FLOAT) {
        st = pf_literal_read_double(&p->at, &real, p->err);
        pf_dtype_set(dtype, data, i, real);
    } else {
        st = pf_literal_read_i64(&p->at, &whole, p->err);
        pf_dtype_set_i64(dtype, data, i, whole);
    }
    return st;
}

static pf_status read_elements(parser *p, const pf_tensor *tensor, void *data)
{
    int64_t   elems = pf_tensor_elems(tensor);
    pf_status st = PF_OK;

    for (int64_t i = 0; i < elems && !st; i++) {
        st = i ? expect(p, ',') : PF_OK;
        if (!st)
            st = read_element(p, tensor->dtype, data, (uint64_t)i);
    }
    return st ? st : expect(p, '}');
}

static pf_status read_clear_constant(parser *p, pf_dtype dtype, const pf_shape *shape, pf_value_id *id)
{
    pf_tensor tensor = { .dtype = dtype, .rank = shape->rank };
    void     *data = NULL;
    pf_status st = PF_OK;

    if (!pf_shape_is_static(shape))
        return PF_FAIL(p->err, PF_INVALID, "a constant has a shape that is not all numbers");
    memcpy(tensor.dim, shape->dim, sizeof tensor.dim);
    st = pf_tensor_measure(&tensor, p->err);
    if (!st && tensor.bytes > strlen(p->at) * 16)       /* each element takes a character at least */
        st = PF_FAIL(p->err, PF_INVALID, "a constant has fewer elements than its shape says");
    if (st)
        return st;
    data = pf_arena_alloc(p->graph->arena, tensor.bytes + 16);
    if (!data)
        return PF_FAIL_MEMORY(p->err, tensor.bytes);
    st = read_elements(p, &tensor, data);
    return st ? st : pf_graph_add_constant(p->graph, "", dtype, shape, data, tensor.bytes, id, p->err);
}

/* "sha256:<64 digits>" */
static pf_status read_digest(parser *p, pf_digest *digest)
{
    char   hex[PF_DIGEST_HEX_BYTES] = "";
    size_t length = 0;

    skip_blanks(p);
    if (!strncmp(p->at, "sha256:", 7)) {
        length = strcspn(p->at + 7, " \t\r\n");
        memcpy(hex, p->at + 7, length < sizeof hex ? length : 0);
    }
    if (!pf_digest_from_hex(hex, digest))
        return PF_FAIL(p->err, PF_INVALID, "a constant has neither elements nor a digest before \"%.30s\"", p->at);
    p->at += 7 + length;
    return PF_OK;
}

static pf_status read_stored_constant(parser *p, pf_dtype dtype, const pf_shape *shape, pf_value_id *id)
{
    const pf_constant_source *constants = p->graph->private_->constants;
    pf_tensor                 tensor = { .dtype = dtype, .rank = shape->rank };
    pf_digest                 digest = { { 0 } };
    const void               *data = NULL;
    pf_status                 st = read_digest(p, &digest);

    if (!st && !pf_shape_is_static(shape))
        st = PF_FAIL(p->err, PF_INVALID, "a constant has a shape that is not all numbers");
    if (!st) {
        memcpy(tensor.dim, shape->dim, sizeof tensor.dim);
        st = pf_tensor_measure(&tensor, p->err);
    }
    if (st)
        return st;
    data = dtype == PF_STRING ? NULL : constants->find(constants->user, &digest, tensor.bytes);
    if (!data)
        return PF_FAIL(p->err, PF_INVALID, "a constant of %zu bytes is not among those given", tensor.bytes);
    return pf_graph_add_constant(p->graph, "", dtype, shape, data, tensor.bytes, id, p->err);
}

static pf_status read_constant(parser *p, const results *r)
{
    pf_value_kind kind = PF_VALUE_TENSOR;
    pf_dtype      dtype = PF_DTYPE_NONE;
    pf_shape      shape = { 0 };
    const char   *name = "";
    pf_value_id   id = PF_NONE;
    pf_status     st = read_type(p, &kind, &dtype, &shape);

    if (!st && accept(p, '{'))
        st = read_clear_constant(p, dtype, &shape, &id);
    else if (!st && p->graph->private_->constants)
        st = read_stored_constant(p, dtype, &shape, &id);
    else if (!st) {
        skip_blanks(p);
        while (*p->at && !isspace((unsigned char)*p->at))       /* the digest says what it was, not what it held */
            p->at++;
        st = pf_graph_add_input(p->graph, "", dtype, &shape, &id, p->err);
    }
    if (!st)
        st = read_name(p, &name);
    return st ? st : name_value(p, r->word[0], name, id);
}

typedef struct id_list { pf_value_id *at; uint32_t count, capacity; } id_list;

static pf_status read_arguments(parser *p, id_list *list)
{
    pf_status st = expect(p, '(');

    while (!st && !accept(p, ')')) {
        if (list->count)
            st = expect(p, ',');
        if (!st && (list->count == NODE_INPUT_LIMIT ||
                    pf_grow((void **)&list->at, &list->capacity, list->count + 1, sizeof *list->at)))
            st = PF_FAIL(p->err, PF_NO_SPACE, "a node has more than %d inputs", NODE_INPUT_LIMIT);
        if (st)
            break;
        list->at[list->count] = PF_NONE;
        if (!accept(p, '_'))
            st = read_reference(p, &list->at[list->count]);
        list->count++;
    }
    return st;
}

/* finds=[a,b]: the names of the sizes that the node finds out. */
static pf_status read_sizes(parser *p)
{
    pf_dims_scope *expected = &p->graph->private_->expected;
    char           word[WORD_LIMIT] = "";
    pf_status      st = PF_OK;

    if (!accept_word(p, "finds"))
        return PF_OK;
    st = expect(p, '=');
    if (!st)
        st = expect(p, '[');
    while (!st) {
        int64_t least = 0, most = 0;
        pf_dim  size = PF_DIM_INVALID;

        st = read_word(p, word);
        size = st ? PF_DIM_INVALID : pf_dims_symbol(p->graph->dims, word);
        if (!st && (size == PF_DIM_INVALID || pf_grow((void **)&expected->symbols, &expected->capacity,
                                                      expected->count + 1, sizeof *expected->symbols)))
            st = PF_FAIL(p->err, PF_NO_SPACE, "there is no room for the size \"%s\"", word);
        if (!st)
            st = pf_dim_range(p->graph->dims, size, NULL, NULL, &least, &most, p->err);
        if (st)
            return st;
        expected->symbols[expected->count++] = pf_dims_symbol_index(p->graph->dims, word);
        pf_dims_bound(p->graph->dims, pf_dims_symbol_index(p->graph->dims, word), 0, most);
        if (!accept(p, ','))
            return expect(p, ']');
    }
    return st;
}

static pf_status read_node(parser *p, const results *r)
{
    char             word[WORD_LIMIT] = "";
    pf_op_kind       op = PF_OP_NONE;
    const pf_op_def *def = NULL;
    id_list          in = { NULL, 0, 0 };
    pf_value_id      out[NODE_OUTPUT_LIMIT];
    const char      *name = "";
    void            *attrs = NULL;
    pf_status        st = read_word(p, word);

    if (st)
        return st;
    op = pf_op_from_name(word);
    if (op == PF_OP_NONE)
        return PF_FAIL(p->err, PF_INVALID, "\"%s\" is no op", word);
    def = pf_op_def_of(op);
    attrs = pf_calloc(1, def->attr_bytes + 1);
    st = attrs ? read_arguments(p, &in) : PF_FAIL_MEMORY(p->err, def->attr_bytes);
    if (!st)
        st = read_sizes(p);
    if (!st)
        st = pf_attrs_parse(p->graph, def, &p->at, attrs, p->err);
    if (!st)
        st = read_name(p, &name);
    if (!st)
        st = pf_graph_add_node(p->graph, op, name, in.at, in.count, attrs, r->count, out, p->err);
    for (uint32_t i = 0; i < r->count && !st; i++)
        st = name_value(p, r->word[i], r->name[i], out[i]);
    pf_free(attrs);
    pf_free(in.at);
    return st;
}

static pf_status read_definition(parser *p)
{
    results  *r = pf_calloc(1, sizeof *r);
    pf_status st = r ? read_results(p, r) : PF_FAIL_MEMORY(p->err, sizeof *r);

    if (!st)
        st = expect(p, '=');
    if (!st) {
        if (accept_word(p, "input"))
            st = read_input(p, r, false);
        else if (accept_word(p, "capture"))
            st = read_input(p, r, true);
        else if (accept_word(p, "constant"))
            st = read_constant(p, r);
        else
            st = read_node(p, r);
    }
    pf_free(r);
    return st;
}

static pf_status read_output(parser *p)
{
    pf_value_id id = PF_NONE;
    const char *name = "";
    pf_status   st = read_reference(p, &id);

    if (!st)
        st = read_name(p, &name);
    return st ? st : pf_graph_add_output(p->graph, id, name[0] ? name : NULL, p->err);
}

static pf_status read_lines(parser *p)
{
    for (skip_lines(p); *p->at && *p->at != '}'; skip_lines(p)) {
        pf_status st = accept_word(p, "output") ? read_output(p) : read_definition(p);

        if (st)
            return st;
        skip_blanks(p);
        if (*p->at && *p->at != '\n' && *p->at != '\r' && *p->at != '}' && *p->at != '#')
            return PF_FAIL(p->err, PF_INVALID, "a line has more behind its end: \"%.30s\"", p->at);
    }
    return PF_OK;
}

static pf_status read_graph_name(parser *p)
{
    const char *name = "";
    pf_status   st = PF_OK;

    skip_lines(p);
    if (!accept_word(p, "graph"))
        return PF_FAIL(p->err, PF_INVALID, "the text of a graph begins with \"graph\", not with \"%.30s\"", p->at);
    st = read_name(p, &name);
    if (!st)
        p->graph->name = name;
    return st;
}

static int depth_of(const pf_graph *outer)
{
    int depth = 0;

    for (; outer; outer = outer->outer)
        depth++;
    return depth;
}

static int line_of(const char *text, const char *at)
{
    int line = 1;

    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

static pf_status parse_graph(pf_graph *outer, const pf_constant_source *constants, const char **text, pf_graph **out,
                             pf_err *err)
{
    parser    p = { NULL, NULL, *text, err };
    pf_status st = PF_OK;

    *out = NULL;
    if (depth_of(outer) >= BODY_DEPTH_LIMIT)
        return PF_FAIL(err, PF_INVALID, "bodies are nested deeper than %d", BODY_DEPTH_LIMIT);
    p.graph = pf_graph_new("", outer);
    p.values = pf_map_new();
    if (!p.graph || !p.values)
        st = PF_FAIL_MEMORY(err, sizeof *p.graph);
    else
        p.graph->private_->constants = constants;
    if (!st)
        st = read_graph_name(&p);
    if (!st)
        st = read_lines(&p);
    pf_map_free(p.values);
    if (st) {
        st = pf_err_add(err, st, "line %d of the text of a graph", line_of(*text, p.at));
        pf_graph_free(p.graph);
        return st;
    }
    *text = p.at;
    *out = p.graph;
    p.graph->private_->constants = NULL;
    return PF_OK;
}

/* A body is read while the graph that holds it is, and finds its constants where that one does. */
pf_status graph_parse_body(pf_graph *outer, const char **text, pf_graph **out, pf_err *err)
{
    return parse_graph(outer, outer ? outer->private_->constants : NULL, text, out, err);
}

pf_status pf_graph_parse(const char *text, pf_graph **out, pf_err *err)
{
    return pf_graph_parse_with(text, NULL, out, err);
}

pf_status pf_graph_parse_with(const char *text, const pf_constant_source *constants, pf_graph **out, pf_err *err)
{
    const char *at = text;
    pf_status   st = parse_graph(NULL, constants, &at, out, err);

    if (!st && *at) {
        st = PF_FAIL(err, PF_INVALID, "line %d of the text of a graph has a '}' too many", line_of(text, at));
        pf_graph_free(*out);
        *out = NULL;
    }
    return st;
}
