/* The framing of outgoing messages: what the headers become, how the body is framed, whether the connection lives
 * on, and what may be written when. */
#include "check.h"
#include "http/http_frame.h"

enum {
    H11 = 0,
    H10 = 1 << 8,
    HEAD = 1 << 9,
    KEEP = 1 << 10,
    CLOSES = 1 << 11,
    DRAINS = 1 << 12,
    LENGTH = 1 << 13
};

static tc_http_value
value(const char *text)
{
    return (tc_http_value){text, text != NULL ? strlen(text) : 0};
}

static tc_http_frame
frame_of(int facts)
{
    tc_http_frame frame = {.minor = facts & H10 ? 0 : 1,
                           .method_id = facts & HEAD ? TC_HTTP_HEAD : TC_HTTP_GET,
                           .flags = facts & KEEP ? TC_HTTP_CONN_KEEP_ALIVE : 0,
                           .closes = facts & CLOSES};
    tc_http_frame_reset(&frame);
    return frame;
}

static const struct response_case {
    int status;
    int facts;
    const char *connection, *encoding;
    unsigned plan;
    bool closes;
} response_cases[] = {
    /* HTTP/1.1: counted or chunked */
    {200, H11 | LENGTH, NULL, NULL, TC_PLAN_COUNTED, false},
    {200, H11, NULL, NULL, TC_PLAN_CHUNKED | TC_PLAN_SET_CHUNKED, false},
    {500, H11, NULL, NULL, TC_PLAN_CHUNKED | TC_PLAN_SET_CHUNKED, false},
    {200, H11 | CLOSES, NULL, NULL, TC_PLAN_CHUNKED | TC_PLAN_SET_CHUNKED | TC_PLAN_CLOSE, true},
    {200, H11 | CLOSES | LENGTH, NULL, NULL, TC_PLAN_COUNTED | TC_PLAN_CLOSE, true},
    {200, H11 | DRAINS | LENGTH, NULL, NULL, TC_PLAN_COUNTED | TC_PLAN_CLOSE, true},
    /* HTTP/1.0: counted or until the close; no Keep-Alive where that is not so */
    {200, H10 | LENGTH, NULL, NULL, TC_PLAN_COUNTED, false},
    {200, H10 | LENGTH | KEEP, NULL, NULL, TC_PLAN_COUNTED | TC_PLAN_KEEP_ALIVE, false},
    {200, H10 | KEEP, NULL, NULL, 0, true},
    {200, H10 | KEEP | LENGTH | DRAINS, NULL, NULL, TC_PLAN_COUNTED, true},
    {304, H10 | KEEP, NULL, NULL, TC_PLAN_EMPTY | TC_PLAN_KEEP_ALIVE, false},
    {204, H10 | KEEP, NULL, NULL, TC_PLAN_KEEP_ALIVE, false},
    {200, H10 | KEEP | HEAD, NULL, NULL, TC_PLAN_EMPTY | TC_PLAN_KEEP_ALIVE, false},
    /* without a body */
    {200, H11 | HEAD, NULL, NULL, TC_PLAN_EMPTY, false},
    {200, H11 | HEAD | LENGTH, NULL, NULL, TC_PLAN_EMPTY, false},
    {304, H11 | LENGTH, NULL, NULL, TC_PLAN_EMPTY, false},
    {204, H11, NULL, NULL, 0, false},
    {204, H11 | LENGTH, NULL, NULL, TC_PLAN_COUNTED, false},
    {100, H11, NULL, NULL, 0, false},
    {103, H11 | DRAINS, NULL, NULL, 0, false},
    {103, H11 | CLOSES, NULL, NULL, TC_PLAN_CLOSE, true},
    {99, H11, NULL, NULL, TC_PLAN_CHUNKED | TC_PLAN_SET_CHUNKED, false},
    /* the application's own Connection */
    {200, H11 | LENGTH, "close", NULL, TC_PLAN_COUNTED, true},
    {200, H11 | LENGTH, "Foo , CLOSE", NULL, TC_PLAN_COUNTED, true},
    {200, H11 | LENGTH, "closed", NULL, TC_PLAN_COUNTED, false},
    {200, H11 | LENGTH, "", NULL, TC_PLAN_COUNTED, false},
    {200, H11 | LENGTH | CLOSES, "Upgrade", NULL, TC_PLAN_COUNTED | TC_PLAN_CLOSE, true},
    {100, H11, "close", NULL, 0, false},
    {200, H10 | LENGTH | KEEP, "close", NULL, TC_PLAN_COUNTED, true},
    {200, H10 | LENGTH | KEEP, "other", NULL, TC_PLAN_COUNTED | TC_PLAN_KEEP_ALIVE, false},
    /* the application's own Transfer-Encoding */
    {200, H11, NULL, "chunked", TC_PLAN_CHUNKED | TC_PLAN_SET_CHUNKED, false},
    {200, H11, NULL, "", TC_PLAN_CHUNKED | TC_PLAN_SET_CHUNKED, false},
    {200, H11, NULL, "identity, Chunked", TC_PLAN_CHUNKED | TC_PLAN_SET_CHUNKED, false},
    {200, H11 | LENGTH, NULL, "chunked", TC_PLAN_COUNTED | TC_PLAN_REMOVE_ENCODING, false},
    {200, H11, NULL, "gzip", TC_PLAN_CHUNKED | TC_PLAN_SET_CODINGS, false},
    {200, H11 | LENGTH, NULL, "gzip", TC_PLAN_CHUNKED | TC_PLAN_SET_CODINGS | TC_PLAN_REMOVE_LENGTH, false},
    {200, H11 | HEAD, NULL, "gzip", TC_PLAN_EMPTY | TC_PLAN_SET_CODINGS, false},
    {304, H11, NULL, "chunked", TC_PLAN_EMPTY | TC_PLAN_SET_CHUNKED, false},
    {304, H11 | LENGTH, NULL, "chunked", TC_PLAN_EMPTY | TC_PLAN_REMOVE_ENCODING, false},
    {204, H11, NULL, "chunked", TC_PLAN_REMOVE_ENCODING, false},
    {101, H11, NULL, "gzip", TC_PLAN_REMOVE_ENCODING, false},
    {101, H11 | CLOSES, "Upgrade", NULL, 0, false},
    {101, H10 | CLOSES | KEEP, "Upgrade", NULL, 0, false},
    {200, H10, NULL, "gzip", TC_PLAN_REMOVE_ENCODING, true},
    {200, H10 | LENGTH | KEEP, NULL, "chunked",
     TC_PLAN_COUNTED | TC_PLAN_REMOVE_ENCODING | TC_PLAN_KEEP_ALIVE, false},
    {200, H11, "close", "gzip", TC_PLAN_CHUNKED | TC_PLAN_SET_CODINGS, true},
};

static void
test_responses(void)
{
    for (size_t i = 0; i < TC_ARRAY_LEN(response_cases); i++) {
        const struct response_case *c = &response_cases[i];
        tc_http_frame frame = frame_of(c->facts);
        tc_http_frame_fields fields = {.connection = value(c->connection),
                                       .encoding = value(c->encoding),
                                       .status = c->status,
                                       .has_length = c->facts & LENGTH,
                                       .draining = c->facts & DRAINS};
        bool plain = c->facts & LENGTH && c->connection == NULL && c->encoding == NULL &&
                     tc_http_frame_is_plain(&frame, c->status, fields.draining);
        unsigned plan = tc_http_frame_response(&frame, &fields);
        if (plan != c->plan || frame.closes != c->closes || (plain && plan != TC_PLAN_COUNTED)) {
            fprintf(stderr, "case %zu: plan %#x (expected %#x), closes %d (%d), plain %d\n", i, plan, c->plan,
                    frame.closes, c->closes, plain);
            check_failures++;
        }
    }
}

static void
test_requests(void)
{
    static const struct {
        const char *method;
        bool has_length;
        unsigned plan;
    } cases[] = {
        {"GET", false, 0},
        {"GET", true, TC_PLAN_COUNTED},
        {"POST", true, TC_PLAN_COUNTED},
        {"POST", false, TC_PLAN_CHUNKED | TC_PLAN_SET_CHUNKED},
        {"PUT", false, TC_PLAN_CHUNKED | TC_PLAN_SET_CHUNKED},
        {"PATCH", false, TC_PLAN_CHUNKED | TC_PLAN_SET_CHUNKED},
        {"post", false, 0},
        {"DELETE", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < TC_ARRAY_LEN(cases); i++) {
        tc_http_frame_fields fields = {.has_length = cases[i].has_length};
        CHECK_INT(tc_http_frame_request(value(cases[i].method), &fields), cases[i].plan);
    }
}

static void
test_keep_alive(void)
{
    CHECK(tc_http_may_keep_alive(0, 1, TC_HTTP_POST));
    CHECK(!tc_http_may_keep_alive(TC_HTTP_CONN_CLOSE, 1, TC_HTTP_GET));
    CHECK(!tc_http_may_keep_alive(0, 0, TC_HTTP_GET));
    CHECK(tc_http_may_keep_alive(TC_HTTP_CONN_KEEP_ALIVE, 0, TC_HTTP_GET));
    CHECK(tc_http_may_keep_alive(TC_HTTP_CONN_KEEP_ALIVE, 0, TC_HTTP_HEAD));
    CHECK(!tc_http_may_keep_alive(TC_HTTP_CONN_KEEP_ALIVE, 0, TC_HTTP_POST));
    CHECK(tc_http_may_keep_alive(TC_HTTP_CONN_KEEP_ALIVE | TC_HTTP_HAS_LENGTH, 0, TC_HTTP_POST));
    CHECK(!tc_http_may_keep_alive(TC_HTTP_CONN_KEEP_ALIVE | TC_HTTP_CHUNKED, 0, TC_HTTP_POST));
    CHECK(!tc_http_may_keep_alive(TC_HTTP_CONN_KEEP_ALIVE | TC_HTTP_CHUNKED, 0, TC_HTTP_GET));
    CHECK(tc_http_may_keep_alive(TC_HTTP_CHUNKED, 1, TC_HTTP_POST));
    tc_http_frame chunked = {.flags = TC_HTTP_CONN_KEEP_ALIVE | TC_HTTP_CHUNKED, .closes = true};
    tc_http_frame_fields fields = {.status = 200, .has_length = true};
    CHECK_INT(tc_http_frame_response(&chunked, &fields), TC_PLAN_COUNTED); /* without Keep-Alive */
    tc_http_head head = {.minor = 1, .method_id = TC_HTTP_PUT, .flags = TC_HTTP_HAS_LENGTH};
    tc_http_frame frame;
    tc_http_frame_begin(&frame, &head, false);
    CHECK(!frame.closes && frame.minor == 1 && frame.method_id == TC_HTTP_PUT);
    tc_http_frame_begin(&frame, &head, true);
    CHECK(frame.closes);
}

static void
check_codings(const char *encoding, const char *expected)
{
    char *out = malloc(tc_http_codings_room(value(encoding)));
    size_t size = tc_http_frame_codings(value(encoding), out);
    if (size != strlen(expected) || memcmp(out, expected, size) != 0) {
        fprintf(stderr, "codings of '%s' are '%.*s', not '%s'\n", encoding, (int)size, out, expected);
        check_failures++;
    }
    free(out);
}

static void
test_codings(void)
{
    check_codings("gzip", "gzip, chunked");
    check_codings(" GZip ,, br\t,chunked", "GZip, br, chunked");
    check_codings("chunked, gzip, Identity", "gzip, chunked");
    check_codings("a,b,c,d", "a, b, c, d, chunked");
    check_codings("\xe9 x", "\xe9 x, chunked");
}

static void
test_counting(void)
{
    tc_http_frame frame = frame_of(H11);
    CHECK(tc_http_frame_take(&frame, SIZE_MAX)); /* raw bytes before any head */
    tc_http_frame_open(&frame, TC_PLAN_COUNTED, 5);
    CHECK(tc_http_frame_accepts(&frame) && !tc_http_frame_is_chunked(&frame));
    CHECK(tc_http_frame_take(&frame, 0) && tc_http_frame_take(&frame, 3));
    CHECK_INT(tc_http_frame_missing(&frame), 2);
    CHECK(!tc_http_frame_take(&frame, 3));
    CHECK(!tc_http_frame_take(&frame, SIZE_MAX));
    CHECK(tc_http_frame_take(&frame, 2));
    CHECK_INT(tc_http_frame_missing(&frame), 0);
    CHECK(!tc_http_frame_take(&frame, 1));
    tc_http_frame_open(&frame, TC_PLAN_EMPTY, 99);
    CHECK(tc_http_frame_take(&frame, 0) && !tc_http_frame_take(&frame, 1));
    CHECK_INT(tc_http_frame_missing(&frame), 0);
    tc_http_frame_open(&frame, 0, 99);
    CHECK(tc_http_frame_take(&frame, SIZE_MAX));
    CHECK_INT(tc_http_frame_missing(&frame), 0);
}

static void
test_states(void)
{
    tc_http_frame frame = frame_of(H11);
    tc_http_frame_cut(&frame); /* nothing was begun: nothing is cut */
    CHECK(tc_http_frame_accepts(&frame) && !frame.closes);
    tc_http_frame_open(&frame, TC_PLAN_COUNTED, 1);
    tc_http_frame_cut(&frame);
    CHECK(!tc_http_frame_is_cut(&frame) && !frame.closes);
    tc_http_frame_open(&frame, TC_PLAN_CHUNKED, 0);
    CHECK(tc_http_frame_is_chunked(&frame) && tc_http_frame_take(&frame, SIZE_MAX));
    tc_http_frame_cut(&frame);
    CHECK(tc_http_frame_is_cut(&frame) && !tc_http_frame_is_chunked(&frame) && frame.closes);
    CHECK(!tc_http_frame_accepts(&frame) && !tc_http_frame_is_done(&frame));
    tc_http_frame_end(&frame);
    CHECK(tc_http_frame_is_done(&frame) && !tc_http_frame_accepts(&frame));
    tc_http_frame_reset(&frame);
    CHECK(tc_http_frame_accepts(&frame) && frame.left == -1);
}

static void
test_chunk_heads(void)
{
    static const size_t sizes[] = {1, 9, 10, 15, 16, 255, 256, 65536, 0xfffffff, 0x10000000, SIZE_MAX};
    for (size_t i = 0; i < TC_ARRAY_LEN(sizes); i++) {
        char line[TC_HTTP_CHUNK_HEAD_MAX], expected[32];
        size_t size = tc_http_frame_chunk_head(sizes[i], line);
        snprintf(expected, sizeof(expected), "%zx\r\n", sizes[i]);
        CHECK(size == strlen(expected) && memcmp(line, expected, size) == 0);
    }
}

static void
test_lengths(void)
{
    int64_t length = -7;
    CHECK(tc_http_parse_length(value("0"), &length) && length == 0);
    CHECK(tc_http_parse_length(value("00012"), &length) && length == 12);
    CHECK(tc_http_parse_length(value("999999999999999999"), &length) && length == 999999999999999999);
    CHECK(!tc_http_parse_length(value("1000000000000000000"), &length));
    CHECK(!tc_http_parse_length(value(""), &length));
    CHECK(!tc_http_parse_length(value("-1"), &length));
    CHECK(!tc_http_parse_length(value("1 "), &length));
    CHECK(!tc_http_parse_length(value("1,1"), &length));
    CHECK_INT(length, 999999999999999999);
}

int
main(void)
{
    RUN(test_responses);
    RUN(test_requests);
    RUN(test_keep_alive);
    RUN(test_codings);
    RUN(test_counting);
    RUN(test_states);
    RUN(test_chunk_heads);
    RUN(test_lengths);
    return check_report();
}
