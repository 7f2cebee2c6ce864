#include "client/farm_submit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/alloc.h"
#include "client/cancel.h"
#include "client/farm_progress.h"
#include "client/output.h"
#include "client/own_class.h"
#include "engine/model_bundle.h"
#include "proto/model_manifest.h"
#include "proto/model_source.h"

enum { UPLOADS_MAX = 3 };       /* rounds: a store may drop what it had while the rest goes up */

typedef struct selectors {
    char  *copy;                /* owned */
    char  *item[PF_SELECTORS_MAX];
    size_t count;
    pf_own_class own;           /* where one is "auto", which is its digest then; else empty */
} selectors;

typedef struct upload {
    pf_farm            *farm;
    pf_farm_progress   *bar;
    pf_transfer        *transfer;
    const char         *name;           /* of the file that goes up */
    uint64_t            done_bytes, total_bytes;
} upload;

/* ---- what is asked for */

static pf_status split_selectors(const char *text, selectors *out, pf_err *err)
{
    char *rest = NULL, *at = NULL;

    if (!text || !text[0])
        return PF_FAIL(err, PF_USAGE,
                       "no device class is named; give --gpu CLASS,... (planfarm agents lists those that the farm "
                       "has)");
    out->copy = pf_strdup(text);
    if (!out->copy)
        return PF_FAIL_MEMORY(err, strlen(text));
    for (at = strtok_r(out->copy, ",", &rest); at; at = strtok_r(NULL, ",", &rest)) {
        if (out->count == PF_SELECTORS_MAX)
            return PF_FAIL(err, PF_USAGE, "more than %d device classes are asked for at once", PF_SELECTORS_MAX);
        if (!pf_text_is_name(at, PF_SELECTOR_BYTES))
            return PF_FAIL(err, PF_USAGE, "\"%.80s\" is no name of a device class", at);
        out->item[out->count++] = at;
    }
    return out->count ? PF_OK : PF_FAIL(err, PF_USAGE, "--gpu names no device class");
}

static pf_status take_selectors(const pf_call *call, const char *gpu, selectors *out, pf_err *err)
{
    pf_status status = split_selectors(gpu ? gpu : pf_args_text(call->args, "gpu"), out, err);

    for (size_t i = 0; i < out->count && !status; i++) {
        if (strcmp(out->item[i], "auto") != 0)
            continue;
        status = pf_own_class_find(call, &out->own, err);
        out->item[i] = out->own.hex;
    }
    return status;
}

/* No agent has this machine's class: which it is says more than its digest. */
static pf_status explain_own(pf_farm *farm, const selectors *classes, pf_status status, pf_err *err)
{
    char lacks[PF_ERR_MSG_BYTES] = "";

    if (status != PF_NOT_FOUND || !classes->own.hex[0])
        return status;
    pf_own_class_explain(farm, &classes->own, lacks, sizeof lacks);
    if (!lacks[0])
        return status;
    pf_err_clear(err);
    return PF_FAIL(err, status, "%s", lacks);
}

/* The last part of a path or URL. */
static void file_name(const char *path, char out[PF_MODEL_NAME_BYTES])
{
    size_t      bytes = pf_model_source_is_url(path) ? strcspn(path, "?#") : strlen(path);
    const char *name = path + bytes;

    while (name > path && name[-1] != '/')
        name--;
    bytes -= (size_t)(name - path);

    if (bytes > 5 && strncmp(name + bytes - 5, ".onnx", 5) == 0)
        bytes -= 5;
    snprintf(out, PF_MODEL_NAME_BYTES, "%.*s", (int)bytes, name);
}

static bool has_option(const pf_call *call, const char *name)
{
    return call->args && pf_args_given(call->args, name);
}

static void fill_options(const pf_call *call, Pf__Submit *body, char user[PF_USER_BYTES])
{
    const char *name = pf_args_text(call->args, "user");

    name = name ? name : getenv("USER");
    snprintf(user, PF_USER_BYTES, "%s", name && pf_text_is_line(name, 1, PF_USER_BYTES) ? name : "");
    body->user = user;
    body->priority = (int32_t)pf_args_int(call->args, "priority");
    body->queue_timeout_s = (uint32_t)pf_args_int(call->args, "queue_timeout");
    body->build_timeout_s = (uint32_t)pf_args_int(call->args, "build_timeout");
    body->wait_for_class = has_option(call, "wait_for_class");
}

/* ---- what goes up */

static bool on_upload(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    upload *u = user;

    (void)total_bytes;
    pf_farm_progress_bytes(u->bar, "upload", u->name, u->done_bytes + done_bytes, u->total_bytes);
    return !pf_cancel_asked();
}

static bool is_missing(const Pf__SubmitReply *reply, const pf_digest *digest)
{
    for (size_t i = 0; i < reply->n_missing; i++)
        if (reply->missing[i].len == sizeof digest->byte &&
            memcmp(reply->missing[i].data, digest->byte, sizeof digest->byte) == 0)
            return true;
    return false;
}

static pf_status upload_file(upload *u, const Pf__SubmitReply *reply, const pf_model_bundle_file *file, pf_err *err)
{
    pf_status status = PF_OK;

    if (!is_missing(reply, &file->digest))
        return PF_OK;
    u->name = file->name;
    status = pf_transfer_put_blob(u->transfer, &file->digest, file->path, err);
    u->done_bytes += file->bytes;
    return status ? pf_err_add(err, status, "the model's file %s cannot be stored in the farm", file->name) : PF_OK;
}

/* Files first, then their list: a list in the store tells that its files are there, too. */
static pf_status upload_missing(upload *u, const Pf__SubmitReply *reply, const pf_model_bundle *bundle,
                                const pf_buf *list, const pf_digest *model, pf_err *err)
{
    pf_status status = pf_farm_transfer(u->farm, on_upload, u, &u->transfer, err);

    for (uint32_t i = 0; i < bundle->count; i++)
        u->total_bytes += is_missing(reply, &bundle->file[i].digest) ? bundle->file[i].bytes : 0;
    for (uint32_t i = 0; i < bundle->count && !status; i++)
        status = upload_file(u, reply, &bundle->file[i], err);
    if (!status)
        status = pf_transfer_put_bytes(u->transfer, model, list->data, list->size, err);
    pf_transfer_free(u->transfer);
    u->transfer = NULL;
    return status;
}

/* ---- the submit */

static pf_status submit(pf_farm *farm, const Pf__Submit *body, const pf_model_bundle *bundle, const pf_buf *list,
                        pf_farm_progress *bar, pf_farm_submission *out, pf_err *err)
{
    pf_status status = PF_OK;

    for (int round = 0; !status; round++) {
        const Pf__SubmitReply *reply = NULL;
        upload                 u = {.farm = farm, .bar = bar, .name = "the model"};

        status = pf_farm_call(farm, PF_MSG_SUBMIT, &body->base, PF_MSG_SUBMIT_REPLY, &out->answer, err);
        reply = status ? NULL : (const Pf__SubmitReply *)out->answer.body;
        if (status || reply->n_missing == 0)
            break;
        if (round == UPLOADS_MAX)
            return PF_FAIL(err, PF_IO, "the farm at %s does not keep the model's files; its store may be full",
                           farm->url);
        status = upload_missing(&u, reply, bundle, list, &out->model, err);
        out->uploaded_bytes += u.done_bytes;
        pf_message_clear(&out->answer);
    }
    return status;
}

static pf_status fill_and_submit(pf_farm *farm, pf_call *call, Pf__Submit *body, const char *gpu,
                                 const pf_model_bundle *bundle, const pf_buf *list, pf_farm_submission *out,
                                 pf_err *err)
{
    pf_farm_progress bar;
    selectors        classes = {0};
    char             user[PF_USER_BYTES];
    pf_status        status = take_selectors(call, gpu, &classes, err);

    if (!status) {
        fill_options(call, body, user);
        body->submit_id = (ProtobufCBinaryData){.len = sizeof out->submit_id, .data = out->submit_id};
        body->model_digest = pf_wire_bytes(&out->model);
        body->selector = classes.item;
        body->n_selector = classes.count;
        pf_farm_progress_begin(&bar, call);
        status = submit(farm, body, bundle, list, &bar, out, err);
        pf_farm_progress_end(&bar);
        status = explain_own(farm, &classes, status, err);
    }
    pf_free(classes.copy);
    return status;
}

/* "LOCATION=HEX": the last '=' counts, since a location may hold one. */
static pf_status take_data(const pf_call *call, pf_model_source *out, pf_err *err)
{
    uint32_t  count = has_option(call, "data_sha256") ? pf_args_count(call->args, "data_sha256") : 0;
    pf_status status = PF_OK;

    if (count && !out->pinned)
        return PF_FAIL(err, PF_USAGE, "--data-sha256 needs --sha256 of the ONNX file, too");
    for (uint32_t i = 0; i < count && !status; i++) {
        const char *text = pf_args_nth(call->args, "data_sha256", i), *equals = strrchr(text, '=');
        char        location[PF_MODEL_LOCATION_BYTES + 1];
        pf_digest   digest = {0};
        if (!equals || equals == text || !pf_digest_from_hex(equals + 1, &digest))
            return PF_FAIL(err, PF_USAGE, "--data-sha256 takes FILE=HEX with 64 hex digits, not \"%.120s\"", text);
        snprintf(location, sizeof location, "%.*s", (int)(equals - text), text);
        status = pf_model_source_add(out, location, &digest, err);
    }
    return status;
}

static pf_status take_sha256(const pf_call *call, pf_model_source *out, pf_err *err)
{
    const char *hex = has_option(call, "sha256") ? pf_args_text(call->args, "sha256") : NULL;

    out->pinned = hex != NULL;
    if (!hex || pf_digest_from_hex(hex, &out->sha256))
        return PF_OK;
    return PF_FAIL(err, PF_USAGE, "--sha256 takes 64 hex digits, not \"%.80s\"", hex);
}

/* The text that names the model: of its files, which go up, or of the URL that an agent fetches it from. */
static pf_status describe_model(const pf_call *call, const char *model, const pf_farm_submission *submission,
                                pf_model_bundle *bundle, pf_buf *text, pf_err *err)
{
    pf_model_source source = {0};
    pf_status       status = PF_OK;

    if (!pf_model_source_is_url(model)) {
        if (has_option(call, "sha256") || has_option(call, "max_bytes") || has_option(call, "data_sha256"))
            return PF_FAIL(err, PF_USAGE,
                           "--sha256, --data-sha256 and --max-bytes belong to a model by URL, and \"%.200s\" is a file",
                           model);
        status = pf_model_bundle_open(model, bundle, err);
        return status ? status : pf_model_bundle_manifest(bundle, text, err);
    }
    status = pf_model_source_check_url(model, err);
    if (!status)
        status = take_sha256(call, &source, err);
    if (!status)
        status = take_data(call, &source, err);
    if (status)
        return status;
    snprintf(source.url, sizeof source.url, "%s", model);
    memcpy(source.once, submission->submit_id, sizeof source.once);
    source.max_bytes = has_option(call, "max_bytes") ? (uint64_t)pf_args_int(call->args, "max_bytes") : 0;
    return pf_model_source_write(&source, text, err);
}

pf_status pf_farm_submit(pf_farm *farm, pf_call *call, const char *model, const char *gpu, const pf_config *config,
                         pf_farm_submission *out, pf_err *err)
{
    Pf__Submit      body = PF__SUBMIT__INIT;
    pf_model_bundle bundle = {0};
    pf_buf          text = {0};
    char            name[PF_MODEL_NAME_BYTES], *spec = NULL;
    const char     *given = pf_args_text(call->args, "name");
    pf_status       status = PF_OK;

    pf_buf_init(&text, PF_MODEL_MANIFEST_BYTES);
    file_name(model, name);
    if (given)
        snprintf(name, sizeof name, "%s", given);
    if (!pf_text_is_line(name, 1, sizeof name))
        return PF_FAIL(err, PF_USAGE, "the model's name is no line of text; give one with --name");
    if (getrandom(out->submit_id, sizeof out->submit_id, 0) != (ssize_t)sizeof out->submit_id)
        return PF_FAIL(err, PF_IO, "the system gives no random numbers");
    status = describe_model(call, model, out, &bundle, &text, err);
    if (!status)
        status = pf_config_text(config, &spec, err);
    if (!status) {
        pf_digest_of(text.data, text.size, &out->model);
        snprintf(out->model_name, sizeof out->model_name, "%s", name);
        body.model_name = name;
        body.spec_text = spec;
        status = fill_and_submit(farm, call, &body, gpu, &bundle, &text, out, err);
    }
    pf_free(spec);
    pf_buf_clear(&text);
    pf_model_bundle_clear(&bundle);
    return status;
}

void pf_farm_submission_clear(pf_farm_submission *submission)
{
    pf_message_clear(&submission->answer);
}
