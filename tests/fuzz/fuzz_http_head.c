/* Requests' heads, whole and cut: every span lies in the head; each header of an accepted block is read
 * again. */
#include "fuzz_head.h"

static void
must_lie_in(tc_span span, uint32_t low, uint32_t high)
{
    must(span.off >= low && span.off <= high && span.len <= high - span.off);
}

static void
check_head(const char *data, const tc_http_head *head, size_t size, size_t limit)
{
    must(head->size <= size && head->size <= limit && head->minor <= 1);
    must_lie_in(head->method, 0, head->size);
    must_lie_in(head->target, head->method.off + head->method.len + 1, head->size);
    must_lie_in(head->headers, head->target.off + head->target.len + 10, head->size - 1);
    must(head->method.len > 0 && head->target.len > 0);
    must(head->content_length == 0 || (head->flags & TC_HTTP_HAS_LENGTH));
    must(!(head->flags & TC_HTTP_HAS_LENGTH) || !(head->flags & TC_HTTP_CHUNKED));
    must(head->content_length <= INT64_MAX);
    if (head->host.off != 0) {
        must_lie_in(head->host, head->headers.off, head->headers.off + head->headers.len);
    }
    char *block = exact_copy(data + head->headers.off, head->headers.len);
    size_t pos = 0;
    tc_span name, value;
    while (tc_http_next_header(block, head->headers.len, &pos, &name, &value)) {
        must(name.len > 0);
        must_lie_in(name, 0, head->headers.len);
        must_lie_in(value, name.off + name.len + 1, head->headers.len);
        for (uint32_t i = value.off; i < value.off + value.len; i++) {
            must(block[i] != '\r' && block[i] != '\n' && block[i] != '\0');
        }
    }
    must(pos == head->headers.len);
    free(block);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size)
{
    fuzz_head_input in;
    if (fuzz_head_feed(&in, input, input_size) && in.status == TC_OK) {
        tc_http_head other;
        check_head(in.data, &in.head, in.size, in.limit);
        must(feed_head(in.data, in.head.size, in.limit, &other) == TC_OK);
        must(feed_head(in.data, in.head.size - 1, in.limit, &other) == TC_AGAIN);
    }
    return 0;
}
