/* What the pollers have in common: the table of watchers by descriptor. Plain C. */
#include "event/poller.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned fork_count;
static pthread_once_t fork_watch_once = PTHREAD_ONCE_INIT;

static void
fork_seen(void)
{
    fork_count++;
}

static void
fork_watch(void)
{
    pthread_atfork(NULL, NULL, fork_seen);
}

unsigned
tc_fork_count(void)
{
    return fork_count;
}

void
tc_poller_init(tc_poller *poller)
{
    pthread_once(&fork_watch_once, fork_watch);
    memset(poller, 0, sizeof(*poller));
    poller->fd = -1;
}

tc_poller_slot *
tc_poller_slot_for(tc_poller *poller, int fd)
{
    if ((size_t)fd >= poller->slots_cap) {
        size_t cap = tc_round_pow2((size_t)fd + 1);
        tc_poller_slot *slots = realloc(poller->slots, cap * sizeof(*slots));
        if (slots == NULL) {
            return NULL;
        }
        memset(slots + poller->slots_cap, 0, (cap - poller->slots_cap) * sizeof(*slots));
        poller->slots = slots;
        poller->slots_cap = cap;
    }
    return &poller->slots[fd];
}

void
tc_poller_strike(tc_poller *poller, tc_watcher *watcher)
{
    tc_poller_slot *slot = &poller->slots[watcher->fd];
    assert(slot->watcher == watcher);
    slot->watcher = NULL;
    slot->lost = false;
    slot->generation++;
    poller->removed = true;
    watcher->registered = false;
    watcher->events = 0;
    poller->count--;
}

void
tc_poller_strike_all(tc_poller *poller)
{
    for (size_t fd = 0; fd < poller->slots_cap; fd++) {
        tc_watcher *watcher = poller->slots[fd].watcher;
        if (watcher != NULL) {
            watcher->registered = false;
            watcher->events = 0;
        }
    }
}

int
tc_poller_milliseconds(double timeout)
{
    if (timeout < 0.0) {
        return -1;
    }
    /* Rounded up: waking a millisecond early would spin until the deadline. */
    double up = timeout * 1e3;
    return !(up < 86400e3) ? 86400000 : (int)up + ((double)(int)up < up);
}

tc_watcher *
tc_poller_find(const tc_poller *poller, int fd)
{
    const tc_poller_slot *slot = fd >= 0 ? tc_poller_slot_at(poller, fd) : NULL;
    return slot != NULL ? slot->watcher : NULL;
}
