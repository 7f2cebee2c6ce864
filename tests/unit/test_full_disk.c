/* Writes to a real full file system: a tmpfs of 256 KiB in a mount namespace of this process alone, which goes
   away with it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/test.h"

enum { TOO_MANY_BYTES = 1 << 20 };

static uint8_t too_many[TOO_MANY_BYTES];

static void a_full_disk_is_said_and_survived(void **state)
{
    const char *folder = *state;
    char        path[256];
    pf_err      err = {0};
    pf_buf      buf;

    snprintf(path, sizeof path, "%s/file", folder);
    test_ok(pf_file_write(path, "old", 3, &err), &err);
    for (int i = 0; i < 5; i++)     /* a temporary file left behind would use up the room */
        test_fails(pf_file_write(path, too_many, TOO_MANY_BYTES, &err), PF_NO_SPACE, &err);
    assert_int_equal(test_names_in(folder), 1);
    test_ok(pf_file_read(path, 100, &buf, &err), &err);
    assert_string_equal((char *)buf.data, "old");
    pf_buf_clear(&buf);
    test_ok(pf_file_write(path, too_many, 200 << 10, &err), &err);
}

static void a_read_only_disk_is_denied(void **state)
{
    char   path[256];
    pf_err err = {0};

    snprintf(path, sizeof path, "%s/file", (char *)*state);
    assert_int_equal(mount(NULL, *state, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    test_fails(pf_file_write(path, "new", 3, &err), PF_DENIED, &err);
}

int main(void)
{
    char                    folder[] = "/tmp/planfarm-full-XXXXXX";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(a_full_disk_is_said_and_survived, folder),
        cmocka_unit_test_prestate(a_read_only_disk_is_denied, folder),
    };
    int                     failures = 0;

    if (!mkdtemp(folder) || !test_mount_disk(folder, 256 << 10)) {
        fprintf(stderr, "SKIPPED: no small file system can be mounted here: %s\n", strerror(errno));
        rmdir(folder);
        return TEST_SKIPPED;
    }
    failures = cmocka_run_group_tests(tests, NULL, NULL);
    umount(folder);
    rmdir(folder);
    return failures;
}
