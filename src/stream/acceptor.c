/* See acceptor.h. */
#define _GNU_SOURCE
#include "base/log.h"
#include "stream/acceptor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

static int
acceptor_pause(tc_acceptor *acceptor, int err)
{
    if (!acceptor->starved) {
        acceptor->starved = true;
        tc_log(acceptor->state, "general", "error",
               "accept failed: %s; new connections wait until resources are free", strerror(err));
    }
    return acceptor->listening ? acceptor->cls->rest(acceptor) : TC_OK; /* a log handler may stop it */
}

int
tc_acceptor_run(tc_acceptor *acceptor)
{
    /* The applications run between accepts, which spreads connections over several processes; the bound keeps
     * a flood of them from starving everything else on the loop. */
    for (int left = TC_ACCEPT_BATCH; left > 0 && acceptor->listening; left--) {
        int st = acceptor->cls->take(acceptor, left == TC_ACCEPT_BATCH);
        if (st == TC_AGAIN) {
            acceptor->starved = false;
            break;
        }
        if (st == TC_RAISED) {
            return st;
        }
        if (tc_acceptor_is_starvation(-st)) {
            return acceptor_pause(acceptor, -st);
        }
        if (st != TC_OK && st != -ECONNABORTED && st != -EINTR) {
            break; /* there will be another event */
        }
    }
    return TC_OK;
}

/* ---- descriptors for C ---- */

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

static int
fd_acceptor_take(tc_acceptor *base, bool first)
{
    tc_fd_acceptor *acceptor = tc_container_of(base, tc_fd_acceptor, base);
    struct sockaddr_storage peer;
    socklen_t size = sizeof(peer);
    int fd = accept_one(acceptor->watcher.fd, (struct sockaddr *)&peer, &size);
    if (fd >= 0) {
        if (acceptor->family == AF_INET || acceptor->family == AF_INET6) {
            int on = 1;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        }
        return acceptor->accepted(acceptor, fd, (struct sockaddr *)&peer, size);
    }
    if (fd == -EINVAL || fd == -EBADF || fd == -ENOTSOCK || fd == -EOPNOTSUPP) {
        /* Shut down or closed under us: it would be reported without end. */
        tc_log(base->state, "general", "error", "accept failed: %s; the socket listens no more",
               strerror(-fd));
        tc_fd_acceptor_stop(acceptor);
        return TC_OK;
    }
    return fd == -EAGAIN ? TC_AGAIN : fd;
}

static int
fd_acceptor_rest(tc_acceptor *base)
{
    tc_fd_acceptor *acceptor = tc_container_of(base, tc_fd_acceptor, base);
    tc_poller_set(&acceptor->core->poller, &acceptor->watcher, 0);
    double now = tc_core_time(acceptor->core);
    return tc_core_timer_set(acceptor->core, &acceptor->pause, now + TC_ACCEPT_PAUSE) < 0 ? TC_RAISED : TC_OK;
}

static const tc_acceptor_class fd_acceptor_class = {fd_acceptor_take, fd_acceptor_rest};

static void
fd_acceptor_unpause(tc_timer *timer)
{
    tc_fd_acceptor *acceptor = tc_container_of(timer, tc_fd_acceptor, pause);
    tc_poller_set(&acceptor->core->poller, &acceptor->watcher, TC_READ);
}

static int
fd_acceptor_event(tc_watcher *watcher, unsigned events)
{
    tc_fd_acceptor *acceptor = tc_container_of(watcher, tc_fd_acceptor, watcher);
    PyObject *owner = Py_XNewRef((PyObject *)watcher->owner);
    int st = tc_acceptor_run(&acceptor->base);
    if (st == TC_RAISED) {
        st = tc_core_report(acceptor->core, "Exception in accept handler", NULL);
    }
    Py_XDECREF(owner);
    return st;
}

int
tc_fd_acceptor_start(tc_fd_acceptor *acceptor, LoopCore *core, int fd, PyObject *owner)
{
    acceptor->base.cls = &fd_acceptor_class;
    acceptor->base.state = core->state;
    acceptor->watcher.cb = fd_acceptor_event;
    acceptor->watcher.fd = fd;
    acceptor->pause.fire = fd_acceptor_unpause;
    acceptor->core = core;
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);
    acceptor->family = getsockname(fd, (struct sockaddr *)&name, &size) == 0 ? name.ss_family : AF_UNSPEC;
    if (tc_core_watch(core, &acceptor->watcher, TC_READ) < 0) {
        return -1;
    }
    acceptor->base.listening = true;
    acceptor->watcher.owner = Py_NewRef(owner);
    return 0;
}

void
tc_fd_acceptor_stop(tc_fd_acceptor *acceptor)
{
    acceptor->base.listening = false;
    if (acceptor->core != NULL) {
        tc_heap_remove(&acceptor->core->timers, &acceptor->pause);
        tc_core_unwatch(acceptor->core, &acceptor->watcher);
    }
    /* Unwatched by now, so the loop no longer drops this reference. */
    Py_CLEAR(acceptor->watcher.owner);
}
