#include "coordinator/plans.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/nearest.h"
#include "coordinator/classes.h"
#include "coordinator/job.h"
#include "coordinator/rows.h"
#include "coordinator/submit.h"
#include "proto/manifest.h"

#define DAY_NS   (INT64_C(24) * 3600 * PF_NS_PER_S)
#define SWEEP_NS (INT64_C(3600) * PF_NS_PER_S)
enum { DROPS_PER_SWEEP = 10000, NAMES_LOOKED_AT = 1000, SIGNED_BYTES_MAX = 1 << 27 };

pf_plan *pf_plans_find(const pf_core *core, const pf_digest *plan_key)
{
    return pf_index_find(&core->plans, plan_key);
}

void pf_plans_free(pf_core *core, pf_plan *plan)
{
    pf_text_drop(core, plan->model_name);
    pf_free(plan->manifest);
    pf_free(plan);
}

static void fill(pf_core *core, pf_plan *plan, const pf_manifest *m, const char *manifest, uint64_t job_id)
{
    plan->plan_key = m->plan_key;
    plan->plan_digest = m->plan;
    plan->model_digest = m->model;
    plan->spec_digest = m->spec;
    plan->plan_bytes = m->plan_bytes;
    plan->job_id = job_id;
    plan->created_ns = m->created_s * INT64_C(1000000000);
    plan->used_ns = core->now.wall_ns;
    plan->device_class = pf_classes_find(core, &m->device_class);
    plan->model_name = pf_text_take(core, m->model_name);
    plan->manifest = pf_strdup(manifest);
}

pf_plan *pf_plans_add(pf_core *core, const char *manifest, uint64_t job_id)
{
    pf_manifest m;
    pf_plan    *plan = NULL;

    if (pf_manifest_parse(manifest, strlen(manifest), &m, NULL))
        return NULL;
    plan = pf_core_alloc(core, sizeof *plan);
    if (!plan)
        return NULL;
    fill(core, plan, &m, manifest, job_id);
    if (!plan->manifest || !plan->model_name || !pf_index_add(&core->plans, plan)) {
        pf_core_fail(core);
        pf_plans_free(core, plan);
        return NULL;
    }
    plan->older = core->newest_plan;
    if (core->newest_plan)
        core->newest_plan->newer = plan;
    core->newest_plan = plan;
    return plan;
}

static bool names_all(const pf_plan *plan, const pf_signing_key *keys, uint32_t keys_count)
{
    for (uint32_t i = 0; i < keys_count; i++)
        if (!pf_manifest_names_key(plan->manifest, strlen(plan->manifest), keys[i].public_key.name))
            return false;
    return true;
}

/* By the first key, which signs all that is new. */
static bool is_verified(const pf_plan *plan, const pf_signing_key *keys)
{
    return plan && pf_manifest_verify(plan->manifest, strlen(plan->manifest), &keys[0].public_key, 1, NULL) == PF_OK;
}

static void sign(pf_core *core, pf_plan *plan, const pf_signing_key *keys, uint32_t keys_count)
{
    size_t bytes = 0;
    pf_buf text = { 0 };

    pf_buf_init(&text, PF_MANIFEST_BYTES);
    if (pf_manifest_sign_anew(plan->manifest, strlen(plan->manifest), keys, keys_count, &text, NULL) == PF_OK) {
        pf_free(plan->manifest);
        plan->manifest = (char *)pf_buf_take(&text, &bytes);
        pf_rows_put_plan(core, plan);
    }
    pf_buf_clear(&text);
}

void pf_plans_sign(pf_core *core, const pf_signing_key *keys, uint32_t keys_count)
{
    bool all = !is_verified(core->newest_plan, keys);

    for (pf_plan *plan = core->newest_plan; plan && !core->failed; plan = plan->older) {
        if (core->out->bytes.size > SIGNED_BYTES_MAX)
            return;
        if (all || !names_all(plan, keys, keys_count))
            sign(core, plan, keys, keys_count);
    }
}

void pf_plans_drop(pf_core *core, pf_plan *plan)
{
    pf_core_remove(core, PF_ROWS_PLANS, &plan->plan_key, sizeof plan->plan_key);
    pf_index_remove(&core->plans, &plan->plan_key);
    if (plan->newer)
        plan->newer->older = plan->older;
    else
        core->newest_plan = plan->older;
    if (plan->older)
        plan->older->newer = plan->newer;
    pf_plans_free(core, plan);
}

/* Its row is written anew at most once a day. */
void pf_plans_use(pf_core *core, pf_plan *plan)
{
    int64_t unsaid_ns = core->config.plan_retention_ns / 16 < DAY_NS ? core->config.plan_retention_ns / 16 : DAY_NS;

    if (core->now.wall_ns - plan->used_ns < unsaid_ns)
        return;
    plan->used_ns = core->now.wall_ns;
    pf_rows_put_plan(core, plan);
}

static void mark_named(pf_core *core)
{
    core->sweeps++;
    for (uint32_t i = 0; i < core->submits.capacity; i++) {
        const pf_submit *submit = core->submits.item[i];
        for (uint32_t k = 0; submit && k < submit->items_count; k++) {
            pf_plan *plan = pf_plans_find(core, pf_submit_item_key(&submit->item[k]));
            if (plan)
                plan->named = core->sweeps;
        }
    }
}

static bool is_old(const pf_core *core, const pf_plan *plan)
{
    return core->now.wall_ns - plan->used_ns > core->config.plan_retention_ns && !pf_job_find(core, plan->job_id);
}

/* A wall clock that has just moved by more than a day was wrong before or is wrong now: nothing is forgotten by it
   until the next sweep.  What was made while it stood in the years before there were farms was used about now. */
static bool clock_is_steady(pf_core *core)
{
    int64_t offset_ns = core->now.wall_ns - core->now.boot_ns, moved_ns = offset_ns - core->clock_offset_ns;

    if (moved_ns >= -DAY_NS && moved_ns <= DAY_NS)
        return true;
    core->clock_offset_ns = offset_ns;
    for (pf_plan *plan = core->newest_plan; plan && core->now.wall_ns >= PF_FARMS_BEGAN_NS; plan = plan->older)
        if (plan->used_ns < PF_FARMS_BEGAN_NS)
            pf_plans_use(core, plan);
    return false;
}

void pf_plans_expire(pf_core *core)
{
    pf_plan *plan = core->newest_plan;

    if (core->now.boot_ns < core->sweep_at_ns)
        return;
    core->sweep_at_ns = core->now.boot_ns + SWEEP_NS;
    if (!clock_is_steady(core))
        return;
    while (plan && !is_old(core, plan))
        plan = plan->older;
    if (!plan)
        return;
    mark_named(core);
    for (int dropped = 0; plan && dropped < DROPS_PER_SWEEP;) {
        pf_plan *older = plan->older;
        bool     drop = is_old(core, plan) && plan->named != core->sweeps;
        if (drop)
            pf_plans_drop(core, plan);
        dropped += drop;
        plan = older;
    }
}

static bool matches(const pf_plan *plan, const Pf__PlanLookup *lookup, const pf_class *device_class,
                    const pf_digest *spec)
{
    if (device_class && plan->device_class != device_class)
        return false;
    if (lookup->model_digest.len &&
        memcmp(lookup->model_digest.data, &plan->model_digest, sizeof plan->model_digest) != 0)
        return false;
    if (lookup->model_name[0] && strcmp(lookup->model_name, plan->model_name->data) != 0)
        return false;
    return !lookup->spec_text[0] || pf_digest_equal(spec, &plan->spec_digest);
}

/* Those from `plan` on that match; limit is above 0. */
static uint32_t collect(pf_plan *plan, const Pf__PlanLookup *lookup, const pf_class *device_class, uint32_t limit,
                        pf_plan **out)
{
    pf_digest spec = { 0 };
    uint32_t  count = 0;

    pf_digest_of(lookup->spec_text, strlen(lookup->spec_text), &spec);
    for (; plan && count < limit; plan = plan->older)
        if (matches(plan, lookup, device_class, &spec))
            out[count++] = plan;
    return count;
}

pf_plan *pf_plans_before(const pf_core *core, const Pf__PlanLookup *lookup)
{
    pf_digest key = { 0 };

    if (lookup->before_key.len != sizeof key)
        return NULL;
    memcpy(&key, lookup->before_key.data, sizeof key);
    return pf_plans_find(core, &key);
}

/* Of the classes that have such a plan. */
static pf_selection select_with_plan(const pf_core *core, const Pf__PlanLookup *lookup)
{
    pf_selection selection = { 0 };
    pf_digest    spec = { 0 };

    pf_digest_of(lookup->spec_text, strlen(lookup->spec_text), &spec);
    for (pf_plan *plan = core->newest_plan; plan; plan = plan->older)
        if (matches(plan, lookup, NULL, &spec))
            pf_selector_offer(core, lookup->selector, plan->device_class, &selection);
    return selection;
}

uint32_t pf_plans_match(const pf_core *core, const Pf__PlanLookup *lookup, uint32_t limit, pf_plan **out,
                        pf_selection *selection)
{
    const pf_plan *before = pf_plans_before(core, lookup);
    pf_digest      key = { 0 };
    uint32_t       count = 0;

    memset(selection, 0, sizeof *selection);
    if (lookup->plan_key.len == sizeof key) {
        memcpy(&key, lookup->plan_key.data, sizeof key);
        out[0] = pf_plans_find(core, &key);
        return out[0] != NULL;
    }
    if (before)                 /* the class that the selector meant is the one of the plans before */
        return collect(before->older, lookup, lookup->selector[0] ? before->device_class : NULL, limit, out);
    if (!lookup->selector[0])
        return collect(core->newest_plan, lookup, NULL, limit, out);
    *selection = pf_selector_resolve(core, lookup->selector);
    if (!selection->best)
        return 0;
    if (!selection->ambiguous)
        count = collect(core->newest_plan, lookup, selection->best, limit, out);
    if (count)
        return count;
    *selection = select_with_plan(core, lookup);
    if (!selection->best || selection->ambiguous)
        return 0;
    return collect(core->newest_plan, lookup, selection->best, limit, out);
}

/* The name of a model with a plan, most likely meant; NULL when none is near.  Names are shared, and plans of one name
   often lie together. */
static const char *find_nearest(const pf_core *core, const char *name)
{
    const pf_text *last = NULL;
    pf_nearest     nearest;
    uint32_t       offered = 0;

    pf_nearest_begin(&nearest, name);
    for (const pf_plan *plan = core->newest_plan; plan && offered < NAMES_LOOKED_AT; plan = plan->older) {
        if (plan->model_name == last)
            continue;
        last = plan->model_name;
        pf_nearest_offer(&nearest, pf_text_of(last));
        offered++;
    }
    return pf_nearest_end(&nearest);
}

void pf_plans_explain(const pf_core *core, const Pf__PlanLookup *lookup, char *out, size_t capacity)
{
    Pf__PlanLookup by_name = PF__PLAN_LOOKUP__INIT;
    pf_plan       *other = NULL;
    const char    *meant = NULL;

    by_name.model_name = lookup->model_name;
    if (!lookup->model_name[0])
        snprintf(out, capacity, "no such plan is here; submit the model to have it built");
    else if (collect(core->newest_plan, &by_name, NULL, 1, &other))
        snprintf(out, capacity,
                 "the newest plan of model \"%.100s\" is for %s and not what was asked for; submit the model to have "
                 "that built",
                 lookup->model_name, other->device_class ? other->device_class->name : "another class");
    else if ((meant = find_nearest(core, lookup->model_name)) != NULL)
        snprintf(out, capacity, "no plan of a model \"%.100s\" is here; did you mean %.100s?", lookup->model_name,
                 meant);
    else
        snprintf(out, capacity, "no plan of a model \"%.100s\" is here; submit the model to have it built",
                 lookup->model_name);
}
