/* RunnerBase, the C base of gen.Runner: its methods and its fields. The steps are in runner_run.c. Runs Python. */
#include "base/args.h"
#include "base/flag.h"
#include "event/runner.h"

/* ---- methods ---- */

static PyObject *
runner_result(int st)
{
    return st < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(runner_run_doc,
             "run($self)\n--\n\n"
             "Go on, if what was yielded is done, until the generator yields something that is not.");

static PyObject *
runner_run_method(RunnerObject *self, PyObject *unused)
{
    return runner_result(tc_runner_run(self, NULL));
}

PyDoc_STRVAR(runner_handle_yield_doc, "handle_yield($self, yielded)\n--\n\n"
                                      "Wait for what the generator has yielded; whether it is done already.");

static PyObject *
runner_handle_yield(RunnerObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const names[] = {self->state->str_yielded};
    PyObject *yielded;
    if (tc_args_parse("handle_yield", args, nargs, kwnames, names, 1, 1, &yielded) < 0) {
        return NULL;
    }
    int ready = tc_runner_wait_for(self, yielded);
    return ready < 0 ? NULL : PyBool_FromLong(ready);
}

/* Called when what it waits for is done. */
static PyObject *
runner_call(RunnerObject *self, PyObject *args, PyObject *kwargs)
{
    if (self->running || self->finished) {
        Py_RETURN_NONE;
    }
    return runner_result(tc_runner_run_in_context(self, NULL));
}

/* Tornado 4's arguments are those of today without the first: what the generator has run in is the current
 * context then. */
static bool
runner_is_called_as_4(PyObject *args, PyObject *kwargs)
{
    return PyTuple_GET_SIZE(args) == 3 && (kwargs == NULL || PyDict_GET_SIZE(kwargs) == 0);
}

/* The context that ctx_run is the run() of, a new reference; NULL with TypeError. */
static PyObject *
runner_context_of(PyObject *run)
{
    PyObject *context = PyCFunction_Check(run) ? PyCFunction_GET_SELF(run) : NULL;
    if (context == NULL || !PyContext_CheckExact(context)) {
        PyErr_SetString(PyExc_TypeError, "ctx_run must be the run() of a context");
        return NULL;
    }
    return Py_NewRef(context);
}

static int
runner_init(RunnerObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"ctx_run", "gen", "result_future", "first_yielded", NULL};
    PyObject *run = NULL, *gen, *future, *yielded;
    if (runner_is_called_as_4(args, kwargs) ? !PyArg_ParseTuple(args, "OOO:Runner", &gen, &future, &yielded)
                                            : !PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO:Runner", names,
                                                                           &run, &gen, &future, &yielded)) {
        return -1;
    }
    PyObject *context = run != NULL ? runner_context_of(run) : PyContext_CopyCurrent();
    if (context == NULL) {
        return -1;
    }
    Py_XSETREF(self->context, context);
    Py_XSETREF(self->gen, Py_NewRef(gen));
    Py_XSETREF(self->result_future, Py_NewRef(future));
    if (PyObject_SetAttr(future, self->state->str__runner, (PyObject *)self) < 0) {
        return -1;
    }
    return tc_runner_run_in_context(self, yielded) < 0 ? -1 : 0;
}

/* ---- the type ---- */

static PyObject *
runner_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    tc_state *state = tc_state_of(type);
    RunnerObject *self = state != NULL ? (RunnerObject *)type->tp_alloc(type, 0) : NULL;
    if (self != NULL) {
        self->state = state;
    }
    return (PyObject *)self;
}

static int
runner_traverse(RunnerObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->context);
    Py_VISIT(self->gen);
    Py_VISIT(self->result_future);
    Py_VISIT(self->future);
    Py_VISIT(self->deactivate);
    return 0;
}

static int
runner_clear(RunnerObject *self)
{
    Py_CLEAR(self->context);
    Py_CLEAR(self->gen);
    Py_CLEAR(self->result_future);
    Py_CLEAR(self->future);
    Py_CLEAR(self->deactivate);
    return 0;
}

static void
runner_dealloc(RunnerObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    runner_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
runner_get_ctx_run(RunnerObject *self, void *unused)
{
    if (self->context == NULL) {
        Py_RETURN_NONE;
    }
    return PyObject_GetAttr(self->context, self->state->str_run);
}

static PyMethodDef runner_methods[] = {
    {"run", (PyCFunction)runner_run_method, METH_NOARGS, runner_run_doc},
    {"handle_yield", TC_METHOD(runner_handle_yield), runner_handle_yield_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef runner_getset[] = {
    TC_FLAG(RunnerObject, "running", running, "Whether a step is running."),
    TC_FLAG(RunnerObject, "finished", finished, "Whether the generator has ended."),
    TC_FLAG(RunnerObject, "had_exception", had_exception, "Whether anything it waited for failed."),
    {"ctx_run", (getter)runner_get_ctx_run, NULL, "Runs a function in the context of the generator.", NULL},
    {NULL},
};

static PyMemberDef runner_members[] = {
    {"gen", T_OBJECT, offsetof(RunnerObject, gen), 0, "The generator."},
    {"result_future", T_OBJECT, offsetof(RunnerObject, result_future), 0, "Gets what it ends with."},
    {"future", T_OBJECT, offsetof(RunnerObject, future), 0, "What it waits for."},
    {"_deactivate", T_OBJECT, offsetof(RunnerObject, deactivate), 0, NULL},
    {NULL},
};

static PyType_Slot runner_slots[] = {
    {Py_tp_doc, "Runner(ctx_run, gen, result_future, first_yielded)\n--\n\nThe native half of gen.Runner."},
    {Py_tp_new, runner_new},
    {Py_tp_init, runner_init},
    {Py_tp_call, runner_call},
    {Py_tp_dealloc, runner_dealloc},
    {Py_tp_traverse, runner_traverse},
    {Py_tp_clear, runner_clear},
    {Py_tp_methods, runner_methods},
    {Py_tp_getset, runner_getset},
    {Py_tp_members, runner_members},
    {0, NULL},
};

static PyType_Spec runner_spec = {
    .name = "tornado_c._core.RunnerBase",
    .basicsize = sizeof(RunnerObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = runner_slots,
};

int
tc_runner_init_type(PyObject *module, tc_state *state)
{
    state->runner_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &runner_spec, NULL);
    return state->runner_type != NULL ? PyModule_AddType(module, state->runner_type) : -1;
}
