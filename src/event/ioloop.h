/* IOLoopObject, and how its callbacks are packed into calls of the core (ioloop_call.c) and run
 * (ioloop_run.c). */
#ifndef TC_IOLOOP_H
#define TC_IOLOOP_H

#include "event/core.h"

typedef struct {
    PyObject_HEAD tc_state *state; /* borrowed */
    LoopCore *core;                /* NULL until initialize() */
} IOLoopObject;

/* Its core, or NULL with a RuntimeError. Borrowed: an IOLoop keeps its first core for life. */
LoopCore *tc_ioloop_core(IOLoopObject *self);

/* ---- ioloop_call.c ---- */

/* The call that a handle is to make: ioloop_run(self, callback, *args). */
typedef struct {
    PyObject *callback;
    PyObject *small[8];
    PyObject **args;
    Py_ssize_t nargs;
    PyObject *owned; /* a partial made for keyword arguments */
} tc_ioloop_call;

/* 0, or -1 with an exception and nothing to free. All but a partial for keyword arguments is borrowed. */
int tc_ioloop_call_init(IOLoopObject *self, tc_ioloop_call *call, PyObject *const *args, Py_ssize_t nargs,
                        PyObject *kwnames);
void tc_ioloop_call_free(tc_ioloop_call *call);

/* A call whose own leading parameters may be given by keyword, with the callback's keywords after them. */
typedef struct {
    PyObject *const *args;
    Py_ssize_t nargs;
    PyObject *kwnames;   /* what is left for the callback, or NULL */
    PyObject **memory;   /* for args, where they had to be rearranged */
    PyObject *own_names; /* for kwnames */
} tc_ioloop_bound;

/* Moves the missing ones of the `count` leading parameters from the keywords into place. 0, or -1 with a
 * TypeError and nothing to free. */
int tc_ioloop_bind(const char *method, PyObject *const *names, Py_ssize_t count, PyObject *const *args,
                   Py_ssize_t nargs, PyObject *kwnames, tc_ioloop_bound *bound);
void tc_ioloop_bound_free(tc_ioloop_bound *bound);

/* ---- ioloop_run.c ---- */

/* Calls the callback as an IOLoop does. None, or NULL for KeyboardInterrupt and SystemExit. */
PyObject *tc_ioloop_run(IOLoopObject *self, PyObject *callback, PyObject *const *args, Py_ssize_t nargs);

/* Has the loop's IOLoop log the exception that is set, a callback's. 0, or -1 with an exception: there is no
 * IOLoop, or it is not for a log. */
int tc_ioloop_report(LoopCore *core, PyObject *callback);

/* The same for a handler of add_handler(). Where the IOLoop's method for that is not replaced, asyncio's exception
 * handler is told with a message. A status. */
int tc_ioloop_report_handler(LoopCore *core, PyObject *handler, const char *message);

/* tc_core_call_soon for a callback of the application's, which runs as the IOLoop's own do where there is one. */
PyObject *tc_ioloop_call_soon(LoopCore *core, PyObject *callback, PyObject *context);

/* Makes the function that a queued callback's handle calls, for the module's state. */
int tc_ioloop_init_run(PyObject *module, tc_state *state);

#endif
