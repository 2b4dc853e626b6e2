/* Python callbacks on descriptors: the readers and writers of asyncio's add_reader and add_writer, and the
 * handlers of IOLoop.add_handler, which share one watcher for each descriptor.
 *
 * Readers and writers are queued in the ready queue, as asyncio does; a transport's reader is run at once
 * where the queue would have brought it next anyway. A handler is called at once, with every event bit at
 * hand, in the context in which it was added; it always gets ERROR, together with the bits it asked for. */
#include "base/context.h"
#include "event/fd_callbacks.h"
#include "event/handle.h"
#include "event/ioloop.h"
#include "event/stack.h"

#include <stdlib.h>

typedef struct {
    tc_watcher watcher;
    LoopCore *core;            /* borrowed: the core owns this through its poller's table */
    PyObject *reader, *writer; /* handles, or NULL */
    PyObject *handler, *handler_fd, *handler_context;
    unsigned handler_events;
    bool at_once; /* run the reader in the event, see tc_fd_read_at_once */
} FdEntry;

static int
fd_call_handler(FdEntry *entry, unsigned events)
{
    LoopCore *core = entry->core;
    unsigned ready = events & (TC_READ | TC_WRITE | TC_ERROR | TC_HUP);
    if (ready & (TC_ERROR | TC_HUP)) {
        ready |= TC_ERROR | (entry->handler_events & (TC_READ | TC_WRITE));
    }
    PyObject *handler = Py_NewRef(entry->handler);
    PyObject *context = Py_NewRef(entry->handler_context);
    PyObject *args[3] = {NULL, Py_NewRef(entry->handler_fd), PyLong_FromUnsignedLong(ready)};
    PyObject *result = NULL;
    int status = TC_OK;
    if (args[2] != NULL && PyContext_Enter(context) == 0) {
        result = tc_stack_call(core->state, handler, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET);
        tc_context_exit(context, result == NULL, handler);
    }
    if (result == NULL) {
        status = tc_ioloop_report_handler(core, handler, "Exception in I/O handler");
    }
    Py_XDECREF(result);
    Py_XDECREF(args[1]);
    Py_XDECREF(args[2]);
    Py_DECREF(context);
    Py_DECREF(handler);
    return status;
}

/* Only if nothing is notified after the reader, which may free the entry. */
static bool
fd_can_read_at_once(const FdEntry *entry, unsigned both)
{
    return entry->at_once && entry->core->quiet && (both & TC_READ) && entry->handler == NULL &&
           !(entry->writer != NULL && (both & TC_WRITE));
}

static int
fd_read_at_once(FdEntry *entry)
{
    PyObject *handle = Py_NewRef(entry->reader);
    int status = tc_handle_run(entry->core, handle);
    Py_DECREF(handle);
    return status < 0 ? TC_RAISED : TC_OK;
}

/* The kernel always reports an error or a hang-up: both directions are notified then. */
static int
fd_event(tc_watcher *watcher, unsigned events)
{
    FdEntry *entry = tc_container_of(watcher, FdEntry, watcher);
    LoopCore *core = entry->core;
    unsigned both = events & (TC_ERROR | TC_HUP) ? TC_READ | TC_WRITE : events;
    if (fd_can_read_at_once(entry, both)) {
        return fd_read_at_once(entry);
    }
    if (entry->reader != NULL && (both & TC_READ) &&
        tc_ready_push(&core->ready, Py_NewRef(entry->reader)) < 0) {
        return TC_RAISED;
    }
    if (entry->writer != NULL && (both & TC_WRITE) &&
        tc_ready_push(&core->ready, Py_NewRef(entry->writer)) < 0) {
        return TC_RAISED;
    }
    return entry->handler != NULL ? fd_call_handler(entry, events) : TC_OK;
}

static FdEntry *
fd_find(LoopCore *core, int fd)
{
    tc_watcher *watcher = tc_poller_find(&core->poller, fd);
    return watcher != NULL && watcher->cb == fd_event ? tc_container_of(watcher, FdEntry, watcher) : NULL;
}

/* The next entry after descriptor *fd, as tc_poller_after. */
static FdEntry *
fd_after(LoopCore *core, int *fd)
{
    tc_watcher *watcher;
    while ((watcher = tc_poller_after(&core->poller, fd)) != NULL) {
        if (watcher->cb == fd_event) {
            return tc_container_of(watcher, FdEntry, watcher);
        }
    }
    return NULL;
}

static unsigned
fd_wanted(const FdEntry *entry)
{
    return (entry->reader != NULL ? TC_READ : 0) | (entry->writer != NULL ? TC_WRITE : 0) |
           (entry->handler != NULL ? entry->handler_events & (TC_READ | TC_WRITE) : 0);
}

static bool
fd_is_empty(const FdEntry *entry)
{
    return entry->reader == NULL && entry->writer == NULL && entry->handler == NULL;
}

static void
fd_free(FdEntry *entry)
{
    Py_XDECREF(entry->reader);
    Py_XDECREF(entry->writer);
    Py_XDECREF(entry->handler);
    Py_XDECREF(entry->handler_fd);
    Py_XDECREF(entry->handler_context);
    free(entry);
}

/* Registers what is wanted now; an entry without callbacks is freed. TC_OK or a negative errno; runs no
 * Python, which could free the entry. */
static int
fd_apply(LoopCore *core, FdEntry *entry)
{
    if (fd_is_empty(entry)) {
        tc_core_unwatch(core, &entry->watcher);
        fd_free(entry);
        return TC_OK;
    }
    return tc_poller_set(&core->poller, &entry->watcher, fd_wanted(entry));
}

/* After a failed fd_apply, once its callback was taken back: frees an entry that is empty. */
static void
fd_undo(LoopCore *core, FdEntry *entry)
{
    if (fd_is_empty(entry)) {
        tc_core_unwatch(core, &entry->watcher);
        fd_free(entry);
    }
}

static void
fd_cancel_handle(LoopCore *core, PyObject *handle) /* steals */
{
    PyObject *result = PyObject_CallMethodNoArgs(handle, core->state->str_cancel);
    if (result == NULL) {
        PyErr_WriteUnraisable(handle);
    }
    Py_XDECREF(result);
    Py_DECREF(handle);
}

/* A descriptor that was closed while it was registered and is another file's now: drops what was added for
 * the old one. */
static void
fd_forget_lost(LoopCore *core, int fd)
{
    FdEntry *entry = fd_find(core, fd);
    if (TC_LIKELY(entry == NULL) || !tc_poller_lost(&core->poller, &entry->watcher)) {
        return;
    }
    tc_core_unwatch(core, &entry->watcher);
    PyObject *handles[] = {entry->reader, entry->writer};
    entry->reader = entry->writer = NULL;
    fd_free(entry);
    for (size_t i = 0; i < TC_ARRAY_LEN(handles); i++) {
        if (handles[i] != NULL) {
            fd_cancel_handle(core, handles[i]);
        }
    }
}

/* The entry to be changed for a new callback, or NULL with an exception. Runs Python before it looks. */
static FdEntry *
fd_find_or_make(LoopCore *core, int fd)
{
    if (tc_core_can_watch(core) < 0) {
        return NULL;
    }
    fd_forget_lost(core, fd);
    FdEntry *entry = fd_find(core, fd);
    if (entry == NULL) {
        entry = calloc(1, sizeof(*entry));
        if (entry == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        entry->core = core;
        entry->watcher.cb = fd_event;
        entry->watcher.fd = fd;
    }
    return entry;
}

int
tc_fd_add(LoopCore *core, int fd, bool write, PyObject *handle)
{
    FdEntry *entry = fd_find_or_make(core, fd);
    if (entry == NULL) {
        return -1;
    }
    PyObject **place = write ? &entry->writer : &entry->reader;
    PyObject *old = *place;
    *place = Py_NewRef(handle);
    int st = fd_apply(core, entry);
    if (st != TC_OK) {
        *place = old;
        fd_undo(core, entry);
        Py_DECREF(handle);
        return tc_core_raise_watch(st, fd);
    }
    if (!write) {
        entry->at_once = false;
    }
    if (old != NULL) {
        fd_cancel_handle(core, old);
    }
    return 0;
}

void
tc_fd_read_at_once(LoopCore *core, int fd)
{
    FdEntry *entry = fd_find(core, fd);
    if (entry != NULL && entry->reader != NULL) {
        entry->at_once = true;
    }
}

int
tc_fd_remove(LoopCore *core, int fd, bool write)
{
    FdEntry *entry = fd_find(core, fd);
    PyObject **place = entry == NULL ? NULL : write ? &entry->writer : &entry->reader;
    if (place == NULL || *place == NULL) {
        return 0;
    }
    PyObject *old = *place;
    *place = NULL;
    if (!write) {
        entry->at_once = false;
    }
    /* If the descriptor was closed before, there is nothing to change in the kernel, and no error to
     * report. */
    (void)fd_apply(core, entry);
    fd_cancel_handle(core, old);
    return 1;
}

int
tc_fd_set_handler(LoopCore *core, int fd, PyObject *fd_obj, PyObject *handler, unsigned events)
{
    PyObject *context = PyContext_CopyCurrent();
    FdEntry *entry = context != NULL ? fd_find_or_make(core, fd) : NULL;
    if (entry == NULL) {
        Py_XDECREF(context);
        return -1;
    }
    int st = -EEXIST;
    if (entry->handler == NULL) {
        entry->handler = Py_NewRef(handler);
        entry->handler_fd = Py_NewRef(fd_obj);
        entry->handler_context = context;
        entry->handler_events = events;
        st = fd_apply(core, entry);
        if (st == TC_OK) {
            return 0;
        }
        entry->handler = entry->handler_fd = entry->handler_context = NULL;
        fd_undo(core, entry);
        Py_DECREF(handler); /* the caller has both as well */
        Py_DECREF(fd_obj);
    }
    Py_DECREF(context);
    return tc_core_raise_watch(st, fd);
}

int
tc_fd_of_object(LoopCore *core, PyObject *fd_obj)
{
    FdEntry *entry;
    for (int fd = -1; (entry = fd_after(core, &fd)) != NULL;) {
        if (entry->handler_fd == fd_obj) {
            return fd;
        }
    }
    return -1;
}

int
tc_fd_update_handler(LoopCore *core, int fd, unsigned events)
{
    FdEntry *entry = fd_find(core, fd);
    if (entry == NULL || entry->handler == NULL) {
        return 0;
    }
    if (tc_core_can_watch(core) < 0) {
        return -1;
    }
    entry = fd_find(core, fd); /* that may have run Python */
    if (entry == NULL || entry->handler == NULL) {
        return 0;
    }
    entry->handler_events = events;
    int st = fd_apply(core, entry);
    return st == TC_OK ? 1 : tc_core_raise_watch(st, fd);
}

int
tc_fd_remove_handler(LoopCore *core, int fd)
{
    FdEntry *entry = fd_find(core, fd);
    if (entry == NULL || entry->handler == NULL) {
        return 0;
    }
    PyObject *handler = entry->handler, *fd_obj = entry->handler_fd, *context = entry->handler_context;
    entry->handler = entry->handler_fd = entry->handler_context = NULL;
    (void)fd_apply(core, entry);
    Py_DECREF(handler);
    Py_DECREF(fd_obj);
    Py_DECREF(context);
    return 1;
}

PyObject *
tc_fd_info(LoopCore *core, int fd)
{
    FdEntry *entry = fd_find(core, fd);
    if (entry == NULL || (entry->reader == NULL && entry->writer == NULL)) {
        Py_RETURN_NONE;
    }
    /* selectors.EVENT_READ is 1 and EVENT_WRITE 2. */
    int events = (entry->reader != NULL ? 1 : 0) | (entry->writer != NULL ? 2 : 0);
    /* Steals: making the tuple may collect, and a finalizer take the handles away. */
    return Py_BuildValue("(iNN)", events, Py_NewRef(entry->reader != NULL ? entry->reader : Py_None),
                         Py_NewRef(entry->writer != NULL ? entry->writer : Py_None));
}

PyObject *
tc_fd_list(LoopCore *core)
{
    PyObject *list = PyList_New(0);
    FdEntry *entry;
    for (int fd = -1; list != NULL && (entry = fd_after(core, &fd)) != NULL;) {
        if (entry->reader == NULL && entry->writer == NULL) {
            continue;
        }
        PyObject *number = PyLong_FromLong(fd);
        if (number == NULL || PyList_Append(list, number) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(number);
    }
    return list;
}

PyObject *
tc_fd_handlers(LoopCore *core)
{
    PyObject *list = PyList_New(0);
    FdEntry *entry;
    for (int fd = -1; list != NULL && (entry = fd_after(core, &fd)) != NULL;) {
        if (entry->handler != NULL && PyList_Append(list, entry->handler_fd) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

int
tc_fd_traverse(LoopCore *core, visitproc visit, void *arg)
{
    FdEntry *entry;
    for (int fd = -1; (entry = fd_after(core, &fd)) != NULL;) {
        Py_VISIT(entry->reader);
        Py_VISIT(entry->writer);
        Py_VISIT(entry->handler);
        Py_VISIT(entry->handler_fd);
        Py_VISIT(entry->handler_context);
    }
    return 0;
}

void
tc_fd_clear(LoopCore *core)
{
    FdEntry *entry;
    for (int fd = -1; (entry = fd_after(core, &fd)) != NULL;) {
        tc_core_unwatch(core, &entry->watcher);
        fd_free(entry);
    }
}
