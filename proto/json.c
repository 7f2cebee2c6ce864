#include "proto/json.h"

#include <math.h>

#include "base/alloc.h"

json_t *pf_json_text(const char *text)
{
    json_t *value = json_string(text);
    char   *copy = value ? NULL : pf_strdup(text);

    if (value || !copy)
        return value;
    for (char *at = copy; *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    value = json_string(copy);
    pf_free(copy);
    return value;
}

json_t *pf_json_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *pf_json_count(uint64_t value)
{
    return json_integer((json_int_t)value);
}

json_t *pf_json_digest(const pf_digest *digest)
{
    char hex[PF_DIGEST_HEX_BYTES];

    pf_digest_to_hex(digest, hex);
    return json_string(hex);
}
