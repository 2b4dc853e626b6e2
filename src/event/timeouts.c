/* See timeouts.h. */
#include "event/timeouts.h"

void
tc_timeouts_arm(tc_timeouts *list)
{
    if (tc_list_empty(&list->entries) || tc_timer_pending(&list->timer)) {
        return;
    }
    tc_timeout *oldest = tc_container_of(list->entries.next, tc_timeout, link);
    if (tc_core_timer_set(list->core, &list->timer, oldest->deadline) < 0) {
        PyErr_WriteUnraisable((PyObject *)list->core);
    }
}

static void
timeouts_fire(tc_timer *timer)
{
    tc_timeouts *list = tc_container_of(timer, tc_timeouts, timer);
    PyObject *owner = Py_NewRef(list->owner); /* ending the last entry may free it */
    double now = list->core->now + list->core->clock_resolution;
    while (!tc_list_empty(&list->entries)) {
        tc_timeout *oldest = tc_container_of(list->entries.next, tc_timeout, link);
        if (oldest->deadline >= now) {
            break;
        }
        tc_list_unlink(&oldest->link);
        list->expired(oldest);
    }
    tc_timeouts_arm(list);
    Py_DECREF(owner);
}

void
tc_timeouts_init(tc_timeouts *list, PyObject *owner, LoopCore *core, double seconds,
                 void (*expired)(tc_timeout *))
{
    memset(list, 0, sizeof(*list));
    tc_list_init(&list->entries);
    list->timer.fire = timeouts_fire;
    list->owner = owner;
    list->core = core;
    list->seconds = seconds;
    list->expired = expired;
}

void
tc_timeouts_stop(tc_timeouts *list)
{
    if (list->core != NULL) {
        tc_heap_remove(&list->core->timers, &list->timer);
    }
    while (!tc_list_empty(&list->entries)) {
        tc_list_unlink(list->entries.next);
    }
}
