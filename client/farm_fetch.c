#include "client/farm_fetch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "client/cancel.h"
#include "client/farm_progress.h"
#include "client/output.h"
#include "engine/planfarm.h"

typedef struct download { pf_farm_progress bar; const char *name; } download;

static void fill_lookup(const pf_farm_wanted *wanted, Pf__PlanLookup *body)
{
    if (!pf_digest_is_zero(&wanted->plan_key))
        body->plan_key = pf_wire_bytes(&wanted->plan_key);
    if (!pf_digest_is_zero(&wanted->model))
        body->model_digest = pf_wire_bytes(&wanted->model);
    if (wanted->model_name)
        body->model_name = (char *)wanted->model_name;
    if (wanted->selector)
        body->selector = (char *)wanted->selector;
    if (wanted->spec_text)
        body->spec_text = (char *)wanted->spec_text;
}

/* A farm must not answer with another plan than the one asked for, however well signed. */
static pf_status check_answer(const pf_farm_wanted *wanted, const pf_manifest *found, pf_err *err)
{
    if (!pf_digest_is_zero(&wanted->plan_key) && !pf_digest_equal(&wanted->plan_key, &found->plan_key))
        return PF_FAIL(err, PF_CORRUPT, "the farm answered with the manifest of another plan");
    if (!pf_digest_is_zero(&wanted->model) && !pf_digest_equal(&wanted->model, &found->model))
        return PF_FAIL(err, PF_CORRUPT, "the farm answered with a plan of another model");
    if (wanted->model_name && strcmp(wanted->model_name, found->model_name) != 0)
        return PF_FAIL(err, PF_CORRUPT, "the farm answered with a plan of another model, %s", found->model_name);
    return PF_OK;
}

pf_status pf_farm_find_plan(pf_farm *farm, const pf_farm_trust *trust, const pf_farm_wanted *wanted, pf_manifest *out,
                            pf_err *err)
{
    Pf__PlanLookup              body = PF__PLAN_LOOKUP__INIT;
    pf_message                  answer = {0};
    const Pf__PlanLookupReply  *reply = NULL;
    const char                 *text = NULL;
    pf_status                   status = PF_OK;

    fill_lookup(wanted, &body);
    status = pf_farm_call(farm, PF_MSG_PLAN_LOOKUP, &body.base, PF_MSG_PLAN_LOOKUP_REPLY, &answer, err);
    reply = (const Pf__PlanLookupReply *)answer.body;
    if (!status && reply->n_plan == 0)
        status = PF_FAIL(err, PF_NOT_FOUND, "the farm at %s has no such plan", farm->url);
    if (!status) {
        text = reply->plan[0]->manifest;
        status = pf_manifest_verify(text, strlen(text), trust->key, trust->keys_count, err);
    }
    if (status && text)
        pf_err_add(err, status, "the plan of the farm at %s is not taken", farm->url);
    if (!status)
        status = pf_manifest_parse(text, strlen(text), out, err);
    if (!status)
        status = check_answer(wanted, out, err);
    pf_message_clear(&answer);
    return status;
}

static bool on_download(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    download *d = user;

    pf_farm_progress_bytes(&d->bar, "fetch", d->name, done_bytes, total_bytes);
    return !pf_cancel_asked();
}

/* The plan's own words must agree with what was signed. */
static pf_status check_plan(const char *path, const pf_manifest *manifest, pf_err *err)
{
    pf_plan  *plan = NULL;
    pf_digest key = {0};
    pf_status status = pf_plan_load(path, &plan, err);

    if (!status)
        pf_plan_key_of(plan, &key);
    pf_plan_free(plan);
    if (!status && !pf_digest_equal(&key, &manifest->plan_key))
        status = PF_FAIL(err, PF_CORRUPT, "the plan says another key than its manifest");
    return status;
}

static pf_status download_to(const pf_farm *farm, download *d, const pf_manifest *manifest, const char *path,
                             pf_err *err)
{
    pf_transfer *transfer = NULL;
    pf_status    status = pf_farm_transfer(farm, on_download, d, &transfer, err);

    if (!status)
        status = pf_transfer_get_blob(transfer, &manifest->plan, manifest->plan_bytes, path, err);
    pf_transfer_free(transfer);
    return status;
}

pf_status pf_farm_fetch_plan(pf_farm *farm, pf_call *call, const pf_manifest *manifest, const char *path, pf_err *err)
{
    download  d = {.name = manifest->model_name};
    char      target[PATH_MAX], unchecked[PATH_MAX];
    pf_status status = pf_file_target(path, target, err);

    if (status)
        return status;
    /* of this process alone: others may fetch the same file meanwhile */
    if (snprintf(unchecked, sizeof unchecked, "%s.%ld.unchecked", target, (long)getpid()) >= (int)sizeof unchecked)
        return PF_FAIL(err, PF_INVALID, "the name of the plan is too long");
    pf_cancel_hold();
    pf_farm_progress_begin(&d.bar, call);
    status = download_to(farm, &d, manifest, unchecked, err);
    pf_farm_progress_end(&d.bar);
    if (!status)
        status = check_plan(unchecked, manifest, err);
    if (!status && rename(unchecked, target))
        status = PF_FAIL(err, PF_IO, "cannot write %s", path);
    if (status)
        unlink(unchecked);
    status = pf_cancel_told(status);
    pf_cancel_release();
    return status ? pf_err_add(err, status, "%s was not fetched", path) : PF_OK;
}

static void put_digest(json_t *to, const char *name, const pf_digest *digest)
{
    json_object_set_new(to, name, pf_json_digest(digest));
}

void pf_farm_put_manifest(json_t *to, const pf_manifest *manifest)
{
    json_t *summary = json_loads(manifest->summary_json, 0, NULL);

    put_digest(to, "plan_key", &manifest->plan_key);
    put_digest(to, "plan_sha256", &manifest->plan);
    json_object_set_new(to, "plan_bytes", pf_json_count(manifest->plan_bytes));
    json_object_set_new(to, "device_class", pf_json_text(manifest->class_name));
    put_digest(to, "device_class_sha256", &manifest->device_class);
    json_object_set_new(to, "model", pf_json_text(manifest->model_name));
    put_digest(to, "model_sha256", &manifest->model);
    json_object_set_new(to, "created", json_integer((json_int_t)manifest->created_s));
    if (json_is_object(summary))
        json_object_update_missing(to, summary);
    json_decref(summary);
}

void pf_farm_say_manifest(pf_call *call, const pf_manifest *manifest, const char *path)
{
    json_t *summary = json_loads(manifest->summary_json, 0, NULL);
    char    size[PF_TEXT_BYTES], hex[PF_DIGEST_HEX_BYTES];

    pf_digest_to_hex(&manifest->plan_key, hex);
    pf_say(call, "%s: %s of %s for %s, key %.16s, signature verified\n", path,
           pf_text_bytes(manifest->plan_bytes, size), manifest->model_name, manifest->class_name, hex);
    if (json_is_object(summary))
        pf_say(call,
               "  %d problems: %d from the timing cache, %d not; %d candidates timed in %.1f s; built in %.1f s\n",
               (int)json_integer_value(json_object_get(summary, "problems")),
               (int)json_integer_value(json_object_get(summary, "cache_hits")),
               (int)json_integer_value(json_object_get(summary, "cache_misses")),
               (int)json_integer_value(json_object_get(summary, "candidates_timed")),
               json_number_value(json_object_get(summary, "timing_seconds")),
               json_number_value(json_object_get(summary, "build_seconds")));
    if (json_is_object(summary) && json_number_value(json_object_get(summary, "max_rel_error")) >= 0)
        pf_say(call, "  largest error against the reference %.2g of the output's range\n",
               json_number_value(json_object_get(summary, "max_rel_error")));
    pf_warn_of_host(call, json_integer_value(json_object_get(summary, "products_on_host")));
    json_decref(summary);
}
