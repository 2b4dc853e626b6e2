/* The poller contract: which descriptors are watched for what, and what the kernel says of them. One backend
 * is compiled: poller_epoll.c on Linux, poller_kqueue.c elsewhere, poller_poll.c where TC_POLLER_POLL is
 * defined. Plain C; one thread at a time.
 *
 * A watcher is embedded in what it serves and registered under its descriptor, one for each descriptor.
 * Notification is level-triggered everywhere. tc_poller_wait collects a batch; tc_poller_next hands it out,
 * without watchers that were removed, or descriptors that were reused, since the batch was collected. */
#ifndef TC_POLLER_H
#define TC_POLLER_H

#include "base/base.h"

/* Event bits; those of IOLoop.READ, WRITE and ERROR. */
enum {
    TC_READ = 0x001,
    TC_WRITE = 0x004,
    TC_ERROR = 0x008, /* always watched */
    TC_HUP = 0x010,   /* always watched */
};

typedef struct tc_watcher tc_watcher;
struct tc_watcher {
    int (*cb)(tc_watcher *watcher, unsigned events); /* TC_OK or TC_RAISED */
    void *owner; /* a PyObject that the registration keeps alive, or NULL: the loop visits and drops it */
    int fd;
    uint16_t events; /* what is registered now */
    bool registered;
};

typedef struct {
    tc_watcher *watcher;
    uint32_t generation; /* distinguishes a reused descriptor from the one that an event is about */
    bool lost;           /* poll: the descriptor was found closed while registered */
} tc_poller_slot;

typedef struct {
    int fd;                /* the kernel's object; -1 until first needed, and always with poll */
    unsigned fork_count;   /* tc_fork_count() when fd was made */
    tc_poller_slot *slots; /* by descriptor */
    size_t slots_cap;
    size_t count;
    struct tc_poller_batch *batch;
    int ready, next; /* the batch: [next, ready) is still to be handed out */
    bool removed;    /* a watcher was removed since the batch was collected: events of it may be stale */
    bool stale;      /* the kernel reports what was removed before: see tc_poller_renew */
} tc_poller;

void tc_poller_init(tc_poller *poller);

/* Registers the watcher's descriptor for `events`, or changes what it is registered for. Statuses: TC_OK,
 * -EEXIST if another watcher has the descriptor, -EPERM for what cannot be polled (a regular file), or what
 * the kernel says. */
int tc_poller_set(tc_poller *poller, tc_watcher *watcher, unsigned events);

/* Forgets the watcher; its pending events are dropped. The descriptor may be closed already. */
void tc_poller_remove(tc_poller *poller, tc_watcher *watcher);

/* Whether a registered watcher's descriptor was closed and is another file's by now, about which the kernel
 * reports nothing. */
bool tc_poller_lost(tc_poller *poller, tc_watcher *watcher);

/* Replaces the kernel's object where `stale` is set. epoll keeps a closed descriptor as long as a duplicate
 * of it lives, here or in another process, reports it without end, and has no way to remove it. */
int tc_poller_renew(tc_poller *poller);

/* The watcher of a descriptor, or NULL. */
tc_watcher *tc_poller_find(const tc_poller *poller, int fd);

/* The next registered watcher after descriptor *fd (begin with -1), whose descriptor becomes *fd; NULL after
 * the last. Watchers may come and go between the calls. */
static inline tc_watcher *
tc_poller_after(const tc_poller *poller, int *fd)
{
    while ((size_t)++ * fd < poller->slots_cap) {
        if (poller->slots[*fd].watcher != NULL) {
            return poller->slots[*fd].watcher;
        }
    }
    return NULL;
}

/* Makes the kernel's object where there is none, and again after a fork (with all registrations). */
int tc_poller_ensure(tc_poller *poller);

/* Waits for events, at most `timeout` seconds (negative: without end). Returns their number, or a negative
 * errno. Touches nothing that other calls touch, so the GIL may be released around it; call tc_poller_ensure
 * first, after the last change. */
int tc_poller_wait(tc_poller *poller, double timeout);

/* The next watcher of the batch and its events. False when the batch is used up. */
bool tc_poller_next(tc_poller *poller, tc_watcher **watcher, unsigned *events);

void tc_poller_close(tc_poller *poller);

/* Shared by the backends: the slot of a descriptor (0 or more), or NULL beyond the table. */
static inline tc_poller_slot *
tc_poller_slot_at(const tc_poller *poller, int fd)
{
    return (size_t)fd < poller->slots_cap ? &poller->slots[fd] : NULL;
}

/* Also shared (poller.c): the same, after growing the table to it; NULL without memory. Only for descriptors
 * that the kernel has accepted, since any number can be asked for. */
tc_poller_slot *tc_poller_slot_for(tc_poller *poller, int fd);

/* Also shared. The first takes a registered watcher out of the table, so that its pending events are stale;
 * the second marks every watcher as not registered, before the table is freed. Neither touches the kernel. */
void tc_poller_strike(tc_poller *poller, tc_watcher *watcher);
void tc_poller_strike_all(tc_poller *poller);

/* The timeout of tc_poller_wait as poll and epoll_wait take it, rounded up. */
int tc_poller_milliseconds(double timeout);

/* How many forks lie between this process and the one that loaded the module: costs no system call. */
unsigned tc_fork_count(void);

/* The name of the backend: "epoll", "kqueue" or "poll". */
const char *tc_poller_backend(void);

#endif
