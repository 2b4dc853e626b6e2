/* The end of a connection, which must not take its last response with it: once that was sent the stream
 * closes, or lingers. Runs Python: whatever closing a stream runs. */
#include "http/http_conn_parts.h"
#include "stream/stream_linger.h"

/* Whether the stream should linger: there is input that will not be read, or was when that became known. */
static bool
conn_can_linger(const HttpConnObject *self)
{
    return self->config->linger_timeout > 0 && (self->linger || tc_stream_has_unread(self->stream));
}

int
tc_http_conn_end(HttpConnObject *self)
{
    const HttpConfigObject *config = self->config;
    int lingers = !tc_http_conn_is_over(self) && conn_can_linger(self)
                      ? tc_stream_linger(self->stream, config->linger_timeout, config->linger_size)
                      : 0;
    if (lingers <= 0 || tc_http_conn_is_over(self)) {
        return lingers < 0 ? -1 : tc_http_conn_close(self);
    }
    self->reading = CONN_ENDING;
    tc_timeout_end(&self->timeout);
    return 0;
}

int
tc_http_conn_close_when_sent(HttpConnObject *self)
{
    /* Corked bytes are sent first, to see whether the kernel takes all of them. */
    if (self->stream->cork != NULL && tc_stream_flush(self->stream) == TC_RAISED) {
        return -1;
    }
    if (tc_http_conn_is_over(self)) {
        return 0;
    }
    if (tc_stream_queued(self->stream) > 0) {
        self->reading = CONN_ENDING;
        tc_stream_pause(self->stream);
        return 0;
    }
    return tc_http_conn_end(self);
}
