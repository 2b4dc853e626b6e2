/* The poller's tests over the kqueue backend and libkqueue. */
#include "test_poller.c"
