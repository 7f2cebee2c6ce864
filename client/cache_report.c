#include "client/cache_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cache/timing_db_check.h"
#include "client/output.h"

enum { DATE_BYTES = 32, NAME_BYTES = 128 };

const char *pf_timing_status_name(pf_timing_status status)
{
    static const char *const names[PF_TIMING_STATUS_COUNT] = {
        [PF_TIMED] = "timed",           [PF_TIMING_FAILED] = "failed",   [PF_TIMING_WRONG] = "wrong",
        [PF_TIMING_OVER_LIMIT] = "over_limit", [PF_TIMING_TIMEOUT] = "timeout", [PF_TIMING_DROPPED] = "dropped",
    };

    return status < PF_TIMING_STATUS_COUNT ? names[status] : "unknown";
}

static const char *date_of(int64_t wall_ns, char out[DATE_BYTES])
{
    time_t    seconds = (time_t)(wall_ns / PF_NS_PER_S);
    struct tm utc = {0};

    gmtime_r(&seconds, &utc);
    strftime(out, DATE_BYTES, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return out;
}

/* A class in few words: the model of its processor and what of it is used, from the lines of its text. */
static void name_class(pf_timing_db *db, const pf_digest *digest, char out[NAME_BYTES])
{
    static const char *const keys[] = {"device=", "model_name=", "name=", "isa=", "threads=", "share_percent="};
    char  *text = NULL;
    size_t used = 0;

    out[0] = 0;
    if (pf_timing_db_text(db, PF_TABLE_CLASSES, digest, &text, NULL))
        return;
    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        for (size_t k = 0; k < sizeof keys / sizeof *keys && used < NAME_BYTES - 1; k++)
            if (strncmp(line, keys[k], strlen(keys[k])) == 0)
                used += (size_t)snprintf(out + used, NAME_BYTES - used, "%s%.*s", used ? " " : "",
                                         (int)strcspn(line, "\n"), line);
    pf_free(text);
}

static json_t *report_classes(pf_call *call, pf_timing_db *db, const pf_timing_stats *stats)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < stats->class_count; i++) {
        const pf_timing_class_stats *one = &stats->by_class[i];
        json_t *to = json_object();
        char    hex[PF_DIGEST_HEX_BYTES], name[NAME_BYTES];

        pf_digest_to_hex(&one->digest, hex);
        name_class(db, &one->digest, name);
        json_object_set_new(to, "class", json_string(hex));
        json_object_set_new(to, "name", pf_json_text(name));
        json_object_set_new(to, "records", pf_json_count(one->records));
        json_object_set_new(to, "entries", pf_json_count(one->entries));
        json_array_append_new(list, to);
        pf_say(call, "  class %.16s  %" PRIu64 " records, %" PRIu64 " entries  %s\n", hex, one->records, one->entries,
               name);
    }
    return list;
}

static void report_entries(pf_call *call, const pf_timing_stats *stats)
{
    json_t *by_status = json_object();

    pf_say(call, "  entries:");
    for (int i = 0; i < PF_TIMING_STATUS_COUNT; i++) {
        json_object_set_new(by_status, pf_timing_status_name((pf_timing_status)i), pf_json_count(stats->entries[i]));
        pf_say(call, " %" PRIu64 " %s%s", stats->entries[i], pf_timing_status_name((pf_timing_status)i),
               i + 1 < PF_TIMING_STATUS_COUNT ? "," : "");
    }
    pf_say(call, "; %" PRIu64 " of them contended\n", stats->contended);
    json_object_set_new(call->result, "entries", by_status);
    json_object_set_new(call->result, "contended", pf_json_count(stats->contended));
}

static void report_counters(pf_call *call, const pf_timing_stats *stats)
{
    json_t *to = json_object();

    pf_say(call, "  counted since it was made:");
    for (int i = 0; i < PF_COUNTER_COUNT; i++) {
        const char *name = pf_timing_counter_name((pf_timing_counter)i);

        json_object_set_new(to, name, pf_json_count(stats->counter[i]));
        pf_say(call, "%s %s %" PRIu64, i ? "," : "", name, stats->counter[i]);
    }
    pf_say(call, "\n");
    json_object_set_new(call->result, "counters", to);
}

pf_status pf_cache_report(pf_call *call, pf_timing_db *db, const char *place, uint64_t export_bytes, pf_err *err)
{
    pf_timing_stats stats = {0};
    char            file[PF_TEXT_BYTES], used[PF_TEXT_BYTES], oldest[DATE_BYTES], newest[DATE_BYTES];
    pf_status       status = pf_timing_db_stats(db, &stats, err);

    if (status)
        return status;
    if (export_bytes)
        stats.file_bytes = stats.used_bytes = export_bytes;
    json_object_set_new(call->result, "folder", pf_json_text(place));
    json_object_set_new(call->result, "records", pf_json_count(stats.records));
    json_object_set_new(call->result, "problems", pf_json_count(stats.problems));
    json_object_set_new(call->result, "file_bytes", pf_json_count(stats.file_bytes));
    json_object_set_new(call->result, "used_bytes", pf_json_count(stats.used_bytes));
    json_object_set_new(call->result, "damaged", pf_json_count(stats.bad));
    pf_say(call,
           "timing cache %s\n  %" PRIu64 " records of %" PRIu64 " problems in %" PRIu64 " device classes; %" PRIu64
           " damaged\n",
           place, stats.records, stats.problems, stats.classes, stats.bad);
    pf_say(call, "  file %s, of which %s are in use\n", pf_text_bytes(stats.file_bytes, file),
           pf_text_bytes(stats.used_bytes, used));
    if (stats.records) {
        json_object_set_new(call->result, "oldest", json_string(date_of(stats.oldest_wall_ns, oldest)));
        json_object_set_new(call->result, "newest", json_string(date_of(stats.newest_wall_ns, newest)));
        pf_say(call, "  measured from %s to %s\n", oldest, newest);
    }
    report_entries(call, &stats);
    if (!export_bytes)
        report_counters(call, &stats);
    json_object_set_new(call->result, "classes", report_classes(call, db, &stats));
    pf_timing_stats_clear(&stats);
    return PF_OK;
}

void pf_transfer_report(pf_call *call, const char *verb, const char *path, const pf_timing_transfer *done)
{
    json_t *list = json_object_get(call->result, "files"), *one = json_object();

    if (!list) {
        list = json_array();
        json_object_set_new(call->result, "files", list);
    }
    json_object_set_new(one, "path", pf_json_text(path));
    json_object_set_new(one, "records", pf_json_count(done->records));
    json_object_set_new(one, "entries", pf_json_count(done->entries));
    json_object_set_new(one, "classes", pf_json_count(done->classes));
    json_object_set_new(one, "problems", pf_json_count(done->problems));
    json_array_append_new(list, one);
    pf_say(call, "%s %s: %" PRIu64 " records, %" PRIu64 " entries, %" PRIu64 " device classes, %" PRIu64 " problems\n",
           verb, path, done->records, done->entries, done->classes, done->problems);
}
