/* The head machine: a whole input, the same cut at a point, and the same byte by byte give one verdict; every
 * span lies in the head; each header of an accepted block is read again.
 *
 * The first two bytes of the input choose the cut, the third the limit (255: none that matters). */
#include "../c/http_feed.h"

static void
must(bool condition)
{
    if (!condition) {
        abort();
    }
}

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
    if (input_size < 3) {
        return 0;
    }
    size_t size = input_size - 3;
    size_t cut = (input[0] | (size_t)input[1] << 8) % (size + 1);
    size_t limit = input[2] == 255 ? 65536 : (size_t)input[2] * 4;
    const char *data = (const char *)input + 3;
    tc_http_head head, other;
    int st = feed_head(data, size, limit, &head);
    int other_st = feed_head_cut(data, size, cut, limit, &other);
    must(head_equal(st, &head, other_st, &other));
    other_st = feed_head_bytes(data, size, limit, &other);
    must(head_equal(size > 0 ? st : TC_AGAIN, &head, other_st, &other));
    if (st == TC_OK) {
        check_head(data, &head, size, limit);
        must(feed_head(data, head.size, limit, &other) == TC_OK);
        must(feed_head(data, head.size - 1, limit, &other) == TC_AGAIN);
    }
    else if (st < 0) {
        char text[64];
        size_t length = tc_http_error_message(st, data, size, text, sizeof(text));
        must(length < sizeof(text) && strlen(text) == length);
    }
    return 0;
}
