/* One op of the table against random inputs and attributes: whatever comes, it is refused in a sentence or computed to
   the shape that was inferred, and nothing outside of its tensors is touched (sanitizers look on).  Usage: test_ops
   NAME */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "engine/op.h"
#include "tests/test.h"

enum { TRIALS = 3000, SLOTS = 8, MOST_ELEMS = 4096 };

static const char *op_name;

static const pf_dtype common[] = { PF_F32, PF_F32, PF_F32, PF_I64, PF_I64, PF_BOOL, PF_F16, PF_I32, PF_U8, PF_I8,
                                   PF_F64, PF_BF16, PF_I4, PF_U64, PF_STRING, PF_F8E4M3FN };

static int64_t pick(pf_random *r, int64_t limit) { return (int64_t)pf_random_below(r, (uint64_t)limit); }

/* Shapes and lists that often fit together: dims come from one small set per trial, and lists have one entry per dim or
   per spatial dim. In a polite trial all inputs have one type and dims of one size, which many ops take. */
typedef struct trial {
    pf_random  random;
    pf_dim     dims[4];
    int32_t    rank, list;
    pf_dtype   dtype;
    bool       polite;
    pf_graph  *graph;
} trial;

static pf_shape polite_shape(trial *t, uint32_t slot)
{
    pf_shape shape = { .rank = slot > 1 && pick(&t->random, 2) ? 1 : t->rank };

    for (int32_t d = 0; d < shape.rank; d++)
        shape.dim[d] = t->dims[0];
    return shape;
}

static pf_shape random_shape(trial *t)
{
    pf_shape shape = { .rank = pick(&t->random, 4) ? t->rank : (int32_t)pick(&t->random, 6) };

    for (int32_t d = 0; d < shape.rank; d++)
        shape.dim[d] = pick(&t->random, 6) ? t->dims[pick(&t->random, 3)] : pick(&t->random, 5);
    if (pick(&t->random, 4) == 0 && shape.rank > 0)
        shape.rank = 1;
    return shape;
}

static int64_t random_int(pf_random *r)
{
    static const int64_t odd[] = { -1, -2, 7, 100, INT64_MAX, -INT64_MAX / 2, INT32_MAX };

    return pick(r, 8) ? pick(r, 4) : odd[pick(r, sizeof odd / sizeof *odd)];
}

static double random_double(pf_random *r)
{
    static const double odd[] = { 0, -1, 1e30, -1e30, 0.5, 1e-5 };

    return pick(r, 4) ? 0.25 * (double)(1 + pick(r, 8)) : odd[pick(r, 6)];
}

static int32_t random_count(trial *t) { return pick(&t->random, 12) ? t->list : (int32_t)pick(&t->random, 10); }

static void random_ints(trial *t, pf_ints *out)
{
    out->count = random_count(t);
    for (int32_t i = 0; i < out->count; i++)
        out->at[i] = pick(&t->random, 20) ? 1 + pick(&t->random, 2) : random_int(&t->random);
    if (pick(&t->random, 10) == 0) {        /* a permutation, when the count allows */
        out->count = t->rank;
        for (int32_t i = 0; i < out->count; i++)
            out->at[i] = t->rank - 1 - i;
    }
}

static void random_dims(trial *t, pf_dim_list *out)
{
    out->count = random_count(t);
    for (int32_t i = 0; i < out->count; i++)
        out->at[i] = pick(&t->random, 10) ? t->dims[pick(&t->random, 4)] : random_int(&t->random);
}

static void random_floats(trial *t, pf_floats *out)
{
    out->count = random_count(t);
    for (int32_t i = 0; i < out->count; i++)
        out->at[i] = random_double(&t->random);
}

static void random_field(trial *t, const pf_attr_field *field, void *at)
{
    static const char *const texts[] = { "ij,jk->ik", "...i,...i", "ij->ji", "[a-z]+", "x", "" };
    int32_t                  names = 0;

    while (field->names && field->names[names])
        names++;
    switch (field->kind) {
    case PF_ATTR_INT:    *(int64_t *)at = random_int(&t->random); break;
    case PF_ATTR_FLOAT:  *(double *)at = random_double(&t->random); break;
    case PF_ATTR_ENUM:   *(int32_t *)at = (int32_t)pick(&t->random, names); break;
    case PF_ATTR_DTYPE:  *(int32_t *)at = common[pick(&t->random, sizeof common / sizeof *common)]; break;
    case PF_ATTR_INTS:   random_ints(t, at); break;
    case PF_ATTR_DIMS:   random_dims(t, at); break;
    case PF_ATTR_FLOATS: random_floats(t, at); break;
    case PF_ATTR_STRING: *(const char **)at = texts[pick(&t->random, 6)]; break;
    case PF_ATTR_GRAPH:  break;             /* no body: has to be refused */
    }
}

/* Pads have two entries per dim, and are small. */
static void random_pads(trial *t, pf_ints *out)
{
    out->count = 2 * t->list;
    for (int32_t i = 0; i < out->count; i++)
        out->at[i] = pick(&t->random, 2);
}

static void random_attrs(trial *t, const pf_op_def *def, char *attrs)
{
    for (const pf_attr_field *field = def->attr_fields; field && field->name; field++) {
        if (pick(&t->random, 12))
            random_field(t, field, attrs + field->offset);
        if (field->kind == PF_ATTR_INTS && !strcmp(field->name, "pads") && pick(&t->random, 8))
            random_pads(t, (pf_ints *)(attrs + field->offset));
        if (field->kind == PF_ATTR_INT && pick(&t->random, 2))
            *(int64_t *)(attrs + field->offset) = 1;
    }
}

static bool small_enough(const pf_shape *shape)
{
    int64_t elems = 1;

    for (int32_t d = 0; d < shape->rank; d++) {
        if (pf_dim_is_symbolic(shape->dim[d]))
            continue;
        if (shape->dim[d] > MOST_ELEMS)
            return false;
        elems *= shape->dim[d] > 1 ? shape->dim[d] : 1;
        if (elems > MOST_ELEMS)
            return false;
    }
    return true;
}

static pf_tensor random_tensor(trial *t, const pf_value *value)
{
    pf_tensor tensor = { .dtype = value->dtype, .rank = value->shape.rank };
    pf_err    err = { 0 };

    memcpy(tensor.dim, value->shape.dim, sizeof tensor.dim);
    test_ok(pf_tensor_alloc(&tensor, &err), &err);
    for (int64_t i = 0; i < pf_tensor_elems(&tensor); i++) {
        if (tensor.dtype == PF_STRING)
            ((char **)tensor.data)[i] = pf_strdup(pick(&t->random, 2) ? "a word" : "12");
        else if (pf_dtype_is_float(tensor.dtype))
            pf_dtype_set(tensor.dtype, tensor.data, (uint64_t)i,
                         pick(&t->random, 50) ? pf_random_normal(&t->random) : NAN);
        else
            pf_dtype_set_i64(tensor.dtype, tensor.data, (uint64_t)i,
                             pick(&t->random, 6) ? pick(&t->random, 3) : random_int(&t->random));
    }
    return tensor;
}

static void run_graph(trial *t)
{
    pf_tensor in[SLOTS] = { 0 }, out[SLOTS] = { 0 };
    pf_err    err = { 0 };
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < t->graph->input_count; i++)
        in[i] = random_tensor(t, &t->graph->values[t->graph->inputs[i]]);
    st = pf_interpret(t->graph, in, out, NULL, NULL, &err);
    if (st == PF_INTERNAL || (st && !err.msg[0]))
        fail_msg("%s: %s: %s", op_name, pf_status_name(st), err.msg);
    for (int i = 0; i < SLOTS; i++) {
        pf_tensor_clear(&in[i]);
        pf_tensor_clear(&out[i]);
    }
}

static uint32_t random_inputs(trial *t, const pf_op_def *def, pf_value_id *in)
{
    uint32_t most = def->in_max > SLOTS ? SLOTS : def->in_max;
    uint32_t count = def->in_min + (most > def->in_min ? (uint32_t)pick(&t->random, most - def->in_min + 1) : 0);
    pf_err   err = { 0 };

    for (uint32_t i = 0; i < count; i++) {
        bool     same = t->polite || pick(&t->random, 3);
        pf_dtype dtype = same ? t->dtype : common[pick(&t->random, sizeof common / sizeof *common)];
        pf_shape shape = t->polite ? polite_shape(t, i) : random_shape(t);

        in[i] = PF_NONE;
        if (t->polite || pick(&t->random, 12))
            test_ok(pf_graph_add_input(t->graph, "", dtype, &shape, &in[i], &err), &err);
    }
    return count;
}

/* True when the op took the inputs. */
static bool run_trial(trial *t, pf_op_kind op)
{
    const pf_op_def *def = pf_op_def_of(op);
    pf_value_id      in[SLOTS] = { 0 }, out[SLOTS] = { 0 };
    char             attrs[2048] = { 0 };
    uint32_t         most = def->out_max > SLOTS ? SLOTS : def->out_max;
    uint32_t         in_count = random_inputs(t, def, in),
                     out_count = def->out_min + (uint32_t)pick(&t->random, most - def->out_min + 1);
    pf_err           err = { 0 };
    pf_status        st = PF_OK;

    random_attrs(t, def, attrs);
    st = pf_graph_add_node(t->graph, op, "", in, in_count, attrs, out_count, out, &err);
    if (st) {
        if (st == PF_INTERNAL || !err.msg[0])
            fail_msg("%s: %s: %s", op_name, pf_status_name(st), err.msg);
        return false;
    }
    for (uint32_t i = 0; i < out_count; i++) {
        if (!small_enough(&t->graph->values[out[i]].shape))
            return true;
        test_ok(pf_graph_add_output(t->graph, out[i], "", &err), &err);
    }
    test_ok(pf_graph_verify(t->graph, &err), &err);
    run_graph(t);
    return true;
}

static void test_op(void **state)
{
    pf_op_kind op = pf_op_from_name(op_name);
    uint32_t   taken = 0;

    (void)state;
    assert_true(op != PF_OP_NONE);
    for (uint64_t seed = 0; seed < TRIALS; seed++) {
        trial t = { 0 };

        pf_random_init(&t.random, seed);
        t.rank = 1 + (int32_t)pick(&t.random, 5);
        t.list = pick(&t.random, 2) || t.rank < 3 ? t.rank : t.rank - 2;
        t.polite = seed % 4 == 1;
        t.dtype = common[pick(&t.random, sizeof common / sizeof *common)];
        for (int i = 0; i < 4; i++)
            t.dims[i] = i > 0 && seed % 2 ? t.dims[0] : 1 + pick(&t.random, 4);     /* odd seeds: one size for all */
        t.graph = pf_graph_new("trial", NULL);
        assert_non_null(t.graph);
        taken += run_trial(&t, op);
        pf_graph_free(t.graph);
    }
    print_message("%s: %u of %d trials were legal\n", op_name, taken, TRIALS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_op) };

    if (argc != 2) {
        fprintf(stderr, "usage: test_ops NAME\n");
        return 64;
    }
    op_name = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
