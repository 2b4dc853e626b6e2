/* Heads of responses, whole and cut: the same verdict, spans within the head, no line ends in values. */
#include "fuzz_head.h"

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
    fuzz_head_input in;
    feed_responses = true;
    if (fuzz_head_feed(&in, input, input_size) && in.status == TC_OK) {
        check_head(in.data, &in.head, in.size, in.limit);
    }
    return 0;
}
