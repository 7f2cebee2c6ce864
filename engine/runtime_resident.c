#include "engine/runtime_resident.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"

struct pf_residents { pf_resident *first; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

pf_status pf_residents_new(pf_residents **out, pf_err *err)
{
    *out = pf_calloc(1, sizeof **out);
    return *out ? PF_OK : PF_FAIL_MEMORY(err, sizeof **out);
}

void pf_residents_free(pf_residents *residents)
{
    pf_free(residents);         /* contexts are freed before their plan, and took the residents with them */
}

/* ---- Memory */

pf_status pf_resident_alloc(pf_resident *resident, size_t bytes, void **out, pf_err *err)
{
    *out = NULL;
    return bytes ? pf_device_take(resident->device, &resident->allocator, bytes, out, err) : PF_OK;
}

void pf_resident_free(pf_resident *resident, void *pointer)
{
    if (pointer)
        pf_device_give_back(resident->device, &resident->allocator, pointer);
}

uint64_t pf_resident_bytes(const pf_resident *resident, const pf_instance *instance)
{
    uint64_t bytes = 0;

    pthread_mutex_lock(&lock);
    bytes = pf_resident_weight_bytes(resident);
    for (uint32_t s = 0; s < resident->plan->step_count; s++)
        bytes += instance->packed_here[s] ? instance->steps[s]->packed_bytes : 0;
    pthread_mutex_unlock(&lock);
    return bytes;
}

/* ---- Residents */

static void resident_free(pf_resident *resident)
{
    if (!resident)
        return;
    for (int i = 0; i < PF_INSTANCES_KEPT; i++)
        pf_instance_free(resident, resident->instances[i]);
    pf_resident_clear_weights(resident);
    pf_free(resident);
}

static bool same_allocator(const pf_allocator *a, const pf_allocator *b)
{
    return a->alloc == b->alloc && a->free == b->free && a->user == b->user;
}

static pf_status resident_new(pf_plan *plan, pf_device *device, const pf_allocator *allocator, pf_resident **out,
                              pf_err *err)
{
    pf_resident *resident = pf_calloc(1, sizeof *resident);

    *out = NULL;
    if (resident) {
        resident->plan = plan;
        resident->device = device;
        resident->failed_step = PF_NONE;
        resident->allocator = *allocator;
        resident->blobs = pf_calloc(plan->blob_count + 1, sizeof *resident->blobs);
        resident->blob_owned = pf_calloc(plan->blob_count + 1, sizeof *resident->blob_owned);
    }
    if (!resident || !resident->blobs || !resident->blob_owned) {
        resident_free(resident);
        return PF_FAIL_MEMORY(err, sizeof *resident);
    }
    *out = resident;
    return PF_OK;
}

pf_status pf_resident_take(pf_plan *plan, pf_device *device, const pf_allocator *allocator, pf_resident **out,
                           pf_err *err)
{
    const pf_allocator wanted = allocator ? *allocator : (pf_allocator){ 0 };
    pf_resident       *found = NULL;
    pf_status          st = PF_OK;

    pthread_mutex_lock(&lock);
    for (found = plan->residents->first; found; found = found->next)
        if (found->device == device && same_allocator(&found->allocator, &wanted))
            break;
    if (!found) {
        st = resident_new(plan, device, &wanted, &found, err);
        if (!st) {
            found->next = plan->residents->first;
            plan->residents->first = found;
        }
    }
    if (!st)
        found->users++;
    pthread_mutex_unlock(&lock);
    *out = found;
    return st;
}

void pf_resident_drop(pf_resident *resident)
{
    pf_resident **at = NULL;

    if (!resident)
        return;
    pthread_mutex_lock(&lock);
    if (--resident->users == 0) {
        for (at = &resident->plan->residents->first; *at != resident;)
            at = &(*at)->next;
        *at = resident->next;
        resident_free(resident);
    }
    pthread_mutex_unlock(&lock);
}

void pf_resident_keep_apart(pf_resident *resident)
{
    pthread_mutex_lock(&lock);
    resident->apart = true;
    pthread_mutex_unlock(&lock);
}

/* ---- Instances */

/* Does a step work in memory of its own? */
static bool is_alone(const pf_resident *resident, const pf_instance *instance)
{
    for (uint32_t s = 0; s < resident->plan->step_count; s++)
        if (instance->steps[s]->alone)
            return true;
    return false;
}

static bool may_use(const pf_resident *resident, const pf_instance *instance, const void *context)
{
    return !instance->users || instance->owner == context || !is_alone(resident, instance);
}

static int find_instance(const pf_resident *resident, const void *context, const int64_t *bindings)
{
    size_t bytes = resident->plan->symbol_count * sizeof *bindings;

    for (int i = 0; i < PF_INSTANCES_KEPT; i++)
        if (resident->instances[i] && !memcmp(resident->instances[i]->bindings, bindings, bytes) &&
            may_use(resident, resident->instances[i], context))
            return i;
    return -1;
}

/* A free place, or that of the instance which nobody uses and nobody used for the longest time; -1 when all are in
   use. */
static int find_place(const pf_resident *resident)
{
    int best = -1;

    for (int i = 0; i < PF_INSTANCES_KEPT; i++) {
        const pf_instance *instance = resident->instances[i];

        if (!instance)
            return i;
        if (!instance->users && (best < 0 || instance->used_at < resident->instances[best]->used_at))
            best = i;
    }
    return best;
}

/* With all places in use by other contexts the new one lives outside of them, for as long as it is used. */
static pf_status add_instance(pf_resident *resident, const int64_t *bindings, pf_instance **out, pf_err *err)
{
    pf_status st = pf_instance_make(resident, bindings, out, err);
    int       place = st ? -1 : find_place(resident);

    if (place >= 0) {
        pf_instance_free(resident, resident->instances[place]);
        resident->instances[place] = *out;
    }
    return st;
}

pf_status pf_instance_take(pf_resident *resident, const void *context, const int64_t *bindings, pf_instance **out,
                           pf_err *err)
{
    pf_status st = PF_OK;
    int       place = -1;

    *out = NULL;
    pthread_mutex_lock(&lock);
    place = find_instance(resident, context, bindings);
    if (place >= 0)
        *out = resident->instances[place];
    else
        st = add_instance(resident, bindings, out, err);
    if (!st) {
        (*out)->users++;
        (*out)->owner = context;
        (*out)->used_at = ++resident->clock;
    }
    pthread_mutex_unlock(&lock);
    return st;
}

void pf_instance_hold(pf_instance *instance)
{
    pthread_mutex_lock(&lock);
    instance->users++;
    pthread_mutex_unlock(&lock);
}

static bool is_kept(const pf_resident *resident, const pf_instance *instance)
{
    for (int i = 0; i < PF_INSTANCES_KEPT; i++)
        if (resident->instances[i] == instance)
            return true;
    return false;
}

void pf_instance_drop(pf_resident *resident, pf_instance *instance)
{
    if (!instance)
        return;
    pthread_mutex_lock(&lock);
    if (--instance->users == 0 && !is_kept(resident, instance))
        pf_instance_free(resident, instance);
    pthread_mutex_unlock(&lock);
}
