/* Folders and paths of base/file.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* One folder whose parent is there. */
static pf_status make_one(const char *path, pf_err *err)
{
    struct stat info = {0};

    if (mkdir(path, 0777) == 0)
        return PF_OK;
    if (errno != EEXIST)
        return PF_FAIL_ERRNO(err, "make the folder", path);
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return PF_OK;
    return PF_FAIL(err, PF_INVALID, "%s is there and is not a folder; move it away", path);
}

pf_status pf_dir_make(const char *path, pf_err *err)
{
    char      part[PATH_MAX];
    pf_status status = PF_OK;

    if (!path[0])
        return PF_FAIL(err, PF_INVALID, "the path of a folder is empty; name one");
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return PF_FAIL(err, PF_INVALID, "the path of a folder is longer than %d bytes", PATH_MAX - 1);
    for (char *at = part + 1; *at && !status; at++) {
        if (*at != '/')
            continue;
        *at = 0;
        status = make_one(part, err);
        *at = '/';
    }
    return status ? status : make_one(part, err);
}

pf_status pf_dir_make_temporary(const char *name, char *out, size_t capacity, pf_err *err)
{
    const char *parent = getenv("TMPDIR");
    int         length = 0;

    if (!parent || parent[0] != '/')
        parent = "/tmp";
    length = snprintf(out, capacity, "%s/planfarm-%s-XXXXXX", parent, name);
    if (length >= 0 && (size_t)length < capacity && mkdtemp(out))
        return PF_OK;
    if (capacity)
        out[0] = 0;
    if (length < 0 || (size_t)length >= capacity)
        return PF_FAIL(err, PF_INVALID, "the path %.100s is too long for temporary files; set TMPDIR to a shorter one",
                       parent);
    return PF_FAIL(err, PF_IO, "cannot make a folder in %s: %s; set TMPDIR to one that can be written", parent,
                   strerror(errno));
}

static pf_status remove_entry(int folder, const char *name, pf_err *err);

/* Takes fd, an open folder, and removes what is in it. */
static pf_status empty_folder(int fd, const char *name, pf_err *err)
{
    DIR           *dir = fdopendir(fd);
    struct dirent *entry = NULL;
    pf_status      status = PF_OK;

    if (!dir) {
        status = PF_FAIL_ERRNO(err, "list", name);
        close(fd);
        return status;
    }
    while (!status) {
        errno = 0;
        entry = readdir(dir);
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = remove_entry(dirfd(dir), entry->d_name, err);
    }
    if (!status && errno)
        status = PF_FAIL_ERRNO(err, "list", name);
    closedir(dir);
    return status;
}

/* A name that has gone meanwhile is fine: somebody else may be clearing the same folder. */
static pf_status remove_entry(int folder, const char *name, pf_err *err)
{
    int       fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int       flags = fd >= 0 ? AT_REMOVEDIR : 0;
    pf_status status = fd >= 0 ? empty_folder(fd, name, err) : PF_OK;

    if (!status && unlinkat(folder, name, flags) && errno != ENOENT)
        status = PF_FAIL_ERRNO(err, "remove", name);
    return status ? pf_err_add(err, status, "removing %s", name) : PF_OK;
}

pf_status pf_dir_remove(const char *path, pf_err *err)
{
    struct stat info = {0};

    if (lstat(path, &info))
        return errno == ENOENT ? PF_OK : PF_FAIL_ERRNO(err, "remove", path);
    if (!S_ISDIR(info.st_mode))
        return PF_FAIL(err, PF_INVALID, "%s is not a folder; it was left alone", path);
    return remove_entry(AT_FDCWD, path, err);
}

/* True when some part of the path is "..". */
static bool climbs(const char *path)
{
    while (*path) {
        size_t length = strcspn(path, "/");

        if (length == 2 && path[0] == '.' && path[1] == '.')
            return true;
        path += length + (path[length] == '/');
    }
    return false;
}

void pf_path_folder(const char *path, char *out)
{
    char *slash = NULL;

    snprintf(out, PATH_MAX, "%s", path);
    slash = strrchr(out, '/');
    if (!slash)
        snprintf(out, PATH_MAX, ".");
    else
        slash[slash == out] = 0;        /* the folder of "/a" is "/" */
}

pf_status pf_path_join(const char *folder, const char *relative, char *out, size_t capacity, pf_err *err)
{
    int length = 0;

    out[0] = 0;
    if (!relative[0] || relative[0] == '/' || climbs(relative))
        return PF_FAIL(err, PF_INVALID, "the path \"%.200s\" does not stay inside its folder; "
                       "name it without a leading \"/\" and without \"..\"", relative);
    length = snprintf(out, capacity, "%s/%s", folder[0] ? folder : ".", relative);
    if (length >= 0 && (size_t)length < capacity)
        return PF_OK;
    out[0] = 0;
    return PF_FAIL(err, PF_INVALID, "the path \"%.200s...\" is too long; the limit is %zu bytes", relative,
                   capacity - 1);
}

pf_status pf_path_user_cache(char *out, size_t capacity, pf_err *err)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int         length = 0;

    out[0] = 0;
    if (cache && cache[0] == '/')
        length = snprintf(out, capacity, "%s/planfarm", cache);
    else if (home && home[0] == '/')
        length = snprintf(out, capacity, "%s/.cache/planfarm", home);
    else
        return PF_FAIL(err, PF_NOT_FOUND, "there is no folder for the cache; set HOME or XDG_CACHE_HOME to one");
    if ((size_t)length < capacity)
        return PF_OK;
    out[0] = 0;
    return PF_FAIL(err, PF_INVALID, "the folder of the cache has a name of more than %zu bytes", capacity - 1);
}
