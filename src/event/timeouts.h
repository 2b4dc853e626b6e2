/* Time limits that are the same for many: a first-in first-out list of entries with one loop timer behind it.
 * Starting and ending an entry are constant work and touch no timer; the timer is set again when it fires. */
#ifndef TC_TIMEOUTS_H
#define TC_TIMEOUTS_H

#include "event/core.h"

typedef struct {
    tc_link link;
    double deadline;
} tc_timeout;

typedef struct {
    tc_timer timer;
    tc_link entries; /* oldest first */
    PyObject *owner; /* what embeds the list; borrowed, kept alive while the list is walked */
    LoopCore *core;  /* borrowed from the owner */
    double seconds;  /* 0: no limit, entries are never started */
    void (*expired)(tc_timeout *entry); /* may run Python; the entry has left the list */
} tc_timeouts;

void tc_timeouts_init(tc_timeouts *list, PyObject *owner, LoopCore *core, double seconds,
                      void (*expired)(tc_timeout *));

/* Stops the timer and ends all entries. */
void tc_timeouts_stop(tc_timeouts *list);

void tc_timeouts_arm(tc_timeouts *list);

/* (Re)starts the entry's time. */
static inline void
tc_timeout_start(tc_timeouts *list, tc_timeout *entry)
{
    if (list->seconds <= 0.0) {
        return;
    }
    if (tc_list_linked(&entry->link)) {
        tc_list_unlink(&entry->link);
    }
    entry->deadline = list->core->now + list->seconds;
    tc_list_append(&list->entries, &entry->link);
    if (TC_UNLIKELY(!tc_timer_pending(&list->timer))) {
        tc_timeouts_arm(list);
    }
}

static inline void
tc_timeout_end(tc_timeout *entry)
{
    if (tc_list_linked(&entry->link)) {
        tc_list_unlink(&entry->link);
    }
}

#endif
