/* A finding of the kind "banned candidates": each entry's tactic is the candidate's, its tuning the candidate's digest
   in hexadecimal, its reason why. */
#include "engine/ban.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/finding.h"

#define KIND "banned candidates"

void pf_bans_clear(pf_bans *bans)
{
    if (!bans)
        return;
    pf_free(bans->items);
    *bans = (pf_bans){ 0 };
}

static void digest_candidate(const pf_digest *problem, const char *tactic, const char *tuning, uint16_t rev,
                             pf_digest *out)
{
    pf_hash hash;

    pf_hash_init(&hash);
    pf_hash_add(&hash, problem->byte, sizeof problem->byte);
    pf_hash_add_string(&hash, tactic);
    pf_hash_add_string(&hash, tuning);
    pf_hash_add_u64(&hash, rev);
    pf_hash_end(&hash, out);
}

static bool is_listed(const pf_bans *bans, const pf_digest *candidate)
{
    for (uint32_t i = 0; i < bans->count; i++)
        if (pf_digest_equal(&bans->items[i].candidate, candidate))
            return true;
    return false;
}

bool pf_bans_has(const pf_bans *bans, const pf_digest *problem, const char *tactic, const char *tuning, uint16_t rev)
{
    pf_digest one = { 0 }, every = { 0 };

    if (!bans || !bans->count)
        return false;
    digest_candidate(problem, tactic, tuning, rev, &one);
    digest_candidate(problem, tactic, PF_BAN_EVERY_TUNING, rev, &every);
    return is_listed(bans, &one) || is_listed(bans, &every);
}

static pf_status add(pf_bans *bans, const pf_ban *ban, pf_err *err)
{
    if (is_listed(bans, &ban->candidate))
        return PF_OK;
    if (pf_grow((void **)&bans->items, &bans->capacity, bans->count + 1, sizeof *bans->items))
        return PF_FAIL_MEMORY(err, (bans->count + 1) * sizeof *bans->items);
    bans->items[bans->count++] = *ban;
    return PF_OK;
}

pf_status pf_bans_add(pf_bans *bans, const pf_digest *problem, const char *tactic, const char *tuning, uint16_t rev,
                      const char *why, bool lasting, pf_err *err)
{
    pf_ban ban = { .lasting = lasting };

    digest_candidate(problem, tactic, tuning, rev, &ban.candidate);
    snprintf(ban.tactic, sizeof ban.tactic, "%s", tactic);
    snprintf(ban.why, sizeof ban.why, "%.127s", why);
    return add(bans, &ban, err);
}

pf_status pf_bans_find(pf_timing_store *store, const pf_device *device, const pf_digest *key, pf_bans *out, pf_err *err)
{
    pf_timing_record record = { 0 };
    pf_status        st = pf_finding_lookup(store, device, KIND, key, &record, err);

    for (uint32_t i = 0; i < record.count && !st; i++) {
        const pf_timing_entry *entry = &record.entries[i];
        pf_ban                 ban = { .lasting = true };

        if (!pf_digest_from_hex(entry->tuning, &ban.candidate))
            continue;
        snprintf(ban.tactic, sizeof ban.tactic, "%s", entry->tactic);
        snprintf(ban.why, sizeof ban.why, "%s", entry->reason);
        st = add(out, &ban, err);
    }
    pf_timing_record_clear(&record);
    return st;
}

pf_status pf_bans_keep(pf_timing_store *store, const pf_device *device, const pf_digest *key, const pf_bans *bans,
                       pf_err *err)
{
    pf_timing_record record = { 0 };
    pf_status        st = PF_OK;

    for (uint32_t i = 0; i < bans->count && !st; i++) {
        pf_timing_entry entry = { .rev = 1, .status = PF_TIMING_WRONG, .wall_ns = pf_clock_wall_ns() };

        if (!bans->items[i].lasting)
            continue;
        snprintf(entry.tactic, sizeof entry.tactic, "%s", bans->items[i].tactic);
        snprintf(entry.reason, sizeof entry.reason, "%s", bans->items[i].why);
        pf_digest_to_hex(&bans->items[i].candidate, entry.tuning);
        st = pf_timing_record_put(&record, &entry, err);
    }
    if (!st && record.count)
        st = pf_finding_merge(store, device, KIND, key, &record, err);
    pf_timing_record_clear(&record);
    return st;
}

/* What comes of it is what pf_bans_keep writes, but for the status. */
void pf_ban_note_trial(pf_timing_store *store, const pf_device *device, const pf_digest *key, const pf_digest *problem,
                       const char *tactic, const char *tuning, uint16_t rev)
{
    pf_timing_entry entry = { .rev = 1 };
    pf_digest       candidate = { 0 };

    digest_candidate(problem, tactic, tuning, rev, &candidate);
    snprintf(entry.tactic, sizeof entry.tactic, "%s", tactic);
    snprintf(entry.reason, sizeof entry.reason, "%.127s", tuning);
    pf_digest_to_hex(&candidate, entry.tuning);
    pf_finding_note_trial(store, device, KIND, key, &entry);
}

void pf_ban_end_trial(pf_timing_store *store)
{
    store->note_trial(store, NULL, NULL, NULL);
}
