#include "engine/constant.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"

enum { PART = 64 * PF_LATE_CHUNK, ALIGNMENT = 64 };     /* elements that one thread makes; bytes */

static void fill_all(const pf_constant *constant, uint8_t *out)
{
    const pf_late *late = constant->late;
    const size_t   item = pf_dtype_bytes(late->dtype, 1);
    const uint64_t count = constant->bytes / item;

#pragma omp parallel for schedule(static) if (count > PART)
    for (uint64_t at = 0; at < count; at += PART)
        late->fill(late, at, count - at < PART ? count - at : PART, out + at * item);
}

const void *pf_constant_find(const pf_constant *constant)
{
    return constant->data || !constant->late ? constant->data : atomic_load(&constant->late->made);
}

pf_status pf_constant_bytes(const pf_constant *constant, const void **out, pf_err *err)
{
    void *made = NULL, *before = NULL;

    *out = pf_constant_find(constant);
    if (*out || !constant->late)
        return PF_OK;
    made = pf_alloc_aligned(ALIGNMENT, constant->bytes);
    if (!made)
        return PF_FAIL_MEMORY(err, constant->bytes);
    pf_alloc_expect_filling(made, constant->bytes);
    fill_all(constant, made);
    if (!atomic_compare_exchange_strong(&constant->late->made, &before, made))
        pf_free(made);                  /* somebody else was sooner */
    *out = pf_constant_find(constant);
    return PF_OK;
}

void pf_constant_copy(const pf_constant *constant, void *out)
{
    const void *made = pf_constant_find(constant);

    if (!made && constant->late)
        fill_all(constant, out);
    else if (constant->bytes)
        memcpy(out, made, constant->bytes);
}

const void *pf_constant_part(const pf_constant *constant, pf_dtype dtype, uint64_t first, uint64_t count, void *room)
{
    const uint8_t *made = pf_constant_find(constant);

    if (made)
        return made + pf_dtype_bytes(dtype, first);
    constant->late->fill(constant->late, first, count, room);
    return room;
}

double pf_constant_get(const pf_constant *constant, pf_dtype dtype, uint64_t index)
{
    const void *made = pf_constant_find(constant);
    double      room[2] = { 0 };        /* of the largest element */

    if (made)
        return pf_dtype_get(dtype, made, index);
    constant->late->fill(constant->late, index, 1, room);
    return pf_dtype_get(dtype, room, 0);
}

void pf_constant_digest(const pf_constant *constant, pf_digest *out)
{
    const void *made = pf_constant_find(constant);
    const size_t item = constant->late ? pf_dtype_bytes(constant->late->dtype, 1) : 1;
    double      room[PF_LATE_CHUNK];
    pf_hash     hash;

    pf_hash_init(&hash);
    if (made || !constant->late)
        pf_hash_add(&hash, made, constant->bytes);
    for (size_t at = 0; at < constant->bytes && !made && constant->late; at += PF_LATE_CHUNK * item) {
        size_t bytes = constant->bytes - at < PF_LATE_CHUNK * item ? constant->bytes - at : PF_LATE_CHUNK * item;

        constant->late->fill(constant->late, at / item, bytes / item, room);
        pf_hash_add(&hash, room, bytes);
    }
    pf_hash_end(&hash, out);
}

void pf_constant_forget(const pf_constant *constant)
{
    if (constant->data)
        pf_file_forget(constant->data, constant->bytes);
    else if (constant->late)
        constant->late->forget(constant->late);
}

bool pf_constant_shares(const pf_constant *a, const pf_constant *b)
{
    return a->data == b->data && a->late == b->late;
}

void pf_late_release(void *late)
{
    pf_free(atomic_exchange(&((pf_late *)late)->made, NULL));
}
