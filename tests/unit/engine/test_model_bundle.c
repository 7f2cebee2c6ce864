#include "tests/unit/engine/onnx_models.h"

#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/digest_memo.h"
#include "engine/model_bundle.h"

enum { WEIGHTS = 3 << 20 };

static void add_external(Onnx__TensorProto *w, const char *location, const char *offset)
{
    const char *pairs[2][2] = { { "location", location }, { "offset", offset } };

    w->has_raw_data = false;
    w->has_data_location = true;
    w->data_location = 1;
    for (int i = 0; i < 2; i++) {
        Onnx__StringStringEntryProto *entry =
            MODEL_NEW(Onnx__StringStringEntryProto, onnx__string_string_entry_proto__init);

        entry->key = model_copy(pairs[i][0]);
        entry->value = model_copy(pairs[i][1]);
        MODEL_PUSH(w->external_data, w->n_external_data, entry);
    }
}

static void write_model(const char *name, const char *first, const char *second)
{
    Onnx__ModelProto *model =
        model_of("opset 13\ninput x f32 2\nconst v f32 2 0,0\nconst w f32 2 0,0\nconst u f32 2 0,0\nnode Add x w -> a\n"
                 "node Add a v -> b\nnode Add b u -> y\noutput y\n");
    pf_buf            bytes;
    pf_err            err = { 0 };

    add_external(model->graph->initializer[0], first, "0");
    add_external(model->graph->initializer[1], second, "0");
    add_external(model->graph->initializer[2], first, "8");
    model_bytes(model, &bytes);
    test_ok(pf_file_write(test_path(name), bytes.data, bytes.size, &err), &err);
    pf_buf_clear(&bytes);
}

static void write_weights(const char *name, uint8_t fill)
{
    uint8_t *bytes = malloc(WEIGHTS);
    pf_err   err = { 0 };

    assert_non_null(bytes);
    memset(bytes, fill, WEIGHTS);
    test_ok(pf_file_write(test_path(name), bytes, WEIGHTS, &err), &err);
    free(bytes);
}

static int setup(void **state)
{
    pf_err err = { 0 };

    (void)state;
    setenv("XDG_CACHE_HOME", test_path("cache"), 1);
    test_ok(pf_dir_make(test_path("m/sub"), &err), &err);
    write_model("m/net.onnx", "z.bin", "sub/a.bin");
    write_weights("m/z.bin", 1);
    write_weights("m/sub/a.bin", 2);
    return 0;
}

static void test_manifest(void **state)
{
    pf_model_bundle bundle = { 0 };
    char            want[1024], hex[3][PF_DIGEST_HEX_BYTES];
    pf_digest       digest, text_digest;
    uint64_t        bytes[3];
    pf_buf          text;
    pf_err          err = { 0 };

    (void)state;
    test_ok(pf_model_bundle_open(test_path("m/net.onnx"), &bundle, &err), &err);
    assert_int_equal(bundle.count, 3);
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = { "m/net.onnx", "m/sub/a.bin", "m/z.bin" };

        test_ok(pf_file_digest(test_path(names[i]), &digest, &bytes[i], &err), &err);
        pf_digest_to_hex(&digest, hex[i]);
    }
    snprintf(want, sizeof want, "planfarm-model 1\n%s %llu model.onnx\n%s %llu sub/a.bin\n%s %llu z.bin\n", hex[0],
             (unsigned long long)bytes[0], hex[1], (unsigned long long)bytes[1], hex[2], (unsigned long long)bytes[2]);
    pf_buf_init(&text, 4096);
    test_ok(pf_model_bundle_manifest(&bundle, &text, &err), &err);
    assert_string_equal((const char *)text.data, want);
    pf_digest_of(want, strlen(want), &text_digest);
    test_ok(pf_model_bundle_digest_of(test_path("m/net.onnx"), &digest, &err), &err);
    assert_true(pf_digest_equal(&digest, &text_digest));
    pf_buf_clear(&text);
    pf_model_bundle_clear(&bundle);
}

/* The name on disk does not count; every byte of every file does. */
static void test_identity(void **state)
{
    pf_digest first, renamed, changed;
    pf_err    err = { 0 };

    (void)state;
    write_model("m/other.onnx", "z.bin", "sub/a.bin");
    test_ok(pf_model_bundle_digest_of(test_path("m/net.onnx"), &first, &err), &err);
    test_ok(pf_model_bundle_digest_of(test_path("m/other.onnx"), &renamed, &err), &err);
    assert_true(pf_digest_equal(&first, &renamed));
    write_weights("m/z.bin", 3);
    test_ok(pf_model_bundle_digest_of(test_path("m/net.onnx"), &changed, &err), &err);
    assert_false(pf_digest_equal(&first, &changed));
    write_weights("m/z.bin", 1);
    test_ok(pf_model_bundle_digest_of(test_path("m/net.onnx"), &changed, &err), &err);
    assert_true(pf_digest_equal(&first, &changed));
}

static void test_refused(void **state)
{
    pf_model_bundle bundle = { 0 };
    pf_err          err = { 0 };

    (void)state;
    test_fails(pf_model_bundle_open(test_path("m/none.onnx"), &bundle, &err), PF_NOT_FOUND, &err);
    write_model("m/bad.onnx", "../outside", "z.bin");
    test_fails(pf_model_bundle_open(test_path("m/bad.onnx"), &bundle, &err), PF_INVALID, &err);
    write_model("m/bad.onnx", "missing.bin", "z.bin");
    test_fails(pf_model_bundle_open(test_path("m/bad.onnx"), &bundle, &err), PF_NOT_FOUND, &err);
    write_model("m/bad.onnx", "model.onnx", "z.bin");
    test_fails(pf_model_bundle_open(test_path("m/bad.onnx"), &bundle, &err), PF_INVALID, &err);
    write_model("m/bad.onnx", "a\nb", "z.bin");
    test_fails(pf_model_bundle_open(test_path("m/bad.onnx"), &bundle, &err), PF_INVALID, &err);
    assert_int_equal(bundle.count, 0);
}

/* An entry is believed only while size, times and inode of the file are what they were. */
static void test_memo(void **state)
{
    const struct timespec wait = { 2, 200 * 1000 * 1000 };
    pf_digest             first, again, fresh;
    uint64_t              bytes = 0;
    pf_err                err = { 0 };

    (void)state;
    write_weights("m/memo.bin", 9);
    nanosleep(&wait, NULL);             /* files that were written just now are not remembered */
    test_ok(pf_digest_memo_file(test_path("m/memo.bin"), &first, &bytes, &err), &err);
    assert_int_equal(bytes, WEIGHTS);
    assert_true(pf_file_exists(test_path("cache/planfarm/digests")));
    test_ok(pf_digest_memo_file(test_path("m/memo.bin"), &again, &bytes, &err), &err);
    assert_true(pf_digest_equal(&first, &again));
    write_weights("m/memo.bin", 8);     /* as many bytes, others */
    test_ok(pf_digest_memo_file(test_path("m/memo.bin"), &again, &bytes, &err), &err);
    test_ok(pf_file_digest(test_path("m/memo.bin"), &fresh, &bytes, &err), &err);
    assert_true(pf_digest_equal(&again, &fresh));
    assert_false(pf_digest_equal(&again, &first));
    test_fails(pf_digest_memo_file(test_path("m/none"), &again, &bytes, &err), PF_NOT_FOUND, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_manifest, setup),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_memo),
    };

    return cmocka_run_group_tests_name("model_bundle", tests, NULL, NULL);
}
