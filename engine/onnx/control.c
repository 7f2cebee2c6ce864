#include <string.h>

#include "base/alloc.h"
#include "engine/onnx_import.h"
#include "engine/ops/attrs.h"

/* If, Loop and Scan. What their bodies capture comes behind the node's own inputs: see engine/graph.h. */

typedef struct operands { pf_value_id *at; uint32_t count, capacity; } operands;

static void push(pf_onnx_node *node, operands *list, pf_value_id value)
{
    if (pf_grow((void **)&list->at, &list->capacity, list->count + 1, sizeof *list->at))
        pf_onnx_fail(node, PF_NO_SPACE, "out of memory");
    else
        list->at[list->count++] = value;
}

static void push_captures(pf_onnx_node *node, operands *list, const pf_graph *body)
{
    for (uint32_t i = 0; body && i < body->capture_count; i++)
        push(node, list, body->captured[i]);
}

/* A condition that is known needs no branch. */
void pf_onnx_if(pf_onnx_node *node)
{
    pf_if_attrs attrs = { 0 };
    operands    in = { 0 };
    double      condition = 0;

    if (pf_onnx_constant_number(node, pf_onnx_in(node, 0), &condition)) {
        pf_onnx_inline_body(node, condition != 0 ? "then_branch" : "else_branch");
        return;
    }
    attrs.then_branch = pf_onnx_body(node, "then_branch", NULL, 0);
    attrs.else_branch = pf_onnx_body(node, "else_branch", NULL, 0);
    push(node, &in, pf_onnx_in(node, 0));
    push_captures(node, &in, attrs.then_branch);
    push_captures(node, &in, attrs.else_branch);
    pf_onnx_emit(node, PF_OP_IF, &attrs, in.count, in.at, node->out_count, node->out);
    pf_free(in.at);
}
