/* What is done when other processes want the cores that plans run on.  OpenMP's threads wait for each other at the
   end of every layer, and for a while they do so without giving up their cores: the next layer begins a microsecond
   later.  Where another process has one of the cores, they wait so for a thread that does not run, spend the time
   that the scheduler gives them with it, and do not run either when it does; beside a process that does the same,
   runs were seen to take 100 times as long.  GCC's OpenMP library waits three thousand times less before it sleeps
   while it has more threads than there are cores.  So, as long as threads of this process wait for cores, some
   threads more are kept asleep here, if there is room for them and a few more.  With GOMP_SPINCOUNT or OMP_WAIT_POLICY
   the user decides, and nothing is done.
   Thread any. */
#ifndef PF_ENGINE_CPU_CROWD_H
#define PF_ENGINE_CPU_CROWD_H

#include <stdbool.h>
#include <stdint.h>

/* Between these two, which nest, pf_cpu_crowd_look does what is said above. */
void pf_cpu_crowd_open(void);
void pf_cpu_crowd_close(void);
/* After a run that took so long and may have used so many threads of OpenMP: looks now and then how long threads
   waited for cores. */
void pf_cpu_crowd_look(int32_t threads, int64_t took_ns);
/* Are threads kept asleep now? */
bool pf_cpu_crowd_found(void);
/* Is there a crowd, when in runs of run_ns threads have waited for waited_ns in all?  was: was there one before? */
bool pf_cpu_crowd_rule(bool was, int64_t run_ns, int64_t waited_ns);
/* How long the threads of this process have waited for cores; negative where the kernel does not say. */
int64_t pf_cpu_crowd_waited_ns(void);

#endif
