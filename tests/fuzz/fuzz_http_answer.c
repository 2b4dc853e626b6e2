/* Answers' heads, whole and cut: the same verdict, spans within the head, no line ends in values. */
#include <string.h>

#include "http_feed.h"

static void
must(bool condition)
{
    if (!condition) {
        __builtin_trap();
    }
}

static void
check_head(const char *data, const tc_http_head *head, size_t size, size_t limit)
{
    must(head->size <= size && head->size <= limit && head->minor <= 9 && head->status <= 999);
    must(head->target.off >= 13 && head->target.off + head->target.len < head->headers.off);
    must(head->headers.off + head->headers.len < head->size);
    must(head->flags == 0 && head->content_length == 0);
    char *block = exact_copy(data + head->headers.off, head->headers.len);
    size_t pos = 0;
    tc_span name, value;
    while (tc_http_next_header(block, head->headers.len, &pos, &name, &value)) {
        must(name.len > 0 && memchr(block + value.off, '\n', value.len) == NULL);
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
    feed_answers = true;
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
    }
    else if (st < 0) {
        char text[64];
        size_t length = tc_http_error_message(st, data, size, text, sizeof(text));
        must(length < sizeof(text) && strlen(text) == length);
    }
    return 0;
}
