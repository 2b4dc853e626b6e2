/* The contexts of tornado_c.stack_context around calls of the application. They are in a variable of contextvars,
 * so whatever keeps the context of a callback keeps them as well. Until that module is imported all this is one
 * branch at each call. Runs Python. */
#ifndef TC_STACK_H
#define TC_STACK_H

#include "event/core.h"

static inline bool
tc_stack_is_used(const tc_state *state)
{
    return TC_UNLIKELY(state->upcall_stack_active != NULL);
}

/* As tc_stack_call, where contexts are used at all. */
PyObject *tc_stack_call_inside(tc_state *state, PyObject *function, PyObject *const *args, size_t nargsf);

/* function(*args) inside the contexts that are active: None where they have ended its exception. What
 * stack_context.wrap has made is inside its own alone. The caller holds all of them. */
static inline PyObject *
tc_stack_call(tc_state *state, PyObject *function, PyObject *const *args, size_t nargsf)
{
    return tc_stack_is_used(state) ? tc_stack_call_inside(state, function, args, nargsf)
                                   : PyObject_Vectorcall(function, args, nargsf, NULL);
}

/* Around calls whose exceptions have a handling of their own, and are not those of contexts: *entered is for
 * tc_stack_leave. 0, or -1 with an exception and nothing to leave. */
int tc_stack_enter(tc_state *state, PyObject **entered);

/* An exception that is set stays so, or another takes its place. */
void tc_stack_leave(tc_state *state, PyObject *entered);

/* As tc_task_start, for what a callback has returned: its first step is inside the contexts, too. */
PyObject *tc_stack_task(LoopCore *core, PyObject *coroutine);

/* A coroutine for a foreign loop, which would enter no contexts around its steps: itself, where none are active, or
 * one that does. */
PyObject *tc_stack_steps(tc_state *state, PyObject *coroutine);

/* A callback that is kept without its context: one that wrap() makes of it where contexts are active. New
 * reference; also of NULL. */
PyObject *tc_stack_follow(tc_state *state, PyObject *callback);

#endif
