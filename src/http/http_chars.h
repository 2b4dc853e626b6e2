/* Character classes of HTTP (RFC 9110, section 5.6.2, and RFC 3986) and the scanners built on them: a
 * table of 256 bytes, and 16 bytes at a time where SSE2 exists. Used by the machines and by HTTPHeaders.
 *
 * Scanners never read outside [base, end), whatever the vector width. */
#ifndef TC_HTTP_CHARS_H
#define TC_HTTP_CHARS_H

#include "base/base.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    TC_CHAR_TOKEN = 1 << 0,  /* tchar */
    TC_CHAR_HOST = 1 << 1,   /* what a Host may hold besides %XX; not the comma, as in Tornado */
    TC_CHAR_TARGET = 1 << 2, /* field-vchar: visible ASCII and obs-text */
    TC_CHAR_VALUE = 1 << 3,  /* TARGET, SP, HTAB */
};

extern const uint8_t tc_http_char_class[256];

static inline bool
tc_http_char_is(char c, unsigned classes)
{
    return (tc_http_char_class[(uint8_t)c] & classes) != 0;
}

/* c: a byte, or any code point. */
static inline bool
tc_http_is_blank(uint32_t c)
{
    return c == ' ' || c == '\t';
}

/* Drops the blanks at both ends. */
static inline void
tc_http_trim(const char **p, const char **end)
{
    while (*p < *end && tc_http_is_blank((uint8_t)(*p)[0])) {
        ++*p;
    }
    while (*p < *end && tc_http_is_blank((uint8_t)(*end)[-1])) {
        --*end;
    }
}

/* Skips CRLF or LF at p. NULL where there is neither, or only the CR so far. */
static inline const char *
tc_http_pass_line_end(const char *p, const char *end)
{
    if (TC_LIKELY(end - p >= 2 && memcmp(p, "\r\n", 2) == 0)) {
        return p + 2;
    }
    return TC_LIKELY(p < end && *p == '\n') ? p + 1 : NULL;
}

/* The value of a hex digit, or -1. */
static inline int
tc_http_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static inline uint32_t
tc_http_load32(const char *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

static inline uint64_t
tc_http_load64(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

#define TC_HTTP_LOWER32 0x20202020u
#define TC_HTTP_LOWER64 0x2020202020202020u

/* Whether `size` bytes at p are `lower`, ASCII letters in any case. `lower` holds letters, digits and minus
 * only, and p no control characters: then setting bit 5 makes no other byte equal. size is a constant. */
static inline __attribute__((always_inline)) bool
tc_http_equal_blind(const char *p, const char *lower, size_t size)
{
    if (size >= 8) {
        uint64_t diff = 0;
        for (size_t i = 0; i + 8 <= size; i += 8) {
            diff |= (tc_http_load64(p + i) | TC_HTTP_LOWER64) ^ tc_http_load64(lower + i);
        }
        return (diff |
                ((tc_http_load64(p + size - 8) | TC_HTTP_LOWER64) ^ tc_http_load64(lower + size - 8))) == 0;
    }
    if (size >= 4) {
        uint32_t diff = (tc_http_load32(p) | TC_HTTP_LOWER32) ^ tc_http_load32(lower);
        return (diff |
                ((tc_http_load32(p + size - 4) | TC_HTTP_LOWER32) ^ tc_http_load32(lower + size - 4))) == 0;
    }
    for (size_t i = 0; i < size; i++) {
        if ((p[i] | 0x20) != lower[i]) {
            return false;
        }
    }
    return true;
}

#ifdef __SSE2__

/* Bit i of the result: byte i is between low and high. */
static inline __m128i
tc_sse_in_range(__m128i b, char low, char high)
{
    __m128i shifted = _mm_sub_epi8(b, _mm_set1_epi8(low));
    return _mm_cmpeq_epi8(_mm_min_epu8(shifted, _mm_set1_epi8((char)(high - low))), shifted);
}

static inline unsigned
tc_sse_value_stops(__m128i b)
{
    __m128i control = _mm_andnot_si128(_mm_cmpeq_epi8(b, _mm_set1_epi8('\t')), tc_sse_in_range(b, 0, 0x1f));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(control, _mm_cmpeq_epi8(b, _mm_set1_epi8(0x7f))));
}

static inline unsigned
tc_sse_target_stops(__m128i b)
{
    __m128i stop = _mm_or_si128(tc_sse_in_range(b, 0, 0x20), _mm_cmpeq_epi8(b, _mm_set1_epi8(0x7f)));
    return (unsigned)_mm_movemask_epi8(stop);
}

/* -1 in each byte that is CR, LF or NUL, 0 in the others. */
static inline __m128i
tc_sse_line_stop_bytes(__m128i b)
{
    __m128i end =
        _mm_or_si128(_mm_cmpeq_epi8(b, _mm_set1_epi8('\r')), _mm_cmpeq_epi8(b, _mm_set1_epi8('\n')));
    return _mm_or_si128(end, _mm_cmpeq_epi8(b, _mm_setzero_si128()));
}

static inline unsigned
tc_sse_line_stops(__m128i b)
{
    return (unsigned)_mm_movemask_epi8(tc_sse_line_stop_bytes(b));
}

/* Stops at what is no letter, digit or minus: exact for names in practice, else too early. */
static inline unsigned
tc_sse_name_stops(__m128i b)
{
    __m128i letter = tc_sse_in_range(_mm_or_si128(b, _mm_set1_epi8(0x20)), 'a', 'z');
    __m128i other = _mm_or_si128(tc_sse_in_range(b, '0', '9'), _mm_cmpeq_epi8(b, _mm_set1_epi8('-')));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(letter, other)) ^ 0xffff;
}

/* Stops at what is no letter, digit, minus, dot or colon: exact for most hosts, else too early. */
static inline unsigned
tc_sse_host_stops(__m128i b)
{
    __m128i letter = tc_sse_in_range(_mm_or_si128(b, _mm_set1_epi8(0x20)), 'a', 'z');
    __m128i other = _mm_or_si128(tc_sse_in_range(b, '0', ':'), tc_sse_in_range(b, '-', '.'));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(letter, other)) ^ 0xffff;
}

/* The last, short block is read as the 16 bytes that end at `end`, if base leaves room for that. */
#define TC_SSE_SCAN(stops, base, p, end)                                                                     \
    do {                                                                                                     \
        while ((end) - (p) >= 16) {                                                                          \
            unsigned found_ = stops(_mm_loadu_si128((const __m128i *)(const void *)(p)));                    \
            if (TC_LIKELY(found_ != 0)) {                                                                    \
                (p) += __builtin_ctz(found_);                                                                \
                goto found;                                                                                  \
            }                                                                                                \
            (p) += 16;                                                                                       \
        }                                                                                                    \
        if ((end) - (base) >= 16) {                                                                          \
            unsigned found_ = stops(_mm_loadu_si128((const __m128i *)(const void *)((end)-16)));             \
            found_ >>= 16 - ((end) - (p));                                                                   \
            (p) = found_ != 0 ? (p) + __builtin_ctz(found_) : (end);                                         \
            goto found;                                                                                      \
        }                                                                                                    \
    } while (0)

#else
#define TC_SSE_SCAN(stops, base, p, end) ((void)(base))
#endif

/* The first byte from p on that a field value may not hold, or end. */
static inline const char *
tc_http_scan_value(const char *base, const char *p, const char *end)
{
    TC_SSE_SCAN(tc_sse_value_stops, base, p, end);
    while (p < end && tc_http_char_is(*p, TC_CHAR_VALUE)) {
        p++;
    }
#ifdef __SSE2__
found:
#endif
    return p;
}

/* The first byte from p on that a line may not hold (CR, LF, NUL), or end. */
static inline const char *
tc_http_scan_line(const char *base, const char *p, const char *end)
{
    TC_SSE_SCAN(tc_sse_line_stops, base, p, end);
    while (p < end && *p != '\r' && *p != '\n' && *p != '\0') {
        p++;
    }
#ifdef __SSE2__
found:
#endif
    return p;
}

/* How many bytes of a block are CR, LF or NUL. */
static inline size_t
tc_http_count_line_stops(const char *p, const char *end)
{
    size_t count = 0;
#ifdef __SSE2__
    while (end - p >= 16) {
        __m128i none = _mm_setzero_si128(), sums = none; /* of each column, at most 255 */
        for (int i = 0; i < 255 && end - p >= 16; i++, p += 16) {
            __m128i found = tc_sse_line_stop_bytes(_mm_loadu_si128((const __m128i *)(const void *)p));
            sums = _mm_sub_epi8(sums, found); /* a byte that is found is -1 */
        }
        sums = _mm_sad_epu8(sums, none);
        count += (size_t)_mm_extract_epi16(sums, 0) + (size_t)_mm_extract_epi16(sums, 4);
    }
#endif
    for (; p < end; p++) {
        count += *p == '\r' || *p == '\n' || *p == '\0';
    }
    return count;
}

/* The first byte from p on that a request target may not hold, or end. */
static inline const char *
tc_http_scan_target(const char *base, const char *p, const char *end)
{
    TC_SSE_SCAN(tc_sse_target_stops, base, p, end);
    while (p < end && tc_http_char_is(*p, TC_CHAR_TARGET)) {
        p++;
    }
#ifdef __SSE2__
found:
#endif
    return p;
}

/* The first byte from p on that a Host may not hold, or end; that may be the percent of %XX. */
static inline const char *
tc_http_scan_host(const char *base, const char *p, const char *end)
{
    TC_SSE_SCAN(tc_sse_host_stops, base, p, end);
#ifdef __SSE2__
found:
#endif
    while (p < end && tc_http_char_is(*p, TC_CHAR_HOST)) {
        p++;
    }
    return p;
}

/* The first byte from p on that a token may not hold, or end. */
static inline const char *
tc_http_scan_token(const char *base, const char *p, const char *end)
{
    TC_SSE_SCAN(tc_sse_name_stops, base, p, end);
#ifdef __SSE2__
found:
    if (TC_LIKELY(p < end && *p == ':')) {
        return p;
    }
#endif
    while (p < end && tc_http_char_is(*p, TC_CHAR_TOKEN)) {
        p++;
    }
    return p;
}

#endif
