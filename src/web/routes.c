/* From a request's path to a handler class, by the tables that tornado_c._web.routes makes of routers.
 *
 * A table's rules lie in order below each prefix that one of the patterns requires: the longest of them that the
 * path begins with is found by halving, and of its rules, which are all that can match, the first that does is
 * taken. Each table is checked against its router's list before it is used, so that the result is always that of
 * trying rule after rule.
 *
 * Hosts, and a path that the application has set, may run Python here; the caller holds the table. */
#include "web/route_table.h"

#include "http/http_request.h"
#include "web/handler.h"

/* The functions below may also return this: a table is older than the rules. */
#define ROUTE_STALE 3

/* What is looked for, and where what was found goes. */
typedef struct {
    tc_state *state;
    PyObject *request;
    PyObject *path;      /* a str, or NULL as long as nobody has needed it */
    const uint8_t *text; /* its Latin-1 */
    Py_ssize_t size;
    tc_route *route;
} route_search;

static int route_find(route_search *search, RouteTableObject *table);

void
tc_route_clear(tc_route *route)
{
    Py_CLEAR(route->cls);
    Py_CLEAR(route->kwargs);
    Py_CLEAR(route->path_args);
    Py_CLEAR(route->path_kwargs);
    Py_CLEAR(route->application);
}

/* ---- one rule ---- */

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

/* A dict of the named groups, or a tuple of the groups. */
static PyObject *
route_groups(const route_search *search, const tc_route_entry *entry, const tc_route_span *spans)
{
    Py_ssize_t count = 0;
    for (Py_ssize_t i = 0; i < entry->step_count; i++) {
        count += entry->steps[i].is_group;
    }
    PyObject *groups = entry->names != NULL ? PyDict_New() : PyTuple_New(count);
    for (Py_ssize_t i = 0; groups != NULL && i < count; i++) {
        PyObject *text = PyUnicode_DecodeLatin1((const char *)search->text + spans[i].start,
                                                spans[i].end - spans[i].start, NULL);
        if (entry->names == NULL && text != NULL) {
            PyTuple_SET_ITEM(groups, i, text);
            continue;
        }
        if (text == NULL || PyDict_SetItem(groups, PyTuple_GET_ITEM(entry->names, i), text) < 0) {
            Py_CLEAR(groups);
        }
        Py_XDECREF(text);
    }
    return groups;
}

static int
route_try_path(route_search *search, const tc_route_entry *entry)
{
    bool named = entry->groups == TC_ROUTE_NAMED;
    bool wanted = entry->groups != TC_ROUTE_NO_GROUPS && entry->to == TC_ROUTE_TO_CLASS;
    PyObject *groups = NULL, *match;
    if (TC_LIKELY(entry->steps != NULL)) {
        tc_route_span spans[TC_ROUTE_GROUPS_MAX];
        if (!tc_route_steps_match(entry, search->text, search->size, spans)) {
            return 0;
        }
        groups = wanted ? route_groups(search, entry, spans) : NULL;
    }
    else {
        if (search->path == NULL &&
            (search->path = PyUnicode_DecodeLatin1((const char *)search->text, search->size, NULL)) == NULL) {
            return -1;
        }
        int st = route_match(entry->match, search->path, &match);
        if (st <= 0) {
            return st;
        }
        if (wanted) {
            PyObject *name = named ? search->state->str_groupdict : search->state->str_groups;
            groups = PyObject_CallMethodNoArgs(match, name);
        }
        Py_DECREF(match);
    }
    *(named ? &search->route->path_kwargs : &search->route->path_args) = groups;
    return groups == NULL && wanted ? -1 : 1;
}

static int
route_try_host(PyObject *host, const tc_route_entry *entry)
{
    if (entry->steps != NULL && PyUnicode_CheckExact(host) && PyUnicode_READY(host) == 0 &&
        PyUnicode_KIND(host) == PyUnicode_1BYTE_KIND) {
        tc_route_span spans[TC_ROUTE_GROUPS_MAX];
        return tc_route_steps_match(entry, PyUnicode_1BYTE_DATA(host), PyUnicode_GET_LENGTH(host), spans);
    }
    PyObject *match;
    int st = route_match(entry->match, host, &match);
    Py_XDECREF(match);
    return st;
}

/* Does the application's default host match, for a request that no proxy has passed on? */
static int
route_try_default_host(route_search *search, const tc_route_entry *entry)
{
    PyObject *headers = PyObject_GetAttr(search->request, search->state->str_headers);
    int proxied = headers != NULL ? PySequence_Contains(headers, search->state->text_x_real_ip) : -1;
    Py_XDECREF(headers);
    if (proxied != 0) {
        return proxied < 0 ? -1 : 0;
    }
    PyObject *host = PyObject_GetAttr(entry->application, search->state->str_default_host);
    int st = host != NULL ? route_try_host(host, entry) : -1;
    Py_XDECREF(host);
    return st;
}

/* Does the rule's matcher accept the request? */
static int
route_accepts(route_search *search, const tc_route_entry *entry)
{
    PyObject *host;
    int st;
    switch (entry->matcher) {
    case TC_ROUTE_PATH:
        return route_try_path(search, entry);
    case TC_ROUTE_HOST:
        host = PyObject_GetAttr(search->request, search->state->str_host_name);
        st = host != NULL ? route_try_host(host, entry) : -1;
        Py_XDECREF(host);
        return st;
    case TC_ROUTE_DEFAULT_HOST:
        return route_try_default_host(search, entry);
    case TC_ROUTE_ANY:
        return 1;
    default:
        return TC_ROUTE_FOREIGN;
    }
}

static int
route_find_in_application(route_search *search, ApplicationObject *application)
{
    int st = tc_application_find(application, search->request, search->route);
    if (st == 1 && search->route->application == NULL) {
        search->route->application = Py_NewRef(application);
    }
    return st == 0 ? TC_ROUTE_FOREIGN : st;
}

static int
route_try(route_search *search, const tc_route_entry *entry)
{
    int st = route_accepts(search, entry);
    if (st != 1) {
        return st;
    }
    if (TC_LIKELY(entry->to == TC_ROUTE_TO_CLASS)) {
        search->route->cls = Py_NewRef(entry->target);
        search->route->kwargs = Py_XNewRef(entry->kwargs);
        return 1;
    }
    if (entry->to == TC_ROUTE_TO_PYTHON) {
        return TC_ROUTE_FOREIGN;
    }
    if (Py_EnterRecursiveCall(" while routing") != 0) { /* 1 in CPython 3.11 */
        return -1;
    }
    st = entry->to == TC_ROUTE_TO_TABLE
             ? route_find(search, (RouteTableObject *)entry->target)
             : route_find_in_application(search, (ApplicationObject *)entry->target);
    Py_LeaveRecursiveCall();
    return st;
}

/* ---- a table ---- */

static inline bool
route_begins_with(const route_search *search, PyObject *prefix)
{
    Py_ssize_t size = PyBytes_GET_SIZE(prefix);
    return size <= search->size && memcmp(search->text, PyBytes_AS_STRING(prefix), (size_t)size) == 0;
}

/* Is a prefix behind the path in their order? */
static inline bool
route_is_behind(const route_search *search, PyObject *prefix)
{
    Py_ssize_t size = PyBytes_GET_SIZE(prefix);
    int order = memcmp(PyBytes_AS_STRING(prefix), search->text, (size_t)Py_MIN(size, search->size));
    return order > 0 || (order == 0 && size > search->size);
}

/* The node of the longest prefix of the path. Any prefix of it is the last that is not behind it, or one of that
 * one's own prefixes. */
static const tc_route_node *
route_node(const route_search *search, const RouteTableObject *table)
{
    size_t low = 0, high = (size_t)table->node_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (route_is_behind(search, table->nodes[middle].prefix)) {
            high = middle;
        }
        else {
            low = middle;
        }
    }
    while (low > 0 && !route_begins_with(search, table->nodes[low].prefix)) {
        low = table->nodes[low].parent;
    }
    return &table->nodes[low];
}

/* As tc_application_route(), or ROUTE_STALE. */
static int
route_find(route_search *search, RouteTableObject *table)
{
    if (TC_UNLIKELY(table->rules == NULL)) {
        return TC_ROUTE_FOREIGN;
    }
    if (TC_UNLIKELY(!tc_route_table_has_its_rules(table))) {
        return ROUTE_STALE;
    }
    const tc_route_node *node = route_node(search, table);
    for (uint32_t i = 0; i < node->count; i++) {
        int st = route_try(search, &table->entries[table->order[node->first + i]]);
        if (st != 0) {
            return st;
        }
    }
    return 0;
}

/* ---- an application ---- */

static bool
route_table_is_fresh(tc_state *state, const RouteTableObject *table)
{
    for (Py_ssize_t i = 0; i < table->type_count; i++) {
        if (table->types[i].type->tp_version_tag != table->types[i].tag) {
            return false;
        }
    }
    if (TC_UNLIKELY(state->shown_parts != NULL)) {
        tc_route_parts_look(state);
    }
    return table->version == state->routes_version;
}

/* A new table of the application's router, which it keeps. Borrowed, or NULL with an exception. */
static RouteTableObject *
route_compile(ApplicationObject *self)
{
    tc_state *state = self->base.state;
    uint64_t version = state->routes_version;
    PyObject *compile = tc_upcall(state, compile_routes);
    PyObject *table = compile != NULL ? PyObject_CallOneArg(compile, (PyObject *)self) : NULL;
    if (table != NULL && !Py_IS_TYPE(table, state->route_table_type)) {
        PyErr_Format(PyExc_TypeError, "expected a RouteTable, got %.200s", Py_TYPE(table)->tp_name);
        Py_CLEAR(table);
    }
    if (table == NULL) {
        return NULL;
    }
    ((RouteTableObject *)table)->version = version;
    Py_XSETREF(self->routes, (RouteTableObject *)table); /* releasing the old one may run Python */
    return self->routes;
}

static int
route_search_application(ApplicationObject *self, route_search *search)
{
    RouteTableObject *table = self->routes;
    int st = ROUTE_STALE;
    for (int attempt = 0; attempt < 2 && st == ROUTE_STALE; attempt++) {
        if (attempt > 0 || table == NULL || !route_table_is_fresh(self->base.state, table)) {
            table = route_compile(self);
            if (table == NULL) {
                return -1;
            }
        }
        Py_INCREF(table); /* it may be replaced */
        st = route_find(search, table);
        Py_DECREF(table);
        if (st != 1) {
            tc_route_clear(search->route);
        }
    }
    return st == ROUTE_STALE ? TC_ROUTE_FOREIGN : st;
}

int
tc_application_route(ApplicationObject *self, PyObject *request, tc_route *route)
{
    tc_state *state = self->base.state;
    route_search search = {.state = state, .request = request, .route = route};
    size_t size = 0;
    if (tc_request_check(state, request)) {
        search.text = (const uint8_t *)tc_request_path_text((RequestObject *)request, &size);
        search.size = (Py_ssize_t)size;
    }
    if (search.text == NULL) {
        search.path = PyObject_GetAttr(request, state->str_path);
        if (search.path == NULL) {
            return -1;
        }
        if (PyUnicode_CheckExact(search.path) && PyUnicode_READY(search.path) == 0 &&
            PyUnicode_KIND(search.path) == PyUnicode_1BYTE_KIND) {
            search.text = PyUnicode_1BYTE_DATA(search.path);
            search.size = PyUnicode_GET_LENGTH(search.path);
        }
    }
    int st = search.text != NULL ? route_search_application(self, &search) : TC_ROUTE_FOREIGN;
    Py_XDECREF(search.path);
    return st;
}
