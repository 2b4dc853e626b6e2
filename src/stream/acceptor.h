/* Listening sockets: a bounded number of connections is accepted for each event. On EMFILE, ENFILE, ENOBUFS
 * and ENOMEM the listener rests for a second, as a level-triggered loop would spin otherwise; this is logged
 * once until all who wait were accepted.
 *
 * There are two kinds. tc_fd_acceptor takes descriptors on a loop of ours and hands them to C. _core.Acceptor
 * (acceptor_type.c) uses a Python socket and any IOLoop through their methods, and calls a Python callback,
 * as Tornado's add_accept_handler does. */
#ifndef TC_ACCEPTOR_H
#define TC_ACCEPTOR_H

#include "stream/stream.h"

#include <sys/socket.h>

#define TC_ACCEPT_BATCH 128
#define TC_ACCEPT_PAUSE 1.0 /* seconds */

typedef struct tc_acceptor tc_acceptor;

/* What the kinds do in their own ways. Both may run Python, which may stop the acceptor; the caller holds
 * what it is part of. */
typedef struct {
    /* Takes one connection, the first of this event or not, and hands it on: TC_OK, TC_AGAIN if none waits,
     * TC_RAISED or a negative errno. */
    int (*take)(tc_acceptor *acceptor, bool first);
    /* Stops watching the listener for TC_ACCEPT_PAUSE seconds. TC_OK or TC_RAISED. */
    int (*rest)(tc_acceptor *acceptor);
} tc_acceptor_class;

struct tc_acceptor {
    const tc_acceptor_class *cls;
    tc_state *state;
    bool listening;
    bool starved; /* short of descriptors or memory, with connections waiting since */
};

/* Whether an error of accept() means that the process or the system is out of something. */
static inline bool
tc_acceptor_is_starvation(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

/* The listener is readable. TC_OK or TC_RAISED. */
int tc_acceptor_run(tc_acceptor *acceptor);

/* ---- descriptors for C ---- */

typedef struct tc_fd_acceptor tc_fd_acceptor;
struct tc_fd_acceptor {
    tc_acceptor base;
    tc_watcher watcher; /* a listening descriptor, borrowed */
    tc_timer pause;
    LoopCore *core; /* borrowed from the owner */
    int family;
    /* Takes over a connected, non-blocking descriptor. TC_OK or TC_RAISED. */
    int (*accepted)(tc_fd_acceptor *acceptor, int fd, const struct sockaddr *peer, socklen_t size);
};

/* The registration owns a reference to `owner`, which embeds the acceptor, until the stop. 0 or -1 with an
 * exception. */
int tc_fd_acceptor_start(tc_fd_acceptor *acceptor, LoopCore *core, int fd, PyObject *owner);
void tc_fd_acceptor_stop(tc_fd_acceptor *acceptor);

#endif
