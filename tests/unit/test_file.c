#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "tests/test.h"

enum { BIG_BYTES = 300000 };    /* more than one chunk of any reader or writer */

static uint8_t *pattern(int letter)
{
    uint8_t *data = pf_alloc(BIG_BYTES);

    assert_non_null(data);
    memset(data, letter, BIG_BYTES);
    return data;
}

static void what_is_written_is_read_mapped_and_hashed(void **state)
{
    const char *path = test_path("whole");
    uint8_t    *data = pattern('w');
    pf_err      err = {0};
    pf_buf      buf;
    pf_mapping  mapping;
    pf_digest   of_file, of_data;
    uint64_t    bytes = 0;

    (void)state;
    data[BIG_BYTES - 1] = 0;
    test_ok(pf_file_write(path, data, BIG_BYTES, &err), &err);
    test_ok(pf_file_read(path, BIG_BYTES, &buf, &err), &err);
    assert_int_equal(buf.size, BIG_BYTES);
    assert_memory_equal(buf.data, data, BIG_BYTES);
    pf_buf_clear(&buf);
    test_ok(pf_file_map(path, &mapping, &err), &err);
    assert_int_equal(mapping.bytes, BIG_BYTES);
    assert_memory_equal(mapping.data, data, BIG_BYTES);
    pf_file_unmap(&mapping);
    assert_null(mapping.data);
    pf_file_unmap(&mapping);
    test_ok(pf_file_digest(path, &of_file, &bytes, &err), &err);
    pf_digest_of(data, BIG_BYTES, &of_data);
    assert_int_equal(bytes, BIG_BYTES);
    assert_true(pf_digest_equal(&of_file, &of_data));
    pf_free(data);
}

static void an_empty_file_is_a_file(void **state)
{
    const char *path = test_path("empty");
    pf_err      err = {0};
    pf_buf      buf;
    pf_mapping  mapping;

    (void)state;
    test_ok(pf_file_write(path, NULL, 0, &err), &err);
    assert_true(pf_file_exists(path));
    test_ok(pf_file_map(path, &mapping, &err), &err);
    assert_int_equal(mapping.bytes, 0);
    assert_non_null(mapping.data);
    pf_file_unmap(&mapping);
    test_ok(pf_file_read(path, 0, &buf, &err), &err);
    assert_int_equal(buf.size, 0);
    pf_buf_clear(&buf);
}

static void other_things_are_refused(void **state)
{
    const char *pipe_path = test_path("pipe");
    pf_err      err = {0};
    pf_buf      buf;
    pf_mapping  mapping;
    pf_digest   digest;
    uint64_t    bytes = 0;

    (void)state;
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    test_fails(pf_file_map(test_path("absent"), &mapping, &err), PF_NOT_FOUND, &err);
    test_fails(pf_file_read(test_path("absent"), 10, &buf, &err), PF_NOT_FOUND, &err);
    test_fails(pf_file_digest(test_path("absent"), &digest, &bytes, &err), PF_NOT_FOUND, &err);
    test_fails(pf_file_map(test_folder(), &mapping, &err), PF_INVALID, &err);
    test_fails(pf_file_read(pipe_path, 10, &buf, &err), PF_INVALID, &err);      /* and does not wait for a writer */
    test_fails(pf_file_digest("/dev/zero", &digest, &bytes, &err), PF_INVALID, &err);
    test_fails(pf_file_write(test_path("absent/x"), "x", 1, &err), PF_NOT_FOUND, &err);
    test_fails(pf_file_write(pipe_path, "x", 1, &err), PF_INVALID, &err);
    test_fails(pf_file_put(pipe_path, "x", 1, &err), PF_INVALID, &err);
    assert_null(mapping.data);
    assert_null(buf.data);
    assert_false(pf_file_exists(test_path("absent")));
}

static void reading_stops_at_the_limit(void **state)
{
    const char *path = test_path("limited");
    pf_err      err = {0};
    pf_buf      buf;

    (void)state;
    test_ok(pf_file_write(path, "12345", 5, &err), &err);
    test_ok(pf_file_read(path, 5, &buf, &err), &err);
    pf_buf_clear(&buf);
    test_fails(pf_file_read(path, 4, &buf, &err), PF_NO_SPACE, &err);
    assert_null(buf.data);
    /* Files of /proc say that they are empty: the limit holds for what is really read. */
    test_fails(pf_file_read("/proc/self/status", 4, &buf, &err), PF_NO_SPACE, &err);
    pf_alloc_fail_after(0);
    test_fails(pf_file_read(path, 5, &buf, &err), PF_NO_SPACE, &err);
    pf_alloc_fail_after(UINT64_MAX);
}

static void writing_replaces_and_leaves_nothing_beside(void **state)
{
    const char *folder = test_path("replace"), *path = test_path("replace/file");
    pf_err      err = {0};
    pf_buf      buf;

    (void)state;
    test_ok(pf_dir_make(folder, &err), &err);
    test_ok(pf_file_write(path, "the old one", 11, &err), &err);
    test_ok(pf_file_write(path, "new", 3, &err), &err);
    test_ok(pf_file_read(path, 100, &buf, &err), &err);
    assert_string_equal((char *)buf.data, "new");
    pf_buf_clear(&buf);
    test_ok(pf_file_put(path, "newest", 6, &err), &err);
    test_ok(pf_file_read(path, 100, &buf, &err), &err);
    assert_string_equal((char *)buf.data, "newest");
    pf_buf_clear(&buf);
    assert_int_equal(test_names_in(folder), 1);
    test_ok(pf_dir_make(test_path("replace/folder/below"), &err), &err);
    assert_int_not_equal(pf_file_write(test_path("replace/folder"), "x", 1, NULL), PF_OK);
    assert_int_equal(test_names_in(folder), 2);
}

/* As /dev/stdout is one, and a name like "latest". */
static void a_link_stays_one(void **state)
{
    const char *file = test_path("linked"), *link = test_path("link"), *astray = test_path("astray");
    char        led_to[PATH_MAX] = "";
    pf_err      err = {0};
    pf_buf      buf;

    (void)state;
    test_ok(pf_file_write(file, "old", 3, &err), &err);
    assert_int_equal(symlink("linked", link), 0);
    test_ok(pf_file_write(link, "new", 3, &err), &err);
    assert_int_equal(readlink(link, led_to, sizeof led_to - 1), 6);
    test_ok(pf_file_read(file, 100, &buf, &err), &err);
    assert_string_equal((char *)buf.data, "new");
    pf_buf_clear(&buf);
    assert_int_equal(symlink("nowhere", astray), 0);
    test_ok(pf_file_write(astray, "x", 1, &err), &err);
    test_ok(pf_file_read(astray, 100, &buf, &err), &err);
    assert_string_equal((char *)buf.data, "x");
    pf_buf_clear(&buf);
}

static void a_name_without_a_folder_is_in_the_working_folder(void **state)
{
    char   here[4096] = "";
    pf_err err = {0};

    (void)state;
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(test_folder()), 0);
    test_ok(pf_file_write("bare", "x", 1, &err), &err);
    assert_int_equal(chdir(here), 0);
    assert_true(pf_file_exists(test_path("bare")));
}

/* The file size limit of the process stands for a disk that is full. */
static void a_failed_write_keeps_the_old_file(void **state)
{
    const char   *folder = test_path("full"), *path = test_path("full/file");
    struct rlimit before = {0}, small = {0};
    uint8_t      *data = pattern('n');
    pf_err        err = {0};
    pf_buf        buf;

    (void)state;
    test_ok(pf_dir_make(folder, &err), &err);
    test_ok(pf_file_write(path, "old", 3, &err), &err);
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){.rlim_cur = 100000, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    test_fails(pf_file_write(path, data, BIG_BYTES, &err), PF_NO_SPACE, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(test_names_in(folder), 1);
    test_ok(pf_file_read(path, 100, &buf, &err), &err);
    assert_string_equal((char *)buf.data, "old");
    pf_buf_clear(&buf);
    pf_free(data);
}

static void write_for_ever(const char *path)
{
    uint8_t *a = pattern('a'), *b = pattern('b');

    for (;;)
        if (pf_file_write(path, a, BIG_BYTES, NULL) || pf_file_write(path, b, BIG_BYTES, NULL))
            _exit(1);
}

/* A reader sees a whole file at any time, and so does who comes after a writer was killed. */
static void a_killed_writer_leaves_a_whole_file(void **state)
{
    const char *path = test_path("killed");
    uint8_t    *data = pattern('a');
    pf_err      err = {0};

    (void)state;
    test_ok(pf_file_write(path, data, BIG_BYTES, &err), &err);
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        int   ended = 0;

        assert_true(child >= 0);
        if (child == 0)
            write_for_ever(path);
        for (int64_t until = pf_clock_ns() + (7 + 3 * i) * PF_NS_PER_MS; pf_clock_ns() < until;) {
            pf_mapping mapping;

            test_ok(pf_file_map(path, &mapping, &err), &err);
            assert_int_equal(mapping.bytes, BIG_BYTES);
            assert_int_equal(mapping.data[0], mapping.data[BIG_BYTES - 1]);
            memset(data, mapping.data[0], BIG_BYTES);
            assert_memory_equal(mapping.data, data, BIG_BYTES);
            pf_file_unmap(&mapping);
        }
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &ended, 0), child);
        assert_true(WIFSIGNALED(ended));
    }
    pf_free(data);
}

static void an_unnamed_file_gets_its_name_at_once(void **state)
{
    const char *folder = test_path("unnamed"), *path = test_path("unnamed/a");
    uint8_t    *letters = pattern('u');
    pf_mapping  map = {0};
    pf_buf      read = {0};
    int         fd = -1;
    pf_err      err = {0};
    pf_status   status = PF_OK;

    (void)state;
    test_ok(pf_dir_make(folder, &err), &err);
    test_ok(pf_file_write(path, "old", 3, &err), &err);
    test_ok(pf_file_unnamed(folder, &fd, &err), &err);
    test_ok(pf_file_write_at(fd, letters, BIG_BYTES, 0, &err), &err);
    test_ok(pf_file_map_unnamed(fd, &map, &err), &err);
    assert_int_equal(map.bytes, BIG_BYTES);
    assert_int_equal(test_names_in(folder), 1);
    status = pf_file_name(fd, path, &err);
    assert_true(!status || status == PF_UNSUPPORTED);       /* not every file system can */
    if (!status) {
        test_ok(pf_file_read(path, BIG_BYTES, &read, &err), &err);
        assert_memory_equal(read.data, letters, BIG_BYTES);
        assert_int_equal(pf_file_name(fd, test_path("unnamed/b"), &err), PF_UNSUPPORTED);
    }
    assert_int_equal(test_names_in(folder), 1);
    test_ok(pf_file_write_at(fd, "seen", 4, 0, &err), &err);
    assert_memory_equal(map.data, "seen", 4);
    pf_buf_clear(&read);
    pf_file_unmap(&map);
    close(fd);
    pf_free(letters);
}

static void a_file_in_memory_has_no_name(void **state)
{
    int    fd = -1;
    pf_err err = {0};

    (void)state;
    test_ok(pf_file_unnamed(test_path("no such folder"), &fd, &err), &err);
    test_ok(pf_file_write_at(fd, "x", 1, 0, &err), &err);
    test_fails(pf_file_name(fd, test_path("c"), &err), PF_UNSUPPORTED, &err);
    assert_false(pf_file_exists(test_path("c")));
    close(fd);
}

/* Forgotten bytes are read again; other memory is left alone. */
static void what_is_forgotten_is_still_there(void **state)
{
    const char *path = test_path("forgotten");
    uint8_t    *letters = pattern('f');
    pf_mapping  map = {0};
    pf_err      err = {0};

    (void)state;
    test_ok(pf_file_write(path, letters, BIG_BYTES, &err), &err);
    test_ok(pf_file_map(path, &map, &err), &err);
    assert_memory_equal(map.data, letters, BIG_BYTES);
    pf_file_forget(map.data + 1, BIG_BYTES);
    pf_file_forget(letters, BIG_BYTES);
    assert_memory_equal(map.data, letters, BIG_BYTES);
    assert_int_equal(letters[BIG_BYTES / 2], 'f');
    pf_file_unmap(&map);
    pf_free(letters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_mapped_and_hashed),
        cmocka_unit_test(an_empty_file_is_a_file),
        cmocka_unit_test(other_things_are_refused),
        cmocka_unit_test(reading_stops_at_the_limit),
        cmocka_unit_test(writing_replaces_and_leaves_nothing_beside),
        cmocka_unit_test(a_link_stays_one),
        cmocka_unit_test(a_name_without_a_folder_is_in_the_working_folder),
        cmocka_unit_test(a_failed_write_keeps_the_old_file),
        cmocka_unit_test(a_killed_writer_leaves_a_whole_file),
        cmocka_unit_test(an_unnamed_file_gets_its_name_at_once),
        cmocka_unit_test(a_file_in_memory_has_no_name),
        cmocka_unit_test(what_is_forgotten_is_still_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
