/* lstm, gru, rnn.  Equations, gate order (lstm: iofc, gru: zrh) and peepholes (iof) from
   https://onnx.ai/onnx/operators/onnx__LSTM.html and its neighbours. */
#include <math.h>
#include <stddef.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/rows.h"
#include "kernels/cpu_isa.h"

enum { X, W, R, BIAS, LENGTHS, INITIAL_H, INITIAL_C, PEEPHOLES, INPUTS };

static const char *const directions[] = { "forward", "reverse", "bidirectional", NULL };
static const pf_attr_field fields[] = {
    PF_ATTR_ENUM_FIELD(pf_rnn_attrs, direction, directions), PF_ATTR_FIELD(pf_rnn_attrs, hidden, INT),
    PF_ATTR_FIELD(pf_rnn_attrs, activations, INTS),
    PF_ATTR_FIELD(pf_rnn_attrs, alphas, FLOATS), PF_ATTR_FIELD(pf_rnn_attrs, betas, FLOATS),
    PF_ATTR_FIELD(pf_rnn_attrs, clip, FLOAT),
    PF_ATTR_FIELD(pf_rnn_attrs, linear_before_reset, INT), PF_ATTR_FIELD(pf_rnn_attrs, input_forget, INT),
    PF_ATTR_FIELD(pf_rnn_attrs, batch_first, INT), { NULL },
};

static int32_t directions_of(const pf_rnn_attrs *a) { return a->direction == PF_RNN_BIDIRECTIONAL ? 2 : 1; }

static pf_status check_attrs(const pf_rnn_attrs *a, int32_t functions, pf_err *err)
{
    int32_t   want = functions * directions_of(a);
    pf_status st = pf_infer_count("activations", a->activations.count, want, err);

    if (!st)
        st = pf_infer_count("alphas", a->alphas.count, want, err);
    if (!st)
        st = pf_infer_count("betas", a->betas.count, want, err);
    for (int32_t i = 0; i < want && !st; i++)
        if (a->activations.at[i] < PF_RNN_TANH || a->activations.at[i] > PF_RNN_SOFTPLUS)
            st = PF_FAIL(err, PF_INVALID, "activation %lld is not known", (long long)a->activations.at[i]);
    if (!st && (a->hidden < 1 || a->hidden > INT32_MAX))
        st = PF_FAIL(err, PF_INVALID, "the hidden size is %lld", (long long)a->hidden);
    return st;
}

static pf_status check_weights(const pf_infer *infer, const pf_rnn_attrs *a, int32_t gates, pf_err *err)
{
    const pf_dim *x = pf_infer_in(infer, X)->shape.dim, *w = NULL, *r = NULL;
    pf_status     st = pf_infer_rank(infer, W, 3, 3, err);

    if (!st)
        st = pf_infer_rank(infer, R, 3, 3, err);
    if (st)
        return st;
    w = pf_infer_in(infer, W)->shape.dim;
    r = pf_infer_in(infer, R)->shape.dim;
    st = pf_infer_dims_agree(infer, w[0], directions_of(a), "directions of W", err);
    if (!st)
        st = pf_infer_dims_agree(infer, w[1], gates * a->hidden, "rows of W", err);
    if (!st)
        st = pf_infer_dims_agree(infer, w[2], x[2], "columns of W and the input size", err);
    if (!st)
        st = pf_infer_dims_agree(infer, r[0], directions_of(a), "directions of R", err);
    if (!st)
        st = pf_infer_dims_agree(infer, r[1], gates * a->hidden, "rows of R", err);
    return st ? st : pf_infer_dims_agree(infer, r[2], a->hidden, "columns of R", err);
}

static void set_outputs(pf_infer *infer, const pf_value *x, pf_dim seq, pf_dim batch)
{
    const pf_rnn_attrs *a = infer->node->attrs;
    int64_t             dirs = directions_of(a);
    pf_shape            y = { 4, { seq, dirs, batch, a->hidden } }, y_first = { 4, { batch, seq, dirs, a->hidden } };
    pf_shape            h = { 3, { dirs, batch, a->hidden } }, h_first = { 3, { batch, dirs, a->hidden } };

    pf_infer_set(infer, 0, x->dtype, a->batch_first ? &y_first : &y);
    pf_infer_set(infer, 1, x->dtype, a->batch_first ? &h_first : &h);
    pf_infer_set(infer, 2, x->dtype, a->batch_first ? &h_first : &h);
}

static pf_status infer_recurrent(pf_infer *infer, int32_t gates, int32_t functions, pf_err *err)
{
    const pf_rnn_attrs *a = infer->node->attrs;
    const pf_value     *x = pf_infer_in(infer, X);
    pf_status           st = pf_infer_rank(infer, X, 3, 3, err);

    if (!st)
        st = check_attrs(a, functions, err);
    if (!st)
        st = check_weights(infer, a, gates, err);
    if (st)
        return st;
    set_outputs(infer, x, x->shape.dim[a->batch_first ? 1 : 0], x->shape.dim[a->batch_first ? 0 : 1]);
    return PF_OK;
}

static pf_status infer_lstm(pf_infer *infer, pf_err *err) { return infer_recurrent(infer, 4, 3, err); }
static pf_status infer_gru(pf_infer *infer, pf_err *err) { return infer_recurrent(infer, 3, 2, err); }
static pf_status infer_rnn(pf_infer *infer, pf_err *err) { return infer_recurrent(infer, 1, 1, err); }

static double activate(int64_t function, double x, double alpha, double beta)
{
    switch (function) {
    case PF_RNN_TANH:             return tanh(x);
    case PF_RNN_SIGMOID:          return 1 / (1 + exp(-x));
    case PF_RNN_RELU:             return x < 0 ? 0 : x;
    case PF_RNN_AFFINE:           return alpha * x + beta;
    case PF_RNN_LEAKY_RELU:       return x < 0 ? alpha * x : x;
    case PF_RNN_THRESHOLDED_RELU: return x > alpha ? x : 0;
    case PF_RNN_SCALED_TANH:      return alpha * tanh(beta * x);
    case PF_RNN_HARD_SIGMOID:     return fmin(fmax(alpha * x + beta, 0), 1);
    case PF_RNN_ELU:              return x < 0 ? alpha * expm1(x) : x;
    case PF_RNN_SOFTSIGN:         return x / (1 + fabs(x));
    default:                      return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
    }
}

/* One sequence of one direction. */
typedef struct cell {
    const pf_rnn_attrs *a;
    int32_t             direction, gates, functions;
    int64_t             input, hidden;
    /* of this direction; biases and peepholes NULL when left out */
    const double       *w, *r, *w_bias, *r_bias, *peepholes;    /* w, r: [columns, gates * hidden] */
    double             *from_x, *from_h;  /* [gates, hidden]: what input and state add to each gate */
    double             *h, *c, *reset_h;                        /* [hidden] */
} cell;

static double act(const cell *k, int32_t function, double x)
{
    int32_t at = k->direction * k->functions + function;
    double  clip = k->a->clip;

    if (clip > 0)
        x = x > clip ? clip : x < -clip ? -clip : x;
    return activate(k->a->activations.at[at], x, k->a->alphas.at[at], k->a->betas.at[at]);
}

/* ---- Products: columns lie one behind the other, so that many sums grow at once, each in the order of its terms */

PF_WIDE static void add_four(const double *m, int64_t stride, const double *v, int64_t rows, double *out)
{
    const double *second = m + stride, *third = second + stride, *fourth = third + stride;

    for (int64_t i = 0; i < rows; i++) {
        double sum = out[i] + m[i] * v[0];

        sum += second[i] * v[1];
        sum += third[i] * v[2];
        out[i] = sum + fourth[i] * v[3];
    }
}

PF_WIDE static void add_one(const double *m, double v, int64_t rows, double *out)
{
    for (int64_t i = 0; i < rows; i++)
        out[i] += m[i] * v;
}

/* Some vectors at once, so that columns are fetched once for all. */
typedef struct product {
    const double *m, *bias;     /* [columns, stride]; NULL: 0 */
    int64_t       stride, rows, columns, vectors, v_step, out_step;
} product;

/* out[t][i] = bias[i] + the sum over k of m[k][i] * v[t][k]. */
static void multiply(const product *p, const double *v, double *out)
{
    int64_t k = 0;

    for (int64_t t = 0; t < p->vectors; t++)
        for (int64_t i = 0; i < p->rows; i++)
            out[t * p->out_step + i] = p->bias ? p->bias[i] : 0;
    for (; k + 4 <= p->columns; k += 4)
        for (int64_t t = 0; t < p->vectors; t++)
            add_four(p->m + k * p->stride, p->stride, v + t * p->v_step + k, p->rows, out + t * p->out_step);
    for (; k < p->columns; k++)
        for (int64_t t = 0; t < p->vectors; t++)
            add_one(p->m + k * p->stride, v[t * p->v_step + k], p->rows, out + t * p->out_step);
}

/* [dirs, rows, columns] becomes [dirs, columns, rows]; takes m.  NULL when m is, or when out of memory. */
static double *transposed(double *m, int64_t dirs, int64_t rows, int64_t columns)
{
    enum { BLOCK = 32 };
    double *out = m ? pf_rows_new(dirs * rows * columns) : NULL;

#pragma omp parallel for schedule(static) collapse(2) if (out && rows * columns > PF_ROWS_ALONE)
    for (int64_t d = 0; d < dirs; d++)
        for (int64_t row = 0; row < rows; row += BLOCK)
            for (int64_t k = 0; out && k < columns; k++)
                for (int64_t i = row; i < rows && i < row + BLOCK; i++)
                    out[(d * columns + k) * rows + i] = m[(d * rows + i) * columns + k];
    pf_free(m);
    return out;
}

/* ---- Steps */

static double gate(const cell *k, int32_t g, int64_t i)
{
    return k->from_x[g * k->hidden + i] + k->from_h[g * k->hidden + i];
}
static double peephole(const cell *k, int32_t g, int64_t i, double c)
{
    return k->peepholes ? k->peepholes[g * k->hidden + i] * c : 0;
}

static void step_lstm(cell *k)
{
    for (int64_t i = 0; i < k->hidden; i++) {
        double in = act(k, 0, gate(k, 0, i) + peephole(k, 0, i, k->c[i]));
        double forget = k->a->input_forget ? 1 - in : act(k, 0, gate(k, 2, i) + peephole(k, 2, i, k->c[i]));

        k->c[i] = forget * k->c[i] + in * act(k, 1, gate(k, 3, i));
        k->h[i] = act(k, 0, gate(k, 1, i) + peephole(k, 1, i, k->c[i])) *
                  activate(k->a->activations.at[k->direction * 3 + 2], k->c[i], k->a->alphas.at[k->direction * 3 + 2],
                           k->a->betas.at[k->direction * 3 + 2]);
    }
}

static void step_gru(cell *k)
{
    int64_t h = k->hidden;

    for (int64_t i = 0; i < h; i++) {
        double reset = act(k, 0, gate(k, 1, i));

        k->reset_h[i] = reset * (k->a->linear_before_reset ? k->from_h[2 * h + i] : k->h[i]);
    }
    if (!k->a->linear_before_reset)
        multiply(&(product){ .m = k->r + 2 * h, .bias = k->r_bias ? k->r_bias + 2 * h : NULL, .stride = 3 * h,
                             .rows = h, .columns = h, .vectors = 1 },
                 k->reset_h, k->from_h + 2 * h);
    for (int64_t i = 0; i < h; i++) {
        double update = act(k, 0, gate(k, 0, i)),
               state = k->a->linear_before_reset ? k->reset_h[i] : k->from_h[2 * h + i];

        k->h[i] = (1 - update) * act(k, 1, k->from_x[2 * h + i] + state) + update * k->h[i];
    }
}

static void step_rnn(cell *k)
{
    for (int64_t i = 0; i < k->hidden; i++)
        k->h[i] = act(k, 0, gate(k, 0, i));
}

static void step(cell *k, void (*advance)(cell *k))
{
    int64_t rows = k->gates * k->hidden;

    multiply(&(product){ .m = k->r, .bias = k->r_bias, .stride = rows, .rows = rows, .columns = k->hidden,
                         .vectors = 1 },
             k->h, k->from_h);
    advance(k);
}

/* ---- Sequences */

enum { TILE = 512, VECTORS = 8, TOGETHER = 1 << 23 };   /* rows, vectors of a thread; elements from inputs at a time */

/* All inputs as doubles, W and R transposed; NULL for those left out. */
typedef struct job {
    pf_reference_call *call;
    double            *in[INPUTS];
    int64_t            seq, batch, dirs;
    double            *from_x;      /* [sequences of a group, seq, gates * hidden] */
    double            *states;      /* [sequences of a group, from_h, h, c, reset_h] */
} job;

static double *owned_input(const pf_reference_call *call, uint32_t slot)
{
    return slot < call->in_count && call->in[slot].data && slot != LENGTHS ? pf_rows_doubles(&call->in[slot]) : NULL;
}

static int64_t state_at(const job *j, const pf_rnn_attrs *a, int64_t d, int64_t b)
{
    return (a->batch_first ? b * j->dirs + d : d * j->batch + b) * a->hidden;
}

static int64_t length_of(const job *j, int64_t b)
{
    const pf_tensor *lengths = j->call->in_count > LENGTHS && j->call->in[LENGTHS].data ? &j->call->in[LENGTHS] : NULL;
    int64_t          length = lengths ? pf_dtype_get_i64(lengths->dtype, lengths->data, (uint64_t)b) : j->seq;

    return length < 0 ? 0 : length > j->seq ? j->seq : length;
}

/* What the steps [first, first + VECTORS) of a sequence have from the inputs, for some rows. */
static void take_inputs(const job *j, const cell *k, int64_t b, int64_t first, int64_t row, double *from_x)
{
    const int64_t rows = k->gates * k->hidden, left = length_of(j, b) - first;
    const product p = { .m = k->w + row, .bias = k->w_bias ? k->w_bias + row : NULL, .stride = rows,
                        .rows = rows - row < TILE ? rows - row : TILE, .columns = k->input,
                        .vectors = left < VECTORS ? left : VECTORS, .out_step = rows,
                        .v_step = (k->a->batch_first ? 1 : j->batch) * k->input };
    const int64_t x = k->a->batch_first ? b * j->seq + first : first * j->batch + b;

    multiply(&p, j->in[X] + x * k->input, from_x + first * rows + row);
}

static void run_sequence(const job *j, cell *k, int64_t d, int64_t b, void (*advance)(cell *k))
{
    const pf_rnn_attrs *a = k->a;
    pf_reference_call  *call = j->call;
    int64_t             state = state_at(j, a, d, b), length = length_of(j, b);
    bool                backwards = a->direction == PF_RNN_REVERSE || d == 1;
    double             *from_x = k->from_x;

    for (int64_t i = 0; i < k->hidden; i++) {
        k->h[i] = j->in[INITIAL_H] ? j->in[INITIAL_H][state + i] : 0;
        k->c[i] = j->in[INITIAL_C] ? j->in[INITIAL_C][state + i] : 0;
    }
    for (int64_t s = 0; s < length; s++) {
        int64_t t = backwards ? length - 1 - s : s;
        int64_t y = (a->batch_first ? (b * j->seq + t) * j->dirs + d : (t * j->dirs + d) * j->batch + b) * k->hidden;

        k->from_x = from_x + t * k->gates * k->hidden;
        step(k, advance);
        if (call->out[0].data)
            pf_rows_write(call->out[0].dtype, call->out[0].data, y, k->hidden, k->h);
    }
    if (call->out_count > 1)
        pf_rows_write(call->out[1].dtype, call->out[1].data, state, k->hidden, k->h);
    if (call->out_count > 2)
        pf_rows_write(call->out[2].dtype, call->out[2].data, state, k->hidden, k->c);
}

/* The cell of a sequence, which has place `at` in its group. */
static cell aimed(const cell *any, const job *j, int64_t d, int64_t at)
{
    int64_t rows = any->gates * any->hidden;
    cell    k = *any;

    k.direction = (int32_t)d;
    k.w = j->in[W] + d * rows * k.input;
    k.r = j->in[R] + d * rows * k.hidden;
    k.w_bias = j->in[BIAS] ? j->in[BIAS] + d * 2 * rows : NULL;
    k.r_bias = k.w_bias ? k.w_bias + rows : NULL;
    k.peepholes = j->in[PEEPHOLES] ? j->in[PEEPHOLES] + d * 3 * k.hidden : NULL;
    k.from_x = j->from_x + at * j->seq * rows;
    k.from_h = j->states + at * (rows + 3 * k.hidden);
    k.h = k.from_h + rows;
    k.c = k.h + k.hidden;
    k.reset_h = k.c + k.hidden;
    return k;
}

/* Inputs first, where all steps are independent; then sequence beside sequence. */
static void run_group(const job *j, const cell *any, int64_t begin, int64_t end, void (*advance)(cell *k))
{
    const int64_t rows = any->gates * any->hidden;
    const bool    is_long = j->seq * rows * any->input > PF_ROWS_ALONE;

#pragma omp parallel for schedule(dynamic) collapse(3) if (is_long)
    for (int64_t s = begin; s < end; s++)
        for (int64_t t = 0; t < j->seq; t += VECTORS)
            for (int64_t row = 0; row < rows; row += TILE) {
                cell k = aimed(any, j, s / j->batch, s - begin);

                if (t < length_of(j, s % j->batch))
                    take_inputs(j, &k, s % j->batch, t, row, k.from_x);
            }
#pragma omp parallel for schedule(dynamic) if (is_long && end - begin > 1)
    for (int64_t s = begin; s < end; s++) {
        cell k = aimed(any, j, s / j->batch, s - begin);

        run_sequence(j, &k, s / j->batch, s % j->batch, advance);
    }
}

static pf_status check_sizes(const pf_reference_call *call, const cell *k, const job *j, pf_err *err)
{
    int64_t rows = k->gates * k->hidden * j->dirs, state = j->dirs * j->batch * k->hidden;
    int64_t want[INPUTS] = { 0, rows * k->input, rows * k->hidden, 2 * rows, j->batch, state, state,
                             3 * k->hidden * j->dirs };

    for (uint32_t i = W; i < call->in_count && i < INPUTS; i++)
        if (call->in[i].data && pf_tensor_elems(&call->in[i]) != want[i])
            return PF_FAIL(err, PF_INVALID, "input %u has %lld elements where %lld are needed", i,
                           (long long)pf_tensor_elems(&call->in[i]), (long long)want[i]);
    return PF_OK;
}

static pf_status run(pf_reference_call *call, int32_t gates, int32_t functions, void (*advance)(cell *k), pf_err *err)
{
    const pf_rnn_attrs *a = call->attrs;
    const int64_t      *x = call->in[X].dim;
    job                 j = { .call = call, .seq = x[a->batch_first ? 1 : 0], .batch = x[a->batch_first ? 0 : 1],
                              .dirs = directions_of(a) };
    cell                k = { .a = a, .gates = gates, .functions = functions, .input = x[2], .hidden = a->hidden };
    int64_t             rows = gates * k.hidden, count = j.dirs * j.batch, group = 0;
    pf_status           st = check_sizes(call, &k, &j, err);

    if (st)
        return st;
    group = TOGETHER / (j.seq * rows > 0 ? j.seq * rows : 1);
    group = group < 1 ? 1 : group > count ? count : group;
    for (uint32_t i = 0; i < INPUTS; i++)
        j.in[i] = owned_input(call, i);
    j.in[W] = transposed(j.in[W], j.dirs, rows, k.input);
    j.in[R] = transposed(j.in[R], j.dirs, rows, k.hidden);
    j.from_x = pf_rows_new(group * j.seq * rows);
    j.states = pf_rows_new(group * (rows + 3 * k.hidden));
    if (!j.in[X] || !j.in[W] || !j.in[R] || !j.from_x || !j.states)
        st = PF_FAIL_MEMORY(err, call->in[R].bytes * 2);
    for (int64_t s = 0; s < count && !st; s += group)
        run_group(&j, &k, s, s + group < count ? s + group : count, advance);
    for (uint32_t i = 0; i < INPUTS; i++)
        pf_free(j.in[i]);
    pf_free(j.from_x);
    pf_free(j.states);
    return st;
}

static pf_status reference_lstm(pf_reference_call *call, pf_err *err) { return run(call, 4, 3, step_lstm, err); }
static pf_status reference_gru(pf_reference_call *call, pf_err *err) { return run(call, 3, 2, step_gru, err); }
static pf_status reference_rnn(pf_reference_call *call, pf_err *err) { return run(call, 1, 1, step_rnn, err); }

const pf_op_def pf_op_lstm = {
    .name = "lstm", .klass = PF_CLASS_ANCHOR, .in_min = 3, .in_max = INPUTS, .out_min = 1, .out_max = 3,
    .flags = PF_OPF_RECURRENT,
    .attr_bytes = sizeof(pf_rnn_attrs), .attr_fields = fields, .infer = infer_lstm, .reference = reference_lstm,
};
const pf_op_def pf_op_gru = {
    .name = "gru", .klass = PF_CLASS_ANCHOR, .in_min = 3, .in_max = INITIAL_C, .out_min = 1, .out_max = 2,
    .flags = PF_OPF_RECURRENT,
    .attr_bytes = sizeof(pf_rnn_attrs), .attr_fields = fields, .infer = infer_gru, .reference = reference_gru,
};
const pf_op_def pf_op_rnn = {
    .name = "rnn", .klass = PF_CLASS_ANCHOR, .in_min = 3, .in_max = INITIAL_C, .out_min = 1, .out_max = 2,
    .flags = PF_OPF_RECURRENT,
    .attr_bytes = sizeof(pf_rnn_attrs), .attr_fields = fields, .infer = infer_rnn, .reference = reference_rnn,
};
