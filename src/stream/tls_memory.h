/* TLSMemoryObject, the C part of tornado_c._stream.tls.TLSSocket: records between OpenSSL, which works on two
 * ssl.MemoryBIO, and a socket. So one system call sends many records, and one receives a whole record. */
#ifndef TC_TLS_MEMORY_H
#define TC_TLS_MEMORY_H

#include "base/base.h"
#include "base/state.h"

#define TC_TLS_RECORD 16384                   /* bytes that one record carries, at most (RFC 8446, 5.1) */
#define TC_TLS_HANDSHAKE 0x16                 /* the first byte of a handshake's record */
#define TC_TLS_ARRIVING (TC_TLS_RECORD + 261) /* with its head, and what RFC 8446 lets a cipher add */

typedef struct {
    PyObject_HEAD tc_state *state; /* borrowed */
    PyObject *incoming, *outgoing; /* ssl.MemoryBIO */
    PyObject *unsent;              /* bytes that were taken from `outgoing`, or NULL */
    size_t sent;                   /* how many of them have left */
    bool maybe_more;               /* OpenSSL may have something to give before more arrives */
} TLSMemoryObject;

/* Receives at most a record's worth through `room` (of TC_TLS_ARRIVING bytes). TC_OK; TC_EOF, which OpenSSL's
 * memory then has, too; TC_AGAIN; TC_RAISED. *emptied: nothing is left in the socket now. */
int tc_tls_memory_fill(TLSMemoryObject *self, int fd, char *room, bool *emptied);

/* Bytes that have arrived and that OpenSSL has not looked at: a count, or -1 with an exception. */
Py_ssize_t tc_tls_memory_arrived(TLSMemoryObject *self);

/* Copies at most `size` bytes of what OpenSSL has written, so that its memory, which never shrinks, need not
 * grow. How many, or -1 with an exception. Nothing may be unsent. */
Py_ssize_t tc_tls_memory_copy(TLSMemoryObject *self, char *out, size_t size);

/* Sends bytes that were copied and keeps what is left. TC_OK; TC_AGAIN where something is; TC_RAISED. */
int tc_tls_memory_send(TLSMemoryObject *self, int fd, const char *data, size_t size);

/* Sends everything: TC_OK; TC_AGAIN where the socket takes no more now; TC_RAISED. */
int tc_tls_memory_flush(TLSMemoryObject *self, int fd);

/* Forgets what OpenSSL has written and what is unsent: another process sends it. */
void tc_tls_memory_forget(TLSMemoryObject *self);

#endif
