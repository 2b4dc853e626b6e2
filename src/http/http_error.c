/* The texts of the request machines' errors. Cold: called when a request is refused. Plain C. */
#include "http/http_parser.h"

#include "http/http_chars.h"

const char *
tc_http_error_text(int error)
{
    switch (error < 0 ? -error : error) {
    case TC_HTTP_ERR_START_LINE:
        return "Malformed HTTP request line";
    case TC_HTTP_ERR_VERSION:
        return "Unexpected HTTP version";
    case TC_HTTP_ERR_HEADER:
        return "Invalid header";
    case TC_HTTP_ERR_NO_COLON:
        return "no colon in header line";
    case TC_HTTP_ERR_FOLDING:
        return "header line cannot start with whitespace, folding not supported";
    case TC_HTTP_ERR_HOST:
        return "Invalid Host header";
    case TC_HTTP_ERR_HOST_MISSING:
        return "Missing Host header";
    case TC_HTTP_ERR_HOST_MULTIPLE:
        return "Multiple host headers not allowed";
    case TC_HTTP_ERR_CONTENT_LENGTH:
        return "Only integer Content-Length is allowed";
    case TC_HTTP_ERR_LENGTHS_DIFFER:
        return "Multiple unequal Content-Lengths";
    case TC_HTTP_ERR_TRANSFER_ENCODING:
        return "Unsupported Transfer-Encoding";
    case TC_HTTP_ERR_LENGTH_AND_CHUNKED:
        return "Message with both Transfer-Encoding and Content-Length";
    case TC_HTTP_ERR_STATUS_LINE:
        return "Error parsing response start line";
    case TC_HTTP_ERR_LINE_TOO_LONG:
        return "HTTP request line too long";
    case TC_HTTP_ERR_HEAD_TOO_LONG:
        return "HTTP headers too long";
    case TC_HTTP_ERR_CHUNK_SIZE:
        return "invalid chunk size";
    case TC_HTTP_ERR_CHUNK_END:
        return "improperly terminated chunk";
    case TC_HTTP_ERR_CHUNK_LAST:
        return "improperly terminated chunked request";
    case TC_HTTP_ERR_BODY_TOO_LONG:
        return "chunked body too large";
    default:
        return "Malformed HTTP message";
    }
}

/* A bounded text; what does not fit is dropped. */
typedef struct {
    char *out;
    size_t size;
    size_t room;
} text;

static void
text_add(text *t, const char *bytes, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        uint8_t c = (uint8_t)bytes[i];
        if (c >= 0x20 && c < 0x7f) {
            if (t->size + 1 < t->room) {
                t->out[t->size++] = (char)c;
            }
        }
        else if (t->size + 4 < t->room) {
            char escape[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
            memcpy(t->out + t->size, escape, 4);
            t->size += 4;
        }
    }
}

/* Adds bytes as Python's repr() shows them as Latin-1 text, in UTF-8. */
static void
text_add_repr(text *t, const char *bytes, size_t size)
{
    bool double_quotes = memchr(bytes, '\'', size) != NULL && memchr(bytes, '"', size) == NULL;
    const char *quote = double_quotes ? "\"" : "'";
    text_add(t, quote, 1);
    for (size_t i = 0; i < size; i++) {
        uint8_t c = (uint8_t)bytes[i];
        if (c > 0xa0 && c != 0xad && t->size + 3 < t->room) {
            t->out[t->size++] = (char)(0xc0 | c >> 6);
            t->out[t->size++] = (char)(0x80 | (c & 0x3f));
        }
        else if (c == '\t' || c == '\n' || c == '\r' || c == '\\' || c == (uint8_t)*quote) {
            text_add(t, "\\", 1);
            text_add(t, c == '\t' ? "t" : c == '\n' ? "n" : c == '\r' ? "r" : (const char *)bytes + i, 1);
        }
        else {
            text_add(t, bytes + i, 1);
        }
    }
    text_add(t, quote, 1);
}

static const char *
first_line(const char *data, const char *end)
{
    while (data < end && (*data == '\r' || *data == '\n')) {
        data++;
    }
    return data;
}

/* "Unexpected HTTP version 'HTTP/2.0'": where a request line ends, or a status line begins. */
static void
text_add_version(text *t, const char *data, const char *end)
{
    tc_http_line line;
    const char *p = first_line(data, end);
    if (tc_http_next_line(data, &p, end, &line) && line.end - line.start >= 8) {
        text_add(t, " ", 1);
        text_add_repr(t, memcmp(line.start, "HTTP/", 5) == 0 ? line.start : line.end - 8, 8);
    }
}

/* " name 'X '" or " value '...'", of the first header line that is wrong. */
static void
text_add_bad_header(text *t, const char *data, const char *end)
{
    tc_http_line line;
    const char *p = first_line(data, end);
    (void)tc_http_next_line(data, &p, end, &line);
    while (tc_http_next_line(data, &p, end, &line) && line.colon != NULL) {
        if (line.colon == line.start ||
            tc_http_scan_token(line.start, line.start, line.colon) != line.colon) {
            text_add(t, " name ", 6);
            text_add_repr(t, line.start, (size_t)(line.colon - line.start));
            return;
        }
        if (tc_http_scan_value(line.value, line.value, line.value_end) != line.value_end) {
            text_add(t, " value ", 7);
            text_add_repr(t, line.value, (size_t)(line.value_end - line.value));
            return;
        }
    }
}

static bool
line_has_name(const tc_http_line *line, const char *lower)
{
    size_t size = strlen(lower);
    return line->colon != NULL && (size_t)(line->colon - line->start) == size &&
           tc_http_scan_token(line->start, line->start, line->colon) == line->colon &&
           tc_http_equal_blind(line->start, lower, size);
}

/* Adds the values of the lines of one name, joined with commas. */
static void
text_add_values(text *t, const char *data, const char *end, const char *lower_name)
{
    tc_http_line line;
    bool first = true;
    const char *p = first_line(data, end);
    while (tc_http_next_line(data, &p, end, &line) && line.end > line.start) {
        if (line_has_name(&line, lower_name)) {
            if (!first) {
                text_add(t, ",", 1);
            }
            first = false;
            text_add(t, line.value, (size_t)(line.value_end - line.value));
        }
    }
}

size_t
tc_http_error_message(int error, const char *data, size_t size, char *out, size_t room)
{
    text t = {out, 0, room};
    const char *base = tc_http_error_text(error);
    if (room == 0) {
        return 0;
    }
    text_add(&t, base, strlen(base));
    switch (error < 0 ? -error : error) {
    case TC_HTTP_ERR_VERSION:
        text_add_version(&t, data, data + size);
        break;
    case TC_HTTP_ERR_HEADER:
        text_add_bad_header(&t, data, data + size);
        break;
    case TC_HTTP_ERR_TRANSFER_ENCODING:
        text_add(&t, " ", 1);
        text_add_values(&t, data, data + size, "transfer-encoding");
        break;
    case TC_HTTP_ERR_CONTENT_LENGTH:
        text_add(&t, ": ", 2);
        text_add_values(&t, data, data + size, "content-length");
        break;
    case TC_HTTP_ERR_LENGTHS_DIFFER:
        text_add(&t, ": '", 3);
        text_add_values(&t, data, data + size, "content-length");
        text_add(&t, "'", 1);
        break;
    case TC_HTTP_ERR_HOST:
    case TC_HTTP_ERR_HOST_MULTIPLE:
        text_add(&t, ": '", 3);
        text_add_values(&t, data, data + size, "host");
        text_add(&t, "'", 1);
        break;
    default:
        break;
    }
    out[t.size] = '\0';
    return t.size;
}
