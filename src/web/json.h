/* The JSON of what a handler writes. */
#ifndef TC_JSON_H
#define TC_JSON_H

#include "base/state.h"

/* json.c: what escape.json_encode(dict) returns, as str, or as the bytes of that. */
PyObject *tc_json_encode(tc_state *state, PyObject *dict);

/* json_text.c: as bytes, where that needs no Python; else NULL without an exception. */
PyObject *tc_json_bytes(tc_state *state, PyObject *value);

#endif
