#include "engine/refine.h"

#include <stdio.h>

#include "base/alloc.h"
#include "engine/finding.h"

#define KIND     "refined choices"
#define TACTIC   "refined"
#define MEASURED "measured"

pf_status pf_refinement_add(pf_refinement *refinement, uint32_t step, uint32_t rank, pf_err *err)
{
    if (pf_grow((void **)&refinement->swaps, &refinement->capacity, refinement->count + 1, sizeof *refinement->swaps))
        return PF_FAIL_MEMORY(err, (refinement->count + 1) * sizeof *refinement->swaps);
    refinement->swaps[refinement->count++] = (pf_refine_swap){ step, rank };
    return PF_OK;
}

void pf_refinement_clear(pf_refinement *refinement)
{
    if (!refinement)
        return;
    pf_free(refinement->swaps);
    *refinement = (pf_refinement){ 0 };
}

static bool has_step(const pf_refinement *refinement, uint32_t step)
{
    for (uint32_t i = 0; i < refinement->count; i++)
        if (refinement->swaps[i].step == step)
            return true;
    return false;
}

/* Records of two builds are merged: of swaps that both made, the first counts. */
static pf_status read_entries(const pf_timing_record *record, pf_refinement *out, pf_err *err)
{
    pf_status st = PF_OK;

    out->known = pf_timing_record_find(record, TACTIC, MEASURED) != NULL;
    for (uint32_t i = 0; i < record->count && out->known && !st; i++) {
        uint32_t step = 0, rank = 0;

        if (sscanf(record->entries[i].tuning, "step=%u rank=%u", &step, &rank) == 2 && !has_step(out, step))
            st = pf_refinement_add(out, step, rank, err);
    }
    return st;
}

pf_status pf_refine_record_find(pf_timing_store *store, const pf_device *device, pf_refinement *refinement, pf_err *err)
{
    pf_timing_record record = { 0 };
    pf_status        st = pf_finding_lookup(store, device, KIND, &refinement->candidates, &record, err);

    if (!st)
        st = read_entries(&record, refinement, err);
    pf_timing_record_clear(&record);
    return st;
}

pf_status pf_refine_record_keep(pf_timing_store *store, const pf_device *device, const pf_refinement *refinement,
                                pf_err *err)
{
    pf_timing_record record = { 0 };
    pf_status        st = pf_finding_put(&record, TACTIC, MEASURED, 0, 0, err);

    for (uint32_t i = 0; i < refinement->count && !st; i++) {
        char tuning[64] = "";

        snprintf(tuning, sizeof tuning, "step=%u rank=%u", refinement->swaps[i].step, refinement->swaps[i].rank);
        st = pf_finding_put(&record, TACTIC, tuning, 0, 0, err);
    }
    if (!st)
        st = pf_finding_merge(store, device, KIND, &refinement->candidates, &record, err);
    pf_timing_record_clear(&record);
    return st;
}
