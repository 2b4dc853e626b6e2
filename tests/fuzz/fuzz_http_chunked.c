/* The chunked machine: a whole body, the same cut at a point, and the same in small pieces give one result.
 *
 * The first two bytes of the input choose the cut, the third the limit (255: none). */
#include "../c/http_feed.h"

static void
must_equal(const chunked_result *a, const chunked_result *b)
{
    if (!chunked_equal(a, b)) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size)
{
    if (input_size < 3) {
        return 0;
    }
    size_t size = input_size - 3;
    size_t cut = (input[0] | (size_t)input[1] << 8) % (size + 1);
    uint64_t limit = input[2] == 255 ? UINT64_MAX : input[2];
    const char *data = (const char *)input + 3;
    chunked_result whole = chunked_feed(data, size, 0, 0, limit);
    chunked_result halves = chunked_feed(data, size, cut, 0, limit);
    chunked_result bytes = chunked_feed(data, size, 0, 1 + input[0] % 5, limit);
    must_equal(&whole, &halves);
    must_equal(&whole, &bytes);
    if (whole.body_size > limit || whole.taken > size) {
        abort();
    }
    free(whole.body);
    free(halves.body);
    free(bytes.body);
    return 0;
}
