/* The function websocket_mask(mask, data) of the module, for tornado_c/util.py. Runs no Python. */
#ifndef TC_WEBSOCKET_MASK_H
#define TC_WEBSOCKET_MASK_H

#include "base/compat.h"

PyObject *tc_websocket_mask(PyObject *unused, PyObject *const *args, Py_ssize_t nargs);

#endif
