/* Running a program over lanes. */
#include <omp.h>
#include <string.h>

#include "engine/lane_program.h"

enum { LANE_BYTES = 8, ALIGNMENT = 64, SERIAL_WORK = 1 << 15 };

/* How the result is cut: chunks of `rows` whole rows, or of one row's part. */
typedef struct cut {
    int64_t rows, columns;              /* of a full chunk */
    int64_t row_chunks, column_chunks, chunks;
} cut;

static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

static cut cut_of(const pf_lane_program *x)
{
    int64_t columns = x->dim[x->rank - 1], rows = x->dim[x->rank - 2], outer = 1;
    cut     c = { 1, columns < x->run ? columns : x->run, 0, 0, 0 };

    for (int32_t d = 0; d < x->rank - 2; d++)
        outer *= x->dim[d];
    if (columns > 0 && columns <= x->run / 2)
        c.rows = x->run / columns < rows ? x->run / columns : rows;
    if (c.columns < 1 || c.rows < 1)
        return (cut){ 1, 1, 0, 0, 0 };          /* nothing to do */
    c.row_chunks = divide_up(rows, c.rows);
    c.column_chunks = divide_up(columns, c.columns);
    c.chunks = outer * c.row_chunks * c.column_chunks;
    return c;
}

/* One chunk: where it begins in the result, and in the first dims. */
typedef struct chunk {
    int64_t rows, columns;
    int64_t index[PF_LANE_RANK];        /* of its first element */
    int64_t at;                         /* that element's place in the result */
} chunk;

static chunk chunk_of(const pf_lane_program *x, const cut *c, int64_t number)
{
    int64_t column = number % c->column_chunks * c->columns, row = number / c->column_chunks % c->row_chunks * c->rows;
    int64_t rest = number / c->column_chunks / c->row_chunks;
    chunk   out = { .rows = c->rows, .columns = c->columns };

    if (out.rows > x->dim[x->rank - 2] - row)
        out.rows = x->dim[x->rank - 2] - row;
    if (out.columns > x->dim[x->rank - 1] - column)
        out.columns = x->dim[x->rank - 1] - column;
    out.index[x->rank - 1] = column;
    out.index[x->rank - 2] = row;
    out.at = (rest * x->dim[x->rank - 2] + row) * x->dim[x->rank - 1] + column;
    for (int32_t d = x->rank - 3; d >= 0; d--) {
        out.index[d] = rest % x->dim[d];
        rest /= x->dim[d];
    }
    return out;
}

/* What a thread keeps: its registers, and what was last read into those of operands that are not used where they
   lie. */
typedef struct lane_thread {
    char   *memory;
    void   *reg[PF_LANE_SOURCES + PF_LANE_OPS];
    int64_t last_at[PF_LANE_SOURCES], last_rows[PF_LANE_SOURCES], last_columns[PF_LANE_SOURCES];
} lane_thread;

static size_t register_bytes(const pf_lane_program *x) { return (size_t)x->run * LANE_BYTES; }

static size_t element_bytes(pf_dtype dtype) { return pf_dtype_bits(dtype) / 8; }

static void *own_register(const pf_lane_program *x, const lane_thread *t, uint32_t reg)
{
    return t->memory + reg * register_bytes(x);
}

static void *lane_at(pf_dtype dtype, void *lanes, int64_t i)
{
    return (char *)lanes + i * (pf_lanes_is_float(dtype) ? (int64_t)sizeof(float) : (int64_t)sizeof(int64_t));
}

static void fill_lanes(pf_dtype dtype, void *lanes, int64_t count)
{
    if (pf_lanes_is_float(dtype))
        for (int64_t i = 1; i < count; i++)
            ((float *)lanes)[i] = ((float *)lanes)[0];
    else
        for (int64_t i = 1; i < count; i++)
            ((int64_t *)lanes)[i] = ((int64_t *)lanes)[0];
}

static void read_rows(const pf_lane_source *s, const char *data, int64_t row_step, int64_t column_step, int64_t rows,
                      int64_t columns, void *lanes)
{
    for (int64_t r = 0; r < rows; r++) {
        const char *row = data + r * row_step * (int64_t)element_bytes(s->dtype);
        void       *to = lane_at(s->dtype, lanes, r * columns);

        pf_lanes_read(s->dtype, row, column_step, column_step ? columns : 1, to);
        if (!column_step)
            fill_lanes(s->dtype, to, columns);
    }
}

/* Makes the operand's lanes of this chunk available in its register: by pointing at them where they lie so already. */
static void load(const pf_lane_program *x, lane_thread *t, uint32_t i, const chunk *c, void *const *in)
{
    const pf_lane_source *s = &x->sources[i];
    int64_t               row_step = s->stride[x->rank - 2], column_step = s->stride[x->rank - 1], at = 0;
    const char           *data = s->input == UINT32_MAX ? s->data : in[s->input];
    bool                  dense = (column_step == 1 || c->columns == 1) && (row_step == c->columns || c->rows == 1);

    for (int32_t d = 0; d < x->rank; d++)
        at += c->index[d] * s->stride[d];
    data += at * (int64_t)element_bytes(s->dtype);
    if (dense && pf_lanes_are_elements(s->dtype)) {
        t->reg[i] = (void *)(uintptr_t)data;
        return;
    }
    if (t->last_at[i] == at && t->last_rows[i] == c->rows && t->last_columns[i] == c->columns)
        return;
    t->reg[i] = own_register(x, t, i);
    if (dense)
        pf_lanes_read(s->dtype, data, 1, c->rows * c->columns, t->reg[i]);
    else
        read_rows(s, data, row_step, column_step, c->rows, c->columns, t->reg[i]);
    t->last_at[i] = at, t->last_rows[i] = c->rows, t->last_columns[i] = c->columns;
}

static void run_chunk(const pf_lane_program *x, lane_thread *t, const chunk *c, void *const *in, void *const *out)
{
    int64_t count = c->rows * c->columns;

    for (uint32_t i = 0; i < x->source_count; i++)
        load(x, t, i, c, in);
    for (uint32_t i = 0; i < x->output_count; i++)      /* results go to memory at once where lanes are elements */
        if (x->outputs[i].reg >= x->source_count && pf_lanes_are_elements(x->outputs[i].dtype))
            t->reg[x->outputs[i].reg] = (char *)out[i] + c->at * (int64_t)element_bytes(x->outputs[i].dtype);
    for (uint32_t i = 0; i < x->op_count; i++) {
        const pf_lane_op *op = &x->ops[i];

        op->run(t->reg[op->y], t->reg[op->a], t->reg[op->b], t->reg[op->c], op->p, op->q, count);
    }
    for (uint32_t i = 0; i < x->output_count; i++) {
        const pf_lane_output *o = &x->outputs[i];
        char                 *to = (char *)out[i] + c->at * (int64_t)element_bytes(o->dtype);

        if (to != t->reg[o->reg])
            pf_lanes_write(o->dtype, to, count, t->reg[o->reg]);
    }
}

static void thread_init(const pf_lane_program *x, lane_thread *t, char *memory)
{
    t->memory = memory;
    for (uint32_t i = 0; i < x->register_count; i++)
        t->reg[i] = own_register(x, t, i);
    for (uint32_t i = 0; i < x->source_count; i++)
        t->last_at[i] = -1;
}

static size_t thread_bytes(const pf_lane_program *x)
{
    return (x->register_count * register_bytes(x) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t pf_lane_program_workspace(const pf_lane_program *program, int32_t threads)
{
    return thread_bytes(program) * (size_t)threads;
}

static void run_range(const pf_lane_program *x, const cut *c, int64_t from, int64_t to, void *const *in,
                      void *const *out, char *memory)
{
    lane_thread t;

    thread_init(x, &t, memory);
    for (int64_t i = from; i < to; i++) {
        chunk one = chunk_of(x, c, i);

        run_chunk(x, &t, &one, in, out);
    }
}

void pf_lane_program_run(const pf_lane_program *program, void *const *in, void *const *out, void *workspace,
                         int32_t threads)
{
    cut     c = cut_of(program);
    int64_t work = c.chunks * c.rows * c.columns * (program->op_count + program->source_count);

    if (threads <= 1 || work < SERIAL_WORK || c.chunks < 2) {
        run_range(program, &c, 0, c.chunks, in, out, workspace);
        return;
    }
#pragma omp parallel num_threads(threads)
    {
        int64_t me = omp_get_thread_num(), all = omp_get_num_threads();

        run_range(program, &c, c.chunks * me / all, c.chunks * (me + 1) / all, in, out,
                  (char *)workspace + (size_t)me * thread_bytes(program));
    }
}
