/* SHA-1 of known texts (RFC 3174, FIPS 180), and of every length around the ends of blocks. */
#include "web/sha1.h"

#include "check.h"

static void
hex_of(const void *data, size_t size, char out[41])
{
    uint8_t digest[TC_SHA1_SIZE];
    tc_sha1(data, size, digest);
    for (int i = 0; i < TC_SHA1_SIZE; i++) {
        sprintf(out + 2 * i, "%02x", digest[i]);
    }
}

static void
known(const char *text, const char *expected)
{
    char hex[41];
    hex_of(text, strlen(text), hex);
    CHECK(strcmp(hex, expected) == 0);
}

static void
test_known_texts(void)
{
    known("", "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    known("abc", "a9993e364706816aba3e25717850c26c9cd0d89d");
    known("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    known("Hello, world!", "943a702d06f34599aee1f8da8ef9f7296031d699");
}

/* The digest of the digests of all lengths up to 300 bytes, as hashlib computes it. */
static void
test_all_lengths(void)
{
    uint8_t text[300], digests[301 * TC_SHA1_SIZE];
    char hex[41];
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (uint8_t)(i * 7 + 3);
    }
    for (size_t size = 0; size <= sizeof(text); size++) {
        tc_sha1(text, size, digests + size * TC_SHA1_SIZE);
    }
    hex_of(digests, sizeof(digests), hex);
    CHECK(strcmp(hex, "43debf5006166594c976375f1c06253e43d53ddf") == 0);
}

int
main(void)
{
    RUN(test_known_texts);
    RUN(test_all_lengths);
    return check_report();
}
