/* The chunked transfer coding (RFC 9112, section 7.1): a machine that is fed bytes cut at any offset and says
 * which of them are body. Plain C, no allocation.
 *
 * Extensions are skipped within a bound; a bare CR or LF inside one is an error. Trailers are checked for
 * form and size, then dropped. Sizes are hex digits only and never wrap. Every line
 * ends in exactly CRLF. */
#ifndef TC_HTTP_CHUNKED_H
#define TC_HTTP_CHUNKED_H

#include "base/base.h"

enum {
    TC_HTTP_CHUNK_DIGITS_MAX = 16,    /* hex digits of a size */
    TC_HTTP_CHUNK_LINE_MAX = 4096,    /* a size line, extensions and CRLF included */
    TC_HTTP_TRAILERS_MAX = 16 * 1024, /* everything after the last size line */
    TC_HTTP_CHUNK_FAIR = 64,          /* bytes of a chunk that is worth a call of the application */
    TC_HTTP_CHUNKS_FREE = 6,          /* so many may have none */
};

typedef struct {
    uint64_t left;      /* bytes of the current chunk still to come */
    uint64_t size;      /* bytes of the current chunk */
    uint64_t total;     /* bytes of all chunks announced so far */
    int64_t spare;      /* bytes of the chunks whose ends were seen, beyond what they had to have */
    uint32_t line_size; /* bytes of the current size line or of all trailers, against their bounds */
    uint8_t state;
    uint8_t digits; /* hex digits seen in the current size */
} tc_http_chunked;  /* zeroed for a new body */

/* Takes bytes from data[*pos..size). TC_OK: *body, *body_size are the next piece of body (never empty) and
 * *pos is past it; call again. TC_AGAIN: everything was taken, more must come. TC_EOF: the body has ended,
 * *pos is past its last byte. <0: -(enum tc_http_error), and the machine may not be used again. `limit`
 * bounds the body as a whole. */
int tc_http_chunked_next(tc_http_chunked *machine, const char *data, size_t size, size_t *pos, uint64_t limit,
                         const char **body, size_t *body_size);

/* After TC_OK, for an application that takes chunks for messages: whether it is to see that this piece ends its
 * chunk. Not so where chunks are tiny: the sender would have it called for every byte. */
bool tc_http_chunked_end_is_seen(tc_http_chunked *machine);

#endif
