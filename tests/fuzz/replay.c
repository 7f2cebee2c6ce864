/* Runs a fuzz target once on each file of the folders given, for builds without libFuzzer. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "tests/fuzz/fuzz.h"

enum { PATH_BYTES = 4096 };

static int run_file(const char *path)
{
    pf_mapping map = { 0 };
    pf_err     err = { 0 };

    if (pf_file_map(path, &map, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 0;
    }
    LLVMFuzzerTestOneInput(map.data, map.bytes);
    pf_file_unmap(&map);
    return 1;
}

static int run_folder(const char *folder)
{
    DIR           *dir = opendir(folder);
    struct dirent *entry = NULL;
    int            count = 0;

    if (!dir)
        return 0;
    while ((entry = readdir(dir))) {
        char path[PATH_BYTES];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        count += run_file(path);
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;

    for (int i = 1; i < argc; i++)
        count += run_folder(argv[i]);
    printf("%d seeds\n", count);
    return count ? 0 : 1;           /* a target without seeds tests nothing */
}
