/* A part of a card's SMs for this process: it becomes a client of a Multi-Process Service of its own, with
   CUDA_MPS_ACTIVE_THREAD_PERCENTAGE (NVIDIA, Multi-Process Service, 2025). The percentage is read when CUDA starts, so
   it holds for the process and for those that it starts. */
#ifndef PF_ENGINE_CUDA_MPS_H
#define PF_ENGINE_CUDA_MPS_H

#include "base/status.h"

/* Before the first call of CUDA in the process. percent: 1..99. A process that has the percentage in its environment
   already, given by whoever runs the service here, is left with that. The service has private folders below the
   temporary one, and ends with this process, however it ends.
   A second call with the same percentage does nothing.
   Errors   UNSUPPORTED: no service can be started here, or the process has another percentage already. */
pf_status pf_mps_join(int percent, pf_err *err);

#endif
