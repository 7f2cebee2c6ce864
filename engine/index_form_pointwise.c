/* Forms of what pointwise ops compute: sums, products and comparisons of linear ones, and any function of choices. */
#include <string.h>

#include "engine/index_form_private.h"
#include "engine/ops/attrs.h"
#include "engine/ops/content.h"
#include "engine/ops/pointwise.h"

typedef struct operands {
    pf_op_kind          op;
    pf_index_form       form[3];
    const pf_shape     *shape[3];
    uint32_t            count;
    pf_pointwise_attrs  attrs;
} operands;

static bool multiply(const pf_index_reader *r, const operands *o, pf_index_form *out)
{
    static const pf_index_form zero = { 0 };

    for (int i = 0; i < 2; i++)
        if (!pf_index_form_has_coefs(&o->form[i]) && pf_dim_is_number(o->form[i].constant))
            return pf_index_form_mix(r, &o->form[1 - i], o->form[i].constant, &zero, 0, out);
    return false;
}

static bool add_linear(const pf_index_reader *r, const operands *o, pf_index_form *out)
{
    return pf_index_form_mix(r, &o->form[0], 1, &o->form[1], 1, out);
}
static bool sub_linear(const pf_index_reader *r, const operands *o, pf_index_form *out)
{
    return pf_index_form_mix(r, &o->form[0], 1, &o->form[1], -1, out);
}
static bool negate(const pf_index_reader *r, const operands *o, pf_index_form *out)
{
    return pf_index_form_mix(r, &o->form[0], -1, &o->form[0], 0, out);
}

/* first - second - more >= 0 */
static bool compare(const pf_index_reader *r, const operands *o, int first, int64_t more, pf_index_form *out)
{
    bool fine = pf_index_form_mix(r, &o->form[first], 1, &o->form[1 - first], -1, out);

    out->constant = pf_dim_sub(r->dims, out->constant, more);
    out->is_choice = true;
    out->yes = 1;
    return fine;
}

static bool less(const pf_index_reader *r, const operands *o, pf_index_form *out)
{
    return compare(r, o, 1, 1, out);
}
static bool less_equal(const pf_index_reader *r, const operands *o, pf_index_form *out)
{
    return compare(r, o, 1, 0, out);
}
static bool greater(const pf_index_reader *r, const operands *o, pf_index_form *out)
{
    return compare(r, o, 0, 1, out);
}
static bool greater_equal(const pf_index_reader *r, const operands *o, pf_index_form *out)
{
    return compare(r, o, 0, 0, out);
}

static bool equal(const pf_index_reader *r, const operands *o, pf_index_form *out)
{
    pf_index_form difference = { 0 };

    if (!pf_index_form_mix(r, &o->form[0], 1, &o->form[1], -1, &difference) || pf_index_form_has_coefs(&difference))
        return false;
    if (difference.constant != 0 && !pf_content_less(r->dims, 0, difference.constant) &&
        !pf_content_less(r->dims, difference.constant, 0))
        return false;
    *out = pf_index_form_same(difference.constant == 0);
    return true;
}

static const struct {
    pf_op_kind op;
    bool (*run)(const pf_index_reader *r, const operands *o, pf_index_form *out);
} linear_rows[] = {
    { PF_OP_ADD, add_linear },  { PF_OP_SUB, sub_linear },
    { PF_OP_MUL, multiply },    { PF_OP_NEG, negate },
    { PF_OP_LESS, less },       { PF_OP_LESS_EQUAL, less_equal },
    { PF_OP_GREATER, greater }, { PF_OP_GREATER_EQUAL, greater_equal },
    { PF_OP_EQUAL, equal },
};

static bool run_linear(const pf_index_reader *r, const operands *o, pf_index_form *out)
{
    for (uint32_t i = 0; i < o->count; i++)
        if (o->form[i].is_choice)
            return false;
    for (size_t i = 0; i < sizeof linear_rows / sizeof linear_rows[0]; i++)
        if (linear_rows[i].op == o->op)
            return linear_rows[i].run(r, o, out);
    return false;
}

static bool compute(const operands *o, const double *in, double *out)
{
    const pf_pointwise_row *row = pf_pointwise_row_of(o->op);
    int64_t                 integers[3] = { (int64_t)in[0], (int64_t)in[1], (int64_t)in[2] }, result = 0;

    if (row->rule == PF_RULE_INT)
        return false;
    if (row->rule != PF_RULE_LOGIC) {
        row->f64(&(pf_pointwise_f64){ out, &in[0], &in[1], &in[2], o->attrs.p, o->attrs.q, 1 });
        return true;
    }
    row->i64(&(pf_pointwise_i64){ &result, &integers[0], &integers[1], &integers[2], 1 });
    *out = (double)result;
    return true;
}

/* Both results of a function of choices by one test and of what is the same everywhere. */
static bool run_choice(const pf_index_reader *r, const operands *o, pf_index_form *out)
{
    double yes[3] = { 0 }, no[3] = { 0 };
    bool   has_test = false;

    *out = (pf_index_form){ .is_choice = true };
    for (uint32_t i = 0; i < o->count; i++) {
        const pf_index_form *form = &o->form[i];

        if (pf_index_form_uniform(r->dims, o->shape[i], form, &yes[i])) {
            no[i] = yes[i];
            continue;
        }
        if (!form->is_choice || (has_test && !pf_index_form_same_test(out, form)))
            return false;
        has_test = true;
        out->constant = form->constant;
        memcpy(out->coef, form->coef, sizeof out->coef);
        yes[i] = form->yes;
        no[i] = form->no;
    }
    return compute(o, yes, &out->yes) && compute(o, no, &out->no);
}

bool pf_index_form_read_pointwise(pf_index_reader *r, const pf_node *node, pf_index_form *out)
{
    operands o = { .op = node->op, .count = node->in_count };
    int32_t  rank = pf_index_value(r, node->out[0])->shape.rank;

    if (node->attrs)
        o.attrs = *(const pf_pointwise_attrs *)node->attrs;
    for (uint32_t i = 0; i < node->in_count; i++) {
        o.shape[i] = &pf_index_value(r, node->in[i])->shape;
        if (!pf_index_form_read(r, node->in[i], &o.form[i]))
            return false;
        pf_index_form_align(&o.form[i], o.shape[i]->rank, rank);
        o.shape[i] = &pf_index_value(r, node->out[0])->shape;
    }
    return run_linear(r, &o, out) || run_choice(r, &o, out);
}
