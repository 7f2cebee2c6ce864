#include "proto/manifest.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const char HEAD[] = "planfarm-manifest 1\n";

static bool fields_fit(const pf_manifest *m)
{
    return pf_text_is_line(m->model_name, 0, sizeof m->model_name) &&
           pf_text_is_name(m->class_name, sizeof m->class_name) &&
           pf_text_is_line(m->builder_abi, 1, sizeof m->builder_abi) && m->created_s >= 0 &&
           pf_text_is_line(m->summary_json, 0, sizeof m->summary_json);
}

pf_status pf_manifest_write(const pf_manifest *manifest, pf_buf *out, pf_err *err)
{
    char key[PF_DIGEST_HEX_BYTES] = "", plan[PF_DIGEST_HEX_BYTES] = "", model[PF_DIGEST_HEX_BYTES] = "";
    char spec[PF_DIGEST_HEX_BYTES] = "", device_class[PF_DIGEST_HEX_BYTES] = "";

    if (!fields_fit(manifest))
        return PF_FAIL(err, PF_INVALID, "a field of the plan's manifest does not fit on one line of text");
    pf_digest_to_hex(&manifest->plan_key, key);
    pf_digest_to_hex(&manifest->plan, plan);
    pf_digest_to_hex(&manifest->model, model);
    pf_digest_to_hex(&manifest->spec, spec);
    pf_digest_to_hex(&manifest->device_class, device_class);
    pf_buf_printf(out, "%splan-key %s\nplan %s %" PRIu64 "\nmodel %s %s\nspec %s\nclass %s %s\n", HEAD, key, plan,
                  manifest->plan_bytes, model, manifest->model_name, spec, device_class, manifest->class_name);
    pf_buf_printf(out, "builder-abi %s\ncreated %" PRId64 "\nsummary %s\n", manifest->builder_abi, manifest->created_s,
                  manifest->summary_json);
    return out->failed ? PF_FAIL_MEMORY(err, out->size) : PF_OK;
}

/* Where the signed part ends: at the first line that begins with "sig ". */
static size_t signed_bytes(const char *text, size_t bytes)
{
    static const char mark[] = "\nsig ";
    const char       *found = memmem(text, bytes, mark, sizeof mark - 1);

    return found ? (size_t)(found - text) + 1 : bytes;
}

pf_status pf_manifest_sign(pf_buf *text, const pf_signing_key *key, pf_err *err)
{
    unsigned char signature[crypto_sign_BYTES] = { 0 };
    char          base64[sodium_base64_ENCODED_LEN(crypto_sign_BYTES, sodium_base64_VARIANT_ORIGINAL)] = "";

    crypto_sign_detached(signature, NULL, text->data, signed_bytes((const char *)text->data, text->size), key->secret);
    sodium_bin2base64(base64, sizeof base64, signature, sizeof signature, sodium_base64_VARIANT_ORIGINAL);
    if (!pf_buf_printf(text, "sig %s:%s\n", key->public_key.name, base64))
        return PF_FAIL_MEMORY(err, text->size);
    return PF_OK;
}

bool pf_manifest_names_key(const char *text, size_t bytes, const char *key_name)
{
    char mark[PF_KEY_NAME_BYTES + 8] = "";

    snprintf(mark, sizeof mark, "\nsig %s:", key_name);
    return memmem(text, bytes, mark, strlen(mark)) != NULL;
}

pf_status pf_manifest_sign_anew(const char *text, size_t bytes, const pf_signing_key *keys, uint32_t keys_count,
                                pf_buf *out, pf_err *err)
{
    pf_status st = pf_buf_put(out, text, signed_bytes(text, bytes)) ? PF_OK : PF_FAIL_MEMORY(err, bytes);

    for (uint32_t i = 0; i < keys_count && !st; i++)
        st = pf_manifest_sign(out, &keys[i], err);
    return st;
}

/* ---- reading: a cursor over lines */

typedef struct lines {
    const char *at, *end;
    bool        failed;
} lines;

/* The rest of the line that begins with word and a blank; borrowed, *bytes long. */
static const char *take_line(lines *in, const char *word, size_t *bytes)
{
    size_t      word_bytes = strlen(word);
    const char *start = in->at, *stop = NULL;

    *bytes = 0;
    if (!in->failed)
        stop = memchr(start, '\n', (size_t)(in->end - start));
    if (!stop || (size_t)(stop - start) < word_bytes + 1 || memcmp(start, word, word_bytes) != 0 ||
        start[word_bytes] != ' ') {
        in->failed = true;
        return "";
    }
    in->at = stop + 1;
    *bytes = (size_t)(stop - start) - word_bytes - 1;
    return start + word_bytes + 1;
}

static void copy_text(lines *in, const char *from, size_t bytes, char *out, size_t capacity)
{
    if (in->failed || bytes >= capacity || memchr(from, 0, bytes)) {
        in->failed = true;
        return;
    }
    memcpy(out, from, bytes);
    out[bytes] = 0;
}

/* Reads "<hex>" or "<hex> <rest>"; the rest goes to out unless that is NULL. */
static void take_digest(lines *in, const char *word, pf_digest *digest, char *rest, size_t capacity)
{
    char        hex[PF_DIGEST_HEX_BYTES] = "";
    size_t      bytes = 0, hex_bytes = PF_DIGEST_HEX_BYTES - 1;
    const char *from = take_line(in, word, &bytes);

    if (in->failed || bytes < hex_bytes || (rest ? bytes == hex_bytes || from[hex_bytes] != ' ' : bytes != hex_bytes)) {
        in->failed = true;
        return;
    }
    memcpy(hex, from, hex_bytes);
    if (!pf_digest_from_hex(hex, digest))
        in->failed = true;
    if (rest)
        copy_text(in, from + hex_bytes + 1, bytes - hex_bytes - 1, rest, capacity);
}

static uint64_t parse_number(lines *in, const char *text)
{
    char    *end = NULL;
    uint64_t value = 0;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno || !isdigit((unsigned char)*text) || *end || value > INT64_MAX)
        in->failed = true;
    return value;
}

static void take_text(lines *in, const char *word, char *out, size_t capacity)
{
    size_t      bytes = 0;
    const char *from = take_line(in, word, &bytes);

    copy_text(in, from, bytes, out, capacity);
}

pf_status pf_manifest_parse(const char *text, size_t bytes, pf_manifest *out, pf_err *err)
{
    size_t    body_bytes = signed_bytes(text, bytes);
    lines     in = { text, text + body_bytes, false };
    char      number[32] = "";
    pf_buf    again = { 0 };
    pf_status st = PF_OK;

    memset(out, 0, sizeof *out);
    if (bytes > PF_MANIFEST_BYTES || bytes < sizeof HEAD || memcmp(text, HEAD, sizeof HEAD - 1) != 0)
        return PF_FAIL(err, PF_CORRUPT, "%zu bytes are no plan manifest", bytes);
    in.at += sizeof HEAD - 1;
    take_digest(&in, "plan-key", &out->plan_key, NULL, 0);
    take_digest(&in, "plan", &out->plan, number, sizeof number);
    out->plan_bytes = parse_number(&in, number);
    take_digest(&in, "model", &out->model, out->model_name, sizeof out->model_name);
    take_digest(&in, "spec", &out->spec, NULL, 0);
    take_digest(&in, "class", &out->device_class, out->class_name, sizeof out->class_name);
    take_text(&in, "builder-abi", out->builder_abi, sizeof out->builder_abi);
    take_text(&in, "created", number, sizeof number);
    out->created_s = (int64_t)parse_number(&in, number);
    take_text(&in, "summary", out->summary_json, sizeof out->summary_json);
    /* Written again it must give the same bytes: then nothing hides between the fields. */
    pf_buf_init(&again, PF_MANIFEST_BYTES);
    if (in.failed || pf_manifest_write(out, &again, NULL) || again.size != body_bytes ||
        memcmp(again.data, text, body_bytes) != 0)
        st = PF_FAIL(err, PF_CORRUPT, "the plan's manifest is damaged");
    pf_buf_clear(&again);
    return st;
}

static const pf_public_key *find_key(const pf_public_key *keys, uint32_t count, const char *name, size_t name_bytes)
{
    for (uint32_t i = 0; i < count; i++)
        if (strlen(keys[i].name) == name_bytes && memcmp(keys[i].name, name, name_bytes) == 0)
            return &keys[i];
    return NULL;
}

/* line: "<key name>:<base64>" */
static bool signature_holds(const char *line, size_t bytes, const char *text, size_t text_bytes,
                            const pf_public_key *keys, uint32_t keys_count)
{
    unsigned char        signature[crypto_sign_BYTES] = { 0 };
    size_t               signature_bytes = 0;
    const char          *colon = memrchr(line, ':', bytes);
    const pf_public_key *key = colon ? find_key(keys, keys_count, line, (size_t)(colon - line)) : NULL;

    if (!key)
        return false;
    if (sodium_base642bin(signature, sizeof signature, colon + 1, bytes - (size_t)(colon + 1 - line), NULL,
                          &signature_bytes, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        signature_bytes != sizeof signature)
        return false;
    return crypto_sign_verify_detached(signature, (const unsigned char *)text, text_bytes, key->byte) == 0;
}

pf_status pf_manifest_verify(const char *text, size_t bytes, const pf_public_key *keys, uint32_t keys_count,
                             pf_err *err)
{
    size_t body_bytes = signed_bytes(text, bytes);
    lines  in = { text + body_bytes, text + bytes, false };

    if (bytes > PF_MANIFEST_BYTES || bytes < sizeof HEAD || memcmp(text, HEAD, sizeof HEAD - 1) != 0)
        return PF_FAIL(err, PF_CORRUPT, "%zu bytes are no plan manifest", bytes);
    while (in.at < in.end) {
        size_t      line_bytes = 0;
        const char *line = take_line(&in, "sig", &line_bytes);
        if (in.failed)
            return PF_FAIL(err, PF_CORRUPT, "the plan's manifest has something after its signatures");
        if (signature_holds(line, line_bytes, text, body_bytes, keys, keys_count))
            return PF_OK;
    }
    return PF_FAIL(err, PF_DENIED, "the plan's manifest carries no valid signature by a key that is trusted here");
}
