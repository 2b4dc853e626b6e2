/* The epoll backend, its functions named on_epoll_*. */
#define BACKEND on_epoll
#include "backend_names.h"

#include "../../src/event/poller_epoll.c"
