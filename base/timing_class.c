#include "base/timing_class.h"

#include <string.h>

static const char driver[] = "cuda_driver=";

/* The next line with its end that counts; *bytes 0 behind the last one. */
static const char *next_line(const char *text, size_t *bytes)
{
    for (;;) {
        *bytes = strcspn(text, "\n");
        *bytes += text[*bytes] == '\n';
        if (!*bytes || strncmp(text, driver, sizeof driver - 1) != 0)
            return text;
        text += *bytes;
    }
}

void pf_timing_class_text(const char *class_text, char *out)
{
    size_t bytes = 0;

    for (const char *at = next_line(class_text, &bytes); bytes; at = next_line(at + bytes, &bytes)) {
        memmove(out, at, bytes);
        out += bytes;
    }
    *out = 0;
}

void pf_timing_class_digest(const char *class_text, pf_digest *out)
{
    pf_hash hash;
    size_t  bytes = 0;

    pf_hash_init(&hash);
    for (const char *at = next_line(class_text, &bytes); bytes; at = next_line(at + bytes, &bytes))
        pf_hash_add(&hash, at, bytes);
    pf_hash_end(&hash, out);
}

bool pf_timing_class_equal(const char *class_text, const char *other)
{
    pf_digest a, b;

    pf_timing_class_digest(class_text, &a);
    pf_timing_class_digest(other, &b);
    return pf_digest_equal(&a, &b);
}
