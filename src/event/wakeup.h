/* Wakes a loop that waits in the kernel, from another thread or from a signal handler. Plain C.
 *
 * An eventfd on Linux, a pipe elsewhere. Waking is idempotent until the loop has drained it. */
#ifndef TC_WAKEUP_H
#define TC_WAKEUP_H

#include "event/poller.h"

typedef struct {
    tc_watcher watcher; /* the reading end */
    int write_fd;
    unsigned fork_count; /* a child of a fork makes its own descriptors */
    bool pending;        /* written and not drained yet */
} tc_wakeup;

void tc_wakeup_init(tc_wakeup *wakeup);

/* Makes the descriptors where there are none and registers the reading end. */
int tc_wakeup_ensure(tc_wakeup *wakeup, tc_poller *poller);

/* Async-signal-safe. */
void tc_wakeup_send(tc_wakeup *wakeup);

void tc_wakeup_close(tc_wakeup *wakeup, tc_poller *poller);

#endif
