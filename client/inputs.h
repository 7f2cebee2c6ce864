/* Inputs of a run: from --input files, or seeded random values, checked against what the plan or network wants. */
#ifndef PF_CLIENT_INPUTS_H
#define PF_CLIENT_INPUTS_H

#include "client/verb.h"
#include "engine/planfarm.h"

/* The rows of an option table. */
#define PF_INPUT_OPTIONS \
    {.name = "input", .letter = 'i', .kind = PF_OPTION_TEXT, .value = "NAME=FILE", \
     .help = "an input from a .npy or TensorProto file; FILE alone when there is one input"}, \
    {.name = "shapes", .kind = PF_OPTION_TEXT, .value = "IN:1x3x..,..", .help = "shapes of generated inputs"}, \
    {.name = "seed", .kind = PF_OPTION_INT, .value = "N", .fallback = "1", .help = "of generated inputs"}

/* A row of the verbs that read networks. */
#define PF_FREEZE_OPTION \
    {.name = "freeze_inputs", .kind = PF_OPTION_TEXT, .value = "IN:1,..", \
     .help = "inputs that a network does without, and the value that they always have"}

/* What is wanted of one input. */
typedef struct pf_want {
    const char *name;               /* borrowed */
    pf_dtype    dtype;
    int32_t     rank;               /* -1: any */
    int64_t     dim[PF_MAX_RANK];   /* -1: any */
    int64_t     usual[PF_MAX_RANK]; /* for generated inputs */
    int64_t     least[PF_MAX_RANK], most[PF_MAX_RANK];  /* that a plan serves */
} pf_want;

typedef struct pf_inputs {
    pf_want   *wants;               /* owned */
    pf_tensor *tensors;             /* owned; in the order of wants */
    const char **files;             /* NULL for a generated one; borrowed from the command line */
    uint32_t   count;
} pf_inputs;

/* Errors   UNSUPPORTED: an input that is a sequence or an optional. */
pf_status pf_inputs_of_graph(const struct pf_graph *graph, pf_inputs *out, pf_err *err);
pf_status pf_inputs_of_plan(const pf_plan *plan, pf_inputs *out, pf_err *err);
/* A build spec that fixes the sizes that --shapes and --input NAME=FILE give, and the values of --freeze-inputs, for a
   network that is to be read.  Owns *out: pf_config_free.  Errors  USAGE: --shapes, --freeze-inputs; what is wrong with
   a file is left to who reads it for good. */
pf_status pf_inputs_fixed(const pf_call *call, pf_config **out, pf_err *err);
/* Fills tensors.  Errors  USAGE: an unknown input or two files for one; NOT_FOUND, INVALID: a file, its type or its
   shape. */
pf_status pf_inputs_fill(pf_inputs *inputs, const pf_call *call, pf_err *err);
void      pf_inputs_clear(pf_inputs *inputs);
/* Whether a network that is to compute the same takes them.  path: of the network, for the message.  Errors INVALID. */
pf_status pf_inputs_fit(const pf_inputs *inputs, const struct pf_graph *graph, const char *path, pf_err *err);
/* Sets the shapes of a context's inputs.  tensors: in the order of the plan's inputs. */
pf_status pf_inputs_set_shapes(const pf_plan *plan, const pf_tensor *tensors, pf_context *context, pf_err *err);
/* "IN:1x3x224x224,..." of all inputs as they are filled. */
void      pf_inputs_shapes(const pf_inputs *inputs, pf_buf *out);

#endif
