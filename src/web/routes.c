/* From a request's path to a handler class. The Python side (Application._compile_routes) turns each router
 * of exactly our classes into a table, a tuple
 *
 *     (rules, count, literals, walk)
 *
 * rules     the router's list itself; the table is stale once its length or the rule at a place used is
 * another literals  dict: path -> (index, rule, class, kwargs) of the first rule for exactly this path, where
 * no earlier pattern takes it walk      the other rules, in order, as (index, rule, kind, match, more): see
 * ROUTE_*
 *
 * A dict answers for exact paths; of the walk only what stands before them is tried. Patterns run `re`, which
 * may run nothing of the application's. */
#include "web/application.h"

#include "http/http_request.h"

enum {
    ROUTE_PATTERN = 0,  /* match: the pattern's match method; more: (class, kwargs, groups, named) */
    ROUTE_HOST,         /* match: the host pattern's match method; more: table */
    ROUTE_ANY,          /* more: table */
    ROUTE_DEFAULT_HOST, /* match: the host pattern's match method; more: table */
    ROUTE_FOREIGN,      /* not ours to judge */
};

static int route_find(ApplicationObject *self, PyObject *table, PyObject *request, PyObject *path,
                      tc_route *route);

void
tc_route_clear(tc_route *route)
{
    Py_CLEAR(route->cls);
    Py_CLEAR(route->kwargs);
    Py_CLEAR(route->path_args);
    Py_CLEAR(route->path_kwargs);
}

/* Calls a bound match method: 1 with *found (new), 0 for None, -1. */
static int
route_match(PyObject *match, PyObject *text, PyObject **found)
{
    *found = PyObject_CallOneArg(match, text);
    if (*found == NULL) {
        return -1;
    }
    if (*found == Py_None) {
        Py_CLEAR(*found);
        return 0;
    }
    return 1;
}

static int
route_try_pattern(ApplicationObject *self, PyObject *item, PyObject *path, tc_route *route)
{
    PyObject *match, *more = PyTuple_GET_ITEM(item, 4);
    int st = route_match(PyTuple_GET_ITEM(item, 3), path, &match);
    if (st <= 0) {
        return st;
    }
    route->cls = Py_NewRef(PyTuple_GET_ITEM(more, 0));
    route->kwargs = Py_NewRef(PyTuple_GET_ITEM(more, 1));
    if (PyTuple_GET_ITEM(more, 3) == Py_True) {
        route->path_kwargs = PyObject_CallMethodNoArgs(match, self->state->str_groupdict);
        st = route->path_kwargs != NULL ? 1 : -1;
    }
    else if (PyTuple_GET_ITEM(more, 2) == Py_True) {
        route->path_args = PyObject_CallMethodNoArgs(match, self->state->str_groups);
        st = route->path_args != NULL ? 1 : -1;
    }
    Py_DECREF(match);
    return st;
}

/* Does request.<attr>, or the application's default host, match? */
static int
route_try_host(ApplicationObject *self, PyObject *item, int kind, PyObject *request)
{
    PyObject *host, *match;
    if (kind == ROUTE_DEFAULT_HOST) {
        PyObject *headers = PyObject_GetAttr(request, self->state->str_headers);
        PyObject *name = headers != NULL ? PyUnicode_FromString("X-Real-Ip") : NULL;
        int behind_proxy = name != NULL ? PySequence_Contains(headers, name) : -1;
        Py_XDECREF(headers);
        Py_XDECREF(name);
        if (behind_proxy != 0) {
            return behind_proxy < 0 ? -1 : 0;
        }
        host = Py_NewRef(self->default_host != NULL ? self->default_host : Py_None);
    }
    else if ((host = PyObject_GetAttr(request, self->state->str_host_name)) == NULL) {
        return -1;
    }
    int st = route_match(PyTuple_GET_ITEM(item, 3), host, &match);
    Py_XDECREF(match);
    Py_DECREF(host);
    return st;
}

static int
route_try(ApplicationObject *self, PyObject *item, PyObject *request, PyObject *path, tc_route *route)
{
    int kind = (int)PyLong_AsLong(PyTuple_GET_ITEM(item, 2)), st = 1;
    switch (kind) {
    case ROUTE_PATTERN:
        return route_try_pattern(self, item, path, route);
    case ROUTE_HOST:
    case ROUTE_DEFAULT_HOST:
        st = route_try_host(self, item, kind, request);
        if (st <= 0) {
            return st;
        }
        /* fall through */
    case ROUTE_ANY:
        return route_find(self, PyTuple_GET_ITEM(item, 4), request, path, route);
    default:
        return TC_ROUTE_FOREIGN;
    }
}

static int
route_find(ApplicationObject *self, PyObject *table, PyObject *request, PyObject *path, tc_route *route)
{
    PyObject *rules = PyTuple_GET_ITEM(table, 0), *walk = PyTuple_GET_ITEM(table, 3), *entry;
    Py_ssize_t count = PyLong_AsSsize_t(PyTuple_GET_ITEM(table, 1)), literal = count;
    if (PyList_GET_SIZE(rules) != count) {
        return TC_ROUTE_STALE;
    }
    entry = PyDict_GetItemWithError(PyTuple_GET_ITEM(table, 2), path); /* borrowed; the table is held */
    if (entry != NULL) {
        literal = PyLong_AsSsize_t(PyTuple_GET_ITEM(entry, 0));
    }
    else if (PyErr_Occurred()) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(walk); i++) {
        PyObject *item = PyTuple_GET_ITEM(walk, i);
        Py_ssize_t place = PyLong_AsSsize_t(PyTuple_GET_ITEM(item, 0));
        if (place > literal) {
            break;
        }
        if (PyList_GET_SIZE(rules) != count || PyList_GET_ITEM(rules, place) != PyTuple_GET_ITEM(item, 1)) {
            return TC_ROUTE_STALE;
        }
        int st = route_try(self, item, request, path, route);
        if (st != 0) {
            return st;
        }
    }
    if (literal == count) {
        return 0;
    }
    if (PyList_GET_SIZE(rules) != count || PyList_GET_ITEM(rules, literal) != PyTuple_GET_ITEM(entry, 1)) {
        return TC_ROUTE_STALE;
    }
    route->cls = Py_NewRef(PyTuple_GET_ITEM(entry, 2));
    route->kwargs = Py_NewRef(PyTuple_GET_ITEM(entry, 3));
    return 1;
}

int
tc_application_route(ApplicationObject *self, PyObject *request, tc_route *route)
{
    tc_state *state = self->state;
    PyObject *path;
    if (tc_request_check(state, request)) {
        path = Py_XNewRef(tc_request_path((RequestObject *)request));
    }
    else {
        path = PyObject_GetAttr(request, state->str_path);
    }
    if (path == NULL) {
        return -1;
    }
    int st = TC_ROUTE_STALE;
    for (int attempt = 0; attempt < 2 && st == TC_ROUTE_STALE; attempt++) {
        if (self->routes == NULL || self->routes == Py_None || attempt > 0) {
            PyObject *routes = PyObject_CallMethodNoArgs((PyObject *)self, state->str__compile_routes);
            if (routes == NULL) {
                st = -1;
                break;
            }
            Py_XSETREF(self->routes, routes);
        }
        PyObject *table = Py_NewRef(self->routes); /* matching may run Python that replaces it */
        st = PyTuple_CheckExact(table) ? route_find(self, table, request, path, route) : TC_ROUTE_FOREIGN;
        Py_DECREF(table);
        if (st != 1) {
            tc_route_clear(route);
        }
    }
    Py_DECREF(path);
    return st == TC_ROUTE_STALE ? TC_ROUTE_FOREIGN : st;
}
