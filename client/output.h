/* What a verb says: to people on standard output, to programs in one JSON object, warnings on standard error. */
#ifndef PF_CLIENT_OUTPUT_H
#define PF_CLIENT_OUTPUT_H

#include <jansson.h>

#include "client/verb.h"
#include "engine/graph.h"
#include "proto/json.h"

/* To standard output, unless JSON was asked for.  Bytes that could steer a terminal are shown as '?'. */
void pf_say(pf_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The whole text of a buffer, which is cleared. */
void pf_say_buf(pf_call *call, pf_buf *text);
/* To standard error as "planfarm: warning: ..." and into the member "warnings". */
void pf_warn(pf_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Of a plan that leaves so many products to the host, when there are any. */
void pf_warn_of_host(pf_call *call, int64_t products);
/* To standard error, when --verbose was given. */
void pf_tell(const pf_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

json_t *pf_json_dims(const int64_t *dim, int32_t rank);

/* "1.5 MiB" and "3.20 ms", for tables: written to out and answered. */
enum { PF_TEXT_BYTES = 32 };
const char *pf_text_bytes(uint64_t bytes, char out[PF_TEXT_BYTES]);
const char *pf_text_ns(int64_t ns, char out[PF_TEXT_BYTES]);
/* "f32", "sequence(f32)", "optional(f32)". */
const char *pf_text_type(pf_value_kind kind, pf_dtype dtype, char out[PF_TEXT_BYTES]);

/* Prints the result, or the error, as asked, and answers the exit code. */
int pf_output_end(pf_call *call, pf_status status, const pf_err *err);

#endif
