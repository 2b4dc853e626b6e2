/* Makes system calls fail on purpose, preloaded into a server by tests/unit/test_faults.py.
 *
 * FAULTS is a list of call:n:fault, separated by commas: the n-th such call (from 1) after the program has
 * armed the shim (faults_arm) fails once. A fault is the name of an errno, or "short": a receive or send of
 * one byte only. Counting is atomic, so threads do no harm; there is no other state. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum call { RECV, SEND, SENDMSG, ACCEPT4, EPOLL_WAIT, EPOLL_CTL, CALLS };

#define PLANNED_MAX 64
#define FAULT_SHORT (-1)

static const char *const call_names[CALLS] = {"recv",    "send",       "sendmsg",
                                              "accept4", "epoll_wait", "epoll_ctl"};

static const struct {
    const char *name;
    int value;
} fault_names[] = {
    {"EINTR", EINTR},     {"EAGAIN", EAGAIN}, {"ECONNRESET", ECONNRESET},
    {"ENOBUFS", ENOBUFS}, {"ENOMEM", ENOMEM}, {"EPIPE", EPIPE},
    {"EMFILE", EMFILE},   {"ENFILE", ENFILE}, {"short", FAULT_SHORT},
};

static struct {
    enum call call;
    unsigned n;
    int fault;
} planned[PLANNED_MAX];
static int planned_count;
static atomic_uint counts[CALLS], struck;
static atomic_int armed;

/* Reads FAULTS and starts to count. Returns how many faults are planned, or -1 if the list cannot be read. */
__attribute__((visibility("default"))) int
faults_arm(void)
{
    const char *list = getenv("FAULTS");
    char *copy = strdup(list != NULL ? list : ""), *rest = copy, *item;
    while (copy != NULL && (item = strsep(&rest, ",")) != NULL && *item != '\0') {
        char *call = strsep(&item, ":"), *n = strsep(&item, ":"), *fault = item;
        if (n == NULL || fault == NULL || planned_count == PLANNED_MAX) {
            return -1;
        }
        int c = 0;
        size_t f = 0;
        while (c < CALLS && strcmp(call_names[c], call) != 0) {
            c++;
        }
        while (f < sizeof(fault_names) / sizeof(*fault_names) && strcmp(fault_names[f].name, fault) != 0) {
            f++;
        }
        if (c == CALLS || f == sizeof(fault_names) / sizeof(*fault_names)) {
            return -1;
        }
        planned[planned_count].call = (enum call)c;
        planned[planned_count].n = (unsigned)atoi(n);
        planned[planned_count++].fault = fault_names[f].value;
    }
    free(copy);
    atomic_store(&armed, 1);
    return planned_count;
}

/* How many planned faults have come to pass. */
__attribute__((visibility("default"))) unsigned
faults_struck(void)
{
    return atomic_load(&struck);
}

/* The fault for this call: 0 for none. */
static int
fault_now(enum call call)
{
    if (!atomic_load(&armed)) {
        return 0;
    }
    unsigned n = atomic_fetch_add(&counts[call], 1) + 1;
    for (int i = 0; i < planned_count; i++) {
        if (planned[i].call == call && planned[i].n == n) {
            atomic_fetch_add(&struck, 1);
            return planned[i].fault;
        }
    }
    return 0;
}

static void *
next_of(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

#define REAL(type, name) ((type)next_of(name))

ssize_t
recv(int fd, void *data, size_t size, int flags)
{
    int fault = fault_now(RECV);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    if (fault == FAULT_SHORT && size > 1) {
        size = 1;
    }
    return REAL(ssize_t(*)(int, void *, size_t, int), "recv")(fd, data, size, flags);
}

ssize_t
send(int fd, const void *data, size_t size, int flags)
{
    int fault = fault_now(SEND);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    if (fault == FAULT_SHORT && size > 1) {
        size = 1;
    }
    return REAL(ssize_t(*)(int, const void *, size_t, int), "send")(fd, data, size, flags);
}

ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
    int fault = fault_now(SENDMSG);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    if (fault == FAULT_SHORT) {
        for (size_t i = 0; i < message->msg_iovlen; i++) {
            if (message->msg_iov[i].iov_len > 0) {
                return REAL(ssize_t(*)(int, const void *, size_t, int),
                            "send")(fd, message->msg_iov[i].iov_base, 1, flags);
            }
        }
    }
    return REAL(ssize_t(*)(int, const struct msghdr *, int), "sendmsg")(fd, message, flags);
}

int
accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    int fault = fault_now(ACCEPT4);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    return REAL(int (*)(int, struct sockaddr *, socklen_t *, int), "accept4")(fd, address, size, flags);
}

int
epoll_wait(int fd, struct epoll_event *events, int count, int timeout)
{
    int fault = fault_now(EPOLL_WAIT);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    return REAL(int (*)(int, struct epoll_event *, int, int), "epoll_wait")(fd, events,
                                                                            fault != 0 ? 1 : count, timeout);
}

int
epoll_ctl(int fd, int op, int target, struct epoll_event *event)
{
    int fault = fault_now(EPOLL_CTL);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    return REAL(int (*)(int, int, int, struct epoll_event *), "epoll_ctl")(fd, op, target, event);
}
