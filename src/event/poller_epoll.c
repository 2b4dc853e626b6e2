/* The epoll backend of poller.h. Plain C.
 *
 * An event carries the descriptor and the generation of its registration. A descriptor that was closed while
 * registered leaves epoll by itself: ENOENT on a change means "add again", EEXIST on an addition "change". */
#if defined(__linux__) && !defined(TC_POLLER_POLL)

#include "event/poller.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH_SIZE 256

static_assert(TC_READ == (int)EPOLLIN && TC_WRITE == (int)EPOLLOUT, "event bits are epoll's");
static_assert(TC_ERROR == (int)EPOLLERR && TC_HUP == (int)EPOLLHUP, "event bits are epoll's");

struct tc_poller_batch {
    struct epoll_event events[BATCH_SIZE];
};

const char *
tc_poller_backend(void)
{
    return "epoll";
}

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

int
tc_poller_ensure(tc_poller *poller)
{
    if (TC_LIKELY(poller->fd >= 0 && poller->fork_count == tc_fork_count())) {
        return TC_OK;
    }
    return epoll_start(poller);
}

int
tc_poller_set(tc_poller *poller, tc_watcher *watcher, unsigned events)
{
    int fd = watcher->fd;
    if (fd < 0) {
        return -EBADF;
    }
    int st = tc_poller_ensure(poller);
    if (st != TC_OK) {
        return st;
    }
    tc_poller_slot *slot = tc_poller_slot_at(poller, fd);
    if (slot != NULL && slot->watcher == watcher) {
        if (watcher->events == events) {
            return TC_OK;
        }
        st = epoll_control(poller, EPOLL_CTL_MOD, fd, events, slot->generation);
        if (st == -ENOENT) {
            poller->removed = true; /* what comes of the old file is stale */
            st = epoll_control(poller, EPOLL_CTL_ADD, fd, events, ++slot->generation);
        }
        if (st == TC_OK) {
            watcher->events = events;
        }
        return st;
    }
    if (slot != NULL && slot->watcher != NULL) {
        return -EEXIST;
    }
    uint32_t generation = slot != NULL ? slot->generation + 1 : 1;
    st = epoll_control(poller, EPOLL_CTL_ADD, fd, events, generation);
    if (st == -EEXIST) {
        st = epoll_control(poller, EPOLL_CTL_MOD, fd, events, generation);
    }
    if (st != TC_OK) {
        return st;
    }
    if (slot == NULL && (slot = tc_poller_slot_for(poller, fd)) == NULL) {
        epoll_control(poller, EPOLL_CTL_DEL, fd, 0, 0);
        return -ENOMEM;
    }
    slot->generation = generation;
    slot->watcher = watcher;
    watcher->events = events;
    watcher->registered = true;
    poller->count++;
    return TC_OK;
}

void
tc_poller_remove(tc_poller *poller, tc_watcher *watcher)
{
    if (!watcher->registered) {
        return;
    }
    tc_poller_strike(poller, watcher);
    if (poller->fd >= 0 && poller->fork_count == tc_fork_count()) {
        epoll_control(poller, EPOLL_CTL_DEL, watcher->fd, 0, 0);
    }
}

bool
tc_poller_lost(tc_poller *poller, tc_watcher *watcher)
{
    if (!watcher->registered || tc_poller_ensure(poller) != TC_OK) {
        return false;
    }
    uint32_t generation = poller->slots[watcher->fd].generation;
    return epoll_control(poller, EPOLL_CTL_MOD, watcher->fd, watcher->events, generation) == -ENOENT;
}

int
tc_poller_renew(tc_poller *poller)
{
    return poller->stale ? epoll_start(poller) : TC_OK;
}

int
tc_poller_wait(tc_poller *poller, double timeout)
{
    int n = epoll_wait(poller->fd, poller->batch->events, BATCH_SIZE, tc_poller_milliseconds(timeout));
    poller->next = 0;
    poller->ready = n > 0 ? n : 0;
    poller->removed = false;
    return n >= 0 ? n : -errno;
}

bool
tc_poller_next(tc_poller *poller, tc_watcher **watcher, unsigned *events)
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

void
tc_poller_close(tc_poller *poller)
{
    tc_poller_strike_all(poller);
    if (poller->fd >= 0) {
        close(poller->fd);
    }
    free(poller->slots);
    free(poller->batch);
    tc_poller_init(poller);
}

#endif
