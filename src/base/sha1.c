/* See sha1.h. Two compressors with one contract: whole blocks in, the state updated. */
#include "base/sha1.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>
#define TC_SHA1_X86 1
#endif

static inline uint32_t
rotate(uint32_t x, int n)
{
    return (x << n) | (x >> (32 - n));
}

static inline uint32_t
load_be32(const uint8_t *p)
{
    uint32_t x;
    memcpy(&x, p, 4);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    x = __builtin_bswap32(x);
#endif
    return x;
}

/* Twenty rounds with one function and constant. The words are made as they are needed, in a ring of sixteen. */
#define TC_SHA1_ROUNDS(from, function, constant)                                                             \
    for (int i = (from); i < (from) + 20; i++) {                                                             \
        uint32_t *word = &w[i & 15];                                                                         \
        if (i >= 16) {                                                                                       \
            *word = rotate(*word ^ w[(i + 2) & 15] ^ w[(i + 8) & 15] ^ w[(i + 13) & 15], 1);                 \
        }                                                                                                    \
        uint32_t next = rotate(a, 5) + (function) + e + (constant) + *word;                                  \
        e = d;                                                                                               \
        d = c;                                                                                               \
        c = rotate(b, 30);                                                                                   \
        b = a;                                                                                               \
        a = next;                                                                                            \
    }

static void
sha1_blocks_portable(uint32_t state[5], const uint8_t *data, size_t blocks)
{
    for (; blocks > 0; blocks--, data += TC_SHA1_BLOCK) {
        uint32_t w[16];
        for (int i = 0; i < 16; i++) {
            w[i] = load_be32(data + 4 * i);
        }
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
#pragma GCC unroll 20
        TC_SHA1_ROUNDS(0, d ^ (b & (c ^ d)), 0x5a827999)
#pragma GCC unroll 20
        TC_SHA1_ROUNDS(20, b ^ c ^ d, 0x6ed9eba1)
#pragma GCC unroll 20
        TC_SHA1_ROUNDS(40, (b & c) | (d & (b | c)), 0x8f1bbcdc)
#pragma GCC unroll 20
        TC_SHA1_ROUNDS(60, b ^ c ^ d, 0xca62c1d6)
        state[0] += a;
        state[1] += b;
        state[2] += c;
        state[3] += d;
        state[4] += e;
    }
}

#ifdef TC_SHA1_X86
/* Four rounds take the next four words; m[] is a ring of the last sixteen. The round function's number must be
 * a constant, hence the macro. */
#define TC_SHA1_FOUR_ROUNDS(i, function)                                                                     \
    do {                                                                                                     \
        if ((i) >= 4) {                                                                                      \
            __m128i w = _mm_sha1msg1_epu32(m[(i) & 3], m[((i) + 1) & 3]);                                    \
            w = _mm_xor_si128(w, m[((i) + 2) & 3]);                                                          \
            m[(i) & 3] = _mm_sha1msg2_epu32(w, m[((i) + 3) & 3]);                                            \
        }                                                                                                    \
        __m128i sum = (i) == 0 ? _mm_add_epi32(e, m[0]) : _mm_sha1nexte_epu32(e, m[(i) & 3]);                \
        e = abcd;                                                                                            \
        abcd = _mm_sha1rnds4_epu32(abcd, sum, function);                                                     \
    } while (0)

__attribute__((target("sha,sse4.1"))) static void
sha1_blocks_x86(uint32_t state[5], const uint8_t *data, size_t blocks)
{
    const __m128i reverse = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
    __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0x1b);
    __m128i e = _mm_set_epi32((int)state[4], 0, 0, 0);
    for (; blocks > 0; blocks--, data += TC_SHA1_BLOCK) {
        const __m128i abcd_before = abcd, e_before = e;
        __m128i m[4];
        for (int i = 0; i < 4; i++) {
            m[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * i)), reverse);
        }
#pragma GCC unroll 5
        for (int i = 0; i < 5; i++) {
            TC_SHA1_FOUR_ROUNDS(i, 0);
        }
#pragma GCC unroll 5
        for (int i = 5; i < 10; i++) {
            TC_SHA1_FOUR_ROUNDS(i, 1);
        }
#pragma GCC unroll 5
        for (int i = 10; i < 15; i++) {
            TC_SHA1_FOUR_ROUNDS(i, 2);
        }
#pragma GCC unroll 5
        for (int i = 15; i < 20; i++) {
            TC_SHA1_FOUR_ROUNDS(i, 3);
        }
        e = _mm_sha1nexte_epu32(e, e_before);
        abcd = _mm_add_epi32(abcd, abcd_before);
    }
    _mm_storeu_si128((__m128i *)state, _mm_shuffle_epi32(abcd, 0x1b));
    state[4] = (uint32_t)_mm_extract_epi32(e, 3);
}

static bool
sha1_x86_supported(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1) || !(c & bit_SSSE3)) {
        return false;
    }
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & (1u << 29));
}
#endif

static void
sha1_blocks(uint32_t state[5], const uint8_t *data, size_t blocks)
{
#ifdef TC_SHA1_X86
    static int supported = -1; /* every thread would find the same */
    if (TC_UNLIKELY(supported < 0)) {
        supported = sha1_x86_supported();
    }
    if (TC_LIKELY(supported)) {
        sha1_blocks_x86(state, data, blocks);
        return;
    }
#endif
    sha1_blocks_portable(state, data, blocks);
}

void
tc_sha1_start(tc_sha1 *hash)
{
    static const uint32_t initial[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    memcpy(hash->state, initial, sizeof(initial));
    hash->total = 0;
}

void
tc_sha1_update(tc_sha1 *hash, const void *data, size_t size)
{
    const uint8_t *p = data;
    size_t waiting = hash->total % TC_SHA1_BLOCK;
    hash->total += size;
    if (waiting > 0) {
        size_t take = tc_min_size(size, TC_SHA1_BLOCK - waiting);
        memcpy(hash->block + waiting, p, take);
        if (waiting + take < TC_SHA1_BLOCK) {
            return;
        }
        sha1_blocks(hash->state, hash->block, 1);
        p += take;
        size -= take;
    }
    if (size >= TC_SHA1_BLOCK) {
        sha1_blocks(hash->state, p, size / TC_SHA1_BLOCK);
        p += size - size % TC_SHA1_BLOCK;
        size %= TC_SHA1_BLOCK;
    }
    if (size > 0) {
        memcpy(hash->block, p, size);
    }
}

void
tc_sha1_finish(tc_sha1 *hash, uint8_t digest[TC_SHA1_SIZE])
{
    uint64_t bits = hash->total * 8;
    size_t used = hash->total % TC_SHA1_BLOCK;
    hash->block[used++] = 0x80;
    if (used > TC_SHA1_BLOCK - 8) {
        memset(hash->block + used, 0, TC_SHA1_BLOCK - used);
        sha1_blocks(hash->state, hash->block, 1);
        used = 0;
    }
    memset(hash->block + used, 0, TC_SHA1_BLOCK - 8 - used);
    for (int i = 0; i < 8; i++) {
        hash->block[TC_SHA1_BLOCK - 1 - i] = (uint8_t)(bits >> (8 * i));
    }
    sha1_blocks(hash->state, hash->block, 1);
    for (int i = 0; i < TC_SHA1_SIZE; i++) {
        digest[i] = (uint8_t)(hash->state[i / 4] >> (24 - 8 * (i % 4)));
    }
}
