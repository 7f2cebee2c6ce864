/* How much of the machine this process may use. */
#ifndef PF_BASE_PROCESSORS_H
#define PF_BASE_PROCESSORS_H

/* Processors (hardware threads) that the calling thread may run on, at least 1.  Thread   any. */
int pf_processors(void);

#endif
