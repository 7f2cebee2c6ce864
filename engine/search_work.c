#include "engine/search_work.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

#define AHEAD_BYTES ((uint64_t)2 << 30)     /* of answers */

/* ---- Turns */

static int by_semantics(const void *a, const void *b)
{
    const pf_search_work *x = a, *y = b;
    int                   order = memcmp(x->semantics.byte, y->semantics.byte, sizeof x->semantics.byte);

    return order ? order : (x->item < y->item ? -1 : x->item > y->item);
}

static int by_turn(const void *a, const void *b)
{
    const pf_search_work *x = a, *y = b;

    if (x->compile_ms != y->compile_ms)
        return x->compile_ms > y->compile_ms ? -1 : 1;
    return by_semantics(a, b);
}

/* What is compiled with the device is compiled before anything is timed. */
static uint32_t longest_compile(const pf_search_missing *missing)
{
    uint32_t most = 0;

    for (uint32_t i = 0; i < missing->count; i++) {
        const pf_tactic *tactic = missing->items[i].tactic;

        if (tactic->compile && !(tactic->flags & PF_TACTIC_COMPILES_WITH_DEVICE) && tactic->compile_ms > most)
            most = tactic->compile_ms;
    }
    return most;
}

static bool is_same(const pf_search_work *a, const pf_search_work *b)
{
    return pf_digest_equal(&a->semantics, &b->semantics);
}

void pf_search_put_in_turn(pf_search_work *list, uint32_t count)
{
    uint32_t end = 0;

    qsort(list, count, sizeof *list, by_semantics);
    for (uint32_t first = 0; first < count; first = end) {
        uint32_t most = 0;

        for (end = first; end < count && is_same(&list[end], &list[first]); end++) {
            uint32_t one = longest_compile(&list[end].missing);

            most = one > most ? one : most;
        }
        for (uint32_t i = first; i < end; i++)
            list[i].compile_ms = most;
    }
    qsort(list, count, sizeof *list, by_turn);
}

/* ---- Compiling beside timing */

pf_status pf_search_compile(const pf_search *search, const pf_search_work *list, uint32_t count,
                            pf_precompilation **out, pf_err *err)
{
    pf_precompile_item *items = NULL;
    uint32_t            total = 0, at = 0;
    pf_status           st = PF_OK;

    for (uint32_t i = 0; i < count; i++)
        total += list[i].missing.count;
    items = pf_calloc(total + 1, sizeof *items);
    if (!items)
        return PF_FAIL_MEMORY(err, total * sizeof *items);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t c = 0; c < list[i].missing.count; c++)
            items[at++] = (pf_precompile_item){ search->items[list[i].item].problem, list[i].missing.items[c].tactic,
                                                list[i].missing.items[c].tuning.text, i };
    st = pf_precompile_start(search->device, items, total, out, err);
    pf_free(items);
    return st;
}

/* Without it each is made when its turn comes. */
void pf_search_expect(const pf_search *search, pf_search_work *list, uint32_t count, pf_oracle_ahead **out)
{
    pf_oracle_wanted *wanted = pf_calloc(count + 1, sizeof *wanted);
    uint32_t          answers = 0;

    *out = NULL;
    for (uint32_t i = 0; i < count; i++) {
        list[i].answer = PF_NONE;
        if (!wanted || (i && is_same(&list[i], &list[i - 1])))
            continue;
        list[i].answer = answers;
        wanted[answers++].graph = search->items[list[i].item].problem->graph;
    }
    if (wanted && pf_oracle_ahead_pays(search->device))
        (void)pf_oracle_ahead_start(wanted, answers, AHEAD_BYTES, out, NULL);
    pf_free(wanted);
}

bool pf_search_wait(const pf_search *search, pf_precompilation *compilers, uint32_t at)
{
    const pf_device_ops *ops = search->device->ops;
    bool                 beside = pf_oracle_ahead_pays(search->device), goes_on = false;
    int64_t              start = pf_clock_ns();

    goes_on = pf_precompile_wait(compilers, beside ? at : UINT32_MAX, pf_progress_tick, search->progress);
    if (!at && ops->rest)
        ops->rest(search->device, false);       /* who compiled with it makes room before anything is timed */
    search->progress->spent_ns[PF_PART_COMPILE] += pf_clock_ns() - start;
    return goes_on;
}

void pf_search_works_free(pf_search_work *list, uint32_t count)
{
    for (uint32_t i = 0; list && i < count; i++)
        pf_free(list[i].missing.items);
    pf_free(list);
}
