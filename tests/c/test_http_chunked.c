/* The chunked machine: what is body, where it ends, what is refused, and that cuts change nothing. */
#include "check.h"
#include "http_feed.h"

#define NO_LIMIT UINT64_MAX

/* Feeds in every way; checks status, body and bytes taken (left unchecked for errors). */
static void
expect(const char *data, size_t size, uint64_t limit, int status, const char *body, size_t taken)
{
    bool same;
    chunked_result r = chunked_feed_every_way(data, size, limit, &same);
    if (!same || r.status != status || (status >= 0 && r.taken != taken) || r.body_size != strlen(body) ||
        memcmp(r.body, body, r.body_size) != 0) {
        fprintf(stderr,
                "status %d (expected %d), same at cuts %d, taken %zu (%zu), body '%.*s' ('%s') of: %.60s\n",
                r.status, status, same, r.taken, taken, (int)r.body_size, r.body, body, data);
        check_failures++;
    }
    free(r.body);
}

#define BODY(data, body) expect(data, sizeof(data) - 1, NO_LIMIT, TC_EOF, body, sizeof(data) - 1)
#define PART(data, body) expect(data, sizeof(data) - 1, NO_LIMIT, TC_AGAIN, body, sizeof(data) - 1)
#define REFUSED(data, body, error) expect(data, sizeof(data) - 1, NO_LIMIT, -(error), body, 0)

static void
test_bodies(void)
{
    BODY("0\r\n\r\n", "");
    BODY("5\r\nhello\r\n0\r\n\r\n", "hello");
    BODY("4\r\nWiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\n\r\n", "Wikipedia in \r\n\r\nchunks.");
    BODY("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789");
    BODY("0000000000000003\r\nabc\r\n000\r\n\r\n", "abc");
}

static void
test_stops_behind_the_body(void)
{
    static const char data[] = "1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n";
    expect(data, sizeof(data) - 1, NO_LIMIT, TC_EOF, "x", 11);
    tc_http_chunked machine = {0};
    size_t pos = 0, size = 0;
    const char *body = NULL;
    CHECK_INT(tc_http_chunked_next(&machine, data, 11, &pos, NO_LIMIT, &body, &size), TC_OK);
    CHECK_INT(tc_http_chunked_next(&machine, data, 11, &pos, NO_LIMIT, &body, &size), TC_EOF);
    CHECK_INT(tc_http_chunked_next(&machine, data, 20, &pos, NO_LIMIT, &body, &size), TC_EOF);
    CHECK_INT(pos, 11);
}

static void
test_incomplete(void)
{
    PART("", "");
    PART("5", "");
    PART("5\r", "");
    PART("5\r\n", "");
    PART("5\r\nhel", "hel");
    PART("5\r\nhello", "hello");
    PART("5\r\nhello\r", "hello");
    PART("5\r\nhello\r\n0\r\n", "hello");
    PART("0\r\n\r", "");
    PART("0\r\nA: b\r\n", "");
}

static void
test_sizes_refused(void)
{
    REFUSED("\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED("g\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED("-1\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED("+1\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED("0x5\r\nhello", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED("1_0\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED(" 5\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED("5 \r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED("5 5\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED("5\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED("5\rx", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED("5\r\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED(";a\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED("\xef\xbc\x95\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
}

static void
test_sizes_do_not_wrap(void)
{
    REFUSED("10000000000000000\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED("10000000000000005\r\nhello\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED("00000000000000005\r\nhello\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    PART("ffffffffffffffff\r\nhello", "hello");
    REFUSED("2\r\nab\r\nffffffffffffffff\r\n", "ab", TC_HTTP_ERR_BODY_TOO_LONG);
    expect("100000005\r\nhello", 16, 0xffffffff, -TC_HTTP_ERR_BODY_TOO_LONG, "", 0);
    expect("8000000000000000\r\n", 18, INT64_MAX, -TC_HTTP_ERR_BODY_TOO_LONG, "", 0);
}

static void
test_limit(void)
{
    expect("5\r\nhello\r\n0\r\n\r\n", 15, 5, TC_EOF, "hello", 15);
    expect("5\r\nhello\r\n0\r\n\r\n", 15, 4, -TC_HTTP_ERR_BODY_TOO_LONG, "", 0);
    expect("3\r\nabc\r\n3\r\nabc\r\n", 16, 5, -TC_HTTP_ERR_BODY_TOO_LONG, "abc", 0);
    expect("0\r\n\r\n", 5, 0, TC_EOF, "", 5);
}

/* A limit that shrinks below what was taken refuses the next chunk. */
static void
test_limit_that_shrinks(void)
{
    static const char data[] = "3\r\nabc\r\n1\r\nd";
    tc_http_chunked machine = {0};
    size_t pos = 0, size = 0;
    const char *body = NULL;
    CHECK_INT(tc_http_chunked_next(&machine, data, sizeof(data) - 1, &pos, 100, &body, &size), TC_OK);
    CHECK_INT(tc_http_chunked_next(&machine, data, sizeof(data) - 1, &pos, 2, &body, &size),
              -TC_HTTP_ERR_BODY_TOO_LONG);
}

static void
test_chunk_ends(void)
{
    REFUSED("5\r\nhelloo\r\n", "hello", TC_HTTP_ERR_CHUNK_END);
    REFUSED("5\r\nhello\n0\r\n", "hello", TC_HTTP_ERR_CHUNK_END);
    REFUSED("5\r\nhello\rx", "hello", TC_HTTP_ERR_CHUNK_END);
    REFUSED("5\r\nhello0\r\n\r\n", "hello", TC_HTTP_ERR_CHUNK_END);
}

static void
test_extensions(void)
{
    BODY("5;a\r\nhello\r\n0;b=c\r\n\r\n", "hello");
    BODY("5;a=\"x;y\"; c=d\r\nhello\r\n0\r\n\r\n", "hello");
    BODY("5 \t ;a\r\nhello\r\n0 ;\r\n\r\n", "hello");
    REFUSED("5;a\nhello\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED("5;a\rb\r\nhello\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED("5;a\x01\r\nhello\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    REFUSED("5;a\x7f\r\nhello\r\n", "", TC_HTTP_ERR_CHUNK_SIZE);
    expect("5;\0\r\nhello\r\n", 12, NO_LIMIT, -TC_HTTP_ERR_CHUNK_SIZE, "", 0);
}

static void
test_extension_bound(void)
{
    char data[TC_HTTP_CHUNK_LINE_MAX + 16];
    memset(data, 'x', sizeof(data));
    memcpy(data, "1;", 2);
    memcpy(data + TC_HTTP_CHUNK_LINE_MAX - 2, "\r\nb", 3);
    chunked_result r = chunked_feed(data, TC_HTTP_CHUNK_LINE_MAX + 1, 0, 7, NO_LIMIT);
    CHECK_INT(r.status, TC_AGAIN);
    CHECK_INT(r.body_size, 1);
    free(r.body);
    memcpy(data + TC_HTTP_CHUNK_LINE_MAX - 2, "x\r\nb", 4);
    r = chunked_feed(data, TC_HTTP_CHUNK_LINE_MAX + 2, 0, 7, NO_LIMIT);
    CHECK_INT(r.status, -TC_HTTP_ERR_CHUNK_SIZE);
    free(r.body);
}

static void
test_trailers(void)
{
    BODY("0\r\nDigest: abc\r\n\r\n", "");
    BODY("1\r\nx\r\n0\r\nA:\r\nB: c d\te \xe9\r\n\r\n", "x");
    REFUSED("0\r\n\n", "", TC_HTTP_ERR_CHUNK_LAST);
    REFUSED("0\r\n\rx", "", TC_HTTP_ERR_CHUNK_LAST);
    REFUSED("0\r\n: x\r\n\r\n", "", TC_HTTP_ERR_CHUNK_LAST);
    REFUSED("0\r\n A: x\r\n\r\n", "", TC_HTTP_ERR_CHUNK_LAST);
    REFUSED("0\r\nA : x\r\n\r\n", "", TC_HTTP_ERR_CHUNK_LAST);
    REFUSED("0\r\nA\r\n\r\n", "", TC_HTTP_ERR_CHUNK_LAST);
    REFUSED("0\r\nA: x\n\r\n", "", TC_HTTP_ERR_CHUNK_LAST);
    REFUSED("0\r\nA: x\ry\r\n\r\n", "", TC_HTTP_ERR_CHUNK_LAST);
    REFUSED("0\r\nA: x\x0b\r\n\r\n", "", TC_HTTP_ERR_CHUNK_LAST);
    REFUSED("0\r\nA: x\r\n folded\r\n\r\n", "", TC_HTTP_ERR_CHUNK_LAST);
    REFUSED("1\r\nx\r\n0\r\nGET / HTTP/1.1\r\n", "x", TC_HTTP_ERR_CHUNK_LAST);
}

static void
test_trailer_bound(void)
{
    size_t size = TC_HTTP_TRAILERS_MAX + 64;
    char *data = malloc(size);
    size_t at = 3;
    memcpy(data, "0\r\n", 3);
    while (at + 8 <= TC_HTTP_TRAILERS_MAX + 3 - 2) {
        memcpy(data + at, "A: bcd\r\n", 8);
        at += 8;
    }
    memcpy(data + at, "\r\n", 2);
    chunked_result r = chunked_feed(data, at + 2, 0, 100, NO_LIMIT);
    CHECK_INT(r.status, TC_EOF);
    free(r.body);
    for (int i = 0; i < 2; i++) {
        memcpy(data + at, "A: bcd\r\n", 8);
        at += 8;
    }
    r = chunked_feed(data, at, 0, 100, NO_LIMIT);
    CHECK_INT(r.status, -TC_HTTP_ERR_CHUNK_LAST);
    free(r.body);
    free(data);
}

/* How many of `count` chunks, of these sizes in turn, are seen to end. */
static int
ends_seen(int count, const size_t sizes[2])
{
    tc_http_chunked machine = {0};
    char data[1024];
    int seen = 0;
    for (int i = 0; i < count; i++) {
        size_t size = sizes[i % 2];
        size_t pos = 0, body_size, head = (size_t)snprintf(data, sizeof(data), "%zx\r\n", size);
        const char *body;
        memset(data + head, 'x', size);
        memcpy(data + head + size, "\r\n", 2);
        int st = tc_http_chunked_next(&machine, data, head + size - 1, &pos, NO_LIMIT, &body, &body_size);
        CHECK_INT(st, size > 1 ? TC_OK : TC_AGAIN);
        CHECK_INT(tc_http_chunked_end_is_seen(&machine), false);
        CHECK_INT(tc_http_chunked_next(&machine, data, head + size, &pos, NO_LIMIT, &body, &body_size),
                  TC_OK);
        seen += tc_http_chunked_end_is_seen(&machine);
        st = tc_http_chunked_next(&machine, data, head + size + 2, &pos, NO_LIMIT, &body, &body_size);
        CHECK_INT(st, TC_AGAIN);
    }
    return seen;
}

static void
test_ends_that_are_seen(void)
{
    CHECK_INT(ends_seen(1000, (size_t[]){64, 64}), 1000);
    CHECK_INT(ends_seen(1000, (size_t[]){500, 500}), 1000);
    CHECK_INT(ends_seen(1000, (size_t[]){1, 1}), 6);
    CHECK_INT(ends_seen(1000, (size_t[]){100, 28}), 1000);
    CHECK_INT(ends_seen(1000, (size_t[]){63, 63}), 384);
}

int
main(void)
{
    RUN(test_bodies);
    RUN(test_stops_behind_the_body);
    RUN(test_incomplete);
    RUN(test_sizes_refused);
    RUN(test_sizes_do_not_wrap);
    RUN(test_limit);
    RUN(test_limit_that_shrinks);
    RUN(test_chunk_ends);
    RUN(test_extensions);
    RUN(test_extension_bound);
    RUN(test_ends_that_are_seen);
    RUN(test_trailers);
    RUN(test_trailer_bound);
    return check_report();
}
