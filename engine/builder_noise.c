#include "engine/builder_noise.h"

#include <float.h>
#include <math.h>

#include "base/alloc.h"
#include "base/random.h"
#include "engine/op.h"
#include "engine/ops/rows.h"

/* A block's draws are its own, so that threads may share a tensor. */
enum { CHUNK = 512, BLOCK_ELEMS = 1 << 16 };

/* Of sums in FP32, relative to the largest value of the tensor: about a thousand terms of its size. */
#define SUM_ERROR      0x1p-20
#define SAFETY         3        /* a run is one draw of many */
#define GREATEST_NOISE 0.25     /* of the range: beyond it the comparison would show nothing */

/* Half a unit in the last place, doubled since values are rounded more than once. */
static const struct { pf_dtype dtype; double unit; } units[] = {
    { PF_F8E5M2, 0x1p-2 }, { PF_F8E4M3FN, 0x1p-3 }, { PF_BF16, 0x1p-8 }, { PF_F16, 0x1p-11 }, { PF_F32, 0x1p-24 },
};

#define TF32_UNIT  0x1p-11
#define PARTS_UNIT 0x1p-16      /* two of BF16 */

static double coarsest_unit(const pf_graph *graph, double unit)
{
    for (uint32_t v = 0; v < graph->value_count; v++)
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
            if (graph->values[v].dtype == units[i].dtype && units[i].unit > unit)
                unit = units[i].unit;
    return unit;
}

typedef struct shake { uint64_t tensors_drawn, seed; double unit; } shake;

static double largest_of(const double *numbers, int64_t count)
{
    double most = 0;

    for (int64_t i = 0; i < count; i++) {
        double size = fabs(numbers[i]);

        most = size > most && size <= DBL_MAX ? size : most;
    }
    return most;
}

static double largest(const pf_tensor *tensor, int64_t count)
{
    double most = 0;

#pragma omp parallel for schedule(static) reduction(max : most) if (count > BLOCK_ELEMS)
    for (int64_t at = 0; at < count; at += CHUNK) {
        int64_t n = count - at < CHUNK ? count - at : CHUNK;
        double  numbers[CHUNK], here = 0;

        pf_rows_read(tensor->dtype, tensor->data, at, 1, n, numbers);
        here = largest_of(numbers, n);
        most = here > most ? here : most;
    }
    return most;
}

/* Whole numbers are left alone: as sizes and positions they are exact in every program. */
static void shake_block(const pf_tensor *tensor, int64_t begin, int64_t end, double unit, double sum_error,
                        pf_random random)
{
    for (int64_t at = begin; at < end; at += CHUNK) {
        int64_t n = end - at < CHUNK ? end - at : CHUNK;
        double  numbers[CHUNK];

        pf_rows_read(tensor->dtype, tensor->data, at, 1, n, numbers);
        for (int64_t i = 0; i < n; i++) {
            double number = numbers[i];
            double error = (fabs(number) * unit + sum_error) * (2 * pf_random_unit(&random) - 1);

            if (number != rint(number) && isfinite(number))
                numbers[i] = number + error;
        }
        pf_rows_write(tensor->dtype, tensor->data, at, n, numbers);
    }
}

static void shake_value(void *user, pf_value_id value, pf_tensor *tensor)
{
    shake  *s = user;
    int64_t count = tensor->rank >= 0 && tensor->owned && pf_dtype_is_float(tensor->dtype)
                        ? pf_tensor_elems(tensor) : 0;
    int64_t blocks = (count + BLOCK_ELEMS - 1) / BLOCK_ELEMS;
    double  sum_error = SUM_ERROR * largest(tensor, count);

    (void)value;
#pragma omp parallel for schedule(static) if (blocks > 1)
    for (int64_t block = 0; block < blocks; block++) {
        int64_t   begin = block * BLOCK_ELEMS, end = begin + BLOCK_ELEMS < count ? begin + BLOCK_ELEMS : count;
        pf_random random;

        pf_random_init(&random, s->seed << 60 ^ s->tensors_drawn << 32 ^ (uint64_t)block);
        shake_block(tensor, begin, end, s->unit, sum_error, random);
    }
    s->tensors_drawn++;
}

static double deviation(const pf_tensor *test, const pf_tensor *reference, double most_abs, double most_relative)
{
    int64_t count = pf_tensor_elems(reference);
    double  sum = 0;

    for (int64_t i = 0; i < count; i++) {
        double difference = pf_dtype_get(test->dtype, test->data, (uint64_t)i) -
                            pf_dtype_get(reference->dtype, reference->data, (uint64_t)i);

        sum += isfinite(difference) ? difference * difference : 0;
    }
    return most_abs > 0 ? sqrt(sum / (double)count) / most_abs * most_relative : 0;
}

/* False where there is nothing to measure. */
static bool measure(const pf_tensor *test, const pf_tensor *reference, pf_noise *out)
{
    pf_difference difference = { 0 };

    *out = (pf_noise){ 0, 0 };
    if (reference->rank < 0 || reference->dtype == PF_STRING || !pf_tensor_same_shape(test, reference) ||
        test->dtype != reference->dtype)
        return false;
    if (pf_tensor_compare(test, reference, &difference, NULL) || difference.nan_count || difference.inf_count)
        return false;
    out->most = difference.max_rel_range;
    out->deviation = deviation(test, reference, difference.max_abs, difference.max_rel_range);
    return true;
}

static pf_status run_shaken(const pf_graph *graph, const pf_oracle *oracle, shake *s, pf_tensor *outputs,
                            pf_noise *noise, pf_err *err)
{
    pf_status st = pf_interpret(graph, oracle->in, outputs, shake_value, s, err);

    for (uint32_t i = 0; i < graph->output_count && !st; i++) {
        pf_noise one = { 0 };

        if (measure(&outputs[i], &oracle->out[i], &one))
            noise[i] = (pf_noise){ fmax(noise[i].most, one.most), fmax(noise[i].deviation, one.deviation) };
        pf_tensor_clear(&outputs[i]);
    }
    return st;
}

pf_status pf_builder_noise_more(const pf_graph *graph, const pf_graph *lowered, uint32_t numerics,
                                const pf_oracle *oracle, uint32_t run, pf_noise *noise, pf_err *err)
{
    shake      s = { .seed = run + 1, .unit = coarsest_unit(lowered, coarsest_unit(graph, 0)) };
    pf_tensor *outputs = pf_calloc(graph->output_count + 1, sizeof *outputs);
    pf_status  st = outputs ? PF_OK : PF_FAIL_MEMORY(err, graph->output_count * sizeof *outputs);

    if ((numerics & PF_NUMERICS_TF32) && s.unit < TF32_UNIT)
        s.unit = TF32_UNIT;
    if ((numerics & PF_NUMERICS_BF16_PARTS) && s.unit < PARTS_UNIT)
        s.unit = PARTS_UNIT;
    if (!st)
        st = run_shaken(graph, oracle, &s, outputs, noise, err);
    pf_free(outputs);
    return st;
}

pf_status pf_builder_noise(const pf_graph *graph, const pf_graph *lowered, uint32_t numerics, const pf_oracle *oracle,
                           pf_noise *noise, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < graph->output_count; i++)
        noise[i] = (pf_noise){ 0, 0 };
    for (uint32_t run = 0; run < PF_NOISE_RUNS && !st; run++)
        st = pf_builder_noise_more(graph, lowered, numerics, oracle, run, noise, err);
    return st;
}

bool pf_builder_is_noise(const pf_tensor *test, const pf_tensor *reference, const pf_noise *noise)
{
    pf_noise found = { 0 };

    return measure(test, reference, &found) && found.most <= SAFETY * noise->most &&
           found.deviation <= SAFETY * noise->deviation;
}

bool pf_builder_within_noise(const pf_tensor *test, const pf_tensor *reference, const pf_noise *noise)
{
    pf_noise found = { 0 };

    return pf_builder_is_noise(test, reference, noise) && measure(test, reference, &found) &&
           found.most <= GREATEST_NOISE;
}
