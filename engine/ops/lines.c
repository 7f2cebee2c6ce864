#include "engine/ops/lines.h"

#include "base/alloc.h"
#include "engine/ops/rows.h"

pf_lines pf_lines_of(const pf_tensor *tensor, int64_t from, int64_t to)
{
    pf_lines lines = { 1, 1, 1 };

    for (int64_t d = 0; d < tensor->rank; d++)
        *(d < from ? &lines.outer : d < to ? &lines.size : &lines.inner) *= tensor->dim[d];
    return lines;
}

static void map_line(const pf_lines *lines, int64_t i, const pf_tensor *x, pf_tensor *y, pf_lines_fn *fn,
                     const void *user, double *in, double *out)
{
    int64_t at = pf_lines_at(lines, i);

    pf_rows_read(x->dtype, x->data, at, lines->inner, lines->size, in);
    fn(in, out, lines->size, user);
    if (lines->inner == 1)
        pf_rows_write(y->dtype, y->data, at, lines->size, out);
    else
        for (int64_t k = 0; k < lines->size; k++)
            pf_dtype_set(y->dtype, y->data, (uint64_t)(at + k * lines->inner), out[k]);
}

/* Elements of less than a byte share bytes, which one thread writes. */
pf_status pf_lines_map(const pf_lines *lines, const pf_tensor *x, pf_tensor *y, pf_lines_fn *fn, const void *user,
                       pf_err *err)
{
    const int64_t count = pf_lines_count(lines);
    bool          failed = false;

#pragma omp parallel if (count * lines->size > PF_ROWS_ALONE && pf_dtype_bits(y->dtype) >= 8)
    {
        double *room = pf_rows_new(2 * lines->size);

        if (!room) {
#pragma omp atomic write
            failed = true;
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < count; i++)
            if (room)
                map_line(lines, i, x, y, fn, user, room, room + lines->size);
        pf_free(room);
    }
    return failed ? PF_FAIL_MEMORY(err, 2 * (size_t)lines->size * sizeof(double)) : PF_OK;
}
