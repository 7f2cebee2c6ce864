#include "engine/precision_choice.h"

#include <math.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/builder_noise.h"
#include "engine/op.h"
#include "engine/oracle.h"

enum { DRAWS = 3 };

/* Times what outputs may be off by.  Less when raised at all: the device adds up in another order, and other inputs may
   fare worse. */
#define RAISE_TO  0.5
#define NEAR      2
#define WORK_MOST 4.5e11        /* operations of a run for each draw: seconds on a server's cores */

/* The inputs tried, with the references' outputs; made when they are first needed, since the first often decide. */
typedef struct choosing {
    const pf_graph          *original, *rewritten;
    const int64_t           *bindings;
    const pf_precision_wish *wish;
    pf_oracle                oracles[DRAWS];
    uint32_t                 count;
    double                   limit;         /* of the error, now */
    uint32_t                 worst;         /* the draw that was too far off last: the next that is likely to be */
    pf_err                  *err;
} choosing;

/* ---- What a run takes */

static double elems_of(const choosing *c, pf_value_id value)
{
    const pf_shape *shape = &c->original->values[value].shape;
    double          elems = 1;

    for (int32_t d = 0; d < shape->rank; d++) {
        int64_t size = 1;

        if (pf_dim_eval(c->original->dims, shape->dim[d], c->bindings, &size, NULL) == PF_OK)
            elems *= (double)size;
    }
    return elems;
}

/* Terms of each sum. */
static double depth_of(const choosing *c, const pf_node *node)
{
    const pf_value *w = node->in_count > 1 && node->in[1] != PF_NONE ? &c->original->values[node->in[1]] : NULL;

    if (node->op == PF_OP_CONV && w->shape.rank > 0 && pf_dim_is_number(w->shape.dim[0]))
        return 2 * elems_of(c, node->in[1]) / (double)w->shape.dim[0];
    /* rows by depth, times depth by columns, over rows by columns */
    if (node->op == PF_OP_MATMUL || node->op == PF_OP_GEMM)
        return 2 * sqrt(elems_of(c, node->in[0]) * elems_of(c, node->in[1]) / fmax(elems_of(c, node->out[0]), 1));
    return 1;
}

static double work_of(const choosing *c)
{
    double work = 0;

    for (uint32_t n = 0; n < c->original->node_count; n++) {
        const pf_node *node = &c->original->nodes[n];

        if (node->live && node->out_count && node->out[0] != PF_NONE)
            work += elems_of(c, node->out[0]) * depth_of(c, node);
    }
    return work;
}

static uint32_t draws_for(const choosing *c)
{
    double affordable = WORK_MOST / fmax(work_of(c), 1);

    if (affordable >= DRAWS)
        return DRAWS;
    return affordable >= 1 ? (uint32_t)affordable : c->wish->must ? 1 : 0;
}

/* ---- How far off a lowered network is */

/* Of the float outputs; what is not finite in one alone is as far off as can be. */
static double error_of(const pf_tensor *test, const pf_tensor *reference)
{
    pf_difference difference = { 0 };

    if (reference->rank < 0 || !pf_dtype_is_float(reference->dtype))
        return 0;
    if (pf_tensor_compare(test, reference, &difference, NULL))
        return 0;
    return difference.nan_count || difference.inf_count ? INFINITY : difference.max_rel_range;
}

static pf_status try_draw(const choosing *c, const pf_graph *low, uint32_t draw, double *error)
{
    const pf_oracle *oracle = &c->oracles[draw];
    pf_tensor       *outputs = pf_calloc(oracle->out_count + 1, sizeof *outputs);
    pf_status        st = outputs ? PF_OK : PF_FAIL_MEMORY(c->err, oracle->out_count * sizeof *outputs);

    if (!st)
        st = pf_interpret(low, oracle->in, outputs, NULL, NULL, c->err);
    for (uint32_t i = 0; i < oracle->out_count && !st; i++)
        *error = fmax(*error, error_of(&outputs[i], &oracle->out[i]));
    for (uint32_t i = 0; outputs && i < oracle->out_count; i++)
        pf_tensor_clear(&outputs[i]);
    pf_free(outputs);
    return st;
}

static pf_status make_draw(choosing *c, uint32_t draw)
{
    return c->oracles[draw].in ? PF_OK : pf_oracle_of_draw(c->original, c->bindings, draw, &c->oracles[draw], c->err);
}

/* The largest error, or the first that is too large. */
static pf_status try_care(choosing *c, pf_precision_care care, double *error)
{
    pf_graph *low = pf_graph_copy(c->rewritten, c->err);
    pf_status st = low ? pf_precision_lower(low, c->wish->narrow, care, c->err) : PF_NO_SPACE;

    *error = 0;
    for (uint32_t i = 0; i < c->count && !st && *error <= c->limit; i++) {
        uint32_t draw = (c->worst + i) % c->count;

        st = make_draw(c, draw);
        if (!st)
            st = try_draw(c, low, draw, error);
        if (!st && *error > c->limit)
            c->worst = draw;
    }
    pf_graph_free(low);
    return st;
}

/* What roundings to TF32 do to one set of inputs. */
static pf_status shake_draw(const choosing *c, uint32_t draw, double *error)
{
    const pf_oracle *oracle = &c->oracles[draw];
    pf_noise        *noise = pf_calloc(oracle->out_count + 1, sizeof *noise);
    pf_status        st = noise ? PF_OK : PF_FAIL_MEMORY(c->err, oracle->out_count * sizeof *noise);

    if (!st)
        st = pf_builder_noise(c->rewritten, c->rewritten, PF_NUMERICS_TF32, oracle, noise, c->err);
    for (uint32_t i = 0; i < oracle->out_count && !st; i++)
        *error = fmax(*error, noise[i].most);
    pf_free(noise);
    return st;
}

/* ---- The choice */

static pf_status choose_tf32(choosing *c, pf_precision_care *care, double *error)
{
    pf_status st = PF_OK;

    *error = 0;
    for (uint32_t draw = 0; draw < c->count && !st && *error <= c->limit; draw++) {
        st = make_draw(c, draw);
        if (!st)
            st = shake_draw(c, draw, error);
    }
    if (!st && *error > c->limit)
        *care = PF_CARE_ALL;
    return st;
}

/* Care that does not help is not taken: errors of such networks come from where no precision helps, as decisions that a
   last bit turns.  Nor is care that leaves outputs far off: it would only take time. */
static bool is_worth_it(const choosing *c, double usual, double error)
{
    return error <= usual / 2 && error <= NEAR * c->wish->most_error;
}

static pf_status choose(choosing *c, pf_precision_care *care, double *error)
{
    double    usual = 0;
    pf_status st = try_care(c, PF_CARE_USUAL, &usual);

    *error = usual;
    if (!st && *error > c->limit)
        c->limit = RAISE_TO * c->wish->most_error;
    while (!st && *error > c->limit && *care < c->wish->most_care) {
        ++*care;
        st = try_care(c, *care, error);
        if (!st)
            pf_log(PF_LOG_DEBUG, "builder", "tried fp32=\"%s\" error=%.2g", pf_precision_care_name(*care), *error);
    }
    if (!st && *error > c->limit && !c->wish->must && !is_worth_it(c, usual, *error)) {
        *care = PF_CARE_USUAL;
        *error = usual;
    }
    return st;
}

pf_status pf_precision_choose(const pf_graph *original, const pf_graph *rewritten, const int64_t *bindings,
                              const pf_precision_wish *wish, pf_precision_care *care, double *error, pf_err *err)
{
    pf_err    why = { 0 };
    choosing  c = { original, rewritten, bindings, wish, .limit = wish->most_error, .err = &why };
    pf_status st = PF_OK;

    *care = PF_CARE_USUAL;
    *error = -1;
    c.count = draws_for(&c);
    if (c.count)
        st = wish->narrow == PF_DTYPE_NONE ? choose_tf32(&c, care, error) : choose(&c, care, error);
    for (uint32_t i = 0; i < DRAWS; i++)
        pf_oracle_clear(&c.oracles[i]);
    if (st == PF_NO_SPACE)
        return PF_FAIL(err, st, "%s", why.msg);
    if (st) {       /* inputs that have to mean something: the check at the end says so as well */
        pf_log(PF_LOG_INFO, "builder", "precision-not-tried reason=\"%s\"", why.msg);
        *care = PF_CARE_USUAL;
        *error = -1;
    }
    return PF_OK;
}
