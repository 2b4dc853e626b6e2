/* The HTTP/1.x head machine, pulled by its driver. (http_chunked.h: bodies in chunks.)
 *
 * Plain C: no Python, no allocation, no call up. The driver owns the bytes; the machine owns a few words of
 * progress, so that input may arrive cut at any offset and each byte is looked at a bounded number of times.
 * Strictness follows RFC 9110/9112 and is nowhere laxer than Tornado 6.6.1.
 *
 *     int st = tc_http_parse_head(&parser, data, size, limit, &head);
 *     TC_OK     head is filled; head.size bytes of data are the head (leading empty lines included)
 *     TC_AGAIN  not complete yet: call again with the same bytes and more after them
 *     <0        -(int)enum tc_http_error: the request is malformed; head is not valid */
#ifndef TC_HTTP_PARSER_H
#define TC_HTTP_PARSER_H

#include "http/http_lines.h"

/* Why a request was refused. Negated, it is the parser's return value. */
enum tc_http_error {
    TC_HTTP_ERR_START_LINE = 1,    /* "Malformed HTTP request line" */
    TC_HTTP_ERR_VERSION,           /* a well-formed version, neither 1.0 nor 1.1 */
    TC_HTTP_ERR_HEADER,            /* bad name, bad value */
    TC_HTTP_ERR_FOLDING,           /* a header line begins with white space */
    TC_HTTP_ERR_HOST,              /* not a valid host */
    TC_HTTP_ERR_CONTENT_LENGTH,    /* not digits, overflow */
    TC_HTTP_ERR_TRANSFER_ENCODING, /* not exactly one "chunked", or in HTTP/1.0 */
    TC_HTTP_ERR_HEAD_TOO_LONG,     /* the head exceeds the limit */
    TC_HTTP_ERR_CHUNK_SIZE,        /* "invalid chunk size" */
    TC_HTTP_ERR_CHUNK_END,         /* "improperly terminated chunk" */
    TC_HTTP_ERR_CHUNK_LAST,        /* "improperly terminated chunked request" */
    TC_HTTP_ERR_BODY_TOO_LONG,     /* the body exceeds the limit */
    /* Finer cases of HEADER, HOST, CONTENT_LENGTH and TRANSFER_ENCODING, for their messages. */
    TC_HTTP_ERR_NO_COLON,           /* a header line without a colon */
    TC_HTTP_ERR_HOST_MISSING,       /* HTTP/1.1 without a Host */
    TC_HTTP_ERR_HOST_MULTIPLE,      /* several Hosts, or a comma in it */
    TC_HTTP_ERR_LENGTHS_DIFFER,     /* Content-Length: 5, 6 */
    TC_HTTP_ERR_LENGTH_AND_CHUNKED, /* Content-Length beside Transfer-Encoding */
    TC_HTTP_ERR_STATUS_LINE,        /* the first line of a response is malformed */
    TC_HTTP_ERR_LINE_TOO_LONG,      /* the limit of the head was reached within the request line */
};

/* What Tornado logs after "Malformed HTTP message from ...: ", without the offending value; static.
 * `error` is one of the above, or its negation. */
const char *tc_http_error_text(int error);

/* The same with the offending value where Tornado's message has it, cut to `room` and ended by NUL, in
 * UTF-8; `data` is what was given to the parser. Returns the length. For cold paths: walks the head again. */
size_t tc_http_error_message(int error, const char *data, size_t size, char *out, size_t room);

/* Bits of tc_http_head.flags. */
enum {
    TC_HTTP_HAS_LENGTH = 1 << 0,      /* a Content-Length was present */
    TC_HTTP_CHUNKED = 1 << 1,         /* Transfer-Encoding: chunked */
    TC_HTTP_CONN_CLOSE = 1 << 2,      /* a Connection header has the token close */
    TC_HTTP_CONN_KEEP_ALIVE = 1 << 3, /* the only Connection value is keep-alive */
    TC_HTTP_EXPECT_CONTINUE = 1 << 4, /* the only Expect is 100-continue (case-blind); never in HTTP/1.0 */
    TC_HTTP_HAS_CONTENT_TYPE = 1 << 5,
    TC_HTTP_HAS_IF_NONE_MATCH = 1 << 6,
    TC_HTTP_LENGTH_LIST = 1 << 7, /* the Content-Length was given more than once, with the same value */
};

enum tc_http_method {
    TC_HTTP_OTHER = 0,
    TC_HTTP_GET,
    TC_HTTP_HEAD,
    TC_HTTP_POST,
    TC_HTTP_PUT,
    TC_HTTP_DELETE,
    TC_HTTP_PATCH,
    TC_HTTP_OPTIONS,
};

/* The method of this name, which is upper case; TC_HTTP_OTHER for any other. */
uint8_t tc_http_method_id(const char *name, size_t size);

/* What the driver needs of a head. Spans count from the first byte of the data given (leading empty lines
 * included); the header section stays in bytes, and is read again only on demand. */
typedef struct {
    uint32_t size; /* bytes of the head, leading empty lines and the empty line at its end included */
    uint32_t flags;
    uint16_t status;   /* of a response */
    uint8_t minor;     /* 0 or 1; 0 to 9 in a response */
    uint8_t method_id; /* enum tc_http_method */
    tc_span method;
    tc_span target;          /* the request target, query included; the reason of a response, perhaps empty */
    tc_span host;            /* the Host value, perhaps empty; off 0 where absent */
    tc_span headers;         /* the header section, with the CRLF of its last line */
    uint64_t content_length; /* 0 unless TC_HTTP_HAS_LENGTH; fits an int64_t */
} tc_http_head;

/* The value of a header; data is NULL where there is none. */
typedef struct {
    const char *data;
    size_t size;
} tc_http_value;

/* Judges what headers say about a body, for headers that may have changed since their head was parsed and for
 * those of responses; values with lists joined by commas. Sets flags and content_length of the head. TC_OK,
 * or the error of tc_http_parse_head; `head` then has what was read before the error. */
int tc_http_judge_body(tc_http_value length, tc_http_value encoding, tc_http_value expect,
                       tc_http_head *head);

/* Progress over one head, kept between calls; zero it before each request. */
typedef struct {
    uint32_t scanned; /* bytes already searched for the end of the head */
} tc_http_parser;

/* `limit` is the largest head accepted, in bytes, leading empty lines (at most 8) included. A malformed head
 * is reported once it is complete, so that the verdict does not depend on how the input was cut. */
int tc_http_parse_head(tc_http_parser *parser, const char *data, size_t size, size_t limit,
                       tc_http_head *head);

/* The same for the head of a response, as a client reads it: any HTTP/1.x. Its headers are not judged (flags,
 * content_length and host stay 0): which of them count depends on the status and on the request. */
int tc_http_parse_response_head(tc_http_parser *parser, const char *data, size_t size, size_t limit,
                                tc_http_head *head);

#endif
