/* ApplicationObject, the C base of tornado_c.web.Application: what a server calls with each request.
 *
 * Files: application_type.c (the object and its call), routes.c (from a path to a handler class) over
 * route_table.h. */
#ifndef TC_APPLICATION_H
#define TC_APPLICATION_H

#include "http/http_app.h"
#include "web/hooks.h"

struct RouteTableObject;

typedef struct ApplicationObject {
    HttpAppObject base;
    PyObject *settings;
    PyObject *transforms;
    PyObject *default_host;
    PyObject *default_router;
    PyObject *wildcard_router;
    uint64_t unlogged_version;       /* of the settings, in which there was no log_function */
    struct RouteTableObject *routes; /* the table of default_router; NULL until needed */
    uint64_t settings_version;       /* of the dict that `forgets` was read from; 0: not read, or unknown */
    bool forgets;                    /* the setting static_hash_cache is off */
} ApplicationObject;

/* What is to be done before each request: forgets the versions of static files where the settings say so. 0,
 * or -1 with an exception. */
int tc_application_prepare(ApplicationObject *self);

/* What a request was routed to: new references, each of which may be NULL except cls. */
typedef struct {
    PyObject *cls;
    PyObject *kwargs;
    PyObject *path_args;   /* a tuple of str or None */
    PyObject *path_kwargs; /* a dict of str: str or None */
    PyObject *application; /* the one below this whose rule it was; mostly NULL */
} tc_route;

void tc_route_clear(tc_route *route);

/* 1 found, 0 no rule matches, TC_ROUTE_FOREIGN where Python has to route, -1 with an exception. */
#define TC_ROUTE_FOREIGN 2
int tc_application_route(ApplicationObject *self, PyObject *request, tc_route *route);

/* The same with the application's default handler where no rule matches: 1, or 0 where Python has to find
 * what serves the request, or -1. */
int tc_application_find(ApplicationObject *self, PyObject *request, tc_route *route);

/* For Python, which makes the tables: have a class of parts notice who asks for the dict of an instance; and such
 * a dict. */
PyObject *tc_route_part_watch(PyObject *module, PyObject *cls);
PyObject *tc_route_part_values(PyObject *module, PyObject *part);

#endif
