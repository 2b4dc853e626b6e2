/* See acceptor.h. */
#define _GNU_SOURCE
#include "stream/acceptor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* A connected descriptor, non-blocking and closed on exec; or a negative errno. */
static int
accept_one(int listener, struct sockaddr *peer, socklen_t *size)
{
#ifdef __linux__
    int fd = accept4(listener, peer, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return fd >= 0 ? fd : -errno;
#else
    int fd = accept(listener, peer, size);
    if (fd < 0) {
        return -errno;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
#endif
}

static bool
is_starvation(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

static int
acceptor_pause(tc_acceptor *acceptor, int err)
{
    if (!acceptor->starved) {
        acceptor->starved = true;
        tc_log(acceptor->state, "general", "error",
               "accept failed: %s; new connections wait until resources are free", strerror(err));
    }
    tc_poller_set(&acceptor->core->poller, &acceptor->watcher, 0);
    double now = tc_core_time(acceptor->core);
    return tc_core_timer_set(acceptor->core, &acceptor->pause, now + TC_ACCEPT_PAUSE) < 0 ? TC_RAISED : TC_OK;
}

static void
acceptor_unpause(tc_timer *timer)
{
    tc_acceptor *acceptor = tc_container_of(timer, tc_acceptor, pause);
    tc_poller_set(&acceptor->core->poller, &acceptor->watcher, TC_READ);
}

static int
acceptor_event(tc_watcher *watcher, unsigned events)
{
    tc_acceptor *acceptor = tc_container_of(watcher, tc_acceptor, watcher);
    PyObject *owner = Py_XNewRef((PyObject *)watcher->owner);
    int st = TC_OK;
    for (int left = TC_ACCEPT_BATCH; left > 0 && watcher->registered && st == TC_OK; left--) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof(peer);
        int fd = accept_one(watcher->fd, (struct sockaddr *)&peer, &size);
        if (fd >= 0) {
            if (acceptor->family == AF_INET || acceptor->family == AF_INET6) {
                int on = 1;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            }
            st = acceptor->accepted(acceptor, fd, (struct sockaddr *)&peer, size);
        }
        else if (is_starvation(-fd)) {
            st = acceptor_pause(acceptor, -fd);
            break;
        }
        else if (fd == -EINVAL || fd == -EBADF || fd == -ENOTSOCK || fd == -EOPNOTSUPP) {
            /* Shut down or closed behind our back: it would be reported without end. */
            tc_log(acceptor->state, "general", "error", "accept failed: %s; the socket listens no more",
                   strerror(-fd));
            tc_core_unwatch(acceptor->core, watcher);
            break;
        }
        else if (fd == -EAGAIN) {
            acceptor->starved = false; /* nobody waits any more */
            break;
        }
        else if (fd != -ECONNABORTED && fd != -EINTR) {
            break; /* it will be told again */
        }
    }
    if (st == TC_RAISED) {
        st = tc_core_report(acceptor->core, "Exception in accept handler", NULL);
    }
    Py_XDECREF(owner);
    return st;
}

int
tc_acceptor_start(tc_acceptor *acceptor, LoopCore *core, int fd)
{
    acceptor->watcher.cb = acceptor_event;
    acceptor->watcher.fd = fd;
    acceptor->pause.fire = acceptor_unpause;
    acceptor->core = core;
    acceptor->state = core->state;
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);
    acceptor->family = getsockname(fd, (struct sockaddr *)&name, &size) == 0 ? name.ss_family : AF_UNSPEC;
    return tc_core_watch(core, &acceptor->watcher, TC_READ);
}

void
tc_acceptor_stop(tc_acceptor *acceptor)
{
    if (acceptor->core != NULL) {
        tc_heap_remove(&acceptor->core->timers, &acceptor->pause);
        tc_core_unwatch(acceptor->core, &acceptor->watcher);
    }
}
