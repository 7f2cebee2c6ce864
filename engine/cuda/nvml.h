/* Clocks, temperature, power and throttling of a GPU, by NVML when its library is there (it ships with the driver, its
   header does not ship with the toolkit: the few functions used are declared in nvml.c). Everything is optional: absent
   values stay 0.
   Thread   any. */
#ifndef PF_ENGINE_CUDA_NVML_H
#define PF_ENGINE_CUDA_NVML_H

#include "engine/device.h"

/* The NVML device with that PCI bus id ("00000000:1B:00.0"), or NULL. */
void *pf_nvml_find(const char *pci_bus_id);
/* ours: how many processes on the device beside this one belong to it and are not foreign. */
void  pf_nvml_sample(void *nvml_device, unsigned ours, struct pf_device_sample *out);
/* Enforced power limit in watts, 0 when unknown. */
unsigned pf_nvml_power_limit_w(void *nvml_device);

#endif
