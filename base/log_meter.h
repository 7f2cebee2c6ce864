/* For log lines that strangers cause, by whom they would otherwise come as often as these like and fill a disk: so many
   a second, and then what was left out is counted.
   Thread   any. */
#ifndef PF_BASE_LOG_METER_H
#define PF_BASE_LOG_METER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { PF_LOG_METER_LINES = 10 };       /* of a second */

typedef struct pf_log_meter {
    pthread_mutex_t mutex;              /* of all below */
    int64_t         since_ns;           /* when the second began */
    uint32_t        lines;              /* logged since */
    uint64_t        left_out;           /* since the last line that was logged */
} pf_log_meter;

#define PF_LOG_METER_INIT { .mutex = PTHREAD_MUTEX_INITIALIZER }

/* False: the line is one too many.  True: log it, with *left_out, how many before it were. */
bool pf_log_meter_take(pf_log_meter *meter, int64_t now_ns, uint64_t *left_out);

#endif
