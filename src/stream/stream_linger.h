/* Lingering (RFC 9112, section 9.6): a close while the peer still sends resets the connection, and the peer
 * drops what it has not read of our output. So our side is ended, and what comes is read and dropped for a
 * while. */
#ifndef TC_STREAM_LINGER_H
#define TC_STREAM_LINGER_H

#include "stream/stream.h"

/* Ends our output, of which nothing must be queued, and makes the stream drop its input, undecrypted under
 * TLS, until the peer's end, the time's end or more than `size` bytes: then it closes itself. Its consumer is
 * notified of the close only; a read finds the stream closed. 1; 0: there is nothing to linger for, it is to
 * be closed; -1 with an exception. */
int tc_stream_linger(StreamObject *self, double seconds, Py_ssize_t size);

/* Whether bytes have come that the loop has not read yet. */
bool tc_stream_has_arrived(const StreamObject *self);

/* Whether there is input that has not been taken, so that a close would reset the connection; bytes of TLS that
 * the loop has not read yet do not count, as they may be an alert. */
bool tc_stream_has_unread(const StreamObject *self);

#endif
