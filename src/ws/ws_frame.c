/* See ws_frame.h. */
#include "ws/ws_frame.h"

#include "ws/ws_utf8.h"

static uint64_t
read_number(const char *data, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        number = number << 8 | (uint8_t)data[i];
    }
    return number;
}

static void
write_number(char *out, uint64_t number, size_t size)
{
    for (size_t i = size; i > 0; i--) {
        out[i - 1] = (char)(number & 0xFF);
        number >>= 8;
    }
}

/* Whether a frame with these first bytes may come now. */
static bool
first_bytes_fit(const tc_ws_reader *self, unsigned first, unsigned second)
{
    unsigned opcode = first & TC_WS_OPCODE;
    if (((second & TC_WS_MASKED) != 0) != self->masked) {
        return false;
    }
    unsigned reserved = first & TC_WS_RSV;
    switch (opcode) {
    case TC_WS_CONTINUATION:
        return reserved == 0 && self->opcode != 0;
    case TC_WS_TEXT:
    case TC_WS_BINARY:
        return (self->deflate ? reserved & ~(unsigned)TC_WS_RSV1 : reserved) == 0 && self->opcode == 0;
    case TC_WS_CLOSE:
    case TC_WS_PING:
    case TC_WS_PONG:
        return reserved == 0 && (first & TC_WS_FIN) &&
               (second & ~(unsigned)TC_WS_MASKED) <= TC_WS_CONTROL_MAX;
    default:
        return false;
    }
}

/* The size by the field of `field` bytes after the first two: it must not have fitted into a smaller one. */
static bool
size_fits(uint64_t size, size_t field)
{
    return field == 2 ? size > 125 : size > UINT16_MAX && size <= INT64_MAX;
}

int
tc_ws_read_head(const tc_ws_reader *self, const char *data, size_t size, uint64_t max, tc_ws_head *head)
{
    if (size < 2) {
        return TC_AGAIN;
    }
    unsigned first = (uint8_t)data[0], second = (uint8_t)data[1];
    if (!first_bytes_fit(self, first, second)) {
        return TC_WS_PROTOCOL_ERROR;
    }
    unsigned length = second & ~(unsigned)TC_WS_MASKED;
    size_t field = length < 126 ? 0 : length == 126 ? 2 : 8;
    size_t end = 2 + field;
    if (size < end) {
        return TC_AGAIN;
    }
    *head = (tc_ws_head){
        .size = field == 0 ? length : read_number(data + 2, field),
        .opcode = first & TC_WS_OPCODE,
        .fin = (first & TC_WS_FIN) != 0,
        .compressed = (first & TC_WS_RSV1) != 0,
        .masked = self->masked,
    };
    if (field > 0 && !size_fits(head->size, field)) {
        return TC_WS_PROTOCOL_ERROR;
    }
    if (!tc_ws_is_control(head->opcode) && (self->size > max || head->size > max - self->size)) {
        return TC_WS_TOO_BIG;
    }
    if (self->masked) {
        if (size < end + 4) {
            return TC_AGAIN;
        }
        memcpy(head->key, data + end, 4);
        end += 4;
    }
    head->head_size = (uint8_t)end;
    return TC_OK;
}

/* RFC 6455, section 7.4, and the codes registered since. Those from 5000 on have no meaning and do no harm. */
static bool
close_code_is_valid(unsigned code)
{
    return (code >= 1000 && code <= 1014 && !(code >= 1004 && code <= 1006)) || code >= 3000;
}

int
tc_ws_read_close(const char *data, size_t size, uint16_t *code)
{
    *code = 0;
    if (size == 0) {
        return TC_OK;
    }
    if (size == 1 || !close_code_is_valid((unsigned)read_number(data, 2))) {
        return TC_WS_PROTOCOL_ERROR;
    }
    tc_ws_utf8 reason = {0};
    if (!tc_ws_utf8_feed(&reason, data + 2, size - 2) || !tc_ws_utf8_is_whole(&reason)) {
        return TC_WS_BAD_DATA;
    }
    *code = (uint16_t)read_number(data, 2);
    return TC_OK;
}

size_t
tc_ws_write_head(char out[TC_WS_HEAD_MAX], unsigned first, uint64_t size, const uint8_t *key)
{
    size_t field = size < 126 ? 0 : size <= UINT16_MAX ? 2 : 8, end = 2 + field;
    unsigned length = field == 0 ? (unsigned)size : field == 2 ? 126 : 127;
    out[0] = (char)first;
    out[1] = (char)(length | (key != NULL ? TC_WS_MASKED : 0));
    write_number(out + 2, size, field);
    if (key != NULL) {
        memcpy(out + end, key, 4);
        end += 4;
    }
    return end;
}
