/* The device that a verb works on: --device, --threads, --isa, --share, or what a plan was made for. */
#ifndef PF_CLIENT_DEVICE_CHOICE_H
#define PF_CLIENT_DEVICE_CHOICE_H

#include "client/verb.h"
#include "engine/planfarm.h"

/* What a class text says of how its device was opened; what it does not say is "" or 0. */
typedef struct pf_class_device {
    char    device[64];             /* "cpu", "cuda" */
    char    product[64];            /* "NVIDIA H100 80GB HBM3", a CPU's model name */
    char    isa[64];                /* of a CPU */
    int32_t threads;                /* of a CPU */
    int32_t share_percent;          /* of a GPU */
} pf_class_device;
void pf_class_device_read(const char *class_text, pf_class_device *out);

/* The rows of an option table. */
#define PF_DEVICE_OPTIONS \
    {.name = "device", .kind = PF_OPTION_TEXT, .value = "cpu|cuda:N", .help = "the device to use"}, \
    {.name = "threads", .kind = PF_OPTION_INT, .value = "N", .least = 1, .greatest = 1024, \
     .help = "threads that a CPU may use"}, \
    {.name = "isa", .kind = PF_OPTION_TEXT, .value = "NAME", \
     .help = "greatest instruction set of a CPU: sse41, avx2, avx512, amx"}

/* share_percent: 0 for the whole device. */
pf_status pf_device_choose(const pf_call *call, int32_t share_percent, pf_device **out, pf_err *err);
/* What the options leave open is taken from the class that the plan names; what is compiled there for other sizes is
   kept in the cache's folder.  Errors  STALE: the plan was not made for
   this machine's device. */
pf_status pf_device_choose_for_plan(pf_call *call, const pf_plan *plan, pf_device **out, pf_err *err);

#endif
