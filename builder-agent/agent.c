#include "builder-agent/agent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <zmq.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "builder-agent/state.h"

#define TURN_NS    (200 * PF_NS_PER_MS)     /* while something runs */
#define TURN_MOST_NS (1000 * PF_NS_PER_MS)

enum { FDS_PER_LEASE = 4, FDS_ALWAYS = 2, FDS_OF_CHECKS = 2 * PF_AGENT_DEVICES_MAX, MESSAGES_PER_TURN = 100 };

/* ---- start */

static pf_status add_device(pf_agent *agent, const char *name, pf_err *err)
{
    pf_agent_device *device = &agent->devices[agent->devices_count];
    pf_agent_class  *kind = &agent->classes[agent->classes_count];
    uint32_t         at = 0;
    pf_status        st = PF_OK;

    snprintf(device->named.name, sizeof device->named.name, "%s", name);
    snprintf(device->named.isa, sizeof device->named.isa, "%s", agent->options->isa ? agent->options->isa : "");
    device->named.threads = agent->options->threads;
    device->named.share_percent = agent->options->share_percent;
    device->check = (pf_child){ .output_fd = -1, .record_fd = -1 };
    st = pf_fingerprint_take(&device->named, &kind->print, err);
    if (st)
        return st;
    while (!pf_digest_equal(&agent->classes[at].print.class_digest, &kind->print.class_digest))
        at++;
    agent->classes_count += at == agent->classes_count;
    kind = &agent->classes[at];
    device->device_class = kind;
    snprintf(kind->devices + strlen(kind->devices), sizeof kind->devices - strlen(kind->devices), "%s%s",
             kind->slots ? " " : "", name);
    kind->slots++;
    agent->devices_count++;
    pf_log(PF_LOG_INFO, "agent", "device name=%s class=%s", name, kind->print.class_name);
    return PF_OK;
}

static pf_status add_devices(pf_agent *agent, pf_err *err)
{
    const pf_agent_options *o = agent->options;
    pf_status               st = PF_OK;

    for (uint32_t i = 0; i < o->devices_count && !st; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(o->device[i], o->device[k]) == 0)
                return PF_FAIL(err, PF_USAGE, "the device %s is given twice", o->device[i]);
        }
        st = add_device(agent, o->device[i], err);
    }
    return st;
}

static pf_status read_token(pf_agent *agent, pf_err *err)
{
    pf_buf    text = { 0 };
    size_t    bytes = 0;
    pf_status st = PF_OK;

    if (!agent->options->token_file)
        return PF_OK;
    st = pf_file_read(agent->options->token_file, sizeof agent->token - 1, &text, err);
    if (!st && text.size) {
        bytes = strcspn((const char *)text.data, " \t\r\n");
        memcpy(agent->token, text.data, bytes);
    }
    pf_buf_clear(&text);
    return st;
}

static pf_status open_all(pf_agent *agent, pf_err *err)
{
    pf_peer_options peer = { .endpoint = agent->options->coordinator, .role = PF_ROLE_AGENT };
    pf_status       st = pf_workdir_open(&agent->dir, agent->options->folder, agent->options->name, err);

    if (!st)
        st = read_token(agent, err);
    if (!st)
        st = add_devices(agent, err);
    if (!st && getrandom(&agent->epoch, sizeof agent->epoch, 0) != sizeof agent->epoch)
        st = PF_FAIL(err, PF_IO, "the system gives no random numbers: %s", strerror(errno));
    if (st)
        return st;
    agent->epoch |= 1;          /* 0 means none */
    if (gethostname(agent->host, sizeof agent->host - 1))
        agent->host[0] = 0;
    if (agent->dir.last_run[0])
        snprintf(agent->health, sizeof agent->health, "the last run was killed with: %.480s", agent->dir.last_run);
    return pf_peer_open(&peer, &agent->peer, err);
}

void pf_agent_retire(pf_agent *agent, const char *reason)
{
    if (agent->outdated[0])
        return;
    snprintf(agent->outdated, sizeof agent->outdated, "%s", reason);
    snprintf(agent->health, sizeof agent->health, "%s", reason);
    pf_log(PF_LOG_ERROR, "agent", "draining reason=\"%s\"", reason);
    agent->draining = true;
    pf_session_beat_now(agent);
}

/* ---- the loop */

static void ask_to_end(pf_agent *agent, int number)
{
    if (number == SIGTERM && !agent->draining) {
        pf_log(PF_LOG_WARN, "agent", "draining reason=\"SIGTERM\"");
        agent->draining = true;
        pf_session_beat_now(agent);
        return;
    }
    pf_log(PF_LOG_WARN, "agent", "stopping signal=%d", number);
    agent->draining = agent->stopping = true;
}

static void read_signals(pf_agent *agent, int fd)
{
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo != SIGCHLD)
            ask_to_end(agent, (int)info.ssi_signo);
    }
    for (pf_lease *lease = agent->leases; lease; lease = lease->next)
        pf_lease_reap(agent, lease);
    for (uint32_t i = 0; i < agent->devices_count; i++)
        pf_device_reap(agent, &agent->devices[i]);
}

/* Whose a file descriptor is: one of the two. */
typedef struct owner { pf_lease *lease; pf_agent_device *device; } owner;

static int add_checks(pf_agent *agent, zmq_pollitem_t *items, owner *owners, int count)
{
    for (uint32_t i = 0; i < agent->devices_count; i++) {
        const pf_child *check = &agent->devices[i].check;
        const int       fds[] = { check->output_fd, check->record_fd };
        for (size_t k = 0; k < 2 && check->pid > 0; k++) {
            if (fds[k] < 0)
                continue;
            owners[count].device = &agent->devices[i];
            items[count++] = (zmq_pollitem_t){ .fd = fds[k], .events = ZMQ_POLLIN };
        }
    }
    return count;
}

static int add_fds(pf_agent *agent, zmq_pollitem_t *items, owner *owners, int signal_fd)
{
    int count = 0;

    items[count++] = (zmq_pollitem_t){ .socket = pf_peer_socket(agent->peer), .events = ZMQ_POLLIN };
    items[count++] = (zmq_pollitem_t){ .fd = signal_fd, .events = ZMQ_POLLIN };
    for (pf_lease *lease = agent->leases; lease; lease = lease->next) {
        const int fds[FDS_PER_LEASE] = { lease->child.output_fd, lease->child.record_fd, lease->log_child.output_fd,
                                         lease->log_child.record_fd };
        for (int i = 0; i < FDS_PER_LEASE; i++) {
            if (fds[i] < 0)
                continue;
            owners[count].lease = lease;
            items[count++] = (zmq_pollitem_t){ .fd = fds[i], .events = ZMQ_POLLIN };
        }
    }
    return add_checks(agent, items, owners, count);
}

static void receive(pf_agent *agent)
{
    pf_message message = { 0 };

    for (int i = 0; i < MESSAGES_PER_TURN && pf_peer_receive(agent->peer, 0, &message, NULL) == PF_OK; i++) {
        agent->waiting = agent->waiting && message.header.correlation_id != agent->asked_id;
        agent->quiet_since_ns = pf_clock_boot_ns();
        pf_dispatch(agent, &message);
        pf_message_clear(&message);
    }
}

static long poll_ms(const pf_agent *agent)
{
    int64_t wait_ns = pf_session_next_ns(agent) - pf_clock_boot_ns();
    int64_t most_ns = agent->leases ? TURN_NS : TURN_MOST_NS;

    if (wait_ns < 0)
        return 0;
    return (long)((wait_ns < most_ns ? wait_ns : most_ns) / PF_NS_PER_MS) + 1;
}

/* Waits, and lets everybody read what came for him. */
static pf_status wait_and_read(pf_agent *agent, int signal_fd, pf_err *err)
{
    size_t          most = FDS_ALWAYS + FDS_OF_CHECKS + (size_t)agent->leases_count * FDS_PER_LEASE;
    zmq_pollitem_t *items = pf_calloc(most, sizeof *items);
    owner          *owners = pf_calloc(most, sizeof *owners);
    int             count = 0;
    pf_status       st = PF_OK;

    if (!items || !owners) {
        st = PF_FAIL_MEMORY(err, most * sizeof *items);
        goto out;
    }
    count = add_fds(agent, items, owners, signal_fd);
    if (zmq_poll(items, count, poll_ms(agent)) < 0 && errno != EINTR) {
        st = PF_FAIL(err, PF_IO, "cannot wait for messages: %s", zmq_strerror(errno));
        goto out;
    }
    for (int i = FDS_ALWAYS; i < count; i++) {
        if (items[i].revents && owners[i].lease)
            pf_lease_read(agent, owners[i].lease, items[i].fd);
        else if (items[i].revents)
            pf_device_read(owners[i].device, items[i].fd);
    }
    read_signals(agent, signal_fd);
    receive(agent);
out:
    pf_free(items);
    pf_free(owners);
    return st;
}

static bool has_to_go(const pf_agent *agent)
{
    return agent->stopping || agent->replaced || (agent->draining && !agent->leases);
}

static pf_status run(pf_agent *agent, int signal_fd, pf_err *err)
{
    pf_status st = PF_OK;

    while (!st && !has_to_go(agent)) {
        int64_t now_ns = 0;
        st = wait_and_read(agent, signal_fd, err);
        now_ns = pf_clock_boot_ns();
        for (pf_lease *lease = agent->leases; lease; lease = lease->next)
            pf_lease_tick(agent, lease, now_ns);
        for (uint32_t i = 0; i < agent->devices_count; i++)
            pf_device_tick(&agent->devices[i], now_ns);
        pf_lease_sweep(agent);
        pf_session_tick(agent, now_ns);
    }
    return st;
}

static void close_all(pf_agent *agent)
{
    while (agent->leases) {
        pf_lease *next = agent->leases->next;
        pf_lease_free(agent->leases);
        agent->leases = next;
    }
    for (uint32_t i = 0; i < agent->devices_count; i++) {
        pf_child_close(&agent->devices[i].check);
        pf_buf_clear(&agent->devices[i].answer);
    }
    if (agent->peer && agent->member && !agent->replaced)
        pf_session_goodbye(agent, agent->outdated[0] ? agent->outdated : agent->stopping ? "stopped" : "drained");
    pf_peer_close(agent->peer);
    pf_workdir_close(&agent->dir);
}

void pf_agent_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGCHLD);
}

static int open_signals(void)
{
    sigset_t set;

    pf_agent_signals(&set);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

pf_status pf_agent_run(const pf_agent_options *options, pf_err *err)
{
    pf_agent *agent = pf_calloc(1, sizeof *agent);
    int       signal_fd = open_signals();
    pf_status st = PF_OK;

    if (!agent) {
        st = PF_FAIL_MEMORY(err, sizeof *agent);
        goto out;
    }
    agent->options = options;
    agent->dir.lock_fd = -1;
    if (signal_fd < 0) {
        st = PF_FAIL(err, PF_IO, "cannot wait for signals: %s", strerror(errno));
        goto out;
    }
    st = open_all(agent, err);
    if (st)
        goto out;
    pf_log(PF_LOG_INFO, "agent", "running name=%s folder=%s coordinator=%s", agent->dir.name, agent->dir.folder,
           options->coordinator);
    st = run(agent, signal_fd, err);
    if (!st && agent->replaced)
        st = PF_FAIL(err, PF_CANCELLED, "another agent took the name %s; give one of them another --name",
                     agent->dir.name);
    else if (!st && agent->outdated[0])
        st = PF_FAIL(err, PF_STALE, "%s", agent->outdated);
out:
    if (agent)
        close_all(agent);
    if (signal_fd >= 0)
        close(signal_fd);
    pf_free(agent);
    return st;
}
