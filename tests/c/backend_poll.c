/* The poll backend, its functions named on_poll_*. */
#define TC_POLLER_POLL
#define BACKEND on_poll
#include "backend_names.h"

#include "../../src/event/poller_poll.c"
