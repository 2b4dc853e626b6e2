/* The application that is any callable: it gets whole requests, with their forms parsed, and responds through
 * request.write and request.finish or request.connection. A coroutine that it returns is run. Runs Python. */
#include "http/http_app.h"

static int
callback_begin(PyObject *app, HttpConnObject *conn, RequestObject *request)
{
    return tc_request_check_query(request) < 0 ? -1 : TC_APP_WHOLE;
}

/* A malformed form never reaches the callback. */
static int
callback_parse_form(RequestObject *request)
{
    PyObject *result = PyObject_CallMethodNoArgs((PyObject *)request, request->state->str__parse_body);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

static int
callback_end(PyObject *app, HttpConnObject *conn, RequestObject *request)
{
    if (TC_UNLIKELY(tc_request_has_form(request)) && callback_parse_form(request) < 0) {
        return -1;
    }
    return tc_http_conn_take_result(conn, PyObject_CallOneArg(app, (PyObject *)request));
}

const tc_http_app_class tc_app_callback = {
    .begin = callback_begin,
    .end = callback_end,
};
