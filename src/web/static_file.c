/* What static files want of the system: where a path leads, and a descriptor that is closed with the last
 * reference to it, which a queue of a stream may hold. Called by tornado_c/_web/static_files.py, on any thread.
 * Runs Python only to convert paths. */
#include "base/args.h"
#include "base/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#if defined(SYS_openat2) && __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#define HAVE_OPENAT2
#endif
#endif

/* ---- where a path leads ---- */

/* Whether an absolute path is written as realpath() would write it, links apart. */
static bool
path_is_normal(const char *path)
{
    if (path[0] != '/' || path[1] == '\0') {
        return false;
    }
    for (const char *at = path; *at != '\0'; at++) {
        if (*at != '/') {
            continue;
        }
        const char *name = at + 1;
        size_t dots = strspn(name, ".");
        if (dots < 3 && (name[dots] == '/' || name[dots] == '\0')) {
            return false;
        }
    }
    return true;
}

/* Whether the path is free of symbolic links, which one system call says; false if that is not known. */
static bool
path_has_no_links(const char *path)
{
#ifdef HAVE_OPENAT2
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
    int fd = path_is_normal(path) ? (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)) : -1;
    if (fd >= 0) {
        close(fd);
        return true;
    }
#endif
    return false;
}

PyObject *
tc_resolve_path(PyObject *unused, PyObject *path)
{
    PyObject *encoded;
    if (!PyUnicode_Check(path)) {
        return PyErr_Format(PyExc_TypeError, "path must be str, not %.200s", Py_TYPE(path)->tp_name);
    }
    if (!PyUnicode_FSConverter(path, &encoded)) {
        return NULL;
    }
    char resolved[PATH_MAX];
    const char *name = PyBytes_AS_STRING(encoded), *found;
    bool same;
    Py_BEGIN_ALLOW_THREADS;
    same = path_has_no_links(name);
    found = same ? name : realpath(name, resolved);
    Py_END_ALLOW_THREADS;
    PyObject *result = same            ? Py_NewRef(path)
                       : found != NULL ? PyUnicode_DecodeFSDefault(found)
                                       : Py_NewRef(Py_None);
    Py_DECREF(encoded);
    return result;
}

/* ---- the descriptor ---- */

typedef struct {
    PyObject_HEAD int fd; /* -1: closed */
} FileDescriptorObject;

static PyObject *
descriptor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *path;
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0) {
        PyErr_SetString(PyExc_TypeError, "FileDescriptor() takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "O&:FileDescriptor", PyUnicode_FSConverter, &path)) {
        return NULL;
    }
    FileDescriptorObject *self = (FileDescriptorObject *)type->tp_alloc(type, 0);
    if (self != NULL) {
        int fd;
        const char *name = PyBytes_AS_STRING(path);
        Py_BEGIN_ALLOW_THREADS;
        do {
            fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        } while (fd < 0 && errno == EINTR);
        Py_END_ALLOW_THREADS;
        self->fd = fd;
        if (fd < 0) {
            PyErr_SetFromErrno(PyExc_OSError);
            Py_CLEAR(self);
        }
    }
    Py_DECREF(path);
    return (PyObject *)self;
}

static void
descriptor_release(FileDescriptorObject *self)
{
    if (self->fd >= 0) {
        close(self->fd);
        self->fd = -1;
    }
}

static void
descriptor_dealloc(FileDescriptorObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    descriptor_release(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(descriptor_fileno_doc,
             "fileno($self, /)\n--\n\nThe descriptor.\n\n:raises ValueError: it is closed.");

static PyObject *
descriptor_fileno(FileDescriptorObject *self, PyObject *unused)
{
    if (self->fd < 0) {
        PyErr_SetString(PyExc_ValueError, "the file is closed");
        return NULL;
    }
    return PyLong_FromLong(self->fd);
}

PyDoc_STRVAR(descriptor_close_doc, "close($self, /)\n--\n\n"
                                   "Close it. Not for one that is still in the queue of a stream.");

static PyObject *
descriptor_close(FileDescriptorObject *self, PyObject *unused)
{
    descriptor_release(self);
    Py_RETURN_NONE;
}

static PyMethodDef descriptor_methods[] = {
    {"close", (PyCFunction)descriptor_close, METH_NOARGS, descriptor_close_doc},
    {"fileno", (PyCFunction)descriptor_fileno, METH_NOARGS, descriptor_fileno_doc},
    {NULL},
};

PyDoc_STRVAR(descriptor_doc,
             "FileDescriptor(path, /)\n--\n\n"
             "A file opened for reading, without waiting for a FIFO's writer; closed with the\n"
             "last reference to it.");

static PyType_Slot descriptor_slots[] = {
    {Py_tp_doc, (void *)descriptor_doc},
    {Py_tp_new, descriptor_new},
    {Py_tp_dealloc, descriptor_dealloc},
    {Py_tp_methods, descriptor_methods},
    {0, NULL},
};

static PyType_Spec descriptor_spec = {
    .name = "tornado_c._core.FileDescriptor",
    .basicsize = sizeof(FileDescriptorObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = descriptor_slots,
};

int
tc_file_descriptor_init_type(PyObject *module, tc_state *state)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &descriptor_spec, NULL);
    state->file_descriptor_type = (PyTypeObject *)type;
    return type != NULL ? PyModule_AddObjectRef(module, "FileDescriptor", type) : -1;
}
