#include "engine/choose.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/race.h"

/* Medians of one candidate differ by up to half a percent from run to run; a little more makes builds that measure anew
   agree better (tests/unit/engine/test_agreement.c), and costs 0.02 % on average. */
#define NOISE    0.006
#define NOISE_NS 8      /* and more of what takes less than a few microseconds, where this is one percent, */
#define MOST     0.014  /* but no more than that: choices shall be within 2 % of the best, as far as measures tell */

static uint32_t table_place(const pf_tactic *tactic)
{
    uint32_t i = 0;

    while (pf_tactic_at(i) && pf_tactic_at(i) != tactic)
        i++;
    return i;
}

static bool usable(const pf_timing_entry *entry, const pf_choose_rules *rules)
{
    const pf_tactic *tactic = pf_tactic_find(entry->tactic);

    if (entry->status != PF_TIMED && entry->status != PF_TIMING_DROPPED)
        return false;
    if (!tactic || tactic->rev != entry->rev || pf_choose_time(entry) <= 0)
        return false;
    if (rules->workspace_limit_bytes && entry->workspace_bytes > rules->workspace_limit_bytes)
        return false;
    if (rules->varies && !strncmp(entry->tuning, PF_TUNING_FIXED, sizeof PF_TUNING_FIXED - 1))
        return false;
    return !rules->allows || rules->allows(rules->user, tactic);
}

/* How far its time may be from what many samples would give. */
static double error_of(const pf_timing_entry *entry)
{
    return entry->contended || !entry->sample_count ? 0 : pf_race_median_error(entry->spread_ns, entry->sample_count);
}

double pf_choose_noise_ns(int64_t best_ns)
{
    return fmin((double)best_ns * NOISE + NOISE_NS, (double)best_ns * MOST);
}

static bool within_noise(const pf_timing_entry *best, const pf_timing_entry *other)
{
    double error = fmax(error_of(best), error_of(other));

    return (double)(pf_choose_time(other) - pf_choose_time(best)) <=
           fmax(pf_choose_noise_ns(pf_choose_time(best)), error);
}

/* Of two numbers, which end where they stop being digits, the larger one comes first. */
static int compare_numbers(const char **a, const char **b)
{
    size_t m = 0, n = 0;
    int    order = 0;

    while (**a == '0')
        (*a)++;
    while (**b == '0')
        (*b)++;
    while (isdigit((unsigned char)(*a)[m]))
        m++;
    while (isdigit((unsigned char)(*b)[n]))
        n++;
    order = m != n ? (m > n ? -1 : 1) : -memcmp(*a, *b, m);
    *a += m;
    *b += n;
    return order;
}

/* As text, but where numbers differ the larger one is preferred: larger tiles, longer vectors and more stages are more
   often the faster ones, so that fewer choices hang on whether two are equal. */
static int compare_tunings(const char *a, const char *b)
{
    const char *x = a, *y = b;

    while (*x && *y) {
        int order = isdigit((unsigned char)*x) && isdigit((unsigned char)*y) ? compare_numbers(&x, &y) : *x++ - *y++;

        if (order)
            return order;
    }
    return *x || *y ? *x - *y : strcmp(a, b);
}

int pf_choose_compare_tactics(const pf_tactic *x, const pf_timing_entry *a, const pf_tactic *y,
                              const pf_timing_entry *b)
{
    int compiles = (x->compile != NULL) - (y->compile != NULL);

    if (a->workspace_bytes != b->workspace_bytes)
        return a->workspace_bytes < b->workspace_bytes ? -1 : 1;
    if (compiles)
        return compiles;
    if (x != y)
        return table_place(x) < table_place(y) ? -1 : 1;
    return compare_tunings(a->tuning, b->tuning);
}

int pf_choose_compare_equal(const pf_timing_entry *a, const pf_timing_entry *b)
{
    return pf_choose_compare_tactics(pf_tactic_find(a->tactic), a, pf_tactic_find(b->tactic), b);
}

static bool faster(const pf_timing_entry *a, const pf_timing_entry *b)
{
    if (a->status != b->status)
        return a->status == PF_TIMED;
    return pf_choose_time(a) < pf_choose_time(b);
}

static void swap(const pf_timing_entry **a, const pf_timing_entry **b)
{
    const pf_timing_entry *kept = *a;

    *a = *b;
    *b = kept;
}

/* Brings the one to prefer among items to the front. */
static void select_first(const pf_timing_entry **items, uint32_t count)
{
    uint32_t best = 0, chosen = 0;

    for (uint32_t i = 1; i < count; i++)
        if (faster(items[i], items[best]))
            best = i;
    chosen = best;
    for (uint32_t i = 0; i < count; i++)
        if (items[i]->status == items[best]->status && within_noise(items[best], items[i]) &&
            pf_choose_compare_equal(items[i], items[chosen]) < 0)
            chosen = i;
    swap(&items[0], &items[chosen]);
}

static uint32_t collect(const pf_timing_record *record, const pf_choose_rules *rules, bool contended,
                        const pf_timing_entry **out)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < record->count; i++)
        if ((record->entries[i].contended != 0) == contended && usable(&record->entries[i], rules))
            out[count++] = &record->entries[i];
    return count;
}

pf_status pf_choose_rank(const pf_timing_record *record, const pf_choose_rules *rules, pf_choice *out, pf_err *err)
{
    *out = (pf_choice){ 0 };
    if (!record->count)
        return PF_OK;
    out->ranked = pf_calloc(record->count, sizeof *out->ranked);
    if (!out->ranked)
        return PF_FAIL_MEMORY(err, record->count * sizeof *out->ranked);
    out->count = collect(record, rules, false, out->ranked);
    if (!out->count) {
        out->count = collect(record, rules, true, out->ranked);
        out->contended = out->count > 0;
    }
    for (uint32_t i = 0; i + 1 < out->count; i++)
        select_first(out->ranked + i, out->count - i);
    return PF_OK;
}

void pf_choose_clear(pf_choice *choice)
{
    if (!choice)
        return;
    pf_free(choice->ranked);
    *choice = (pf_choice){ 0 };
}
