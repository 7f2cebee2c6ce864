/* The keeper of a Multi-Process Service, with a script in the place of NVIDIA's control program that writes down what
   it is asked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "engine/cuda/mps.h"
#include "tests/test.h"

enum { SOON_MS = 20000, TURN_MS = 10 };

/* A folder that holds bin/nvidia-cuda-mps-control, whose notes go to notes. */
static void make_control(const char *folder, const char *script)
{
    char   path[4300] = "";
    pf_err err = { 0 };

    snprintf(path, sizeof path, "%s/bin", folder);
    test_ok(pf_dir_make(path, &err), &err);
    snprintf(path, sizeof path, "%s/bin/nvidia-cuda-mps-control", folder);
    test_ok(pf_file_write(path, script, strlen(script), &err), &err);
    assert_int_equal(chmod(path, 0755), 0);
    snprintf(path, sizeof path, "%s/bin:/usr/bin:/bin", folder);
    assert_int_equal(setenv("PATH", path, 1), 0);
    snprintf(path, sizeof path, "%s/notes", folder);
    assert_int_equal(setenv("NOTES", path, 1), 0);
    assert_int_equal(setenv("TMPDIR", folder, 1), 0);
}

static bool notes_say(const char *folder, const char *text)
{
    char   path[4300] = "";
    pf_buf notes = { 0 };
    bool   say = false;

    snprintf(path, sizeof path, "%s/notes", folder);
    if (pf_file_read(path, 1 << 20, &notes, NULL) == PF_OK)
        say = notes.size && memmem(notes.data, notes.size, text, strlen(text)) != NULL;
    pf_buf_clear(&notes);
    return say;
}

static const char control[] = "#!/bin/sh\nif [ \"$1\" = -d ]; then echo \"start $CUDA_MPS_PIPE_DIRECTORY "
                              "${CUDA_MPS_ACTIVE_THREAD_PERCENTAGE-none}\" >> \"$NOTES\"\n"
                              "else echo \"ask $(cat)\" >> \"$NOTES\"; fi\n";

/* What a process with a share sees; 0: as it should be. */
static int join_in_child(int percent)
{
    pf_err      err = { 0 };
    const char *folder = NULL, *value = NULL;

    if (pf_mps_join(percent, &err) || pf_mps_join(percent, &err)) return 1;
    if (pf_mps_join(percent + 1, &err) != PF_UNSUPPORTED) return 2;
    folder = getenv("CUDA_MPS_PIPE_DIRECTORY");
    value = getenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE");
    if (!folder || !pf_file_exists(folder) || !value || atoi(value) != percent) return 3;
    return 0;
}

static void the_service_ends_with_the_process(void **state)
{
    char  folder[4096] = "", command[4300] = "";
    pid_t pid = 0;
    int   status = 0;

    (void)state;
    snprintf(folder, sizeof folder, "%s", test_path("mps"));
    make_control(folder, control);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(join_in_child(50));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(notes_say(folder, "planfarm-mps-"));
    assert_true(notes_say(folder, " none\n"));          /* the service itself is not limited */
    snprintf(command, sizeof command, "! ls -d '%s'/planfarm-mps-* > /dev/null 2>&1", folder);
    for (int i = 0; i < SOON_MS / TURN_MS && (!notes_say(folder, "ask quit") || system(command) != 0); i++)
        pf_clock_sleep_ns(TURN_MS * PF_NS_PER_MS);
    assert_true(notes_say(folder, "ask quit"));
    assert_int_equal(system(command), 0);
}

static void without_the_service_there_is_no_share(void **state)
{
    char   folder[4096] = "", command[4300] = "";
    pf_err err = { 0 };

    (void)state;
    snprintf(folder, sizeof folder, "%s", test_path("none"));
    make_control(folder, "#!/bin/sh\nexit 1\n");
    assert_int_equal(pf_mps_join(50, &err), PF_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "nvidia-cuda-mps-control"));
    assert_null(getenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"));
    snprintf(command, sizeof command, "! ls -d '%s'/planfarm-mps-* > /dev/null 2>&1", folder);
    assert_int_equal(system(command), 0);
}

static void a_percentage_that_was_given_is_kept(void **state)
{
    pf_err err = { 0 };

    (void)state;
    assert_int_equal(setenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "25", 1), 0);
    assert_int_equal(pf_mps_join(50, &err), PF_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "=25"));
    test_ok(pf_mps_join(25, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_service_ends_with_the_process), cmocka_unit_test(without_the_service_there_is_no_share),
        cmocka_unit_test(a_percentage_that_was_given_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
