/* SHA-1 (RFC 3174) of short texts, for Etags: no object to be made, nothing to be set up. Plain C, any
 * thread. */
#ifndef TC_SHA1_H
#define TC_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define TC_SHA1_SIZE 20 /* bytes of a digest */

void tc_sha1(const void *data, size_t size, uint8_t digest[TC_SHA1_SIZE]);

#endif
