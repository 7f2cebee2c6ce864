/* s3://BUCKET/KEY as a request that libcurl can make and sign (AWS Signature Version 4).
   The environment says who asks and where: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (none: not
   signed), AWS_REGION or AWS_DEFAULT_REGION (us-east-1), AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL (Amazon's; others are
   asked for ENDPOINT/BUCKET/KEY).
   Thread   any. */
#ifndef PF_BUILDER_AGENT_S3_H
#define PF_BUILDER_AGENT_S3_H

#include <curl/curl.h>
#include <stdbool.h>

#include "base/status.h"
#include "proto/model_source.h"

enum { PF_S3_URL_BYTES = 4 * PF_MODEL_URL_BYTES };

bool      pf_s3_is(const char *url);
/* Errors   INVALID: no bucket or no key. */
pf_status pf_s3_url(const char *url, char out[PF_S3_URL_BYTES], pf_err *err);
/* What to say behind "answered CODE": where to look; "" when that is nowhere.  Static. */
const char *pf_s3_advice(long code);
/* Sets what signs the request.  *headers (owned by the caller) gets what goes with it.  Errors   NO_SPACE. */
pf_status pf_s3_sign(CURL *curl, struct curl_slist **headers, pf_err *err);

#endif
