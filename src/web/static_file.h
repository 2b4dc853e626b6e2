/* An open file of StaticFileHandler's, and what that does in C where it is as we wrote it. */
#ifndef TC_STATIC_FILE_H
#define TC_STATIC_FILE_H

#include "base/state.h"
#include "web/handler.h"

typedef struct {
    PyObject_HEAD int fd; /* -1: closed */
    Py_ssize_t size;      /* bytes */
    double modified;      /* whole seconds since the epoch */
} StaticFileObject;

/* static_file.c */

/* Opens a regular file; a path on which a symbolic link lies only if it is `resolved`, where the system
 * cannot tell. `folders`, if not NULL, are two that must be the same. NULL without an exception if that is
 * not possible. */
StaticFileObject *tc_static_file_new(tc_state *state, const char *path, bool resolved,
                                     const char *const folders[2]);

/* The module's functions is_plain_path(path), resolve_path(path), open_static_file(path, resolved). */
PyObject *tc_path_is_plain(PyObject *unused, PyObject *path);
PyObject *tc_resolve_path(PyObject *unused, PyObject *path);
PyObject *tc_static_file_open(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

/* static_facts.c */

/* What is known of a path below a folder: a tuple. Of these three the type is ours as long as mimetypes has
 * the second for the first, and is not replaced: suffix, what its types_map has for it or None, and the
 * function guess_type. */
enum {
    TC_FACT_ABSOLUTE_PATH, /* str */
    TC_FACT_FILE_NAME,     /* the same, bytes */
    TC_FACT_LINK, /* a tuple of two folders, bytes: as the root is written, where it led; None: it is that */
    TC_FACT_SECONDS,       /* float, and what follows from it: */
    TC_FACT_MODIFIED,      /* datetime */
    TC_FACT_LAST_MODIFIED, /* str */
    TC_FACT_CONTENT_TYPE,  /* str */
    TC_FACT_SUFFIX,        /* str */
    TC_FACT_KIND,          /* of types_map, for the suffix; or None */
    TC_FACT_MIMETYPES,     /* the module's dict */
    TC_FACT_GUESS,
    TC_FACT_COUNT
};

/* The facts of a path, borrowed, or NULL. */
PyObject *tc_static_facts_find(tc_state *state, PyObject *root, PyObject *path);

/* Whether mimetypes says of the suffix what it said. */
bool tc_static_facts_type_holds(tc_state *state, PyObject *facts);

/* The module's function remember_static_file(root, path, absolute_path, link, modified, seconds,
 * content_type). */
PyObject *tc_static_remember(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

/* static_part.c */

typedef struct {
    Py_ssize_t start, size; /* bytes */
} tc_static_part;

/* What of a file a request asks for that is not answered by a 304: 1, and for a part the response says so;
 * 0 where Python has to look; -1. `etag` may be NULL. */
int tc_static_choose_part(HandlerObject *handler, StaticFileObject *file, PyObject *etag,
                          tc_static_part *part);

/* headers[name] is this text: 1, 0 or -1. */
int tc_static_header_is(PyObject *headers, PyObject *name, PyObject *text);

/* static_serve.c */

/* The module's function serve_static_file(handler, path, include_body). */
PyObject *tc_static_serve(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
