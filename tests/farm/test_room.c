/* Room ahead of the end of a file, and of the job database. */
#include "tests/farm/daemon.h"

#include "tests/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "coordinator/room.h"

enum { USED = 10000, LIMIT = 64 << 20, PIECES_MAX = 100 };

static uint64_t file_bytes(const char *path)
{
    struct stat info = { 0 };

    return stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
}

/* A file of USED bytes that are not zero, with room wanted behind it. */
static pf_room open_room(const char *path, uint64_t limit_bytes, uint64_t spare_bytes)
{
    uint8_t bytes[USED];
    pf_room room = { 0 };
    pf_err  err = { 0 };

    memset(bytes, 0x5a, sizeof bytes);
    test_ok(pf_file_write(path, bytes, sizeof bytes, &err), &err);
    test_ok(pf_room_open(path, limit_bytes, spare_bytes, &room, &err), &err);
    assert_true(pf_room_is_wanted(&room, USED));
    return room;
}

static int make_all(pf_room *room, uint64_t used_bytes)
{
    int made = 0;

    while (pf_room_is_wanted(room, used_bytes) && pf_room_make(room, used_bytes))
        assert_true(++made < PIECES_MAX);
    return made;
}

/* What the file holds up to `used` is what the owner wrote, and behind it there is nothing but zeros. */
static void check_file(const char *path, size_t used)
{
    pf_buf bytes = { 0 };
    pf_err err = { 0 };

    test_ok(pf_file_read(path, LIMIT, &bytes, &err), &err);
    for (size_t i = 0; i < bytes.size; i++)
        assert_int_equal(bytes.data[i], i < used ? 0x5a : 0);
    pf_buf_clear(&bytes);
}

static void room_is_made_until_there_is_enough(void **state)
{
    const char *path = test_path("enough");
    pf_room     room = open_room(path, LIMIT, 0);
    uint64_t    bytes = 0;

    (void)state;
    assert_true(make_all(&room, USED) > 1);
    assert_false(pf_room_is_wanted(&room, USED));
    bytes = file_bytes(path);
    assert_int_equal(bytes, room.end_bytes);
    check_file(path, USED);
    assert_true(pf_room_is_wanted(&room, bytes));           /* all is used: more, behind it */
    assert_true(pf_room_make(&room, bytes));
    assert_true(file_bytes(path) > bytes);
    pf_room_close(&room);
    pf_room_close(&room);
}

/* A large commit may need more than there is, and the file then ends where nobody expects. */
static void an_owner_that_went_past_it_keeps_its_bytes(void **state)
{
    static uint8_t owned[4 << 20];
    const char    *path = test_path("past");
    pf_room        room = open_room(path, LIMIT, 0);
    int            fd = open(path, O_WRONLY);

    (void)state;
    make_all(&room, USED);
    memset(owned, 0x5a, sizeof owned);
    assert_int_equal(pwrite(fd, owned, sizeof owned, 0), sizeof owned);
    close(fd);
    assert_true(make_all(&room, sizeof owned) > 1);
    check_file(path, sizeof owned);
    pf_room_close(&room);
}

static void no_room_beyond_a_limit_or_on_a_disk_without_any_to_spare(void **state)
{
    const char *path = test_path("limited");
    pf_room     room = open_room(path, USED + (200 << 10), 0);

    (void)state;
    make_all(&room, USED);
    assert_in_range(file_bytes(path), USED + (128 << 10), USED + (200 << 10));
    pf_room_close(&room);
    room = open_room(path, LIMIT, UINT64_MAX);
    assert_false(pf_room_make(&room, USED));
    assert_int_equal(file_bytes(path), USED);
    pf_room_close(&room);
}

/* A write that fails ends it; the file is left as it was. */
static void a_write_that_fails_ends_it(void **state)
{
    const char   *path = test_path("fails");
    pf_room       room = open_room(path, LIMIT, 0);
    struct rlimit was = { 0 }, small = { 0 };

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small = (struct rlimit){ .rlim_cur = USED, .rlim_max = was.rlim_max };
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_false(pf_room_make(&room, USED));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_false(pf_room_is_wanted(&room, USED));
    assert_false(pf_room_make(&room, USED));
    check_file(path, USED);
    pf_room_close(&room);
}

/* A coordinator with nothing to do makes room behind its database, and starts on it again. */
static void a_coordinator_makes_room_while_it_rests(void **state)
{
    daemon_process d = { 0 };
    struct statvfs disk = { 0 };
    char           path[4200] = "";
    int64_t        give_up_ns = pf_clock_ns() + 60 * PF_NS_PER_S;

    (void)state;
    assert_int_equal(statvfs(test_folder(), &disk), 0);
    if ((uint64_t)disk.f_bavail * disk.f_frsize < UINT64_C(3) << 30)
        skip();
    daemon_start(&d, test_path("state"), NULL);
    snprintf(path, sizeof path, "%s/db/data.mdb", d.state);
    while (file_bytes(path) < 1 << 20 && pf_clock_ns() < give_up_ns)
        pf_clock_sleep_ns(5 * PF_NS_PER_MS);
    assert_true(file_bytes(path) >= 1 << 20);
    daemon_kill(&d);
    daemon_start(&d, test_path("state"), NULL);
    assert_int_equal(daemon_stop(&d), 0);
    assert_true(file_bytes(path) < 2 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_is_made_until_there_is_enough),
        cmocka_unit_test(an_owner_that_went_past_it_keeps_its_bytes),
        cmocka_unit_test(no_room_beyond_a_limit_or_on_a_disk_without_any_to_spare),
        cmocka_unit_test(a_write_that_fails_ends_it),
        cmocka_unit_test(a_coordinator_makes_room_while_it_rests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
