/* HTTPReader: the reading half of one HTTP1Connection. Files: http_reader_type.c (waits on the stream,
 * Python methods), http_reader_take.c (takes heads and pieces of bodies out of bytes). */
#ifndef TC_HTTP_READER_H
#define TC_HTTP_READER_H

#include "http/http_chunked.h"
#include "http/http_parser.h"
#include "stream/stream.h"

#include "base/buf.h"

enum tc_reader_want { TC_WANT_NOTHING, TC_WANT_HEAD, TC_WANT_BODY };
enum tc_reader_coding { TC_CODING_LENGTH, TC_CODING_CHUNKED, TC_CODING_CLOSE };

typedef struct {
    PyObject_HEAD tc_state *state; /* borrowed */
    StreamObject *stream;
    PyObject *future;          /* of the read that waits, or NULL */
    PyObject *ready, *failure; /* what came while the read's call is still on the stack */
    tc_timer timer;
    tc_task gathered_task; /* completes the read with what is gathered, if nothing came after it */
    tc_http_parser parser;
    tc_http_head head; /* the last one read, but for its spans */
    tc_http_chunked chunked;
    tc_bytes_buf gathered; /* contents of chunks, less than a piece */
    size_t max_header_size, piece_size;
    uint64_t left;  /* bytes of the body still to come, by its length */
    uint64_t limit; /* of a chunked body */
    uint8_t want, coding;
    bool client;     /* reads responses */
    bool each_chunk; /* a piece ends with its chunk */
    bool starting;   /* the read's call is on the stack */
    bool chunked_done;
} HttpReaderObject;

/* Takes what is wanted from unread bytes, *used of them. TC_OK with *result (a new reference); TC_AGAIN: more
 * must come; TC_RAISED. */
int tc_reader_take(HttpReaderObject *self, const char *data, size_t size, size_t *used, PyObject **result);

/* What the headers, which may have changed since, say about the body: a length, or one of these. TC_OK, or
 * TC_RAISED with HTTPInputError. */
enum { TC_BODY_CHUNKED = -1, TC_BODY_UNTIL_CLOSE = -2, TC_BODY_NONE = -3 };
int tc_reader_judge_body(HttpReaderObject *self, PyObject *headers, long long limit, int64_t *length);

/* A RequestStartLine or ResponseStartLine, `cls`, without a call of its Python constructor; steals the items,
 * any of which may be NULL with an exception. */
PyObject *tc_start_line_new(PyObject *cls, PyObject *first, PyObject *second, PyObject *third);

/* What was gathered of chunks, as bytes. TC_OK or TC_RAISED. */
int tc_reader_take_gathered(HttpReaderObject *self, PyObject **result);

#endif
