/* Running a graph on random inputs, and comparing what came out before and after rules. */
#ifndef PF_TESTS_UNIT_ENGINE_RULES_OUTPUTS_H
#define PF_TESTS_UNIT_ENGINE_RULES_OUTPUTS_H

#include "tests/unit/engine/graphs.h"

enum { IO_LIMIT = 8 };

typedef struct outputs { pf_tensor at[IO_LIMIT]; uint32_t count; } outputs;

void clear_outputs(outputs *out);

/* On random inputs; symbol i is 2 + i.  run_graph fails the test when the graph does not run. */
pf_status try_graph(const pf_graph *graph, uint64_t seed, outputs *out, pf_err *why);
void      run_graph(const pf_graph *graph, uint64_t seed, outputs *out);

/* Fails the test, and names what, when the outputs differ by more than rounding. */
void check_same(const outputs *a, const outputs *b, const char *what);

/* Of a text without its first line. */
pf_graph *graph_of_body(const char *text);

#endif
