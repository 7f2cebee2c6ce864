#include "engine/attr.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "engine/graph_private.h"
#include "engine/literal.h"

/* What one kind of field can do. */
typedef struct print_state { const pf_dims *dims; bool with_names; int indent; pf_buf *out; pf_err *err; } print_state;
typedef struct copy_state { pf_graph *to; const pf_graph *from; pf_err *err; } copy_state;

typedef struct kind_row {
    bool      (*is_default)(const void *field);
    pf_status (*print)(const print_state *state, const pf_attr_field *field, const void *value);
    pf_status (*parse)(pf_graph *graph, const pf_attr_field *field, const char **text, void *value, pf_err *err);
    bool      (*equal)(const void *a, const void *b);
    pf_status (*copy)(const copy_state *state, const void *value, void *out);
} kind_row;

static pf_status expect(const char **text, char wanted, pf_err *err)
{
    while (**text == ' ')
        (*text)++;
    if (**text != wanted)
        return PF_FAIL(err, PF_INVALID, "'%c' is needed before \"%.20s\"", wanted, *text);
    (*text)++;
    return PF_OK;
}

/* A name at *text: letters, digits, '_'. False when there is none or it is too long. */
static bool read_word(const char **text, char *out, size_t capacity)
{
    size_t length = 0;

    while (isalnum((unsigned char)(*text)[length]) || (*text)[length] == '_')
        length++;
    if (length == 0 || length >= capacity)
        return false;
    memcpy(out, *text, length);
    out[length] = 0;
    *text += length;
    return true;
}

/* The next item of a list at *text: 1 when there is one, 0 behind the last, with ']' taken. */
static pf_status next_item(const char **text, int32_t count, bool *more, pf_err *err)
{
    while (**text == ' ')
        (*text)++;
    *more = **text != ']';
    if (!*more) {
        (*text)++;
        return PF_OK;
    }
    if (count == PF_ATTR_LIST)
        return PF_FAIL(err, PF_INVALID, "a list has more than %d items", PF_ATTR_LIST);
    return count ? expect(text, ',', err) : PF_OK;
}

typedef pf_status read_item(pf_graph *graph, const char **text, void *item, pf_err *err);

static pf_status read_int(pf_graph *graph, const char **text, void *item, pf_err *err)
{
    (void)graph;
    return pf_literal_read_i64(text, item, err);
}

static pf_status read_dim(pf_graph *graph, const char **text, void *item, pf_err *err)
{
    return pf_dim_parse_prefix(graph->dims, text, item, err);
}

static pf_status read_float(pf_graph *graph, const char **text, void *item, pf_err *err)
{
    (void)graph;
    return pf_literal_read_double(text, item, err);
}

/* items has room for PF_ATTR_LIST. */
static pf_status read_list(pf_graph *graph, const char **text, int32_t *count, void *items, size_t item_bytes,
                           read_item *read, pf_err *err)
{
    bool      more = false;
    pf_status st = expect(text, '[', err);

    for (*count = 0; !st; ++*count) {
        st = next_item(text, *count, &more, err);
        if (st || !more)
            break;
        st = read(graph, text, (char *)items + (size_t)*count * item_bytes, err);
    }
    return st;
}

static bool int_is_default(const void *value) { return *(const int64_t *)value == 0; }
static bool int_equal(const void *a, const void *b) { return *(const int64_t *)a == *(const int64_t *)b; }

static pf_status int_print(const print_state *state, const pf_attr_field *field, const void *value)
{
    (void)field;
    pf_buf_printf(state->out, "%lld", (long long)*(const int64_t *)value);
    return PF_OK;
}

static pf_status int_parse(pf_graph *graph, const pf_attr_field *field, const char **text, void *value, pf_err *err)
{
    (void)graph, (void)field;
    return pf_literal_read_i64(text, value, err);
}

static pf_status int_copy(const copy_state *state, const void *value, void *out)
{
    (void)state;
    memcpy(out, value, sizeof(int64_t));
    return PF_OK;
}

/* NaN equals NaN here: the same bits are the same attribute. */
static bool double_same(double a, double b) { return memcmp(&a, &b, sizeof a) == 0; }
static bool float_is_default(const void *value) { return double_same(*(const double *)value, 0); }
static bool float_equal(const void *a, const void *b) { return double_same(*(const double *)a, *(const double *)b); }

static pf_status float_print(const print_state *state, const pf_attr_field *field, const void *value)
{
    (void)field;
    pf_literal_put_double(*(const double *)value, state->out);
    return PF_OK;
}

static pf_status float_parse(pf_graph *graph, const pf_attr_field *field, const char **text, void *value, pf_err *err)
{
    (void)graph, (void)field;
    return pf_literal_read_double(text, value, err);
}

static pf_status float_copy(const copy_state *state, const void *value, void *out)
{
    (void)state;
    memcpy(out, value, sizeof(double));
    return PF_OK;
}

static bool enum_is_default(const void *value) { return *(const int32_t *)value == 0; }
static bool enum_equal(const void *a, const void *b) { return *(const int32_t *)a == *(const int32_t *)b; }

static const char *enum_name(const pf_attr_field *field, int32_t value)
{
    for (int32_t i = 0; field->names && field->names[i]; i++)
        if (i == value)
            return field->names[i];
    return NULL;
}

static pf_status enum_print(const print_state *state, const pf_attr_field *field, const void *value)
{
    const char *name = enum_name(field, *(const int32_t *)value);

    if (!name)
        return PF_FAIL(state->err, PF_INVALID, "%s holds %d, which has no name", field->name, *(const int32_t *)value);
    pf_buf_printf(state->out, "%s", name);
    return PF_OK;
}

static pf_status enum_parse(pf_graph *graph, const pf_attr_field *field, const char **text, void *value, pf_err *err)
{
    char word[64] = "";

    (void)graph;
    if (!read_word(text, word, sizeof word))
        return PF_FAIL(err, PF_INVALID, "%s needs a word before \"%.20s\"", field->name, *text);
    for (int32_t i = 0; field->names && field->names[i]; i++)
        if (!strcmp(field->names[i], word)) {
            *(int32_t *)value = i;
            return PF_OK;
        }
    return PF_FAIL(err, PF_INVALID, "%s cannot be \"%s\"", field->name, word);
}

static pf_status enum_copy(const copy_state *state, const void *value, void *out)
{
    (void)state;
    memcpy(out, value, sizeof(int32_t));
    return PF_OK;
}

static pf_status dtype_print(const print_state *state, const pf_attr_field *field, const void *value)
{
    (void)field;
    pf_buf_printf(state->out, "%s", pf_dtype_name((pf_dtype)*(const int32_t *)value));
    return PF_OK;
}

static pf_status dtype_parse(pf_graph *graph, const pf_attr_field *field, const char **text, void *value, pf_err *err)
{
    char     word[64] = "";
    pf_dtype dtype = PF_DTYPE_NONE;

    (void)graph;
    if (read_word(text, word, sizeof word))
        dtype = pf_dtype_from_name(word);
    *(int32_t *)value = dtype;
    return dtype != PF_DTYPE_NONE ? PF_OK
                                  : PF_FAIL(err, PF_INVALID, "%s: \"%s\" is no element type", field->name, word);
}

static bool ints_is_default(const void *value) { return ((const pf_ints *)value)->count == 0; }

static bool ints_equal(const void *a, const void *b)
{
    const pf_ints *x = a, *y = b;

    return x->count == y->count && !memcmp(x->at, y->at, (size_t)x->count * sizeof x->at[0]);
}

static pf_status ints_print(const print_state *state, const pf_attr_field *field, const void *value)
{
    const pf_ints *list = value;

    (void)field;
    for (int32_t i = 0; i < list->count; i++)
        pf_buf_printf(state->out, "%c%lld", i ? ',' : '[', (long long)list->at[i]);
    pf_buf_put_u8(state->out, ']');
    return PF_OK;
}

static pf_status ints_parse(pf_graph *graph, const pf_attr_field *field, const char **text, void *value, pf_err *err)
{
    pf_ints *list = value;

    (void)field;
    return read_list(graph, text, &list->count, list->at, sizeof list->at[0], read_int, err);
}

static pf_status ints_copy(const copy_state *state, const void *value, void *out)
{
    (void)state;
    memcpy(out, value, sizeof(pf_ints));
    return PF_OK;
}

static bool dims_is_default(const void *value) { return ((const pf_dim_list *)value)->count == 0; }

static bool dims_equal(const void *a, const void *b)
{
    const pf_dim_list *x = a, *y = b;

    return x->count == y->count && !memcmp(x->at, y->at, (size_t)x->count * sizeof x->at[0]);
}

static pf_status dims_print(const print_state *state, const pf_attr_field *field, const void *value)
{
    const pf_dim_list *list = value;

    (void)field;
    for (int32_t i = 0; i < list->count; i++) {
        pf_buf_put_u8(state->out, i ? ',' : '[');
        pf_dim_print(state->dims, list->at[i], state->out);
    }
    pf_buf_put_u8(state->out, ']');
    return PF_OK;
}

static pf_status dims_parse(pf_graph *graph, const pf_attr_field *field, const char **text, void *value, pf_err *err)
{
    pf_dim_list *list = value;

    (void)field;
    return read_list(graph, text, &list->count, list->at, sizeof list->at[0], read_dim, err);
}

static pf_status dims_copy(const copy_state *state, const void *value, void *out)
{
    const pf_dim_list *list = value;
    pf_dim_list       *copy = out;

    *copy = *list;
    for (int32_t i = 0; i < list->count; i++) {
        copy->at[i] = pf_dim_translate(state->from->dims, list->at[i], state->to->dims);
        if (copy->at[i] == PF_DIM_INVALID && list->at[i] != PF_DIM_INVALID)
            return PF_FAIL(state->err, PF_NO_SPACE, "a dim cannot be copied: too many symbols, or no memory");
    }
    return PF_OK;
}

static bool floats_is_default(const void *value) { return ((const pf_floats *)value)->count == 0; }

static bool floats_equal(const void *a, const void *b)
{
    const pf_floats *x = a, *y = b;

    return x->count == y->count && !memcmp(x->at, y->at, (size_t)x->count * sizeof x->at[0]);
}

static pf_status floats_print(const print_state *state, const pf_attr_field *field, const void *value)
{
    const pf_floats *list = value;

    (void)field;
    for (int32_t i = 0; i < list->count; i++) {
        pf_buf_put_u8(state->out, i ? ',' : '[');
        pf_literal_put_double(list->at[i], state->out);
    }
    pf_buf_put_u8(state->out, ']');
    return PF_OK;
}

static pf_status floats_parse(pf_graph *graph, const pf_attr_field *field, const char **text, void *value, pf_err *err)
{
    pf_floats *list = value;

    (void)field;
    return read_list(graph, text, &list->count, list->at, sizeof list->at[0], read_float, err);
}

static pf_status floats_copy(const copy_state *state, const void *value, void *out)
{
    (void)state;
    memcpy(out, value, sizeof(pf_floats));
    return PF_OK;
}

static bool string_is_default(const void *value) { return *(const char *const *)value == NULL; }

static bool string_equal(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;

    return x == y || (x && y && !strcmp(x, y));
}

static pf_status string_print(const print_state *state, const pf_attr_field *field, const void *value)
{
    (void)field;
    pf_literal_put_string(*(const char *const *)value, state->out);
    return PF_OK;
}

static pf_status string_parse(pf_graph *graph, const pf_attr_field *field, const char **text, void *value, pf_err *err)
{
    char     *copy = NULL;
    pf_status st = pf_literal_read_string(graph->arena, text, &copy, err);

    (void)field;
    *(const char **)value = copy;
    return st;
}

static pf_status string_copy(const copy_state *state, const void *value, void *out)
{
    const char *text = *(const char *const *)value;
    char       *copy = text ? pf_arena_strdup(state->to->arena, text) : NULL;

    *(const char **)out = copy;
    return text && !copy ? PF_FAIL_MEMORY(state->err, strlen(text)) : PF_OK;
}

static bool graph_is_default(const void *value) { return *(pf_graph *const *)value == NULL; }

/* Bodies are equal when their texts are. */
static bool graph_equal(const void *a, const void *b)
{
    const pf_graph *x = *(pf_graph *const *)a, *y = *(pf_graph *const *)b;
    pf_buf          text_x, text_y;
    bool            equal = x == y;

    if (equal || !x || !y)
        return equal;
    pf_buf_init(&text_x, SIZE_MAX);
    pf_buf_init(&text_y, SIZE_MAX);
    if (!graph_print_body(x, false, 0, &text_x, NULL) && !graph_print_body(y, false, 0, &text_y, NULL))
        equal = text_x.size == text_y.size && !memcmp(text_x.data, text_y.data, text_x.size);
    pf_buf_clear(&text_x);
    pf_buf_clear(&text_y);
    return equal;
}

static pf_status graph_field_print(const print_state *state, const pf_attr_field *field, const void *value)
{
    pf_status st = PF_OK;

    (void)field;
    pf_buf_printf(state->out, "{\n");
    st = graph_print_body(*(pf_graph *const *)value, state->with_names, state->indent + 2, state->out, state->err);
    pf_buf_printf(state->out, "%*s}", state->indent, "");
    return st;
}

static pf_status graph_field_parse(pf_graph *graph, const pf_attr_field *field, const char **text, void *value,
                                   pf_err *err)
{
    pf_graph *body = NULL;
    pf_status st = expect(text, '{', err);

    (void)field;
    if (!st)
        st = graph_parse_body(graph, text, &body, err);
    *(pf_graph **)value = body;
    return st ? st : expect(text, '}', err);
}

static pf_status graph_field_copy(const copy_state *state, const void *value, void *out)
{
    const pf_graph *body = *(pf_graph *const *)value;
    pf_graph       *copy = NULL;
    pf_status       st = body ? graph_copy_into(body, state->to, &copy, state->err) : PF_OK;

    *(pf_graph **)out = copy;
    return st;
}

static const kind_row kinds[] = {
    [PF_ATTR_INT] = { int_is_default, int_print, int_parse, int_equal, int_copy },
    [PF_ATTR_FLOAT] = { float_is_default, float_print, float_parse, float_equal, float_copy },
    [PF_ATTR_ENUM] = { enum_is_default, enum_print, enum_parse, enum_equal, enum_copy },
    [PF_ATTR_DTYPE] = { enum_is_default, dtype_print, dtype_parse, enum_equal, enum_copy },
    [PF_ATTR_INTS] = { ints_is_default, ints_print, ints_parse, ints_equal, ints_copy },
    [PF_ATTR_DIMS] = { dims_is_default, dims_print, dims_parse, dims_equal, dims_copy },
    [PF_ATTR_FLOATS] = { floats_is_default, floats_print, floats_parse, floats_equal, floats_copy },
    [PF_ATTR_STRING] = { string_is_default, string_print, string_parse, string_equal, string_copy },
    [PF_ATTR_GRAPH] = { graph_is_default, graph_field_print, graph_field_parse, graph_equal, graph_field_copy },
};

static const void *field_at(const pf_attr_field *field, const void *attrs)
{
    return (const char *)attrs + field->offset;
}

pf_status graph_print_attrs(const pf_dims *dims, const pf_op_def *def, const void *attrs, bool with_names, int indent,
                            pf_buf *out, pf_err *err)
{
    print_state state = { dims, with_names, indent, out, err };

    for (const pf_attr_field *field = def->attr_fields; field && field->name; field++) {
        pf_status st = PF_OK;

        if (kinds[field->kind].is_default(field_at(field, attrs)))
            continue;
        pf_buf_printf(out, " %s=", field->name);
        st = kinds[field->kind].print(&state, field, field_at(field, attrs));
        if (st)
            return st;
    }
    return PF_OK;
}

void pf_attrs_print(const pf_dims *dims, const pf_op_def *def, const void *attrs, pf_buf *out)
{
    if (graph_print_attrs(dims, def, attrs, false, 0, out, NULL))
        out->failed = true;
}

static const pf_attr_field *find_field(const pf_op_def *def, const char *name)
{
    for (const pf_attr_field *field = def->attr_fields; field && field->name; field++)
        if (!strcmp(field->name, name))
            return field;
    return NULL;
}

pf_status pf_attrs_parse(pf_graph *graph, const pf_op_def *def, const char **text, void *attrs, pf_err *err)
{
    for (;;) {
        const pf_attr_field *field = NULL;
        char                 word[64] = "";
        pf_status            st = PF_OK;

        while (**text == ' ')
            (*text)++;
        if (!read_word(text, word, sizeof word))
            return PF_OK;
        field = find_field(def, word);
        if (!field)
            return PF_FAIL(err, PF_INVALID, "%s has no attribute \"%s\"", def->name, word);
        st = expect(text, '=', err);
        if (!st)
            st = kinds[field->kind].parse(graph, field, text, (char *)attrs + field->offset, err);
        if (st)
            return pf_err_add(err, st, "%s of %s", field->name, def->name);
    }
}

bool pf_attrs_equal(const pf_op_def *def, const void *a, const void *b)
{
    for (const pf_attr_field *field = def->attr_fields; field && field->name; field++)
        if (!kinds[field->kind].equal(field_at(field, a), field_at(field, b)))
            return false;
    return true;
}

pf_status pf_attrs_copy(pf_graph *to, const pf_graph *from, const pf_op_def *def, const void *attrs, void *out,
                        pf_err *err)
{
    copy_state state = { to, from, err };

    if (def->attr_bytes)
        memset(out, 0, def->attr_bytes);
    for (const pf_attr_field *field = def->attr_fields; field && field->name; field++) {
        pf_status st = kinds[field->kind].copy(&state, field_at(field, attrs), (char *)out + field->offset);

        if (st)
            return st;
    }
    return PF_OK;
}

pf_status graph_take_attrs(pf_graph *graph, const pf_op_def *def, const void *attrs, void *out, pf_err *err)
{
    copy_state state = { graph, graph, err };

    memcpy(out, attrs, def->attr_bytes);
    for (const pf_attr_field *field = def->attr_fields; field && field->name; field++) {
        pf_status st = field->kind == PF_ATTR_STRING
                           ? string_copy(&state, field_at(field, attrs), (char *)out + field->offset)
                           : PF_OK;

        if (st)
            return st;
    }
    return PF_OK;
}

uint32_t graph_bodies(const pf_op_def *def, const void *attrs, pf_graph *bodies[GRAPH_BODY_LIMIT])
{
    uint32_t count = 0;

    for (const pf_attr_field *field = def->attr_fields; field && field->name && count < GRAPH_BODY_LIMIT; field++)
        if (field->kind == PF_ATTR_GRAPH)
            bodies[count++] = *(pf_graph *const *)field_at(field, attrs);
    return count;
}
