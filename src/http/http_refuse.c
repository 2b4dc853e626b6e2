/* Refuses a request: the response, the log line, and the end of the connection. Runs Python: log handlers,
 * and whatever closing a stream runs. */
#include "base/log.h"
#include "http/http_conn_parts.h"
#include "http/http_head_write.h"

PyObject *
tc_http_conn_label(HttpConnObject *self)
{
    PyObject *context = tc_http_conn_context_object(self);
    if (context == NULL) {
        PyErr_Clear();
        return Py_None;
    }
    return context;
}

/* Sends nothing in the middle of a response that the application has begun. */
static int
conn_send_refusal(HttpConnObject *self, int status)
{
    const char *response = tc_http_own_response(status);
    if (tc_http_conn_is_over(self)) {
        return 0; /* closed by a log handler */
    }
    bool begun = self->frame.state != TC_FRAME_NONE;
    tc_http_conn_abandon(self);
    tc_timeout_end(&self->timeout);
    self->frame.closes = self->linger = true;
    self->reading = CONN_HANDLING;
    tc_http_frame_end(&self->frame);
    if (!begun && tc_stream_write(self->stream, response, strlen(response), NULL) == TC_RAISED) {
        return -1;
    }
    return tc_http_conn_close_when_sent(self);
}

int
tc_http_conn_refuse_text(HttpConnObject *self, const char *text)
{
    tc_log(self->state, "general", "info", "Malformed HTTP message from %S: %s", tc_http_conn_label(self),
           text);
    return conn_send_refusal(self, 400);
}

static int
conn_refuse_long_head(HttpConnObject *self, bool in_first_line)
{
    tc_log(self->state, "general", "info",
           "Unsatisfiable read, closing connection: delimiter re.compile(b'\\r?\\n\\r?\\n') not found within "
           "%zd bytes",
           self->config->max_header_size);
    return conn_send_refusal(self, in_first_line ? 414 : 431);
}

int
tc_http_conn_refuse(HttpConnObject *self, int error, const char *data, size_t size)
{
    if (error == -TC_HTTP_ERR_HEAD_TOO_LONG || error == -TC_HTTP_ERR_LINE_TOO_LONG) {
        return conn_refuse_long_head(self, error == -TC_HTTP_ERR_LINE_TOO_LONG);
    }
    char text[300];
    tc_http_error_message(error, data, size, text, sizeof(text));
    return tc_http_conn_refuse_text(self, text);
}

static int
refuse_close(HttpConnObject *self)
{
    Py_CLEAR(self->close_callback); /* it is not the client who leaves */
    return tc_http_conn_close(self);
}

int
tc_http_conn_refuse_exception(HttpConnObject *self)
{
    PyObject *input_error = self->state->face_HTTPInputError;
    if (input_error != NULL && PyErr_ExceptionMatches(input_error)) {
        PyObject *exc = PyErr_GetRaisedException();
        PyObject *text = PyObject_Str(exc);
        const char *utf8 = text != NULL ? PyUnicode_AsUTF8(text) : NULL;
        PyErr_Clear();
        int st = tc_http_conn_refuse_text(self, utf8 != NULL ? utf8 : "malformed request");
        Py_XDECREF(text);
        Py_DECREF(exc);
        return st;
    }
    if (!PyErr_ExceptionMatches(PyExc_Exception) &&
        !PyErr_ExceptionMatches(self->state->asyncio_cancelled_error)) {
        PyObject *exc = PyErr_GetRaisedException();
        if (refuse_close(self) < 0) {
            PyErr_WriteUnraisable((PyObject *)self);
        }
        PyErr_SetRaisedException(exc);
        return -1;
    }
    tc_log_exception(self->state, "application", "Uncaught exception");
    return refuse_close(self);
}
