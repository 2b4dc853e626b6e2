/* The epoll backend of poller.h. Plain C.
 *
 * An event carries the descriptor and the generation of its registration. A descriptor that was closed while
 * registered leaves epoll by itself: ENOENT on a change means "add again", EEXIST on an addition "change". */
#if defined(__linux__) && !defined(TC_POLLER_POLL)

#include "event/poller_backend.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH_SIZE 256

static_assert(TC_READ == (int)EPOLLIN && TC_WRITE == (int)EPOLLOUT, "event bits are epoll's");
static_assert(TC_ERROR == (int)EPOLLERR && TC_HUP == (int)EPOLLHUP, "event bits are epoll's");

struct tc_poller_batch {
    struct epoll_event events[BATCH_SIZE];
};

static int
epoll_control(tc_poller *poller, int op, int fd, unsigned events, uint32_t generation)
{
    struct epoll_event event = {
        .events = events,
        .data.u64 = (uint64_t)generation << 32 | (uint32_t)fd,
    };
    return epoll_ctl(poller->fd, op, fd, &event) == 0 ? TC_OK : -errno;
}

/* The child of a fork shares the parent's epoll object: leave that alone and start a new one. */
static int
epoll_start(tc_poller *poller)
{
    if (poller->fd >= 0) {
        close(poller->fd);
        poller->ready = poller->next = 0;
    }
    poller->stale = false;
    if (poller->batch == NULL && (poller->batch = malloc(sizeof(*poller->batch))) == NULL) {
        return -ENOMEM;
    }
    poller->fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->fd < 0) {
        return -errno;
    }
    poller->fork_count = tc_fork_count();
    for (size_t fd = 0; fd < poller->slots_cap; fd++) {
        tc_watcher *watcher = poller->slots[fd].watcher;
        if (watcher != NULL) {
            epoll_control(poller, EPOLL_CTL_ADD, (int)fd, watcher->events, poller->slots[fd].generation);
        }
    }
    return TC_OK;
}

/* What left epoll with its descriptor is added again. */
static int
epoll_change(tc_poller *poller, int fd, bool known, unsigned before, unsigned events, uint32_t *generation)
{
    if (known) {
        int st = epoll_control(poller, EPOLL_CTL_MOD, fd, events, *generation);
        if (st != -ENOENT) {
            return st;
        }
        poller->removed = true; /* what comes of the old file is stale */
        return epoll_control(poller, EPOLL_CTL_ADD, fd, events, ++*generation);
    }
    int st = epoll_control(poller, EPOLL_CTL_ADD, fd, events, *generation);
    return st == -EEXIST ? epoll_control(poller, EPOLL_CTL_MOD, fd, events, *generation) : st;
}

static void
epoll_forget(tc_poller *poller, int fd, unsigned events, uint32_t generation)
{
    if (tc_poller_has_object(poller)) {
        epoll_control(poller, EPOLL_CTL_DEL, fd, 0, 0);
    }
}

static bool
epoll_lost(tc_poller *poller, tc_watcher *watcher)
{
    if (!tc_poller_has_object(poller) && epoll_start(poller) != TC_OK) {
        return false;
    }
    uint32_t generation = poller->slots[watcher->fd].generation;
    return epoll_control(poller, EPOLL_CTL_MOD, watcher->fd, watcher->events, generation) == -ENOENT;
}

static int
epoll_renew(tc_poller *poller)
{
    return poller->stale ? epoll_start(poller) : TC_OK;
}

static int
epoll_collect(tc_poller *poller, double timeout)
{
    int n = epoll_wait(poller->fd, poller->batch->events, BATCH_SIZE, tc_poller_milliseconds(timeout));
    poller->next = 0;
    poller->ready = n > 0 ? n : 0;
    poller->removed = false;
    return n >= 0 ? n : -errno;
}

static bool
epoll_next(tc_poller *poller, tc_watcher **watcher, unsigned *events)
{
    while (poller->next < poller->ready) {
        const struct epoll_event *event = &poller->batch->events[poller->next++];
        uint32_t fd = (uint32_t)event->data.u64;
        const tc_poller_slot *slot = &poller->slots[fd];
        if (slot->watcher == NULL || slot->generation != (uint32_t)(event->data.u64 >> 32)) {
            poller->stale |= !poller->removed;
            continue;
        }
        *watcher = slot->watcher;
        *events = event->events;
        return true;
    }
    return false;
}

static void
epoll_stop(tc_poller *poller)
{
    if (poller->fd >= 0) {
        close(poller->fd);
    }
}

#define BACKEND_CLASS epoll_class

static const tc_poller_backend_class epoll_class = {
    .name = "epoll",
    .is_current = tc_poller_has_object,
    .start = epoll_start,
    .begin = NULL,
    .change = epoll_change,
    .forget = epoll_forget,
    .lost = epoll_lost,
    .renew = epoll_renew,
    .wait = epoll_collect,
    .next = epoll_next,
    .stop = epoll_stop,
};

#include "event/poller_backend.h"

#endif
