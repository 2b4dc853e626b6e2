/* Patterns that match in one way only, as each class of characters ends where the text behind it begins, or where the
 * text begins that ends all: "/user/([^/]+)/(.*)\\.html$" and the like, which is most of what applications have.
 * tornado_c._web.patterns tells which they are. Nothing here runs Python. */
#include "web/route_table.h"

void
tc_route_steps_clear(tc_route_entry *entry)
{
    while (entry->step_count > 0) {
        Py_DECREF(entry->steps[--entry->step_count].text);
    }
    PyMem_Free(entry->steps);
    entry->steps = NULL;
}

/* bytes, or (flags, least, most, group) */
static int
step_take(tc_route_step *step, PyObject *item)
{
    PyObject *flags;
    int least, most, group;
    if (PyBytes_CheckExact(item)) {
        *step = (tc_route_step){.text = Py_NewRef(item)};
        return 0;
    }
    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "a step is bytes or a tuple");
        return -1;
    }
    if (!PyArg_ParseTuple(item, "O!iip", &PyBytes_Type, &flags, &least, &most, &group)) {
        return -1;
    }
    if (PyBytes_GET_SIZE(flags) != 256 || least < 0 || most < -1) {
        PyErr_SetString(PyExc_ValueError, "no such step");
        return -1;
    }
    *step = (tc_route_step){
        .text = Py_NewRef(flags),
        .least = (uint32_t)least,
        .most = most < 0 ? UINT32_MAX : (uint32_t)most,
        .is_class = true,
        .is_group = group,
    };
    return 0;
}

int
tc_route_steps_take(tc_route_entry *entry, PyObject *steps)
{
    if (steps == Py_None) {
        return 0;
    }
    if (!PyTuple_Check(steps)) {
        PyErr_SetString(PyExc_TypeError, "steps must be a tuple");
        return -1;
    }
    Py_ssize_t size = PyTuple_GET_SIZE(steps);
    int groups = 0;
    entry->steps = PyMem_Calloc(size > 0 ? (size_t)size : 1, sizeof *entry->steps);
    if (entry->steps == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        if (step_take(&entry->steps[i], PyTuple_GET_ITEM(steps, i)) < 0) {
            return -1;
        }
        groups += entry->steps[i].is_group;
        entry->step_count++;
    }
    Py_ssize_t named = entry->names != NULL ? PyTuple_GET_SIZE(entry->names) : groups;
    if (groups > TC_ROUTE_GROUPS_MAX || groups != named) {
        PyErr_SetString(PyExc_ValueError, "too many groups");
        return -1;
    }
    return 0;
}

bool
tc_route_steps_match(const tc_route_entry *entry, const uint8_t *text, Py_ssize_t size, tc_route_span *spans)
{
    Py_ssize_t at = 0, until = size - (size > 0 && text[size - 1] == '\n'); /* as "$" takes it */
    for (const tc_route_step *step = entry->steps, *end = step + entry->step_count; step < end; step++) {
        const char *wanted = PyBytes_AS_STRING(step->text);
        if (!step->is_class) {
            Py_ssize_t length = PyBytes_GET_SIZE(step->text);
            if (length > size - at || memcmp(text + at, wanted, (size_t)length) != 0) {
                return false;
            }
            at += length;
            continue;
        }
        Py_ssize_t start = at, most = size - at;
        if (step + 2 == end && !step[1].is_class) {
            most = until - at - PyBytes_GET_SIZE(step[1].text);
        }
        most = Py_MIN(most, (Py_ssize_t)step->most);
        while (at - start < most && wanted[text[at]]) {
            at++;
        }
        if (at - start < (Py_ssize_t)step->least) {
            return false;
        }
        if (step->is_group) {
            *spans++ = (tc_route_span){start, at};
        }
    }
    return at == size || at == until;
}
