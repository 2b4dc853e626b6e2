/* What http_request_type.c, http_request_fields.c and http_request_forms.c share. Getters return borrowed
 * references, NULL with or without an exception where there is nothing. */
#ifndef TC_HTTP_REQUEST_PARTS_H
#define TC_HTTP_REQUEST_PARTS_H

#include "http/http_request.h"

PyObject *tc_request_host(RequestObject *self);
PyObject *tc_request_protocol(RequestObject *self);
PyObject *tc_request_query(RequestObject *self);
PyObject *tc_request_query_arguments(RequestObject *self);
PyObject *tc_request_body_arguments(RequestObject *self);
PyObject *tc_request_arguments(RequestObject *self);
PyObject *tc_request_files(RequestObject *self);
PyObject *tc_request_cookies(RequestObject *self);

/* Where the query stands in the head. */
tc_span tc_request_query_span(const RequestObject *self);

/* Keeps what was made for a field (stolen; NULL with an exception); returns what the field has, borrowed. */
static inline PyObject *
tc_request_keep(PyObject **field, PyObject *made)
{
    if (made != NULL) {
        Py_XSETREF(*field, made);
    }
    return made != NULL ? *field : NULL;
}

/* Of several equal lengths one is kept, as Tornado does. 0 or -1. */
int tc_request_join_length(RequestObject *self, PyObject *headers);

/* Python's attributes, and for the collector what they hold. */
extern PyGetSetDef tc_request_getset[];
int tc_request_fields_traverse(RequestObject *self, visitproc visit, void *arg);
void tc_request_fields_clear(RequestObject *self);

/* The method _parse_body(). */
PyObject *tc_request_parse_body(RequestObject *self, PyObject *unused);
extern const char tc_request_parse_body_doc[];

/* The method _may_be_conditional(). */
PyObject *tc_request_may_be_conditional(RequestObject *self, PyObject *unused);
extern const char tc_request_may_be_conditional_doc[];

/* The method _forget_texts(). */
PyObject *tc_request_forget_texts(RequestObject *self, PyObject *unused);
extern const char tc_request_forget_texts_doc[];

/* The method _peek_headers(). */
PyObject *tc_request_peek_headers(RequestObject *self, PyObject *unused);
extern const char tc_request_peek_headers_doc[];

#endif
