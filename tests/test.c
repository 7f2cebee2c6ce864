#include "tests/test.h"

#include <dirent.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"

enum { NOBODY_ELSE = 61234 };   /* a user of no process */

static char  folder[PATH_MAX];
static pid_t owner;

/* A child made by fork shares the folder and must not remove it. */
static void remove_folder(void)
{
    pf_alloc_fail_after(UINT64_MAX);
    if (getpid() == owner)
        pf_dir_remove(folder, NULL);
}

__attribute__((constructor)) static void choose_tests(void)
{
    const char *pattern = getenv("PF_TEST");

    if (pattern && pattern[0])
        cmocka_set_test_filter(pattern);
}

unsigned test_names_in(const char *path)
{
    DIR     *dir = opendir(path);
    unsigned count = 0;

    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count > 2 ? count - 2 : 0;
}

uint64_t test_count(const char *variable, uint64_t usually, uint64_t when_long)
{
    const char *text = getenv(variable), *is_long = getenv("PF_LONG");

    if (text && text[0])
        return strtoull(text, NULL, 10);
    return is_long && is_long[0] ? when_long : usually;
}

const char *test_folder(void)
{
    const char *parent = getenv("TMPDIR");

    if (folder[0])
        return folder;
    snprintf(folder, sizeof folder, "%s/planfarm-test-XXXXXX", parent && parent[0] ? parent : "/tmp");
    if (!mkdtemp(folder))
        fail_msg("cannot make a folder like %s", folder);
    owner = getpid();
    atexit(remove_folder);
    return folder;
}

const char *test_path(const char *name)
{
    static char     paths[8][PATH_MAX];
    static unsigned next;
    char           *path = paths[next++ % 8];

    if (snprintf(path, PATH_MAX, "%s/%s", test_folder(), name) >= PATH_MAX)
        fail_msg("the path of %s is too long", name);
    return path;
}

bool test_mount_disk(const char *path, size_t bytes)
{
    int  flags = CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0);
    char size[32] = "";

    snprintf(size, sizeof size, "size=%zu", bytes);
    return !unshare(flags) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
           !mount("tmpfs", path, "tmpfs", 0, size);
}

uint64_t test_seed(void)
{
    return test_count("PF_SEED", 1, (uint64_t)pf_clock_wall_ns());
}

uint64_t test_seed_of_now(void)
{
    uint64_t now = (uint64_t)pf_clock_wall_ns() / PF_NS_PER_S, seed = test_count("PF_SEED", now, now);

    print_message("PF_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* The system counts the threads of a user, so this becomes one who has no other process. */
bool test_limit_threads(unsigned count)
{
    struct rlimit limit = { count, count };

    return !setuid(NOBODY_ELSE) && !setrlimit(RLIMIT_NPROC, &limit);
}

void test_is_ok(pf_status status, const pf_err *err, const char *file, int line)
{
    if (status == PF_OK)
        return;
    print_error("%s: %s\n", pf_status_name(status), err ? err->msg : "(no message was asked for)");
    _fail(file, line);
}

void test_is_failure(pf_status status, pf_status wanted, pf_err *err, const char *file, int line)
{
    bool said = !err || (err->status == status && err->msg[0] && !strchr(err->msg, '\n'));

    if (status == wanted && said) {
        pf_err_clear(err);
        return;
    }
    print_error("%s was wanted, %s came: %s\n", pf_status_name(wanted), pf_status_name(status), err ? err->msg : "");
    _fail(file, line);
}
