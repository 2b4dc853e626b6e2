/* Feeds the HTTP machines whole and in pieces, always from exact-size copies. Shared by the native tests, the
 * transcript runner and the fuzz targets. */
#ifndef TC_TESTS_HTTP_FEED_H
#define TC_TESTS_HTTP_FEED_H

#include "exact_copy.h"
#include "http/http_chunked.h"
#include "http/http_parser.h"

/* Whether the heads are those of responses. */
static bool feed_responses;

/* One call with the first `size` bytes. */
static inline int
feed_head_once(tc_http_parser *parser, const char *data, size_t size, size_t limit, tc_http_head *head)
{
    char *copy = exact_copy(data, size);
    int st = feed_responses ? tc_http_parse_response_head(parser, copy, size, limit, head)
                            : tc_http_parse_head(parser, copy, size, limit, head);
    free(copy);
    return st;
}

static inline int
feed_head(const char *data, size_t size, size_t limit, tc_http_head *head)
{
    tc_http_parser parser = {0};
    return feed_head_once(&parser, data, size, limit, head);
}

/* First `cut` bytes, then, if that is not the verdict yet, all. */
static inline int
feed_head_cut(const char *data, size_t size, size_t cut, size_t limit, tc_http_head *head)
{
    tc_http_parser parser = {0};
    int st = feed_head_once(&parser, data, cut, limit, head);
    return st == TC_AGAIN ? feed_head_once(&parser, data, size, limit, head) : st;
}

/* One more byte with each call, until there is a verdict. */
static inline int
feed_head_bytes(const char *data, size_t size, size_t limit, tc_http_head *head)
{
    tc_http_parser parser = {0};
    int st = TC_AGAIN;
    for (size_t n = 1; n <= size && st == TC_AGAIN; n++) {
        st = feed_head_once(&parser, data, n, limit, head);
    }
    return st;
}

static inline bool
span_equal(tc_span a, tc_span b)
{
    return a.off == b.off && a.len == b.len;
}

/* Whether two parses came to the same. */
static inline bool
head_equal(int st_a, const tc_http_head *a, int st_b, const tc_http_head *b)
{
    if (st_a != st_b || st_a != TC_OK) {
        return st_a == st_b;
    }
    return a->size == b->size && a->flags == b->flags && a->minor == b->minor && a->status == b->status &&
           a->method_id == b->method_id && a->content_length == b->content_length &&
           span_equal(a->method, b->method) && span_equal(a->target, b->target) &&
           span_equal(a->host, b->host) && span_equal(a->headers, b->headers);
}

/* The verdict, after checking that every cut leads to it; `same` says whether they all did. */
static inline int
feed_head_every_way(const char *data, size_t size, size_t limit, tc_http_head *head, bool *same)
{
    int st = feed_head(data, size, limit, head);
    tc_http_head other;
    int other_st = feed_head_bytes(data, size, limit, &other);
    *same = head_equal(st, head, other_st, &other);
    for (size_t cut = 0; cut <= size && *same; cut++) {
        other_st = feed_head_cut(data, size, cut, limit, &other);
        *same = head_equal(st, head, other_st, &other);
    }
    return st;
}

/* What came out of a chunked body: TC_EOF, TC_AGAIN or an error, the bytes, and how many were taken. */
typedef struct {
    int status;
    size_t taken;
    size_t body_size;
    char *body;
} chunked_result;

static inline void
chunked_feed_piece(tc_http_chunked *machine, chunked_result *result, const char *data, size_t size,
                   uint64_t limit)
{
    char *copy = exact_copy(data, size);
    size_t pos = 0;
    const char *body = NULL;
    size_t body_size = 0;
    while ((result->status = tc_http_chunked_next(machine, copy, size, &pos, limit, &body, &body_size)) ==
           TC_OK) {
        if (body_size == 0 || body < copy || body + body_size > copy + size) {
            abort();
        }
        memcpy(result->body + result->body_size, body, body_size);
        result->body_size += body_size;
    }
    if (pos > size || (result->status == TC_AGAIN && pos != size)) {
        abort();
    }
    result->taken += pos;
    free(copy);
}

/* Feeds in two pieces, or, with step > 0, in pieces of that size. Free result.body. */
static inline chunked_result
chunked_feed(const char *data, size_t size, size_t cut, size_t step, uint64_t limit)
{
    tc_http_chunked machine = {0};
    chunked_result result = {.status = TC_AGAIN, .body = malloc(size + 1)};
    if (result.body == NULL) {
        abort();
    }
    size_t at = 0;
    while (at < size && result.status == TC_AGAIN) {
        size_t piece = step > 0 ? tc_min_size(step, size - at) : at < cut ? cut : size - at;
        chunked_feed_piece(&machine, &result, data + at, piece, limit);
        at += piece;
    }
    return result;
}

static inline bool
chunked_equal(const chunked_result *a, const chunked_result *b)
{
    return a->status == b->status && a->taken == b->taken && a->body_size == b->body_size &&
           memcmp(a->body, b->body, a->body_size) == 0;
}

static inline chunked_result
chunked_feed_every_way(const char *data, size_t size, uint64_t limit, bool *same)
{
    chunked_result whole = chunked_feed(data, size, 0, 0, limit);
    *same = true;
    for (size_t cut = 0; cut <= size && *same; cut++) {
        chunked_result other =
            cut == 0 ? chunked_feed(data, size, 0, 1, limit) : chunked_feed(data, size, cut, 0, limit);
        *same = chunked_equal(&whole, &other);
        free(other.body);
    }
    return whole;
}

#endif
