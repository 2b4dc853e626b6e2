/* See ws_utf8.h. */
#include "ws/ws_utf8.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* The first byte of a character that is not ASCII. Its second byte tells over-long forms, surrogates and what
 * is beyond U+10FFFF. */
static bool
utf8_begin(tc_ws_utf8 *self, uint8_t byte)
{
    self->low = 0x80;
    self->high = 0xBF;
    if (byte >= 0xC2 && byte <= 0xDF) {
        self->missing = 1;
    }
    else if (byte >= 0xE0 && byte <= 0xEF) {
        self->missing = 2;
        self->low = byte == 0xE0 ? 0xA0 : 0x80;
        self->high = byte == 0xED ? 0x9F : 0xBF;
    }
    else if (byte >= 0xF0 && byte <= 0xF4) {
        self->missing = 3;
        self->low = byte == 0xF0 ? 0x90 : 0x80;
        self->high = byte == 0xF4 ? 0x8F : 0xBF;
    }
    else {
        return false;
    }
    return true;
}

/* How many bytes from data[0] on are ASCII, in whole words. */
static size_t
utf8_ascii_run(const char *data, size_t size)
{
    size_t i = 0;
    for (uint64_t word; size - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, data + i, sizeof(word));
        if (word & HIGH_BITS) {
            break;
        }
    }
    return i;
}

bool
tc_ws_utf8_feed(tc_ws_utf8 *self, const char *data, size_t size)
{
    for (size_t i = 0; i < size;) {
        if (self->missing == 0) {
            i += utf8_ascii_run(data + i, size - i);
            if (i == size) {
                break;
            }
        }
        uint8_t byte = (uint8_t)data[i++];
        if (self->missing > 0) {
            if (byte < self->low || byte > self->high) {
                return false;
            }
            self->missing--;
            self->low = 0x80;
            self->high = 0xBF;
        }
        else if (byte >= 0x80 && !utf8_begin(self, byte)) {
            return false;
        }
    }
    return true;
}
