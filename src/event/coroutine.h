/* Coroutines of C, which Tasks drive: each step sends into what is awaited, and when that ends the coroutine's
 * own function says what comes next. A type embeds tc_coroutine as its first member and has the functions below
 * in its slots. Every step runs Python. */
#ifndef TC_COROUTINE_H
#define TC_COROUTINE_H

#include "base/state.h"

typedef struct tc_coroutine tc_coroutine;
struct tc_coroutine {
    PyObject_HEAD tc_state *state; /* borrowed */
    PyObject *inner;               /* what is awaited: a coroutine or an iterator; NULL: nothing */
    /* `inner`, which is to be dropped, has ended with `value` (PYGEN_RETURN, stolen) or the exception that is set.
     * Returns the step's outcome: what the next awaitable yields, or the end. */
    PySendResult (*go_on)(tc_coroutine *self, PySendResult how, PyObject *value, PyObject **result);
    /* The outcome of a step, to be repeated by the next one, see spare.h; of PYGEN_ERROR the exception. */
    PyObject *outcome;
    PySendResult how;
    bool repeats;
    bool running, ended;
    PyObject *context;      /* each step enters it, as its Task has another; NULL: the Task's counts */
    struct tc_spare *spare; /* owned, NULL: its Task ends with it */
};

/* Before a run of a coroutine that has ended. */
static inline void
tc_coroutine_renew(tc_coroutine *self)
{
    self->repeats = false;
    Py_CLEAR(self->outcome);
}

/* Has the next step repeat an outcome (stolen). */
static inline void
tc_coroutine_repeat_later(tc_coroutine *self, PySendResult how, PyObject *outcome)
{
    self->repeats = true;
    self->how = how;
    Py_XSETREF(self->outcome, outcome);
}

/* tp_iternext, am_send, and the methods. */
PyObject *tc_coroutine_iternext(tc_coroutine *self);
PySendResult tc_coroutine_am_send(tc_coroutine *self, PyObject *arg, PyObject **result);
extern PyMethodDef tc_coroutine_methods[];

/* tp_getattro: what a coroutine has (cr_frame, cr_code) is that of what is awaited: a Task shows what it runs. */
PyObject *tc_coroutine_getattro(tc_coroutine *self, PyObject *name);

/* The slots that every such type has. */
#define TC_COROUTINE_SLOTS                                                                                   \
    {Py_tp_getattro, tc_coroutine_getattro}, {Py_tp_iter, PyObject_SelfIter},                                \
        {Py_tp_iternext, tc_coroutine_iternext}, {Py_am_await, PyObject_SelfIter},                           \
        {Py_am_send, tc_coroutine_am_send},                                                                  \
    {                                                                                                        \
        Py_tp_methods, tc_coroutine_methods                                                                  \
    }

/* For tp_traverse and tp_clear. */
#define TC_COROUTINE_VISIT(self)                                                                             \
    do {                                                                                                     \
        Py_VISIT(Py_TYPE(self));                                                                             \
        Py_VISIT((self)->base.inner);                                                                        \
        Py_VISIT((self)->base.outcome);                                                                      \
        Py_VISIT((self)->base.context);                                                                      \
        if ((self)->base.spare != NULL) {                                                                    \
            int st = tc_spare_traverse((self)->base.spare, visit, arg);                                      \
            if (st != 0) {                                                                                   \
                return st;                                                                                   \
            }                                                                                                \
        }                                                                                                    \
    } while (0)

void tc_coroutine_clear(tc_coroutine *self);

/* spare.c */
int tc_spare_traverse(struct tc_spare *spare, visitproc visit, void *arg);

/* The iterator behind `await awaitable`; NULL with an exception. */
PyObject *tc_coroutine_iterator(PyObject *awaitable);

#endif
