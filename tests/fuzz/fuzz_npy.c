/* Any bytes either are a tensor, which is written and read back the same, or are refused in a sentence. */
#include <string.h>

#include "client/npy.h"
#include "tests/fuzz/fuzz.h"

#define OUTPUT_LIMIT ((size_t)64 << 20)

static void check_round_trip(const pf_tensor *tensor)
{
    pf_buf    file;
    pf_tensor back = {0};
    pf_err    err = {0};

    pf_buf_init(&file, OUTPUT_LIMIT);
    if (!pf_npy_print(tensor, &file, &err)) {
        FUZZ_CHECK(!pf_npy_parse(file.data, file.size, tensor->dtype, &back, &err), "what was written is not read: %s",
                   err.msg);
        FUZZ_CHECK(back.dtype == tensor->dtype && pf_tensor_same_shape(&back, tensor),
                   "another type or shape comes back");
        FUZZ_CHECK(tensor->dtype == PF_STRING || !tensor->bytes || memcmp(back.data, tensor->data, tensor->bytes) == 0,
                   "other values come back");
        pf_tensor_clear(&back);
    }
    pf_buf_clear(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const pf_dtype wanted[] = {PF_DTYPE_NONE, PF_I4, PF_F8E4M3FN, PF_BF16};

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        pf_tensor tensor = {0};
        pf_err    err = {0};
        pf_status status = pf_npy_parse(data, bytes, wanted[i], &tensor, &err);

        FUZZ_CHECK(!status || strlen(err.msg) > 10, "%s without a reason", pf_status_name(status));
        FUZZ_CHECK(!status || status == PF_INVALID || status == PF_UNSUPPORTED || status == PF_NO_SPACE, "%s: %s",
                   pf_status_name(status), err.msg);
        if (!status)
            check_round_trip(&tensor);
        pf_tensor_clear(&tensor);
    }
    return 0;
}
