/* See http_date_text.h. The text lies in the module's state, so the interpreter's lock guards it. */
#include "http/http_date_text.h"

#include "http/http_date.h"

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
