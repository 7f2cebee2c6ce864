#include "client/tensor_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "client/output.h"

const char *pf_shape_text(const int64_t *dim, int32_t rank, char out[PF_SHAPE_TEXT_BYTES])
{
    size_t used = (size_t)snprintf(out, PF_SHAPE_TEXT_BYTES, "[");

    for (int32_t d = 0; d < rank; d++)
        used += (size_t)(dim[d] < 0
                             ? snprintf(out + used, PF_SHAPE_TEXT_BYTES - used, "%s?", d ? "," : "")
                             : snprintf(out + used, PF_SHAPE_TEXT_BYTES - used, "%s%" PRId64, d ? "," : "", dim[d]));
    snprintf(out + used, PF_SHAPE_TEXT_BYTES - used, "]");
    return out;
}

static void put_statistics(json_t *to, const pf_tensor *tensor)
{
    int64_t  count = pf_tensor_elems(tensor);
    uint64_t nans = 0, infinities = 0;
    double   least = INFINITY, greatest = -INFINITY, sum = 0;

    for (int64_t i = 0; i < count && tensor->dtype != PF_STRING; i++) {
        double value = pf_dtype_get(tensor->dtype, tensor->data, (uint64_t)i);

        nans += isnan(value) != 0;
        infinities += isinf(value) != 0;
        least = fmin(least, value);
        greatest = fmax(greatest, value);
        sum += value;
    }
    json_object_set_new(to, "min", pf_json_real(least));
    json_object_set_new(to, "max", pf_json_real(greatest));
    json_object_set_new(to, "mean", pf_json_real(count && tensor->dtype != PF_STRING ? sum / (double)count : NAN));
    json_object_set_new(to, "nan_count", pf_json_count(nans));
    json_object_set_new(to, "inf_count", pf_json_count(infinities));
}

static void digest_of(const pf_tensor *tensor, pf_digest *out)
{
    const char *const *strings = tensor->data;
    pf_hash            hash;

    pf_hash_init(&hash);
    if (tensor->dtype != PF_STRING)
        pf_hash_add(&hash, tensor->data, tensor->bytes);
    for (int64_t i = 0; tensor->dtype == PF_STRING && i < pf_tensor_elems(tensor); i++)
        pf_hash_add_string(&hash, strings[i] ? strings[i] : "");
    pf_hash_end(&hash, out);
}

json_t *pf_tensor_report(const char *name, const pf_tensor *tensor)
{
    json_t   *to = json_object();
    pf_digest digest;

    digest_of(tensor, &digest);
    json_object_set_new(to, "name", pf_json_text(name));
    json_object_set_new(to, "dtype", json_string(pf_dtype_name(tensor->dtype)));
    json_object_set_new(to, "shape", pf_json_dims(tensor->dim, tensor->rank));
    put_statistics(to, tensor);
    json_object_set_new(to, "sha256", pf_json_digest(&digest));
    return to;
}

/* Complex numbers are compared part by part. */
static pf_tensor as_real(const pf_tensor *tensor)
{
    pf_tensor parts = *tensor;

    if (tensor->dtype != PF_C64 && tensor->dtype != PF_C128)
        return parts;
    parts.dtype = tensor->dtype == PF_C64 ? PF_F32 : PF_F64;
    parts.rank = 1;
    parts.dim[0] = 2 * pf_tensor_elems(tensor);
    return parts;
}

static void put_difference(pf_call *call, const char *name, const pf_difference *d, bool passed)
{
    json_t *list = json_object_get(call->result, "differences"), *one = json_object();

    if (!list) {
        list = json_array();
        json_object_set_new(call->result, "differences", list);
    }
    json_object_set_new(one, "name", pf_json_text(name));
    json_object_set_new(one, "max_abs", pf_json_real(d->max_abs));
    json_object_set_new(one, "max_rel_range", pf_json_real(d->max_rel_range));
    json_object_set_new(one, "cosine", pf_json_real(d->cosine));
    json_object_set_new(one, "nan_count", pf_json_count((uint64_t)d->nan_count));
    json_object_set_new(one, "inf_count", pf_json_count((uint64_t)d->inf_count));
    json_object_set_new(one, "worst_index", json_integer((json_int_t)d->worst_index));
    json_object_set_new(one, "passed", json_boolean(passed));
    json_array_append_new(list, one);
}

pf_status pf_tensor_difference(pf_call *call, const char *name, const pf_tensor *test, const pf_tensor *reference,
                               double tolerance, pf_err *err)
{
    pf_tensor     a = as_real(test), b = as_real(reference);
    pf_difference d = {0};
    bool          passed = false;
    char          shape[PF_SHAPE_TEXT_BYTES], other[PF_SHAPE_TEXT_BYTES];

    if (test->dtype != reference->dtype || !pf_tensor_same_shape(test, reference))
        return PF_FAIL(err, PF_MISMATCH, "\"%s\" is %s %s and the reference %s %s", name, pf_dtype_name(test->dtype),
                       pf_shape_text(test->dim, test->rank, shape), pf_dtype_name(reference->dtype),
                       pf_shape_text(reference->dim, reference->rank, other));
    pf_tensor_compare(&a, &b, &d, NULL);
    passed = d.max_rel_range <= tolerance && isfinite(d.max_abs) && !d.nan_count && !d.inf_count;
    put_difference(call, name, &d, passed);
    pf_say(call, "%-32s %s  largest error %.3g (%.3g of the range)  cosine %.9f\n", name, passed ? "same  " : "DIFFERS",
           d.max_abs, d.max_rel_range, d.cosine);
    if (passed)
        return PF_OK;
    if (d.nan_count || d.inf_count)
        return PF_FAIL(err, PF_MISMATCH, "\"%s\" is NaN %lld times and infinite %lld times where the reference is not",
                       name, (long long)d.nan_count, (long long)d.inf_count);
    if (!isfinite(d.max_abs))
        return PF_FAIL(err, PF_MISMATCH, "the reference of \"%s\" is NaN or infinite at element %lld, and it is not",
                       name, (long long)d.worst_index);
    return PF_FAIL(err, PF_MISMATCH,
                   "\"%s\" differs from the reference by %.3g of its range at element %lld; --tolerance allows %.3g",
                   name, d.max_rel_range, (long long)d.worst_index, tolerance);
}
