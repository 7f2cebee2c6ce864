#include "client/farm_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/hash.h"

static bool parse_submit(const char *text, uint8_t out[PF_SUBMIT_ID_BYTES])
{
    char padded[PF_DIGEST_HEX_BYTES];
    pf_digest digest;

    if (strlen(text) != PF_SUBMIT_HEX_BYTES - 1)
        return false;
    snprintf(padded, sizeof padded, "%s%032d", text, 0);
    if (!pf_digest_from_hex(padded, &digest))
        return false;
    memcpy(out, digest.byte, PF_SUBMIT_ID_BYTES);
    return true;
}

static bool parse_job(const char *text, uint64_t *out)
{
    char *end = NULL;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && !*end && !errno && *out;
}

static pf_status add_name(const char *text, pf_farm_names *out, pf_err *err)
{
    uint64_t id = 0;

    if (parse_submit(text, out->submit_id)) {
        if (out->has_submit)
            return PF_FAIL(err, PF_USAGE, "one submit at a time, please; %s is the second", text);
        pf_farm_names_of_submit(out->submit_id, out);
        return PF_OK;
    }
    if (!parse_job(text, &id))
        return PF_FAIL(err, PF_USAGE, "\"%.80s\" is neither a job's number nor a submit's id of 32 hex digits", text);
    if (out->jobs_count >= PF_FARM_JOBS_MAX)
        return PF_FAIL(err, PF_USAGE, "more than %d jobs are named", PF_FARM_JOBS_MAX);
    if (pf_grow((void **)&out->job_id, &out->jobs_capacity, out->jobs_count + 1, sizeof *out->job_id))
        return PF_FAIL_MEMORY(err, sizeof *out->job_id);
    out->job_id[out->jobs_count++] = id;
    return PF_OK;
}

pf_status pf_farm_names_parse(const pf_args *args, pf_farm_names *out, pf_err *err)
{
    uint32_t  count = pf_args_operand_count(args);
    pf_status status = PF_OK;

    memset(out, 0, sizeof *out);
    if (count == 0)
        return PF_FAIL(err, PF_USAGE,
                       "no job is named; give its number or its submit's id (planfarm list shows numbers)");
    for (uint32_t i = 0; i < count && !status; i++)
        status = add_name(pf_args_operand(args, i), out, err);
    return status;
}

void pf_farm_names_of_submit(const uint8_t submit_id[PF_SUBMIT_ID_BYTES], pf_farm_names *out)
{
    memmove(out->submit_id, submit_id, PF_SUBMIT_ID_BYTES);
    out->has_submit = true;
    out->submit = (ProtobufCBinaryData){.len = PF_SUBMIT_ID_BYTES, .data = out->submit_id};
}

void pf_farm_names_clear(pf_farm_names *names)
{
    pf_free(names->job_id);
    memset(names, 0, sizeof *names);
}

void pf_farm_submit_hex(const uint8_t submit_id[PF_SUBMIT_ID_BYTES], char out[PF_SUBMIT_HEX_BYTES])
{
    for (int i = 0; i < PF_SUBMIT_ID_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", submit_id[i]);
}
