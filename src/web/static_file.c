/* What static files want of the system: where a path leads, and an open file with what the headers say of it,
 * which is closed with the last reference to it: a queue of a stream may hold one. Called by
 * tornado_c/_web/static_files.py, on any thread. Runs Python only to convert paths. */
#include "web/static_file.h"

#include "base/args.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#if defined(SYS_openat2) && __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#define HAVE_OPENAT2
#endif
#endif

/* Opens a path on which no symbolic link lies; a negative errno if there is one or it fails, -ENOSYS where
 * the system cannot do that. */
static int
open_without_links(const char *path, int flags)
{
#ifdef HAVE_OPENAT2
    struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_NO_SYMLINKS};
    int fd;
    do {
        fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
    } while (fd < 0 && errno == EINTR);
    return fd >= 0 ? fd : errno == EPERM ? -ENOSYS : -errno; /* EPERM: a container's filter */
#else
    return -ENOSYS;
#endif
}

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

PyObject *
tc_path_is_plain(PyObject *unused, PyObject *path)
{
    if (!PyUnicode_Check(path) || !PyUnicode_IS_COMPACT_ASCII(path)) {
        Py_RETURN_FALSE;
    }
    const char *text = (const char *)PyUnicode_1BYTE_DATA(path), *end = text + PyUnicode_GET_LENGTH(path);
    char before = '/';
    for (const char *at = text; at < end; before = *at++) {
        if (*at == '\0' || (before == '/' && (*at == '/' || *at == '.'))) {
            Py_RETURN_FALSE;
        }
    }
    return PyBool_FromLong(before != '/');
}

/* Whether the path is free of symbolic links, which one system call says; false if that is not known. */
static bool
path_has_no_links(const char *path)
{
    int fd = path_is_normal(path) ? open_without_links(path, O_PATH | O_CLOEXEC) : -EINVAL;
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
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

/* The same where the system cannot tell. */
static bool
path_is_real(const char *path)
{
    char resolved[PATH_MAX];
    const char *found = realpath(path, resolved);
    return found != NULL && strcmp(found, path) == 0;
}

/* ---- open files ---- */

/* Whether two paths, links on the way included, lead to one folder. It has one path without links only, so
 * that as long as this is true of such a path and another, that is where the other one leads. */
static bool
folders_are_same(const char *const folders[2])
{
    struct stat first, second;
    return stat(folders[0], &first) == 0 && stat(folders[1], &second) == 0 && first.st_ino == second.st_ino &&
           first.st_dev == second.st_dev;
}

/* Opens a regular file, without waiting for the other end of what turns out to be a FIFO. A negative errno;
 * -EISDIR for what is no file. */
static int
file_open(const char *path, bool resolved, struct stat *info)
{
    if (!path_is_normal(path)) {
        return -EINVAL;
    }
    int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = open_without_links(path, flags);
    if (fd == -ENOSYS && (resolved || path_is_real(path))) {
        fd = open(path, flags | O_NOFOLLOW);
        fd = fd >= 0 ? fd : -errno;
    }
    if (fd >= 0 && (fstat(fd, info) < 0 || !S_ISREG(info->st_mode))) {
        close(fd);
        return -EISDIR;
    }
    return fd;
}

StaticFileObject *
tc_static_file_new(tc_state *state, const char *path, bool resolved, const char *const folders[2])
{
    struct stat info;
    int fd;
    Py_BEGIN_ALLOW_THREADS;
    fd = folders == NULL || folders_are_same(folders) ? file_open(path, resolved, &info) : -ENOENT;
    Py_END_ALLOW_THREADS;
    if (fd < 0) {
        return NULL;
    }
    PyTypeObject *type = state->static_file_type;
    StaticFileObject *self = (StaticFileObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        close(fd);
        return NULL;
    }
    self->fd = fd;
    self->size = (Py_ssize_t)info.st_size;
    self->modified = (double)info.st_mtime;
    return self;
}

PyObject *
tc_static_file_open(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *path;
    int resolved;
    if (tc_args_check("open_static_file", nargs, 2, 2) < 0 || (resolved = PyObject_IsTrue(args[1])) < 0 ||
        !PyUnicode_FSConverter(args[0], &path)) {
        return NULL;
    }
    StaticFileObject *file =
        tc_static_file_new(PyModule_GetState(module), PyBytes_AS_STRING(path), resolved, NULL);
    Py_DECREF(path);
    return file != NULL || PyErr_Occurred() ? (PyObject *)file : Py_NewRef(Py_None);
}

static void
file_release(StaticFileObject *self)
{
    if (self->fd >= 0) {
        close(self->fd);
        self->fd = -1;
    }
}

static void
file_dealloc(StaticFileObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    file_release(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(file_fileno_doc, "fileno($self, /)\n--\n\nThe descriptor.\n\n:raises ValueError: it is closed.");

static PyObject *
file_fileno(StaticFileObject *self, PyObject *unused)
{
    if (self->fd < 0) {
        PyErr_SetString(PyExc_ValueError, "the file is closed");
        return NULL;
    }
    return PyLong_FromLong(self->fd);
}

PyDoc_STRVAR(file_close_doc, "close($self, /)\n--\n\n"
                             "Close it. Not for one that is still in the queue of a stream.");

static PyObject *
file_close(StaticFileObject *self, PyObject *unused)
{
    file_release(self);
    Py_RETURN_NONE;
}

static PyMethodDef file_methods[] = {
    {"close", (PyCFunction)file_close, METH_NOARGS, file_close_doc},
    {"fileno", (PyCFunction)file_fileno, METH_NOARGS, file_fileno_doc},
    {NULL},
};

static PyMemberDef file_members[] = {
    {"size", T_PYSSIZET, offsetof(StaticFileObject, size), READONLY, PyDoc_STR("Its size in bytes.")},
    {"modified", T_DOUBLE, offsetof(StaticFileObject, modified), READONLY,
     PyDoc_STR("When it was changed, in whole seconds since the epoch.")},
    {NULL},
};

PyDoc_STRVAR(file_doc, "A regular file, open for reading; closed with the last reference to it.");

static PyType_Slot file_slots[] = {
    {Py_tp_doc, (void *)file_doc},
    {Py_tp_dealloc, file_dealloc},
    {Py_tp_methods, file_methods},
    {Py_tp_members, file_members},
    {0, NULL},
};

static PyType_Spec file_spec = {
    .name = "tornado_c._core.StaticFile",
    .basicsize = sizeof(StaticFileObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = file_slots,
};

int
tc_static_file_init_type(PyObject *module, tc_state *state)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &file_spec, NULL);
    state->static_file_type = (PyTypeObject *)type;
    return type != NULL ? PyModule_AddObjectRef(module, "StaticFile", type) : -1;
}
