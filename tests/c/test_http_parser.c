/* The head machine: spans, flags, refusals, limits, and that cuts change nothing. The transcripts below
 * tests/http_cases hold the wider list of requests. */
#include "check.h"
#include "http_feed.h"

#define LIMIT 65536

/* The verdict on a literal, from every cut. */
static int
parse(const char *data, size_t size, tc_http_head *head)
{
    bool same;
    int st = feed_head_every_way(data, size, LIMIT, head, &same);
    if (!same) {
        fprintf(stderr, "a cut changes the verdict on: %s\n", data);
        check_failures++;
    }
    return st;
}

#define PARSE(literal, head) parse(literal, sizeof(literal) - 1, head)

#define REFUSED(literal, error)                                                                              \
    do {                                                                                                     \
        tc_http_head refused_head;                                                                           \
        CHECK_INT(PARSE(literal, &refused_head), -(error));                                                  \
    } while (0)

#define ACCEPTED(literal)                                                                                    \
    do {                                                                                                     \
        tc_http_head accepted_head;                                                                          \
        CHECK_INT(PARSE(literal, &accepted_head), TC_OK);                                                    \
    } while (0)

#define HOST "Host: a\r\n"
#define GET11 "GET / HTTP/1.1\r\n" HOST

static uint32_t
flags_of(const char *headers)
{
    char request[1024];
    int size = snprintf(request, sizeof(request), "%s%s\r\n", GET11, headers);
    tc_http_head head;
    int st = parse(request, (size_t)size, &head);
    CHECK_INT(st, TC_OK);
    return st == TC_OK ? head.flags : 0;
}

static bool
span_is(const char *data, tc_span span, const char *expected)
{
    return span.len == strlen(expected) && memcmp(data + span.off, expected, span.len) == 0;
}

static void
test_spans(void)
{
    static const char data[] = "POST /a?b=c HTTP/1.1\r\nHost:  example.com:80 \t\r\nX:\r\n\r\nbody";
    tc_http_head head;
    CHECK_INT(PARSE(data, &head), TC_OK);
    CHECK_INT(head.size, sizeof(data) - 1 - 4);
    CHECK_INT(head.minor, 1);
    CHECK_INT(head.method_id, TC_HTTP_POST);
    CHECK_INT(head.flags, 0);
    CHECK_INT(head.content_length, 0);
    CHECK(span_is(data, head.method, "POST"));
    CHECK(span_is(data, head.target, "/a?b=c"));
    CHECK(span_is(data, head.host, "example.com:80"));
    CHECK(span_is(data, head.headers, "Host:  example.com:80 \t\r\nX:\r\n"));
}

static void
test_no_headers(void)
{
    static const char data[] = "GET / HTTP/1.0\r\n\r\n";
    tc_http_head head;
    CHECK_INT(PARSE(data, &head), TC_OK);
    CHECK_INT(head.minor, 0);
    CHECK_INT(head.host.off, 0);
    CHECK_INT(head.headers.off, 16);
    CHECK_INT(head.headers.len, 0);
    CHECK_INT(head.size, 18);
}

static void
test_methods(void)
{
    static const struct {
        const char *name;
        int id;
    } methods[] = {
        {"GET", TC_HTTP_GET},         {"HEAD", TC_HTTP_HEAD},     {"POST", TC_HTTP_POST},
        {"PUT", TC_HTTP_PUT},         {"DELETE", TC_HTTP_DELETE}, {"PATCH", TC_HTTP_PATCH},
        {"GETS", TC_HTTP_OTHER},      {"get", TC_HTTP_OTHER},     {"OPTIONS", TC_HTTP_OPTIONS},
        {"CONNECT", TC_HTTP_OTHER},   {"G", TC_HTTP_OTHER},       {"!#$%&'*+-.^_`|~", 0},
        {"PROPPATCH", TC_HTTP_OTHER}, {"GE", TC_HTTP_OTHER},
    };
    for (size_t i = 0; i < TC_ARRAY_LEN(methods); i++) {
        char request[128];
        int size = snprintf(request, sizeof(request), "%s /x HTTP/1.1\r\nHost: a\r\n\r\n", methods[i].name);
        tc_http_head head;
        CHECK_INT(parse(request, (size_t)size, &head), TC_OK);
        CHECK_INT(head.method_id, methods[i].id);
        CHECK(span_is(request, head.method, methods[i].name));
        CHECK(span_is(request, head.target, "/x"));
    }
}

static void
test_request_line(void)
{
    REFUSED("\r\r\n\r\n", TC_HTTP_ERR_START_LINE);
    REFUSED("GET\r\n\r\n", TC_HTTP_ERR_START_LINE);
    REFUSED("GET /\r\n\r\n", TC_HTTP_ERR_START_LINE);
    REFUSED("GET / HTTP/1.1 \r\n" HOST "\r\n", TC_HTTP_ERR_START_LINE);
    REFUSED("GET  / HTTP/1.1\r\n" HOST "\r\n", TC_HTTP_ERR_START_LINE);
    REFUSED("GET /  HTTP/1.1\r\n" HOST "\r\n", TC_HTTP_ERR_START_LINE);
    REFUSED(" GET / HTTP/1.1\r\n" HOST "\r\n", TC_HTTP_ERR_START_LINE);
    REFUSED("GET /a b HTTP/1.1\r\n" HOST "\r\n", TC_HTTP_ERR_START_LINE);
    REFUSED("GET\t/ HTTP/1.1\r\n" HOST "\r\n", TC_HTTP_ERR_START_LINE);
    REFUSED("G\x80T / HTTP/1.1\r\n" HOST "\r\n", TC_HTTP_ERR_START_LINE);
    REFUSED("GET / http/1.1\r\n" HOST "\r\n", TC_HTTP_ERR_START_LINE);
    REFUSED("GET / HTTP/1.10\r\n" HOST "\r\n", TC_HTTP_ERR_START_LINE);
    REFUSED("GET / HTTP/11\r\n" HOST "\r\n", TC_HTTP_ERR_START_LINE);
    REFUSED("GET / HTTP/2.0x\r\n" HOST "\r\n", TC_HTTP_ERR_START_LINE);
    REFUSED("GET / HTTP/1.1\r\r\n" HOST "\r\n", TC_HTTP_ERR_START_LINE);
    REFUSED("GET / HTTP/2.0\r\n" HOST "\r\n", TC_HTTP_ERR_VERSION);
    REFUSED("GET / HTTP/1.2\r\n" HOST "\r\n", TC_HTTP_ERR_VERSION);
    REFUSED("GET / HTTP/0.9\n\n", TC_HTTP_ERR_VERSION);
    REFUSED("GET /\x7f HTTP/1.1\r\n" HOST "\r\n", TC_HTTP_ERR_START_LINE);
    REFUSED("G\n\n", TC_HTTP_ERR_START_LINE);
    ACCEPTED("GET /\xff\xe9 HTTP/1.1\r\n" HOST "\r\n");
    ACCEPTED("GET http://a/b HTTP/1.1\r\n" HOST "\r\n");
    ACCEPTED("OPTIONS * HTTP/1.1\r\n" HOST "\r\n");
}

static void
test_empty_lines_before(void)
{
    tc_http_head head;
    CHECK_INT(PARSE("\r\n\n\r\nGET / HTTP/1.0\r\n\r\n", &head), TC_OK);
    CHECK_INT(head.size, 23);
    CHECK_INT(head.method.off, 5);
    CHECK_INT(PARSE("\n\n\n\n\n\n\n\nGET / HTTP/1.0\n\n", &head), TC_OK);
    REFUSED("\n\n\n\n\n\n\n\n\nGET / HTTP/1.0\n\n", TC_HTTP_ERR_START_LINE);
    REFUSED("\r\rGET / HTTP/1.0\r\n\r\n", TC_HTTP_ERR_START_LINE);
    CHECK_INT(PARSE("\r\n\r\n", &head), TC_AGAIN);
    CHECK_INT(PARSE("\r\n\r", &head), TC_AGAIN);
}

static void
test_line_ends(void)
{
    tc_http_head head;
    CHECK_INT(PARSE("GET / HTTP/1.1\nHost: a\n\n", &head), TC_OK);
    CHECK_INT(head.size, 24);
    CHECK_INT(PARSE("GET / HTTP/1.1\r\nHost: a\n\r\n", &head), TC_OK);
    CHECK_INT(PARSE("GET / HTTP/1.1\nHost: a\r\n\nx", &head), TC_OK);
    CHECK_INT(head.size, 25);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", TC_HTTP_ERR_HEADER);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", TC_HTTP_ERR_HEADER);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\n\rX: a\r\n\r\n", TC_HTTP_ERR_HEADER);
}

static void
test_header_lines(void)
{
    REFUSED(GET11 "X : a\r\n\r\n", TC_HTTP_ERR_HEADER);
    REFUSED(GET11 ": a\r\n\r\n", TC_HTTP_ERR_HEADER);
    REFUSED(GET11 "X y: a\r\n\r\n", TC_HTTP_ERR_HEADER);
    REFUSED(GET11 "X\xe9: a\r\n\r\n", TC_HTTP_ERR_HEADER);
    REFUSED(GET11 "X(y): a\r\n\r\n", TC_HTTP_ERR_HEADER);
    REFUSED(GET11 "no colon\r\n\r\n", TC_HTTP_ERR_NO_COLON);
    REFUSED(GET11 "word\r\n\r\n", TC_HTTP_ERR_NO_COLON);
    REFUSED(GET11 " folded: x\r\n\r\n", TC_HTTP_ERR_FOLDING);
    REFUSED(GET11 "X: a\r\n\tb\r\n\r\n", TC_HTTP_ERR_FOLDING);
    REFUSED(GET11 " \r\n\r\n", TC_HTTP_ERR_FOLDING);
    REFUSED(GET11 "X: a\0b\r\n\r\n", TC_HTTP_ERR_HEADER);
    REFUSED(GET11 "X: a\x7f\r\n\r\n", TC_HTTP_ERR_HEADER);
    REFUSED(GET11 "X: \x0b"
                  "a\r\n\r\n",
            TC_HTTP_ERR_HEADER);
    ACCEPTED(GET11 "X: a \t b \xff\r\n\r\n");
    ACCEPTED(GET11 "!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n");
    ACCEPTED(GET11 "X-A-Name-That-Is-Longer-Than-Two-Vector-Blocks_With_Underscores: x\r\n\r\n");
}

/* Each byte value, in each position of 40, in name, value, target, method and Host: the vector code against
 * the classes. */
static void
test_every_byte_everywhere(void)
{
    static const char token_marks[] = "!#$%&'*+-.^_`|~";
    for (int c = 0; c < 256; c++) {
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool token = alnum || (c != 0 && strchr(token_marks, c) != NULL);
        bool visible = c > 0x20 && c != 0x7f;
        for (int at = 0; at < 40; at++) {
            char filler[41] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
            char request[160];
            filler[at] = '?';
            static const char *const forms[] = {
                "GET / HTTP/1.0\r\n%s: x\r\n\r\n",   "GET / HTTP/1.0\r\nX: %s\r\n\r\n",
                "GET /%s HTTP/1.0\r\n\r\n",          "%s / HTTP/1.0\r\n\r\n",
                "GET / HTTP/1.0\r\nHost:%s\r\n\r\n",
            };
            for (int form = 0; form < 5; form++) {
                int size = snprintf(request, sizeof(request), forms[form], filler);
                *strchr(request, '?') = (char)c;
                bool name_or_method = form == 0 || form == 3;
                bool good = name_or_method ? token : form == 1 ? visible || c == ' ' || c == '\t' : visible;
                if ((form == 0 && c == ':' && at > 0) || (c == '\n' && form == 3 && at == 0)) {
                    good = true; /* a shorter name; an empty line before */
                }
                if ((form == 0 || form == 1 || form == 4) && c == '\n') {
                    continue;
                }
                if (form == 4) {
                    bool blank_at_an_end = (c == ' ' || c == '\t') && (at == 0 || at == 39);
                    good = alnum || (c != 0 && strchr("-._~!$&'()*+;=[]:", c) != NULL) || blank_at_an_end ||
                           (c == '%' && at < 38); /* what follows is hex */
                }
                tc_http_head head;
                int st = feed_head(request, (size_t)size, LIMIT, &head);
                if ((st == TC_OK) != good) {
                    fprintf(stderr, "form %d byte %02x at %d: %d\n", form, (unsigned)c, at, st);
                    check_failures++;
                }
            }
        }
    }
}

static void
test_host(void)
{
    REFUSED("GET / HTTP/1.1\r\n\r\n", TC_HTTP_ERR_HOST_MISSING);
    REFUSED(GET11 HOST "\r\n", TC_HTTP_ERR_HOST_MULTIPLE);
    REFUSED("GET / HTTP/1.0\r\n" HOST HOST "\r\n", TC_HTTP_ERR_HOST_MULTIPLE);
    REFUSED("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", TC_HTTP_ERR_HOST_MULTIPLE);
    REFUSED("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", TC_HTTP_ERR_HOST);
    REFUSED("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", TC_HTTP_ERR_HOST);
    REFUSED("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", TC_HTTP_ERR_HOST);
    REFUSED("GET / HTTP/1.1\r\nHost: a%4\r\n\r\n", TC_HTTP_ERR_HOST);
    REFUSED("GET / HTTP/1.1\r\nHost: a%4g\r\n\r\n", TC_HTTP_ERR_HOST);
    REFUSED("GET / HTTP/1.0\r\nHost: \xe9\r\n\r\n", TC_HTTP_ERR_HOST);
    ACCEPTED("GET / HTTP/1.1\r\nhOST:a%4F.b:8080\r\n\r\n");
    ACCEPTED("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n");
    tc_http_head head;
    CHECK_INT(PARSE("GET / HTTP/1.1\r\nHost:\r\n\r\n", &head), TC_OK);
    CHECK(head.host.off != 0 && head.host.len == 0);
}

static void
test_content_length(void)
{
    static const struct {
        const char *headers;
        int status;
        uint64_t length;
    } cases[] = {
        {"Content-Length: 0\r\n", 0, 0},
        {"content-length:5 \t\r\n", 0, 5},
        {"Content-Length: 0000000000000000000000000000005\r\n", 0, 5},
        {"Content-Length: 9223372036854775807\r\n", 0, INT64_MAX},
        {"Content-Length: 9223372036854775808\r\n", TC_HTTP_ERR_CONTENT_LENGTH, 0},
        {"Content-Length: 18446744073709551616\r\n", TC_HTTP_ERR_CONTENT_LENGTH, 0},
        {"Content-Length: 18446744073709551621\r\n", TC_HTTP_ERR_CONTENT_LENGTH, 0},
        {"Content-Length: 99999999999999999999999999\r\n", TC_HTTP_ERR_CONTENT_LENGTH, 0},
        {"Content-Length: 5, 5\r\n", 0, 5},
        {"Content-Length: 5,5,\t5\r\n", 0, 5},
        {"Content-Length: 5\r\nContent-Length: 5\r\n", 0, 5},
        {"Content-Length: 5, 6\r\n", TC_HTTP_ERR_LENGTHS_DIFFER, 0},
        {"Content-Length: 5\r\nContent-Length: 6\r\n", TC_HTTP_ERR_LENGTHS_DIFFER, 0},
        {"Content-Length: 5\r\nX: y\r\nContent-Length: 5, 6\r\n", TC_HTTP_ERR_LENGTHS_DIFFER, 0},
        {"Content-Length: 5, 05\r\n", TC_HTTP_ERR_LENGTHS_DIFFER, 0},
        {"Content-Length: 5 ,5\r\n", TC_HTTP_ERR_LENGTHS_DIFFER, 0},
        {"Content-Length: 5,\r\n", TC_HTTP_ERR_LENGTHS_DIFFER, 0},
        {"Content-Length: ,5\r\n", TC_HTTP_ERR_LENGTHS_DIFFER, 0},
        {"Content-Length:\r\n", TC_HTTP_ERR_CONTENT_LENGTH, 0},
        {"Content-Length: +5\r\n", TC_HTTP_ERR_CONTENT_LENGTH, 0},
        {"Content-Length: -5\r\n", TC_HTTP_ERR_CONTENT_LENGTH, 0},
        {"Content-Length: 5_0\r\n", TC_HTTP_ERR_CONTENT_LENGTH, 0},
        {"Content-Length: 0x5\r\n", TC_HTTP_ERR_CONTENT_LENGTH, 0},
        {"Content-Length: 5 5\r\n", TC_HTTP_ERR_CONTENT_LENGTH, 0},
        {"Content-Length: 5a, 5a\r\n", TC_HTTP_ERR_CONTENT_LENGTH, 0},
        {"Content-Length: \xc2\xb2\r\n", TC_HTTP_ERR_CONTENT_LENGTH, 0},
    };
    for (size_t i = 0; i < TC_ARRAY_LEN(cases); i++) {
        char request[256];
        int size = snprintf(request, sizeof(request), "%s%s\r\n", GET11, cases[i].headers);
        tc_http_head head;
        int st = parse(request, (size_t)size, &head);
        if (st != -cases[i].status) {
            fprintf(stderr, "%d of %s", st, cases[i].headers);
        }
        CHECK_INT(st, -cases[i].status);
        if (st == TC_OK) {
            CHECK_INT(head.flags & ~TC_HTTP_LENGTH_LIST, TC_HTTP_HAS_LENGTH);
            CHECK(head.content_length == cases[i].length);
        }
    }
}

static void
test_transfer_encoding(void)
{
    CHECK_INT(flags_of("Transfer-Encoding: chunked\r\n"), TC_HTTP_CHUNKED);
    CHECK_INT(flags_of("TRANSFER-encoding:\tCHUNKED \r\n"), TC_HTTP_CHUNKED);
    REFUSED(GET11 "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", TC_HTTP_ERR_LENGTH_AND_CHUNKED);
    REFUSED(GET11 "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n", TC_HTTP_ERR_LENGTH_AND_CHUNKED);
    REFUSED(GET11 "Transfer-Encoding: gzip, chunked\r\n\r\n", TC_HTTP_ERR_TRANSFER_ENCODING);
    REFUSED(GET11 "Transfer-Encoding: chunked, chunked\r\n\r\n", TC_HTTP_ERR_TRANSFER_ENCODING);
    REFUSED(GET11 "Transfer-Encoding: ,chunked\r\n\r\n", TC_HTTP_ERR_TRANSFER_ENCODING);
    REFUSED(GET11 "Transfer-Encoding: identity\r\n\r\n", TC_HTTP_ERR_TRANSFER_ENCODING);
    REFUSED(GET11 "Transfer-Encoding:\r\n\r\n", TC_HTTP_ERR_TRANSFER_ENCODING);
    REFUSED(GET11 "Transfer-Encoding: \"chunked\"\r\n\r\n", TC_HTTP_ERR_TRANSFER_ENCODING);
    REFUSED(GET11 "Transfer-Encoding: chun\xe2\x84\xaa"
                  "ed\r\n\r\n",
            TC_HTTP_ERR_TRANSFER_ENCODING);
    REFUSED(GET11 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            TC_HTTP_ERR_TRANSFER_ENCODING);
}

static void
test_flags(void)
{
    CHECK_INT(flags_of("Connection: close\r\n"), TC_HTTP_CONN_CLOSE);
    CHECK_INT(flags_of("connection: foo, CLOSE\r\n"), TC_HTTP_CONN_CLOSE);
    CHECK_INT(flags_of("Connection: foo\r\nConnection: bar ,close\t,\r\n"), TC_HTTP_CONN_CLOSE);
    CHECK_INT(flags_of("Connection: closed\r\n"), 0);
    CHECK_INT(flags_of("Connection:\r\n"), 0);
    CHECK_INT(flags_of("Connection: Keep-Alive\r\n"), TC_HTTP_CONN_KEEP_ALIVE);
    CHECK_INT(flags_of("Connection: keep-alive, foo\r\n"), 0);
    CHECK_INT(flags_of("Connection: keep-alive\r\nConnection: foo\r\n"), 0);
    CHECK_INT(flags_of("Connection: foo\r\nConnection: keep-alive\r\n"), 0);
    CHECK_INT(flags_of("Connection: keep-alive, Upgrade\r\n"), 0);
    CHECK_INT(flags_of("Connection: upgrade, close\r\n"), TC_HTTP_CONN_CLOSE);
    CHECK_INT(flags_of("Expect: 100-Continue\r\n"), TC_HTTP_EXPECT_CONTINUE);
    CHECK_INT(flags_of("Expect: 100-continue, x\r\n"), 0);
    CHECK_INT(flags_of("Expect: 100-continue\r\nExpect: 100-continue\r\n"), 0);
    CHECK_INT(flags_of("Content-Type: a/b\r\n"), TC_HTTP_HAS_CONTENT_TYPE);
    CHECK_INT(flags_of("If-None-Match: *\r\n"), TC_HTTP_HAS_IF_NONE_MATCH);
    CHECK_INT(flags_of("Cookies: a=b\r\nHots: x\r\nContent-Tyqe: a\r\nConnectiom: close\r\n"), 0);
    tc_http_head head;
    CHECK_INT(PARSE("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", &head), TC_OK);
    CHECK_INT(head.flags, 0);
}

static void
test_limits(void)
{
    static const char data[] = GET11 "\r\nbody of the request";
    size_t head_size = sizeof(GET11) - 1 + 2;
    for (size_t limit = 0; limit < sizeof(data) + 5; limit++) {
        bool same;
        tc_http_head head;
        int st = feed_head_every_way(data, sizeof(data) - 1, limit, &head, &same);
        CHECK(same);
        int too_long = limit < sizeof("GET / HTTP/1.1\r\n") - 1 ? -TC_HTTP_ERR_LINE_TOO_LONG
                                                                : -TC_HTTP_ERR_HEAD_TOO_LONG;
        CHECK_INT(st, limit < head_size ? too_long : TC_OK);
        st = feed_head_every_way(data, head_size - 1, limit, &head, &same);
        CHECK(same);
        CHECK_INT(st, limit < head_size - 1 ? too_long : TC_AGAIN);
    }
}

static void
test_incomplete(void)
{
    tc_http_head head;
    CHECK_INT(PARSE("", &head), TC_AGAIN);
    CHECK_INT(PARSE("\x16\x03\x01\x02", &head), TC_AGAIN);
    CHECK_INT(PARSE("GET / HTTP/9.9\r\nbad line\r\n", &head), TC_AGAIN);
    CHECK_INT(PARSE(GET11, &head), TC_AGAIN);
    CHECK_INT(PARSE(GET11 "\r", &head), TC_AGAIN);
}

/* A head of a megabyte that comes byte by byte must not be searched again from its start. */
static void
test_trickle_is_linear(void)
{
    size_t size = 1 << 20;
    char *data = malloc(size);
    memset(data, 'a', size);
    memcpy(data, GET11 "X: ", sizeof(GET11) - 1 + 3);
    memcpy(data + size - 4, "\r\n\r\n", 4);
    tc_http_parser parser = {0};
    tc_http_head head;
    int st = TC_AGAIN;
    for (size_t n = 1; n <= size && st == TC_AGAIN; n++) {
        CHECK(parser.scanned == n - 1);
        st = tc_http_parse_head(&parser, data, n, size, &head);
    }
    CHECK_INT(st, TC_OK);
    CHECK_INT(head.size, size);
    free(data);
}

static void
test_next_header(void)
{
    static const char block[] = "Host: a\r\nA:\r\nB: c\nx-Y_z:\t d e \t\r\n";
    static const char *const expected[][2] = {{"Host", "a"}, {"A", ""}, {"B", "c"}, {"x-Y_z", "d e"}};
    char *copy = exact_copy(block, sizeof(block) - 1);
    size_t pos = 0, count = 0;
    tc_span name, value;
    while (tc_http_next_header(copy, sizeof(block) - 1, &pos, &name, &value)) {
        CHECK(count < 4);
        CHECK(span_is(copy, name, expected[count][0]));
        CHECK(span_is(copy, value, expected[count][1]));
        count++;
    }
    CHECK_INT(count, 4);
    CHECK_INT(pos, sizeof(block) - 1);
    pos = 0;
    CHECK(!tc_http_next_header(copy, 0, &pos, &name, &value));
    free(copy);
}

static bool
piece_is(const char *start, const char *end, const char *expected)
{
    return (size_t)(end - start) == strlen(expected) && memcmp(start, expected, strlen(expected)) == 0;
}

/* Lines of a block that was not checked: name and value where there is a colon, else the line alone. */
static void
test_next_line(void)
{
    static const char block[] =
        "A: b\r\n\r\nno colon \n: nameless\r\n C\t: x\x01y\t\r\nD: e\r\r\nF:\rg\n\nlast: one";
    static const char *const expected[][3] = {
        {"A: b", "A", "b"},
        {""},
        {"no colon "},
        {": nameless", "", "nameless"},
        {" C\t: x\x01y\t", " C\t", "x\x01y"},
        {"D: e\r", "D", "e\r"},
        {"F:\rg", "F", "\rg"},
        {""},
        {"last: one", "last", "one"},
    };
    char *copy = exact_copy(block, sizeof(block) - 1);
    const char *p = copy, *end = copy + sizeof(block) - 1;
    size_t count = 0;
    tc_http_line line;
    while (tc_http_next_line(copy, &p, end, &line)) {
        CHECK(count < TC_ARRAY_LEN(expected));
        CHECK(piece_is(line.start, line.end, expected[count][0]));
        CHECK((line.colon != NULL) == (expected[count][1] != NULL));
        if (line.colon != NULL) {
            CHECK(piece_is(line.start, line.colon, expected[count][1]));
            CHECK(piece_is(line.value, line.value_end, expected[count][2]));
        }
        count++;
    }
    CHECK_INT(count, TC_ARRAY_LEN(expected));
    CHECK(p == end);
    free(copy);
}

#define MESSAGE(literal, error, expected)                                                                    \
    do {                                                                                                     \
        char text_[128];                                                                                     \
        size_t size_ = tc_http_error_message(error, literal, sizeof(literal) - 1, text_, sizeof(text_));     \
        CHECK(strcmp(text_, expected) == 0);                                                                 \
        CHECK_INT(size_, strlen(expected));                                                                  \
    } while (0)

static void
test_messages(void)
{
    MESSAGE("x\r\n\r\n", TC_HTTP_ERR_START_LINE, "Malformed HTTP request line");
    MESSAGE(GET11 "\r\n", -TC_HTTP_ERR_NO_COLON, "no colon in header line");
    MESSAGE("\r\n" GET11 "Transfer-Encoding: chunked\r\ntransfer-encoding: b\r\n\r\nTransfer-Encoding: c",
            -TC_HTTP_ERR_TRANSFER_ENCODING, "Unsupported Transfer-Encoding chunked,b");
    MESSAGE(GET11 "Content-Length: a\x01\r\n\r\n", -TC_HTTP_ERR_CONTENT_LENGTH,
            "Only integer Content-Length is allowed: a\\x01");
    MESSAGE("GET / HTTP/1.1\nHost: a b\n\n", -TC_HTTP_ERR_HOST, "Invalid Host header: 'a b'");
    MESSAGE(GET11 "Host: b\n\n", -TC_HTTP_ERR_HOST_MULTIPLE, "Multiple host headers not allowed: 'a,b'");
    MESSAGE(GET11 "Content-Length: 5, 6\n\n", -TC_HTTP_ERR_LENGTHS_DIFFER,
            "Multiple unequal Content-Lengths: '5, 6'");
    MESSAGE("GET / HTTP/2.0\r\n\r\n", -TC_HTTP_ERR_VERSION, "Unexpected HTTP version 'HTTP/2.0'");
    MESSAGE("\nHTTP/2.0 200 OK\n\n", -TC_HTTP_ERR_VERSION, "Unexpected HTTP version 'HTTP/2.0'");
    MESSAGE(GET11 "X : y\r\n\r\n", -TC_HTTP_ERR_HEADER, "Invalid header name 'X '");
    MESSAGE(GET11 "X'\xe4: y\r\n\r\n", -TC_HTTP_ERR_HEADER, "Invalid header name \"X'\xc3\xa4\"");
    MESSAGE(GET11 ": y\r\n\r\n", -TC_HTTP_ERR_HEADER, "Invalid header name ''");
    MESSAGE(GET11 "X: \x7f\t\\'\"y \r\n\r\n", -TC_HTTP_ERR_HEADER,
            "Invalid header value '\\x7f\\t\\\\\\'\"y'");
    char tiny[8];
    CHECK_INT(tc_http_error_message(-TC_HTTP_ERR_HOST, GET11, sizeof(GET11) - 1, tiny, sizeof(tiny)), 7);
    CHECK(strcmp(tiny, "Invalid") == 0);
    CHECK_INT(tc_http_error_message(-TC_HTTP_ERR_HOST, GET11, sizeof(GET11) - 1, tiny, 0), 0);
    for (int error = 1; error <= TC_HTTP_ERR_LINE_TOO_LONG; error++) {
        CHECK(strcmp(tc_http_error_text(error), tc_http_error_text(0)) != 0);
        CHECK(tc_http_error_text(error) == tc_http_error_text(-error));
    }
}

static void
test_responses(void)
{
    feed_responses = true;
    tc_http_head head;
    static const char data[] = "HTTP/1.1 404 Not \xe4 found\r\nContent-Length: x\r\nA: b\r\n\r\nrest";
    CHECK_INT(PARSE(data, &head), TC_OK);
    CHECK_INT(head.status, 404);
    CHECK_INT(head.minor, 1);
    CHECK_INT(head.flags, 0);
    CHECK_INT(head.size, sizeof(data) - 1 - 4);
    CHECK(span_is(data, head.target, "Not \xe4 found"));
    CHECK(span_is(data, head.headers, "Content-Length: x\r\nA: b\r\n"));
    CHECK_INT(PARSE("\r\nHTTP/1.7 099 \n\n", &head), TC_OK);
    CHECK_INT(head.status, 99);
    CHECK_INT(head.minor, 7);
    CHECK_INT(head.target.len, 0);
    REFUSED("HTTP/1.1 200\r\n\r\n", TC_HTTP_ERR_STATUS_LINE);
    REFUSED("HTTP/1.1 20 OK\r\n\r\n", TC_HTTP_ERR_STATUS_LINE);
    REFUSED("HTTP/1.1  200 OK\r\n\r\n", TC_HTTP_ERR_STATUS_LINE);
    REFUSED("HTTP/1.1 2000 OK\r\n\r\n", TC_HTTP_ERR_STATUS_LINE);
    REFUSED("http/1.1 200 OK\r\n\r\n", TC_HTTP_ERR_STATUS_LINE);
    REFUSED("HTTP/11 200 OK\r\n\r\n", TC_HTTP_ERR_STATUS_LINE);
    REFUSED("HTTP/1.1 200 O\x01K\r\n\r\n", TC_HTTP_ERR_STATUS_LINE);
    REFUSED("HTTP/1.1 200 O\rK\r\n\r\n", TC_HTTP_ERR_STATUS_LINE);
    REFUSED("x\r\n\r\n", TC_HTTP_ERR_STATUS_LINE);
    REFUSED("HTTP/2.0 200 OK\r\n\r\n", TC_HTTP_ERR_VERSION);
    REFUSED("HTTP/1.1 200 OK\r\nX : y\r\n\r\n", TC_HTTP_ERR_HEADER);
    REFUSED("HTTP/1.1 200 OK\r\n X: y\r\n\r\n", TC_HTTP_ERR_FOLDING);
    REFUSED("HTTP/1.1 200 OK\r\nX\r\n\r\n", TC_HTTP_ERR_NO_COLON);
    for (size_t limit = 0; limit < sizeof(data) + 5; limit++) {
        bool same;
        int st = feed_head_every_way(data, sizeof(data) - 1, limit, &head, &same);
        CHECK(same);
        CHECK_INT(st, limit < sizeof(data) - 1 - 4 ? -TC_HTTP_ERR_HEAD_TOO_LONG : TC_OK);
    }
    feed_responses = false;
}

static void
test_chunked_in_1_0(void)
{
    static const char data[] = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    tc_http_head head;
    tc_http_parser parser = {0};
    REFUSED("POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n", TC_HTTP_ERR_TRANSFER_ENCODING);
    REFUSED("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
            TC_HTTP_ERR_LENGTH_AND_CHUNKED);
    CHECK_INT(tc_http_parse_head(&parser, data, sizeof(data) - 1, LIMIT, &head), TC_OK);
    CHECK_INT(head.flags, TC_HTTP_CHUNKED);
}

int
main(void)
{
    RUN(test_responses);
    RUN(test_chunked_in_1_0);
    RUN(test_spans);
    RUN(test_no_headers);
    RUN(test_methods);
    RUN(test_request_line);
    RUN(test_empty_lines_before);
    RUN(test_line_ends);
    RUN(test_header_lines);
    RUN(test_every_byte_everywhere);
    RUN(test_host);
    RUN(test_content_length);
    RUN(test_transfer_encoding);
    RUN(test_flags);
    RUN(test_limits);
    RUN(test_incomplete);
    RUN(test_trickle_is_linear);
    RUN(test_next_header);
    RUN(test_next_line);
    RUN(test_messages);
    return check_report();
}
