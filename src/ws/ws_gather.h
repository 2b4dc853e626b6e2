/* Frames that come: what ws_receive.c and ws_gather.c know of each other. */
#ifndef TC_WS_GATHER_H
#define TC_WS_GATHER_H

#include "ws/ws_mask.h"
#include "ws/ws_parts.h"

/* What a step through the input has come to. */
enum tc_ws_step { TC_WS_ON, TC_WS_WAIT, TC_WS_RAISED };

static inline enum tc_ws_step
tc_ws_step_of(int st)
{
    return st < 0 ? TC_WS_RAISED : TC_WS_ON;
}

/* Copies payload, unmasked if it was masked; `to` may be `from`. Whether all of it is ASCII is known only if it
 * was. */
static inline bool
tc_ws_take_payload(char *to, const char *from, size_t size, const tc_ws_head *head, uint64_t phase)
{
    if (head->masked) {
        return tc_ws_mask(to, from, size, head->key, (size_t)(phase & 3));
    }
    if (to != from) {
        memcpy(to, from, size);
    }
    return false;
}

/* ---- ws_receive.c ---- */

/* As tc_ws_handle_bytes, through self._handle_message() where that is overridden. */
int tc_ws_receive(WsProtocolObject *self, unsigned opcode, PyObject *data, bool compressed);

/* A frame, with so many bytes of a message that is handed on, counts as work of this turn. */
void tc_ws_count_work(WsProtocolObject *self, uint64_t size);

/* ---- ws_gather.c ---- */

/* Whether payload of a data frame is to come. */
static inline bool
tc_ws_gathers(const WsProtocolObject *self)
{
    return self->incoming != NULL && self->incoming->in_frame;
}

/* The head of such a frame was taken. 0 or -1. */
int tc_ws_gather_begin(WsProtocolObject *self, const tc_ws_head *head);

/* Takes payload of it out of data[*used..size), and ends the frame, and the message, with its last byte. */
enum tc_ws_step tc_ws_gather(WsProtocolObject *self, const char *data, size_t size, size_t *used);

/* Where payload may be received, *size bytes of it, or NULL, without an exception; what was is taken then. */
char *tc_ws_gather_room(WsProtocolObject *self, size_t *size);
enum tc_ws_step tc_ws_gather_filled(WsProtocolObject *self, size_t size);

#endif
