#include <stdio.h>
#include <string.h>

#include "coordinator/http_private.h"

enum MHD_Result pf_http_answer(struct MHD_Connection *connection, unsigned code, const char *type, const void *data,
                               size_t bytes)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(bytes, (void *)data, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result      result = MHD_NO;

    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result pf_http_answer_text(struct MHD_Connection *connection, unsigned code, const char *text)
{
    char line[PF_ERR_MSG_BYTES + 2] = "";

    snprintf(line, sizeof line, "%s\n", text);
    return pf_http_answer(connection, code, "text/plain; charset=utf-8", line, strlen(line));
}

enum MHD_Result pf_http_answer_json(struct MHD_Connection *connection, unsigned code, unsigned retry_after_s,
                                    const pf_http_header *header, const pf_buf *json)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(json->size, json->data, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result      result = MHD_NO;
    char                 seconds[16] = "";

    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "application/json");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    snprintf(seconds, sizeof seconds, "%u", retry_after_s);
    if (retry_after_s)
        MHD_add_response_header(response, "Retry-After", seconds);
    if (header)
        MHD_add_response_header(response, header->name, header->value);
    result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result pf_http_fail(struct MHD_Connection *connection, unsigned code, pf_status status, const char *why,
                             const pf_http_header *header)
{
    pf_buf          json = { 0 };
    enum MHD_Result result = MHD_NO;

    pf_buf_init(&json, SIZE_MAX - 1);
    pf_api_failure(status, why, &json);
    if (!json.failed)
        result = pf_http_answer_json(connection, code, code == 503 ? 1 : 0, header, &json);
    pf_buf_clear(&json);
    return result;
}

static unsigned code_of(pf_status status)
{
    static const struct { pf_status status; unsigned code; } codes[] = {
        { PF_OK, 200 },       { PF_INVALID, 400 },  { PF_NOT_FOUND, 404 },   { PF_MISMATCH, 422 }, { PF_NO_SPACE, 507 },
        { PF_CORRUPT, 500 },  { PF_BUSY, 503 },     { PF_DENIED, 403 },
    };

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].status == status)
            return codes[i].code;
    return 500;
}

enum MHD_Result pf_http_answer_failure(struct MHD_Connection *connection, pf_status status, const pf_err *err)
{
    return pf_http_fail(connection, code_of(status), status, err->msg, NULL);
}
