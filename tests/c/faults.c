/* Makes system calls fail on purpose, preloaded by tests/unit/test_httpserver_faults.py and test_iostream_faults.py.
 *
 * FAULTS, or what faults_plan() is given, is a list of call:n:fault, separated by commas: the n-th such call
 * (from 1) after the program has armed the shim (faults_arm, faults_plan) fails once. A fault is the name of
 * an errno, or "short": a receive or send of one byte only. read, write and writev count on sockets and pipes
 * only. Counting is atomic, so threads do no harm. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum call {
    RECV,
    SEND,
    SENDMSG,
    ACCEPT4,
    EPOLL_WAIT,
    EPOLL_CTL,
    READ,
    WRITE,
    WRITEV,
    SENDFILE,
    PREAD,
    CONNECT,
    GETSOCKOPT,
    SETSOCKOPT,
    CALLS
};

#define PLANNED_MAX 64
#define FAULT_SHORT (-1)

static const char *const call_names[CALLS] = {"recv",      "send",    "sendmsg",    "accept4",   "epoll_wait",
                                              "epoll_ctl", "read",    "write",      "writev",    "sendfile",
                                              "pread",     "connect", "getsockopt", "setsockopt"};

static const struct {
    const char *name;
    int value;
} fault_names[] = {
    {"EINTR", EINTR},           {"EAGAIN", EAGAIN},
    {"ECONNRESET", ECONNRESET}, {"ENOBUFS", ENOBUFS},
    {"ENOMEM", ENOMEM},         {"EPIPE", EPIPE},
    {"short", FAULT_SHORT},     {"EIO", EIO},
    {"EINVAL", EINVAL},         {"ECONNREFUSED", ECONNREFUSED},
    {"EMFILE", EMFILE},         {"ENFILE", ENFILE},
};

static struct {
    enum call call;
    unsigned n;
    int fault;
} planned[PLANNED_MAX];
static int planned_count;
static atomic_uint counts[CALLS], struck;
static atomic_int armed;

/* Starts to count for this list; an empty one disarms. Returns how many faults are planned, or -1 if the list
 * cannot be read. */
__attribute__((visibility("default"))) int
faults_plan(const char *list)
{
    atomic_store(&armed, 0);
    atomic_store(&struck, 0);
    planned_count = 0;
    for (int i = 0; i < CALLS; i++) {
        atomic_store(&counts[i], 0);
    }
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
    atomic_store(&armed, planned_count > 0);
    return planned_count;
}

/* The same for the variable FAULTS. */
__attribute__((visibility("default"))) int
faults_arm(void)
{
    return faults_plan(getenv("FAULTS"));
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

/* Sockets and pipes only: the interpreter reads files, too. */
static int
fault_for(enum call call, int fd)
{
    struct stat status;
    if (!atomic_load(&armed) || fstat(fd, &status) < 0 ||
        !(S_ISSOCK(status.st_mode) || S_ISFIFO(status.st_mode))) {
        return 0;
    }
    return fault_now(call);
}

ssize_t
read(int fd, void *data, size_t size)
{
    int fault = fault_for(READ, fd);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    return REAL(ssize_t(*)(int, void *, size_t), "read")(fd, data, fault != 0 && size > 1 ? 1 : size);
}

ssize_t
write(int fd, const void *data, size_t size)
{
    int fault = fault_for(WRITE, fd);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    return REAL(ssize_t(*)(int, const void *, size_t), "write")(fd, data, fault != 0 && size > 1 ? 1 : size);
}

ssize_t
writev(int fd, const struct iovec *iov, int count)
{
    int fault = fault_for(WRITEV, fd);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    struct iovec one = {.iov_base = iov[0].iov_base, .iov_len = iov[0].iov_len > 0 ? 1 : 0};
    return REAL(ssize_t(*)(int, const struct iovec *, int), "writev")(fd, fault != 0 ? &one : iov,
                                                                      fault != 0 ? 1 : count);
}

ssize_t
sendfile(int out, int in, off_t *offset, size_t size)
{
    int fault = fault_now(SENDFILE);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    return REAL(ssize_t(*)(int, int, off_t *, size_t), "sendfile")(out, in, offset,
                                                                   fault != 0 && size > 1 ? 1 : size);
}

ssize_t
pread(int fd, void *data, size_t size, off_t offset)
{
    int fault = fault_now(PREAD);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    return REAL(ssize_t(*)(int, void *, size_t, off_t), "pread")(fd, data, fault != 0 && size > 1 ? 1 : size,
                                                                 offset);
}

int
connect(int fd, const struct sockaddr *address, socklen_t size)
{
    int fault = fault_now(CONNECT);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    return REAL(int (*)(int, const struct sockaddr *, socklen_t), "connect")(fd, address, size);
}

int
getsockopt(int fd, int level, int option, void *value, socklen_t *size)
{
    int fault = fault_now(GETSOCKOPT);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    return REAL(int (*)(int, int, int, void *, socklen_t *), "getsockopt")(fd, level, option, value, size);
}

int
setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
    int fault = fault_now(SETSOCKOPT);
    if (fault > 0) {
        errno = fault;
        return -1;
    }
    return REAL(int (*)(int, int, int, const void *, socklen_t), "setsockopt")(fd, level, option, value,
                                                                               size);
}

/* Programs built with 64-bit file offsets call these. */
ssize_t
sendfile64(int out, int in, off64_t *offset, size_t size)
{
    return sendfile(out, in, offset, size);
}

ssize_t
pread64(int fd, void *data, size_t size, off64_t offset)
{
    return pread(fd, data, size, offset);
}
