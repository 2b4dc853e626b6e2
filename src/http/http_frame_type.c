/* HTTPFrame: the framing of one message that HTTP1Connection writes, http_frame.c with the heads of
 * http_head_write.c. It returns bytes; the caller sends them, and closes on an HTTPOutputError: the message
 * cannot become what its head has announced. Runs Python where headers do. */
#include "http/http_head_write.h"
#include "http/http_reader.h"

#include "base/args.h"

typedef struct {
    PyObject_HEAD tc_state *state; /* borrowed */
    tc_http_frame frame;
} HttpFrameObject;

PyDoc_STRVAR(frame_begin_doc, "begin($self, reader, no_keep_alive, /)\n--\n\n"
                              "Frame the response to the request whose head an HTTPReader has just read.");

static PyObject *
frame_begin(HttpFrameObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (tc_args_check("begin", nargs, 2, 2) < 0) {
        return NULL;
    }
    if (!PyObject_TypeCheck(args[0], self->state->http_reader_type)) {
        return PyErr_Format(PyExc_TypeError, "expected an HTTPReader, not %.100s", Py_TYPE(args[0])->tp_name);
    }
    int no_keep_alive = PyObject_IsTrue(args[1]);
    if (no_keep_alive < 0) {
        return NULL;
    }
    tc_http_frame_begin(&self->frame, &((HttpReaderObject *)args[0])->head, no_keep_alive);
    Py_RETURN_NONE;
}

/* The head as bytes; frees the buffer. From now on the message is framed as this head says. */
static PyObject *
frame_opened(HttpFrameObject *self, tc_bytes_buf *buf, int st, const tc_http_opening *opening)
{
    PyObject *head = st == 0 ? PyBytes_FromStringAndSize(buf->data, (Py_ssize_t)buf->size) : NULL;
    tc_buf_free(buf);
    if (tc_http_frame_accepts(&self->frame)) {
        if (head != NULL) {
            tc_http_frame_open(&self->frame, opening->plan, opening->content_length);
        }
        else {
            tc_http_frame_reset(&self->frame);
        }
    }
    return head;
}

PyDoc_STRVAR(
    frame_response_doc,
    "response($self, status, reason, headers, draining, /)\n--\n\n"
    "The head of a response, as bytes; Connection and Transfer-Encoding of headers are set as needed.");

static PyObject *
frame_response(HttpFrameObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    tc_bytes_buf buf = {0};
    tc_http_opening opening;
    if (tc_args_check("response", nargs, 4, 4) < 0) {
        return NULL;
    }
    int draining = PyObject_IsTrue(args[3]);
    if (draining < 0) {
        return NULL;
    }
    int st = tc_http_write_response_head(self->state, &self->frame, draining, args[0], args[1], args[2], &buf,
                                         &opening);
    return frame_opened(self, &buf, st, &opening);
}

PyDoc_STRVAR(frame_request_doc,
             "request($self, method, target, headers, /)\n--\n\n"
             "The head of a request, as bytes; Transfer-Encoding of headers is set as needed.");

static PyObject *
frame_request(HttpFrameObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    tc_bytes_buf buf = {0};
    tc_http_opening opening;
    if (tc_args_check("request", nargs, 3, 3) < 0) {
        return NULL;
    }
    int st = tc_http_write_request_head(self->state, args[0], args[1], args[2], &buf, &opening);
    return frame_opened(self, &buf, st, &opening);
}

static PyObject *
frame_as_chunk(PyObject *piece)
{
    Py_buffer view;
    char line[TC_HTTP_CHUNK_HEAD_MAX];
    if (PyObject_GetBuffer(piece, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    size_t head = tc_http_frame_chunk_head((size_t)view.len, line);
    PyObject *chunk = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)head + view.len + 2);
    if (chunk != NULL) {
        char *out = PyBytes_AS_STRING(chunk);
        memcpy(out, line, head);
        memcpy(out + head, view.buf, (size_t)view.len);
        memcpy(out + head + view.len, TC_HTTP_CHUNK_TAIL, 2);
    }
    PyBuffer_Release(&view);
    return chunk;
}

PyDoc_STRVAR(frame_piece_doc,
             "piece($self, data, /)\n--\n\n"
             "The bytes to send for a piece of body. Raises HTTPOutputError beyond Content-Length.");

static PyObject *
frame_piece(HttpFrameObject *self, PyObject *data)
{
    Py_ssize_t size = PyObject_Length(data);
    if (size < 0) {
        return NULL;
    }
    if (tc_http_frame_is_cut(&self->frame)) {
        return PyBytes_FromStringAndSize(NULL, 0);
    }
    if (!tc_http_frame_take(&self->frame, (size_t)size)) {
        tc_http_raise_too_much(self->state);
        return NULL;
    }
    /* An empty chunk would be the last. */
    return size > 0 && tc_http_frame_is_chunked(&self->frame) ? frame_as_chunk(data) : Py_NewRef(data);
}

PyDoc_STRVAR(
    frame_finish_doc,
    "finish($self, gone, /)\n--\n\n"
    "End the message; returns what is still to be sent. Raises HTTPOutputError short of Content-Length.\n\n"
    "gone: nothing can be sent any more, so that nothing can be missing either.");

static PyObject *
frame_finish(HttpFrameObject *self, PyObject *gone)
{
    int is_gone = PyObject_IsTrue(gone);
    if (is_gone < 0) {
        return NULL;
    }
    int64_t missing = tc_http_frame_missing(&self->frame);
    if (missing > 0 && !is_gone) {
        tc_http_raise_missing(self->state, missing);
        return NULL;
    }
    bool chunked = tc_http_frame_is_chunked(&self->frame) && !is_gone;
    tc_http_frame_end(&self->frame);
    return PyBytes_FromString(chunked ? TC_HTTP_LAST_CHUNK : "");
}

PyDoc_STRVAR(frame_cut_doc, "cut($self, /)\n--\n\n"
                            "Have a chunked body end without its last chunk, and the connection with it.");

static PyObject *
frame_cut(HttpFrameObject *self, PyObject *unused)
{
    tc_http_frame_cut(&self->frame);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(frame_own_response_doc,
             "own_response(status, /)\n--\n\n"
             "The response that a connection sends by itself, as bytes: 100, 400, 414 or 431.");

static PyObject *
frame_own_response(PyObject *unused, PyObject *status)
{
    long value = PyLong_AsLong(status);
    return value == -1 && PyErr_Occurred() ? NULL : PyBytes_FromString(tc_http_own_response((int)value));
}

static PyObject *
frame_get_done(HttpFrameObject *self, void *unused)
{
    return PyBool_FromLong(tc_http_frame_is_done(&self->frame));
}

PyDoc_STRVAR(frame_doc, "HTTPFrame()\n--\n\nThe framing of one message, a response or a request.");

static PyObject *
frame_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    tc_state *state = tc_state_of(type);
    if (state == NULL || !PyArg_ParseTuple(args, ":HTTPFrame")) {
        return NULL;
    }
    HttpFrameObject *self = (HttpFrameObject *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->state = state;
        tc_http_frame_reset(&self->frame);
    }
    return (PyObject *)self;
}

static void
frame_dealloc(HttpFrameObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef frame_methods[] = {
    {"begin", TC_FASTCALL(frame_begin), frame_begin_doc},
    {"response", TC_FASTCALL(frame_response), frame_response_doc},
    {"request", TC_FASTCALL(frame_request), frame_request_doc},
    {"piece", (PyCFunction)frame_piece, METH_O, frame_piece_doc},
    {"finish", (PyCFunction)frame_finish, METH_O, frame_finish_doc},
    {"cut", (PyCFunction)frame_cut, METH_NOARGS, frame_cut_doc},
    {"own_response", frame_own_response, METH_O | METH_STATIC, frame_own_response_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef frame_members[] = {
    {"closes", T_BOOL, offsetof(HttpFrameObject, frame.closes), 0,
     "Whether the connection ends with the message."},
    {NULL},
};

static PyGetSetDef frame_getset[] = {
    {"done", (getter)frame_get_done, NULL, "Whether the message is complete.", NULL},
    {NULL},
};

static PyType_Slot frame_slots[] = {
    {Py_tp_doc, (char *)frame_doc},
    {Py_tp_new, frame_new},
    {Py_tp_dealloc, frame_dealloc},
    {Py_tp_methods, frame_methods},
    {Py_tp_members, frame_members},
    {Py_tp_getset, frame_getset},
    {0, NULL},
};

static PyType_Spec frame_spec = {
    .name = "tornado_c._core.HTTPFrame",
    .basicsize = sizeof(HttpFrameObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = frame_slots,
};

int
tc_http_frame_init_type(PyObject *module, tc_state *state)
{
    state->http_frame_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &frame_spec, NULL);
    return state->http_frame_type != NULL ? PyModule_AddType(module, state->http_frame_type) : -1;
}
