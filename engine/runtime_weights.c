/* The weights of a plan on a device: those that its choices read in one block, a copy for each piece of the file in
   which they lie together, others when something asks for them.  Where host memory is the device's, the mapped file
   itself holds them: nothing is read before it is used. */
#include <string.h>

#include "base/alloc.h"
#include "engine/runtime_resident.h"

static const uint8_t *bytes_of(const pf_resident *resident, uint32_t blob)
{
    return resident->plan->data + resident->plan->blobs[blob].offset;
}

static bool lies_in_host(const pf_resident *resident, uint32_t blob)
{
    return resident->device->host_is_device && (uintptr_t)bytes_of(resident, blob) % PF_PLAN_ALIGNMENT == 0;
}

/* ---- One by one */

static pf_status upload(pf_resident *resident, const void *host, size_t bytes, void **out, pf_err *err)
{
    const pf_device_ops *ops = resident->device->ops;
    pf_stream           *stream = NULL;
    pf_status            st = pf_resident_alloc(resident, bytes, out, err);

    if (!st)
        st = ops->stream_new(resident->device, &stream, err);
    if (!st)
        st = ops->upload(resident->device, stream, *out, host, bytes, err);
    if (!st)
        st = ops->stream_sync(resident->device, stream, err);
    if (stream)
        ops->stream_free(resident->device, stream);
    if (st) {
        pf_resident_free(resident, *out);
        *out = NULL;
    }
    return st;
}

pf_status pf_resident_blob(pf_resident *resident, uint32_t blob, void **out, pf_err *err)
{
    const pf_plan_blob *b = &resident->plan->blobs[blob];
    pf_status           st = PF_OK;

    if (!resident->blobs[blob] && b->bytes) {
        if (lies_in_host(resident, blob)) {
            resident->blobs[blob] = (void *)(uintptr_t)bytes_of(resident, blob);
        } else {
            st = upload(resident, bytes_of(resident, blob), (size_t)b->bytes, &resident->blobs[blob], err);
            resident->blob_owned[blob] = !st;
        }
    }
    *out = resident->blobs[blob];
    return st;
}

/* ---- All at once */

/* But for what is there already, brought by itself when there was not memory for all. */
static void find_needed(const pf_resident *resident, bool *needed)
{
    pf_plan_mark_first_blobs(resident->plan, needed);
    for (uint32_t i = 0; i < resident->plan->blob_count; i++)
        needed[i] = needed[i] && !resident->blobs[i];
}

/* Places in the block, in the order of the file; in *bytes what they take together. */
static void place(const pf_resident *resident, const bool *needed, size_t *offset, size_t *bytes)
{
    *bytes = 0;
    for (uint32_t i = 0; i < resident->plan->blob_count; i++) {
        if (!needed[i])
            continue;
        offset[i] = *bytes;
        *bytes += (size_t)resident->plan->blobs[i].bytes;
        *bytes = (*bytes + PF_PLAN_ALIGNMENT - 1) / PF_PLAN_ALIGNMENT * PF_PLAN_ALIGNMENT;
    }
}

/* Whether blob next lies as far behind blob first in the block as in the file, and all between them is copied. */
static bool continues(const pf_plan *plan, const bool *needed, const size_t *offset, uint32_t first, uint32_t next)
{
    return needed[next] && plan->blobs[next].offset - plan->blobs[first].offset == offset[next] - offset[first];
}

static pf_status copy_pieces(const pf_resident *resident, const bool *needed, const size_t *offset, uint8_t *block,
                             pf_stream *stream, pf_err *err)
{
    const pf_plan *plan = resident->plan;
    pf_status      st = PF_OK;

    for (uint32_t first = 0, end = 0; first < plan->blob_count && !st; first = end) {
        end = first + 1;
        if (!needed[first])
            continue;
        while (end < plan->blob_count && continues(plan, needed, offset, first, end))
            end++;
        st = resident->device->ops->upload(resident->device, stream, block + offset[first], bytes_of(resident, first),
                                           offset[end - 1] - offset[first] + (size_t)plan->blobs[end - 1].bytes, err);
    }
    return st;
}

static pf_status fill_block(pf_resident *resident, const bool *needed, const size_t *offset, uint8_t *block,
                            pf_err *err)
{
    const pf_device_ops *ops = resident->device->ops;
    pf_stream           *stream = NULL;
    pf_status            st = ops->stream_new(resident->device, &stream, err);

    if (!st)
        st = copy_pieces(resident, needed, offset, block, stream, err);
    if (!st)
        st = ops->stream_sync(resident->device, stream, err);
    if (stream)
        ops->stream_free(resident->device, stream);
    for (uint32_t i = 0; i < resident->plan->blob_count && !st; i++)
        if (needed[i] && resident->plan->blobs[i].bytes)
            resident->blobs[i] = block + offset[i];
    return st;
}

static pf_status bring(pf_resident *resident, bool *needed, size_t *offset, pf_err *err)
{
    size_t    bytes = 0;
    void     *block = NULL;
    pf_status st = PF_OK;

    find_needed(resident, needed);
    place(resident, needed, offset, &bytes);
    st = pf_resident_alloc(resident, bytes, &block, err);
    if (!st && block)
        st = fill_block(resident, needed, offset, block, err);
    if (st) {
        pf_resident_free(resident, block);
        return st;
    }
    resident->weights = block;
    resident->weights_bytes = bytes;
    return PF_OK;
}

void pf_resident_bring_weights(pf_resident *resident)
{
    uint32_t count = resident->plan->blob_count;
    bool    *needed = NULL;
    size_t  *offset = NULL;

    if (resident->device->host_is_device || resident->weights || !count)
        return;
    needed = pf_calloc(count, sizeof *needed);
    offset = pf_calloc(count, sizeof *offset);
    if (needed && offset)
        bring(resident, needed, offset, NULL);
    pf_free(needed);
    pf_free(offset);
}

/* ---- All of them */

uint64_t pf_resident_weight_bytes(const pf_resident *resident)
{
    uint64_t bytes = resident->weights_bytes;

    for (uint32_t i = 0; i < resident->plan->blob_count; i++)
        bytes += resident->blob_owned[i] ? resident->plan->blobs[i].bytes : 0;
    return bytes;
}

void pf_resident_clear_weights(pf_resident *resident)
{
    for (uint32_t i = 0; resident->blobs && resident->blob_owned && i < resident->plan->blob_count; i++)
        if (resident->blob_owned[i])
            pf_resident_free(resident, resident->blobs[i]);
    pf_resident_free(resident, resident->weights);
    pf_free(resident->blobs);
    pf_free(resident->blob_owned);
}
