/* The poller's tests over the poll backend. */
#include "test_poller.c"
