/* Feeds bytes to the WebSocket machines as a driver does, cut anywhere, and does the same slowly, bit by bit
 * from the RFC. Both write what they saw into a transcript. */
#ifndef TC_TESTS_WS_FEED_H
#define TC_TESTS_WS_FEED_H

#include "exact_copy.h"
#include "ws/ws_frame.h"
#include "ws/ws_mask.h"
#include "ws/ws_utf8.h"

typedef struct {
    char *data;
    size_t size, cap;
} ws_transcript;

static inline void
ws_put(ws_transcript *out, const void *data, size_t size)
{
    if (out->size + size > out->cap) {
        out->cap = (out->size + size) * 2 + 64;
        out->data = realloc(out->data, out->cap);
        if (out->data == NULL) {
            abort();
        }
    }
    if (size > 0) {
        memcpy(out->data + out->size, data, size);
        out->size += size;
    }
}

static inline void
ws_put_event(ws_transcript *out, char kind, unsigned number, const char *data, size_t size)
{
    uint64_t facts[3] = {(uint64_t)kind, number, size};
    ws_put(out, facts, sizeof(facts));
    ws_put(out, data, size);
}

static inline bool
ws_same(const ws_transcript *a, const ws_transcript *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

/* ---- as a driver does ---- */

typedef struct {
    tc_ws_reader reader;
    tc_ws_head head; /* of the frame whose payload is read; size 0 in head_size: none */
    tc_ws_utf8 text;
    ws_transcript message, control, events;
    char pending[TC_WS_HEAD_MAX];
    size_t pending_size, read;
    uint64_t max;
    bool failed;
} ws_feed;

static inline void
ws_feed_fail(ws_feed *self, int code)
{
    ws_put_event(&self->events, 'F', (unsigned)code, NULL, 0);
    self->failed = true;
}

static inline void
ws_feed_frame_end(ws_feed *self)
{
    tc_ws_head head = self->head;
    unsigned opcode = head.opcode != 0 ? head.opcode : self->reader.opcode;
    bool compressed = head.opcode != 0 ? head.compressed : self->reader.compressed;
    self->head = (tc_ws_head){0};
    if (tc_ws_is_control(opcode)) {
        uint16_t code = 0;
        int st =
            opcode == TC_WS_CLOSE ? tc_ws_read_close(self->control.data, self->control.size, &code) : TC_OK;
        ws_put_event(&self->events, 'C', opcode, self->control.data, self->control.size);
        self->control.size = 0;
        if (st != TC_OK) {
            ws_feed_fail(self, st);
        }
        else if (opcode == TC_WS_CLOSE) {
            ws_put_event(&self->events, 'E', code, NULL, 0);
            self->failed = true;
        }
        return;
    }
    tc_ws_reader_next(&self->reader, &head);
    if (!head.fin) {
        return;
    }
    if (opcode == TC_WS_TEXT && !compressed && !tc_ws_utf8_is_whole(&self->text)) {
        ws_feed_fail(self, TC_WS_BAD_DATA);
        return;
    }
    self->text = (tc_ws_utf8){0};
    ws_put_event(&self->events, compressed ? 'Z' : 'M', opcode, self->message.data, self->message.size);
    self->message.size = 0;
}

/* Takes payload; returns how much. */
static inline size_t
ws_feed_payload(ws_feed *self, const char *data, size_t size)
{
    tc_ws_head *head = &self->head;
    unsigned opcode = head->opcode != 0 ? head->opcode : self->reader.opcode;
    bool compressed = head->opcode != 0 ? head->compressed : self->reader.compressed;
    ws_transcript *to = tc_ws_is_control(opcode) ? &self->control : &self->message;
    size_t piece = (size_t)(head->size - self->read < size ? head->size - self->read : size);
    char *copy = exact_copy(data, piece);
    if (head->masked) {
        bool ascii = tc_ws_mask(copy, copy, piece, head->key, self->read), really = true;
        for (size_t i = 0; i < piece; i++) {
            really &= (copy[i] & 0x80) == 0;
        }
        if (ascii != really) {
            abort();
        }
    }
    ws_put(to, copy, piece);
    self->read += piece;
    if (opcode == TC_WS_TEXT && !compressed && !tc_ws_utf8_feed(&self->text, copy, piece)) {
        ws_feed_fail(self, TC_WS_BAD_DATA);
    }
    free(copy);
    return piece;
}

static inline void
ws_feed_bytes(ws_feed *self, const char *data, size_t size)
{
    size_t i = 0;
    while (!self->failed && (i < size || (self->head.head_size > 0 && self->read == self->head.size))) {
        if (self->head.head_size > 0) {
            i += ws_feed_payload(self, data + i, size - i);
            if (!self->failed && self->read == self->head.size) {
                ws_feed_frame_end(self);
            }
            continue;
        }
        self->pending[self->pending_size++] = data[i++];
        char *copy = exact_copy(self->pending, self->pending_size);
        int st = tc_ws_read_head(&self->reader, copy, self->pending_size, self->max, &self->head);
        free(copy);
        if (st == TC_AGAIN) {
            self->head.head_size = 0;
            continue;
        }
        self->pending_size = 0;
        self->read = 0;
        if (st != TC_OK) {
            ws_feed_fail(self, st);
        }
    }
}

/* A whole input in pieces of `step` bytes, the first of `cut`. */
static inline ws_transcript
ws_feed_all(const char *data, size_t size, size_t cut, size_t step, bool masked, bool deflate, uint64_t max)
{
    ws_feed self = {.reader = {.masked = masked, .deflate = deflate}, .max = max};
    for (size_t at = 0, piece = cut; at < size; at += piece, piece = step) {
        piece = piece > size - at ? size - at : piece;
        ws_feed_bytes(&self, data + at, piece);
        piece += piece == 0; /* a cut of 0 */
        if (cut == 0 && at == 0) {
            piece = 0;
            cut = 1;
        }
    }
    free(self.message.data);
    free(self.control.data);
    return self.events;
}

/* ---- slowly ---- */

/* Characters by their code points: 1 good, 0 bad, -1 cut. */
static inline int
ws_slow_text(const unsigned char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        unsigned byte = text[i];
        size_t length = byte < 0x80 ? 1 : byte >> 5 == 6 ? 2 : byte >> 4 == 14 ? 3 : byte >> 3 == 30 ? 4 : 0;
        if (length == 0) {
            return 0;
        }
        uint32_t least = length == 1 ? byte : byte & (0xFFu >> (length + 1)), most = least;
        for (size_t k = 1; k < length; k++) {
            bool there = i + k < size;
            if (there && text[i + k] >> 6 != 2) {
                return 0;
            }
            least = least << 6 | (there ? text[i + k] & 0x3F : 0);
            most = most << 6 | (there ? text[i + k] & 0x3F : 0x3F);
        }
        static const uint32_t first[] = {0, 0, 0x80, 0x800, 0x10000};
        if (most < first[length] || least > 0x10FFFF || (least >= 0xD800 && most <= 0xDFFF)) {
            return 0;
        }
        if (i + length > size) {
            return -1;
        }
        i += length;
    }
    return 1;
}

static inline ws_transcript
ws_slow(const unsigned char *in, size_t size, bool masked, bool deflate, uint64_t max)
{
    ws_transcript events = {0}, message = {0};
    unsigned kind = 0;
    int code = 0;
    bool compressed = false, ended = false;
    for (size_t at = 0; code == 0 && !ended && size - at >= 2;) {
        unsigned fin = in[at] / 128, rsv = in[at] / 16 % 8, opcode = in[at] % 16;
        unsigned mask = in[at + 1] / 128;
        uint64_t length = in[at + 1] % 128;
        bool control = opcode > 7;
        code = (opcode > 2 && opcode < 8) || opcode > 10 ? 1002 : code;
        code = rsv != 0 && !(rsv == 4 && deflate && (opcode == 1 || opcode == 2)) ? 1002 : code;
        code = control && (fin == 0 || length > 125) ? 1002 : code;
        code = mask != masked ? 1002 : code;
        code = (opcode == 0 && kind == 0) || (!control && opcode != 0 && kind != 0) ? 1002 : code;
        if (code != 0) {
            break;
        }
        size_t p = at + 2, wide = length == 126 ? 2 : length == 127 ? 8 : 0;
        if (size - p < wide) {
            break;
        }
        if (wide > 0) {
            length = 0;
            for (size_t i = 0; i < wide; i++) {
                length = length * 256 + in[p++];
            }
            code = (wide == 2 && length < 126) || (wide == 8 && (length < 65536 || length >> 63)) ? 1002 : 0;
        }
        if (code == 0 && !control && (length > max || message.size + length > max)) {
            code = 1009;
        }
        if (code != 0 || size - p < (masked ? 4u : 0u)) {
            break;
        }
        const unsigned char *key = in + p;
        p += masked ? 4 : 0;
        size_t there = size - p < length ? size - p : (size_t)length;
        unsigned char *payload = (unsigned char *)exact_copy((const char *)in + p, there);
        for (size_t i = 0; i < there; i++) {
            payload[i] = (unsigned char)(payload[i] ^ (masked ? key[i % 4] : 0));
        }
        bool whole = there == length;
        if (control) {
            if (whole) {
                ws_put_event(&events, 'C', opcode, (char *)payload, there);
                unsigned status = there >= 2 ? payload[0] * 256u + payload[1] : 0;
                if (opcode == 8 && there > 0) {
                    bool valid = there >= 2 && ((status >= 1000 && status <= 1003) ||
                                                (status >= 1007 && status <= 1014) || status >= 3000);
                    code = !valid ? 1002 : ws_slow_text(payload + 2, there - 2) != 1 ? 1007 : 0;
                }
                if (opcode == 8 && code == 0) {
                    ws_put_event(&events, 'E', status, NULL, 0);
                    ended = true;
                }
            }
        }
        else {
            if (opcode != 0) {
                kind = opcode;
                compressed = rsv == 4;
            }
            ws_put(&message, payload, there);
            int text =
                kind == 1 && !compressed ? ws_slow_text((unsigned char *)message.data, message.size) : 1;
            if (text == 0 || (text < 0 && fin && whole)) {
                code = 1007;
            }
            else if (fin && whole) {
                ws_put_event(&events, compressed ? 'Z' : 'M', kind, message.data, message.size);
                message.size = 0;
                kind = 0;
            }
        }
        free(payload);
        at = p + there;
        if (!whole) {
            break;
        }
    }
    if (code != 0) {
        ws_put_event(&events, 'F', (unsigned)code, NULL, 0);
    }
    free(message.data);
    return events;
}

#endif
