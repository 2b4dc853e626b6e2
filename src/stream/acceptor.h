/* Accepts connections on a listening socket, a bounded number for each wake, and hands the descriptors up.
 * EMFILE, ENFILE, ENOBUFS and ENOMEM pause it for a second; one log line tells of it until all who wait were
 * accepted. */
#ifndef TC_ACCEPTOR_H
#define TC_ACCEPTOR_H

#include "stream/stream.h"

#include <sys/socket.h>

#define TC_ACCEPT_BATCH 128
#define TC_ACCEPT_PAUSE 1.0 /* seconds */

typedef struct tc_acceptor tc_acceptor;
struct tc_acceptor {
    tc_watcher watcher; /* a listening descriptor that somebody else owns */
    tc_timer pause;
    LoopCore *core; /* borrowed from the owner */
    tc_state *state;
    int family;
    bool starved; /* short of descriptors or memory, and some wait since */
    /* Takes over a connected, non-blocking descriptor. TC_OK or TC_RAISED. */
    int (*accepted)(tc_acceptor *acceptor, int fd, const struct sockaddr *peer, socklen_t size);
};

/* 0 or -1 with an exception. */
int tc_acceptor_start(tc_acceptor *acceptor, LoopCore *core, int fd);
void tc_acceptor_stop(tc_acceptor *acceptor);

#endif
