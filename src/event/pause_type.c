/* A Task's coroutine that has given up its turn (`await asyncio.sleep(0)`) in a first step that was run in place
 * of the Task's, see spare.h: the Task still has that step before it, and is not needed until the coroutine
 * waits for something, ends in an error or is cancelled. The handle of the next turn calls a Pause, which holds
 * the spare. Runs Python: the coroutine. */
#include "event/handle.h"
#include "event/spare_parts.h"
#include "event/stack.h"

#if TC_SPARES

typedef struct {
    PyObject_HEAD tc_state *state; /* borrowed */
    tc_spare *spare;               /* NULL: it has been called */
    vectorcallfunc call;
} PauseObject;

/* What a Task does in its step that was cancelled, or beside which another is current, is its own affair. */
static bool
pause_may_continue(LoopCore *core, tc_spare *spare)
{
    PyObject *tasks = core->state->asyncio_current_tasks;
    return PyDict_GetItemWithError(tasks, tc_core_asyncio(core)) == NULL && !PyErr_Occurred() &&
           tc_spare_may_step(core->state, spare);
}

static PyObject *
pause_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PauseObject *self = (PauseObject *)callable;
    tc_spare *spare = self->spare;
    if (spare == NULL || PyVectorcall_NARGS(nargsf) != 0 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "a pause ends once, without arguments");
        return NULL;
    }
    self->spare = NULL;
    LoopCore *core = spare->core;
    bool continues =
        pause_may_continue(core, spare) && tc_spare_set_log(core->state, spare->task, false) == 0;
    PyErr_Clear();
    int st = continues ? tc_spare_run(core, spare) : tc_spare_run_task(core, spare);
    return st == 0 ? Py_NewRef(Py_None) : NULL;
}

bool
tc_spare_pause(LoopCore *core, tc_spare *spare)
{
    tc_state *state = core->state;
    if (tc_stack_is_used(state) || core->debug || core->capture != NULL || core->closed) {
        return false;
    }
    PauseObject *self = (PauseObject *)state->pause_type->tp_alloc(state->pause_type, 0);
    if (self == NULL) {
        PyErr_Clear();
        return false;
    }
    self->state = state;
    self->call = pause_call;
    PyObject *handle = tc_spare_set_log(state, spare->task, true) == 0
                           ? tc_core_call_soon(core, (PyObject *)self, NULL, 0, spare->origin)
                           : NULL;
    if (handle != NULL) {
        self->spare = spare;
        spare->paused = true;
        Py_DECREF(handle);
    }
    PyErr_Clear();
    Py_DECREF(self);
    return handle != NULL;
}

/* ---- the type ---- */

static int
pause_traverse(PauseObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return self->spare != NULL ? tc_spare_traverse(self->spare, visit, arg) : 0;
}

static int
pause_clear(PauseObject *self)
{
    tc_spare *spare = self->spare;
    self->spare = NULL;
    if (spare != NULL) {
        tc_spare_show(self->state, spare, false); /* the loop may be gone */
        tc_spare_free(spare);
    }
    return 0;
}

static void
pause_dealloc(PauseObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    pause_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef pause_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(PauseObject, call), READONLY},
    {NULL},
};

static PyType_Slot pause_slots[] = {
    {Py_tp_doc, "Goes on with a coroutine that has given up its turn."},
    {Py_tp_traverse, pause_traverse},
    {Py_tp_clear, pause_clear},
    {Py_tp_dealloc, pause_dealloc},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, pause_members},
    {0, NULL},
};

static PyType_Spec pause_spec = {
    .name = "tornado_c._core.Pause",
    .basicsize = sizeof(PauseObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = pause_slots,
};

int
tc_pause_init_type(PyObject *module, tc_state *state)
{
    state->pause_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &pause_spec, NULL);
    return state->pause_type != NULL ? 0 : -1;
}

#else

bool
tc_spare_pause(LoopCore *core, tc_spare *spare)
{
    return false;
}

int
tc_pause_init_type(PyObject *module, tc_state *state)
{
    return 0;
}

#endif
