/* The machine for the heads of requests and responses. Owns nothing: the caller's bytes go in, spans come
 * out.
 *
 * A head that arrives whole is parsed in one pass. Otherwise only the new bytes are searched for its end, and
 * the head is parsed once that has come: a client that sends a byte at a time costs linear work. Plain C, any
 * thread. */
#include "http/http_parser.h"

#include "http/http_chars.h"

enum {
    MAX_EMPTY_LINES = 8, /* before the request line (RFC 9112, section 2.2) */
};

/* What the lines so far say about framing. */
typedef struct {
    const char *length; /* first item of the first Content-Length */
    size_t length_size;
    uint32_t hosts;
    uint32_t encodings;
    uint32_t connections;
    uint32_t expects;
    int length_error;
    bool chunked;
} framing;

#define IS(p, size, literal)                                                                                 \
    ((size) == sizeof(literal) - 1 && tc_http_equal_blind((p), (literal), sizeof(literal) - 1))

/* Counts the bytes of empty lines before the request line. */
static int
skip_empty_lines(const char *data, size_t size, size_t *start)
{
    size_t pos = 0;
    int lines = 0;
    while (pos < size) {
        const char *next = tc_http_pass_line_end(data + pos, data + size);
        if (TC_LIKELY(next == NULL)) {
            break;
        }
        if (++lines > MAX_EMPTY_LINES) {
            return -TC_HTTP_ERR_START_LINE;
        }
        pos = (size_t)(next - data);
    }
    *start = pos;
    return TC_OK;
}

/* The offset past the first empty line that follows a line, looking for line feeds in [from, size) only;
 * 0 where there is none. */
static size_t
find_head_end(const char *data, size_t start, size_t from, size_t size)
{
    size_t pos = from > start ? from : start;
    while (pos < size) {
        const char *feed = memchr(data + pos, '\n', size - pos);
        if (feed == NULL) {
            break;
        }
        size_t at = (size_t)(feed - data);
        if (at > start && data[at - 1] == '\n') {
            return at + 1;
        }
        if (at > start + 1 && data[at - 1] == '\r' && data[at - 2] == '\n') {
            return at + 1;
        }
        pos = at + 1;
    }
    return 0;
}

uint8_t
tc_http_method_id(const char *p, size_t size)
{
    switch (size) {
    case 3:
        return memcmp(p, "GET", 3) == 0   ? TC_HTTP_GET
               : memcmp(p, "PUT", 3) == 0 ? TC_HTTP_PUT
                                          : TC_HTTP_OTHER;
    case 4:
        return memcmp(p, "POST", 4) == 0   ? TC_HTTP_POST
               : memcmp(p, "HEAD", 4) == 0 ? TC_HTTP_HEAD
                                           : TC_HTTP_OTHER;
    case 5:
        return memcmp(p, "PATCH", 5) == 0 ? TC_HTTP_PATCH : TC_HTTP_OTHER;
    case 6:
        return memcmp(p, "DELETE", 6) == 0 ? TC_HTTP_DELETE : TC_HTTP_OTHER;
    case 7:
        return memcmp(p, "OPTIONS", 7) == 0 ? TC_HTTP_OPTIONS : TC_HTTP_OTHER;
    default:
        return TC_HTTP_OTHER;
    }
}

static inline bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Method, target and version; *pos moves past the line. */
static inline int
parse_start_line(const char *data, const char **pos, const char *end, tc_http_head *head)
{
    const char *p = *pos;
    const char *token = p;
    if (TC_LIKELY(end - p >= 4 && memcmp(p, "GET ", 4) == 0)) {
        head->method_id = TC_HTTP_GET;
        p += 3;
    }
    else {
        p = tc_http_scan_token(data, p, end);
        if (p == token || p == end || *p != ' ') {
            return -TC_HTTP_ERR_START_LINE;
        }
        head->method_id = tc_http_method_id(token, (size_t)(p - token));
    }
    head->method = (tc_span){(uint32_t)(token - data), (uint32_t)(p - token)};
    token = ++p;
    p = tc_http_scan_target(data, p, end);
    if (p == token || end - p < 10 || *p != ' ') {
        return -TC_HTTP_ERR_START_LINE;
    }
    head->target = (tc_span){(uint32_t)(token - data), (uint32_t)(p - token)};
    p++;
    uint64_t version = tc_http_load64(p);
    bool known = version == tc_http_load64("HTTP/1.1") || version == tc_http_load64("HTTP/1.0");
    if (TC_UNLIKELY(!known)) {
        bool digits = is_digit(p[5]) && p[6] == '.' && is_digit(p[7]);
        if (memcmp(p, "HTTP/", 5) != 0 || !digits || tc_http_pass_line_end(p + 8, end) == NULL) {
            return -TC_HTTP_ERR_START_LINE;
        }
        return -TC_HTTP_ERR_VERSION;
    }
    head->minor = (uint8_t)(p[7] - '0');
    *pos = tc_http_pass_line_end(p + 8, end);
    return *pos != NULL ? TC_OK : -TC_HTTP_ERR_START_LINE;
}

/* Version, status and reason of a response; *pos moves past the line. As in Tornado's pattern: three
 * digits, a space, and perhaps text. */
static int
parse_status_line(const char *data, const char **pos, const char *end, tc_http_head *head)
{
    const char *p = *pos;
    if (end - p < 14 || memcmp(p, "HTTP/", 5) != 0 || !is_digit(p[5]) || p[6] != '.' || !is_digit(p[7]) ||
        p[8] != ' ' || !is_digit(p[9]) || !is_digit(p[10]) || !is_digit(p[11]) || p[12] != ' ') {
        return -TC_HTTP_ERR_STATUS_LINE;
    }
    const char *reason = p + 13;
    const char *reason_end = tc_http_scan_value(data, reason, end);
    *pos = tc_http_pass_line_end(reason_end, end);
    if (*pos == NULL) {
        return -TC_HTTP_ERR_STATUS_LINE;
    }
    if (p[5] != '1') {
        return -TC_HTTP_ERR_VERSION;
    }
    head->minor = (uint8_t)(p[7] - '0');
    head->status = (uint16_t)((p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0'));
    head->target = (tc_span){(uint32_t)(reason - data), (uint32_t)(reason_end - reason)};
    return TC_OK;
}

/* One or more lengths in a list. They are compared as text and split as Tornado splits them: blanks are
 * allowed after a comma, not before it. */
static __attribute__((noinline)) void
take_content_length(framing *seen, const char *p, const char *end, tc_http_head *head)
{
    head->flags |= TC_HTTP_HAS_LENGTH;
    for (;;) {
        const char *piece = p;
        while (p < end && *p != ',') {
            p++;
        }
        size_t size = (size_t)(p - piece);
        if (seen->length != NULL) {
            head->flags |= TC_HTTP_LENGTH_LIST;
            if (size != seen->length_size || memcmp(piece, seen->length, size) != 0) {
                seen->length_error = -TC_HTTP_ERR_LENGTHS_DIFFER;
            }
        }
        else {
            uint64_t value = 0;
            bool valid = size > 0;
            for (size_t i = 0; i < size && valid; i++) {
                unsigned digit = (unsigned)(uint8_t)piece[i] - '0';
                valid = digit <= 9 && value <= ((uint64_t)INT64_MAX - digit) / 10;
                value = value * 10 + digit;
            }
            if (!valid) {
                seen->length_error = -TC_HTTP_ERR_CONTENT_LENGTH;
            }
            head->content_length = value;
            seen->length = piece;
            seen->length_size = size;
        }
        if (p == end) {
            return;
        }
        p++;
        while (p < end && tc_http_is_blank(*p)) {
            p++;
        }
    }
}

static void
take_connection(framing *seen, const char *p, const char *end, tc_http_head *head)
{
    head->flags &= ~(uint32_t)TC_HTTP_CONN_KEEP_ALIVE;
    if (seen->connections++ == 0 && IS(p, end - p, "keep-alive")) {
        head->flags |= TC_HTTP_CONN_KEEP_ALIVE;
        return;
    }
    if (tc_http_has_option(p, end, "close")) {
        head->flags |= TC_HTTP_CONN_CLOSE;
    }
}

/* Notes a header that matters to framing; name and value are valid. */
static inline void
take_header(framing *seen, const char *data, const char *name, size_t name_size, const char *value,
            const char *end, tc_http_head *head)
{
    switch (name_size) {
    case 4:
        if (tc_http_equal_blind(name, "host", 4)) {
            tc_http_trim(&value, &end);
            seen->hosts++;
            head->host = (tc_span){(uint32_t)(value - data), (uint32_t)(end - value)};
        }
        break;
    case 6:
        if (tc_http_equal_blind(name, "expect", 6)) {
            tc_http_trim(&value, &end);
            head->flags &= ~(uint32_t)TC_HTTP_EXPECT_CONTINUE;
            if (seen->expects++ == 0 && head->minor == 1 && IS(value, end - value, "100-continue")) {
                head->flags |= TC_HTTP_EXPECT_CONTINUE;
            }
        }
        break;
    case 10:
        if (tc_http_equal_blind(name, "connection", 10)) {
            tc_http_trim(&value, &end);
            take_connection(seen, value, end, head);
        }
        break;
    case 12:
        if (tc_http_equal_blind(name, "content-type", 12)) {
            head->flags |= TC_HTTP_HAS_CONTENT_TYPE;
        }
        break;
    case 13:
        if (tc_http_equal_blind(name, "if-none-match", 13)) {
            head->flags |= TC_HTTP_HAS_IF_NONE_MATCH;
        }
        break;
    case 14:
        if (tc_http_equal_blind(name, "content-length", 14)) {
            tc_http_trim(&value, &end);
            take_content_length(seen, value, end, head);
        }
        break;
    case 17:
        if (tc_http_equal_blind(name, "transfer-encoding", 17)) {
            tc_http_trim(&value, &end);
            seen->chunked = seen->encodings++ == 0 && IS(value, end - value, "chunked");
        }
        break;
    default:
        break;
    }
}

static inline bool
host_is_valid(const char *data, const char *p, const char *end)
{
    for (;;) {
        p = tc_http_scan_host(data, p, end);
        if (TC_LIKELY(p == end)) {
            return true;
        }
        if (*p != '%' || end - p < 3 || tc_http_hex_digit(p[1]) < 0 || tc_http_hex_digit(p[2]) < 0) {
            return false;
        }
        p += 3;
    }
}

/* Judges what the headers say about the body. */
static inline int
check_body(const framing *seen, tc_http_head *head)
{
    if (seen->length_error != 0) {
        return seen->length_error;
    }
    if (seen->encodings != 0) {
        if (head->flags & TC_HTTP_HAS_LENGTH) {
            return -TC_HTTP_ERR_LENGTH_AND_CHUNKED;
        }
        if (!seen->chunked) {
            return -TC_HTTP_ERR_TRANSFER_ENCODING;
        }
        head->flags |= TC_HTTP_CHUNKED;
    }
    return TC_OK;
}

/* Judges the headers together, in the order in which Tornado meets them. */
static inline int
check_framing(const framing *seen, const char *data, tc_http_head *head)
{
    if (TC_LIKELY(seen->hosts == 1)) {
        const char *host = data + head->host.off;
        if (TC_UNLIKELY(!host_is_valid(data, host, host + head->host.len))) {
            return memchr(host, ',', head->host.len) != NULL ? -TC_HTTP_ERR_HOST_MULTIPLE : -TC_HTTP_ERR_HOST;
        }
    }
    else if (seen->hosts > 1) {
        return -TC_HTTP_ERR_HOST_MULTIPLE;
    }
    else if (head->minor == 1) {
        return -TC_HTTP_ERR_HOST_MISSING;
    }
    return check_body(seen, head);
}

int
tc_http_judge_body(tc_http_value length, tc_http_value encoding, tc_http_value expect, tc_http_head *head)
{
    framing seen = {0};
    head->flags &=
        ~(uint32_t)(TC_HTTP_HAS_LENGTH | TC_HTTP_LENGTH_LIST | TC_HTTP_CHUNKED | TC_HTTP_EXPECT_CONTINUE);
    head->content_length = 0;
    if (length.data != NULL) {
        take_header(&seen, NULL, "content-length", 14, length.data, length.data + length.size, head);
    }
    if (encoding.data != NULL) {
        take_header(&seen, NULL, "transfer-encoding", 17, encoding.data, encoding.data + encoding.size, head);
    }
    if (expect.data != NULL) {
        take_header(&seen, NULL, "expect", 6, expect.data, expect.data + expect.size, head);
    }
    return check_body(&seen, head);
}

static __attribute__((noinline)) int
name_error(const char *line, const char *end)
{
    if (tc_http_is_blank(*line)) {
        return -TC_HTTP_ERR_FOLDING;
    }
    for (const char *p = line; p < end && *p != '\n'; p++) {
        if (*p == ':') {
            return -TC_HTTP_ERR_HEADER;
        }
    }
    return -TC_HTTP_ERR_NO_COLON;
}

/* Parses the head that starts at data + start. An error where [start, size) holds no complete head means
 * nothing: the caller looks for the end then. `response`, a constant, selects the kind of head. */
static inline __attribute__((always_inline)) int
parse_lines(const char *data, size_t start, size_t size, bool response, tc_http_head *head)
{
    const char *p = data + start;
    const char *end = data + size;
    framing seen = {0};
    memset(head, 0, sizeof(*head));
    int st = response ? parse_status_line(data, &p, end, head) : parse_start_line(data, &p, end, head);
    if (TC_UNLIKELY(st != TC_OK)) {
        return st;
    }
    head->headers.off = (uint32_t)(p - data);
    while (p < end) {
        const char *name = p;
        p = tc_http_scan_token(data, p, end);
        if (TC_UNLIKELY(p == end || *p != ':' || p == name)) {
            const char *next = p == name ? tc_http_pass_line_end(p, end) : NULL;
            if (next == NULL) {
                return name_error(name, end);
            }
            head->headers.len = (uint32_t)(p - data) - head->headers.off;
            head->size = (uint32_t)(next - data);
            return response ? TC_OK : check_framing(&seen, data, head);
        }
        size_t name_size = (size_t)(p - name);
        const char *value = p + 1;
        const char *value_end = tc_http_scan_value(data, value, end);
        p = tc_http_pass_line_end(value_end, end);
        if (TC_UNLIKELY(p == NULL)) {
            return -TC_HTTP_ERR_HEADER;
        }
        if (!response) {
            take_header(&seen, data, name, name_size, value, value_end, head);
        }
    }
    return TC_AGAIN;
}

static inline __attribute__((always_inline)) int
parse_head(tc_http_parser *parser, const char *data, size_t size, size_t limit, bool response,
           tc_http_head *head)
{
    size_t window = tc_min_size(size, tc_min_size(limit, UINT32_MAX));
    size_t start = 0;
    int st = TC_OK;
    if (TC_UNLIKELY(window == 0 || (uint8_t)data[0] <= '\r')) {
        st = skip_empty_lines(data, window, &start);
        if (st != TC_OK) {
            return st;
        }
    }
    if (TC_UNLIKELY(start == window)) {
        st = TC_AGAIN;
    }
    else if (TC_LIKELY(parser->scanned == 0)) {
        st = parse_lines(data, start, window, response, head);
        if (TC_LIKELY(st == TC_OK)) {
            return TC_OK;
        }
        if (st < 0 && find_head_end(data, start, start, window) != 0) {
            return st;
        }
    }
    else {
        size_t head_end = find_head_end(data, start, parser->scanned, window);
        if (head_end != 0) {
            st = parse_lines(data, start, head_end, response, head);
            assert(st != TC_AGAIN);
            return st;
        }
    }
    if (size > window) {
        bool in_first_line = !response && memchr(data + start, '\n', window - start) == NULL;
        return in_first_line ? -TC_HTTP_ERR_LINE_TOO_LONG : -TC_HTTP_ERR_HEAD_TOO_LONG;
    }
    parser->scanned = (uint32_t)window;
    return TC_AGAIN;
}

int
tc_http_parse_head(tc_http_parser *parser, const char *data, size_t size, size_t limit, tc_http_head *head)
{
    return parse_head(parser, data, size, limit, false, head);
}

int
tc_http_parse_response_head(tc_http_parser *parser, const char *data, size_t size, size_t limit,
                            tc_http_head *head)
{
    return parse_head(parser, data, size, limit, true, head);
}
