/* The layers that a build without timings chooses for a card, without one: formats are assigned by bytes and operations
   (effort 0), among our own tactics, as libraries list theirs on a card alone. */
#ifndef PF_TESTS_UNIT_CUDA_FRONT_LAYERS_H
#define PF_TESTS_UNIT_CUDA_FRONT_LAYERS_H

#include "engine/device.h"
#include "engine/graph.h"

typedef struct front_layers {
    uint32_t count;             /* of layers, copies between layouts among them */
    uint32_t moves;             /* of these, that compute nothing: copies, transposes, concats, casts */
    double   moved_bytes;       /* that those read and write */
} front_layers;

/* precision: "fp16", "bf16", NULL: FP32.  prints: each layer; graph: shapes are set already. */
pf_status front_layers_of(pf_device *device, const pf_graph *graph, const char *precision, bool prints,
                          front_layers *out, pf_err *err);

#endif
