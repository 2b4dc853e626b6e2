/* What a poller backend is: a table of functions, and the functions of poller.h over it. A backend is one C
 * file. It includes this at its beginning for the type, names its table BACKEND_CLASS, and includes this
 * again at its end for the functions; so the compiler knows whom they call. Plain C. */
#ifndef TC_POLLER_BACKEND_H
#define TC_POLLER_BACKEND_H

#include "event/poller.h"

#include <stdlib.h>

typedef struct {
    const char *name;
    /* Whether the kernel's object is there, made in this process, and up to date for a wait. */
    bool (*is_current)(const tc_poller *poller);
    /* Makes it so: a status. All registrations are carried over. */
    int (*start)(tc_poller *poller);
    /* Makes what changes need before the first one, if that is less; else NULL. */
    int (*begin)(tc_poller *poller);
    /* Registers a descriptor for other events than `before`; `known`: it was registered, perhaps without any.
     * The events carry *generation, which goes up where what came before is about another file. A status. */
    int (*change)(tc_poller *poller, int fd, bool known, unsigned before, unsigned events,
                  uint32_t *generation);
    /* The reverse, as far as there is something to be reversed. */
    void (*forget)(tc_poller *poller, int fd, unsigned events, uint32_t generation);
    bool (*lost)(tc_poller *poller, tc_watcher *watcher);
    int (*renew)(tc_poller *poller);
    int (*wait)(tc_poller *poller, double timeout);
    bool (*next)(tc_poller *poller, tc_watcher **watcher, unsigned *events);
    /* Frees the kernel's object and what the batch points to. */
    void (*stop)(tc_poller *poller);
} tc_poller_backend_class;

/* Whether there is a kernel's object of this process. */
static inline bool
tc_poller_has_object(const tc_poller *poller)
{
    return TC_LIKELY(poller->fd >= 0 && poller->fork_count == tc_fork_count());
}

#else /* the second time */

const char *
tc_poller_backend(void)
{
    return BACKEND_CLASS.name;
}

int
tc_poller_ensure(tc_poller *poller)
{
    return TC_LIKELY(BACKEND_CLASS.is_current(poller)) ? TC_OK : BACKEND_CLASS.start(poller);
}

int
tc_poller_set(tc_poller *poller, tc_watcher *watcher, unsigned events)
{
    int fd = watcher->fd;
    if (fd < 0) {
        return -EBADF;
    }
    int st = BACKEND_CLASS.begin != NULL ? BACKEND_CLASS.begin(poller) : tc_poller_ensure(poller);
    if (st != TC_OK) {
        return st;
    }
    tc_poller_slot *slot = tc_poller_slot_at(poller, fd);
    bool known = slot != NULL && slot->watcher == watcher;
    if (known && watcher->events == events) {
        return TC_OK;
    }
    if (!known && slot != NULL && slot->watcher != NULL) {
        return -EEXIST;
    }
    uint32_t generation = known ? slot->generation : slot != NULL ? slot->generation + 1 : 1;
    st = BACKEND_CLASS.change(poller, fd, known, known ? watcher->events : 0, events, &generation);
    if (st != TC_OK) {
        return st;
    }
    if (slot == NULL && (slot = tc_poller_slot_for(poller, fd)) == NULL) {
        BACKEND_CLASS.forget(poller, fd, events, generation);
        return -ENOMEM;
    }
    if (!known) {
        slot->watcher = watcher;
        watcher->registered = true;
        poller->count++;
    }
    slot->generation = generation;
    slot->lost = false;
    watcher->events = (uint16_t)events;
    return TC_OK;
}

void
tc_poller_remove(tc_poller *poller, tc_watcher *watcher)
{
    if (watcher->registered) {
        BACKEND_CLASS.forget(poller, watcher->fd, watcher->events, poller->slots[watcher->fd].generation);
        tc_poller_strike(poller, watcher);
    }
}

bool
tc_poller_lost(tc_poller *poller, tc_watcher *watcher)
{
    return watcher->registered && BACKEND_CLASS.lost(poller, watcher);
}

int
tc_poller_renew(tc_poller *poller)
{
    return BACKEND_CLASS.renew(poller);
}

int
tc_poller_wait(tc_poller *poller, double timeout)
{
    return BACKEND_CLASS.wait(poller, timeout);
}

bool
tc_poller_next(tc_poller *poller, tc_watcher **watcher, unsigned *events)
{
    return BACKEND_CLASS.next(poller, watcher, events);
}

void
tc_poller_close(tc_poller *poller)
{
    tc_poller_strike_all(poller);
    BACKEND_CLASS.stop(poller);
    free(poller->slots);
    free(poller->batch);
    tc_poller_init(poller);
}

#endif
