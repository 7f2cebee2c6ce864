/* Writes a signed plan manifest, a model's list of files, its URL, a token and a public key: where the fuzzer
   starts. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "proto/farm_key.h"
#include "proto/manifest.h"
#include "proto/model_manifest.h"
#include "proto/model_source.h"

static pf_status write_plan(pf_buf *out, const pf_signing_key *key, pf_err *err)
{
    pf_manifest m = { .plan_bytes = 5, .created_s = 1700000000, .model_name = "model a.onnx", .class_name = "cpu-x",
                      .builder_abi = "abi 1", .summary_json = "{\"problems\": 3}" };
    pf_status   st = pf_manifest_write(&m, out, err);

    return st ? st : pf_manifest_sign(out, key, err);
}

static pf_status write_model(pf_buf *out, pf_err *err)
{
    pf_model_manifest m = { 0 };
    pf_digest         digest = { { 3 } };
    pf_status         st = pf_model_manifest_add(&m, PF_MODEL_ONNX_NAME, &digest, 10, err);

    if (!st)
        st = pf_model_manifest_add(&m, "data/w.bin", &digest, 1000, err);
    if (!st)
        st = pf_model_manifest_write(&m, out, err);
    pf_model_manifest_clear(&m);
    return st;
}

static pf_status write_source(pf_buf *out, pf_err *err)
{
    static pf_model_source source = { .url = "https://host/folder/model.onnx?version=3", .pinned = true,
                                      .sha256 = { { 4 } }, .max_bytes = 1 << 20 };
    pf_status              st = pf_model_source_add(&source, "data/w 1.bin", &source.sha256, err);

    return st ? st : pf_model_source_write(&source, out, err);
}

static pf_status write_token(pf_buf *out, pf_err *err)
{
    pf_farm_key server, user;
    char        token[PF_FARM_TOKEN_BYTES] = "";
    pf_status   st = pf_farm_key_new("farm", "", &server, err);

    if (!st)
        st = pf_farm_key_new("ci", server.public_key, &user, err);
    if (!st)
        st = pf_farm_token_make(&user, 1700000000, 60, token, err);
    pf_buf_put(out, token, strlen(token));
    return st;
}

static pf_status save(const char *folder, const char *name, pf_buf *text, pf_err *err)
{
    char      path[4096] = "";
    pf_status st = pf_path_join(folder, name, path, sizeof path, err);

    if (!st)
        st = pf_file_write(path, text->data, text->size, err);
    pf_buf_reset(text);
    return st;
}

int main(int argc, char **argv)
{
    pf_signing_key key;
    pf_buf         text = { 0 };
    pf_err         err = { 0 };
    pf_status      st = argc == 2 ? pf_dir_make(argv[1], &err) : PF_USAGE;

    pf_buf_init(&text, 1 << 20);
    if (!st)
        st = pf_signing_key_new("farm-1", &key, &err);
    if (!st)
        st = write_plan(&text, &key, &err);
    if (!st)
        st = save(argv[1], "plan", &text, &err);
    if (!st)
        st = write_model(&text, &err);
    if (!st)
        st = save(argv[1], "model", &text, &err);
    if (!st)
        st = write_source(&text, &err);
    if (!st)
        st = save(argv[1], "source", &text, &err);
    if (!st)
        st = write_token(&text, &err);
    if (!st)
        st = save(argv[1], "token", &text, &err);
    if (!st)
        st = pf_public_key_write(&key.public_key, &text, &err);
    if (!st)
        st = save(argv[1], "key", &text, &err);
    pf_buf_clear(&text);
    if (st)
        fprintf(stderr, "%s\n", err.msg);
    return st ? 1 : 0;
}
