/* A device that failed is looked at again, in a process of its own, before it gets another build; while it does not
   open, or is another one than before, the agent offers no credit for it and says why. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "builder-agent/state.h"

enum { ANSWER_BYTES = 64 * 1024 };

#define LIMIT_NS (90 * PF_NS_PER_S)
#define AGAIN_NS (10 * PF_NS_PER_S)

bool pf_device_is_free(const pf_agent_device *device)
{
    return !device->lease && !device->suspect;
}

/* The agent is sick when none of its devices works. */
static void tell_health(pf_agent *agent)
{
    const pf_agent_device *bad = NULL;
    uint32_t               suspects = 0;

    for (uint32_t i = 0; i < agent->devices_count; i++) {
        suspects += agent->devices[i].suspect;
        bad = agent->devices[i].suspect ? &agent->devices[i] : bad;
    }
    agent->sick = suspects == agent->devices_count;
    agent->health[0] = 0;
    if (bad)
        snprintf(agent->health, sizeof agent->health, "the device %s has failed: %.400s", bad->named.name, bad->reason);
    pf_session_beat_now(agent);
}

void pf_device_suspect(pf_agent *agent, pf_agent_device *device, const char *reason)
{
    device->suspect = true;
    device->check_at_ns = 0;
    snprintf(device->reason, sizeof device->reason, "%s", reason);
    pf_log(PF_LOG_ERROR, "agent", "device_suspect name=%s reason=\"%s\"", device->named.name, reason);
    tell_health(agent);
}

static void start_check(pf_agent_device *device, int64_t now_ns)
{
    const char *argv[PF_FINGERPRINT_ARGUMENTS];
    char        numbers[2][16];
    pf_err      err = { 0 };

    pf_fingerprint_arguments(&device->named, numbers, argv);
    pf_buf_init(&device->answer, ANSWER_BYTES);
    device->check_until_ns = now_ns + LIMIT_NS;
    device->check_at_ns = now_ns + AGAIN_NS;
    if (pf_child_start(argv, "/", &device->check, &err))
        pf_log(PF_LOG_ERROR, "agent", "device_not_checked name=%s reason=\"%s\"", device->named.name, err.msg);
}

void pf_device_tick(pf_agent_device *device, int64_t now_ns)
{
    if (device->check.pid > 0 && now_ns > device->check_until_ns)
        pf_child_kill(&device->check);
    else if (device->suspect && device->check.pid == 0 && !device->lease && now_ns >= device->check_at_ns)
        start_check(device, now_ns);
}

void pf_device_read(pf_agent_device *device, int fd)
{
    pf_child_drain(fd == device->check.record_fd ? &device->check.record_fd : &device->check.output_fd,
                   fd == device->check.record_fd ? &device->answer : NULL);
}

void pf_device_reap(pf_agent *agent, pf_agent_device *device)
{
    pf_fingerprint *found = NULL;
    int             wait_status = 0;
    pf_status       st = PF_OK;

    if (device->check.pid <= 0 || !pf_child_reap(&device->check, &wait_status))
        return;
    while (device->check.record_fd >= 0 && pf_child_drain(&device->check.record_fd, &device->answer))
        ;
    pf_child_close(&device->check);
    found = &agent->checked;
    st = wait_status ? PF_DEVICE : pf_fingerprint_parse(&device->answer, device->named.name, found, NULL);
    pf_buf_clear(&device->answer);
    if (!st && strcmp(found->builder_abi, device->device_class->print.builder_abi) != 0)
        pf_agent_retire(agent, "planfarm was replaced under this agent by one of another builder; it must be started "
                               "anew");
    if (!st && pf_digest_equal(&found->class_digest, &device->device_class->print.class_digest)) {
        device->suspect = false;
        pf_log(PF_LOG_WARN, "agent", "device_works_again name=%s", device->named.name);
    } else if (!st) {
        snprintf(device->reason, sizeof device->reason,
                 "it is not what it was when the agent started; restart the agent");
    }
    tell_health(agent);
}
