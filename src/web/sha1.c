/* See sha1.h. The names are those of RFC 3174. */
#include "web/sha1.h"

#include <string.h>

enum { BLOCK = 64, WORDS = 16 };

static inline uint32_t
rotate(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static inline uint32_t
load(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void
store(uint8_t *p, uint32_t x)
{
    p[0] = (uint8_t)(x >> 24);
    p[1] = (uint8_t)(x >> 16);
    p[2] = (uint8_t)(x >> 8);
    p[3] = (uint8_t)x;
}

/* Word t of the schedule, of which w keeps the last sixteen. */
#define SCHEDULE(t)                                                                                          \
    ((t) < WORDS                                                                                             \
         ? w[t]                                                                                              \
         : (w[(t) % WORDS] = rotate(                                                                         \
                w[((t) + 13) % WORDS] ^ w[((t) + 8) % WORDS] ^ w[((t) + 2) % WORDS] ^ w[(t) % WORDS], 1)))

#define CHOOSE(b, c, d) ((d) ^ ((b) & ((c) ^ (d))))
#define PARITY(b, c, d) ((b) ^ (c) ^ (d))
#define MAJORITY(b, c, d) (((b) & (c)) | ((d) & ((b) | (c))))

/* One step. The five values move on by one place, which the caller does by their order. */
#define STEP(t, f, k, a, b, c, d, e)                                                                         \
    e += rotate(a, 5) + f(b, c, d) + (k) + SCHEDULE(t);                                                      \
    b = rotate(b, 30)

#define FIVE(t, f, k)                                                                                        \
    STEP((t), f, k, a, b, c, d, e);                                                                          \
    STEP((t) + 1, f, k, e, a, b, c, d);                                                                      \
    STEP((t) + 2, f, k, d, e, a, b, c);                                                                      \
    STEP((t) + 3, f, k, c, d, e, a, b);                                                                      \
    STEP((t) + 4, f, k, b, c, d, e, a)

#define TWENTY(t, f, k)                                                                                      \
    FIVE((t), f, k);                                                                                         \
    FIVE((t) + 5, f, k);                                                                                     \
    FIVE((t) + 10, f, k);                                                                                    \
    FIVE((t) + 15, f, k)

static void
sha1_block(uint32_t h[5], const uint8_t *block)
{
    uint32_t w[WORDS], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int t = 0; t < WORDS; t++) {
        w[t] = load(block + 4 * t);
    }
    TWENTY(0, CHOOSE, 0x5a827999);
    TWENTY(20, PARITY, 0x6ed9eba1);
    TWENTY(40, MAJORITY, 0x8f1bbcdc);
    TWENTY(60, PARITY, 0xca62c1d6);
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

void
tc_sha1(const void *data, size_t size, uint8_t digest[TC_SHA1_SIZE])
{
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    const uint8_t *p = data;
    uint8_t last[2 * BLOCK];
    uint64_t bits = (uint64_t)size * 8;
    size_t rest = size % BLOCK, padded = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;
    for (const uint8_t *end = p + (size - rest); p < end; p += BLOCK) {
        sha1_block(h, p);
    }
    memset(last + rest, 0, padded - rest);
    if (rest > 0) {
        memcpy(last, p, rest);
    }
    last[rest] = 0x80;
    store(last + padded - 8, (uint32_t)(bits >> 32));
    store(last + padded - 4, (uint32_t)bits);
    for (size_t i = 0; i < padded; i += BLOCK) {
        sha1_block(h, last + i);
    }
    for (int i = 0; i < 5; i++) {
        store(digest + 4 * i, h[i]);
    }
}
