/* A test double of <sys/event.h>: as much of kqueue as poller_kqueue.c uses, over poll(2) (kqueue_double.c),
 * so that the backend can be compiled and run where the kernel has no kqueue. */
#ifndef DOUBLE_SYS_EVENT_H
#define DOUBLE_SYS_EVENT_H

#include <stdint.h>
#include <time.h>

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)

#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

struct kevent {
    uintptr_t ident;
    short filter;
    unsigned short flags;
    unsigned fflags;
    intptr_t data;
    void *udata;
};

#define EV_SET(event, i, f, fl, ff, d, u)                                                                    \
    (*(event) = (struct kevent){                                                                             \
         .ident = (i), .filter = (f), .flags = (fl), .fflags = (ff), .data = (d), .udata = (u)})

int kqueue(void);
int kevent(int kq, const struct kevent *changes, int nchanges, struct kevent *events, int nevents,
           const struct timespec *timeout);

#endif
