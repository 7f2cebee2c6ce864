/* Writes .npy files of many types into a folder: where the fuzzer starts. */
#include <stdio.h>

#include "base/file.h"
#include "client/npy.h"

static int write_one(const char *folder, const pf_tensor *tensor, int number)
{
    char   path[4096];
    pf_buf file;
    pf_err err = {0};

    pf_buf_init(&file, SIZE_MAX);
    snprintf(path, sizeof path, "%s/tensor_%02d.npy", folder, number);
    if (pf_npy_print(tensor, &file, &err) || pf_file_write(path, file.data, file.size, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    pf_buf_clear(&file);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const texts[] = {"a", "gr\xc3\xbc\xc3\x9f"};
    pf_tensor strings = {.dtype = PF_STRING, .rank = 1, .dim = {2}, .data = (void *)texts};
    pf_err    err = {0};
    int       failed = argc == 2 && !pf_dir_make(argv[1], &err) ? 0 : 1;

    for (int dtype = PF_DTYPE_NONE + 1; dtype < PF_DTYPE_COUNT && !failed; dtype++) {
        pf_tensor tensor = {.dtype = (pf_dtype)dtype, .rank = dtype % 3, .dim = {2, 3}};

        if (dtype == PF_STRING)
            continue;
        failed = pf_tensor_alloc(&tensor, &err) || write_one(argv[1], &tensor, dtype);
        pf_tensor_clear(&tensor);
    }
    return failed || write_one(argv[1], &strings, 0);
}
