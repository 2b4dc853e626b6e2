/* A response is framed as the input says, written as its plan says and read again by our own machines: they must
 * find exactly the body that was written, and nothing behind it.
 *
 * The first bytes of an input choose the request, the status and the headers; each byte after them is a piece of
 * body of that size, 255 cuts the message short. */
#include "../c/http_feed.h"
#include "http/http_frame.h"

#include <stdio.h>

static void
must(bool condition)
{
    if (!condition) {
        abort();
    }
}

typedef struct {
    char data[1 << 16];
    size_t size;
} bytes;

static void
put(bytes *to, const char *data, size_t size)
{
    must(to->size + size <= sizeof(to->data));
    memcpy(to->data + to->size, data, size);
    to->size += size;
}

static void
put_text(bytes *to, const char *text)
{
    put(to, text, strlen(text));
}

static const int statuses[] = {200, 204, 304, 100, 101, 404, 500, 99};
static const char *const connections[] = {NULL, "close",   "keep-alive", "a, Close",
                                          "",   "upgrade", "x,,",        " close\t"};
static const char *const encodings[] = {NULL, "chunked", "gzip",   "identity", "a, chunked, b",
                                        "",   " , ",     "CHUNKED"};

/* What was said and what became of it. */
typedef struct {
    tc_http_frame frame;
    tc_http_frame_fields fields;
    int64_t length;
    bool http11, head_only;
} message;

static tc_http_value
value(const char *text)
{
    return (tc_http_value){text, text != NULL ? strlen(text) : 0};
}

static void
put_header(bytes *to, const char *name, tc_http_value text)
{
    put_text(to, name);
    put_text(to, ": ");
    put(to, text.data, text.size);
    put_text(to, "\r\n");
}

/* As http_head_write.c has it. */
static unsigned
write_head(message *m, bytes *to)
{
    char codings[128], length[32];
    unsigned plan = tc_http_frame_response(&m->frame, &m->fields);
    tc_http_value connection = m->fields.connection, encoding = m->fields.encoding;
    if (plan & (TC_PLAN_CLOSE | TC_PLAN_KEEP_ALIVE)) {
        connection = value(plan & TC_PLAN_CLOSE ? "close" : "Keep-Alive");
    }
    if (plan & TC_PLAN_SET_CODINGS) {
        must(tc_http_codings_room(encoding) <= sizeof(codings));
        encoding = (tc_http_value){codings, tc_http_frame_codings(m->fields.encoding, codings)};
    }
    else if (plan & (TC_PLAN_REMOVE_ENCODING | TC_PLAN_SET_CHUNKED)) {
        encoding = value(plan & TC_PLAN_SET_CHUNKED ? "chunked" : NULL);
    }
    bool has_length = m->fields.has_length && !(plan & TC_PLAN_REMOVE_LENGTH);
    snprintf(length, sizeof(length), "HTTP/1.1 %03d X\r\n", m->fields.status);
    put_text(to, length);
    snprintf(length, sizeof(length), "%lld", (long long)m->length);
    if (has_length) {
        put_header(to, "Content-Length", value(length));
    }
    if (encoding.data != NULL) {
        put_header(to, "Transfer-Encoding", encoding);
    }
    if (connection.data != NULL) {
        put_header(to, "Connection", connection);
    }
    put_text(to, "\r\n");
    tc_http_frame_open(&m->frame, plan, m->length);
    must(!(has_length && encoding.data != NULL));
    return plan;
}

static void
write_piece(message *m, bytes *to, bytes *body, size_t size)
{
    static const char text[256] = "0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    int64_t left = m->frame.left;
    if (size == 0 || !tc_http_frame_accepts(&m->frame)) {
        return;
    }
    if (!tc_http_frame_take(&m->frame, size)) {
        must(left >= 0 && size > (uint64_t)left);
        return; /* a driver closes here */
    }
    must(left < 0 ? m->frame.left == left : m->frame.left == left - (int64_t)size);
    char line[TC_HTTP_CHUNK_HEAD_MAX];
    bool chunked = tc_http_frame_is_chunked(&m->frame);
    put(to, line, chunked ? tc_http_frame_chunk_head(size, line) : 0);
    put(to, text, size);
    put_text(to, chunked ? TC_HTTP_CHUNK_TAIL : "");
    put(body, text, size);
}

/* What a client is told of the body's length: by the headers that arrived, read again. */
typedef struct {
    bool chunked, close;
    int64_t length;
} said;

static said
read_headers(const char *block, size_t size)
{
    said found = {.length = -1};
    size_t pos = 0;
    tc_span name, text;
    while (tc_http_next_header(block, size, &pos, &name, &text)) {
        const char *p = block + text.off, *end = p + text.len;
        if (name.len == 14) {
            must(tc_http_parse_length((tc_http_value){p, text.len}, &found.length));
        }
        else if (name.len == 17) {
            found.chunked = tc_http_has_option(p, end, "chunked");
            must(text.len >= 7 && memcmp(end - 7, "chunked", 7) == 0); /* the last coding */
        }
        else {
            found.close = tc_http_has_option(p, end, "close");
        }
    }
    return found;
}

static void
check_body(const message *m, const said *found, const char *data, size_t size, const bytes *body, bool whole)
{
    int status = m->fields.status;
    if (m->head_only || !tc_http_status_has_body(status)) {
        must(status == 204 || (status >= 100 && status < 200) || size == 0);
        return;
    }
    if (found->chunked) {
        must(m->http11 && found->length == -1);
        chunked_result read = chunked_feed(data, size, 0, 0, UINT64_MAX);
        must(read.status == (whole ? TC_EOF : TC_AGAIN) && read.taken == size);
        must(read.body_size == body->size && memcmp(read.body, body->data, body->size) == 0);
        free(read.body);
        must(whole || m->frame.closes);
        return;
    }
    must(size == body->size && memcmp(data, body->data, size) == 0);
    if (found->length >= 0) {
        must(whole ? size == (size_t)found->length : size <= (size_t)found->length);
    }
    else {
        must(!m->http11 && m->frame.closes);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size)
{
    static bytes out, body;
    if (input_size < 4 || input_size > 100) {
        return 0;
    }
    out.size = body.size = 0;
    message m = {
        .http11 = input[0] & 1, .head_only = input[0] & 2, .length = input[3] * (input[0] & 64 ? 1 : 37)};
    tc_http_head request = {.minor = m.http11,
                            .method_id = m.head_only ? TC_HTTP_HEAD : TC_HTTP_GET,
                            .flags = input[0] & 4   ? TC_HTTP_CONN_KEEP_ALIVE
                                     : input[0] & 8 ? TC_HTTP_CONN_CLOSE
                                                    : 0};
    tc_http_frame_reset(&m.frame);
    tc_http_frame_begin(&m.frame, &request, input[0] & 16);
    m.fields = (tc_http_frame_fields){.connection = value(connections[input[2] & 7]),
                                      .encoding = value(encodings[input[2] >> 3 & 7]),
                                      .status = statuses[input[1] & 7],
                                      .has_length = input[0] & 32,
                                      .draining = input[1] & 8};
    bool plain = m.fields.has_length && m.fields.connection.data == NULL && m.fields.encoding.data == NULL &&
                 tc_http_frame_is_plain(&m.frame, m.fields.status, m.fields.draining);
    unsigned plan = write_head(&m, &out);
    must(!plain || plan == TC_PLAN_COUNTED);
    size_t head_size = out.size;
    bool closes = m.frame.closes;
    for (size_t i = 4; i < input_size; i++) {
        if (input[i] == 255) {
            tc_http_frame_cut(&m.frame);
        }
        else {
            write_piece(&m, &out, &body, input[i]);
        }
    }
    bool whole = !tc_http_frame_is_cut(&m.frame) && tc_http_frame_missing(&m.frame) == 0;
    if (tc_http_frame_is_chunked(&m.frame)) {
        put_text(&out, TC_HTTP_LAST_CHUNK);
    }
    tc_http_frame_end(&m.frame);

    tc_http_head head;
    feed_responses = true;
    must(feed_head(out.data, out.size, 65536, &head) == TC_OK && head.size == head_size);
    said found = read_headers(out.data + head.headers.off, head.headers.len);
    bool interim = m.fields.status >= 100 && m.fields.status < 200;
    must(interim || (m.http11 ? found.close == closes : closes || !found.close));
    check_body(&m, &found, out.data + head_size, out.size - head_size, &body, whole);
    return 0;
}
