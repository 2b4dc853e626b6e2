/* From a request's path to a handler class. The Python side (Application._compile_routes) turns each router
 * of exactly our classes into a table, a tuple
 *
 *     (rules, count, literals, walk)
 *
 * rules     the router's list itself; the table is stale once its length or a rule in use has changed
 * literals  dict: path -> (index, rule, class, kwargs) of the first rule for exactly this path, where no
 *           earlier pattern takes it
 * walk      the other rules, in order, as (index, rule, kind, match, more): kind is one of _core.ROUTE_*
 *
 * An exact path is found in the dict; of the walk only the rules before it are tried. Matching may run Python
 * where an application has replaced patterns or the path with objects of its own. Python can also reach the
 * table: whatever has not the form above is left to the Python router. */
#include "web/application.h"

#include "http/http_request.h"

enum {
    ROUTE_PATTERN = 0,  /* match: the pattern's match method; more: (class, kwargs, groups, named) */
    ROUTE_HOST,         /* match: the host pattern's match method; more: table */
    ROUTE_ANY,          /* more: table */
    ROUTE_DEFAULT_HOST, /* match: the host pattern's match method; more: table */
    ROUTE_FOREIGN,      /* left to the Python router */
};

/* The functions below may also return this: the table is older than the rules. */
#define ROUTE_STALE 3

int
tc_routes_init(PyObject *module)
{
    if (PyModule_AddIntMacro(module, ROUTE_PATTERN) < 0 || PyModule_AddIntMacro(module, ROUTE_HOST) < 0 ||
        PyModule_AddIntMacro(module, ROUTE_ANY) < 0 || PyModule_AddIntMacro(module, ROUTE_DEFAULT_HOST) < 0 ||
        PyModule_AddIntMacro(module, ROUTE_FOREIGN) < 0) {
        return -1;
    }
    return 0;
}

/* A tuple of so many items? */
static inline bool
route_is_tuple(PyObject *obj, Py_ssize_t size)
{
    return PyTuple_CheckExact(obj) && PyTuple_GET_SIZE(obj) == size;
}

/* A small number of the table, or -1. */
static inline Py_ssize_t
route_number(PyObject *obj)
{
    int number;
    return TC_LIKELY(tc_long_is_small(obj, &number) && number >= 0) ? number : -1;
}

/* Is the router's list as long as it was, with this rule at this place? */
static inline bool
route_is_fresh(PyObject *rules, Py_ssize_t count, Py_ssize_t place, PyObject *rule)
{
    return PyList_GET_SIZE(rules) == count && place < count && PyList_GET_ITEM(rules, place) == rule;
}

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
    if (!route_is_tuple(more, 4)) {
        return TC_ROUTE_FOREIGN;
    }
    int st = route_match(PyTuple_GET_ITEM(item, 3), path, &match);
    if (st <= 0) {
        return st;
    }
    route->cls = Py_NewRef(PyTuple_GET_ITEM(more, 0));
    route->kwargs = Py_NewRef(PyTuple_GET_ITEM(more, 1));
    if (PyTuple_GET_ITEM(more, 3) == Py_True) {
        route->path_kwargs = PyObject_CallMethodNoArgs(match, self->base.state->str_groupdict);
        st = route->path_kwargs != NULL ? 1 : -1;
    }
    else if (PyTuple_GET_ITEM(more, 2) == Py_True) {
        route->path_args = PyObject_CallMethodNoArgs(match, self->base.state->str_groups);
        st = route->path_args != NULL ? 1 : -1;
    }
    Py_DECREF(match);
    return st;
}

/* Does the request's host name, or the application's default host, match? 1, 0 or -1. */
static int
route_try_host(ApplicationObject *self, PyObject *item, int kind, PyObject *request)
{
    PyObject *host, *match;
    if (kind == ROUTE_DEFAULT_HOST) {
        PyObject *headers = PyObject_GetAttr(request, self->base.state->str_headers);
        PyObject *name = headers != NULL ? PyUnicode_FromString("X-Real-Ip") : NULL;
        int behind_proxy = name != NULL ? PySequence_Contains(headers, name) : -1;
        Py_XDECREF(headers);
        Py_XDECREF(name);
        if (behind_proxy != 0) {
            return behind_proxy < 0 ? -1 : 0;
        }
        host = Py_NewRef(self->default_host != NULL ? self->default_host : Py_None);
    }
    else if ((host = PyObject_GetAttr(request, self->base.state->str_host_name)) == NULL) {
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
    Py_ssize_t kind = route_number(PyTuple_GET_ITEM(item, 2));
    int st = 1;
    switch (kind) {
    case ROUTE_PATTERN:
        return route_try_pattern(self, item, path, route);
    case ROUTE_HOST:
    case ROUTE_DEFAULT_HOST:
        st = route_try_host(self, item, (int)kind, request);
        if (st <= 0) {
            return st;
        }
        /* fall through */
    case ROUTE_ANY:
        if (Py_EnterRecursiveCall(" while routing") < 0) {
            return -1;
        }
        st = route_find(self, PyTuple_GET_ITEM(item, 4), request, path, route);
        Py_LeaveRecursiveCall();
        return st;
    default:
        return TC_ROUTE_FOREIGN;
    }
}

/* Tries the patterns before index `literal`, the rule for exactly this path. Returns as route_find(). */
static int
route_walk(ApplicationObject *self, PyObject *table, Py_ssize_t count, Py_ssize_t literal, PyObject *request,
           PyObject *path, tc_route *route)
{
    PyObject *rules = PyTuple_GET_ITEM(table, 0), *walk = PyTuple_GET_ITEM(table, 3);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(walk); i++) {
        PyObject *item = PyTuple_GET_ITEM(walk, i);
        Py_ssize_t place = route_is_tuple(item, 5) ? route_number(PyTuple_GET_ITEM(item, 0)) : -1;
        if (TC_UNLIKELY(place < 0)) {
            return TC_ROUTE_FOREIGN;
        }
        if (place > literal) {
            break;
        }
        if (!route_is_fresh(rules, count, place, PyTuple_GET_ITEM(item, 1))) {
            return ROUTE_STALE;
        }
        int st = route_try(self, item, request, path, route);
        if (st != 0) {
            return st;
        }
    }
    return 0;
}

/* As tc_application_route(), or ROUTE_STALE. The caller holds the table, and with it all tuples in it. */
static int
route_find(ApplicationObject *self, PyObject *table, PyObject *request, PyObject *path, tc_route *route)
{
    if (TC_UNLIKELY(!route_is_tuple(table, 4) || !PyList_Check(PyTuple_GET_ITEM(table, 0)) ||
                    !PyDict_Check(PyTuple_GET_ITEM(table, 2)) ||
                    !PyTuple_CheckExact(PyTuple_GET_ITEM(table, 3)))) {
        return TC_ROUTE_FOREIGN;
    }
    PyObject *rules = PyTuple_GET_ITEM(table, 0), *entry;
    Py_ssize_t count = route_number(PyTuple_GET_ITEM(table, 1)), literal = count;
    if (PyList_GET_SIZE(rules) != count) {
        return ROUTE_STALE;
    }
    int found = PyDict_GetItemRef(PyTuple_GET_ITEM(table, 2), path, &entry);
    if (found < 0) {
        return -1;
    }
    if (found > 0) {
        literal = route_is_tuple(entry, 4) ? route_number(PyTuple_GET_ITEM(entry, 0)) : -1;
        if (TC_UNLIKELY(literal < 0)) {
            Py_DECREF(entry);
            return TC_ROUTE_FOREIGN;
        }
    }
    int st = route_walk(self, table, count, literal, request, path, route);
    if (st == 0 && found > 0) {
        st = ROUTE_STALE;
        if (route_is_fresh(rules, count, literal, PyTuple_GET_ITEM(entry, 1))) {
            route->cls = Py_NewRef(PyTuple_GET_ITEM(entry, 2));
            route->kwargs = Py_NewRef(PyTuple_GET_ITEM(entry, 3));
            st = 1;
        }
    }
    Py_XDECREF(entry);
    return st;
}

int
tc_application_route(ApplicationObject *self, PyObject *request, tc_route *route)
{
    tc_state *state = self->base.state;
    PyObject *path;
    path = tc_request_check(state, request) ? Py_XNewRef(tc_request_path((RequestObject *)request)) : NULL;
    if (path == NULL && (PyErr_Occurred() || (path = PyObject_GetAttr(request, state->str_path)) == NULL)) {
        return -1;
    }
    int st = ROUTE_STALE;
    for (int attempt = 0; attempt < 2 && st == ROUTE_STALE; attempt++) {
        if (self->routes == NULL || self->routes == Py_None || attempt > 0) {
            PyObject *routes = PyObject_CallMethodNoArgs((PyObject *)self, state->str__compile_routes);
            if (routes == NULL) {
                st = -1;
                break;
            }
            Py_XSETREF(self->routes, routes); /* releasing the old one may run Python */
        }
        PyObject *table = Py_NewRef(self->routes != NULL ? self->routes : Py_None); /* it may be replaced */
        st = route_find(self, table, request, path, route);
        Py_DECREF(table);
        if (st != 1) {
            tc_route_clear(route);
        }
    }
    Py_DECREF(path);
    return st == ROUTE_STALE ? TC_ROUTE_FOREIGN : st;
}
