/* What a LoopCore holds: handles and timers that are queued, native work that was put off, owners of
 * registrations. The collector visits it, closing and clearing the loop drop it. Dropping may run Python
 * (finalizers). */
#include "event/fd_callbacks.h"
#include "event/handle.h"
#include "event/loop_parts.h"
#include "event/spare.h"

int
tc_core_traverse(LoopCore *core, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(core));
    for (size_t i = 0; i < core->ready.size; i++) {
        Py_VISIT(tc_ready_at(&core->ready, i));
    }
    for (size_t i = 0; i < core->timers.size; i++) {
        PyObject *handle = tc_handle_of_timer(core->timers.items[i]);
        Py_VISIT(handle);
    }
    tc_watcher *watcher;
    for (int fd = -1; (watcher = tc_poller_after(&core->poller, &fd)) != NULL;) {
        Py_VISIT((PyObject *)watcher->owner);
    }
    tc_link *lists[] = {&core->tasks, &core->flushes};
    for (size_t i = 0; i < TC_ARRAY_LEN(lists); i++) {
        for (tc_link *link = lists[i]->next; link != NULL && link != lists[i]; link = link->next) {
            Py_VISIT(tc_container_of(link, tc_task, link)->owner);
        }
    }
    Py_VISIT(core->future_kwargs);
    Py_VISIT(core->done_future);
    Py_VISIT(core->websockets);
    Py_VISIT(core->captured);
    int st = tc_spares_traverse(core, visit, arg);
    if (st != 0) {
        return st;
    }
    Py_VISIT(core->current_handle);
    Py_VISIT(core->task_factory);
    Py_VISIT(core->host);
    Py_VISIT(core->guest_timer);
    return tc_fd_traverse(core, visit, arg);
}

static void
drop_timers(LoopCore *core)
{
    tc_timer *timer;
    while ((timer = tc_heap_first(&core->timers)) != NULL) {
        tc_heap_remove(&core->timers, timer);
        Py_XDECREF(tc_handle_of_timer(timer)); /* the heap's reference; a native timer is only forgotten */
    }
    tc_heap_free(&core->timers);
}

static void
drop_tasks(LoopCore *core)
{
    tc_link *lists[] = {&core->tasks, &core->flushes};
    for (size_t i = 0; i < TC_ARRAY_LEN(lists); i++) {
        while (!tc_list_empty(lists[i])) {
            tc_core_cancel_task(tc_container_of(lists[i]->next, tc_task, link));
        }
    }
}

/* Registrations keep streams alive: without the loop there will be no event for them. */
static void
drop_watchers(LoopCore *core)
{
    tc_watcher *watcher;
    for (int fd = -1; (watcher = tc_poller_after(&core->poller, &fd)) != NULL;) {
        if (watcher->owner != NULL) {
            tc_core_end_watch(core, watcher);
        }
    }
    tc_fd_clear(core);
}

void
tc_core_drop(LoopCore *core)
{
    Py_CLEAR(core->websockets); /* takes its timers back */
    drop_timers(core);
    drop_tasks(core);
    tc_ready_clear(&core->ready);
    drop_watchers(core);
    Py_CLEAR(core->future_kwargs);
    Py_CLEAR(core->done_future);
    tc_spares_clear(core);
}

PyObject *
tc_core_owners(LoopCore *core)
{
    PyObject *list = PyList_New(0);
    tc_watcher *watcher;
    for (int fd = -1; list != NULL && (watcher = tc_poller_after(&core->poller, &fd)) != NULL;) {
        if (watcher->owner != NULL && PyList_Append(list, watcher->owner) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

PyObject *
tc_loop_owners(LoopCore *core, PyObject *unused)
{
    return tc_core_owners(core);
}

/* One that is being deallocated by now has no references. */
PyObject *
tc_core_all(tc_state *state)
{
    PyObject *list = PyList_New(0);
    for (tc_link *link = state->cores.next; list != NULL && link != &state->cores; link = link->next) {
        PyObject *core = (PyObject *)tc_container_of(link, LoopCore, link);
        if (Py_REFCNT(core) > 0 && PyList_Append(list, core) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}
