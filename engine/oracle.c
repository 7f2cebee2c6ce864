#include "engine/oracle.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/go_on.h"
#include "engine/op.h"
#include "engine/ops/rows.h"

/* What is tried, one after the other. */
typedef struct draw { bool positive; int64_t int_limit; } draw;
enum { SEQUENCE_ITEMS = 3, SEED_SHIFT = 16 /* inputs take seeds one after the other */ };
static const draw draws[] = { { false, 100 }, { true, 2 }, { true, 1 } };

void pf_oracle_semantics(const pf_problem *problem, pf_digest *out)
{
    const char *graph = strchr(problem->text, '\n');

    pf_digest_of(graph ? graph : problem->text, strlen(graph ? graph : problem->text), out);
}

static void limit_integers(pf_tensor *tensor, int64_t limit)
{
    for (int64_t i = 0, count = pf_tensor_elems(tensor); i < count; i++)
        pf_dtype_set_i64(tensor->dtype, tensor->data, (uint64_t)i,
                         pf_dtype_get_i64(tensor->dtype, tensor->data, (uint64_t)i) % limit);
}

static void make_positive(pf_tensor *tensor)
{
    for (int64_t i = 0, count = pf_tensor_elems(tensor); i < count; i++)
        pf_dtype_set(tensor->dtype, tensor->data, (uint64_t)i,
                     fabs(pf_dtype_get(tensor->dtype, tensor->data, (uint64_t)i)));
}

static void restrain(pf_tensor *tensor, const char *name, const draw *d)
{
    bool is_flag = name && (strstr(name, "mask") || strstr(name, "type"));

    if (pf_dtype_is_integer(tensor->dtype) && (d->int_limit < 100 || is_flag))
        limit_integers(tensor, is_flag && d->int_limit > 2 ? 2 : d->int_limit);
    if (pf_dtype_is_float(tensor->dtype) && d->positive)
        make_positive(tensor);
}

static pf_status fill_tensor(pf_tensor *tensor, const char *name, const draw *d, uint64_t seed, pf_err *err)
{
    pf_status st = pf_tensor_alloc(tensor, err);

    if (st)
        return st;
    pf_tensor_fill_random(tensor, seed);
    restrain(tensor, name, d);
    return PF_OK;
}

/* A few tensors for a sequence, one for an optional; dims that nothing says are 2. */
static pf_status fill_items(const pf_value *value, const draw *d, uint64_t seed, pf_tensor *out, pf_err *err)
{
    int64_t   count = value->kind == PF_VALUE_OPTIONAL ? 1 : SEQUENCE_ITEMS;
    pf_status st = PF_OK;

    *out = (pf_tensor){ .dtype = value->dtype, .rank = -1, .owned = true };
    out->items = pf_calloc((size_t)count, sizeof *out->items);
    if (!out->items)
        return PF_FAIL_MEMORY(err, (size_t)count * sizeof *out->items);
    for (out->item_count = 0; out->item_count < count && !st;) {
        pf_tensor *item = &out->items[out->item_count];

        item->dtype = value->dtype;
        item->rank = value->shape.rank < 0 ? 1 : value->shape.rank;
        for (int32_t k = 0; k < item->rank; k++)
            item->dim[k] = value->shape.rank >= 0 && pf_dim_is_number(value->shape.dim[k]) ? value->shape.dim[k] : 2;
        st = fill_tensor(item, value->name, d, seed + (uint64_t)out->item_count, err);
        out->item_count += !st;
    }
    return st;
}

/* Recurrent nets with weights of any size are chaotic: what two ways of adding up differ by doubles from step to step,
   until nothing can be compared. Networks' own weights are small enough for states to forget. */
static void calm_weights(const pf_graph *graph, pf_value_id value, pf_tensor *tensor)
{
    int64_t count = pf_tensor_elems(tensor);
    double  scale = tensor->rank == 3 && tensor->dim[2] > 0 ? 0.5 / sqrt((double)tensor->dim[2]) : 1;
    bool    is_weight = false;

    for (uint32_t n = 0; n < graph->node_count && !is_weight; n++) {
        const pf_node *node = &graph->nodes[n];

        is_weight = node->live && pf_op_def_of(node->op)->flags & PF_OPF_RECURRENT &&
                    (node->in[1] == value || node->in[2] == value);
    }
    for (int64_t i = 0; i < count && is_weight; i++)
        pf_dtype_set(tensor->dtype, tensor->data, (uint64_t)i,
                     scale * pf_dtype_get(tensor->dtype, tensor->data, (uint64_t)i));
}

static pf_status fill_inputs(const pf_graph *graph, const int64_t *bindings, const draw *d, uint64_t seed,
                             pf_oracle *oracle, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < graph->input_count && !st; i++) {
        const pf_value *value = pf_graph_value(graph, graph->inputs[i]);
        pf_tensor      *tensor = &oracle->in[i];

        pf_tensor_clear(tensor);
        if (value->kind != PF_VALUE_TENSOR) {
            st = fill_items(value, d, seed + i + 1, tensor, err);
            continue;
        }
        *tensor = (pf_tensor){ .dtype = value->dtype, .rank = value->shape.rank };
        for (int32_t k = 0; k < value->shape.rank && !st; k++)
            st = pf_dim_eval(graph->dims, value->shape.dim[k], bindings, &tensor->dim[k], err);
        if (!st)
            st = fill_tensor(tensor, value->name, d, seed + i + 1, err);
        if (!st)
            calm_weights(graph, graph->inputs[i], tensor);
        if (st)
            st = value->name[0] ? pf_err_add(err, st, "input \"%s\"", value->name) : pf_err_add(err, st, "input %u", i);
    }
    return st;
}

enum { FINITE_BLOCK = 512 };

static int64_t count_finite(const pf_tensor *tensor, int64_t count)
{
    int64_t finite = 0;

#pragma omp parallel for schedule(static) reduction(+ : finite) if (count > PF_ROWS_ALONE)
    for (int64_t from = 0; from < count; from += FINITE_BLOCK) {
        int64_t here = count - from < FINITE_BLOCK ? count - from : FINITE_BLOCK;
        double  values[FINITE_BLOCK];

        pf_rows_read(tensor->dtype, tensor->data, from, 1, here, values);
        for (int64_t k = 0; k < here; k++)
            finite += isfinite(values[k]) != 0;
    }
    return finite;
}

/* Comparing with outputs that hold no number would show nothing. */
static bool has_numbers(const pf_oracle *oracle)
{
    for (uint32_t i = 0; i < oracle->out_count; i++) {
        const pf_tensor *tensor = &oracle->out[i];
        int64_t          count = tensor->rank < 0 ? 0 : pf_tensor_elems(tensor);

        if (!pf_dtype_is_float(tensor->dtype) || tensor->rank < 0 || !count)
            continue;
        if (count_finite(tensor, count) < count / 2 + 1)
            return false;
    }
    return true;
}

static void clear_outputs(pf_oracle *oracle)
{
    for (uint32_t i = 0; i < oracle->out_count; i++)
        pf_tensor_clear(&oracle->out[i]);
}

static pf_status open_oracle(const pf_graph *graph, pf_oracle *out, pf_err *err)
{
    *out = (pf_oracle){ .in_count = graph->input_count, .out_count = graph->output_count };
    out->in = pf_calloc(graph->input_count + 1, sizeof *out->in);
    out->out = pf_calloc(graph->output_count + 1, sizeof *out->out);
    return out->in && out->out
               ? PF_OK
               : PF_FAIL_MEMORY(err, (graph->input_count + graph->output_count) * sizeof *out->in);
}

static pf_status draw_and_run(const pf_graph *graph, const int64_t *bindings, uint32_t number,
                              pf_interpret_watch *watch, void *user, pf_oracle *out, pf_err *err)
{
    const uint32_t draw_count = sizeof draws / sizeof draws[0];
    pf_status      st = open_oracle(graph, out, err);

    for (uint32_t i = 0; i < draw_count && !st; i++) {
        bool   last = i + 1 == draw_count;
        pf_err why = { 0 };

        clear_outputs(out);
        out->restrained = i;
        st = fill_inputs(graph, bindings, &draws[i], (uint64_t)number << SEED_SHIFT, out, err);
        if (st)
            break;
        st = pf_interpret(graph, out->in, out->out, watch, user, &why);
        if (!st && has_numbers(out))
            break;
        st = st && (last || pf_go_on_ended(st)) ? pf_err_pass(err, st, &why) : PF_OK;
    }
    if (st)
        pf_oracle_clear(out);
    return st;
}

pf_status pf_oracle_inputs_of_draw(const pf_graph *graph, const int64_t *bindings, uint32_t number, pf_oracle *out,
                                   pf_err *err)
{
    pf_status st = open_oracle(graph, out, err);

    if (!st)
        st = fill_inputs(graph, bindings, &draws[0], (uint64_t)number << SEED_SHIFT, out, err);
    if (st)
        pf_oracle_clear(out);
    return st;
}

pf_status pf_oracle_of_draw(const pf_graph *graph, const int64_t *bindings, uint32_t number,
                            pf_interpret_watch *watch, void *user, pf_oracle *out, pf_err *err)
{
    return draw_and_run(graph, bindings, number, watch, user, out, err);
}

pf_status pf_oracle_of_graph_watched(const pf_graph *graph, const int64_t *bindings, pf_interpret_watch *watch,
                                     void *user, pf_oracle *out, pf_err *err)
{
    return draw_and_run(graph, bindings, 0, watch, user, out, err);
}

pf_status pf_oracle_of_graph(const pf_graph *graph, const int64_t *bindings, pf_oracle *out, pf_err *err)
{
    return draw_and_run(graph, bindings, 0, NULL, NULL, out, err);
}

pf_status pf_oracle_make(const pf_problem *problem, pf_oracle *out, pf_err *err)
{
    pf_status st = pf_oracle_of_graph(problem->graph, NULL, out, err);

    if (!st)
        pf_oracle_semantics(problem, &out->semantics);
    return st;
}

void pf_oracle_clear(pf_oracle *oracle)
{
    if (!oracle)
        return;
    for (uint32_t i = 0; oracle->in && i < oracle->in_count; i++)
        pf_tensor_clear(&oracle->in[i]);
    if (oracle->out)
        clear_outputs(oracle);
    pf_free(oracle->in);
    pf_free(oracle->out);
    *oracle = (pf_oracle){ 0 };
}

/* ---- Right or wrong */

/* Precision of a type, and how far its results may be: a few units in the last place, more where sums are long. */
static const struct { pf_dtype dtype; double tolerance; } tolerances[] = {
    { PF_F8E5M2, 0.2 }, { PF_F8E4M3FN, 0.1 }, { PF_BF16, 3e-2 }, { PF_F16, 4e-3 }, { PF_F32, 1e-4 }, { PF_F64, 1e-9 },
};

#define TF32_TOLERANCE  2e-3    /* 10 bits of mantissa at the inputs, long sums in FP32 */
#define PARTS_TOLERANCE 2e-4    /* 16 bits, the same sums */

double pf_oracle_tolerance(const pf_graph *graph, uint32_t numerics)
{
    double most = 0;

    for (uint32_t v = 0; v < graph->value_count; v++)
        for (size_t i = 0; i < sizeof tolerances / sizeof tolerances[0]; i++)
            if (graph->values[v].dtype == tolerances[i].dtype && tolerances[i].tolerance > most)
                most = tolerances[i].tolerance;
    if ((numerics & PF_NUMERICS_TF32) && most < TF32_TOLERANCE)
        most = TF32_TOLERANCE;
    if ((numerics & PF_NUMERICS_BF16_PARTS) && most < PARTS_TOLERANCE)
        most = PARTS_TOLERANCE;
    return most;
}

static double allowed_abs(pf_dtype dtype)
{
    return pf_dtype_is_integer(dtype) && pf_dtype_bits(dtype) <= 8 ? 1 : 0;
}

bool pf_oracle_agrees(const pf_tensor *test, const pf_tensor *reference, double tolerance, double *max_rel_error,
                      char *reason, size_t capacity)
{
    pf_difference difference = { 0 };
    bool          is_float = pf_dtype_is_float(reference->dtype);
    bool          right = false;

    *max_rel_error = 0;
    if (pf_tensor_compare(test, reference, &difference, NULL)) {
        snprintf(reason, capacity, "its type or shape is another one");
        return false;
    }
    *max_rel_error = difference.max_rel_range;
    right = is_float ? difference.max_rel_range <= tolerance && !difference.nan_count && !difference.inf_count
                     : difference.max_abs <= allowed_abs(reference->dtype);
    if (!right)
        snprintf(reason, capacity, "differs by %.3g of the range at element %lld, %lld not finite",
                 difference.max_rel_range, (long long)difference.worst_index,
                 (long long)(difference.nan_count + difference.inf_count));
    return right;
}
