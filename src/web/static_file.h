/* An open file of StaticFileHandler's, and what that does in C where it is as we wrote it. */
#ifndef TC_STATIC_FILE_H
#define TC_STATIC_FILE_H

#include "base/state.h"

typedef struct {
    PyObject_HEAD int fd; /* -1: closed */
    Py_ssize_t size;      /* bytes */
    double modified;      /* whole seconds since the epoch */
} StaticFileObject;

/* static_file.c */

/* Opens a regular file; a path on which a symbolic link lies only if it is `resolved`, where the system cannot
 * tell. NULL without an exception if that is not possible. */
StaticFileObject *tc_static_file_new(tc_state *state, const char *path, bool resolved);

/* The module's functions is_plain_path(path), resolve_path(path), open_static_file(path, resolved). */
PyObject *tc_path_is_plain(PyObject *unused, PyObject *path);
PyObject *tc_resolve_path(PyObject *unused, PyObject *path);
PyObject *tc_static_file_open(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

/* static_serve.c */

/* The module's functions serve_static_file(handler, path, include_body) and
 * remember_static_file(root, path, absolute_path, modified, seconds, content_type). */
PyObject *tc_static_serve(PyObject *module, PyObject *const *args, Py_ssize_t nargs);
PyObject *tc_static_remember(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
