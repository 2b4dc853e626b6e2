/* The body of a request on its way to the application: collected, or in pieces as it comes. Each call takes
 * the bytes that have come; only time limits are timed here. Runs Python: the application. */
#include "base/memory.h"
#include "http/http_conn_parts.h"
#include "http/http_head_write.h"

/* The share of a turn of the loop that one client's body may have, in pieces and in seconds. */
#define BODY_PIECES 16
#define BODY_SPAN 1e-3

/* From this size on the memory of a whole body grows in longer steps. */
#define BODY_LARGE ((size_t)1 << 20)

/* ---- the state of a request being read ---- */

tc_http_incoming *
tc_http_conn_incoming(HttpConnObject *self)
{
    if (self->incoming == NULL) {
        if ((self->incoming = PyMem_Calloc(1, sizeof(tc_http_incoming))) == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        self->incoming->conn = self;
    }
    return self->incoming;
}

static void
body_stop_timer(HttpConnObject *self, tc_http_incoming *in)
{
    if (tc_timer_pending(&in->timer)) {
        tc_heap_remove(&self->stream->core->timers, &in->timer);
    }
}

void
tc_http_body_stop_clock(HttpConnObject *self)
{
    tc_timeout_end(&self->timeout);
    if (self->incoming != NULL) {
        body_stop_timer(self, self->incoming);
    }
}

void
tc_http_conn_drop_incoming(HttpConnObject *self)
{
    tc_http_incoming *in = self->incoming;
    if (in != NULL) {
        self->incoming = NULL;
        body_stop_timer(self, in);
        tc_buf_free(&in->gathered);
        Py_XDECREF(in->app);
        Py_XDECREF(in->request);
        Py_XDECREF(in->body);
        PyMem_Free(in);
    }
}

uint64_t
tc_http_conn_body_limit(const HttpConnObject *self)
{
    if (self->incoming != NULL && self->incoming->own_max_body_size) {
        return self->incoming->max_body_size;
    }
    return (uint64_t)(self->config->max_body_size > 0 ? self->config->max_body_size
                                                      : self->stream->max_buffer_size);
}

size_t
tc_http_conn_piece_size(const HttpConnObject *self)
{
    return self->config->chunk_size > 0 ? (size_t)self->config->chunk_size : TC_STREAM_CHUNK;
}

/* While the current request is not complete: its state. *st is -1 with MemoryError. */
static tc_http_incoming *
body_to_come(HttpConnObject *self, int *st)
{
    bool to_come = tc_http_conn_is_receiving(self);
    tc_http_incoming *in = to_come ? tc_http_conn_incoming(self) : NULL;
    *st = to_come && in == NULL ? -1 : 0;
    return in;
}

int
tc_http_conn_set_max_body_size(HttpConnObject *self, uint64_t size)
{
    int st;
    tc_http_incoming *in = body_to_come(self, &st);
    if (in != NULL) {
        in->own_max_body_size = true;
        in->max_body_size = size;
    }
    return st;
}

int
tc_http_conn_set_body_timeout(HttpConnObject *self, double seconds)
{
    int st;
    tc_http_incoming *in = body_to_come(self, &st);
    if (in != NULL) {
        in->own_body_timeout = true;
        in->body_timeout = seconds;
    }
    return st;
}

/* ---- the beginning ---- */

static void
body_expired(tc_timer *timer)
{
    HttpConnObject *conn = tc_container_of(timer, tc_http_incoming, timer)->conn;
    tc_http_conn_expired(&conn->timeout);
}

static int
body_start_clock(HttpConnObject *self)
{
    tc_http_incoming *in = self->incoming;
    if (TC_LIKELY(!in->own_body_timeout)) {
        tc_timeout_start(&self->config->body_timeouts, &self->timeout);
        return 0;
    }
    if (in->body_timeout < 0.0) {
        return 0;
    }
    LoopCore *core = self->stream->core;
    in->timer.fire = body_expired;
    return tc_core_timer_set(core, &in->timer, tc_core_time(core) + in->body_timeout);
}

/* The memory of a whole body grows with what arrives, not with what was declared. */
static int
body_reserve(HttpConnObject *self)
{
    tc_http_incoming *in = self->incoming;
    size_t first =
        self->frame.flags & TC_HTTP_CHUNKED ? 4096 : tc_min_size((size_t)in->left, TC_STREAM_CHUNK);
    in->body = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)first);
    return in->body != NULL ? 0 : -1;
}

/* Sends 100 (RFC 9110, section 10.1.1) to a client that waits with its body. 0 or -1. */
static int
body_say_continue(HttpConnObject *self)
{
    const char *response = tc_http_own_response(100);
    if (tc_stream_write(self->stream, response, strlen(response), NULL) == TC_RAISED ||
        (!tc_http_conn_is_over(self) && tc_stream_flush(self->stream) == TC_RAISED)) {
        return -1;
    }
    return 0;
}

int
tc_http_body_start(HttpConnObject *self)
{
    tc_http_incoming *in = self->incoming;
    in->started = true;
    bool chunked = self->frame.flags & TC_HTTP_CHUNKED;
    if (!chunked && in->left > tc_http_conn_body_limit(self)) {
        return tc_http_conn_refuse_text(self, "Content-Length too long");
    }
    self->reading = CONN_BODY;
    RequestObject *request = (RequestObject *)(in->request != NULL ? in->request : self->request);
    if (tc_http_conn_join_lengths(self, request) < 0) {
        return -1;
    }
    if (!chunked && in->left == 0) {
        return tc_http_conn_request_end(self, false);
    }
    if (!tc_http_conn_take_back(self)) {
        return tc_http_conn_close(self);
    }
    bool asks = (self->frame.flags & TC_HTTP_EXPECT_CONTINUE) && self->frame.state == TC_FRAME_NONE;
    if (asks && body_say_continue(self) < 0) {
        return -1;
    }
    if (self->reading != CONN_BODY) {
        return 0;
    }
    return (in->mode == TC_APP_WHOLE && body_reserve(self) < 0) || body_start_clock(self) < 0 ? -1 : 0;
}

/* ---- in one ---- */

static int
body_append(HttpConnObject *self, const char *data, size_t size)
{
    tc_http_incoming *in = self->incoming;
    size_t cap = (size_t)PyBytes_GET_SIZE(in->body);
    if (in->body_size + size > cap) {
        size_t grown = cap * (cap < BODY_LARGE ? 2 : 8); /* what is not filled takes no pages */
        size_t wanted = grown > in->body_size + size ? grown : in->body_size + size;
        if (!(self->frame.flags & TC_HTTP_CHUNKED)) {
            wanted = tc_min_size(wanted, in->body_size + (size_t)in->left);
        }
        if (_PyBytes_Resize(&in->body, (Py_ssize_t)wanted) < 0) {
            return -1;
        }
        tc_memory_expect(PyBytes_AS_STRING(in->body), wanted);
    }
    memcpy(PyBytes_AS_STRING(in->body) + in->body_size, data, size);
    in->body_size += size;
    return 0;
}

/* ---- in pieces ---- */

/* Whether other clients get their turn before the next piece. */
static bool
body_is_over_share(HttpConnObject *self)
{
    tc_http_incoming *in = self->incoming;
    uint32_t turn = self->stream->core->turn;
    double now = tc_clock_now();
    if (in->turn != turn) {
        in->turn = turn;
        in->pieces = 0;
        in->began = now;
    }
    return ++in->pieces >= BODY_PIECES || now - in->began >= BODY_SPAN;
}

/* Whether so many unread bytes, less than a piece, wait for more that the socket may have; at the turn's end
 * they are offered again, and are a piece then if nothing came. */
static bool
body_waits(HttpConnObject *self, size_t unread)
{
    tc_http_incoming *in = self->incoming;
    StreamObject *stream = self->stream;
    bool more = stream->reading_event && !stream->drained_socket && !stream->closed;
    bool room = unread + tc_http_conn_piece_size(self) < (size_t)stream->max_buffer_size;
    if (!more || !room || unread == in->waited) {
        in->waited = 0;
        return false;
    }
    in->waited = unread;
    tc_stream_resume_later(stream);
    return true;
}

/* Gives the application a piece. STEP_ON: continue, with the body only if that is still being read. */
static enum conn_step
body_give(HttpConnObject *self, const char *data, size_t size, bool more)
{
    self->incoming->waited = 0;
    enum conn_step step = tc_http_conn_step(self, tc_http_conn_piece(self, data, size));
    if (step == STEP_ON && self->reading == CONN_BODY && more && body_is_over_share(self)) {
        tc_train_wait(self->stream);
        return STEP_WAIT;
    }
    return step;
}

static enum conn_step
body_give_gathered(HttpConnObject *self, bool more)
{
    tc_bytes_buf *gathered = &self->incoming->gathered;
    size_t size = gathered->size;
    gathered->size = 0; /* the memory stays while the application is on the stack */
    return body_give(self, gathered->data, size, more);
}

/* ---- by length ---- */

static enum conn_step
body_read_length(HttpConnObject *self, const char *data, size_t size, size_t *used)
{
    tc_http_incoming *in = self->incoming;
    size_t n = tc_min_size(size - *used, PY_SSIZE_T_MAX);
    n = in->left < n ? (size_t)in->left : n;
    if (in->mode == TC_APP_WHOLE) {
        if (body_append(self, data + *used, n) < 0) {
            return STEP_RAISED;
        }
        *used += n;
        in->left -= n;
    }
    else if (n > 0) {
        n = tc_min_size(n, tc_http_conn_piece_size(self));
        if (n < tc_http_conn_piece_size(self) && n < in->left && body_waits(self, n)) {
            return STEP_WAIT;
        }
        const char *piece = data + *used;
        *used += n;
        in->left -= n;
        enum conn_step step = body_give(self, piece, n, in->left > 0);
        if (step != STEP_ON || self->reading != CONN_BODY) {
            return step;
        }
    }
    if (in->left > 0) {
        return *used < size ? STEP_ON : STEP_WAIT;
    }
    return tc_http_conn_step(self, tc_http_conn_request_end(self, *used < size));
}

/* ---- by chunks ---- */

/* The boundaries of chunks mean nothing: small ones that have come are joined, unless the server is told. */
static enum conn_step
body_take_chunk(HttpConnObject *self, const char *data, size_t size)
{
    tc_http_incoming *in = self->incoming;
    if (in->mode == TC_APP_WHOLE) {
        return body_append(self, data, size) < 0 ? STEP_RAISED : STEP_ON;
    }
    size_t piece_size = tc_http_conn_piece_size(self);
    bool ends = self->config->each_chunk && tc_http_chunked_end_is_seen(&in->chunked);
    if (in->gathered.size == 0 && (size == piece_size || ends)) {
        return body_give(self, data, size, true);
    }
    if (tc_buf_append(&in->gathered, data, size) != TC_OK) {
        PyErr_NoMemory();
        return STEP_RAISED;
    }
    return in->gathered.size < piece_size && !ends ? STEP_ON : body_give_gathered(self, true);
}

static enum conn_step
body_end_chunks(HttpConnObject *self, bool ahead)
{
    if (self->incoming->gathered.size > 0) {
        enum conn_step step = body_give_gathered(self, false);
        if (step != STEP_ON || self->reading != CONN_BODY) {
            return step;
        }
    }
    return tc_http_conn_step(self, tc_http_conn_request_end(self, ahead));
}

static enum conn_step
body_read_chunked(HttpConnObject *self, const char *data, size_t size, size_t *used)
{
    enum conn_step step = STEP_ON;
    size_t mark = *used;                               /* where the next piece begins, */
    tc_http_chunked machine = self->incoming->chunked; /* and how */
    while (step == STEP_ON && self->reading == CONN_BODY) {
        tc_http_incoming *in = self->incoming;
        if (in->gathered.size == 0) {
            mark = *used;
            machine = in->chunked;
        }
        const char *piece;
        size_t piece_size, start = *used, window = size;
        if (in->mode == TC_APP_PIECES) {
            window = tc_min_size(size, start + tc_http_conn_piece_size(self) - in->gathered.size);
        }
        int st = tc_http_chunked_next(&in->chunked, data, window, used, tc_http_conn_body_limit(self), &piece,
                                      &piece_size);
        if (st == TC_OK) {
            step = body_take_chunk(self, piece, piece_size);
        }
        else if (st == TC_EOF) {
            return body_end_chunks(self, *used < size);
        }
        else if (st != TC_AGAIN) {
            int status = tc_http_conn_refuse(self, st, data + start, size - start);
            *used = size;
            return status < 0 ? STEP_RAISED : STEP_STOP;
        }
        else if (*used == size) {
            if (in->gathered.size > 0 && body_waits(self, size - mark)) {
                *used = mark;
                in->chunked = machine;
                in->gathered.size = 0;
                return STEP_WAIT;
            }
            step = in->gathered.size > 0 ? body_give_gathered(self, true) : STEP_WAIT;
            return step == STEP_ON ? STEP_WAIT : step;
        }
    }
    return step;
}

enum conn_step
tc_http_body_read(HttpConnObject *self, const char *data, size_t size, size_t *used)
{
    return self->frame.flags & TC_HTTP_CHUNKED ? body_read_chunked(self, data, size, used)
                                               : body_read_length(self, data, size, used);
}
