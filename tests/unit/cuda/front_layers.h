/* The layers that a build chooses for a card, without one: with effort 0 formats are assigned by bytes and operations,
   above that by times that are the same for everything, so that fewer layers are better.  Only our own tactics are
   looked at, as libraries list theirs on a card alone. */
#ifndef PF_TESTS_UNIT_CUDA_FRONT_LAYERS_H
#define PF_TESTS_UNIT_CUDA_FRONT_LAYERS_H

#include "engine/device.h"
#include "engine/graph.h"

typedef struct front_layers {
    uint32_t count;             /* of layers, copies between layouts among them */
    uint32_t moves;             /* of these, that compute nothing: copies, transposes, concats, casts */
    double   moved_bytes;       /* that those read and write */
    uint32_t joined;            /* concats and slices that are no layers */
    uint32_t problems;          /* distinct ones that would be timed */
    uint32_t hosts;             /* layers that the host would compute */
} front_layers;

/* spec: of the build, as text.  prints: each layer; graph: shapes are set already. */
pf_status front_layers_of(pf_device *device, const pf_graph *graph, const char *spec, bool prints, front_layers *out,
                          pf_err *err);

#endif
