/* Model manifests, plan manifests and their signatures. */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "proto/manifest.h"
#include "proto/model_manifest.h"

static pf_digest digest_of(const char *text)
{
    pf_digest digest = { 0 };

    pf_digest_of(text, strlen(text), &digest);
    return digest;
}

static void model_round_trip(void **state)
{
    pf_model_manifest one = { 0 }, two = { 0 };
    pf_digest         a = digest_of("a"), b = digest_of("b");
    pf_buf            text = { 0 };
    pf_err            err = { 0 };

    (void)state;
    test_ok(pf_model_manifest_add(&one, PF_MODEL_ONNX_NAME, &a, 10, &err), &err);
    test_ok(pf_model_manifest_add(&one, "data/with blank.bin", &b, UINT64_C(1) << 40, &err), &err);
    pf_buf_init(&text, PF_MODEL_MANIFEST_BYTES);
    test_ok(pf_model_manifest_write(&one, &text, &err), &err);
    test_ok(pf_model_manifest_parse(text.data, text.size, &two, &err), &err);
    assert_int_equal(two.files_count, 2);
    assert_string_equal(two.file[1].name, "data/with blank.bin");
    assert_int_equal(two.file[1].bytes, UINT64_C(1) << 40);
    assert_true(pf_digest_equal(&two.file[0].digest, &a));
    pf_model_manifest_clear(&one);
    pf_model_manifest_clear(&two);
    pf_buf_clear(&text);
}

static void model_names_stay_inside(void **state)
{
    static const char *const bad[] = { "/etc/passwd", "../x", "a/../../b", "", "a\nb", PF_MODEL_ONNX_NAME };
    pf_digest                a = digest_of("a");
    pf_model_manifest        model = { 0 };
    pf_err                   err = { 0 };

    (void)state;
    test_fails(pf_model_manifest_add(&model, "x.onnx", &a, 1, &err), PF_INVALID, &err);
    test_ok(pf_model_manifest_add(&model, PF_MODEL_ONNX_NAME, &a, 1, &err), &err);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        test_fails(pf_model_manifest_add(&model, bad[i], &a, 1, &err), PF_INVALID, &err);
    test_ok(pf_model_manifest_add(&model, "b", &a, 1, &err), &err);
    test_fails(pf_model_manifest_add(&model, "b", &a, 1, &err), PF_INVALID, &err);
    test_fails(pf_model_manifest_add(&model, "a", &a, 1, &err), PF_INVALID, &err);
    pf_model_manifest_clear(&model);
}

static void bad_models_are_refused(void **state)
{
#define HEX "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    static const char *const bad[] = {
        "", "planfarm-model 1\n", "planfarm-model 2\n" HEX " 1 model.onnx\n", "planfarm-model 1\n" HEX " 1 model.onnx",
        "planfarm-model 1\n" HEX " -1 model.onnx\n", "planfarm-model 1\n" HEX " 01 model.onnx\n",
        "planfarm-model 1\n" HEX " 99999999999999999999999 model.onnx\n", "planfarm-model 1\nxyz 1 model.onnx\n",
        "planfarm-model 1\n" HEX " 1 model.onnx\n\n", "planfarm-model 1\n" HEX " 1 ../model.onnx\n",
    };
    pf_model_manifest model = { 0 };
    pf_err            err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        test_fails(pf_model_manifest_parse(bad[i], strlen(bad[i]), &model, &err), PF_CORRUPT, &err);
    test_ok(pf_model_manifest_parse("planfarm-model 1\n" HEX " 1 model.onnx\n", 17 + 64 + 3 + 11, &model, &err), &err);
    pf_model_manifest_clear(&model);
}

static void fill(pf_manifest *m)
{
    memset(m, 0, sizeof *m);
    m->plan_key = digest_of("key");
    m->plan = digest_of("plan");
    m->model = digest_of("model");
    m->spec = digest_of("spec");
    m->device_class = digest_of("class");
    m->plan_bytes = 123456789;
    m->created_s = 1700000000;
    snprintf(m->model_name, sizeof m->model_name, "%s", "resnet50 v1.onnx");
    snprintf(m->class_name, sizeof m->class_name, "%s", "cpu-avx512");
    snprintf(m->builder_abi, sizeof m->builder_abi, "%s", "planfarm 0.1.0 oneDNN 2.6");
    snprintf(m->summary_json, sizeof m->summary_json, "%s", "{\"problems\":20}");
}

static void make_signed(const pf_signing_key *key, pf_buf *text)
{
    pf_manifest m;
    pf_err      err = { 0 };

    fill(&m);
    pf_buf_init(text, PF_MANIFEST_BYTES);
    test_ok(pf_manifest_write(&m, text, &err), &err);
    test_ok(pf_manifest_sign(text, key, &err), &err);
}

static void manifest_round_trip_and_rotation(void **state)
{
    pf_signing_key old = { 0 }, fresh = { 0 }, stranger = { 0 };
    pf_manifest    m;
    pf_buf         text = { 0 }, anew = { 0 };
    pf_err         err = { 0 };

    (void)state;
    test_ok(pf_signing_key_new("farm-1", &old, &err), &err);
    test_ok(pf_signing_key_new("farm-2", &fresh, &err), &err);
    test_ok(pf_signing_key_new("farm-1", &stranger, &err), &err);
    make_signed(&old, &text);
    test_ok(pf_manifest_parse((char *)text.data, text.size, &m, &err), &err);
    assert_string_equal(m.model_name, "resnet50 v1.onnx");
    assert_string_equal(m.class_name, "cpu-avx512");
    assert_int_equal(m.plan_bytes, 123456789);
    test_ok(pf_manifest_verify((char *)text.data, text.size, &old.public_key, 1, &err), &err);
    test_fails(pf_manifest_verify((char *)text.data, text.size, &fresh.public_key, 1, &err), PF_DENIED, &err);
    test_fails(pf_manifest_verify((char *)text.data, text.size, &stranger.public_key, 1, &err), PF_DENIED, &err);
    test_fails(pf_manifest_verify((char *)text.data, text.size, NULL, 0, &err), PF_DENIED, &err);
    test_ok(pf_manifest_sign(&text, &fresh, &err), &err);
    test_ok(pf_manifest_verify((char *)text.data, text.size, &old.public_key, 1, &err), &err);
    test_ok(pf_manifest_verify((char *)text.data, text.size, &fresh.public_key, 1, &err), &err);
    test_ok(pf_manifest_parse((char *)text.data, text.size, &m, &err), &err);
    pf_buf_init(&anew, 1 << 16);
    test_ok(pf_manifest_sign_anew((char *)text.data, text.size, &stranger, 1, &anew, &err), &err);
    test_ok(pf_manifest_verify((char *)anew.data, anew.size, &stranger.public_key, 1, &err), &err);
    test_fails(pf_manifest_verify((char *)anew.data, anew.size, &old.public_key, 1, &err), PF_DENIED, &err);
    assert_true(pf_manifest_names_key((char *)text.data, text.size, "farm-2"));
    assert_false(pf_manifest_names_key((char *)text.data, text.size, "farm"));
    assert_false(pf_manifest_names_key((char *)anew.data, anew.size, "farm-2"));
    pf_buf_clear(&anew);
    pf_buf_clear(&text);
}

/* No single changed byte leaves a manifest that both verifies and parses to the same. */
static void every_changed_byte_is_noticed(void **state)
{
    pf_signing_key key = { 0 };
    pf_buf         text = { 0 };
    pf_err         err = { 0 };

    (void)state;
    test_ok(pf_signing_key_new("farm-1", &key, &err), &err);
    make_signed(&key, &text);
    for (size_t i = 0; i < text.size; i++) {
        text.data[i] ^= 1;
        assert_int_not_equal(pf_manifest_verify((char *)text.data, text.size, &key.public_key, 1, NULL), PF_OK);
        text.data[i] ^= 1;
    }
    for (size_t bytes = 0; bytes < text.size; bytes++)
        assert_int_not_equal(pf_manifest_verify((char *)text.data, bytes, &key.public_key, 1, NULL), PF_OK);
    pf_buf_clear(&text);
}

static void fields_cannot_break_lines(void **state)
{
    pf_manifest m;
    pf_buf      text = { 0 };
    pf_err      err = { 0 };

    (void)state;
    pf_buf_init(&text, PF_MANIFEST_BYTES);
    fill(&m);
    snprintf(m.model_name, sizeof m.model_name, "%s", "x\nsig farm-1:");
    test_fails(pf_manifest_write(&m, &text, &err), PF_INVALID, &err);
    fill(&m);
    snprintf(m.class_name, sizeof m.class_name, "%s", "a b");
    test_fails(pf_manifest_write(&m, &text, &err), PF_INVALID, &err);
    pf_buf_clear(&text);
}

static void keys_stay_and_stay_private(void **state)
{
    pf_signing_key one = { 0 }, two = { 0 };
    pf_public_key  public_key = { 0 };
    struct stat    info = { 0 };
    pf_buf         text = { 0 };
    pf_err         err = { 0 };

    (void)state;
    test_ok(pf_signing_key_open(test_path("keys"), "farm-1", &one, &err), &err);
    test_ok(pf_signing_key_open(test_path("keys"), "farm-1", &two, &err), &err);
    assert_memory_equal(&one, &two, sizeof one);
    assert_int_equal(stat(test_path("keys/farm-1.key"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    pf_buf_init(&text, 1000);
    test_ok(pf_file_read(test_path("keys/farm-1.pub"), 999, &text, &err), &err);
    test_ok(pf_public_key_parse((char *)text.data, text.size, &public_key, &err), &err);
    assert_memory_equal(&public_key, &one.public_key, sizeof public_key);
    pf_buf_clear(&text);
    chmod(test_path("keys/farm-1.key"), 0644);
    test_fails(pf_signing_key_open(test_path("keys"), "farm-1", &two, &err), PF_DENIED, &err);
    test_fails(pf_signing_key_open(test_path("keys"), "../x", &two, &err), PF_INVALID, &err);
}

static void keys_follow_one_another(void **state)
{
    pf_signing_key keys[PF_SIGNING_KEYS_MAX], again[PF_SIGNING_KEYS_MAX];
    uint32_t       count = 0;
    pf_err         err = { 0 };

    (void)state;
    test_ok(pf_signing_keys_open(test_path("rotated"), false, keys, &count, &err), &err);
    assert_int_equal(count, 1);
    assert_string_equal(keys[0].public_key.name, "farm-1");
    test_ok(pf_signing_keys_open(test_path("rotated"), true, keys, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_string_equal(keys[0].public_key.name, "farm-2");
    assert_string_equal(keys[1].public_key.name, "farm-1");
    assert_int_equal(unlink(test_path("rotated/farm-1.key")), 0);       /* an old key that nobody needs */
    test_ok(pf_signing_keys_open(test_path("rotated"), false, again, &count, &err), &err);
    assert_int_equal(count, 1);
    assert_memory_equal(&again[0], &keys[0], sizeof keys[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model_round_trip),
        cmocka_unit_test(model_names_stay_inside),
        cmocka_unit_test(bad_models_are_refused),
        cmocka_unit_test(manifest_round_trip_and_rotation),
        cmocka_unit_test(every_changed_byte_is_noticed),
        cmocka_unit_test(fields_cannot_break_lines),
        cmocka_unit_test(keys_stay_and_stay_private),
        cmocka_unit_test(keys_follow_one_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
