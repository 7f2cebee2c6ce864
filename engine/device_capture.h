/* What is put on a stream once, as a graph that is launched whole. */
#ifndef PF_ENGINE_DEVICE_CAPTURE_H
#define PF_ENGINE_DEVICE_CAPTURE_H

#include "engine/device.h"

typedef pf_status pf_enqueue(void *user, pf_err *err);

/* What enqueue puts on the stream, as a graph, to be given back by ops->graph_free.  It must have run there before: a
   kernel's first launch loads its code, which cannot be captured.  For devices with ops->capture_begin.
   Errors   DEVICE, and what enqueue says: *out is NULL then, and nothing is captured any more. */
pf_status pf_device_capture(pf_device *device, pf_stream *stream, pf_enqueue *enqueue, void *user,
                            pf_device_graph **out, pf_err *err);

#endif
