/* The table of character classes. Plain C. */
#include "http/http_chars.h"

#define A (TC_CHAR_TARGET | TC_CHAR_VALUE)
#define T (A | TC_CHAR_TOKEN)
#define H (A | TC_CHAR_HOST)
#define B (A | TC_CHAR_TOKEN | TC_CHAR_HOST)

const uint8_t tc_http_char_class[256] = {
    ['\t'] = TC_CHAR_VALUE,
    [' '] = TC_CHAR_VALUE,

    ['!'] = B,
    ['"'] = A,
    ['#'] = T,
    ['$'] = B,
    ['%'] = T,
    ['&'] = B,
    ['\''] = B,
    ['('] = H,
    [')'] = H,
    ['*'] = B,
    ['+'] = B,
    [','] = A,
    ['-'] = B,
    ['.'] = B,
    ['/'] = A,
    [':'] = H,
    [';'] = H,
    ['<'] = A,
    ['='] = H,
    ['>'] = A,
    ['?'] = A,
    ['@'] = A,
    ['['] = H,
    ['\\'] = A,
    [']'] = H,
    ['^'] = T,
    ['_'] = B,
    ['`'] = T,
    ['{'] = A,
    ['|'] = T,
    ['}'] = A,
    ['~'] = B,

    ['0' ... '9'] = B,
    ['A' ... 'Z'] = B,
    ['a' ... 'z'] = B,
    [0x80 ... 0xff] = A,
};
