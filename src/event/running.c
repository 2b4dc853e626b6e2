/* Which loop runs in this thread. asyncio's function asks the kernel for the process each time, up to 3.11. What
 * it looks at is an object in the thread's dict, a new one whenever a loop starts or ends: as long as that is the
 * same, so is its answer, in the same process. */
#include "event/core.h"

#if PY_VERSION_HEX < 0x030c0000

/* What the answer is read from, borrowed; NULL if it is not known. */
static PyObject *
running_holder(tc_state *state)
{
    PyObject *dict = PyThreadState_GetDict();
    PyObject *holder =
        dict != NULL ? PyDict_GetItemWithError(dict, state->str___asyncio_running_event_loop__) : NULL;
    if (TC_UNLIKELY(holder == NULL)) {
        PyErr_Clear();
    }
    return holder;
}

PyObject *
tc_running_loop(tc_state *state)
{
    PyObject *holder = running_holder(state);
    if (TC_LIKELY(holder != NULL && holder == state->running_holder &&
                  state->running_forks == tc_fork_count())) {
        return Py_NewRef(state->running_loop);
    }
    PyObject *loop = PyObject_CallNoArgs(state->asyncio_get_running_loop);
    if (loop != NULL && holder != NULL && PyObject_TypeCheck(loop, state->core_type)) {
        Py_XSETREF(state->running_holder, Py_NewRef(holder));
        Py_XSETREF(state->running_loop, Py_NewRef(loop));
        state->running_forks = tc_fork_count();
    }
    return loop;
}

void
tc_running_forget(LoopCore *core)
{
    tc_state *state = core->state;
    if (state->running_loop == (PyObject *)core) {
        Py_CLEAR(state->running_holder);
        Py_CLEAR(state->running_loop);
    }
}

#else

PyObject *
tc_running_loop(tc_state *state)
{
    return PyObject_CallNoArgs(state->asyncio_get_running_loop);
}

void
tc_running_forget(LoopCore *core)
{
}

#endif
