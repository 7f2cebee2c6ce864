#include "base/log_meter.h"

#include "base/clock.h"

bool pf_log_meter_take(pf_log_meter *meter, int64_t now_ns, uint64_t *left_out)
{
    bool may = false;

    *left_out = 0;
    pthread_mutex_lock(&meter->mutex);
    if (!meter->lines || now_ns - meter->since_ns >= PF_NS_PER_S) {
        meter->since_ns = now_ns;
        meter->lines = 0;
    }
    may = meter->lines < PF_LOG_METER_LINES;
    if (may) {
        meter->lines++;
        *left_out = meter->left_out;
        meter->left_out = 0;
    } else {
        meter->left_out++;
    }
    pthread_mutex_unlock(&meter->mutex);
    return may;
}
