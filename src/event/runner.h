/* Generators as coroutines: the C base of gen.Runner (runner_type.c), its steps (runner_run.c), and the start of one
 * (runner_start.c). */
#ifndef TC_RUNNER_H
#define TC_RUNNER_H

#include "event/core.h"

typedef struct {
    PyObject_HEAD tc_state *state; /* borrowed */
    PyObject *context;             /* in which the steps run */
    PyObject *gen, *result_future;
    PyObject *future;     /* what the generator waits for */
    PyObject *deactivate; /* set by Python where YieldPoints are used */
    bool running, finished, had_exception;
} RunnerObject;

/* For a generator that was started in `context` and has yielded: waits for that, or runs on. The Future gets what
 * it ends with. 0, or -1 with an exception. */
int tc_runner_begin(tc_state *state, PyObject *context, PyObject *gen, PyObject *future, PyObject *yielded);

/* Begins to wait for what was yielded: 1 if that is done, 0 or -1. */
int tc_runner_wait_for(RunnerObject *self, PyObject *yielded);

/* Runs on while what it waits for is done; `first` was yielded already, or is NULL. In the context; the other
 * function from outside of it, by the methods of the application's where there are any. 0 or -1. */
int tc_runner_run(RunnerObject *self, PyObject *first);
int tc_runner_run_in_context(RunnerObject *self, PyObject *first);

/* A Future gets the exception that is set as the end of a generator; 0, or -1 with one that is not for it. */
int tc_runner_fail(tc_state *state, PyObject *future);

/* The contexts of stack_context that are active, to be compared: borrowed, NULL where they are not used. */
PyObject *tc_runner_contexts(tc_state *state);

/* Are they others now? Importing the module alone is no change. */
bool tc_runner_contexts_changed(tc_state *state, PyObject *contexts);

/* After a step, where contexts are others than before: leaves them. The error, or NULL with another. */
PyObject *tc_runner_inconsistent(tc_state *state, PyObject *contexts);

extern PyMethodDef tc_runner_functions[];

#endif
