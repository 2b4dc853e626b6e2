/* HandlerObject, the C base of tornado_c.web.RequestHandler: one request and the response it gets.
 *
 * * Files: handler_type.c (life, attributes, the table of methods), handler_headers.c (status, headers,
 * clear), handler_args.c (arguments), output.c (write, flush), finish.c (finish), etag.c, execute.c
 * (from prepare() to finish()), execution_type.c (the same after an await), streamed.c (a streamed body
 * between the two).
 *
 * * A field that is NULL and not unmade was never set: __init__ was skipped, or the attribute deleted. */
#ifndef TC_HANDLER_H
#define TC_HANDLER_H

#include "http/http_conn.h"
#include "http/headers/headers.h"
#include "http/http_request.h"
#include "web/hooks.h"

enum tc_unmade { TC_UNMADE_ARGS = 1, TC_UNMADE_KWARGS = 2, TC_UNMADE_TRANSFORMS = 4, TC_UNMADE_BUFFER = 8 };

typedef struct HandlerObject {
    PyObject_HEAD tc_state *state; /* borrowed */
    PyObject *application;
    PyObject *request;
    PyObject *headers;
    PyObject *status_code;
    PyObject *reason;
    PyObject *write_buffer; /* a list */
    PyObject *path_args, *path_kwargs;
    PyObject *transforms;
    PyObject *prepared_future;
    PyObject *new_cookie; /* SimpleCookie */
    PyObject *ui;         /* made when asked for; None after finish() */
    PyObject *ext;        /* free for C code built on top */
    uint8_t unmade;       /* enum tc_unmade: fields that are NULL, and empty where somebody asks for them */
    bool finished, headers_written, auto_finish;
    bool streams; /* has its body streamed, see streamed.c */
    bool parked;  /* waits for that body outside any Task */
} HandlerObject;

static inline bool
tc_handler_owns(HandlerObject *self, uint64_t hooks)
{
    return tc_hooks_own(self->state, (PyObject *)self, hooks);
}

/* handler_type.c */

/* Is the class's __new__ that of HandlerBase? */
bool tc_handler_plain_new(PyTypeObject *type);

/* The native connection of the request, borrowed; NULL where it is another object or none. */
HttpConnObject *tc_handler_conn(HandlerObject *self);

/* The loop of that connection, borrowed, or NULL. */
LoopCore *tc_handler_core(HandlerObject *self);

/* request.<name>, a new reference. */
PyObject *tc_handler_request_attr(HandlerObject *self, PyObject *name);

/* request.method, a new reference. */
PyObject *tc_handler_method(HandlerObject *self);

/* The same as one of enum tc_http_method, or -1 with an exception. The slow part of tc_handler_method_in. */
int tc_handler_method_id(HandlerObject *self);

/* Whether it is one of these, bits 1 << TC_HTTP_...: 1, 0, or -1 with an exception. */
static inline int
tc_handler_method_in(HandlerObject *self, unsigned methods)
{
    PyObject *request = self->request;
    if (TC_LIKELY(request != NULL && tc_request_check(self->state, request) &&
                  ((RequestObject *)request)->method == self->state->str_GET)) {
        return methods >> TC_HTTP_GET & 1;
    }
    int id = tc_handler_method_id(self);
    return id <= TC_HTTP_OTHER ? id : (int)(methods >> id & 1);
}

PyObject *tc_handler_no_field(HandlerObject *self, const char *name);

/* The field, borrowed, or NULL with AttributeError where it was never set. */
static inline PyObject *
tc_handler_field(HandlerObject *self, PyObject *field, const char *name)
{
    return TC_LIKELY(field != NULL) ? field : tc_handler_no_field(self, name);
}

/* _write_buffer, a list that is made if need be: borrowed, or NULL with an exception. */
PyObject *tc_handler_make_buffer(HandlerObject *self);

static inline PyObject *
tc_handler_buffer(HandlerObject *self)
{
    return TC_LIKELY(self->write_buffer != NULL) ? self->write_buffer : tc_handler_make_buffer(self);
}

static inline bool
tc_handler_has_no_buffer(const HandlerObject *self)
{
    return self->write_buffer == NULL && (self->unmade & TC_UNMADE_BUFFER);
}

/* Nothing is written, or no longer. */
static inline void
tc_handler_empty_buffer(HandlerObject *self)
{
    self->unmade |= TC_UNMADE_BUFFER;
    Py_CLEAR(self->write_buffer);
}

/* What __init__ does. kwargs (may be NULL) go to initialize(). 0 or -1. */
int tc_handler_setup(HandlerObject *self, PyObject *application, PyObject *request, PyObject *kwargs);

/* Raises an exception object (stolen); NULL leaves the one that is set. Returns -1. */
int tc_handler_raise(PyObject *exc);

/* Calls a method without arguments and forgets its result: 0 or -1. */
int tc_handler_call(HandlerObject *self, PyObject *name);

/* handler_headers.c: 0, or -1 with an exception. */

/* What clear() does, even where it is overridden. */
int tc_handler_clear(HandlerObject *self);

/* These call set_header() or set_status() where it is overridden. */
int tc_handler_set_header(HandlerObject *self, PyObject *name, PyObject *value);
/* The same for a normalised name and a text that is known to be safe. */
int tc_handler_set_safe_header(HandlerObject *self, PyObject *name, PyObject *text);
int tc_handler_set_status(HandlerObject *self, int status);

extern PyMethodDef tc_handler_header_methods[];

/* handler_args.c */

/* As the method decode_argument(). */
PyObject *tc_handler_decode_argument(HandlerObject *self, PyObject *value, PyObject *name);

extern PyMethodDef tc_handler_arg_methods[];

/* output.c */
int tc_handler_write(HandlerObject *self, PyObject *chunk);
/* As the method flush(); the Future (or None if `want` is false), NULL with an exception. */
PyObject *tc_handler_flush(HandlerObject *self, bool footers, bool want);
/* The same, even where flush() is overridden. */
PyObject *tc_handler_flush_own(HandlerObject *self, bool footers, bool want);

/* Sends a range of a file behind what was written before. True if all is sent, else a Future; None where files
 * must be written by write() and flush(). NULL with an exception. */
PyObject *tc_handler_flush_file(HandlerObject *self, PyObject *file, size_t offset, size_t size);

extern PyMethodDef tc_handler_output_methods[];

/* etag.c */

/* The SHA-1 of what was written, in quotes. */
PyObject *tc_handler_etag_compute(HandlerObject *self);

/* What the method set_etag_header does: 0 or -1. */
int tc_handler_etag_set(HandlerObject *self);

/* 1 if If-None-Match names the response's Etag, 0, or -1. */
int tc_handler_etag_check(HandlerObject *self);

/* Drops what is remembered, at the end of the module. */
void tc_etags_forget(tc_state *state);

extern PyMethodDef tc_handler_etag_methods[];

/* finish.c */

/* As the method finish(); the Future (or None if `want` is false), NULL with an exception. */
PyObject *tc_handler_finish(HandlerObject *self, PyObject *chunk, bool want);

/* Drops what is remembered, at the end of the module. */
void tc_decimals_forget(tc_state *state);

extern PyMethodDef tc_handler_finish_methods[];

/* streamed.c */

/* The slow part of the next. */
int tc_handler_streams_by_name(tc_state *state, PyObject *cls);

/* Whether handlers of a class have their bodies streamed; anything may be asked about. 1, 0 or -1. */
static inline int
tc_handler_streams(tc_state *state, PyObject *cls)
{
    bool own =
        PyType_Check(cls) && (tc_hooks_of_type(state, (PyTypeObject *)cls) & TC_HOOK__stream_request_body);
    return TC_LIKELY(own) ? 0 : tc_handler_streams_by_name(state, cls);
}

extern PyMethodDef tc_streamed_methods[];

/* execute.c */

/* Handles the request: cls(application, request, **kwargs), then prepare(), the method and finish().
 * path_args: a tuple of what the groups of the route matched (str or None), or NULL; path_kwargs: a dict, or
 * NULL. Returns the handler, which may be at work still, or NULL with an exception. */
PyObject *tc_handler_execute(tc_state *state, PyObject *cls, PyObject *application, PyObject *request,
                             PyObject *kwargs, PyObject *path_args, PyObject *path_kwargs);

#endif
