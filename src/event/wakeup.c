/* See wakeup.h. Plain C. */
#define _GNU_SOURCE
#include "event/wakeup.h"

#include <fcntl.h>
#include <unistd.h>
#if defined(__linux__) && !defined(TC_TEST_KQUEUE)
#define TC_HAVE_EVENTFD
#include <sys/eventfd.h>
#endif

static int
wakeup_drain(tc_watcher *watcher, unsigned events)
{
    tc_wakeup *wakeup = tc_container_of(watcher, tc_wakeup, watcher);
    char sink[64];
    wakeup->pending = false;
    while (read(watcher->fd, sink, sizeof(sink)) == (ssize_t)sizeof(sink)) {
    }
    return TC_OK;
}

void
tc_wakeup_init(tc_wakeup *wakeup)
{
    memset(wakeup, 0, sizeof(*wakeup));
    wakeup->watcher.cb = wakeup_drain;
    wakeup->watcher.fd = wakeup->write_fd = -1;
    wakeup->fork_count = tc_fork_count();
}

static int
wakeup_open(tc_wakeup *wakeup)
{
#ifdef TC_HAVE_EVENTFD
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    wakeup->watcher.fd = wakeup->write_fd = fd;
#else
    int fds[2];
    if (pipe(fds) < 0) {
        return -errno;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) | O_NONBLOCK);
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    }
    wakeup->watcher.fd = fds[0];
    wakeup->write_fd = fds[1];
#endif
    return TC_OK;
}

int
tc_wakeup_ensure(tc_wakeup *wakeup, tc_poller *poller)
{
    bool inherited = wakeup->fork_count != tc_fork_count();
    if (TC_LIKELY(wakeup->watcher.registered && !inherited)) {
        return TC_OK;
    }
    if (inherited) {
        tc_wakeup_close(wakeup, poller);
    }
    if (wakeup->write_fd < 0) {
        int st = wakeup_open(wakeup);
        if (st != TC_OK) {
            return st;
        }
    }
    return tc_poller_set(poller, &wakeup->watcher, TC_READ);
}

void
tc_wakeup_send(tc_wakeup *wakeup)
{
    if (wakeup->write_fd < 0 || wakeup->pending) {
        return;
    }
    int saved = errno;
    uint64_t one = 1;
    wakeup->pending = true;
    ssize_t written = write(wakeup->write_fd, &one, sizeof(one));
    (void)written; /* a full pipe wakes just as well */
    errno = saved;
}

void
tc_wakeup_close(tc_wakeup *wakeup, tc_poller *poller)
{
    tc_poller_remove(poller, &wakeup->watcher);
    if (wakeup->watcher.fd >= 0) {
        close(wakeup->watcher.fd);
    }
    if (wakeup->write_fd >= 0 && wakeup->write_fd != wakeup->watcher.fd) {
        close(wakeup->write_fd);
    }
    tc_wakeup_init(wakeup);
}
