/* The poll(2) backend of poller.h: for systems with neither epoll nor kqueue, and as the oracle of the
 * others' tests. Plain C. Compiled with TC_POLLER_POLL.
 *
 * tc_poller_ensure copies the registrations into an array of pollfd when they have changed; a wait touches
 * only that. There is no kernel object: `fd` stays -1, so a core cannot be a guest of another loop. A
 * descriptor that was closed while registered reads as POLLNVAL once and is left out until it is set
 * again. */
#ifdef TC_POLLER_POLL

#include "event/poller.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

struct tc_poller_batch {
    struct pollfd *fds;
    uint32_t *generations; /* of the registrations in fds */
    size_t count, cap;
    bool stale; /* the registrations have changed since they were copied */
};

const char *
tc_poller_backend(void)
{
    return "poll";
}

static int
poll_start(tc_poller *poller)
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

int
tc_poller_ensure(tc_poller *poller)
{
    struct tc_poller_batch *batch = poller->batch;
    if (TC_LIKELY(batch != NULL && !batch->stale && poller->fork_count == tc_fork_count())) {
        return TC_OK;
    }
    int st = poll_start(poller);
    if (st != TC_OK || (st = poll_grow(poller->batch, poller->count)) != TC_OK) {
        return st;
    }
    batch = poller->batch;
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

int
tc_poller_set(tc_poller *poller, tc_watcher *watcher, unsigned events)
{
    int fd = watcher->fd;
    if (fd < 0) {
        return -EBADF;
    }
    int st = poller->batch != NULL ? TC_OK : poll_start(poller);
    if (st != TC_OK) {
        return st;
    }
    tc_poller_slot *slot = tc_poller_slot_at(poller, fd);
    if (slot != NULL && slot->watcher == watcher && watcher->events == events) {
        return TC_OK;
    }
    if (slot != NULL && slot->watcher != NULL && slot->watcher != watcher) {
        return -EEXIST;
    }
    st = poll_check(fd);
    if (st != TC_OK) {
        return st;
    }
    if (slot == NULL && (slot = tc_poller_slot_for(poller, fd)) == NULL) {
        return -ENOMEM;
    }
    if (slot->watcher == NULL) {
        slot->watcher = watcher;
        slot->generation++;
        watcher->registered = true;
        poller->count++;
    }
    slot->lost = false;
    watcher->events = events;
    poller->batch->stale = true;
    return TC_OK;
}

void
tc_poller_remove(tc_poller *poller, tc_watcher *watcher)
{
    if (!watcher->registered) {
        return;
    }
    tc_poller_strike(poller, watcher);
    poller->batch->stale = true;
}

/* As far as a wait has shown: poll knows numbers only, so that another file's is watched all the same. */
bool
tc_poller_lost(tc_poller *poller, tc_watcher *watcher)
{
    return watcher->registered && poller->slots[watcher->fd].lost;
}

int
tc_poller_renew(tc_poller *poller)
{
    return TC_OK;
}

int
tc_poller_wait(tc_poller *poller, double timeout)
{
    struct tc_poller_batch *batch = poller->batch;
    int n = poll(batch->fds, (nfds_t)batch->count, tc_poller_milliseconds(timeout));
    poller->next = 0;
    poller->ready = n > 0 ? (int)batch->count : 0;
    return n >= 0 ? n : -errno;
}

bool
tc_poller_next(tc_poller *poller, tc_watcher **watcher, unsigned *events)
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

void
tc_poller_close(tc_poller *poller)
{
    tc_poller_strike_all(poller);
    if (poller->batch != NULL) {
        free(poller->batch->fds);
        free(poller->batch->generations);
        free(poller->batch);
    }
    free(poller->slots);
    tc_poller_init(poller);
}

#endif
