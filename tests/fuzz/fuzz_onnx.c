/* Any bytes either import to a graph that verifies and prints, or are refused in a sentence. */
#include <string.h>

#include "engine/onnx.h"
#include "tests/fuzz/fuzz.h"

enum { TEXT_LIMIT = 1 << 26 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    pf_graph *graph = NULL;
    pf_err    err = { 0 };
    pf_status st = pf_onnx_import_bytes(data, bytes, NULL, NULL, &graph, &err);
    pf_buf    text;

    if (st) {
        FUZZ_CHECK(!graph && strlen(err.msg) > 10 && err.status == st, "%s without a reason: \"%s\"",
                   pf_status_name(st), err.msg);
        FUZZ_CHECK(st == PF_INVALID || st == PF_UNSUPPORTED || st == PF_NO_SPACE, "%s: %s", pf_status_name(st),
                   err.msg);
        return 0;
    }
    FUZZ_CHECK(!pf_graph_verify(graph, &err), "imported and does not verify: %s", err.msg);
    pf_buf_init(&text, TEXT_LIMIT);
    FUZZ_CHECK(!pf_graph_print(graph, true, &text, &err), "imported and does not print: %s", err.msg);
    pf_buf_clear(&text);
    pf_graph_free(graph);
    return 0;
}
