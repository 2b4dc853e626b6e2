/* The WebSocket machines: a whole input, the same cut at a point, and the same in small pieces give one result,
 * that of the slow reading of the RFC.
 *
 * The first two bytes of the input choose the cut, the third the role and the extension, the fourth the largest
 * size of a message (255: none). */
#include "../c/ws_feed.h"

static void
must_equal(const ws_transcript *a, const ws_transcript *b)
{
    if (!ws_same(a, b)) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size)
{
    if (input_size < 4) {
        return 0;
    }
    size_t size = input_size - 4;
    size_t cut = (input[0] | (size_t)input[1] << 8) % (size + 1);
    bool masked = input[2] & 1, deflate = input[2] & 2;
    uint64_t max = input[3] == 255 ? UINT64_MAX : input[3] * 4u;
    const char *data = (const char *)input + 4;
    ws_transcript slow = ws_slow(input + 4, size, masked, deflate, max);
    ws_transcript whole = ws_feed_all(data, size, size, size, masked, deflate, max);
    ws_transcript halves = ws_feed_all(data, size, cut, size + 1, masked, deflate, max);
    ws_transcript bytes = ws_feed_all(data, size, 1, 1 + input[0] % 5, masked, deflate, max);
    must_equal(&slow, &whole);
    must_equal(&slow, &halves);
    must_equal(&slow, &bytes);
    free(slow.data);
    free(whole.data);
    free(halves.data);
    free(bytes.data);
    return 0;
}
