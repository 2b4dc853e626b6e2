/* The kqueue backend of poller.h (macOS, BSD). Plain C.
 *
 * kqueue has a filter for each direction. The two of one descriptor are reported apart and may come in one
 * batch: that is two calls of the watcher. EV_EOF on the read side reads as TC_READ (recv then finds the
 * end); on the write side, or with an error code, also as TC_HUP. */
#if (!defined(__linux__) && !defined(TC_POLLER_POLL)) || defined(TC_TEST_KQUEUE)

#include "event/poller_backend.h"

#include <stdlib.h>
#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

#define BATCH_SIZE 256

struct tc_poller_batch {
    struct kevent events[BATCH_SIZE];
};

/* Adds or deletes the filters that differ between two event masks. */
static int
kqueue_apply(tc_poller *poller, int fd, unsigned old_events, unsigned new_events, uint32_t generation)
{
    static const struct {
        unsigned bit;
        short filter;
    } filters[] = {{TC_READ, EVFILT_READ}, {TC_WRITE, EVFILT_WRITE}};
    for (size_t i = 0; i < TC_ARRAY_LEN(filters); i++) {
        unsigned bit = filters[i].bit;
        if (!((old_events ^ new_events) & bit)) {
            continue;
        }
        struct kevent change;
        unsigned short flags = new_events & bit ? EV_ADD : EV_DELETE;
        EV_SET(&change, (uintptr_t)fd, filters[i].filter, flags, 0, 0, (void *)(uintptr_t)generation);
        /* A descriptor that was closed has lost its filters: deleting them again is no error. */
        if (kevent(poller->fd, &change, 1, NULL, 0, NULL) < 0 && flags == EV_ADD) {
            return -errno;
        }
    }
    return TC_OK;
}

/* A kqueue is not inherited by the child of a fork: its descriptor number there may be anything. */
static int
kqueue_start(tc_poller *poller)
{
    poller->ready = poller->next = 0;
    if (poller->batch == NULL && (poller->batch = malloc(sizeof(*poller->batch))) == NULL) {
        return -ENOMEM;
    }
    poller->fd = kqueue();
    if (poller->fd < 0) {
        return -errno;
    }
    poller->fork_count = tc_fork_count();
    for (size_t fd = 0; fd < poller->slots_cap; fd++) {
        tc_watcher *watcher = poller->slots[fd].watcher;
        if (watcher != NULL) {
            kqueue_apply(poller, (int)fd, 0, watcher->events, poller->slots[fd].generation);
        }
    }
    return TC_OK;
}

static int
kqueue_change(tc_poller *poller, int fd, bool known, unsigned before, unsigned events, uint32_t *generation)
{
    return kqueue_apply(poller, fd, before, events, *generation);
}

static void
kqueue_forget(tc_poller *poller, int fd, unsigned events, uint32_t generation)
{
    if (tc_poller_has_object(poller)) {
        kqueue_apply(poller, fd, events, 0, generation);
    }
}

static bool
kqueue_lost(tc_poller *poller, tc_watcher *watcher)
{
    if (!(watcher->events & (TC_READ | TC_WRITE)) ||
        (!tc_poller_has_object(poller) && kqueue_start(poller) != TC_OK)) {
        return false;
    }
    short filter = watcher->events & TC_READ ? EVFILT_READ : EVFILT_WRITE;
    uint32_t generation = poller->slots[watcher->fd].generation;
    struct kevent change;
    /* Without EV_ADD only a filter that is there is enabled, as it is already. */
    EV_SET(&change, (uintptr_t)watcher->fd, filter, EV_ENABLE, 0, 0, (void *)(uintptr_t)generation);
    return kevent(poller->fd, &change, 1, NULL, 0, NULL) < 0 && errno == ENOENT;
}

/* A filter goes with its descriptor, whatever duplicates there are. */
static int
kqueue_renew(tc_poller *poller)
{
    return TC_OK;
}

static int
kqueue_wait(tc_poller *poller, double timeout)
{
    struct timespec limit, *given = NULL;
    if (timeout >= 0.0) {
        if (timeout > 86400.0) {
            timeout = 86400.0;
        }
        limit.tv_sec = (time_t)timeout;
        limit.tv_nsec = (long)((timeout - (double)limit.tv_sec) * 1e9);
        given = &limit;
    }
    int n = kevent(poller->fd, NULL, 0, poller->batch->events, BATCH_SIZE, given);
    poller->next = 0;
    poller->ready = n > 0 ? n : 0;
    return n >= 0 ? n : -errno;
}

static bool
kqueue_next(tc_poller *poller, tc_watcher **watcher, unsigned *events)
{
    while (poller->next < poller->ready) {
        const struct kevent *event = &poller->batch->events[poller->next++];
        const tc_poller_slot *slot = &poller->slots[event->ident];
        if (slot->watcher == NULL || slot->generation != (uint32_t)(uintptr_t)event->udata) {
            continue;
        }
        *watcher = slot->watcher;
        *events = event->filter == EVFILT_READ ? TC_READ : TC_WRITE;
        if (event->flags & EV_ERROR) {
            *events |= TC_ERROR;
        }
        if ((event->flags & EV_EOF) && (event->filter == EVFILT_WRITE || event->fflags != 0)) {
            *events |= TC_HUP;
        }
        return true;
    }
    return false;
}

static void
kqueue_stop(tc_poller *poller)
{
    if (tc_poller_has_object(poller)) {
        close(poller->fd);
    }
}

#define BACKEND_CLASS kqueue_class

static const tc_poller_backend_class kqueue_class = {
    .name = "kqueue",
    .is_current = tc_poller_has_object,
    .start = kqueue_start,
    .begin = NULL,
    .change = kqueue_change,
    .forget = kqueue_forget,
    .lost = kqueue_lost,
    .renew = kqueue_renew,
    .wait = kqueue_wait,
    .next = kqueue_next,
    .stop = kqueue_stop,
};

#include "event/poller_backend.h"

#endif
