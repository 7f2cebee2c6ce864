#include "engine/onnx_scope.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"

/* Everything that the model needs and no row of onnx_ops.def offers, found before anything is built, so that one
   message says it all. */

enum { KEY_BYTES = 384, LIST_BYTES = 800 };

typedef struct missing {
    char        text[KEY_BYTES];        /* "Foo (ai.onnx opset 13)" */
    const char *first;                  /* name of the first node */
    uint32_t    count;
} missing;

typedef struct check {
    const pf_onnx_state             *state;
    pf_map                          *seen;          /* function index and missing key -> position in list */
    missing                         *list;
    uint32_t                         count, capacity;
    Onnx__OperatorSetIdProto *const *opsets;
    size_t                           opset_count;
    uint32_t                         depth;
} check;

static pf_status check_nodes(check *c, Onnx__NodeProto *const *nodes, size_t count, pf_err *err);

static pf_status add_missing(check *c, const Onnx__NodeProto *node, int64_t opset, pf_err *err)
{
    const char *domain = pf_onnx_domain_is_default(node->domain) ? "ai.onnx" : node->domain;
    missing m = { .count = 1, .first = node->name && *node->name ? node->name : node->n_output ? node->output[0] : "" };
    uint64_t    at = 0;

    if (opset)
        snprintf(m.text, sizeof m.text, "%.100s (%.100s opset %lld", node->op_type ? node->op_type : "?", domain,
                 (long long)opset);
    else
        snprintf(m.text, sizeof m.text, "%.100s (%.100s, of which no opset is imported",
                 node->op_type ? node->op_type : "?", domain);
    pf_err_note(err, PF_UNSUPPORTED, m.first, "%s) is not supported", m.text);
    if (pf_map_get(c->seen, m.text, &at)) {
        c->list[at].count++;
        return PF_OK;
    }
    if (pf_grow((void **)&c->list, &c->capacity, c->count + 1, sizeof *c->list) ||
        !pf_map_set(c->seen, m.text, c->count))
        return PF_FAIL_MEMORY(err, sizeof m);
    c->list[c->count++] = m;
    return PF_OK;
}

/* A function's body is looked at once. */
static pf_status check_function(check *c, const Onnx__FunctionProto *f, pf_err *err)
{
    check     outer = *c;
    char      key[32];
    uint64_t  there = 0;
    pf_status st = PF_OK;

    snprintf(key, sizeof key, "%p", (const void *)f);
    if (pf_map_get(c->seen, key, &there))
        return PF_OK;
    if (!pf_map_set(c->seen, key, 1))
        return PF_FAIL_MEMORY(err, sizeof key);
    if (++c->depth > PF_ONNX_CALL_DEPTH)
        return PF_FAIL(err, PF_INVALID, "functions call each other more than %d deep", PF_ONNX_CALL_DEPTH);
    c->opsets = f->opset_import;
    c->opset_count = f->n_opset_import;
    st = check_nodes(c, f->node, f->n_node, err);
    c->opsets = outer.opsets;
    c->opset_count = outer.opset_count;
    c->depth = outer.depth;
    return st;
}

static pf_status check_node(check *c, const Onnx__NodeProto *node, pf_err *err)
{
    const Onnx__FunctionProto *function = pf_onnx_function_find(c->state, node);
    const pf_onnx_scope        scope = { .opsets = c->opsets, .opset_count = c->opset_count };
    int64_t                    opset = pf_onnx_scope_opset(&scope, node->domain);
    pf_status                  st = PF_OK;

    if (function)
        st = check_function(c, function, err);
    else if (!pf_onnx_op_find(node->domain, node->op_type, opset))
        st = add_missing(c, node, opset, err);
    for (size_t i = 0; !st && i < node->n_attribute; i++) {
        const Onnx__AttributeProto *a = node->attribute[i];

        if (a->g)
            st = check_nodes(c, a->g->node, a->g->n_node, err);
        for (size_t k = 0; !st && k < a->n_graphs; k++)
            st = check_nodes(c, a->graphs[k]->node, a->graphs[k]->n_node, err);
    }
    return st;
}

static pf_status check_nodes(check *c, Onnx__NodeProto *const *nodes, size_t count, pf_err *err)
{
    pf_status st = PF_OK;

    for (size_t i = 0; !st && i < count; i++)
        st = check_node(c, nodes[i], err);
    return st;
}

static pf_status report(const check *c, pf_err *err)
{
    char   text[LIST_BYTES + 64];
    size_t used = 0;

    for (uint32_t i = 0; i < c->count; i++) {
        const missing *m = &c->list[i];
        char           item[KEY_BYTES + 128];
        int n = snprintf(item, sizeof item, "%s%s, %u node%s, first \"%.80s\")", i ? ", " : "", m->text, m->count,
                         m->count == 1 ? "" : "s", m->first);

        if (n < 0 || used + (size_t)n >= LIST_BYTES) {
            used += (size_t)snprintf(text + used, sizeof text - used, " and %u more", c->count - i);
            break;
        }
        memcpy(text + used, item, (size_t)n + 1);
        used += (size_t)n;
    }
    return PF_FAIL(err, PF_UNSUPPORTED, "the model needs %u operator%s that planfarm does not have: %s", c->count,
                   c->count == 1 ? "" : "s", text);
}

pf_status pf_onnx_check_supported(const pf_onnx_state *state, Onnx__OperatorSetIdProto *const *opsets,
                                  size_t opset_count, pf_err *err)
{
    const Onnx__ModelProto *model = state->model;
    check                   c = { .state = state, .opsets = opsets, .opset_count = opset_count };
    pf_status               st = PF_OK;

    c.seen = pf_map_new();
    if (!c.seen)
        return PF_FAIL_MEMORY(err, sizeof c);
    st = check_nodes(&c, model->graph->node, model->graph->n_node, err);
    if (!st && c.count)
        st = report(&c, err);
    pf_map_free(c.seen);
    pf_free(c.list);
    return st;
}
