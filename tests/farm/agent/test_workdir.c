/* The agent's folder and what lies in it; its command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "builder-agent/job_file.h"
#include "builder-agent/options.h"
#include "builder-agent/workdir.h"
#include "tests/test.h"

static pf_workdir one, two;

static void a_name_is_made_once(void **state)
{
    char   name[PF_AGENT_NAME_BYTES];
    pf_err err = {0};

    (void)state;
    test_ok(pf_workdir_open(&one, test_path("named"), NULL, &err), &err);
    snprintf(name, sizeof name, "%s", one.name);
    assert_true(pf_text_is_name(name, sizeof name));
    pf_workdir_close(&one);
    test_ok(pf_workdir_open(&one, test_path("named"), NULL, &err), &err);
    assert_string_equal(one.name, name);
    pf_workdir_close(&one);
    test_ok(pf_workdir_open(&one, test_path("named"), "other", &err), &err);
    assert_string_equal(one.name, "other");
    pf_workdir_close(&one);
    test_fails(pf_workdir_open(&one, test_path("named"), "no name", &err), PF_USAGE, &err);
}

static void a_folder_serves_one_agent(void **state)
{
    pf_err err = {0};

    (void)state;
    test_ok(pf_workdir_open(&one, test_path("one"), NULL, &err), &err);
    test_fails(pf_workdir_open(&two, test_path("one"), NULL, &err), PF_BUSY, &err);
    pf_workdir_close(&one);
    test_ok(pf_workdir_open(&two, test_path("one"), NULL, &err), &err);
    pf_workdir_close(&two);
}

static void a_killed_run_is_cleared_and_told(void **state)
{
    char   lease[PATH_MAX], file[PATH_MAX + 16];
    pf_err err = {0};

    (void)state;
    test_ok(pf_workdir_open(&one, test_path("killed"), NULL, &err), &err);
    assert_string_equal(one.last_run, "");
    test_ok(pf_workdir_begin(&one, 7, 2, 99, lease, sizeof lease, &err), &err);
    snprintf(file, sizeof file, "%s/model/x", lease);
    test_ok(pf_file_write(file, "x", 1, &err), &err);
    pf_workdir_journal(&one, "job 7 attempt 2 fence 99\njob 8 attempt 1 fence 100\n");
    close(one.lock_fd);             /* as death does */
    test_ok(pf_workdir_open(&two, test_path("killed"), NULL, &err), &err);
    assert_string_equal(two.last_run, "job 7 attempt 2 fence 99;job 8 attempt 1 fence 100");
    assert_false(pf_file_exists(lease));
    pf_workdir_close(&two);
    test_ok(pf_workdir_open(&two, test_path("killed"), NULL, &err), &err);
    assert_string_equal(two.last_run, "");
    pf_workdir_close(&two);
}

static void a_job_is_read_as_it_was_written(void **state)
{
    pf_job_file *job = pf_calloc(1, sizeof *job), *got = pf_calloc(1, sizeof *got);
    pf_err       err = {0};

    (void)state;
    assert_true(job && got);
    *job = (pf_job_file){.job_id = UINT64_C(1) << 40, .attempt = 3, .device = {"cuda:1", "", 0, 50},
                         .cache_limit_bytes = 5};
    memset(job->plan_key.byte, 0x5a, sizeof job->plan_key.byte);
    snprintf(job->model_name, sizeof job->model_name, "a \"quoted\" n\xc3\xa4me");
    snprintf(job->http_url, sizeof job->http_url, "http://127.0.0.1:1");
    snprintf(job->agent_folder, sizeof job->agent_folder, "/somewhere");
    memset(job->spec_text, 's', sizeof job->spec_text - 2);
    mkdir(test_path("lease"), 0777);
    test_ok(pf_job_file_write(job, test_path("lease"), &err), &err);
    test_ok(pf_job_file_read(test_path("lease"), got, &err), &err);
    assert_memory_equal(job, got, sizeof *job);
    snprintf(job->model_name, sizeof job->model_name, "\xff");
    test_fails(pf_job_file_write(job, test_path("lease"), &err), PF_INVALID, &err);
    test_ok(pf_file_write(test_path("lease/job"), "{\"job\": 1}", 10, &err), &err);
    test_fails(pf_job_file_read(test_path("lease"), got, &err), PF_CORRUPT, &err);
    pf_free(job);
    pf_free(got);
}

#define PARSE(...) parse((char *[]){"planfarm-agent", __VA_ARGS__, NULL})

static pf_agent_options options;

static pf_status parse(char **argv)
{
    pf_err    err = {0};
    int       argc = 0;
    bool      help = false;
    pf_status status = PF_OK;

    while (argv[argc])
        argc++;
    status = pf_agent_options_parse(argc, argv, &options, &help, &err);
    if (status)
        assert_true(err.msg[0]);
    return status;
}

static void the_command_line_is_checked(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--coordinator", "tcp://h:1", "--dir=/d", "--device", "cuda:0", "--device=cuda:1", "--share",
                           "50"),
                     PF_OK);
    assert_string_equal(options.coordinator, "tcp://h:1");
    assert_string_equal(options.folder, "/d");
    assert_int_equal(options.devices_count, 2);
    assert_int_equal(options.share_percent, 50);
    assert_int_equal(PARSE("--coordinator", "tcp://h:1", "--dir", "/d", "--cache", "3G"), PF_OK);
    assert_true(options.cache_limit_bytes == UINT64_C(3) << 30);
    assert_string_equal(options.device[0], "cpu");
    assert_int_equal(PARSE("--dir", "/d"), PF_USAGE);
    assert_int_equal(PARSE("--coordinator", "h:1", "--dir", "/d"), PF_USAGE);
    assert_int_equal(PARSE("--coordinator", "tcp://h:1", "--dir"), PF_USAGE);
    assert_int_equal(PARSE("--coordinator", "tcp://h:1", "--dir", "/d", "--cache", "3X"), PF_USAGE);
    assert_int_equal(PARSE("--coordinator", "tcp://h:1", "--dir", "/d", "--threads", "0"), PF_USAGE);
    assert_int_equal(PARSE("--coordinator", "tcp://h:1", "--dir", "/d", "--colour", "red"), PF_USAGE);
    assert_int_equal(PARSE("--coordinator", "tcp://h:1", "--dir", "/d", "more"), PF_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_made_once),
        cmocka_unit_test(a_folder_serves_one_agent),
        cmocka_unit_test(a_killed_run_is_cleared_and_told),
        cmocka_unit_test(a_job_is_read_as_it_was_written),
        cmocka_unit_test(the_command_line_is_checked),
    };

    return cmocka_run_group_tests_name("workdir", tests, NULL, NULL);
}
