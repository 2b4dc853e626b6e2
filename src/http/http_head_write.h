/* The heads of outgoing messages: what the framing has the headers say, and their bytes. */
#ifndef TC_HTTP_HEAD_WRITE_H
#define TC_HTTP_HEAD_WRITE_H

#include "http/http_frame.h"
#include "base/state.h"

#include "base/buf.h"

/* The responses that a connection sends by itself: 100 to a client that waits with its body, and 400, 414 or
 * 431 to requests that it refuses. */
const char *tc_http_own_response(int status);

/* Raise HTTPOutputError for a body that does not keep its Content-Length: for more of it, and for `missing`
 * bytes at its end. -1. */
int tc_http_raise_too_much(tc_state *state);
int tc_http_raise_missing(tc_state *state, int64_t missing);

/* How a message is framed once its head is written: what tc_http_frame_open takes. */
typedef struct {
    unsigned plan;
    int64_t content_length;
} tc_http_opening;

/* Brings the headers (HTTPHeaders, or any mapping) of a response in line with its framing, and appends its
 * head, the empty line included. 0, or -1 with an exception: *buf then holds a part. May run Python. */
int tc_http_write_response_head(tc_state *state, tc_http_frame *frame, bool draining, PyObject *status,
                                PyObject *reason, PyObject *headers, tc_bytes_buf *buf,
                                tc_http_opening *opening);

/* The same for a request. `buf` is empty. */
int tc_http_write_request_head(tc_state *state, PyObject *method, PyObject *target, PyObject *headers,
                               tc_bytes_buf *buf, tc_http_opening *opening);

#endif
