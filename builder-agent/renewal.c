#include "builder-agent/renewal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

static int open_file(const char *folder, int flags)
{
    char path[PATH_MAX];

    return pf_path_join(folder, "renewed", path, sizeof path, NULL) ? -1
                                                                    : open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0666);
}

/* Eight bytes in place: a reader sees the old ones or the new ones. */
void pf_renewal_note(const char *folder, int64_t until_ns)
{
    int fd = open_file(folder, O_WRONLY | O_CREAT);

    if (fd < 0 || pwrite(fd, &until_ns, sizeof until_ns, 0) != (ssize_t)sizeof until_ns)
        pf_log(PF_LOG_WARN, "agent", "renewal_not_noted folder=%s reason=\"%s\"", folder, strerror(errno));
    if (fd >= 0)
        close(fd);
}

bool pf_renewal_holds(const char *folder)
{
    int64_t until_ns = 0;
    int     fd = open_file(folder, O_RDONLY);
    bool    known = fd >= 0 && pread(fd, &until_ns, sizeof until_ns, 0) == (ssize_t)sizeof until_ns;

    if (fd >= 0)
        close(fd);
    return known && pf_clock_boot_ns() < until_ns;
}
