/* SHA-1 (FIPS 180-4), for Etags and the handshake of WebSocket. Plain C; uses the processor's SHA instructions
 * where it has them. */
#ifndef TC_SHA1_H
#define TC_SHA1_H

#include "base/base.h"

enum {
    TC_SHA1_SIZE = 20,
    TC_SHA1_BLOCK = 64,
};

typedef struct {
    uint32_t state[5];
    uint64_t total;
    uint8_t block[TC_SHA1_BLOCK]; /* the first total % 64 bytes wait for the rest of their block */
} tc_sha1;

void tc_sha1_start(tc_sha1 *hash);
void tc_sha1_update(tc_sha1 *hash, const void *data, size_t size);
void tc_sha1_finish(tc_sha1 *hash, uint8_t digest[TC_SHA1_SIZE]);

#endif
