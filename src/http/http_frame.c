/* The framing of outgoing messages: decides from its arguments and keeps nothing but the caller's
 * tc_http_frame. Plain C, any thread. */
#include "http/http_frame.h"

#include "http/http_chars.h"

/* ---- the application's own Transfer-Encoding ---- */

/* The next coding that is the application's own; *pos moves past it. False at the end. "chunked" belongs to
 * the connection, which alone cuts into chunks, and "identity" stands for none. */
static bool
next_own_coding(tc_http_value encoding, size_t *pos, tc_http_value *coding)
{
    const char *p = encoding.data + *pos, *end = encoding.data + encoding.size;
    while (p < end) {
        const char *start = p, *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma != NULL ? comma : end;
        p = comma != NULL ? comma + 1 : end;
        tc_http_trim(&start, &stop);
        if (start < stop && !tc_http_has_option(start, stop, "chunked") &&
            !tc_http_has_option(start, stop, "identity")) {
            *coding = (tc_http_value){start, (size_t)(stop - start)};
            *pos = (size_t)(p - encoding.data);
            return true;
        }
    }
    return false;
}

size_t
tc_http_frame_codings(tc_http_value encoding, char *out)
{
    size_t pos = 0, size = 0;
    tc_http_value coding;
    while (next_own_coding(encoding, &pos, &coding)) {
        memcpy(out + size, coding.data, coding.size);
        size += coding.size;
        memcpy(out + size, ", ", 2);
        size += 2;
    }
    memcpy(out + size, "chunked", 7);
    return size + 7;
}

/* Brings the application's own Transfer-Encoding in line with how the body is sent. Only the connection cuts
 * bodies into chunks, so "chunked" is removed where it will not. The application's own codings stay in front
 * of "chunked"; such a body has no Content-Length (RFC 9112, sections 6.1 and 6.2). `forbidden`: the status
 * never has a body, 204 or 1xx. With 304 and HEAD the header describes the response to a GET. */
static unsigned
plan_encoding(const tc_http_frame_fields *fields, bool http11, bool forbidden)
{
    size_t pos = 0;
    tc_http_value own;
    if (forbidden || !http11) {
        return TC_PLAN_REMOVE_ENCODING;
    }
    if (next_own_coding(fields->encoding, &pos, &own)) {
        return TC_PLAN_SET_CODINGS | (fields->has_length ? TC_PLAN_REMOVE_LENGTH : 0);
    }
    return fields->has_length ? TC_PLAN_REMOVE_ENCODING : TC_PLAN_SET_CHUNKED;
}

/* ---- plans ---- */

unsigned
tc_http_frame_response(tc_http_frame *frame, const tc_http_frame_fields *fields)
{
    int status = fields->status;
    bool http11 = frame->minor == 1;
    bool interim = status >= 100 && status < 200; /* the final response is still to come */
    bool empty = frame->method_id == TC_HTTP_HEAD || status == 304;
    bool has_body = !empty && tc_http_status_has_body(status);
    unsigned plan = empty ? TC_PLAN_EMPTY : 0;
    if (TC_UNLIKELY(fields->encoding.data != NULL)) {
        plan |= plan_encoding(fields, http11, interim || status == 204);
    }
    bool has_length = fields->has_length && !(plan & TC_PLAN_REMOVE_LENGTH);
    bool undelimited = has_body && !has_length;
    if (has_length && !empty) {
        plan |= TC_PLAN_COUNTED;
    }
    if (undelimited && http11) {
        plan |= TC_PLAN_CHUNKED | (fields->encoding.data == NULL ? TC_PLAN_SET_CHUNKED : 0);
    }
    if (TC_UNLIKELY(status == 101)) {
        frame->closes = false; /* another protocol goes on, and Connection says so */
        return plan;
    }
    tc_http_value said = fields->connection;
    bool says_close = said.data != NULL && tc_http_has_option(said.data, said.data + said.size, "close");
    if (TC_UNLIKELY((says_close || fields->draining) && !interim)) {
        frame->closes = true;
    }
    if (TC_UNLIKELY(undelimited && !http11)) {
        frame->closes = true; /* only the close ends the body */
    }
    if (says_close) {
        return plan; /* the application's header says so already */
    }
    if (http11) {
        return frame->closes ? plan | TC_PLAN_CLOSE : plan;
    }
    bool asked = (frame->flags & (TC_HTTP_CONN_KEEP_ALIVE | TC_HTTP_CHUNKED)) == TC_HTTP_CONN_KEEP_ALIVE;
    return asked && !undelimited && !fields->draining ? plan | TC_PLAN_KEEP_ALIVE : plan;
}

unsigned
tc_http_frame_request(tc_http_value method, const tc_http_frame_fields *fields)
{
    if (fields->has_length) {
        return TC_PLAN_COUNTED;
    }
    bool has_body = (method.size == 4 && memcmp(method.data, "POST", 4) == 0) ||
                    (method.size == 3 && memcmp(method.data, "PUT", 3) == 0) ||
                    (method.size == 5 && memcmp(method.data, "PATCH", 5) == 0);
    return has_body ? TC_PLAN_CHUNKED | TC_PLAN_SET_CHUNKED : 0;
}

/* ---- numbers ---- */

size_t
tc_http_frame_chunk_head(size_t size, char out[TC_HTTP_CHUNK_HEAD_MAX])
{
    int digits = 1;
    while (digits < 2 * (int)sizeof(size_t) && size >> 4 * digits != 0) {
        digits++;
    }
    for (int i = digits - 1; i >= 0; i--, size >>= 4) {
        out[i] = "0123456789abcdef"[size & 15];
    }
    memcpy(out + digits, "\r\n", 2);
    return (size_t)digits + 2;
}
