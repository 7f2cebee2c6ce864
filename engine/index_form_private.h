/* What the files that find forms share. */
#ifndef PF_ENGINE_INDEX_FORM_PRIVATE_H
#define PF_ENGINE_INDEX_FORM_PRIVATE_H

#include "engine/index_form.h"
#include "engine/op.h"

/* effort: values that may still be looked at. */
typedef struct pf_index_reader { const pf_graph *graph; pf_dims *dims; int effort; } pf_index_reader;

static inline const pf_value *pf_index_value(const pf_index_reader *r, pf_value_id id) { return &r->graph->values[id]; }
static inline pf_index_form pf_index_form_linear(pf_dim constant) { return (pf_index_form){ .constant = constant }; }
static inline pf_index_form pf_index_form_same(double value)
{
    return (pf_index_form){ .is_choice = true, .yes = value, .no = value };
}

/* index_form.c */
bool pf_index_form_has_coefs(const pf_index_form *form);
bool pf_index_form_same_test(const pf_index_form *a, const pf_index_form *b);
/* a * x + b * y, of linear forms; false when a number does not fit. */
bool pf_index_form_mix(const pf_index_reader *r, const pf_index_form *x, int64_t a, const pf_index_form *y, int64_t b,
                       pf_index_form *out);
/* From dims of a tensor of rank `from` to those of one of rank `to`, aligned at the end. */
void pf_index_form_align(pf_index_form *form, int32_t from, int32_t to);
/* False when no form is found; *out holds nothing of use then. So do all that read. */
bool pf_index_form_read(pf_index_reader *r, pf_value_id id, pf_index_form *out);

/* index_form_constant.c */
bool pf_index_form_read_constant(const pf_value *v, pf_index_form *out);
/* As pf_index_form_of_parts; the last dim is count. */
bool pf_index_form_read_constant_parts(const pf_value *v, int32_t count, pf_index_form *out);
/* Known elements that rise evenly. */
bool pf_index_form_read_content(const pf_index_reader *r, const pf_value *v, pf_index_form *out);

/* index_form_pointwise.c */
bool pf_index_form_read_pointwise(pf_index_reader *r, const pf_node *node, pf_index_form *out);

/* index_form_ops.c */
bool pf_index_form_read_op(pf_index_reader *r, const pf_node *node, pf_index_form *out);
/* As pf_index_form_of_parts. */
bool pf_index_form_read_parts(pf_index_reader *r, pf_value_id id, int32_t count, pf_index_form *out);

#endif
