/* Values of JSON, in the forms that everything here speaks.
   Thread   any. */
#ifndef PF_PROTO_JSON_H
#define PF_PROTO_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "base/hash.h"

/* Values for json_object_set_new: never NULL but when out of memory, which jansson's setters pass on. */
json_t *pf_json_text(const char *text);         /* any bytes: what is not UTF-8 becomes '?' */
json_t *pf_json_real(double value);             /* null when it is not finite */
json_t *pf_json_count(uint64_t value);
json_t *pf_json_digest(const pf_digest *digest);

#endif
