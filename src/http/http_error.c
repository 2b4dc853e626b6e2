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

static bool
name_is(const char *name, size_t size, const char *lower)
{
    if (size != strlen(lower)) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != lower[i]) {
            return false;
        }
    }
    return true;
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

/* The line that begins at p, without its end; *next is where the next one begins. */
static const char *
line_end(const char *p, const char *end, const char **next)
{
    const char *feed = memchr(p, '\n', (size_t)(end - p));
    *next = feed != NULL ? feed + 1 : end;
    const char *stop = feed != NULL ? feed : end;
    return stop > p && stop[-1] == '\r' ? stop - 1 : stop;
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
text_add_version(text *t, const char *data, size_t size)
{
    const char *end = data + size, *next, *p = first_line(data, end);
    const char *stop = line_end(p, end, &next);
    if (stop - p >= 8) {
        text_add(t, " ", 1);
        text_add_repr(t, memcmp(p, "HTTP/", 5) == 0 ? p : stop - 8, 8);
    }
}

/* " name 'X '" or " value '...'", of the first header line that has something wrong. */
static void
text_add_bad_header(text *t, const char *data, size_t size)
{
    const char *end = data + size, *p = first_line(data, end), *next;
    (void)line_end(p, end, &next);
    for (p = next; p < end; p = next) {
        const char *stop = line_end(p, end, &next);
        const char *colon = memchr(p, ':', (size_t)(stop - p));
        if (colon == NULL) {
            return;
        }
        if (colon == p || tc_http_scan_token(p, p, colon) != colon) {
            text_add(t, " name ", 6);
            text_add_repr(t, p, (size_t)(colon - p));
            return;
        }
        const char *value = colon + 1, *value_end = stop;
        while (value < value_end && tc_http_is_blank(*value)) {
            value++;
        }
        while (value < value_end && tc_http_is_blank(value_end[-1])) {
            value_end--;
        }
        if (tc_http_scan_value(value, value, value_end) != value_end) {
            text_add(t, " value ", 7);
            text_add_repr(t, value, (size_t)(value_end - value));
            return;
        }
    }
}

/* Adds the values of the lines of one name, joined with commas. */
static void
text_add_values(text *t, const char *data, size_t size, const char *lower_name)
{
    const char *p = data;
    const char *end = data + size;
    bool first = true;
    while (p < end && (*p == '\r' || *p == '\n')) {
        p++;
    }
    while (p < end) {
        const char *feed = memchr(p, '\n', (size_t)(end - p));
        const char *line_end = feed != NULL ? feed : end;
        const char *next = feed != NULL ? feed + 1 : end;
        if (line_end > p && line_end[-1] == '\r') {
            line_end--;
        }
        if (line_end == p) {
            return;
        }
        const char *colon = memchr(p, ':', (size_t)(line_end - p));
        if (colon != NULL && name_is(p, (size_t)(colon - p), lower_name)) {
            const char *value = colon + 1;
            while (value < line_end && tc_http_is_blank(*value)) {
                value++;
            }
            while (value < line_end && tc_http_is_blank(line_end[-1])) {
                line_end--;
            }
            if (!first) {
                text_add(t, ",", 1);
            }
            first = false;
            text_add(t, value, (size_t)(line_end - value));
        }
        p = next;
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
        text_add_version(&t, data, size);
        break;
    case TC_HTTP_ERR_HEADER:
        text_add_bad_header(&t, data, size);
        break;
    case TC_HTTP_ERR_TRANSFER_ENCODING:
        text_add(&t, " ", 1);
        text_add_values(&t, data, size, "transfer-encoding");
        break;
    case TC_HTTP_ERR_CONTENT_LENGTH:
        text_add(&t, ": ", 2);
        text_add_values(&t, data, size, "content-length");
        break;
    case TC_HTTP_ERR_LENGTHS_DIFFER:
        text_add(&t, ": '", 3);
        text_add_values(&t, data, size, "content-length");
        text_add(&t, "'", 1);
        break;
    case TC_HTTP_ERR_HOST:
    case TC_HTTP_ERR_HOST_MULTIPLE:
        text_add(&t, ": '", 3);
        text_add_values(&t, data, size, "host");
        text_add(&t, "'", 1);
        break;
    default:
        break;
    }
    out[t.size] = '\0';
    return t.size;
}
