/* Masking of payloads (RFC 6455, section 5.3). Plain C. */
#ifndef TC_WS_MASK_H
#define TC_WS_MASK_H

#include "base/base.h"

/* Masks or unmasks `size` bytes into `to`, which may be `from` itself but must not overlap it otherwise. The
 * first byte is the payload's byte number `phase`. Returns whether all bytes of the result are ASCII. */
bool tc_ws_mask(char *to, const char *from, size_t size, const uint8_t key[4], size_t phase);

#endif
