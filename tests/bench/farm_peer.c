/* beanstalkd, the peer for durable submits: the same load in the same run. */
#include "tests/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/bench/farm_bench.h"

enum { BEAN_CLIENTS = 256 };

static int connect_bean(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int                fd = socket(AF_INET, SOCK_STREAM, 0);

    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static void put_bean(int fd)
{
    static char command[400];
    int         bytes = snprintf(command, sizeof command, "put 0 0 60 256\r\n%0256d\r\n", 7);

    if (write(fd, command, (size_t)bytes) != bytes)
        fail_msg("beanstalkd closed the connection");
}

/* 256 clients that each wait for their answer, as those of the farm do; every put synced (-f 0). */
static void run_bean(int port, uint64_t puts)
{
    struct epoll_event ready[BEAN_CLIENTS];
    int                fd[BEAN_CLIENTS], poll_fd = epoll_create1(0), count = 0;
    uint64_t           sent = 0, answered = 0;
    int64_t            start_ns = 0;

    for (int i = 0; i < BEAN_CLIENTS; i++) {
        struct epoll_event event = { .events = EPOLLIN };
        event.data.fd = fd[i] = connect_bean(port);
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd[i], &event);
    }
    start_ns = pf_clock_ns();
    for (int i = 0; i < BEAN_CLIENTS; i++, sent++)
        put_bean(fd[i]);
    while (answered < puts && (count = epoll_wait(poll_fd, ready, BEAN_CLIENTS, 5000)) > 0)
        for (int i = 0; i < count; i++) {
            char reply[64];
            if (read(ready[i].data.fd, reply, sizeof reply) <= 0)
                continue;
            answered++;
            if (sent < puts) {
                put_bean(ready[i].data.fd);
                sent++;
            }
        }
    farm_note(FARM_BEANSTALKD, (double)answered / ((double)(pf_clock_ns() - start_ns) / 1e9));
    for (int i = 0; i < BEAN_CLIENTS; i++)
        close(fd[i]);
    close(poll_fd);
}

void farm_measure_beanstalkd(uint64_t puts)
{
    enum { PORT = 21311 };
    pid_t pid = -1;
    int   fd = -1;

    if (access("/usr/bin/beanstalkd", X_OK) != 0) {
        printf("beanstalkd is not installed: apt-get install beanstalkd\n");
        return;
    }
    mkdir(test_path("bean"), 0700);
    pid = fork();
    if (pid == 0) {
        execl("/usr/bin/beanstalkd", "beanstalkd", "-l", "127.0.0.1", "-p", "21311", "-b", test_path("bean"), "-f", "0",
              NULL);
        _exit(127);
    }
    for (int i = 0; i < 100 && fd < 0; i++) {
        pf_clock_sleep_ns(50 * PF_NS_PER_MS);
        fd = connect_bean(PORT);
    }
    if (fd >= 0) {
        close(fd);
        run_bean(PORT, puts);
    }
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}
