/* Any bytes are refused as a manifest, a list of a model's files or a key, or they are one and canonical. */
#include <string.h>

#include "proto/manifest.h"
#include "proto/model_manifest.h"
#include "tests/fuzz/fuzz.h"

static void try_plan(const uint8_t *data, size_t bytes)
{
    static pf_manifest m;
    pf_buf             again = { 0 };
    pf_err             err = { 0 };

    if (pf_manifest_parse((const char *)data, bytes, &m, &err)) {
        FUZZ_CHECK(err.msg[0], "refused without a reason");
        return;
    }
    pf_buf_init(&again, PF_MANIFEST_BYTES);
    FUZZ_CHECK(pf_manifest_write(&m, &again, NULL) == PF_OK && again.size <= bytes &&
                   memcmp(again.data, data, again.size) == 0,
               "what was read is not written the same");
    pf_buf_clear(&again);
}

/* A name that is absolute, or has a part "..". */
static int lies_outside(const char *name)
{
    size_t bytes = strlen(name);

    return name[0] == '/' || strcmp(name, "..") == 0 || strncmp(name, "../", 3) == 0 || strstr(name, "/../") ||
           (bytes >= 3 && strcmp(name + bytes - 3, "/..") == 0);
}

static void try_model(const uint8_t *data, size_t bytes)
{
    pf_model_manifest m = { 0 };
    pf_buf            again = { 0 };
    pf_err            err = { 0 };

    if (pf_model_manifest_parse(data, bytes, &m, &err)) {
        FUZZ_CHECK(err.msg[0], "refused without a reason");
        return;
    }
    pf_buf_init(&again, PF_MODEL_MANIFEST_BYTES);
    FUZZ_CHECK(pf_model_manifest_write(&m, &again, NULL) == PF_OK, "what was read cannot be written");
    for (uint32_t i = 0; i < m.files_count; i++)
        FUZZ_CHECK(!lies_outside(m.file[i].name), "a file lies outside: %s", m.file[i].name);
    pf_buf_clear(&again);
    pf_model_manifest_clear(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const pf_public_key nobody = { .name = "farm-1" };
    pf_public_key              key;

    try_plan(data, bytes);
    try_model(data, bytes);
    FUZZ_CHECK(pf_manifest_verify((const char *)data, bytes, &nobody, 1, NULL) != PF_OK, "a signature by nobody holds");
    pf_public_key_parse((const char *)data, bytes, &key, NULL);
    return 0;
}
