/* What the tests of graphs share. */
#ifndef PF_TESTS_UNIT_ENGINE_GRAPHS_H
#define PF_TESTS_UNIT_ENGINE_GRAPHS_H

#include "base/random.h"
#include "engine/op.h"
#include "tests/test.h"

/* Fails the test when the text is refused or the graph is not whole. */
static inline pf_graph *graph_of(const char *text)
{
    pf_graph *graph = NULL;
    pf_err    err = { 0 };

    test_ok(pf_graph_parse(text, &graph, &err), &err);
    test_ok(pf_graph_verify(graph, &err), &err);
    return graph;
}

/* Zero-terminated; freed by pf_buf_clear. */
static inline const char *text_of(const pf_graph *graph, bool with_names, pf_buf *buf)
{
    pf_err err = { 0 };

    pf_buf_init(buf, 1 << 24);
    test_ok(pf_graph_print(graph, with_names, buf, &err), &err);
    return (const char *)buf->data;
}

#endif
