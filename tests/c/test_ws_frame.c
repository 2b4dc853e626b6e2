/* WebSocket frames, masks and UTF-8: rules one by one, and random input against the slow reading of the RFC. */
#include "check.h"
#include "ws_feed.h"

static uint64_t seed = 88172645463325252u;

static uint64_t
draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* ---- masks ---- */

static void
test_masks(void)
{
    for (int round = 0; round < 3000; round++) {
        size_t size = draw(300), offset = draw(16), phase = draw(9), target = draw(16);
        uint8_t key[4];
        char *memory = calloc(size + 16, 1), *copy = exact_copy(memory, size + 16),
             *to = calloc(size + 16, 1);
        for (int i = 0; i < 4; i++) {
            key[i] = (uint8_t)draw(256);
        }
        bool ascii = true, in_place_ascii;
        for (size_t i = 0; i < size; i++) {
            memory[offset + i] = copy[offset + i] = (char)draw(draw(3) ? 128 : 256);
        }
        bool said = tc_ws_mask(to + target, memory + offset, size, key, phase);
        in_place_ascii = tc_ws_mask(copy + offset, copy + offset, size, key, phase);
        bool same = true;
        for (size_t i = 0; i < size; i++) {
            char expected = (char)((uint8_t)memory[offset + i] ^ key[(phase + i) & 3]);
            same &= to[target + i] == expected && copy[offset + i] == expected;
            ascii &= (expected & 0x80) == 0;
        }
        CHECK(same);
        CHECK(said == ascii && in_place_ascii == ascii);
        free(memory);
        free(copy);
        free(to);
    }
}

/* ---- UTF-8 ---- */

/* Every sequence of up to three bytes around the borders, and all of four whose first two are drawn. */
static void
check_text(const unsigned char *text, size_t size)
{
    tc_ws_utf8 whole = {0}, split = {0};
    char *copy = exact_copy((const char *)text, size);
    bool good = tc_ws_utf8_feed(&whole, copy, size), good_split = true;
    for (size_t i = 0; i < size && good_split; i++) {
        good_split = tc_ws_utf8_feed(&split, copy + i, 1);
    }
    int expected = ws_slow_text(text, size);
    CHECK_INT(good, expected != 0);
    CHECK_INT(good_split, good);
    if (good) {
        CHECK_INT(tc_ws_utf8_is_whole(&whole), expected == 1);
        CHECK_INT(tc_ws_utf8_is_whole(&split), expected == 1);
    }
    free(copy);
}

static void
test_utf8(void)
{
    static const unsigned char follow[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
    enum { N = sizeof(follow) };
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned i = 0; i < N * N * N; i++) {
            unsigned char text[20] = {(unsigned char)first, follow[i % N], follow[i / N % N],
                                      follow[i / N / N]};
            for (size_t size = 1; size <= 4; size++) {
                if (i == 0 || size > 1) {
                    check_text(text, size);
                }
            }
        }
    }
    for (int round = 0; round < 20000; round++) {
        unsigned char text[40];
        size_t size = draw(sizeof(text));
        memset(text, 'a', sizeof(text));
        for (int changes = (int)draw(4); changes > 0; changes--) {
            size_t at = draw(sizeof(text) - 4);
            static const char *const words[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                                                "\xed\xa0\x80", "\xff"};
            const char *word = words[draw(5)];
            memcpy(text + at, word, strlen(word));
        }
        check_text(text, size);
    }
}

/* ---- frames ---- */

static const struct {
    const char *what, *data;
    size_t size;
    int status;
} heads[] = {
#define HEAD(what, text, status)                                                                             \
    {                                                                                                        \
        what, text, sizeof(text) - 1, status                                                                 \
    }
    HEAD("nothing", "", TC_AGAIN),
    HEAD("one byte", "\x81", TC_AGAIN),
    HEAD("text", "\x81\x85****", TC_OK),
    HEAD("without its mask", "\x81\x85***", TC_AGAIN),
    HEAD("unmasked", "\x81\x05", TC_WS_PROTOCOL_ERROR),
    HEAD("RSV1 without the extension", "\xc1\x85****", TC_WS_PROTOCOL_ERROR),
    HEAD("RSV2", "\xa1\x85****", TC_WS_PROTOCOL_ERROR),
    HEAD("RSV3", "\x91\x85****", TC_WS_PROTOCOL_ERROR),
    HEAD("opcode 3", "\x83\x85****", TC_WS_PROTOCOL_ERROR),
    HEAD("opcode 7", "\x87\x85****", TC_WS_PROTOCOL_ERROR),
    HEAD("opcode 11", "\x8b\x85****", TC_WS_PROTOCOL_ERROR),
    HEAD("opcode 15", "\x8f\x85****", TC_WS_PROTOCOL_ERROR),
    HEAD("continuation of nothing", "\x80\x80****", TC_WS_PROTOCOL_ERROR),
    HEAD("fragmented ping", "\x09\x80****", TC_WS_PROTOCOL_ERROR),
    HEAD("long ping", "\x89\xfe\x00\x7e****", TC_WS_PROTOCOL_ERROR),
    HEAD("ping of 125", "\x89\xfd****", TC_OK),
    HEAD("two bytes of size", "\x82\xfe\x00\x7e****", TC_OK),
    HEAD("cut size", "\x82\xfe\x00", TC_AGAIN),
    HEAD("not minimal, two bytes", "\x82\xfe\x00\x7d****", TC_WS_PROTOCOL_ERROR),
    HEAD("not minimal, eight bytes", "\x82\xff\0\0\0\0\0\0\xff\xff****", TC_WS_PROTOCOL_ERROR),
    HEAD("top bit", "\x82\xff\x80\0\0\0\0\x01\0\0****", TC_WS_PROTOCOL_ERROR),
    HEAD("over the maximum, before its mask", "\x82\xff\0\0\0\0\0\x01\0\x01", TC_WS_TOO_BIG),
    HEAD("at the maximum", "\x82\xff\0\0\0\0\0\x01\0\0****", TC_OK),
    HEAD("the largest", "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff****", TC_WS_TOO_BIG),
#undef HEAD
};

static void
test_heads(void)
{
    tc_ws_reader reader = {.masked = true};
    for (size_t i = 0; i < TC_ARRAY_LEN(heads); i++) {
        char *copy = exact_copy(heads[i].data, heads[i].size);
        tc_ws_head head;
        int st = tc_ws_read_head(&reader, copy, heads[i].size, 65536, &head);
        if (st != heads[i].status) {
            fprintf(stderr, "%s: %d, not %d\n", heads[i].what, st, heads[i].status);
            check_failures++;
        }
        free(copy);
    }
}

/* What was written is read again. */
static void
test_written(void)
{
    static const uint64_t sizes[] = {0,        1, 125, 126, 127, 65535, 65536, 1u << 31, UINT64_C(1) << 40,
                                     INT64_MAX};
    for (size_t i = 0; i < 2 * TC_ARRAY_LEN(sizes); i++) {
        const uint8_t key[4] = {1, 2, 3, 4};
        bool masked = i & 1;
        uint64_t size = sizes[i / 2];
        char out[TC_WS_HEAD_MAX];
        size_t end = tc_ws_write_head(out, TC_WS_FIN | TC_WS_RSV1 | TC_WS_BINARY, size, masked ? key : NULL);
        tc_ws_reader reader = {.masked = masked, .deflate = true};
        tc_ws_head head;
        for (size_t cut = 0; cut < end; cut++) {
            CHECK_INT(tc_ws_read_head(&reader, out, cut, UINT64_MAX, &head), TC_AGAIN);
        }
        CHECK_INT(tc_ws_read_head(&reader, out, end, UINT64_MAX, &head), TC_OK);
        CHECK(head.size == size && head.fin && head.compressed && head.opcode == TC_WS_BINARY);
        CHECK(head.head_size == end && head.masked == masked && (!masked || memcmp(head.key, key, 4) == 0));
    }
}

/* ---- random input ---- */

/* Frames that are mostly right. */
static size_t
draw_frames(char *out, size_t room, bool masked)
{
    static const unsigned char firsts[] = {0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x00, 0x80,
                                           0x89, 0x8a, 0x88, 0xc1, 0x41, 0xa1, 0x83, 0x09};
    size_t size = 0;
    for (int frames = 1 + (int)draw(6); frames > 0; frames--) {
        uint64_t length = draw(8) == 0 ? 120 + draw(12) : draw(12);
        if (room - size < 16 + length) {
            break;
        }
        uint8_t key[4];
        for (int i = 0; i < 4; i++) {
            key[i] = (uint8_t)draw(256);
        }
        unsigned first = firsts[draw(draw(3) ? 10 : sizeof(firsts))];
        size_t start = size;
        size += tc_ws_write_head(out + size, first, length, masked ? key : NULL);
        for (uint64_t i = 0; i < length; i++) {
            out[size + i] = (char)(draw(20) ? 'a' + draw(26) : draw(256));
        }
        if ((first & 15) == 8 && length >= 2) {
            out[size] = (char)(draw(3) ? 3 : draw(256));
            out[size + 1] = (char)(0xe8 + draw(16));
        }
        if (masked) {
            tc_ws_mask(out + size, out + size, length, key, 0);
        }
        size += length;
        if (draw(30) == 0) {
            out[start + draw(size - start)] = (char)draw(256);
        }
    }
    return size;
}

static void
test_random(void)
{
    static const uint64_t limits[] = {0, 5, 20, 125, 126, 1000, UINT64_MAX};
    for (int round = 0; round < 20000 && check_failures == 0; round++) {
        char data[2048];
        bool masked = draw(2), deflate = draw(2);
        uint64_t max = limits[draw(TC_ARRAY_LEN(limits))];
        size_t size = draw_frames(data, sizeof(data), masked);
        ws_transcript slow = ws_slow((unsigned char *)data, size, masked, deflate, max);
        for (int way = 0; way < 4; way++) {
            size_t cut = way == 0 ? size : draw(size + 1), step = way == 1   ? 1
                                                                  : way == 2 ? 1 + draw(9)
                                                                             : size + 1;
            ws_transcript fast = ws_feed_all(data, size, cut, step, masked, deflate, max);
            CHECK(ws_same(&slow, &fast));
            free(fast.data);
        }
        free(slow.data);
    }
}

int
main(void)
{
    RUN(test_masks);
    RUN(test_utf8);
    RUN(test_heads);
    RUN(test_written);
    RUN(test_random);
    return check_report();
}
