/* What the evaluation of pointwise ops and of moves at a point share. */
#ifndef PF_ENGINE_CUDA_CODEGEN_EXPR_H
#define PF_ENGINE_CUDA_CODEGEN_EXPR_H

#include "engine/cuda/codegen.h"
#include "engine/op.h"

/* codegen_context.c: the id of the array that holds the value at that point already; 0: none does. */
int32_t         cg_known(const cg_context *cg, pf_value_id value, const cg_point *point);

/* codegen_expr.c */
const char     *cg_lane_type(cg_type type);      /* "float": what the values of all lanes are held in */
/* Declares the array v<id>. */
void            cg_declare(cg_context *cg, int32_t id, cg_type type);
/* A float literal. 9 digits without a point or an exponent are an integer literal to C. */
void            cg_print_float(pf_buf *out, double value);
const pf_value *cg_input(const cg_context *cg, const pf_node *node, uint32_t i);
/* The point of an input of shape `in` when the output of a broadcasting op is at `point`: dims align at the end, sizes
   of 1 stay at 0. */
cg_point        cg_broadcast_point(const cg_point *point, const pf_shape *in);

/* codegen_memory.c: loads from p<pointer> at the first lane, whose neighbours the others are. */
int32_t         cg_load_at(cg_context *cg, int32_t pointer, pf_dtype dtype, const cg_point *point);

/* codegen_concat.c */
int32_t         cg_eval_concat(cg_context *cg, const pf_node *node, const cg_point *point);
/* v<id> = guard ? v<taken> : v<id>. */
void            cg_take_where(cg_context *cg, int32_t id, int32_t guard, int32_t taken);

/* codegen_resize.c: does every element only come several times in a row along each dim? */
bool            cg_resize_repeats(const pf_graph *graph, const pf_node *node);

/* codegen_move.c: ops whose value is one of their input's at another point, or follows from the point alone; pools are
   counted among them.  slot: the output that is wanted. */
bool            cg_is_move(pf_op_kind op);
int32_t         cg_eval_move(cg_context *cg, const pf_node *node, uint32_t slot, const cg_point *point);
/* Why the move cannot be evaluated, or NULL. */
const char     *cg_move_declines(const pf_graph *graph, const pf_node *node);

#endif
