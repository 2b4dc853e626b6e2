/* Masking in gigabytes a second, for sizes, alignments and phases; and UTF-8. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ws/ws_mask.h"
#include "ws/ws_utf8.h"

enum { TOTAL = 1 << 28 };

static double
rate(char *to, const char *from, size_t size, size_t phase)
{
    const uint8_t key[4] = {0x12, 0x34, 0x56, 0x78};
    size_t rounds = TOTAL / size;
    volatile bool ascii;
    double began = tc_clock_now();
    for (size_t i = 0; i < rounds; i++) {
        ascii = tc_ws_mask(to, from, size, key, phase);
    }
    (void)ascii;
    return (double)rounds * (double)size / (tc_clock_now() - began) / 1e9;
}

int
main(void)
{
    static const size_t sizes[] = {64, 1000, 16384, 65536, 1 << 20};
    char *from = calloc((1 << 20) + 64, 1), *to = calloc((1 << 20) + 64, 1);
    for (size_t i = 0; i < TC_ARRAY_LEN(sizes); i++) {
        double least = 1e9, least_in_place = 1e9;
        for (size_t offset = 0; offset < 16; offset += 3) {
            for (size_t phase = 0; phase < 4; phase++) {
                double copied = rate(to + phase * 5, from + offset, sizes[i], phase);
                double in_place = rate(from + offset, from + offset, sizes[i], phase);
                least = copied < least ? copied : least;
                least_in_place = in_place < least_in_place ? in_place : least_in_place;
            }
        }
        printf("%8zu bytes: at least %5.1f GB/s, in place %5.1f\n", sizes[i], least, least_in_place);
    }
    tc_ws_utf8 text = {0};
    memset(from, 'a', 1 << 20);
    double began = tc_clock_now();
    for (int i = 0; i < 256; i++) {
        tc_ws_utf8_feed(&text, from + i % 8, 1 << 20);
    }
    printf("   UTF-8, ASCII: %5.1f GB/s\n", 256.0 * (1 << 20) / (tc_clock_now() - began) / 1e9);
    free(from);
    free(to);
    return 0;
}
