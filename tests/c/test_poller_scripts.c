/* Random scripts on epoll and on poll side by side: both watch the same pipes and socket pairs, take the same
 * registrations, changes and removals, and must return the same from each call and report each event alike. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "event/poller.h"

enum { ENDS = 24, SCRIPTS = 12, STEPS = 4000 };

/* poller.h's functions of one backend. */
typedef struct {
    const char *(*backend)(void);
    int (*set)(tc_poller *, tc_watcher *, unsigned);
    void (*remove)(tc_poller *, tc_watcher *);
    int (*ensure)(tc_poller *);
    int (*wait)(tc_poller *, double);
    bool (*next)(tc_poller *, tc_watcher **, unsigned *);
    void (*close)(tc_poller *);
} Backend;

#define DECLARE(name)                                                                                        \
    const char *name##_backend(void);                                                                        \
    int name##_set(tc_poller *poller, tc_watcher *watcher, unsigned events);                                 \
    void name##_remove(tc_poller *poller, tc_watcher *watcher);                                              \
    int name##_ensure(tc_poller *poller);                                                                    \
    int name##_wait(tc_poller *poller, double timeout);                                                      \
    bool name##_next(tc_poller *poller, tc_watcher **watcher, unsigned *events);                             \
    void name##_close(tc_poller *poller);

#define BACKEND_OF(name)                                                                                     \
    {                                                                                                        \
        name##_backend, name##_set, name##_remove, name##_ensure, name##_wait, name##_next, name##_close     \
    }

DECLARE(on_epoll)
DECLARE(on_poll)

enum { EPOLL, POLL, BACKENDS };
static const Backend backends[BACKENDS] = {BACKEND_OF(on_epoll), BACKEND_OF(on_poll)};

/* One end of a pipe or socket pair; -1 when it is closed. End i and end i ^ 1 belong together. */
typedef struct {
    int fd;
    tc_watcher watchers[BACKENDS];
} End;

static End ends[ENDS];
static tc_poller pollers[BACKENDS];
static uint64_t random_state;
static long told; /* events, over all scripts */

static unsigned
pick(unsigned below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % below;
}

static void
both_remove(End *end)
{
    for (int b = 0; b < BACKENDS; b++) {
        backends[b].remove(&pollers[b], &end->watchers[b]);
    }
}

static void
both_set(End *end, unsigned events)
{
    int status[BACKENDS];
    for (int b = 0; b < BACKENDS; b++) {
        if (!end->watchers[b].registered) {
            end->watchers[b].fd = end->fd;
        }
        status[b] = backends[b].set(&pollers[b], &end->watchers[b], events);
    }
    CHECK_INT(status[POLL], status[EPOLL]);
    CHECK_INT(end->watchers[POLL].registered, end->watchers[EPOLL].registered);
    CHECK_INT(end->watchers[POLL].events, end->watchers[EPOLL].events);
}

/* Waits on both and compares what each end was told. */
static void
both_wait(void)
{
    unsigned events[BACKENDS][ENDS] = {{0}};
    for (int b = 0; b < BACKENDS; b++) {
        tc_watcher *watcher;
        unsigned got;
        CHECK_INT(backends[b].ensure(&pollers[b]), TC_OK);
        CHECK(backends[b].wait(&pollers[b], 0) >= 0);
        while (backends[b].next(&pollers[b], &watcher, &got)) {
            End *end = tc_container_of(watcher - b, End, watchers[0]);
            CHECK(got != 0 && events[b][end - ends] == 0); /* told once for each wait */
            events[b][end - ends] = got;
            told++;
        }
    }
    for (int i = 0; i < ENDS; i++) {
        CHECK_INT(events[POLL][i], events[EPOLL][i]);
    }
    CHECK_INT(pollers[POLL].count, pollers[EPOLL].count);
}

static void
open_pair(End *end)
{
    End *first = &ends[(end - ends) & ~1], *second = first + 1;
    if (first->fd >= 0 || second->fd >= 0) {
        return;
    }
    /* An end that was closed while registered is forgotten before its number can come back. */
    both_remove(first);
    both_remove(second);
    int fds[2];
    CHECK_INT(pick(2) ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) : pipe2(fds, O_NONBLOCK), 0);
    first->fd = fds[0];
    second->fd = fds[1];
}

static void
write_some(End *end)
{
    static const char data[65536];
    do {
        ssize_t n = write(end->fd, data, 1 + pick(sizeof(data)));
        if (n < 0) {
            break;
        }
    } while (pick(4) == 0);
}

static void
read_some(End *end)
{
    static char sink[65536];
    do {
        ssize_t n = read(end->fd, sink, 1 + pick(sizeof(sink)));
        if (n <= 0) {
            break;
        }
    } while (pick(4) != 0);
}

/* An end that is still registered: closed with its watchers in place, which gives no more events. */
static void
close_end(End *end, bool first_remove)
{
    if (first_remove) {
        both_remove(end);
    }
    close(end->fd);
    end->fd = -1;
    both_wait();
}

static void
step(void)
{
    static const unsigned masks[] = {0, TC_READ, TC_WRITE, TC_READ | TC_WRITE};
    End *end = &ends[pick(ENDS)];
    if (end->fd < 0) {
        if (end->watchers[EPOLL].registered && pick(2)) {
            both_set(end, masks[pick(4)]); /* -EBADF, unless nothing changes */
        }
        else {
            open_pair(end);
        }
        return;
    }
    switch (pick(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        both_set(end, masks[pick(4)]);
        break;
    case 5:
    case 6:
        both_remove(end);
        break;
    case 7:
    case 8:
    case 9:
        write_some(end);
        break;
    case 10:
    case 11:
    case 12:
        read_some(end);
        break;
    case 13:
        shutdown(end->fd, (int)pick(3)); /* SHUT_RD, SHUT_WR or both; refused for pipes */
        break;
    case 14:
        close_end(end, true);
        break;
    case 15:
        close_end(end, false);
        break;
    }
}

static void
run_script(uint64_t seed)
{
    random_state = seed;
    memset(ends, 0, sizeof(ends));
    for (int b = 0; b < BACKENDS; b++) {
        tc_poller_init(&pollers[b]);
    }
    for (int i = 0; i < ENDS; i++) {
        ends[i].fd = -1;
    }
    for (int i = 0; i < STEPS && check_failures == 0; i++) {
        step();
        both_wait();
        if (check_failures != 0) {
            fprintf(stderr, "script %llu, step %d\n", (unsigned long long)seed, i);
        }
    }
    for (int i = 0; i < ENDS; i++) {
        both_remove(&ends[i]);
        if (ends[i].fd >= 0) {
            close(ends[i].fd);
        }
    }
    for (int b = 0; b < BACKENDS; b++) {
        CHECK_INT(pollers[b].count, 0);
        backends[b].close(&pollers[b]);
    }
}

static void
test_scripts(void)
{
    for (uint64_t seed = 1; seed <= SCRIPTS && check_failures == 0; seed++) {
        run_script(seed);
    }
    CHECK(told > 100000); /* the scripts are not idle */
}

static void
test_both_backends(void)
{
    CHECK(strcmp(backends[EPOLL].backend(), "epoll") == 0);
    CHECK(strcmp(backends[POLL].backend(), "poll") == 0);
}

int
main(void)
{
    alarm(300);
    signal(SIGPIPE, SIG_IGN);
    RUN(test_both_backends);
    RUN(test_scripts);
    return check_report();
}
