/* A device that captures, of a module: a CPU with a clock of its own, whose graphs run again what was enqueued. */
#ifndef PF_TESTS_UNIT_ENGINE_CAPTURING_H
#define PF_TESTS_UNIT_ENGINE_CAPTURING_H

#include "engine/device.h"

/* Ordinals of the device: below that the capture of a network that fails, beyond it the large block that is not
   there. */
enum { CAPTURING_BLOCKS = 1000 };

/* What the ops of such a device are part of. */
typedef struct capturing {
    pf_device_ops ops;                  /* first: found by them */
    int64_t       now_ns;
    int           networks;             /* captures of more steps than one, */
    int           fails_at;             /* of which this one fails; 0: none */
    int           large, without;       /* large blocks taken since the first of them, of which this one is not there */
    const char   *block;                /* the greatest that was taken */
    size_t        block_bytes;
    int           in_block, spoiled;    /* runs whose constants lay in it, and those that found them changed */
    int           taken;                /* blocks that were not given back */
} capturing;

#endif
