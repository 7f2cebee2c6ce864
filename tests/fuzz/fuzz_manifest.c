/* Any bytes are refused as a manifest, a list of a model's files, a model's URL, a token or a key, or they are one and
   canonical. */
#include <string.h>

#include "proto/farm_key.h"
#include "proto/manifest.h"
#include "proto/model_manifest.h"
#include "proto/model_source.h"
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

static void check_location(const pf_model_source *source, const char *location)
{
    char   beside[PF_MODEL_URL_BYTES] = "";
    pf_err err = { 0 };

    FUZZ_CHECK(!lies_outside(location), "a weights file lies outside: %s", location);
    if (!pf_model_source_beside(source->url, location, beside, &err))
        FUZZ_CHECK(pf_model_source_check_url(beside, &err) == PF_OK, "%s beside %s: %s", location, source->url,
                   err.msg);
}

static void try_source(const uint8_t *data, size_t bytes)
{
    static pf_model_source source;
    pf_buf                 again = { 0 };
    pf_err                 err = { 0 };

    if (pf_model_source_parse(data, bytes, &source, &err)) {
        FUZZ_CHECK(err.msg[0], "refused without a reason");
        return;
    }
    pf_buf_init(&again, PF_MODEL_MANIFEST_BYTES);
    /* in lower case, which digests need not be in */
    FUZZ_CHECK(pf_model_source_write(&source, &again, &err) == PF_OK && again.size == bytes,
               "what was read cannot be written: %s", err.msg);
    for (uint32_t i = 0; i < source.files_count; i++)
        check_location(&source, source.file[i].location);
    pf_buf_clear(&again);
}

/* As what stands behind "Bearer ". */
static void try_token(const uint8_t *data, size_t bytes)
{
    static pf_farm_key server, user;
    char               token[2 * PF_FARM_TOKEN_BYTES] = "", name[PF_FARM_KEY_NAME] = "";
    pf_err             err = { 0 };

    if (!server.name[0])
        FUZZ_CHECK(pf_farm_key_new("farm", "", &server, NULL) == PF_OK &&
                       pf_farm_key_new("ci", server.public_key, &user, NULL) == PF_OK,
                   "no keys");
    memcpy(token, data, bytes < sizeof token ? bytes : sizeof token - 1);
    FUZZ_CHECK(!pf_farm_token_name(token, name) || name[0], "a token without a name");
    FUZZ_CHECK(pf_farm_token_check(token, &server, user.public_key, 1, &err) != PF_OK && err.msg[0],
               "a token that nobody made holds, or is refused without a reason");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const pf_public_key nobody = { .name = "farm-1" };
    pf_public_key              key;

    try_plan(data, bytes);
    try_model(data, bytes);
    try_source(data, bytes);
    try_token(data, bytes);
    FUZZ_CHECK(pf_manifest_verify((const char *)data, bytes, &nobody, 1, NULL) != PF_OK, "a signature by nobody holds");
    pf_public_key_parse((const char *)data, bytes, &key, NULL);
    return 0;
}
