/* Whether text that comes in pieces is UTF-8 (RFC 3629). Plain C. */
#ifndef TC_WS_UTF8_H
#define TC_WS_UTF8_H

#include "base/base.h"

/* A zeroed struct is between two characters. */
typedef struct {
    uint8_t missing;   /* continuation bytes of the character that has begun */
    uint8_t low, high; /* what the next of them may be */
} tc_ws_utf8;

/* Takes the next bytes; false as soon as no continuation could make them UTF-8. */
bool tc_ws_utf8_feed(tc_ws_utf8 *self, const char *data, size_t size);

/* Whether the text may end here. */
static inline bool
tc_ws_utf8_is_whole(const tc_ws_utf8 *self)
{
    return self->missing == 0;
}

#endif
