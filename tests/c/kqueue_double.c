/* kqueue over poll(2), for tests only: level-triggered READ and WRITE filters, EV_EOF, changes one at a time.
 * A filter goes away with its descriptor, as in a kernel: a closed one is dropped when it is next polled. */
#define _GNU_SOURCE
#include <sys/event.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_QUEUES 64
#define MAX_FILTERS 4096

typedef struct {
    struct kevent event;
    ino_t inode; /* tells a reused descriptor number */
} filter;

static struct {
    int fd;
    filter filters[MAX_FILTERS];
    int count;
} queues[MAX_QUEUES];
static int queue_count;

static ino_t
inode_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

int
kqueue(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    for (int i = 0; i < queue_count; i++) {
        if (queues[i].fd == fd) {
            queues[i].count = 0; /* the number of a queue that was closed */
            return fd;
        }
    }
    if (queue_count == MAX_QUEUES) {
        close(fd);
        errno = EMFILE;
        return -1;
    }
    queues[queue_count].fd = fd;
    queues[queue_count++].count = 0;
    return fd;
}

static int
find(int q, uintptr_t ident, short kind)
{
    for (int i = 0; i < queues[q].count; i++) {
        const struct kevent *event = &queues[q].filters[i].event;
        if (event->ident == ident && event->filter == kind) {
            return i;
        }
    }
    return -1;
}

static void
drop(int q, int i)
{
    queues[q].filters[i] = queues[q].filters[--queues[q].count];
}

static int
change(int q, const struct kevent *event)
{
    int i = find(q, event->ident, event->filter);
    if (i >= 0 && queues[q].filters[i].inode != inode_of((int)event->ident)) {
        drop(q, i);
        i = -1;
    }
    if (event->flags & EV_DELETE) {
        if (i < 0) {
            errno = ENOENT;
            return -1;
        }
        drop(q, i);
        return 0;
    }
    ino_t inode = inode_of((int)event->ident);
    if (inode == 0) {
        errno = EBADF;
        return -1;
    }
    if (!(event->flags & EV_ADD)) { /* EV_ENABLE */
        errno = ENOENT;
        return i < 0 ? -1 : 0;
    }
    if (i < 0) {
        if (queues[q].count == MAX_FILTERS) {
            errno = ENOMEM;
            return -1;
        }
        i = queues[q].count++;
    }
    queues[q].filters[i] = (filter){.event = *event, .inode = inode};
    return 0;
}

static short
wanted(short kind)
{
    return kind == EVFILT_READ ? POLLIN | POLLRDHUP : POLLOUT;
}

/* Whether what poll says of a descriptor fires a filter; sets EV_EOF. */
static bool
fires(struct kevent *event, short revents)
{
    if (revents & (POLLHUP | POLLERR)) {
        event->flags |= EV_EOF;
        return true;
    }
    if (event->filter == EVFILT_READ && (revents & POLLRDHUP)) {
        event->flags |= EV_EOF;
    }
    return (revents & wanted(event->filter)) != 0;
}

int
kevent(int kq, const struct kevent *changes, int nchanges, struct kevent *events, int nevents,
       const struct timespec *timeout)
{
    int q = 0;
    while (q < queue_count && queues[q].fd != kq) {
        q++;
    }
    if (q == queue_count) {
        errno = EBADF;
        return -1;
    }
    for (int i = 0; i < nchanges; i++) {
        if (change(q, &changes[i]) < 0) {
            return -1;
        }
    }
    if (nevents == 0) {
        return 0;
    }
    static struct pollfd fds[MAX_FILTERS];
    for (int i = 0; i < queues[q].count;) {
        const filter *f = &queues[q].filters[i];
        if (inode_of((int)f->event.ident) != f->inode) {
            drop(q, i);
            continue;
        }
        fds[i] = (struct pollfd){.fd = (int)f->event.ident, .events = wanted(f->event.filter)};
        i++;
    }
    if (ppoll(fds, (nfds_t)queues[q].count, timeout, NULL) < 0) {
        return -1;
    }
    int n = 0;
    for (int i = 0; i < queues[q].count && n < nevents; i++) {
        struct kevent event = queues[q].filters[i].event;
        event.flags = 0;
        if (fires(&event, fds[i].revents)) {
            events[n++] = event;
        }
    }
    return n;
}
