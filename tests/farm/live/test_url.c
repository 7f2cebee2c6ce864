/* Models by URL through a whole farm: fetched by the agent, found again by their digest, and what is wrong with them
   said. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/client/tiny_model.h"
#include "tests/farm/agent/http_script.h"
#include "tests/farm/live/live.h"

static live   farm;
static pf_buf model;
static char   url[128], digest_hex[PF_DIGEST_HEX_BYTES];

static int set_up(void **state)
{
    http_reply nothing = {.status = 404};
    pf_digest  digest = {0};
    pf_err     err = {0};

    (void)state;
    mkdir(test_path("work"), 0777);
    tiny_model(program_path("tiny.onnx"));
    test_ok(pf_file_read(program_path("tiny.onnx"), 1 << 20, &model, &err), &err);
    pf_digest_of(model.data, model.size, &digest);
    pf_digest_to_hex(&digest, digest_hex);
    snprintf(url, sizeof url, "%s/models/tiny.onnx?version=3", http_script_start(&nothing, 1));
    setenv("no_proxy", "127.0.0.1", 1);
    live_start(&farm);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    live_stop(&farm);
    http_script_stop();
    pf_buf_clear(&model);
    return 0;
}

#define SUBMIT(code, ...) \
    LIVE_JSON(&farm, code, "submit", url, "--gpu", "cpu", "--shapes", "x:1x3x16x16", "--wait", __VA_ARGS__)

static void a_model_by_url_becomes_a_plan(void **state)
{
    http_reply broken[] = {{.status = 200, .body = model.data, .bytes = model.size, .sent_bytes = 100, .ranges = true},
                           {.status = 200, .body = model.data, .bytes = model.size, .ranges = true}};
    json_t    *answer = NULL, *fetched = NULL;

    (void)state;
    http_script_set(broken, 2);
    answer = SUBMIT(0, "--sha256", digest_hex);
    assert_string_equal(live_text(live_job(answer), "state"), "done");
    assert_string_equal(live_text(live_job(answer), "model"), "tiny");
    assert_int_equal(live_number(live_job(answer), "attempt"), 1);
    assert_string_equal(http_script_last_range(), "bytes=100-");        /* the agent went on where it broke off */
    fetched = LIVE_JSON(&farm, 0, "fetch", "--model", "tiny", "--gpu", "cpu", "-o", "tiny.plan");
    assert_string_equal(live_text(fetched, "plan_sha256"), live_text(live_job(answer), "plan_sha256"));
    json_decref(fetched);
    json_decref(answer);
    http_script_set(broken, 2);
    answer = SUBMIT(0, "--sha256", digest_hex);         /* the digest names it: nothing to do */
    assert_true(json_is_true(json_object_get(live_job(answer), "hit")));
    json_decref(answer);
    answer = SUBMIT(0, "--sha256", digest_hex, "--effort", "0");  /* another plan, the same bytes: they are here */
    assert_false(json_is_true(json_object_get(live_job(answer), "hit")));
    json_decref(answer);
    assert_int_equal(http_script_requests(), 0);
}

/* The log tells the digest that the next submit may give. */
static bool log_holds(const char *log_sha256, const char *text)
{
    pf_buf log = {0};
    pf_err err = {0};
    bool   there = false;

    test_ok(pf_file_read(live_blob_path(log_sha256), 1 << 24, &log, &err), &err);
    there = log.size && strstr((const char *)log.data, text) != NULL;
    pf_buf_clear(&log);
    return there;
}

static void without_a_digest_it_is_fetched_each_time(void **state)
{
    http_reply whole[] = {{.status = 200, .body = model.data, .bytes = model.size}};

    (void)state;
    http_script_set(whole, 1);
    for (int i = 1; i <= 2; i++) {
        json_t *answer = SUBMIT(0, "--name", "floating");
        assert_false(json_is_true(json_object_get(live_job(answer), "hit")));
        assert_int_equal(http_script_requests(), i);
        assert_true(log_holds(live_text(live_job(answer), "log_sha256"), digest_hex));
        json_decref(answer);
    }
}

/* Each ends at once, with the exit code of its kind and a sentence that names the URL, but not what stands behind
   "?". */
static void what_is_wrong_is_said(void **state)
{
    static const char other[] = "1111111111111111111111111111111111111111111111111111111111111111";
    http_reply        whole[] = {{.status = 200, .body = model.data, .bytes = model.size}}, gone[] = {{.status = 404}};
    json_t           *answer = NULL;

    (void)state;
    http_script_set(whole, 1);
    answer = SUBMIT(67, "--sha256", other);
    assert_string_equal(live_text(live_job(answer), "failure"), "build_error");
    assert_non_null(strstr(live_text(live_job(answer), "message"), "/models/tiny.onnx has the SHA-256"));
    assert_int_equal(live_number(live_job(answer), "attempt"), 1);
    json_decref(answer);
    http_script_set(gone, 1);
    answer = SUBMIT(66, "--name", "gone");
    assert_non_null(strstr(live_text(live_job(answer), "message"), "/models/tiny.onnx answered 404"));
    json_decref(answer);
    http_script_set(whole, 1);
    answer = SUBMIT(65, "--max-bytes", "100");
    assert_non_null(strstr(live_text(live_job(answer), "message"), "larger than the allowed 100 bytes"));
    json_decref(answer);
    json_decref(LIVE_JSON(&farm, 65, "submit", "ftp://host/tiny.onnx", "--gpu", "cpu"));
    json_decref(LIVE_JSON(&farm, 65, "submit", "https://me:secret@host/tiny.onnx", "--gpu", "cpu"));
    json_decref(LIVE_JSON(&farm, 64, "submit", "tiny.onnx", "--gpu", "cpu", "--sha256", other));
}

/* ---- weights beside the model */

static pf_buf onnx, weights;
static char   onnx_hex[PF_DIGEST_HEX_BYTES], weights_flag[128];

static void read_file(const char *path, pf_buf *out, char hex[PF_DIGEST_HEX_BYTES])
{
    pf_digest digest = {0};
    pf_err    err = {0};

    pf_buf_clear(out);
    test_ok(pf_file_read(path, 1 << 20, out, &err), &err);
    pf_digest_of(out->data, out->size, &digest);
    pf_digest_to_hex(&digest, hex);
}

static void make_split_model(const char *location)
{
    char beside[256], hex[PF_DIGEST_HEX_BYTES];

    mkdir(program_path("split"), 0777);
    mkdir(program_path("split/part 1"), 0777);
    tiny_model_external(program_path("split/tiny.onnx"), location);
    snprintf(beside, sizeof beside, "split/%s", location);
    read_file(program_path("split/tiny.onnx"), &onnx, onnx_hex);
    read_file(program_path(beside), &weights, hex);
    snprintf(weights_flag, sizeof weights_flag, "%s=%s", location, hex);
}

static void weights_come_from_beside_the_model(void **state)
{
    json_t *answer = NULL;

    (void)state;
    make_split_model("part 1/w.bin");
    {
        http_reply pinned[] =
            {{.status = 200, .body = onnx.data, .bytes = onnx.size},
             {.status = 200, .body = weights.data, .bytes = weights.size, .sent_bytes = 100, .ranges = true},
             {.status = 200, .body = weights.data, .bytes = weights.size, .ranges = true}};
        http_reply open[] = {pinned[0], {.status = 200, .body = weights.data, .bytes = weights.size}};
        http_script_set(pinned, 3);
        answer = SUBMIT(0, "--sha256", onnx_hex, "--data-sha256", weights_flag);
        assert_string_equal(live_text(live_job(answer), "state"), "done");
        assert_non_null(strstr(http_script_last_head(), "GET /models/part%201/w.bin?version=3 "));
        assert_string_equal(http_script_last_range(), "bytes=100-");
        json_decref(answer);
        http_script_set(pinned, 3);
        json_decref(SUBMIT(0, "--sha256", onnx_hex, "--data-sha256", weights_flag, "--effort", "0"));
        assert_int_equal(http_script_requests(), 0);            /* both are here */
        http_script_set(open, 2);
        answer = SUBMIT(0, "--name", "floating-split");
        assert_int_equal(http_script_requests(), 2);
        assert_true(log_holds(live_text(live_job(answer), "log_sha256"), strchr(weights_flag, '=') + 1));
        json_decref(answer);
    }
}

static void expect_failure(int code, const char *message, json_t *answer)
{
    if (!strstr(live_text(live_job(answer), "message"), message))
        fail_msg("%d, \"%s\" was said, not \"%s\"", code, live_text(live_job(answer), "message"), message);
    assert_int_equal(live_number(live_job(answer), "attempt"), 1);
    json_decref(answer);
}

static void what_is_wrong_with_weights_is_said(void **state)
{
    char limit[32], other[128];

    (void)state;
    make_split_model("w.bin");
    {
        http_reply replies[] = {{.status = 200, .body = onnx.data, .bytes = onnx.size},
                                {.status = 200, .body = weights.data, .bytes = weights.size}};
        http_reply gone[] = {replies[0], {.status = 404}};
        snprintf(limit, sizeof limit, "%zu", onnx.size + 10);
        snprintf(other, sizeof other, "other.bin=%s", strchr(weights_flag, '=') + 1);
        http_script_set(replies, 2);
        expect_failure(65, "give --data-sha256 w.bin=HEX", SUBMIT(65, "--sha256", onnx_hex));
        http_script_set(replies, 2);
        expect_failure(65, "no such weights file",
                       SUBMIT(65, "--sha256", onnx_hex, "--data-sha256", weights_flag, "--data-sha256", other));
        snprintf(other, sizeof other, "w.bin=%064d", 1);
        http_script_set(replies + 1, 1);
        expect_failure(67, "/models/w.bin has the SHA-256", SUBMIT(67, "--sha256", onnx_hex, "--data-sha256", other));
        http_script_set(gone, 2);
        expect_failure(66, "/models/w.bin answered 404", SUBMIT(66, "--name", "lost"));
        http_script_set(replies, 2);
        expect_failure(65, "larger than the allowed 10 bytes", SUBMIT(65, "--name", "large", "--max-bytes", limit));
    }
    make_split_model("../up.bin");
    {
        http_reply replies[] = {{.status = 200, .body = onnx.data, .bytes = onnx.size}};
        http_script_set(replies, 1);
        expect_failure(65, "../up.bin", SUBMIT(65, "--name", "escapes"));
        assert_int_equal(http_script_requests(), 1);
    }
    json_decref(LIVE_JSON(&farm, 64, "submit", url, "--gpu", "cpu", "--data-sha256", weights_flag));
    json_decref(
        LIVE_JSON(&farm, 65, "submit", url, "--gpu", "cpu", "--sha256", onnx_hex, "--data-sha256", weights_flag));
    pf_buf_clear(&onnx);
    pf_buf_clear(&weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_by_url_becomes_a_plan),
        cmocka_unit_test(without_a_digest_it_is_fetched_each_time),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(weights_come_from_beside_the_model),
        cmocka_unit_test(what_is_wrong_with_weights_is_said),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
