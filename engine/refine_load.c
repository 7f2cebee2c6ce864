#include "engine/refine_load.h"

#include <string.h>

enum { RESTED = 3, BUSY = 3, BURSTS = 2 };      /* blocks at either end of a look; of a contest */

#define LOOK_NS   (10 * PF_NS_PER_MS)   /* of a block */
#define SLOWER    1.015                 /* a busy device's time against a rested one's: clocks have steps of 1 % */
#define WARM_NS   (40 * PF_NS_PER_MS)   /* of a device that hardly rested */
#define BURST_NS  (190 * PF_NS_PER_MS)  /* of one that did, before a burst counts: its clock falls for 170 ms */
#define SETTLE_NS (60 * PF_NS_PER_MS)   /* a few of its looks at its power */
#define COUNT_NS  (65 * PF_NS_PER_MS)
#define CLOSE     0.015                 /* rivals are slower by less of the whole, at one clock */
#define GAIN      0.008                 /* three times what a contest's gains scatter by: steps of 1 % in each block */
#define HOPELESS  0.002                 /* what gains less in its first burst has no second one */

static int64_t runs_in(int64_t ns, int64_t run_ns)
{
    int64_t runs = run_ns > 0 ? ns / run_ns : 1;

    return runs > 1 ? runs : 1;
}

/* ---- Does it get slower? */

static int64_t least(const int64_t *values, int count)
{
    int64_t found = values[0];

    for (int i = 1; i < count; i++)
        found = values[i] < found ? values[i] : found;
    return found;
}

/* A block that something disturbed is not among the least of its end. */
void pf_refine_load_judge(const int64_t run_ns[PF_REFINE_LOOKS], pf_refine_load *out)
{
    int64_t rested = least(run_ns, RESTED), busy = least(run_ns + PF_REFINE_LOOKS - BUSY, BUSY);

    *out = (pf_refine_load){ .slows = (double)busy > SLOWER * (double)rested, .run_ns = busy };
    out->warm_runs = out->slows ? runs_in(WARM_NS, busy) : 0;
}

pf_status pf_refine_load_look(pf_refine_blocks *blocks, void *user, pf_refine_load *out, pf_err *err)
{
    int64_t   block_ns[PF_REFINE_LOOKS] = { 0 }, first_ns = 0, runs = 0;
    pf_status st = blocks(user, 1, 1, &first_ns, err);

    *out = (pf_refine_load){ 0 };
    runs = runs_in(LOOK_NS, first_ns);
    if (!st)
        st = blocks(user, runs, PF_REFINE_LOOKS, block_ns, err);
    for (int i = 0; i < PF_REFINE_LOOKS; i++)
        block_ns[i] /= runs;
    if (!st)
        pf_refine_load_judge(block_ns, out);
    return st;
}

/* ---- Contests */

static bool is_taken(const int *taken, int count, int i)
{
    for (int k = 0; k < count; k++)
        if (taken[k] == i)
            return true;
    return false;
}

static bool has_tactic(const pf_timing_entry *const *entries, const int *taken, int count, const char *tactic)
{
    for (int k = 0; k < count; k++)
        if (!strcmp(entries[taken[k]]->tactic, tactic))
            return true;
    return false;
}

/* The best that is left and close, of a tactic of its own where that is asked for; -1: none. */
static int next_rival(const pf_refine_verdict *verdicts, const pf_timing_entry *const *entries, int count,
                      const int *taken, int taken_count, bool of_its_own)
{
    int best = -1;

    for (int i = 0; i < count; i++) {
        bool close = verdicts[i].pairs && (double)verdicts[i].gain_ns >= -CLOSE * (double)verdicts[i].base_ns;

        if (!close || is_taken(taken, taken_count, i) ||
            (of_its_own && has_tactic(entries, taken, taken_count, entries[i]->tactic)))
            continue;
        best = best < 0 || verdicts[i].gain_ns > verdicts[best].gain_ns ? i : best;
    }
    return best;
}

int pf_refine_load_rivals(pf_refine_verdict *verdicts, const pf_timing_entry *const *entries, int count,
                          int out[PF_REFINE_RIVALS])
{
    int taken = 0;

    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; taken < PF_REFINE_RIVALS && i >= 0;) {
            i = next_rival(verdicts, entries, count, out, taken, pass == 0);
            if (i >= 0)
                out[taken++] = i;
        }
    memset(verdicts, 0, (size_t)count * sizeof *verdicts);
    return taken;
}

/* One, twice the other, and one again, and the next time the other way: what the device does as it gets warmer is
   shared out evenly. */
static pf_status run_burst(pf_refine_bursts *bursts, void *user, int64_t run_ns, bool starts, double sums_ns[2],
                           pf_err *err)
{
    pf_refine_burst burst = { .other = { starts, !starts, !starts, starts }, .warm_runs = runs_in(BURST_NS, run_ns),
                              .settle_runs = runs_in(SETTLE_NS, run_ns), .runs = runs_in(COUNT_NS, run_ns) };
    int64_t         block_ns[PF_REFINE_BURST_BLOCKS] = { 0 };
    pf_status       st = bursts(user, &burst, block_ns, err);

    for (int b = 0; b < PF_REFINE_BURST_BLOCKS; b++)
        sums_ns[burst.other[b]] += (double)block_ns[b] / (double)burst.runs;
    return st;
}

pf_status pf_refine_load_contest(pf_refine_bursts *bursts, void *user, const pf_refine_load *load,
                                 pf_refine_verdict *out, pf_err *err)
{
    double    sums_ns[2] = { 0 };
    bool      hopeless = false;
    pf_status st = PF_OK;

    *out = (pf_refine_verdict){ 0 };
    for (int i = 0; i < BURSTS && !st && !hopeless; i++) {
        double base = 0, gain = 0;

        st = run_burst(bursts, user, load->run_ns, i % 2, sums_ns, err);
        if (st)
            break;
        base = sums_ns[0] / (2 * (i + 1));
        gain = base - sums_ns[1] / (2 * (i + 1));
        hopeless = gain < HOPELESS * base;
        *out = (pf_refine_verdict){ i + 1 == BURSTS && gain > GAIN * base, 2 * (i + 1), (int64_t)base, (int64_t)gain,
                                    (int64_t)(GAIN * base) };
    }
    return st;
}
