/* The poller's tests over the kqueue backend. */
#include "test_poller.c"
