#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "engine/dim.h"
#include "tests/test.h"

enum { SYMBOLS = 4, TREE_LIMIT = 64, TREES = 3000, BINDINGS = 12 };

/* An expression as it was asked for, to be evaluated without any simplification. */
typedef enum node_kind { NUMBER, SYMBOL, ADD, SUB, MUL, FLOOR, CEIL, MOD, MIN, MAX, KINDS } node_kind;
typedef struct tree_node { node_kind kind; int64_t number; int left, right; } tree_node;
typedef struct tree { tree_node node[TREE_LIMIT]; int count; } tree;

static const char *const symbol_names[SYMBOLS] = { "batch", "seq", "h", "w" };

static int grow_tree(tree *t, pf_random *random, int depth)
{
    int       at = t->count++;
    node_kind kind = depth == 0 ? (node_kind)pf_random_below(random, 2) : (node_kind)pf_random_below(random, KINDS);
    tree_node node = { kind, 0, 0, 0 };

    if (kind == NUMBER)
        node.number = (int64_t)pf_random_below(random, 13) - 4;
    else if (kind == SYMBOL)
        node.number = (int64_t)pf_random_below(random, SYMBOLS);
    else {
        node.left = grow_tree(t, random, depth - 1);
        node.right = grow_tree(t, random, depth - 1);
    }
    t->node[at] = node;
    return at;
}

static int64_t floor_of(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

/* False where the expression divides by zero. */
static bool tree_value(const tree *t, int at, const int64_t *bindings, int64_t *out)
{
    const tree_node *node = &t->node[at];
    int64_t          a = 0, b = 0;

    if (node->kind == NUMBER || node->kind == SYMBOL) {
        *out = node->kind == NUMBER ? node->number : bindings[node->number];
        return true;
    }
    if (!tree_value(t, node->left, bindings, &a) || !tree_value(t, node->right, bindings, &b))
        return false;
    if ((node->kind == FLOOR || node->kind == CEIL || node->kind == MOD) && b == 0)
        return false;
    switch (node->kind) {
    case ADD: *out = a + b; break;
    case SUB: *out = a - b; break;
    case MUL: *out = a * b; break;
    case FLOOR: *out = floor_of(a, b); break;
    case CEIL: *out = -floor_of(-a, b); break;
    case MOD: *out = a - b * floor_of(a, b); break;
    case MIN: *out = a < b ? a : b; break;
    default: *out = a > b ? a : b; break;
    }
    return true;
}

static pf_dim tree_dim(const tree *t, int at, pf_dims *dims)
{
    const tree_node *node = &t->node[at];
    pf_dim           a = 0, b = 0;

    if (node->kind == NUMBER)
        return node->number;
    if (node->kind == SYMBOL)
        return pf_dims_symbol(dims, symbol_names[node->number]);
    a = tree_dim(t, node->left, dims);
    b = tree_dim(t, node->right, dims);
    switch (node->kind) {
    case ADD: return pf_dim_add(dims, a, b);
    case SUB: return pf_dim_sub(dims, a, b);
    case MUL: return pf_dim_mul(dims, a, b);
    case FLOOR: return pf_dim_floor_div(dims, a, b);
    case CEIL: return pf_dim_ceil_div(dims, a, b);
    case MOD: return pf_dim_mod(dims, a, b);
    case MIN: return pf_dim_min(dims, a, b);
    default: return pf_dim_max(dims, a, b);
    }
}

static void random_bindings(pf_random *random, int64_t *bindings)
{
    for (int i = 0; i < SYMBOLS; i++)
        bindings[i] = 1 + (int64_t)pf_random_below(random, 9);
}

static pf_dims *new_dims(void)
{
    pf_dims *dims = pf_dims_new();

    assert_non_null(dims);
    for (int i = 0; i < SYMBOLS; i++)
        assert_int_not_equal(pf_dims_symbol(dims, symbol_names[i]), PF_DIM_INVALID);
    return dims;
}

static void print_dim(const pf_dims *dims, pf_dim dim, pf_buf *out)
{
    pf_buf_init(out, 1 << 20);
    pf_dim_print(dims, dim, out);
    assert_false(out->failed);
}

static void test_values(void **state)
{
    pf_random random;
    pf_dims  *dims = new_dims();
    int       compared = 0;

    (void)state;
    pf_random_init(&random, 1);
    for (int i = 0; i < TREES; i++) {
        tree   t = { .count = 0 };
        int    root = grow_tree(&t, &random, 3);
        pf_dim dim = tree_dim(&t, root, dims);

        for (int j = 0; j < BINDINGS; j++) {
            int64_t bindings[SYMBOLS], want = 0, got = 0;
            pf_err  err = { 0 };

            random_bindings(&random, bindings);
            if (!tree_value(&t, root, bindings, &want))
                continue;
            /* only where a divisor is the number 0 after simplification, which no binding survives */
            if (dim == PF_DIM_INVALID)
                fail_msg("tree %d has the value %lld but its dim is invalid", i, (long long)want);
            test_ok(pf_dim_eval(dims, dim, bindings, &got, &err), &err);
            if (got != want) {
                pf_buf text;

                print_dim(dims, dim, &text);
                fail_msg("tree %d is %lld, but its dim %s is %lld", i, (long long)want, (char *)text.data,
                         (long long)got);
            }
            compared++;
        }
    }
    assert_true(compared > TREES * BINDINGS / 2);
    pf_dims_free(dims);
}

static void test_round_trip(void **state)
{
    pf_random random;
    pf_dims  *dims = new_dims(), *other = pf_dims_new();

    (void)state;
    assert_non_null(other);
    pf_random_init(&random, 2);
    for (int i = 0; i < TREES; i++) {
        tree   t = { .count = 0 };
        pf_dim dim = tree_dim(&t, grow_tree(&t, &random, 3), dims), back = 0, far = 0;
        pf_buf text, far_text;
        pf_err err = { 0 };

        if (dim == PF_DIM_INVALID)
            continue;
        print_dim(dims, dim, &text);
        test_ok(pf_dim_parse(dims, (char *)text.data, &back, &err), &err);
        if (back != dim)
            fail_msg("%s reads back as another dim", (char *)text.data);
        far = pf_dim_translate(dims, dim, other);
        assert_int_not_equal(far, PF_DIM_INVALID);
        print_dim(other, far, &far_text);
        test_ok(pf_dim_parse(dims, (char *)far_text.data, &back, &err), &err);
        for (int j = 0; j < BINDINGS; j++) {
            int64_t bindings[SYMBOLS], want = 0, got = 0;

            random_bindings(&random, bindings);
            if (!pf_dim_eval(dims, dim, bindings, &want, NULL) && !pf_dim_eval(dims, back, bindings, &got, NULL))
                assert_int_equal(got, want);
        }
        pf_buf_clear(&text);
        pf_buf_clear(&far_text);
    }
    pf_dims_free(dims);
    pf_dims_free(other);
}

static void test_ranges(void **state)
{
    pf_random random;
    pf_dims  *dims = new_dims();

    (void)state;
    pf_random_init(&random, 3);
    for (int i = 0; i < TREES; i++) {
        tree    t = { .count = 0 };
        pf_dim  dim = tree_dim(&t, grow_tree(&t, &random, 3), dims);
        int64_t low[SYMBOLS], high[SYMBOLS], least = 0, greatest = 0;
        pf_err  err = { 0 };

        if (dim == PF_DIM_INVALID)
            continue;
        random_bindings(&random, low);
        for (int s = 0; s < SYMBOLS; s++)
            high[s] = low[s] + (int64_t)pf_random_below(&random, 5);
        test_ok(pf_dim_range(dims, dim, low, high, &least, &greatest, &err), &err);
        for (int j = 0; j < BINDINGS; j++) {
            int64_t bindings[SYMBOLS], value = 0;

            for (int s = 0; s < SYMBOLS; s++)
                bindings[s] = low[s] + (int64_t)pf_random_below(&random, (uint64_t)(high[s] - low[s] + 1));
            if (pf_dim_eval(dims, dim, bindings, &value, NULL))
                continue;
            assert_true(least <= value && value <= greatest);
        }
    }
    pf_dims_free(dims);
}

/* The same polynomial, its products and sums taken in another order, is the same handle. */
static void test_equal_is_same_handle(void **state)
{
    static const struct { const char *a, *b; } rows[] = {
        { "batch*seq + 1", "1 + seq*batch" },
        { "(batch + seq)*(batch - seq)", "batch*batch - seq*seq" },
        { "floor(batch*seq*64/(seq*16))", "4*batch" },
        { "floor(seq*12/12)", "seq" },
        { "floor((2*h + 2)/4)", "floor((h + 1)/2)" },
        { "floor((h + 2*3 - 7)/2) + 1", "floor((h + 1)/2)" },
        { "floor((floor((h + 1)/2) + 1)/2)", "floor((h + 3)/4)" },
        { "ceil(h/2)", "floor((h + 1)/2)" },
        { "mod(seq, 1)", "0" },
        { "mod(8*seq + 3, 8)", "3" },
        { "max(seq, 1)", "seq" },
        { "min(seq + 3, seq)", "seq" },
        { "max(batch, seq)", "max(seq, batch)" },
        { "floor((seq*batch + batch - 1)/batch)", "seq + floor((batch - 1)/batch)" },
        { "floor((batch - 1)/batch)", "0" },
        { "floor((h*w - w*h + 5)/2)", "2" },
        { "'odd name' - 'odd name'", "0" },
        /* What is padded to a multiple of 7 is a multiple of 7 from 7 on. */
        { "h + mod(7 - mod(h, 7), 7)", "7*floor((h + 6)/7)" },
        { "h - floor(6*h/7)", "ceil(h/7)" },
        { "floor((5*h - 2*w + 3)/8)", "h - floor((3*h + 2*w + 4)/8)" },
        { "floor((7*h + 4*w)/8)", "h + w - floor((h + 4*w + 7)/8)" },
        { "max(0, 7*floor((h + 6)/7) - 7)", "7*floor((h + 6)/7) - 7" },
        { "min(7, 7*h - 7*floor(6*h/7))", "7" },
        { "max(mod(h, 7), 0)", "mod(h, 7)" },
        { "min(mod(h, 7), 6)", "mod(h, 7)" },
        { "floor(mod(h, 7)/7)", "0" },
        { "max(h - 2*floor(h/2) + 2*floor(w/2), w - 1)", "h - 2*floor(h/2) + 2*floor(w/2)" },
        /* an even number of patches: h/4 and one more where that is odd */
        { "min(2, floor((h + 4)/4) + mod(floor((h + 4)/4), 2))", "2" },
        { "min(7, 7*floor((floor((h + 4)/4) + mod(floor((h + 4)/4), 2) + 5)/7))", "7" },
    };
    pf_dims *dims = new_dims();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pf_dim a = 0, b = 0;
        pf_err err = { 0 };

        test_ok(pf_dim_parse(dims, rows[i].a, &a, &err), &err);
        test_ok(pf_dim_parse(dims, rows[i].b, &b, &err), &err);
        if (a != b)
            fail_msg("\"%s\" and \"%s\" should be one dim", rows[i].a, rows[i].b);
    }
    pf_dims_free(dims);
}

/* The text does not depend on the order in which symbols were made. */
static void test_text_is_canonical(void **state)
{
    pf_dims *dims = pf_dims_new();
    pf_dim   dim = 0;
    pf_buf   text;
    pf_err   err = { 0 };

    (void)state;
    (void)pf_dims_symbol(dims, "zebra");
    test_ok(pf_dim_parse(dims, "1 + zebra*3*ant - ant*2 + max(zebra,ant) - floor((ant+zebra)/2)", &dim, &err), &err);
    print_dim(dims, dim, &text);
    assert_string_equal((char *)text.data, "3*ant*zebra + max(ant,zebra) - 2*ant - floor((ant + zebra)/2) + 1");
    pf_buf_clear(&text);
    pf_dims_free(dims);
}

static void test_overflow(void **state)
{
    pf_dims *dims = new_dims();
    pf_dim   n = pf_dims_symbol(dims, "batch"), huge = INT64_MAX;
    pf_dim   wide = 1;
    int64_t  value = 0, bindings[SYMBOLS] = { INT64_C(1) << 40, 1, 1, 1 };
    pf_err   err = { 0 };

    (void)state;
    assert_int_equal(pf_dim_add(dims, huge, 1), PF_DIM_INVALID);
    assert_int_equal(pf_dim_mul(dims, huge, 2), PF_DIM_INVALID);
    assert_int_equal(pf_dim_mul(dims, pf_dim_mul(dims, n, huge), 2), PF_DIM_INVALID);
    assert_int_equal(pf_dim_floor_div(dims, n, 0), PF_DIM_INVALID);
    assert_int_equal(pf_dim_floor_div(dims, n, pf_dim_sub(dims, n, n)), PF_DIM_INVALID);
    assert_int_equal(pf_dim_add(dims, PF_DIM_INVALID, 1), PF_DIM_INVALID);
    assert_int_equal(pf_dim_max(dims, PF_DIM_INVALID, n), PF_DIM_INVALID);
    test_fails(pf_dim_eval(dims, pf_dim_mul(dims, n, n), bindings, &value, &err), PF_INVALID, &err);
    test_fails(pf_dim_eval(dims, PF_DIM_INVALID, bindings, &value, &err), PF_INVALID, &err);
    bindings[0] = INT64_MIN;
    test_fails(pf_dim_eval(dims, n, bindings, &value, &err), PF_INVALID, &err);
    for (int i = 0; i < 200 && wide != PF_DIM_INVALID; i++)      /* expressions do not grow without end */
        wide = pf_dim_add(dims, pf_dim_mul(dims, wide, pf_dim_add(dims, n, i)), pf_dims_fresh(dims, "x"));
    assert_int_equal(wide, PF_DIM_INVALID);
    pf_dims_free(dims);
}

static void test_parse_refuses(void **state)
{
    static const char *const texts[] = { "", "+", "3 +", "floor(h)", "floor(h/0)", "max(h)", "(h", "h)", "h w",
                                         "99999999999999999999", "'h", "mod(h,0)", "-" };
    pf_dims *dims = new_dims();

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        pf_dim    dim = 0;
        pf_err    err = { 0 };
        pf_status st = pf_dim_parse(dims, texts[i], &dim, &err);

        if (!st)
            fail_msg("\"%s\" was accepted", texts[i]);
        test_fails(st, PF_INVALID, &err);
        assert_int_equal(dim, PF_DIM_INVALID);
    }
    pf_dims_free(dims);
}

static void test_fresh_and_scopes(void **state)
{
    pf_dims       *dims = new_dims();
    pf_dims_scope  scope = { 0 }, *before = NULL;
    pf_dim         first = 0, second = 0;
    uint32_t       symbols = 0;

    (void)state;
    assert_int_not_equal(pf_dims_fresh(dims, "seq"), pf_dims_symbol(dims, "seq"));
    assert_string_equal(pf_dims_symbol_name(dims, SYMBOLS), "seq_2");
    before = pf_dims_scope_enter(dims, &scope);
    first = pf_dims_fresh(dims, "found");
    second = pf_dims_fresh(dims, "found");
    pf_dims_scope_leave(dims, before);
    assert_int_not_equal(first, second);
    symbols = pf_dims_symbol_count(dims);
    before = pf_dims_scope_enter(dims, &scope);
    assert_int_equal(pf_dims_fresh(dims, "found"), first);
    assert_int_equal(pf_dims_fresh(dims, "found"), second);
    pf_dims_scope_leave(dims, before);
    assert_int_equal(pf_dims_symbol_count(dims), symbols);
    /* What data decides may be 0, so it is not simplified away. */
    assert_int_not_equal(pf_dim_max(dims, first, 1), first);
    pf_free(scope.symbols);
    pf_dims_free(dims);
}

static void test_bind(void **state)
{
    pf_dims *dims = new_dims();
    pf_dim   twice = 0, product = 0;
    int64_t  bindings[SYMBOLS] = { INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN };
    pf_err   err = { 0 };

    (void)state;
    test_ok(pf_dim_parse(dims, "2*seq + 1", &twice, &err), &err);
    test_ok(pf_dim_parse(dims, "seq*batch", &product, &err), &err);
    test_fails(pf_dim_bind(dims, product, 12, bindings, &err), PF_UNSUPPORTED, &err);
    test_fails(pf_dim_bind(dims, twice, 8, bindings, &err), PF_MISMATCH, &err);
    test_fails(pf_dim_bind(dims, twice, -5, bindings, &err), PF_MISMATCH, &err);
    pf_dims_bound(dims, 1, 1, 5);
    assert_int_equal(pf_dim_bind(dims, twice, 13, bindings, &err), PF_MISMATCH);
    assert_non_null(strstr(err.msg, "would be 6, and it may be 1 to 5"));
    err = (pf_err){ 0 };
    test_ok(pf_dim_bind(dims, twice, 7, bindings, &err), &err);
    assert_int_equal(bindings[1], 3);
    test_fails(pf_dim_bind(dims, twice, 9, bindings, &err), PF_MISMATCH, &err);
    test_fails(pf_dim_bind(dims, 4, 5, bindings, &err), PF_MISMATCH, &err);
    pf_dims_free(dims);
}

static void test_copy(void **state)
{
    pf_random random;
    pf_dims  *dims = new_dims(), *copy = NULL;
    pf_dim    made[200];

    (void)state;
    pf_random_init(&random, 4);
    for (int i = 0; i < 200; i++) {
        tree t = { .count = 0 };

        made[i] = tree_dim(&t, grow_tree(&t, &random, 3), dims);
    }
    copy = pf_dims_copy(dims);
    assert_non_null(copy);
    for (int i = 0; i < 200; i++) {
        int64_t bindings[SYMBOLS], want = 0, got = 0;

        random_bindings(&random, bindings);
        if (made[i] == PF_DIM_INVALID || pf_dim_eval(dims, made[i], bindings, &want, NULL))
            continue;
        assert_int_equal(pf_dim_eval(copy, made[i], bindings, &got, NULL), PF_OK);
        assert_int_equal(got, want);
        assert_int_equal(pf_dim_translate(dims, made[i], copy), made[i]);
    }
    pf_dims_free(dims);
    assert_int_equal(pf_dims_symbol(copy, "seq"), pf_dim_add(copy, pf_dims_symbol(copy, "seq"), 0));
    pf_dims_free(copy);
}

static int64_t least_of(pf_dims *dims, const char *name)
{
    int64_t least = 0, greatest = 0;

    pf_dims_symbol_range(dims, pf_dims_symbol_index(dims, name), &least, &greatest);
    return least;
}

/* What a size that has to be there says of the symbol that it grows with. */
static void test_need(void **state)
{
    static const struct { const char *dim; int64_t least, h; } rows[] = {
        { "h", 1, 1 }, { "floor(h/4)", 1, 4 }, { "h - 7", 0, 7 }, { "floor((floor((h - 10)/5) - 3)/2)", 0, 25 },
        { "min(h, 12)", 12, 12 }, { "min(h, 12)", 13, 1 }, { "8 - h", 0, 1 }, { "h*w", 100, 1 }, { "h*h", 100, 1 },
        { "h - 2*floor(h/2)", 1, 1 }, { "max(h, 2*h - 9)", 11, 10 }, { "h - 1099511627776", 0, 1 }, { "3", 4, 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pf_dims *dims = new_dims();
        pf_dim   dim = 0;
        pf_err   err = { 0 };

        test_ok(pf_dim_parse(dims, rows[i].dim, &dim, &err), &err);
        pf_dims_need(dims, dim, rows[i].least);
        if (least_of(dims, "h") != rows[i].h)
            fail_msg("%s of at least %lld needs h from %lld", rows[i].dim, (long long)rows[i].least,
                     (long long)least_of(dims, "h"));
        pf_dims_free(dims);
    }
}

/* What data decides may be 0: nothing is said of it. */
static void test_need_of_found(void **state)
{
    pf_dims *dims = new_dims();
    pf_dim   found = pf_dims_fresh(dims, "found");

    (void)state;
    pf_dims_need(dims, pf_dim_sub(dims, found, 3), 0);
    assert_int_equal(least_of(dims, "found"), 0);
    pf_dims_need(dims, PF_DIM_INVALID, 0);
    pf_dims_free(dims);
}

static void test_exact_division(void **state)
{
    static const struct { const char *a, *b, *quotient; } rows[] = {
        { "batch*h - batch*w", "h - w", "batch" }, { "batch*w - batch*h", "h - w", "-batch" }, { "0", "h", "0" },
        { "12*h", "-4", "-3*h" }, { "h", "2", NULL }, { "h", "0", NULL }, { "batch*h - w", "h - w", NULL },
    };
    pf_dims *dims = new_dims();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pf_dim a = 0, b = 0, quotient = PF_DIM_INVALID;
        pf_err err = { 0 };

        test_ok(pf_dim_parse(dims, rows[i].a, &a, &err), &err);
        test_ok(pf_dim_parse(dims, rows[i].b, &b, &err), &err);
        if (rows[i].quotient)
            test_ok(pf_dim_parse(dims, rows[i].quotient, &quotient, &err), &err);
        assert_int_equal(pf_dim_exact_div(dims, a, b), quotient);
    }
    pf_dims_free(dims);
}

static void test_shapes(void **state)
{
    static const struct { const char *a, *b, *out; pf_status status; } rows[] = {
        { "[2,3]", "[3]", "[2,3]", PF_OK },
        { "[batch,1,seq]", "[4,1]", "[batch,4,seq]", PF_OK },
        { "[batch,3]", "[5,3]", "[5,3]", PF_OK },
        { "[batch,3]", "[1,1]", "[batch,3]", PF_OK },
        { "[]", "[batch]", "[batch]", PF_OK },
        { "[?]", "[3]", "[?]", PF_OK },
        { "[2,3]", "[4,3]", "", PF_INVALID },
        { "[batch,3]", "[seq,3]", "[seq,3]", PF_OK },
        { "[2*floor(h/2)]", "[h]", "[h]", PF_OK },
    };
    pf_dims *dims = new_dims();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pf_shape  a, b, out;
        pf_err    err = { 0 };
        pf_buf    text;
        pf_status st = PF_OK;

        test_ok(pf_shape_parse(dims, rows[i].a, &a, &err), &err);
        test_ok(pf_shape_parse(dims, rows[i].b, &b, &err), &err);
        st = pf_shape_broadcast(dims, &a, &b, &out, &err);
        if (rows[i].status) {
            test_fails(st, rows[i].status, &err);
            continue;
        }
        test_ok(st, &err);
        pf_buf_init(&text, 1000);
        pf_shape_print(dims, &out, &text);
        assert_string_equal((char *)text.data, rows[i].out);
        pf_buf_clear(&text);
    }
    pf_dims_free(dims);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),           cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_equal_is_same_handle), cmocka_unit_test(test_text_is_canonical),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_parse_refuses),    cmocka_unit_test(test_fresh_and_scopes), cmocka_unit_test(test_bind),
        cmocka_unit_test(test_copy),             cmocka_unit_test(test_shapes),       cmocka_unit_test(test_need),
        cmocka_unit_test(test_need_of_found),    cmocka_unit_test(test_exact_division),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
