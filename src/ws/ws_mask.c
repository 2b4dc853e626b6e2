/* See ws_mask.h. Vectors and words are moved by memcpy, so that no address need be aligned. */
#include "ws/ws_mask.h"

/* GCC's and Clang's vectors: of whatever width the processor has, two words where it has none. */
typedef uint64_t mask_vector __attribute__((vector_size(16)));

enum { VECTORS = 4, BLOCK = VECTORS * sizeof(mask_vector) };

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* A block is loaded whole before it is stored, since `to` may be `from`. */
static inline mask_vector
mask_block(char *to, const char *from, mask_vector key)
{
    mask_vector v[VECTORS];
    memcpy(v, from, BLOCK);
    v[0] ^= key;
    v[1] ^= key;
    v[2] ^= key;
    v[3] ^= key;
    memcpy(to, v, BLOCK);
    return (v[0] | v[1]) | (v[2] | v[3]);
}

bool
tc_ws_mask(char *to, const char *from, size_t size, const uint8_t key[4], size_t phase)
{
    uint8_t turned[sizeof(uint64_t)];
    for (size_t i = 0; i < sizeof(turned); i++) {
        turned[i] = key[(phase + i) & 3];
    }
    uint64_t wide;
    memcpy(&wide, turned, sizeof(wide));
    mask_vector wider = {wide, wide}, seen_wide = {0, 0};
    size_t i = 0;
    for (; size - i >= BLOCK; i += BLOCK) {
        seen_wide |= mask_block(to + i, from + i, wider);
    }
    uint64_t seen = seen_wide[0] | seen_wide[1];
    for (; size - i >= sizeof(wide); i += sizeof(wide)) {
        uint64_t word;
        memcpy(&word, from + i, sizeof(word));
        word ^= wide;
        seen |= word;
        memcpy(to + i, &word, sizeof(word));
    }
    for (; i < size; i++) {
        uint8_t byte = (uint8_t)from[i] ^ turned[i & 3];
        seen |= byte;
        to[i] = (char)byte;
    }
    return (seen & HIGH_BITS) == 0;
}
