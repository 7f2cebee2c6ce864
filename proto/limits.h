/* How long texts in messages may be, with their terminating zero.  The coordinator refuses longer ones with INVALID. */
#ifndef PF_PROTO_LIMITS_H
#define PF_PROTO_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    PF_SUBMIT_ID_BYTES   = 16,
    PF_MODEL_NAME_BYTES  = 256,
    PF_USER_BYTES        = 64,
    PF_SELECTOR_BYTES    = 128,
    PF_SELECTORS_MAX     = 32,      /* of one submit */
    PF_CLASS_NAME_BYTES  = 64,
    PF_CLASS_TEXT_BYTES  = 4097,
    PF_CLASS_ALIASES_MAX = 8,
    PF_AGENT_CLASSES_MAX = 64,
    PF_AGENT_LEASES_MAX  = 256,
    PF_AGENT_NAME_BYTES  = 128,
    PF_BUILDER_ABI_BYTES = 128,
    PF_SPEC_TEXT_BYTES   = 65537,
    PF_SUMMARY_BYTES     = 8193,
    PF_PROGRESS_BYTES    = 4097,
    PF_LOG_TEXT_BYTES    = 16385,
    PF_REASON_BYTES      = 512,
    PF_MANIFEST_BYTES    = 32768,
    PF_WATCH_MS_MAX      = 1500,
};

/* One printable line of at least min_bytes and less than capacity bytes: no control characters. */
bool pf_text_is_line(const char *text, size_t min_bytes, size_t capacity);
/* A name: letters, digits and "._-:/@+", at least one, shorter than capacity. */
bool pf_text_is_name(const char *text, size_t capacity);

#endif
