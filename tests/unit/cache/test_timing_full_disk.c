/* A timing db on a real full file system: a tmpfs of 384 KiB in a mount namespace of this process alone. */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/unit/cache/timing_samples.h"

enum { ENOUGH = 5000 };         /* merges that cannot all fit */

static void problem_text(int number, char out[64])
{
    snprintf(out, 64, "problem %d\n", number);
}

static void a_full_disk_is_said_and_loses_nothing(void **state)
{
    char             text[64], folder[256];
    pf_timing_db    *db = NULL;
    pf_timing_record record = {0};
    pf_err           err = {0};
    pf_status        status = PF_OK;
    int              stored = 0;

    snprintf(folder, sizeof folder, "%s/filled", (char *)*state);
    db = sample_open(folder);
    sample_record(&record, "t", 50, 5);
    while (!status && stored < ENOUGH) {
        problem_text(stored, text);
        status = pf_timing_db_merge(db, SAMPLE_CLASS, text, &record, &err);
        stored += !status;
    }
    assert_true(stored > 10);
    test_fails(status, PF_NO_SPACE, &err);
    pf_timing_record_clear(&record);
    pf_timing_db_close(db);
    db = sample_open(folder);
    for (int i = 0; i < stored; i++) {
        problem_text(i, text);
        sample_lookup(db, SAMPLE_CLASS, text, &record);
        assert_int_equal(record.count, 1);
        pf_timing_record_clear(&record);
    }
    pf_timing_db_close(db);
    test_ok(pf_dir_remove(folder, &err), &err);
}

/* LMDB writes its lock file through a map, where a full disk would be a signal. */
static void a_disk_without_room_for_a_cache_is_said(void **state)
{
    static uint8_t filling[4096];
    char           path[256], folder[256];
    FILE          *file = NULL;
    pf_timing_db  *db = NULL;
    pf_err         err = {0};

    snprintf(path, sizeof path, "%s/filling", (char *)*state);
    snprintf(folder, sizeof folder, "%s/fresh", (char *)*state);
    test_ok(pf_dir_make(folder, &err), &err);
    file = fopen(path, "wb");
    assert_non_null(file);
    setvbuf(file, NULL, _IONBF, 0);
    while (fwrite(filling, 1, sizeof filling, file) == sizeof filling)
        continue;
    fclose(file);
    test_fails(pf_timing_db_open(folder, NULL, &db, &err), PF_NO_SPACE, &err);
    unlink(path);
    db = sample_open(folder);
    pf_timing_db_close(db);
}

int main(void)
{
    const char *folder = test_path("small");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(a_full_disk_is_said_and_loses_nothing, (void *)folder),
        cmocka_unit_test_prestate(a_disk_without_room_for_a_cache_is_said, (void *)folder),
    };
    int failed = 0;

    if (mkdir(folder, 0700) || !test_mount_disk(folder, 384 << 10)) {
        print_message("skipped: this user may not mount a tmpfs\n");
        return TEST_SKIPPED;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    umount2(folder, MNT_DETACH);
    return failed;
}
