/* The framing of one outgoing message (RFC 9112, sections 6 and 9): whether its body is chunked, counted
 * against Content-Length, ended by the close or absent, what the head says about that, and whether the
 * connection is kept alive.
 *
 * Plain C: no Python, no allocation, no call up. The driver owns headers and bytes:
 *
 *     tc_http_frame_begin(&frame, &head, no_keep_alive);           a server: a request's head was read
 *     plan = tc_http_frame_response(&frame, &fields);              or tc_http_frame_request
 *     ...changes the headers as the plan says and writes the head...
 *     tc_http_frame_open(&frame, plan, content_length);
 *     tc_http_frame_take(&frame, size) before each piece, then the piece, within
 *         tc_http_frame_chunk_head and TC_HTTP_CHUNK_TAIL where the body is chunked
 *     tc_http_frame_missing(&frame) == 0, then TC_HTTP_LAST_CHUNK where it is chunked
 *     tc_http_frame_end(&frame); */
#ifndef TC_HTTP_FRAME_H
#define TC_HTTP_FRAME_H

#include "http/http_parser.h"

enum tc_frame_state {
    TC_FRAME_NONE,    /* no head was written: raw bytes pass */
    TC_FRAME_OPEN,    /* the body is counted, or ends with the connection, or there is none */
    TC_FRAME_CHUNKED, /* the body is cut into chunks, and ends with the last one */
    TC_FRAME_CUT,     /* failed half-way: nothing more is written, not even the last chunk */
    TC_FRAME_DONE,    /* complete */
};

typedef struct {
    int64_t left;      /* bytes of the body that are still to come; -1: not counted */
    uint32_t flags;    /* of the head of the request it responds to, */
    uint8_t minor;     /* its version's minor number */
    uint8_t method_id; /* and its method */
    uint8_t state;     /* enum tc_frame_state */
    bool closes;       /* the connection ends with this message */
} tc_http_frame;

/* What the application has set itself. */
typedef struct {
    tc_http_value connection, encoding;
    int status;      /* of a response */
    bool has_length; /* there is a Content-Length */
    bool draining;   /* the server wants to end its connections */
} tc_http_frame_fields;

/* Bits of a plan: how to change the headers, and how the body is framed. */
enum {
    TC_PLAN_CLOSE = 1 << 0,           /* set Connection: close */
    TC_PLAN_KEEP_ALIVE = 1 << 1,      /* set Connection: Keep-Alive */
    TC_PLAN_SET_CHUNKED = 1 << 2,     /* set Transfer-Encoding: chunked */
    TC_PLAN_SET_CODINGS = 1 << 3,     /* set Transfer-Encoding to what tc_http_frame_codings writes */
    TC_PLAN_REMOVE_ENCODING = 1 << 4, /* remove Transfer-Encoding */
    TC_PLAN_REMOVE_LENGTH = 1 << 5,   /* remove Content-Length */
    TC_PLAN_HEADERS = (1 << 6) - 1,   /* any of the above */
    TC_PLAN_CHUNKED = 1 << 6,         /* the body is chunked */
    TC_PLAN_COUNTED = 1 << 7,         /* Content-Length says how long it is */
    TC_PLAN_EMPTY = 1 << 8,           /* there is none, whatever Content-Length says */
};

/* Whether a response with this status may have a body (RFC 9110, section 6.4.1). */
static inline bool
tc_http_status_has_body(int status)
{
    return status != 204 && status != 304 && !(status >= 100 && status < 200);
}

/* Whether another request may follow one with this head on its connection (RFC 9112, sections 6.1 and
 * 9.3). */
static inline bool
tc_http_may_keep_alive(uint32_t flags, int minor, int method_id)
{
    if (TC_LIKELY(minor == 1)) {
        return !(flags & TC_HTTP_CONN_CLOSE);
    }
    /* Not after a chunked body, which HTTP/1.0 does not have: a relay may have framed it otherwise. */
    bool delimited = flags & TC_HTTP_HAS_LENGTH || method_id == TC_HTTP_GET || method_id == TC_HTTP_HEAD;
    return delimited && (flags & (TC_HTTP_CONN_KEEP_ALIVE | TC_HTTP_CHUNKED)) == TC_HTTP_CONN_KEEP_ALIVE;
}

/* Forgets the message; keeps what is known of the request. */
static inline void
tc_http_frame_reset(tc_http_frame *frame)
{
    frame->left = -1;
    frame->state = TC_FRAME_NONE;
}

/* A server has read the head of a request, and will send a response. */
static inline void
tc_http_frame_begin(tc_http_frame *frame, const tc_http_head *head, bool no_keep_alive)
{
    frame->flags = head->flags;
    frame->minor = head->minor;
    frame->method_id = head->method_id;
    frame->closes = no_keep_alive || !tc_http_may_keep_alive(head->flags, head->minor, head->method_id);
}

/* The plan for the head of a response to the request in hand. Sets frame->closes; nothing else changes before
 * tc_http_frame_open. */
unsigned tc_http_frame_response(tc_http_frame *frame, const tc_http_frame_fields *fields);

/* A short cut for the common case: whether the plan for a response with a Content-Length and no Connection or
 * Transfer-Encoding of its own is TC_PLAN_COUNTED and nothing else. */
static inline bool
tc_http_frame_is_plain(const tc_http_frame *frame, int status, bool draining)
{
    return frame->minor == 1 && !frame->closes && !draining && frame->method_id != TC_HTTP_HEAD &&
           tc_http_status_has_body(status);
}

/* The plan for the head of a request that a client sends. */
unsigned tc_http_frame_request(tc_http_value method, const tc_http_frame_fields *fields);

/* Writes the value for TC_PLAN_SET_CODINGS, the application's codings and then "chunked", into
 * tc_http_codings_room bytes. Returns its size. */
static inline size_t
tc_http_codings_room(tc_http_value encoding)
{
    return 2 * encoding.size + 16;
}

size_t tc_http_frame_codings(tc_http_value encoding, char *out);

/* The head is written. content_length: its Content-Length, used with TC_PLAN_COUNTED only. */
static inline void
tc_http_frame_open(tc_http_frame *frame, unsigned plan, int64_t content_length)
{
    frame->left = plan & TC_PLAN_COUNTED ? content_length : plan & TC_PLAN_EMPTY ? 0 : -1;
    frame->state = plan & TC_PLAN_CHUNKED ? TC_FRAME_CHUNKED : TC_FRAME_OPEN;
}

/* Counts a piece of body. False: it exceeds Content-Length; nothing may follow. */
static inline bool
tc_http_frame_take(tc_http_frame *frame, size_t size)
{
    if (frame->left >= 0) {
        if (TC_UNLIKELY(size > (uint64_t)frame->left)) {
            return false;
        }
        frame->left -= (int64_t)size;
    }
    return true;
}

/* Bytes that Content-Length has announced and that were not written. */
static inline int64_t
tc_http_frame_missing(const tc_http_frame *frame)
{
    return frame->left > 0 ? frame->left : 0;
}

static inline bool
tc_http_frame_is_chunked(const tc_http_frame *frame)
{
    return frame->state == TC_FRAME_CHUNKED;
}

static inline bool
tc_http_frame_is_cut(const tc_http_frame *frame)
{
    return frame->state == TC_FRAME_CUT;
}

/* Whether something may still be written. */
static inline bool
tc_http_frame_accepts(const tc_http_frame *frame)
{
    return frame->state < TC_FRAME_CUT;
}

static inline bool
tc_http_frame_is_done(const tc_http_frame *frame)
{
    return frame->state == TC_FRAME_DONE;
}

/* The message is complete. */
static inline void
tc_http_frame_end(tc_http_frame *frame)
{
    frame->state = TC_FRAME_DONE;
}

/* The message has failed half-way: a chunked body ends without its last chunk, and the connection with it, so
 * that the body is not taken for complete. A counted body that is too short shows by itself. */
static inline void
tc_http_frame_cut(tc_http_frame *frame)
{
    if (frame->state == TC_FRAME_CHUNKED) {
        frame->state = TC_FRAME_CUT;
        frame->closes = true;
    }
}

/* Writes what precedes a chunk of `size` bytes, more than none; returns its length. */
#define TC_HTTP_CHUNK_HEAD_MAX (2 * sizeof(size_t) + 2)
size_t tc_http_frame_chunk_head(size_t size, char out[TC_HTTP_CHUNK_HEAD_MAX]);

#define TC_HTTP_CHUNK_TAIL "\r\n"
#define TC_HTTP_LAST_CHUNK "0\r\n\r\n"

/* The digits of a Content-Length. False where it is anything but up to 18 digits. */
static inline bool
tc_http_parse_length(tc_http_value text, int64_t *length)
{
    int64_t value = 0;
    if (text.size == 0 || text.size > 18) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)(uint8_t)text.data[i] - '0';
        if (digit > 9) {
            return false;
        }
        value = value * 10 + digit;
    }
    *length = value;
    return true;
}

#endif
