#include "engine/builder_glance.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

#define OF_ITS_SIZE 0.1         /* values that are nearly all the same have a range of a few roundings */

pf_status pf_glance_open(const pf_graph *graph, pf_glance *out, pf_err *err)
{
    *out = (pf_glance){ .graph = graph, .value_of = pf_map_new() };
    out->values = pf_calloc(graph->value_count + 1, sizeof *out->values);
    if (!out->value_of || !out->values)
        return PF_FAIL_MEMORY(err, graph->value_count * sizeof *out->values);
    for (uint32_t v = 0; v < graph->value_count; v++)
        if (graph->values[v].name && graph->values[v].name[0] &&
            !pf_map_set(out->value_of, graph->values[v].name, v))
            return PF_FAIL_MEMORY(err, sizeof *out->values);
    return PF_OK;
}

void pf_glance_close(pf_glance *glance)
{
    for (uint32_t v = 0; glance->values && v < glance->graph->value_count; v++)
        pf_free(glance->values[v].elems);
    pf_free(glance->values);
    pf_map_free(glance->value_of);
    *glance = (pf_glance){ 0 };
}

/* The i-th of those that are looked at: spread over the whole, and not at equal distances, which might fit the rows. */
static uint64_t place_of(int64_t i, int64_t looked_at, int64_t count)
{
    uint64_t from = (uint64_t)i * (uint64_t)count / (uint64_t)looked_at;
    uint64_t to = (uint64_t)(i + 1) * (uint64_t)count / (uint64_t)looked_at;

    return from + (uint64_t)i * 2654435761U % (to > from ? to - from : 1);
}

static double element(const pf_tensor *tensor, int64_t i, int64_t looked_at, int64_t count)
{
    return pf_dtype_get(tensor->dtype, tensor->data, place_of(i, looked_at, count));
}

void pf_glance_take(void *user, pf_value_id value, pf_tensor *tensor)
{
    pf_glance  *glance = user;
    pf_glanced *kept = value < glance->graph->value_count ? &glance->values[value] : NULL;
    int64_t     count = tensor->rank >= 0 && pf_dtype_is_float(tensor->dtype) ? pf_tensor_elems(tensor) : 0;
    int64_t     looked_at = count < PF_GLANCE_ELEMS ? count : PF_GLANCE_ELEMS;

    if (!kept || !count)
        return;
    if (!kept->elems)
        kept->elems = pf_calloc(PF_GLANCE_ELEMS, sizeof *kept->elems);
    if (!kept->elems)
        return;
    kept->count = looked_at;
    kept->rank = tensor->rank;
    memcpy(kept->dim, tensor->dim, sizeof kept->dim);
    for (int64_t i = 0; i < looked_at; i++)
        kept->elems[i] = element(tensor, i, looked_at, count);
}

static const pf_glanced *find(const pf_glance *glance, const char *name, const pf_tensor *tensor)
{
    uint64_t          value = 0;
    const pf_glanced *kept = NULL;

    if (!name || !name[0] || !pf_map_get(glance->value_of, name, &value))
        return NULL;
    kept = &glance->values[value];
    if (!kept->elems || kept->rank != tensor->rank || !pf_dtype_is_float(tensor->dtype) ||
        memcmp(kept->dim, tensor->dim, (size_t)kept->rank * sizeof *kept->dim))
        return NULL;
    return kept;
}

bool pf_glance_differs(const pf_glance *glance, const char *name, const pf_tensor *tensor, double tolerance)
{
    const pf_glanced *kept = find(glance, name, tensor);
    double            least = INFINITY, most = -INFINITY, off = 0, size = 0;

    for (int64_t i = 0; kept && i < kept->count; i++) {
        double wanted = kept->elems[i], found = element(tensor, i, kept->count, pf_tensor_elems(tensor));

        if (!isfinite(wanted))
            continue;
        least = fmin(least, wanted);
        most = fmax(most, wanted);
        size = fmax(size, fabs(wanted));
        off = fmax(off, isfinite(found) ? fabs(found - wanted) : INFINITY);
    }
    return off > tolerance * (most - least) && off > OF_ITS_SIZE * tolerance * size;
}
