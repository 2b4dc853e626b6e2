/* RouteTableObject: a router's rules in the form that C walks. Made by tornado_c._web.routes, immutable from then
 * on, unreachable for the application.
 *
 * Files: route_pattern.c (patterns that C matches itself), route_table_type.c (making it from what Python found out), routes.c (finding a rule in it),
 * route_part_type.c (what tells that a table has become stale). */
#ifndef TC_ROUTE_TABLE_H
#define TC_ROUTE_TABLE_H

#include "web/application.h"

/* What a rule asks of a request. */
enum tc_route_matcher {
    TC_ROUTE_PATH = 0,
    TC_ROUTE_HOST,
    TC_ROUTE_DEFAULT_HOST,
    TC_ROUTE_ANY,
    TC_ROUTE_UNKNOWN, /* only Python knows */
    TC_ROUTE_MATCHERS
};

/* What a rule leads to. */
enum tc_route_target {
    TC_ROUTE_TO_CLASS = 0,
    TC_ROUTE_TO_TABLE,
    TC_ROUTE_TO_APPLICATION,
    TC_ROUTE_TO_PYTHON, /* anything else */
};

/* What becomes of a pattern's groups. */
enum tc_route_groups { TC_ROUTE_NO_GROUPS = 0, TC_ROUTE_UNNAMED, TC_ROUTE_NAMED, TC_ROUTE_GROUPS };

/* A step of a pattern that needs no backtracking: a text, or a class of characters as often as it goes. */
typedef struct {
    PyObject *text; /* bytes: the text, or 256 flags */
    uint32_t least; /* times */
    uint32_t most;  /* UINT32_MAX: any number */
    bool is_class;
    bool is_group;
} tc_route_step;

#define TC_ROUTE_GROUPS_MAX 8

/* Where a group matched. */
typedef struct {
    Py_ssize_t start;
    Py_ssize_t end;
} tc_route_span;

typedef struct {
    enum tc_route_matcher matcher;
    enum tc_route_target to;
    enum tc_route_groups groups;
    PyObject *names;      /* a tuple of the named groups' names, in their order; or NULL */
    tc_route_step *steps; /* the pattern as a whole; NULL if only its match method knows it */
    Py_ssize_t step_count;
    PyObject *match;       /* the pattern's match method, or NULL */
    PyObject *application; /* whose default host counts, or NULL */
    PyObject *target;
    PyObject *kwargs;
} tc_route_entry;

/* The rules to be tried for a path that begins with a prefix, but with none of the longer ones. */
typedef struct {
    PyObject *prefix; /* bytes, Latin-1 */
    uint32_t parent; /* the node of the longest prefix of this prefix; itself for the first, which has none */
    uint32_t first;  /* of its indices in the table's `order` */
    uint32_t count;
} tc_route_node;

/* A class whose methods the table takes for ours as long as its version is this one. */
typedef struct {
    PyTypeObject *type;
    unsigned tag;
} tc_route_type;

typedef struct RouteTableObject {
    PyObject_HEAD uint64_t
        version;        /* of the parts when the table's making began; of a router's own table only */
    PyObject *rules;    /* the router's list; NULL where Python has to route */
    PyObject *snapshot; /* tuple: its items then */
    tc_route_type *types;
    Py_ssize_t type_count;
    tc_route_entry *entries; /* one for each rule */
    Py_ssize_t entry_count;
    tc_route_node *nodes; /* by prefix; the first is empty */
    Py_ssize_t node_count;
    uint32_t *order; /* indices of entries, each node's in the order of the rules */
} RouteTableObject;

/* route_pattern.c */

/* Takes a tuple of steps as tornado_c._web.patterns gives them; None has none. 0 or -1. */
int tc_route_steps_take(tc_route_entry *entry, PyObject *steps);
void tc_route_steps_clear(tc_route_entry *entry);

/* Does a Latin-1 text match the steps as a whole, but for a line feed at its end? Fills a span for each group. */
bool tc_route_steps_match(const tc_route_entry *entry, const uint8_t *text, Py_ssize_t size,
                          tc_route_span *spans);

/* route_part_type.c */

/* Makes all tables stale if somebody has written into the dict of a part. Only where state->shown_parts is there. May
 * run Python, which a value that was replaced ends with. */
void tc_route_parts_look(tc_state *state);

/* Does the router's list hold what it held? */
static inline bool
tc_route_table_has_its_rules(const RouteTableObject *table)
{
    Py_ssize_t size = PyTuple_GET_SIZE(table->snapshot);
    if (PyList_GET_SIZE(table->rules) != size) {
        return false;
    }
    PyObject **now = ((PyListObject *)table->rules)->ob_item;
    PyObject **then = ((PyTupleObject *)table->snapshot)->ob_item;
    return size == 0 || memcmp(now, then, (size_t)size * sizeof *now) == 0;
}

#endif
