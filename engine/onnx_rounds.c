#include "engine/onnx_rounds.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/onnx_body_size.h"
#include "engine/ops/attrs.h"

enum { NODES_MOST = 8192,               /* written out of one model, loops in loops too; more make builds slow */
       TRIES = 8,                       /* times as many are tried: a loop is found too long after some rounds */
       WEIGHT_BYTES_MOST = 64 << 20,    /* of constants that bodies hold themselves, in all rounds of a model */
       TRIPS = 0, CONDITION, CARRIED }; /* inputs of a loop; those of its body are round, condition, carried */

/* One loop or scan: what goes into the body and comes out of it in a round, and what is kept of all rounds. */
typedef struct rounds {
    pf_onnx_node *node;
    int64_t       count;
    uint32_t      in_count, out_count, first_kept;      /* outputs of the body from first_kept on are kept */
    pf_value_id  *in, *out, *kept;                      /* owned; kept: count for each output, one after the other */
} rounds;

static const Onnx__GraphProto *body_of(pf_onnx_node *node)
{
    const Onnx__AttributeProto *a = node->status ? NULL : pf_onnx_attr(node, "body");

    return a ? a->g : NULL;
}

/* So many rounds may be written out. */
static bool fits(const pf_onnx_state *state, pf_onnx_written body, int64_t count)
{
    uint64_t nodes = 0, bytes = 0;

    return !__builtin_mul_overflow((uint64_t)count, body.nodes + 1, &nodes) &&
           !__builtin_mul_overflow((uint64_t)count, body.bytes, &bytes) && nodes <= NODES_MOST - state->written.nodes &&
           bytes <= WEIGHT_BYTES_MOST - state->written.bytes && nodes <= TRIES * NODES_MOST - state->nodes_tried;
}

/* They count from now on.  One that is too long inside others makes those too long, which would otherwise leave as many
   loops as they have rounds. */
static bool begin(pf_onnx_node *node, int64_t count)
{
    const Onnx__GraphProto *body = body_of(node);
    pf_onnx_state          *state = node->scope->state;
    pf_onnx_written         size = { 0 };

    if (!body || count < 1 || state->rounds_refused)
        return false;
    size = pf_onnx_body_size(state, body, NODES_MOST);
    if (!fits(state, size, count)) {
        state->rounds_refused = state->rounds_depth > 0;
        return false;
    }
    state->written.nodes += (uint64_t)count * (size.nodes + 1);
    state->written.bytes += (uint64_t)count * size.bytes;
    state->nodes_tried += (uint64_t)count * (size.nodes + 1);
    state->rounds_depth++;
    return true;
}

/* before: what was written when it began, which is so again when the loop is left as it is. */
static bool end(pf_onnx_node *node, pf_onnx_written before, bool is_written)
{
    pf_onnx_state *state = node->scope->state;

    if (!is_written)
        state->written = before;
    if (--state->rounds_depth == 0)
        state->rounds_refused = false;
    return is_written;
}

static void clear(rounds *r)
{
    pf_free(r->in);
    pf_free(r->out);
    pf_free(r->kept);
}

static bool init(rounds *r, pf_onnx_node *node, int64_t count, uint32_t first_kept)
{
    const Onnx__GraphProto *body = body_of(node);

    *r = (rounds){ .node = node, .count = count, .in_count = (uint32_t)body->n_input,
                   .out_count = (uint32_t)body->n_output, .first_kept = first_kept };
    r->in = pf_calloc(r->in_count + 1, sizeof *r->in);
    r->out = pf_calloc(r->out_count + 1, sizeof *r->out);
    r->kept = pf_calloc((size_t)count * (r->out_count + 1), sizeof *r->kept);
    if (!r->in || !r->out || !r->kept)
        pf_onnx_fail(node, PF_NO_SPACE, "out of memory");
    return !node->status;
}

/* Imports the body once more. */
static bool run_round(rounds *r, int64_t round)
{
    pf_onnx_inline_body(r->node, "body", r->in, r->in_count, r->out, r->out_count);
    for (uint32_t i = r->first_kept; i < r->out_count && !r->node->status; i++)
        r->kept[i * r->count + round] = r->out[i];
    return !r->node->status && !r->node->scope->state->rounds_refused;
}

/* Tensors of known rank, which has room for one dim more. */
static bool can_stack(const rounds *r, int64_t count)
{
    for (uint32_t i = r->first_kept; i < r->out_count; i++)
        for (int64_t k = 0; k < count; k++) {
            const pf_value *value = pf_onnx_value(r->node, r->kept[i * r->count + k]);

            if (value->kind != PF_VALUE_TENSOR || value->shape.rank < 0 || value->shape.rank >= PF_MAX_RANK)
                return false;
        }
    return true;
}

/* x with a dim of one at axis. */
static pf_value_id with_axis(pf_onnx_node *node, pf_value_id x, int32_t axis)
{
    const pf_shape shape = pf_onnx_value(node, x)->shape;
    pf_dim_list    list = { .count = shape.rank + 1 };

    for (int32_t d = 0; d < list.count; d++)
        list.at[d] = d == axis ? 1 : shape.dim[d < axis ? d : d - 1];
    return pf_onnx_reshape_to(node, x, &list);
}

/* What output i of the body was in `count` rounds, side by side. */
static pf_value_id stacked(const rounds *r, uint32_t i, int64_t count, int32_t axis, bool backwards)
{
    pf_value_id   *kept = r->kept + i * r->count, out = PF_NONE;
    pf_axis_attrs  attrs = { .axis = axis };

    for (int64_t k = 0; k < count; k++)
        kept[k] = with_axis(r->node, kept[k], axis);
    for (int64_t k = 0; backwards && k < count / 2; k++) {
        pf_value_id other = kept[count - 1 - k];

        kept[count - 1 - k] = kept[k];
        kept[k] = other;
    }
    if (count == 1)
        return kept[0];
    pf_onnx_emit(r->node, PF_OP_CONCAT, &attrs, (uint32_t)count, kept, 1, &out);
    return out;
}

/* ---- Loop */

static bool is_true(pf_onnx_node *node, pf_value_id value)
{
    double number = 0;

    return pf_onnx_constant_number(node, value, &number) && number != 0;
}

/* How many rounds there were; 0: a condition is not known. */
static int64_t run_loop(rounds *r)
{
    double more = 1;

    for (uint32_t i = CARRIED; i < r->in_count; i++)
        r->in[i] = pf_onnx_in(r->node, i);
    for (int64_t k = 0; k < r->count; k++) {
        r->in[TRIPS] = pf_onnx_scalar(r->node, PF_I64, (double)k);
        r->in[CONDITION] = pf_onnx_scalar(r->node, PF_BOOL, 1);
        if (!run_round(r, k) || !pf_onnx_constant_number(r->node, r->out[0], &more))
            return 0;
        memcpy(r->in + CARRIED, r->out + 1, (r->in_count - CARRIED) * sizeof *r->in);
        if (more == 0)
            return k + 1;
    }
    return r->count;
}

bool pf_onnx_loop_rounds(pf_onnx_node *node)
{
    const Onnx__GraphProto *body = body_of(node);
    const pf_onnx_written   before = node->scope->state->written;
    int64_t                 count = 0;
    rounds                  r = { 0 };

    if (!body || pf_onnx_in(node, TRIPS) == PF_NONE || !pf_onnx_constant_int(node, pf_onnx_in(node, TRIPS), &count) ||
        (pf_onnx_in(node, CONDITION) != PF_NONE && !is_true(node, pf_onnx_in(node, CONDITION))) ||
        body->n_input < CARRIED || body->n_input != node->proto->n_input ||
        body->n_output != node->out_count + 1 || body->n_output < body->n_input - 1 || !begin(node, count))
        return false;
    if (init(&r, node, count, (uint32_t)body->n_input - 1))
        count = run_loop(&r);
    if (node->status || count == 0 || !can_stack(&r, count)) {
        clear(&r);
        return end(node, before, false);
    }
    for (uint32_t i = 0; i < node->out_count; i++)
        node->out[i] = i + 1 < r.first_kept ? r.out[1 + i] : stacked(&r, 1 + i, count, 0, false);
    clear(&r);
    return end(node, before, true);
}

/* ---- Scan */

/* Element `at` of a scanned input along its axis. */
static pf_value_id element(pf_onnx_node *node, pf_value_id x, int64_t axis, int64_t at)
{
    const pf_shape shape = pf_onnx_value(node, x)->shape;
    pf_slice_attrs slice = { .axes = { 1, { axis } }, .starts = { 1, { at } }, .ends = { 1, { at + 1 } },
                             .steps = { 1, { 1 } } };
    pf_dim_list    rest = { .count = shape.rank - 1 };

    for (int32_t d = 0; d < rest.count; d++)
        rest.at[d] = shape.dim[d < axis ? d : d + 1];
    return pf_onnx_reshape_to(node, pf_onnx_emit1(node, PF_OP_SLICE, &slice, x), &rest);
}

/* How often the body runs: the size of what is scanned. 0: not known. */
static int64_t rounds_of(pf_onnx_node *node, const pf_scan_attrs *attrs)
{
    pf_dim size = 0;

    for (int64_t i = 0; i < attrs->scans; i++) {
        pf_value_id x = pf_onnx_in(node, (uint32_t)(attrs->states + i));

        if (x == PF_NONE || pf_onnx_value(node, x)->shape.rank < 1)
            return 0;
        size = pf_onnx_value(node, x)->shape.dim[attrs->input_axes.at[i]];
        if (!pf_dim_is_number(size))
            return 0;
    }
    return size;
}

/* False: it is left as it is. */
static bool run_scan(rounds *r, const pf_scan_attrs *attrs)
{
    uint32_t states = (uint32_t)attrs->states;

    for (uint32_t i = 0; i < states; i++)
        r->in[i] = pf_onnx_in(r->node, i);
    for (int64_t k = 0; k < r->count; k++) {
        for (uint32_t i = 0; i < (uint32_t)attrs->scans; i++)
            r->in[states + i] = element(r->node, pf_onnx_in(r->node, states + i), attrs->input_axes.at[i],
                                        attrs->input_directions.at[i] ? r->count - 1 - k : k);
        if (!run_round(r, k))
            return false;
        memcpy(r->in, r->out, states * sizeof *r->in);
    }
    return true;
}

bool pf_onnx_scan_rounds(pf_onnx_node *node, const pf_scan_attrs *attrs)
{
    const Onnx__GraphProto *body = body_of(node);
    const pf_onnx_written   before = node->scope->state->written;
    int64_t                 count = node->status ? 0 : rounds_of(node, attrs);
    rounds                  r = { 0 };

    if (!body || body->n_input != (size_t)(attrs->states + attrs->scans) || body->n_output != node->out_count ||
        body->n_output < (size_t)attrs->states || !begin(node, count))
        return false;
    if (!init(&r, node, count, (uint32_t)attrs->states) || !run_scan(&r, attrs) || !can_stack(&r, count)) {
        clear(&r);
        return end(node, before, false);
    }
    memcpy(node->out, r.out, r.first_kept * sizeof *node->out);
    for (uint32_t i = r.first_kept; i < node->out_count; i++) {
        uint32_t kept = i - r.first_kept;
        int64_t  axis = attrs->output_axes.count ? attrs->output_axes.at[kept] : 0;

        node->out[i] = stacked(&r, i, count, pf_onnx_axis(node, axis, pf_onnx_rank(node, r.out[i]) + 1),
                               attrs->output_directions.count && attrs->output_directions.at[kept]);
    }
    clear(&r);
    return end(node, before, true);
}
