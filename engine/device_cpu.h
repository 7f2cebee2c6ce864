/* The CPU as a device: what its tactics need of it. */
#ifndef PF_ENGINE_DEVICE_CPU_H
#define PF_ENGINE_DEVICE_CPU_H

#include "engine/device.h"
#include "kernels/cpu_isa.h"

struct dnnl_engine;
struct dnnl_stream;

/* Errors   NOT_FOUND: isa is not a known name; UNSUPPORTED: the CPU lacks it, or oneDNN already runs with another cap
            in this process. */
pf_status pf_device_cpu_open(const pf_device_options *options, pf_device **out, pf_err *err);
pf_isa    pf_device_cpu_isa(const pf_device *device);                   /* the best one that the cap allows */
struct dnnl_engine *pf_device_cpu_dnnl(const pf_device *device);
/* Gives OpenMP in the calling thread the device's number of threads: before oneDNN makes a primitive. */
void      pf_device_cpu_enter(const pf_device *device);
void      pf_device_cpu_enter_alone(void);              /* one thread, until pf_device_cpu_enter */
/* The same before a step runs. A NULL stream leaves the thread as it is. */
void      pf_stream_cpu_enter(const pf_stream *stream);
int32_t   pf_stream_cpu_threads(const pf_stream *stream);
struct dnnl_stream *pf_stream_cpu_dnnl(const pf_stream *stream);

/* What device_cpu_facts.c reads from the system. Unknown texts are "?", unknown numbers 0. */
typedef struct pf_cpu_facts {
    char    vendor[32], model_name[96];
    int     family, model, stepping;
    int32_t cores;                  /* physical ones that this process may use, cgroup quota included; at least 1 */
    size_t  l1d_bytes, l2_bytes, l3_bytes;
    int32_t numa_nodes;
    size_t  memory_bytes;
} pf_cpu_facts;

void     pf_cpu_facts_read(pf_cpu_facts *out);
uint32_t pf_cpu_clock_mhz(void);    /* of the first core now; 0 when unknown */

#endif
