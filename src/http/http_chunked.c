/* The chunked coding as a state machine over single bytes between the pieces of body. Owns nothing: pieces
 * are pointers into the caller's bytes. Plain C, any thread. */
#include "http/http_chunked.h"

#include "http/http_chars.h"
#include "http/http_parser.h"

enum {
    SIZE = 0,   /* hex digits */
    SIZE_BLANK, /* blanks after them, before a semicolon */
    EXTENSION,
    SIZE_FEED, /* the LF of a size line */
    DATA,
    DATA_RETURN, /* CR after the data */
    DATA_FEED,   /* and LF */
    TRAILER,     /* the start of a trailer line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_FEED, /* the LF of a trailer line */
    LAST_FEED,    /* the last LF of the body */
    DONE,
};

/* Takes one byte of a size line. */
static int
take_size_byte(tc_http_chunked *machine, char c, uint64_t limit)
{
    if (++machine->line_size > TC_HTTP_CHUNK_LINE_MAX) {
        return -TC_HTTP_ERR_CHUNK_SIZE;
    }
    switch (machine->state) {
    case SIZE: {
        int digit = tc_http_hex_digit(c);
        if (TC_LIKELY(digit >= 0)) {
            if (machine->digits == TC_HTTP_CHUNK_DIGITS_MAX) {
                return -TC_HTTP_ERR_CHUNK_SIZE;
            }
            machine->digits++;
            machine->left = machine->left << 4 | (unsigned)digit;
            return TC_OK;
        }
        if (machine->digits == 0) {
            return -TC_HTTP_ERR_CHUNK_SIZE;
        }
        if (TC_LIKELY(c == '\r')) {
            machine->state = SIZE_FEED;
            return TC_OK;
        }
        machine->state = SIZE_BLANK;
    }
        /* fall through */
    case SIZE_BLANK:
        if (c == ';') {
            machine->state = EXTENSION;
            return TC_OK;
        }
        return tc_http_is_blank(c) ? TC_OK : -TC_HTTP_ERR_CHUNK_SIZE;
    case EXTENSION:
        if (c == '\r') {
            machine->state = SIZE_FEED;
            return TC_OK;
        }
        return tc_http_char_is(c, TC_CHAR_VALUE) ? TC_OK : -TC_HTTP_ERR_CHUNK_SIZE;
    default:
        assert(machine->state == SIZE_FEED);
        if (c != '\n') {
            return -TC_HTTP_ERR_CHUNK_SIZE;
        }
        machine->line_size = 0;
        machine->digits = 0;
        if (machine->left == 0) {
            machine->state = TRAILER;
            return TC_OK;
        }
        if (machine->total > limit || machine->left > limit - machine->total) {
            return -TC_HTTP_ERR_BODY_TOO_LONG;
        }
        machine->size = machine->left;
        machine->total += machine->left;
        machine->state = DATA;
        return TC_OK;
    }
}

/* Takes one byte after the last size line. */
static int
take_trailer_byte(tc_http_chunked *machine, char c)
{
    if (++machine->line_size > TC_HTTP_TRAILERS_MAX) {
        return -TC_HTTP_ERR_CHUNK_LAST;
    }
    switch (machine->state) {
    case TRAILER:
        if (TC_LIKELY(c == '\r')) {
            machine->state = LAST_FEED;
            return TC_OK;
        }
        machine->state = TRAILER_NAME;
        return tc_http_char_is(c, TC_CHAR_TOKEN) ? TC_OK : -TC_HTTP_ERR_CHUNK_LAST;
    case TRAILER_NAME:
        if (c == ':') {
            machine->state = TRAILER_VALUE;
            return TC_OK;
        }
        return tc_http_char_is(c, TC_CHAR_TOKEN) ? TC_OK : -TC_HTTP_ERR_CHUNK_LAST;
    case TRAILER_VALUE:
        if (c == '\r') {
            machine->state = TRAILER_FEED;
            return TC_OK;
        }
        return tc_http_char_is(c, TC_CHAR_VALUE) ? TC_OK : -TC_HTTP_ERR_CHUNK_LAST;
    default:
        if (c != '\n') {
            return -TC_HTTP_ERR_CHUNK_LAST;
        }
        machine->state = machine->state == TRAILER_FEED ? TRAILER : DONE;
        return TC_OK;
    }
}

int
tc_http_chunked_next(tc_http_chunked *machine, const char *data, size_t size, size_t *pos, uint64_t limit,
                     const char **body, size_t *body_size)
{
    while (machine->state != DONE) {
        if (*pos >= size) {
            return TC_AGAIN;
        }
        int st;
        if (machine->state == DATA) {
            size_t room = size - *pos;
            size_t piece = machine->left < room ? (size_t)machine->left : room;
            *body = data + *pos;
            *body_size = piece;
            *pos += piece;
            machine->left -= piece;
            if (machine->left == 0) {
                machine->state = DATA_RETURN;
            }
            return TC_OK;
        }
        char c = data[(*pos)++];
        if (machine->state < DATA) {
            st = take_size_byte(machine, c, limit);
        }
        else if (machine->state >= TRAILER) {
            st = take_trailer_byte(machine, c);
        }
        else {
            st = c == (machine->state == DATA_RETURN ? '\r' : '\n') ? TC_OK : -TC_HTTP_ERR_CHUNK_END;
            machine->state = machine->state == DATA_RETURN ? DATA_FEED : SIZE;
        }
        if (TC_UNLIKELY(st != TC_OK)) {
            return st;
        }
    }
    return TC_EOF;
}

bool
tc_http_chunked_end_is_seen(tc_http_chunked *machine)
{
    int64_t size = machine->size < INT32_MAX ? (int64_t)machine->size : INT32_MAX;
    int64_t spare = machine->spare + size - TC_HTTP_CHUNK_FAIR;
    if (machine->state != DATA_RETURN || spare < -TC_HTTP_CHUNKS_FREE * TC_HTTP_CHUNK_FAIR) {
        return false;
    }
    machine->spare = spare;
    return true;
}
