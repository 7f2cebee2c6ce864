#include "engine/tensor.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "kernels/cpu_isa.h"

enum {
    TENSOR_ALIGN_BYTES = 64, IMAGE_GRID = 8, IMAGE_LEAST = 16,
    RANDOM_PART = 1 << 16,              /* elements from one generator: parts are filled by threads */
    IMAGE_PART = 1 << 18,               /* elements of images that one thread fills; fewer are not worth the leap */
    CLEAR_PART = 1 << 20,               /* bytes */
};

int64_t pf_tensor_elems(const pf_tensor *tensor)
{
    int64_t elems = 1;

    for (int32_t i = 0; i < tensor->rank; i++)
        elems *= tensor->dim[i];
    return elems;
}

pf_status pf_tensor_measure(pf_tensor *tensor, pf_err *err)
{
    int64_t  elems = 1;
    uint32_t bits = pf_dtype_bits(tensor->dtype);

    tensor->bytes = 0;
    if (tensor->rank < 0 || tensor->rank > PF_MAX_RANK)
        return PF_FAIL(err, PF_INVALID, "a tensor of rank %d: ranks are 0 to %d", tensor->rank, PF_MAX_RANK);
    if (bits == 0)
        return PF_FAIL(err, PF_INVALID, "a tensor without an element type");
    for (int32_t i = 0; i < tensor->rank; i++) {
        if (tensor->dim[i] < 0)
            return PF_FAIL(err, PF_INVALID, "dim %d of a tensor is %lld, which is negative", i,
                           (long long)tensor->dim[i]);
        if (__builtin_mul_overflow(elems, tensor->dim[i], &elems))
            return PF_FAIL(err, PF_INVALID, "a tensor has more elements than 63 bits can count");
    }
    if (elems > INT64_MAX / (int64_t)bits - 8)
        return PF_FAIL(err, PF_INVALID, "a tensor of %lld elements is larger than any memory", (long long)elems);
    tensor->bytes = pf_dtype_bytes(tensor->dtype, (uint64_t)elems);
    return PF_OK;
}

/* New pages take longer to come than to be cleared: threads ask for them. */
static void clear_bytes(uint8_t *data, size_t bytes)
{
    const int64_t parts = (int64_t)(bytes / CLEAR_PART) + 1;

#pragma omp parallel for schedule(static) if (parts > 2)
    for (int64_t i = 0; i < parts; i++)
        memset(data + i * CLEAR_PART, 0, i + 1 < parts ? CLEAR_PART : bytes % CLEAR_PART);
}

pf_status pf_tensor_alloc(pf_tensor *tensor, pf_err *err)
{
    pf_status st = pf_tensor_measure(tensor, err);
    void     *data = NULL;

    tensor->data = NULL;
    tensor->owned = false;
    if (st)
        return st;
    if (tensor->bytes > SIZE_MAX / 2)
        return PF_FAIL_MEMORY(err, tensor->bytes);
    data = pf_alloc_aligned(TENSOR_ALIGN_BYTES,
                            (tensor->bytes + TENSOR_ALIGN_BYTES) / TENSOR_ALIGN_BYTES * TENSOR_ALIGN_BYTES);
    if (!data)
        return PF_FAIL_MEMORY(err, tensor->bytes);
    pf_alloc_expect_filling(data, tensor->bytes);
    clear_bytes(data, tensor->bytes);
    tensor->data = data;
    tensor->owned = true;
    return PF_OK;
}

static void clear_strings(pf_tensor *tensor)
{
    char   **strings = tensor->data;
    int64_t  elems = pf_tensor_elems(tensor);

    for (int64_t i = 0; i < elems; i++)
        pf_free(strings[i]);
}

void pf_tensor_clear(pf_tensor *tensor)
{
    if (!tensor)
        return;
    for (int64_t i = 0; i < tensor->item_count && tensor->items; i++)
        pf_tensor_clear(&tensor->items[i]);
    pf_free(tensor->items);
    if (tensor->owned && tensor->data && tensor->dtype == PF_STRING)
        clear_strings(tensor);
    if (tensor->owned)
        pf_free(tensor->data);
    memset(tensor, 0, sizeof *tensor);
}

static pf_status copy_strings(const pf_tensor *from, pf_tensor *out, pf_err *err)
{
    const char *const *in = from->data;
    char             **strings = out->data;
    int64_t            elems = pf_tensor_elems(from);

    for (int64_t i = 0; i < elems; i++) {
        strings[i] = pf_strdup(in[i] ? in[i] : "");
        if (!strings[i])
            return PF_FAIL_MEMORY(err, 1);
    }
    return PF_OK;
}

static pf_status copy_items(const pf_tensor *from, pf_tensor *out, pf_err *err)
{
    pf_status st = PF_OK;

    if (from->item_count == 0)
        return PF_OK;
    out->items = pf_calloc((size_t)from->item_count, sizeof *out->items);
    if (!out->items)
        return PF_FAIL_MEMORY(err, (size_t)from->item_count * sizeof *out->items);
    out->item_count = from->item_count;
    for (int64_t i = 0; i < from->item_count && !st; i++)
        st = pf_tensor_copy(&from->items[i], &out->items[i], err);
    return st;
}

pf_status pf_tensor_copy(const pf_tensor *from, pf_tensor *out, pf_err *err)
{
    pf_status st = PF_OK;

    memset(out, 0, sizeof *out);
    out->dtype = from->dtype;
    out->rank = from->rank;
    memcpy(out->dim, from->dim, sizeof out->dim);
    if (from->rank < 0)
        st = copy_items(from, out, err);
    else {
        st = pf_tensor_alloc(out, err);
        if (!st && from->dtype == PF_STRING)
            st = copy_strings(from, out, err);
        else if (!st && out->bytes)
            memcpy(out->data, from->data, out->bytes);
    }
    if (st)
        pf_tensor_clear(out);
    return st;
}

bool pf_tensor_same_shape(const pf_tensor *a, const pf_tensor *b)
{
    return a->rank == b->rank && (a->rank <= 0 || !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]));
}

void pf_tensor_strides(const pf_tensor *tensor, int64_t stride[PF_MAX_RANK])
{
    int64_t step = 1;

    for (int32_t i = tensor->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= tensor->dim[i];
    }
}

/* Where pixel x of width pixels lies on a grid of IMAGE_GRID points whose ends are the first and the last pixel. */
static double grid_position(int64_t x, int64_t width) { return (double)x * (IMAGE_GRID - 1) / (double)(width - 1); }

enum { FILL_BLOCK = 256 };

static void store_values(pf_tensor *tensor, int64_t at, const double *values, int64_t count)
{
    uint32_t bits = pf_dtype_bits(tensor->dtype);

    if (bits >= 8)
        pf_dtype_convert(PF_F64, values, tensor->dtype, (char *)tensor->data + (size_t)at * (bits / 8),
                         (uint64_t)count);
    for (int64_t i = 0; i < count && bits < 8; i++)
        pf_dtype_set(tensor->dtype, tensor->data, (uint64_t)(at + i), values[i]);
}

static void fill_image_row(pf_tensor *tensor, int64_t offset, const double grid[IMAGE_GRID][IMAGE_GRID], int64_t y,
                           pf_random *random)
{
    int64_t height = tensor->dim[2], width = tensor->dim[3];
    double  values[FILL_BLOCK], at_y = grid_position(y, height);
    int     y0 = at_y >= IMAGE_GRID - 1 ? IMAGE_GRID - 2 : (int)at_y;
    double  fy = at_y - y0;

    for (int64_t from = 0, count = 0; from < width; from += count) {
        count = width - from < FILL_BLOCK ? width - from : FILL_BLOCK;
        pf_random_normals(random, count, values);
        for (int64_t i = 0; i < count; i++) {
            double at_x = grid_position(from + i, width);
            int    x0 = at_x >= IMAGE_GRID - 1 ? IMAGE_GRID - 2 : (int)at_x;
            double fx = at_x - x0;
            double top = grid[y0][x0] * (1 - fx) + grid[y0][x0 + 1] * fx;
            double bottom = grid[y0 + 1][x0] * (1 - fx) + grid[y0 + 1][x0 + 1] * fx;

            values[i] = top * (1 - fy) + bottom * fy + 0.1 * values[i];
        }
        store_values(tensor, offset + from, values, count);
    }
}

static void fill_image_plane(pf_tensor *tensor, int64_t offset, pf_random *random)
{
    double grid[IMAGE_GRID][IMAGE_GRID];

    for (int i = 0; i < IMAGE_GRID * IMAGE_GRID; i++)
        grid[i / IMAGE_GRID][i % IMAGE_GRID] = pf_random_normal(random);
    for (int64_t y = 0; y < tensor->dim[2]; y++)
        fill_image_row(tensor, offset + y * tensor->dim[3], grid, y, random);
}

/* The generator of each part: the first one's is the tensor's own. */
static void start_part(pf_random *random, uint64_t seed, int64_t part)
{
    pf_random_init(random, seed + ((uint64_t)part << 32));
}

/* Planes that one thread fills, from a generator that is as far as all planes before would have brought it. */
typedef struct image_parts { int64_t planes, plane_elems, each, count; pf_random *starts; } image_parts;

/* No starts: one part. */
static void start_images(image_parts *p, uint64_t seed)
{
    pf_random_leap leap;

    p->starts = p->count > 1 ? pf_alloc((size_t)p->count * sizeof *p->starts) : NULL;
    if (!p->starts)
        return;
    pf_random_leap_init(&leap,
                        (uint64_t)(p->each * (p->plane_elems + IMAGE_GRID * IMAGE_GRID)) * PF_RANDOM_NORMAL_DRAWS);
    pf_random_init(&p->starts[0], seed);
    for (int64_t i = 1; i < p->count; i++) {
        p->starts[i] = p->starts[i - 1];
        pf_random_leap_over(&leap, &p->starts[i]);
    }
}

/* One sequence for all: the images are those of every comparison, however many threads there are. */
static void fill_images(pf_tensor *tensor, uint64_t seed)
{
    image_parts p = { .planes = tensor->dim[0] * tensor->dim[1], .plane_elems = tensor->dim[2] * tensor->dim[3] };
    pf_random   only = { 0 };

    p.each = (IMAGE_PART / p.plane_elems + 2) / 2 * 2;      /* even: parts do not share a byte of small elements */
    p.count = (p.planes + p.each - 1) / p.each;
    start_images(&p, seed);
    if (!p.starts) {
        p.each = p.planes;
        p.count = 1;
        pf_random_init(&only, seed);
    }
#pragma omp parallel for schedule(dynamic) if (p.count > 1)
    for (int64_t part = 0; part < p.count; part++) {
        pf_random random = p.starts ? p.starts[part] : only;

        for (int64_t i = part * p.each; i < p.planes && i < (part + 1) * p.each; i++)
            fill_image_plane(tensor, i * p.plane_elems, &random);
    }
    pf_free(p.starts);
}

static void random_values(pf_dtype dtype, pf_random *random, int64_t count, double *out)
{
    const bool flags = dtype == PF_BOOL;

    if (pf_dtype_is_float(dtype)) {
        pf_random_normals(random, count, out);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        out[i] = flags ? pf_random_below(random, 8) != 0 : (double)pf_random_below(random, 100);
}

static void fill_elements(pf_tensor *tensor, int64_t from, int64_t end, pf_random *random)
{
    double values[FILL_BLOCK];

    for (int64_t count = 0; from < end; from += count) {
        count = end - from < FILL_BLOCK ? end - from : FILL_BLOCK;
        random_values(tensor->dtype, random, count, values);
        store_values(tensor, from, values, count);
    }
}

void pf_tensor_fill_random(pf_tensor *tensor, uint64_t seed)
{
    const int64_t elems = pf_tensor_elems(tensor), parts = (elems + RANDOM_PART - 1) / RANDOM_PART;

    if (pf_dtype_is_float(tensor->dtype) && tensor->rank == 4 && tensor->dim[2] >= IMAGE_LEAST &&
        tensor->dim[3] >= IMAGE_LEAST) {
        fill_images(tensor, seed);
        return;
    }
#pragma omp parallel for schedule(static) if (parts > 1)
    for (int64_t part = 0; part < parts; part++) {
        pf_random random = { 0 };

        start_part(&random, seed, part);
        fill_elements(tensor, part * RANDOM_PART, (part + 1) * RANDOM_PART < elems ? (part + 1) * RANDOM_PART : elems,
                      &random);
    }
}

typedef struct difference_sums { double least, greatest, dot, norm_test, norm_reference; bool seen; } difference_sums;

static void compare_odd(double test, double reference, int64_t i, pf_difference *out)
{
    bool same = isnan(reference) ? isnan(test) : test == reference;  /* the same infinity, or both NaN, is agreement */

    if (isfinite(reference)) {
        out->nan_count += isnan(test) != 0;
        out->inf_count += isinf(test) != 0;
    }
    if (!same)
        out->max_abs = INFINITY, out->worst_index = i;
}

static void note_range(difference_sums *sums, double reference)
{
    sums->least = !sums->seen || reference < sums->least ? reference : sums->least;
    sums->greatest = !sums->seen || reference > sums->greatest ? reference : sums->greatest;
    sums->seen = true;
}

static void compare_element(double test, double reference, int64_t i, difference_sums *sums, pf_difference *out)
{
    double difference = fabs(test - reference);

    if (isfinite(reference))
        note_range(sums, reference);
    if (!isfinite(difference)) {
        compare_odd(test, reference, i, out);
        return;
    }
    sums->dot += test * reference;
    sums->norm_test += test * test;
    sums->norm_reference += reference * reference;
    if (difference > out->max_abs)
        out->max_abs = difference, out->worst_index = i;
}

enum { COMPARE_PARTS = 64, COMPARE_BLOCK = 512, COMPARE_ALONE = 1 << 17 };

static void read_block(const pf_tensor *tensor, int64_t from, int64_t count, double *out)
{
    uint32_t bits = pf_dtype_bits(tensor->dtype);

    if (bits >= 8) {
        pf_dtype_convert(tensor->dtype, (const uint8_t *)tensor->data + (size_t)from * (bits / 8), PF_F64, out,
                         (uint64_t)count);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        out[i] = pf_dtype_get(tensor->dtype, tensor->data, (uint64_t)(from + i));
}

/* Four doubles are what AVX2 holds; sums over two of these do not wait for each other. */
enum { LANES = 4, STEP = 2 * LANES };
typedef double  lanes __attribute__((vector_size(LANES * sizeof(double)), aligned(8)));
typedef int64_t lane_bits __attribute__((vector_size(LANES * sizeof(int64_t)), aligned(8)));

#define LOAD(from) (*(const lanes *)(from))
#define CHOOSE(mask, yes, no) ((lanes)(((lane_bits)(yes) & (mask)) | ((lane_bits)(no) & ~(mask))))

PF_WIDE static bool all_finite(const double *values, int64_t count)
{
    const int64_t exponent = INT64_C(0x7ff) << 52, whole = count / LANES * LANES;
    lane_bits     odd = { 0 };
    int64_t       others = 0;

    for (int64_t i = 0; i < whole; i += LANES)
        odd |= ((lane_bits)LOAD(values + i) & exponent) == exponent;
    for (int l = 0; l < LANES; l++)
        others += odd[l] != 0;
    for (int64_t i = whole; i < count; i++)
        others += !(fabs(values[i]) <= DBL_MAX);
    return !others;
}

typedef struct lane_sums { lanes least, greatest, most, dot, norm_test, norm_reference; } lane_sums;

PF_INLINE lane_sums add_lanes(lane_sums s, const double *test, const double *reference)
{
    const int64_t magnitude = INT64_MAX;
    const lanes   a = LOAD(test), b = LOAD(reference), off = (lanes)((lane_bits)(a - b) & magnitude);

    s.least = CHOOSE(b < s.least, b, s.least);
    s.greatest = CHOOSE(b > s.greatest, b, s.greatest);
    s.most = CHOOSE(off > s.most, off, s.most);
    s.dot += a * b;
    s.norm_test += a * a;
    s.norm_reference += b * b;
    return s;
}

static void join_lanes(const lane_sums *s, difference_sums *sums, double *most)
{
    for (int l = 0; l < LANES; l++) {
        sums->least = s->least[l] < sums->least ? s->least[l] : sums->least;
        sums->greatest = s->greatest[l] > sums->greatest ? s->greatest[l] : sums->greatest;
        sums->dot += s->dot[l];
        sums->norm_test += s->norm_test[l];
        sums->norm_reference += s->norm_reference[l];
        *most = s->most[l] > *most ? s->most[l] : *most;
    }
}

/* Over a whole number of STEPs. *most: the largest difference. */
PF_WIDE static void sum_lanes(const double *test, const double *reference, int64_t count, difference_sums *sums,
                              double *most)
{
    lane_sums even = { .least = LOAD(reference), .greatest = LOAD(reference) }, odd = even;

    for (int64_t i = 0; i < count; i += STEP) {
        even = add_lanes(even, test + i, reference + i);
        odd = add_lanes(odd, test + i + LANES, reference + i + LANES);
    }
    join_lanes(&even, sums, most);
    join_lanes(&odd, sums, most);
}

/* The same as compare_element of each, where all are finite; sums are formed in another order. */
static void compare_finite(const double *test, const double *reference, int64_t from, int64_t count,
                           difference_sums *sums, pf_difference *out)
{
    const int64_t whole = count / STEP * STEP;
    double        most = 0;
    int64_t       at = 0;

    if (!sums->seen)
        sums->least = sums->greatest = reference[0];
    sums->seen = true;
    if (whole)
        sum_lanes(test, reference, whole, sums, &most);
    if (most > out->max_abs) {
        while (fabs(test[at] - reference[at]) != most)
            at++;
        out->max_abs = most;
        out->worst_index = from + at;
    }
    for (int64_t i = whole; i < count; i++)
        compare_element(test[i], reference[i], from + i, sums, out);
}

static void compare_part(const pf_tensor *test, const pf_tensor *reference, int64_t from, int64_t end,
                         difference_sums *sums, pf_difference *out)
{
    double a[COMPARE_BLOCK], b[COMPARE_BLOCK];

    for (int64_t count = 0; from < end; from += count) {
        count = end - from < COMPARE_BLOCK ? end - from : COMPARE_BLOCK;
        read_block(test, from, count, a);
        read_block(reference, from, count, b);
        if (all_finite(a, count) && all_finite(b, count)) {
            compare_finite(a, b, from, count, sums, out);
            continue;
        }
        for (int64_t i = 0; i < count; i++)
            compare_element(a[i], b[i], from + i, sums, out);
    }
}

/* Parts in their order: the sums do not depend on how many threads there were. */
static void join_part(const difference_sums *part_sums, const pf_difference *part, difference_sums *sums,
                      pf_difference *out)
{
    if (part_sums->seen) {
        sums->least = sums->seen ? fmin(sums->least, part_sums->least) : part_sums->least;
        sums->greatest = sums->seen ? fmax(sums->greatest, part_sums->greatest) : part_sums->greatest;
        sums->seen = true;
    }
    sums->dot += part_sums->dot;
    sums->norm_test += part_sums->norm_test;
    sums->norm_reference += part_sums->norm_reference;
    out->nan_count += part->nan_count;
    out->inf_count += part->inf_count;
    if (part->max_abs > out->max_abs || (isinf(part->max_abs) && part->max_abs >= out->max_abs))
        out->max_abs = part->max_abs, out->worst_index = part->worst_index;
}

static void compare_elements(const pf_tensor *test, const pf_tensor *reference, int64_t elems, difference_sums *sums,
                             pf_difference *out)
{
    difference_sums part_sums[COMPARE_PARTS] = { { 0 } };
    pf_difference   part[COMPARE_PARTS] = { { 0 } };
    const int64_t   parts = elems > COMPARE_ALONE ? COMPARE_PARTS : 1, each = elems / parts;

#pragma omp parallel for schedule(static) if (parts > 1)
    for (int64_t p = 0; p < parts; p++)
        compare_part(test, reference, p * each, p + 1 < parts ? (p + 1) * each : elems, &part_sums[p], &part[p]);
    for (int64_t p = 0; p < parts; p++)
        join_part(&part_sums[p], &part[p], sums, out);
}

static void finish_comparison(const difference_sums *sums, pf_difference *out)
{
    double range = sums->greatest - sums->least;
    double norms = sqrt(sums->norm_test) * sqrt(sums->norm_reference);

    if (range <= 0)
        range = fmax(fabs(sums->greatest), fabs(sums->least));
    if (out->max_abs > 0)
        out->max_rel_range = range > 0 ? out->max_abs / range : INFINITY;
    if (norms > 0)
        out->cosine = sums->dot / norms;
    else
        out->cosine = sums->norm_test == sums->norm_reference && isfinite(out->max_abs) ? 1 : 0;
}

static void compare_strings(const pf_tensor *test, const pf_tensor *reference, pf_difference *out)
{
    const char *const *a = test->data;
    const char *const *b = reference->data;
    int64_t            elems = pf_tensor_elems(reference);

    out->cosine = 1;
    for (int64_t i = 0; i < elems; i++)
        if (strcmp(a[i] ? a[i] : "", b[i] ? b[i] : ""))
            out->max_abs = out->max_rel_range = INFINITY, out->cosine = 0, out->worst_index = i;
}

pf_status pf_tensor_compare(const pf_tensor *test, const pf_tensor *reference, pf_difference *out, pf_err *err)
{
    difference_sums sums = { 0 };
    int64_t         elems = 0;

    memset(out, 0, sizeof *out);
    if (!pf_tensor_same_shape(test, reference))
        return PF_FAIL(err, PF_MISMATCH, "the tensors to compare differ in shape");
    if ((test->dtype == PF_STRING) != (reference->dtype == PF_STRING))
        return PF_FAIL(err, PF_MISMATCH, "the tensors to compare are of types %s and %s", pf_dtype_name(test->dtype),
                       pf_dtype_name(reference->dtype));
    if (test->dtype == PF_STRING) {
        compare_strings(test, reference, out);
        return PF_OK;
    }
    elems = pf_tensor_elems(reference);
    compare_elements(test, reference, elems, &sums, out);
    finish_comparison(&sums, out);
    return PF_OK;
}
