#include "engine/device_capture.h"

pf_status pf_device_capture(pf_device *device, pf_stream *stream, pf_enqueue *enqueue, void *user,
                            pf_device_graph **out, pf_err *err)
{
    pf_device_graph *graph = NULL;
    pf_status        st = device->ops->capture_begin(device, stream, err), ended = PF_OK;

    *out = NULL;
    if (st)
        return st;
    st = enqueue(user, err);
    ended = device->ops->capture_end(device, stream, &graph, st ? NULL : err);
    if (!st && !ended)
        *out = graph;
    else if (!ended)
        device->ops->graph_free(device, graph);
    return st ? st : ended;
}
