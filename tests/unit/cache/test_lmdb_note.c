/* When a timing cache that was found whole is looked at again, and when that is spared. */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "cache/lmdb_note.h"
#include "cache/timing_db.h"
#include "cache/timing_db_env.h"
#include "tests/unit/cache/timing_samples.h"

static char folder[PATH_MAX], file[PATH_MAX];

static int start_new(void **state)
{
    pf_timing_db *db = NULL;
    pf_err        err = {0};

    (void)state;
    snprintf(folder, sizeof folder, "%s", test_path("cache"));
    snprintf(file, sizeof file, "%s", test_path("cache/data.mdb"));
    test_ok(pf_dir_remove(folder, &err), &err);
    db = sample_open(folder);
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "t", 5, 5);
    pf_timing_db_close(db);
    return 0;
}

/* Were all pages looked at when it is opened now? */
static bool looks(bool read_only)
{
    pf_timing_env *env = NULL;
    pf_err         err = {0};
    bool           looked = false;

    test_ok(pf_timing_env_open(folder, 1 << 30, read_only, &env, &err), &err);
    looked = env->looked_now;
    pf_timing_env_close(env);
    return looked;
}

static void what_was_left_whole_is_trusted(void **state)
{
    pf_timing_db *db = NULL;

    (void)state;
    assert_false(looks(false));
    assert_true(looks(true));           /* who only reads could not take the note back */
    assert_false(looks(false));
    db = sample_open(folder);
    sample_merge(db, SAMPLE_CLASS, SAMPLE_PROBLEM, "other", 5, 5);
    pf_timing_db_close(db);
    assert_false(looks(false));
}

/* At the moment after its last write, too. */
static void what_was_written_to_is_not(void **state)
{
    int     fd = -1;
    uint8_t byte = 0;

    (void)state;
    for (int i = 0; i < 50; i++) {
        fd = open(file, O_RDWR);
        assert_true(fd >= 0);
        assert_int_equal(pread(fd, &byte, 1, 0), 1);
        assert_int_equal(pwrite(fd, &byte, 1, 0), 1);
        close(fd);
        assert_true(looks(false));
    }
}

static void a_copy_is_not(void **state)
{
    pf_buf bytes = {0};
    pf_err err = {0};

    (void)state;
    test_ok(pf_file_read(file, SIZE_MAX, &bytes, &err), &err);
    test_ok(pf_file_write(file, bytes.data, bytes.size, &err), &err);
    pf_buf_clear(&bytes);
    assert_true(looks(false));
}

/* A page that was damaged by a disk: nobody wrote, so that its times are as they were. */
static void damage_behind_the_kernels_back_is_found_by_looking(void **state)
{
    struct stat   info = {0};
    uint8_t       zeros[4096] = {0};
    pf_timing_db *db = NULL;
    pf_err        err = {0};
    int           fd = open(file, O_WRONLY);

    (void)state;
    assert_int_equal(stat(file, &info), 0);
    for (off_t page = 2; page < info.st_size / 4096; page++)
        assert_int_equal(pwrite(fd, zeros, sizeof zeros, page * 4096), sizeof zeros);
    assert_int_equal(futimens(fd, (struct timespec[2]){info.st_atim, info.st_mtim}), 0);
    close(fd);
    assert_int_equal(unlink(test_path("cache/looked")), 0);     /* as who trusted it and died did */
    test_fails(pf_timing_db_open(folder, NULL, &db, &err), PF_CORRUPT, &err);
}

/* Be it by a damaged page. */
static void a_process_that_died_ends_the_trust(void **state)
{
    int   status = 0;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        pf_timing_db *db = NULL;
        char         *text = NULL;
        pf_digest     of = {0};

        pf_digest_of(SAMPLE_CLASS, strlen(SAMPLE_CLASS), &of);
        if (pf_timing_db_open(folder, NULL, &db, NULL) ||
            pf_timing_db_text(db, PF_TABLE_CLASSES, &of, &text, NULL))
            _exit(1);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_true(looks(false));
    assert_false(looks(false));
}

static void a_note_that_is_old_or_damaged_is_none(void **state)
{
    pf_timing_env *env = NULL;
    pf_buf         note = {0};
    char           path[PATH_MAX];
    pf_err         err = {0};

    (void)state;
    test_ok(pf_timing_env_open(folder, 1 << 30, false, &env, &err), &err);
    pf_lmdb_note(env->mdb, folder, pf_clock_wall_ns() - PF_LMDB_NOTE_NS);
    assert_true(pf_lmdb_take_note(env->mdb, folder) == 0);
    pf_lmdb_note(env->mdb, folder, pf_clock_wall_ns() + PF_LMDB_NOTE_NS);
    assert_true(pf_lmdb_take_note(env->mdb, folder) == 0);
    pf_lmdb_note(env->mdb, folder, pf_clock_wall_ns() - PF_LMDB_NOTE_NS / 2);
    assert_true(pf_lmdb_take_note(env->mdb, folder) != 0);
    pf_lmdb_note(env->mdb, folder, pf_clock_wall_ns());
    snprintf(path, sizeof path, "%s", test_path("cache/looked"));
    test_ok(pf_file_read(path, 4096, &note, &err), &err);
    for (size_t i = 0; i < note.size; i++) {
        note.data[i] ^= 0x10;
        test_ok(pf_file_write(path, note.data, note.size, &err), &err);
        assert_true(pf_lmdb_take_note(env->mdb, folder) == 0);
        note.data[i] ^= 0x10;
    }
    for (size_t bytes = 0; bytes < note.size; bytes++) {
        test_ok(pf_file_write(path, note.data, bytes, &err), &err);
        assert_true(pf_lmdb_take_note(env->mdb, folder) == 0);
    }
    pf_buf_clear(&note);
    pf_timing_env_close(env);
}

static void who_asks_gets_a_look(void **state)
{
    pf_timing_db *db = sample_open(folder);
    pf_err        err = {0};

    (void)state;
    test_ok(pf_timing_db_look(db, &err), &err);
    test_ok(pf_timing_db_look(db, &err), &err);
    pf_timing_db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_left_whole_is_trusted, start_new),
        cmocka_unit_test_setup(what_was_written_to_is_not, start_new),
        cmocka_unit_test_setup(a_copy_is_not, start_new),
        cmocka_unit_test_setup(damage_behind_the_kernels_back_is_found_by_looking, start_new),
        cmocka_unit_test_setup(a_process_that_died_ends_the_trust, start_new),
        cmocka_unit_test_setup(a_note_that_is_old_or_damaged_is_none, start_new),
        cmocka_unit_test_setup(who_asks_gets_a_look, start_new),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
