/* Frames of WebSocket (RFC 6455, section 5): reads and writes their heads, and holds the rules that need nothing
 * but heads. Plain C that pulls: a head is read again with more input until it is complete, and the payload is
 * the caller's. */
#ifndef TC_WS_FRAME_H
#define TC_WS_FRAME_H

#include "base/base.h"

#define TC_WS_FIN 0x80
#define TC_WS_RSV1 0x40
#define TC_WS_RSV 0x70
#define TC_WS_OPCODE 0x0F
#define TC_WS_MASKED 0x80

#define TC_WS_HEAD_MAX 14
#define TC_WS_CONTROL_MAX 125 /* bytes of a control frame's payload */

enum tc_ws_opcode {
    TC_WS_CONTINUATION = 0,
    TC_WS_TEXT = 1,
    TC_WS_BINARY = 2,
    TC_WS_CLOSE = 8,
    TC_WS_PING = 9,
    TC_WS_PONG = 10,
};

/* What a connection fails with. These stand beside TC_OK and TC_AGAIN as statuses. */
enum tc_ws_code {
    TC_WS_NORMAL = 1000,
    TC_WS_PROTOCOL_ERROR = 1002,
    TC_WS_BAD_DATA = 1007,
    TC_WS_TOO_BIG = 1009,
};

/* Where an incoming stream of frames stands. A zeroed struct is a client's peer without extensions. */
typedef struct {
    uint64_t size;   /* payload of the frames of the current message so far */
    uint8_t opcode;  /* of the current message; 0: there is none */
    bool compressed; /* it is: of all its frames only the first says so */
    bool masked;     /* the peer is a client, and must mask */
    bool deflate;    /* the extension is agreed on */
} tc_ws_reader;

typedef struct {
    uint64_t size; /* of the payload */
    uint8_t key[4];
    uint8_t opcode;
    uint8_t head_size;
    bool fin, compressed, masked;
} tc_ws_head;

static inline bool
tc_ws_is_control(unsigned opcode)
{
    return (opcode & 8) != 0;
}

/* Reads the head of the next frame; `max` is the largest size of a message. TC_OK, TC_AGAIN, or the code that
 * the connection fails with, as soon as it is certain. Changes nothing but *head. */
int tc_ws_read_head(const tc_ws_reader *self, const char *data, size_t size, uint64_t max, tc_ws_head *head);

/* The frame of this head was taken. */
static inline void
tc_ws_reader_next(tc_ws_reader *self, const tc_ws_head *head)
{
    if (tc_ws_is_control(head->opcode)) {
        return;
    }
    if (head->opcode != TC_WS_CONTINUATION) {
        self->opcode = head->opcode;
        self->compressed = head->compressed;
    }
    self->size += head->size;
    if (head->fin) {
        self->opcode = 0;
        self->size = 0;
    }
}

/* Checks the payload of a close frame: TC_OK with the code in it, 0 where there is none; or the code that the
 * connection fails with. */
int tc_ws_read_close(const char *data, size_t size, uint16_t *code);

/* Writes a head and returns its size; `first` is its first byte, `key` the mask or NULL. */
size_t tc_ws_write_head(char out[TC_WS_HEAD_MAX], unsigned first, uint64_t size, const uint8_t *key);

#endif
