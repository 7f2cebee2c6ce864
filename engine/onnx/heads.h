/* Heads of attention: between [batch, seq, heads * size] and [batch, heads, seq, size]. */
#ifndef PF_ENGINE_ONNX_HEADS_H
#define PF_ENGINE_ONNX_HEADS_H

#include "engine/onnx_import.h"

/* `what` names the attribute that says how many heads there are. */
pf_value_id pf_onnx_split_heads(pf_onnx_node *node, pf_value_id x, const char *what);
pf_value_id pf_onnx_join_heads(pf_onnx_node *node, pf_value_id x);
/* [batch, seq, heads, size] to [batch, heads, seq, size] and back. */
pf_value_id pf_onnx_swap_heads(pf_onnx_node *node, pf_value_id x);
/* past and x joined along seq; x when past is PF_NONE. */
pf_value_id pf_onnx_append_past(pf_onnx_node *node, pf_value_id past, pf_value_id x);

#endif
