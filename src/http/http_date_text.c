/* See http_date_text.h. The text lies in the module's state, so the interpreter's lock guards it. */
#include "http/http_date_text.h"

#include "http/http_date.h"

#include <datetime.h>
#include <time.h>

PyObject *
tc_http_date_text(tc_state *state)
{
    time_t now = time(NULL);
    if (TC_LIKELY(state->date_second == now && state->date_text != NULL)) {
        return Py_NewRef(state->date_text);
    }
    char buffer[TC_HTTP_DATE_SIZE];
    tc_http_date_format(now, buffer);
    PyObject *text = PyUnicode_FromStringAndSize(buffer, sizeof(buffer));
    if (text != NULL) {
        Py_XSETREF(state->date_text, Py_NewRef(text));
        state->date_second = now;
    }
    return text;
}

PyObject *
tc_http_datetime_text(PyObject *value)
{
    if (PyDateTimeAPI == NULL) {
        PyDateTime_IMPORT;
        if (PyDateTimeAPI == NULL) {
            return NULL;
        }
    }
    if (!PyDateTime_CheckExact(value)) {
        return NULL;
    }
    PyObject *zone = PyDateTime_DATE_GET_TZINFO(value); /* borrowed */
    if (zone != Py_None && zone != PyDateTime_TimeZone_UTC) {
        return NULL;
    }
    int64_t seconds =
        tc_http_date_seconds(PyDateTime_GET_YEAR(value), PyDateTime_GET_MONTH(value),
                             PyDateTime_GET_DAY(value), PyDateTime_DATE_GET_HOUR(value),
                             PyDateTime_DATE_GET_MINUTE(value), PyDateTime_DATE_GET_SECOND(value));
    char buffer[TC_HTTP_DATE_SIZE];
    tc_http_date_format(seconds, buffer);
    return PyUnicode_FromStringAndSize(buffer, sizeof(buffer));
}

PyObject *
tc_http_module_datetime_text(PyObject *unused, PyObject *value)
{
    PyObject *text = tc_http_datetime_text(value);
    return text != NULL || PyErr_Occurred() ? text : Py_NewRef(Py_None);
}
