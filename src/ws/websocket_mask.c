/* See websocket_mask.h. */
#include "ws/websocket_mask.h"

#include "base/args.h"
#include "ws/ws_mask.h"

enum { MASK_SIZE = 4 };

PyObject *
tc_websocket_mask(PyObject *unused, PyObject *const *args, Py_ssize_t nargs)
{
    Py_buffer mask = {0}, data = {0};
    PyObject *masked = NULL;
    if (tc_args_check("websocket_mask", nargs, 2, 2) < 0 ||
        PyObject_GetBuffer(args[0], &mask, PyBUF_SIMPLE) < 0 ||
        PyObject_GetBuffer(args[1], &data, PyBUF_SIMPLE) < 0) {
        goto done;
    }
    if (mask.len != MASK_SIZE) {
        PyErr_SetString(PyExc_ValueError, "mask must be 4 bytes");
        goto done;
    }
    masked = PyBytes_FromStringAndSize(NULL, data.len);
    if (masked != NULL) {
        tc_ws_mask(PyBytes_AS_STRING(masked), data.buf, (size_t)data.len, mask.buf, 0);
    }
done:
    PyBuffer_Release(&mask);
    PyBuffer_Release(&data);
    return masked;
}
