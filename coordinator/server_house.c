#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "coordinator/server_private.h"

#define HOUSEKEEPING_NS (INT64_C(1) * 1000000000)
#define READER_CHECK_NS (INT64_C(10) * 1000000000)
#define COLLECT_NS      (INT64_C(600) * 1000000000)     /* between two passes of the collector */
#define COLLECT_SOON_NS (INT64_C(10) * 1000000000)      /* the same, while the store is nearly full */

static pf_status watch_disk(pf_server *server, pf_err *err)
{
    static const char full[] = "the coordinator's disk is full: make room there; nothing that was accepted is lost";
    uint64_t          used = 0, limit = 0;
    bool              refuse = false;
    pf_event          event = { .kind = PF_EVENT_SPACE };

    server->counts.free_bytes = pf_state_dir_free_bytes(&server->dir);
    pf_db_usage(server->db, &used, &limit);
    refuse = !pf_state_dir_reserve(&server->dir) || server->counts.free_bytes < server->options.reserve_bytes ||
             used > limit - limit / 8;
    if (refuse == server->counts.refusing)
        return PF_OK;
    server->counts.refusing = refuse;
    pf_metrics_set_refusal(server->metrics, refuse ? full : NULL);
    pf_log(PF_LOG_WARN, "state", "disk refusing=%d free_bytes=%llu", refuse,
           (unsigned long long)server->counts.free_bytes);
    event.text = refuse ? full : NULL;
    return pf_server_step(server, &event, err);
}

/* ---- what may be collected */

enum { RECENT_NAMES = 1024 };

typedef struct names {
    pf_server *server;
    pf_digest *list;
    uint32_t   count, capacity;
    bool       failed;
    pf_digest  recent[RECENT_NAMES];    /* many jobs name the same models */
} names;

static void add_name(void *user, const pf_digest *digest)
{
    names *n = user;
    void  *items = n->list;

    if (n->failed || pf_grow(&items, &n->capacity, n->count + 1, sizeof *n->list)) {
        n->failed = true;
        return;
    }
    n->list = items;
    n->list[n->count++] = *digest;
}

static void add_named(void *user, const pf_digest *digest, bool is_model)
{
    names     *n = user;
    pf_digest *recent = &n->recent[(digest->byte[0] | digest->byte[1] << 8) % RECENT_NAMES];

    if (pf_digest_equal(recent, digest))
        return;
    *recent = *digest;
    add_name(n, digest);
    if (is_model)
        pf_models_files(n->server->models, digest, add_name, n);
}

/* Nine tenths of the limit, so that uploads need not wait for it. */
static uint64_t store_target(const pf_server *server)
{
    uint64_t limit = server->options.blobs_limit_bytes;

    return limit ? limit - limit / 10 : UINT64_MAX;
}

static void collect(pf_server *server)
{
    names            n;
    bool             nearly_full = pf_store_bytes_used(server->store) > store_target(server);
    int64_t          now_ns = pf_clock_ns();
    pf_collect_rules rules = { .now_wall_ns = pf_clock_wall_ns(), .spare_ns = server->options.blob_spare_ns,
                               .age_ns = server->options.blob_age_ns, .target_bytes = store_target(server) };

    if (now_ns < server->collect_ns - (nearly_full ? COLLECT_NS - COLLECT_SOON_NS : 0) ||
        pf_collector_is_busy(server->collector))
        return;
    server->collect_ns = now_ns + COLLECT_NS;
    memset(&n, 0, sizeof n);
    n.server = server;
    pf_core_named_blobs(server->core, add_named, &n);
    rules.named_count = n.count;
    if (n.failed)
        pf_free(n.list);        /* without all names nothing is collected */
    else
        pf_collector_give(server->collector, &rules, n.list);
}

static void count_timings(pf_server *server)
{
    pf_timing_totals totals;

    pf_timing_service_totals(server->timings, &totals);
    server->counts.timing_lookups = totals.lookups;
    server->counts.timing_hits = totals.hits;
    server->counts.timing_stored = totals.stored;
    server->counts.timing_refused = totals.refused;
}

static void count_collected(pf_server *server)
{
    pf_collected totals;

    pf_collector_totals(server->collector, &totals);
    server->counts.collected_blobs = totals.blobs;
    server->counts.collected_bytes = totals.bytes;
}

pf_status pf_server_keep_house(pf_server *server, pf_err *err)
{
    int64_t   now_ns = pf_clock_ns();
    pf_status st = PF_OK;

    if (now_ns < server->housekeeping_ns)
        return PF_OK;
    server->housekeeping_ns = now_ns + HOUSEKEEPING_NS;
    server->counts.blobs_bytes = pf_store_bytes_used(server->store);
    server->counts.blobs_count = pf_store_blob_count(server->store);
    count_timings(server);
    count_collected(server);
    collect(server);
    if (server->options.backup_ns && now_ns >= server->backup_ns && !server->counts.refusing) {
        server->backup_ns = now_ns + server->options.backup_ns;
        pf_backup_make(server->backup);
    }
    server->counts.backup_ns = pf_backup_made_ns(server->backup);
    st = watch_disk(server, err);
    pf_metrics_gather(server->metrics, server->core, pf_server_now(), server->db, &server->counts, &server->clients,
                      &server->agents);
    pf_authority_refresh(server->authority);
    if (now_ns >= server->readers_ns) {
        server->readers_ns = now_ns + READER_CHECK_NS;
        pf_db_check_readers(server->db);
    }
    return st;
}
