#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "engine/ops/matrices.h"
#include "engine/ops/product.h"
#include "tests/unit/engine/tensors.h"

/* A float in each double, so that products are exact. */
static double *floats_of(int64_t count, uint64_t seed)
{
    double   *out = pf_calloc((size_t)count, sizeof *out);
    pf_random random = { 0 };

    assert_non_null(out);
    pf_random_init(&random, seed);
    for (int64_t i = 0; i < count; i++)
        out[i] = (float)pf_random_normal(&random);
    return out;
}

/* What the header promises: every element in order of k, one product and one sum at a time. */
static double element(const double *a, int64_t lda, const double *b, int64_t ldb, int64_t k, int64_t r, int64_t c)
{
    volatile double sum = 0;

    for (int64_t i = 0; i < k; i++) {
        volatile double product = a[r * lda + i] * b[i * ldb + c];

        sum += product;
    }
    return sum;
}

static void multiplies(int64_t m, int64_t n, int64_t k)
{
    double *a = floats_of(m * k, 1), *b = floats_of(k * n, 2), *plain = floats_of(m * n, 3),
           *fused = floats_of(m * n, 3);

    memset(plain, 0, (size_t)(m * n) * sizeof *plain);
    memset(fused, 0, (size_t)(m * n) * sizeof *fused);
    pf_product(m, n, k, a, k, b, n, plain, n);
    pf_product_of_floats(m, n, k, a, k, b, n, fused, n);
    for (int64_t r = 0; r < m; r++)
        for (int64_t c = 0; c < n; c++) {
            assert_true(plain[r * n + c] == element(a, k, b, n, k, r, c));
            assert_true(fused[r * n + c] == plain[r * n + c]);
        }
    pf_free(a);
    pf_free(b);
    pf_free(plain);
    pf_free(fused);
}

static void sums_are_in_order_in_whole_tiles_and_parts_of_them(void **state)
{
    static const int64_t sizes[][3] = { { 1, 1, 1 }, { 1, 40, 9 }, { 3, 17, 300 }, { 8, 16, 256 }, { 21, 35, 70 },
                                        { 34, 270, 20 } };

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        multiplies(sizes[i][0], sizes[i][1], sizes[i][2]);
}

static pf_tensor tensor_of(pf_dtype dtype, int64_t a, int64_t b, int64_t c, uint64_t seed)
{
    return random_tensor(dtype, 3, (int64_t[]){ a, b, c }, seed);
}

static double at(const pf_matrix *m, int64_t r, int64_t c)
{
    return pf_dtype_get(m->tensor->dtype, m->tensor->data,
                        (uint64_t)(m->at + (m->transposed ? c * m->rows + r : r * m->columns + c)));
}

static void check_product(const pf_matrix *a, const pf_matrix *b, const pf_tensor *y, int64_t from)
{
    for (int64_t r = 0; r < a->rows; r++)
        for (int64_t c = 0; c < b->columns; c++) {
            volatile double sum = 0;

            for (int64_t k = 0; k < a->columns; k++) {
                volatile double product = at(a, r, k) * at(b, k, c);

                sum += product;
            }
            assert_true(pf_dtype_get(y->dtype, y->data, (uint64_t)(from + r * b->columns + c)) == sum);
        }
}

/* Two matrices of `a` by two of `b`, or by one; the sizes are no multiples of any block's. */
static void multiply_matrices(pf_dtype dtype, bool trans_a, bool trans_b, bool one_b)
{
    enum { M = 37, N = 261, K = 259 };
    pf_tensor a = tensor_of(dtype, 2, M, K, 4), b = tensor_of(dtype, 2, K, N, 5), y = tensor_of(PF_F64, 2, M, N, 6);
    pf_matrix left[2] = { { &a, 0, M, K, trans_a }, { &a, M * K, M, K, trans_a } };
    pf_matrix right[2] = { { &b, 0, K, N, trans_b }, { &b, one_b ? 0 : K * N, K, N, trans_b } };

    test_ok(pf_matrices_multiply(left, right, 2, &y, NULL), NULL);
    check_product(&left[0], &right[0], &y, 0);
    check_product(&left[1], &right[1], &y, M * N);
    pf_tensor_clear(&a);
    pf_tensor_clear(&b);
    pf_tensor_clear(&y);
}

static void matrices_are_multiplied_whatever_their_order_and_type(void **state)
{
    (void)state;
    multiply_matrices(PF_F32, false, false, false);
    multiply_matrices(PF_F32, false, false, true);
    multiply_matrices(PF_F16, true, false, true);
    multiply_matrices(PF_F16, false, true, false);
    multiply_matrices(PF_F64, true, true, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_in_order_in_whole_tiles_and_parts_of_them),
        cmocka_unit_test(matrices_are_multiplied_whatever_their_order_and_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
