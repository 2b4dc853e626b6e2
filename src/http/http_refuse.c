/* What becomes of a request that is refused: the answer, the log line, and the end of the connection, which
 * must not take the answer with it (RFC 9112, section 9.6): a close while the client still sends resets the
 * connection, and the client drops what it has not read. So our side is ended, and what comes is read and
 * dropped for a while. Runs Python: log handlers, and whatever closing a stream runs. */
#include "http/http_conn_parts.h"

#include "base/raise.h"

/* ---- the end of a connection ---- */

/* Whether our side is to be ended alone. */
static bool
conn_can_linger(const HttpConnObject *self)
{
    return self->linger && self->config->linger_timeout > 0;
}

int
tc_http_conn_end(HttpConnObject *self)
{
    if (self->phase == CONN_CLOSED || !conn_can_linger(self) || !tc_stream_end_output(self->stream)) {
        return tc_http_conn_close(self);
    }
    self->phase = CONN_LINGER;
    self->closing = false;
    self->linger_left = (int64_t)self->config->linger_size;
    tc_timeout_start(&self->config->linger_timeouts, &self->timeout);
    tc_stream_resume(self->stream);
    return 0;
}

int
tc_http_conn_close_when_sent(HttpConnObject *self)
{
    /* What is corked goes to the kernel first, to see whether all of it fits. */
    if (self->stream->cork != NULL && tc_stream_flush(self->stream) == TC_RAISED) {
        return -1;
    }
    if (self->phase == CONN_CLOSED) {
        return 0;
    }
    if (tc_stream_queued(self->stream) > 0) {
        self->closing = true;
        tc_stream_pause(self->stream);
        return 0;
    }
    return tc_http_conn_end(self);
}

int
tc_http_conn_drop_input(HttpConnObject *self, size_t size)
{
    self->linger_left -= (int64_t)size;
    return self->linger_left < 0 ? tc_http_conn_close(self) : 0;
}

/* ---- refusing ---- */

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

static int
conn_answer_refusal(HttpConnObject *self, const char *answer)
{
    if (self->phase == CONN_CLOSED) {
        return 0; /* by a log handler */
    }
    tc_http_conn_abandon(self);
    self->frame.closes = self->linger = true;
    self->phase = CONN_HANDLING;
    tc_http_frame_end(&self->frame);
    if (tc_stream_write(self->stream, answer, strlen(answer), NULL) == TC_RAISED) {
        return -1;
    }
    return tc_http_conn_close_when_sent(self);
}

int
tc_http_conn_refuse_text(HttpConnObject *self, const char *text)
{
    tc_log(self->state, "general", "info", "Malformed HTTP message from %S: %s", tc_http_conn_label(self),
           text);
    return conn_answer_refusal(self, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

static int
conn_refuse_long_head(HttpConnObject *self, bool in_first_line)
{
    tc_log(self->state, "general", "info",
           "Unsatisfiable read, closing connection: delimiter re.compile(b'\\r?\\n\\r?\\n') not found within "
           "%zd bytes",
           self->config->max_header_size);
    return conn_answer_refusal(
        self, in_first_line ? "HTTP/1.1 414 URI Too Long\r\nConnection: close\r\n\r\n"
                            : "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n");
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
        return -1;
    }
    tc_log_exception(self->state, "application", "Uncaught exception");
    return tc_http_conn_close(self);
}
