/* What the targets over heads share. The first two bytes of an input choose where it is cut, the third the
 * limit (255: none that matters); the rest is fed whole, cut at that point and byte by byte, which must give
 * one verdict, and an error must have a message. */
#ifndef FUZZ_HEAD_H
#define FUZZ_HEAD_H

#include "http_feed.h"

static void
must(bool condition)
{
    if (!condition) {
        abort();
    }
}

typedef struct {
    const char *data;
    size_t size, limit;
    tc_http_head head;
    int status; /* of the head machine */
} fuzz_head_input;

/* False for an input that is too short to be one. */
static bool
fuzz_head_feed(fuzz_head_input *in, const uint8_t *input, size_t input_size)
{
    if (input_size < 3) {
        return false;
    }
    in->size = input_size - 3;
    in->limit = input[2] == 255 ? 65536 : (size_t)input[2] * 4;
    in->data = (const char *)input + 3;
    size_t cut = (input[0] | (size_t)input[1] << 8) % (in->size + 1);
    tc_http_head other;
    in->status = feed_head(in->data, in->size, in->limit, &in->head);
    int other_status = feed_head_cut(in->data, in->size, cut, in->limit, &other);
    must(head_equal(in->status, &in->head, other_status, &other));
    other_status = feed_head_bytes(in->data, in->size, in->limit, &other);
    must(head_equal(in->size > 0 ? in->status : TC_AGAIN, &in->head, other_status, &other));
    if (in->status < 0) {
        char text[64];
        size_t length = tc_http_error_message(in->status, in->data, in->size, text, sizeof(text));
        must(length < sizeof(text) && strlen(text) == length);
    }
    return true;
}

#endif
