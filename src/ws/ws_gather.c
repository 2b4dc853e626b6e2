/* Messages that come in pieces: of a frame that has not come whole, or in several frames. Their bytes are gathered
 * in the object that the application gets; a long rest of a frame is received into it, and unmasked there. Runs
 * Python: the application, with a message's last byte. */
#include "ws/ws_gather.h"

#include "base/memory.h"

#define GATHER_MIN 65536        /* at first no more room is made than for this, or for what has come */
#define RECEIVE_MIN 16384       /* less is received with what follows it */
#define RECEIVE_MAX (3 * 65536) /* so that it is unmasked before it has left the processor's cache */

void
tc_ws_drop_incoming(WsProtocolObject *self)
{
    tc_ws_incoming *in = self->incoming;
    self->incoming = NULL;
    if (in != NULL) {
        Py_XDECREF(in->bytes);
        PyMem_Free(in);
    }
}

/* What the loop's WebSockets share, borrowed; NULL: nothing. */
static WsLoopObject *
gather_loop(const WsProtocolObject *self)
{
    return self->source != NULL ? (WsLoopObject *)self->source->core->websockets : NULL;
}

/* Memory for `wanted` bytes now, and `total` in the end. */
static PyObject *
gather_memory(WsProtocolObject *self, size_t wanted, size_t total)
{
    WsLoopObject *loop = gather_loop(self);
    PyObject *bytes = loop != NULL ? tc_ws_loop_take_memory(loop, total) : NULL;
    if (bytes == NULL) {
        bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)wanted);
        if (bytes != NULL) {
            tc_memory_expect(PyBytes_AS_STRING(bytes), wanted);
        }
    }
    return bytes;
}

/* Room for `more` bytes of the message, of which `known` are to come in all. Grows with what has come, the kernel's
 * buffer included, not with what frames promise. */
static int
gather_reserve(WsProtocolObject *self, size_t more, uint64_t known)
{
    tc_ws_incoming *in = self->incoming;
    size_t needed = in->size + more, cap = in->bytes != NULL ? (size_t)PyBytes_GET_SIZE(in->bytes) : 0;
    if (needed <= cap) {
        return 0;
    }
    if (in->bytes == NULL && in->size > 0) { /* lost when it was to grow */
        PyErr_NoMemory();
        return -1;
    }
    size_t total = known < PY_SSIZE_T_MAX - in->size ? in->size + (size_t)known : PY_SSIZE_T_MAX;
    size_t here = needed + (self->source != NULL ? tc_stream_arrived(self->source) : 0);
    size_t wanted = cap > 0 ? cap * 2 : GATHER_MIN;
    wanted = tc_min_size(wanted < here ? here : wanted, total);
    wanted = wanted < needed ? needed : wanted;
    if (in->bytes != NULL) {
        return _PyBytes_Resize(&in->bytes, (Py_ssize_t)wanted);
    }
    in->bytes = gather_memory(self, wanted, total);
    return in->bytes != NULL ? 0 : -1;
}

/* The last frame of a message is there. */
static int
gather_end(WsProtocolObject *self, unsigned opcode, bool compressed)
{
    tc_ws_incoming *in = self->incoming;
    if (opcode == TC_WS_TEXT && !compressed && !tc_ws_utf8_is_whole(&in->text)) {
        return tc_ws_fail(self, TC_WS_BAD_DATA, "invalid UTF-8");
    }
    PyObject *data = in->bytes;
    size_t size = in->size;
    in->bytes = NULL;
    tc_ws_drop_incoming(self);
    if (data == NULL) {
        data = PyBytes_FromStringAndSize(NULL, 0);
    }
    else if ((size_t)PyBytes_GET_SIZE(data) != size && _PyBytes_Resize(&data, (Py_ssize_t)size) < 0) {
        return -1;
    }
    if (data == NULL) {
        return -1;
    }
    tc_ws_count_work(self, size);
    int st = tc_ws_receive(self, opcode, data, compressed);
    WsLoopObject *loop = st == 0 ? gather_loop(self) : NULL;
    if (loop != NULL) {
        tc_ws_loop_keep_memory(loop, data);
    }
    else {
        Py_DECREF(data);
    }
    return st;
}

/* Payload of the frame at hand has been taken into its place. */
static enum tc_ws_step
gather_taken(WsProtocolObject *self, size_t piece, bool ascii)
{
    tc_ws_incoming *in = self->incoming;
    const tc_ws_head head = in->head;
    unsigned opcode = head.opcode != 0 ? head.opcode : self->reader.opcode;
    bool compressed = head.opcode != 0 ? head.compressed : self->reader.compressed;
    const char *start = piece > 0 ? PyBytes_AS_STRING(in->bytes) + in->size : NULL;
    in->size += piece;
    in->read += piece;
    self->wire_bytes_in += piece;
    if (piece > 0 && opcode == TC_WS_TEXT && !compressed && !(ascii && tc_ws_utf8_is_whole(&in->text)) &&
        !tc_ws_utf8_feed(&in->text, start, piece)) {
        return tc_ws_step_of(tc_ws_fail(self, TC_WS_BAD_DATA, "invalid UTF-8"));
    }
    if (in->read < head.size) {
        return TC_WS_WAIT;
    }
    in->in_frame = false;
    tc_ws_reader_next(&self->reader, &head);
    return head.fin ? tc_ws_step_of(gather_end(self, opcode, compressed)) : TC_WS_ON;
}

enum tc_ws_step
tc_ws_gather(WsProtocolObject *self, const char *data, size_t size, size_t *used)
{
    tc_ws_incoming *in = self->incoming;
    uint64_t left = in->head.size - in->read;
    size_t piece = tc_min_size(size - *used, left < SIZE_MAX ? (size_t)left : SIZE_MAX);
    if (piece == 0) {
        return gather_taken(self, 0, true);
    }
    if (gather_reserve(self, piece, left) < 0) {
        return TC_WS_RAISED;
    }
    bool ascii =
        tc_ws_take_payload(PyBytes_AS_STRING(in->bytes) + in->size, data + *used, piece, &in->head, in->read);
    *used += piece;
    return gather_taken(self, piece, ascii);
}

char *
tc_ws_gather_room(WsProtocolObject *self, size_t *size)
{
    tc_ws_incoming *in = self->incoming;
    uint64_t left = in->head.size - in->read;
    if (left < RECEIVE_MIN) {
        return NULL;
    }
    if (gather_reserve(self, 1, left) < 0) {
        PyErr_Clear(); /* it is the next one that raises */
        return NULL;
    }
    size_t room = (size_t)PyBytes_GET_SIZE(in->bytes) - in->size;
    *size = tc_min_size(tc_min_size(room, left < SIZE_MAX ? (size_t)left : SIZE_MAX), RECEIVE_MAX);
    return PyBytes_AS_STRING(in->bytes) + in->size;
}

enum tc_ws_step
tc_ws_gather_filled(WsProtocolObject *self, size_t size)
{
    tc_ws_incoming *in = self->incoming;
    char *at = PyBytes_AS_STRING(in->bytes) + in->size;
    return gather_taken(self, size, tc_ws_take_payload(at, at, size, &in->head, in->read));
}

int
tc_ws_gather_begin(WsProtocolObject *self, const tc_ws_head *head)
{
    if (self->incoming == NULL) {
        self->incoming = PyMem_Calloc(1, sizeof(tc_ws_incoming));
        if (self->incoming == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    self->incoming->head = *head;
    self->incoming->read = 0;
    self->incoming->in_frame = true;
    if (self->source != NULL) {
        self->source->fills = true;
    }
    return 0;
}
