#include "engine/cuda/nvml.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* NVML's C interface (its reference manual): every call returns 0 on success. */
typedef struct process_info {
    unsigned      pid;
    unsigned long long used_bytes;
    unsigned      gpu_instance, compute_instance;
} process_info;

enum { CLOCK_SM = 1, SENSOR_GPU = 0, PROCESSES_MAX = 64, INSUFFICIENT_SIZE = 7 };

static struct {
    int (*init)(void);
    int (*handle_by_bus_id)(const char *, void **);
    int (*clock)(void *, int, unsigned *);
    int (*temperature)(void *, int, unsigned *);
    int (*power_mw)(void *, unsigned *);
    int (*power_limit_mw)(void *, unsigned *);
    int (*throttle)(void *, unsigned long long *);
    int (*processes)(void *, unsigned *, process_info *);
    bool ready;
} nvml;

static pthread_once_t nvml_once = PTHREAD_ONCE_INIT;

static void nvml_open(void)
{
    static const struct { const char *name; void **where; } symbols[] = {
        { "nvmlInit_v2", (void **)&nvml.init },
        { "nvmlDeviceGetHandleByPciBusId_v2", (void **)&nvml.handle_by_bus_id },
        { "nvmlDeviceGetClockInfo", (void **)&nvml.clock },
        { "nvmlDeviceGetTemperature", (void **)&nvml.temperature },
        { "nvmlDeviceGetPowerUsage", (void **)&nvml.power_mw },
        { "nvmlDeviceGetEnforcedPowerLimit", (void **)&nvml.power_limit_mw },
        { "nvmlDeviceGetCurrentClocksEventReasons", (void **)&nvml.throttle },
        { "nvmlDeviceGetComputeRunningProcesses_v3", (void **)&nvml.processes },
    };
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);

    if (!library) return;
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) *symbols[i].where = dlsym(library, symbols[i].name);
    if (!nvml.throttle)         /* its name in older drivers */
        *(void **)&nvml.throttle = dlsym(library, "nvmlDeviceGetCurrentClocksThrottleReasons");
    nvml.ready = nvml.init && nvml.handle_by_bus_id && nvml.init() == 0;
}

static bool nvml_ready(void)
{
    pthread_once(&nvml_once, nvml_open);
    return nvml.ready;
}

void *pf_nvml_find(const char *pci_bus_id)
{
    void *device = NULL;

    return nvml_ready() && nvml.handle_by_bus_id(pci_bus_id, &device) == 0 ? device : NULL;
}

/* In a container pids differ from ours, so processes are counted, not looked for; of more than fit there is the number
   alone. */
static unsigned foreign_processes(void *device, unsigned ours)
{
    process_info list[PROCESSES_MAX];
    unsigned     count = PROCESSES_MAX;
    int          rc = nvml.processes ? nvml.processes(device, &count, list) : -1;

    if (rc != 0 && rc != INSUFFICIENT_SIZE) return 0;
    return count <= ours + 1 ? 0 : count - ours - 1;
}

void pf_nvml_sample(void *device, unsigned ours, struct pf_device_sample *out)
{
    unsigned           value = 0;
    unsigned long long bits = 0;

    if (!device || !nvml_ready()) return;
    if (nvml.clock && nvml.clock(device, CLOCK_SM, &value) == 0) out->clock_mhz = value;
    if (nvml.temperature && nvml.temperature(device, SENSOR_GPU, &value) == 0) out->temperature_c = value;
    if (nvml.power_mw && nvml.power_mw(device, &value) == 0) out->power_w = value / 1000;
    if (nvml.throttle && nvml.throttle(device, &bits) == 0) out->throttle_bits = (uint32_t)bits;
    out->foreign_processes = foreign_processes(device, ours);
}

unsigned pf_nvml_power_limit_w(void *device)
{
    unsigned value = 0;

    return device && nvml_ready() && nvml.power_limit_mw && nvml.power_limit_mw(device, &value) == 0 ? value / 1000 : 0;
}
