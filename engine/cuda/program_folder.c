#include "engine/cuda/program_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

/* ---- Keeping it small */

typedef struct entry { char name[80]; struct timespec used; uint64_t bytes; } entry;
typedef struct listing { entry *items; uint32_t count, capacity; uint64_t bytes; } listing;

static void add_entry(listing *list, const char *folder, const char *name)
{
    char        path[PATH_MAX] = {0};
    struct stat info = {0};

    if (strlen(name) >= sizeof list->items->name || pf_path_join(folder, name, path, sizeof path, NULL) ||
        lstat(path, &info) || !S_ISREG(info.st_mode) ||
        pf_grow((void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items))
        return;
    list->items[list->count] = (entry){ .used = info.st_mtim, .bytes = (uint64_t)info.st_size };
    memcpy(list->items[list->count++].name, name, strlen(name) + 1);
    list->bytes += (uint64_t)info.st_size;
}

static int older_first(const void *a, const void *b)
{
    const struct timespec *one = &((const entry *)a)->used, *two = &((const entry *)b)->used;

    if (one->tv_sec != two->tv_sec) return one->tv_sec < two->tv_sec ? -1 : 1;
    return one->tv_nsec < two->tv_nsec ? -1 : one->tv_nsec > two->tv_nsec;
}

static void shrink(const char *folder)
{
    DIR           *dir = opendir(folder);
    listing        list = {0};
    struct dirent *found = NULL;

    while (dir && (found = readdir(dir)) != NULL) add_entry(&list, folder, found->d_name);
    if (dir) closedir(dir);
    if (list.bytes > PF_PROGRAM_FOLDER_BYTES) qsort(list.items, list.count, sizeof *list.items, older_first);
    for (uint32_t i = 0; i < list.count && list.bytes > PF_PROGRAM_FOLDER_BYTES; i++) {
        char path[PATH_MAX] = {0};

        if (!pf_path_join(folder, list.items[i].name, path, sizeof path, NULL)) unlink(path);
        list.bytes -= list.items[i].bytes;
    }
    pf_free(list.items);
}

pf_status pf_program_folder_open(pf_program_folder *folder, const char *path, const pf_digest *device_class,
                                 pf_err *err)
{
    pf_status st = PF_OK;

    if (strlen(path) + PF_DIGEST_HEX_BYTES + 2 > sizeof folder->path)
        return PF_FAIL(err, PF_INVALID, "the path %.100s... is too long", path);
    st = pf_dir_make(path, err);
    if (st) return st;
    shrink(path);
    snprintf(folder->path, sizeof folder->path, "%s", path);
    folder->device_class = *device_class;
    return PF_OK;
}

/* ---- Files */

static bool path_of(const pf_program_folder *folder, const pf_digest *key, char out[PATH_MAX])
{
    char      hex[PF_DIGEST_HEX_BYTES] = {0};
    pf_digest both = {0};
    pf_hash   hash;

    if (!folder->path[0]) return false;
    pf_hash_init(&hash);
    pf_hash_add(&hash, &folder->device_class, sizeof folder->device_class);
    pf_hash_add(&hash, key, sizeof *key);
    pf_hash_end(&hash, &both);
    pf_digest_to_hex(&both, hex);
    return !pf_path_join(folder->path, hex, out, PATH_MAX, NULL);
}

uint8_t *pf_program_folder_read(const pf_program_folder *folder, const pf_digest *key, size_t *bytes)
{
    char      path[PATH_MAX] = {0};
    pf_buf    file = {0};
    pf_digest digest = {0};
    uint8_t  *code = NULL;

    if (!path_of(folder, key, path) || pf_file_read(path, PF_PROGRAM_FILE_BYTES, &file, NULL)) return NULL;
    if (file.size > sizeof digest) {
        *bytes = file.size - sizeof digest;
        pf_digest_of(file.data + sizeof digest, *bytes, &digest);
        if (!memcmp(&digest, file.data, sizeof digest)) code = pf_alloc(*bytes);
        if (code) memcpy(code, file.data + sizeof digest, *bytes);
    }
    pf_buf_clear(&file);
    if (code) utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
    return code;
}

void pf_program_folder_write(const pf_program_folder *folder, const pf_digest *key, const void *code, size_t bytes)
{
    char      path[PATH_MAX] = {0};
    pf_buf    file = {0};
    pf_digest digest = {0};

    if (!path_of(folder, key, path)) return;
    pf_digest_of(code, bytes, &digest);
    pf_buf_init(&file, PF_PROGRAM_FILE_BYTES);
    pf_buf_put(&file, &digest, sizeof digest);
    if (pf_buf_put(&file, code, bytes)) pf_file_put(path, file.data, file.size, NULL);
    pf_buf_clear(&file);
}
