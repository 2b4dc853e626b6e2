/* The poll(2) backend of poller.h: for systems with neither epoll nor kqueue, and as the oracle of the
 * others' tests. Plain C. Compiled with TC_POLLER_POLL.
 *
 * tc_poller_ensure copies the registrations into an array of pollfd when they have changed; a wait touches
 * only that. There is no kernel object: `fd` stays -1, so a core cannot be a guest of another loop. A
 * descriptor that was closed while registered reads as POLLNVAL once and is left out until it is set
 * again. */
#ifdef TC_POLLER_POLL

#include "event/poller_backend.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

struct tc_poller_batch {
    struct pollfd *fds;
    uint32_t *generations; /* of the registrations in fds */
    size_t count, cap;
    bool stale; /* the registrations have changed since they were copied */
};

static int
poll_renew_batch(tc_poller *poller)
{
    if (poller->batch == NULL && (poller->batch = calloc(1, sizeof(*poller->batch))) == NULL) {
        return -ENOMEM;
    }
    poller->batch->stale = true;
    poller->ready = poller->next = 0;
    poller->fork_count = tc_fork_count();
    return TC_OK;
}

static int
poll_grow(struct tc_poller_batch *batch, size_t count)
{
    if (count <= batch->cap) {
        return TC_OK;
    }
    size_t cap = tc_round_pow2(count);
    struct pollfd *fds = realloc(batch->fds, cap * sizeof(*fds));
    if (fds == NULL) {
        return -ENOMEM;
    }
    batch->fds = fds;
    uint32_t *generations = realloc(batch->generations, cap * sizeof(*generations));
    if (generations == NULL) {
        return -ENOMEM;
    }
    batch->generations = generations;
    batch->cap = cap;
    return TC_OK;
}

static bool
poll_is_current(const tc_poller *poller)
{
    return poller->batch != NULL && !poller->batch->stale && poller->fork_count == tc_fork_count();
}

/* Copies the registrations. */
static int
poll_start(tc_poller *poller)
{
    int st = poll_renew_batch(poller);
    if (st != TC_OK || (st = poll_grow(poller->batch, poller->count)) != TC_OK) {
        return st;
    }
    struct tc_poller_batch *batch = poller->batch;
    batch->count = 0;
    for (size_t fd = 0; fd < poller->slots_cap; fd++) {
        const tc_poller_slot *slot = &poller->slots[fd];
        if (slot->watcher == NULL || slot->lost) {
            continue;
        }
        unsigned events = slot->watcher->events;
        batch->generations[batch->count] = slot->generation;
        batch->fds[batch->count++] = (struct pollfd){
            .fd = (int)fd,
            .events = (short)((events & TC_READ ? POLLIN : 0) | (events & TC_WRITE ? POLLOUT : 0)),
        };
    }
    batch->stale = false;
    return TC_OK;
}

/* What epoll refuses: closed descriptors, and files and folders, which are always ready. */
static int
poll_check(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? -EPERM : TC_OK;
}

static int
poll_begin(tc_poller *poller)
{
    return poller->batch != NULL ? TC_OK : poll_renew_batch(poller);
}

static int
poll_change(tc_poller *poller, int fd, bool known, unsigned before, unsigned events, uint32_t *generation)
{
    poller->batch->stale = true;
    return poll_check(fd);
}

static void
poll_forget(tc_poller *poller, int fd, unsigned events, uint32_t generation)
{
    poller->batch->stale = true;
}

/* As far as a wait has shown: poll knows numbers only, so that a file with the same number is watched,
 * too. */
static bool
poll_lost(tc_poller *poller, tc_watcher *watcher)
{
    return poller->slots[watcher->fd].lost;
}

static int
poll_renew(tc_poller *poller)
{
    return TC_OK;
}

static int
poll_wait(tc_poller *poller, double timeout)
{
    struct tc_poller_batch *batch = poller->batch;
    int n = poll(batch->fds, (nfds_t)batch->count, tc_poller_milliseconds(timeout));
    poller->next = 0;
    poller->ready = n > 0 ? (int)batch->count : 0;
    return n >= 0 ? n : -errno;
}

static bool
poll_next(tc_poller *poller, tc_watcher **watcher, unsigned *events)
{
    struct tc_poller_batch *batch = poller->batch;
    while (poller->next < poller->ready) {
        int i = poller->next++;
        const struct pollfd *got = &batch->fds[i];
        if (got->revents == 0) {
            continue;
        }
        tc_poller_slot *slot = &poller->slots[got->fd];
        if (slot->watcher == NULL || slot->generation != batch->generations[i]) {
            continue;
        }
        if (got->revents & POLLNVAL) {
            slot->lost = true;
            batch->stale = true;
            continue;
        }
        *watcher = slot->watcher;
        *events = (got->revents & POLLIN ? TC_READ : 0) | (got->revents & POLLOUT ? TC_WRITE : 0) |
                  (got->revents & POLLERR ? TC_ERROR : 0) | (got->revents & POLLHUP ? TC_HUP : 0);
        return true;
    }
    return false;
}

static void
poll_stop(tc_poller *poller)
{
    if (poller->batch != NULL) {
        free(poller->batch->fds);
        free(poller->batch->generations);
    }
}

#define BACKEND_CLASS poll_class

static const tc_poller_backend_class poll_class = {
    .name = "poll",
    .is_current = poll_is_current,
    .start = poll_start,
    .begin = poll_begin,
    .change = poll_change,
    .forget = poll_forget,
    .lost = poll_lost,
    .renew = poll_renew,
    .wait = poll_wait,
    .next = poll_next,
    .stop = poll_stop,
};

#include "event/poller_backend.h"

#endif
