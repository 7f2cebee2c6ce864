/* Plans, keys, metrics, health. */
#include <stdio.h>
#include <string.h>

#include "coordinator/http_private.h"
#include "coordinator/rows.h"
#include "proto/manifest.h"

/* The manifest in a row of the table of plans: job id, then a blob of text (rows.c). */
static pf_status read_manifest(pf_http *http, const pf_digest *key, pf_buf *row, const char **text, size_t *bytes,
                               pf_err *err)
{
    const uint8_t *fields = NULL;
    size_t         fields_bytes = 0;
    pf_reader      in = { 0 };
    pf_status      st = pf_db_get(http->options.db, PF_ROWS_PLANS, key, sizeof *key, row, err);

    if (!st)
        st = pf_rows_check(PF_ROWS_PLANS, key, sizeof *key, row->data, row->size, &fields, &fields_bytes, err);
    if (st)
        return st;
    pf_reader_init(&in, fields, fields_bytes);
    pf_read_u64(&in);
    *text = (const char *)pf_read_blob(&in, bytes);
    return in.failed ? PF_FAIL(err, PF_CORRUPT, "the plan's row is damaged") : PF_OK;
}

enum MHD_Result pf_http_get_plan(pf_http *http, struct MHD_Connection *connection, const char *hex)
{
    pf_digest       key = { 0 };
    pf_buf          row = { 0 };
    pf_err          err = { 0 };
    const char     *text = NULL;
    size_t          bytes = 0;
    pf_manifest     m;
    pf_status       st = PF_OK;
    enum MHD_Result result = MHD_NO;

    if (!pf_digest_from_hex(hex, &key))
        return pf_http_fail(connection, 400, PF_INVALID, "a plan key is 64 lower-case hex digits", NULL);
    pf_buf_init(&row, PF_MANIFEST_BYTES * 2);
    st = read_manifest(http, &key, &row, &text, &bytes, &err);
    if (!st)
        st = pf_manifest_parse(text, bytes, &m, &err);
    if (!st && !pf_store_has(http->options.store, &m.plan, NULL))
        st = PF_NOT_FOUND;
    if (st == PF_NOT_FOUND) {
        result = pf_http_fail(connection, 404, st, "no plan of that key is here; submit the model to have it built",
                              NULL);
    } else if (st) {
        result = pf_http_answer_failure(connection, st, &err);
    } else {
        pf_store_touch(http->options.store, &m.plan);
        result = pf_http_answer(connection, 200, "text/plain; charset=utf-8", text, bytes);
    }
    pf_buf_clear(&row);
    return result;
}

enum MHD_Result pf_http_get_keys(pf_http *http, struct MHD_Connection *connection, const char *rest)
{
    (void)rest;
    return pf_http_answer(connection, 200, "text/plain; charset=utf-8", http->options.keys_text,
                          strlen(http->options.keys_text));
}

/* Where clients and agents connect; of these only the ports mean something to a caller on another host. */
enum MHD_Result pf_http_get_endpoints(pf_http *http, struct MHD_Connection *connection, const char *rest)
{
    char text[1024];
    int  bytes = snprintf(text, sizeof text, "{\"client\": \"%s\", \"agent\": \"%s\", \"keys\": %s}\n",
                          http->options.client_endpoint, http->options.agent_endpoint,
                          pf_authority_has_keys(http->options.authority) ? "true" : "false");

    (void)rest;
    return pf_http_answer(connection, 200, "application/json", text,
                          (size_t)bytes < sizeof text ? (size_t)bytes : sizeof text - 1);
}

enum MHD_Result pf_http_get_metrics(pf_http *http, struct MHD_Connection *connection, const char *rest)
{
    pf_buf          text = { 0 };
    enum MHD_Result result = MHD_NO;

    (void)rest;
    pf_buf_init(&text, SIZE_MAX - 1);
    pf_metrics_text(http->options.metrics, &text);
    result = pf_http_answer(connection, 200, "text/plain; version=0.0.4", text.data ? text.data : (uint8_t *)"",
                            text.size);
    pf_buf_clear(&text);
    return result;
}

enum MHD_Result pf_http_get_healthz(pf_http *http, struct MHD_Connection *connection, const char *rest)
{
    (void)http;
    (void)rest;
    return pf_http_answer_text(connection, 200, "ok");
}

enum MHD_Result pf_http_get_readyz(pf_http *http, struct MHD_Connection *connection, const char *rest)
{
    char why[512] = "";

    (void)rest;
    pf_metrics_refusal(http->options.metrics, why, sizeof why);
    return pf_http_answer_text(connection, why[0] ? 503 : 200, why[0] ? why : "ok");
}
