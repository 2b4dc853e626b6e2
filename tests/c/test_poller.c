/* The poller over pipes and socket pairs, and the wake-up from another thread. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "event/poller.h"
#include "event/wakeup.h"

/* What one wait brought for up to eight watchers. */
typedef struct {
    tc_watcher *watcher[8];
    unsigned events[8];
    int count;
} Batch;

static Batch
wait_batch(tc_poller *poller, double timeout)
{
    Batch batch = {.count = 0};
    CHECK_INT(tc_poller_ensure(poller), TC_OK);
    CHECK(tc_poller_wait(poller, timeout) >= 0);
    while (batch.count < 8 &&
           tc_poller_next(poller, &batch.watcher[batch.count], &batch.events[batch.count])) {
        batch.count++;
    }
    return batch;
}

static void
make_pair(int fds[2])
{
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
}

static bool
is_kqueue(void)
{
    return strcmp(tc_poller_backend(), "kqueue") == 0;
}

static bool
is_poll(void)
{
    return strcmp(tc_poller_backend(), "poll") == 0;
}

/* Debian's libkqueue 2.3.1 refuses a second filter on one descriptor, has errors of its own, and may take a
 * parent's queue for closed (EBADF) when a forked child ends. */
static bool
is_libkqueue(void)
{
#ifdef TC_TEST_LIBKQUEUE
    return true;
#else
    return false;
#endif
}

static void
test_read_and_write(void)
{
    tc_poller poller;
    int fds[2];
    tc_poller_init(&poller);
    make_pair(fds);
    tc_watcher watcher = {.fd = fds[0]};
    CHECK_INT(tc_poller_set(&poller, &watcher, TC_READ), TC_OK);
    CHECK(tc_poller_find(&poller, fds[0]) == &watcher);
    CHECK_INT(wait_batch(&poller, 0).count, 0);
    CHECK_INT(write(fds[1], "x", 1), 1);
    for (int i = 0; i < 2; i++) { /* level-triggered: told until it is read */
        Batch batch = wait_batch(&poller, 1);
        CHECK_INT(batch.count, 1);
        CHECK(batch.watcher[0] == &watcher && batch.events[0] == TC_READ);
    }
    unsigned wanted = is_libkqueue() ? TC_WRITE : TC_READ | TC_WRITE;
    CHECK_INT(tc_poller_set(&poller, &watcher, wanted), TC_OK);
    Batch both = wait_batch(&poller, 1); /* at once, or one after the other */
    CHECK_INT(both.events[0] | (both.count > 1 ? both.events[1] : 0), wanted);
    CHECK_INT(tc_poller_set(&poller, &watcher, 0), TC_OK);
    CHECK_INT(wait_batch(&poller, 0).count, 0);
    tc_poller_remove(&poller, &watcher);
    tc_poller_remove(&poller, &watcher);
    CHECK(!watcher.registered && tc_poller_find(&poller, fds[0]) == NULL);
    close(fds[0]);
    close(fds[1]);
    tc_poller_close(&poller);
}

static void
test_hang_up_is_told_unasked(void)
{
    tc_poller poller;
    int fds[2];
    tc_poller_init(&poller);
    make_pair(fds);
    tc_watcher watcher = {.fd = fds[0]};
    /* kqueue has no event without a filter: there a hang-up is told to writers only. */
    CHECK_INT(tc_poller_set(&poller, &watcher, is_kqueue() ? TC_WRITE : 0), TC_OK);
    close(fds[1]);
    Batch batch = wait_batch(&poller, 1);
    CHECK_INT(batch.count, 1);
    CHECK(batch.events[0] & TC_HUP);
    tc_poller_close(&poller);
    CHECK(!watcher.registered);
    close(fds[0]);
}

static void
test_refusals(void)
{
    tc_poller poller;
    tc_poller_init(&poller);
    int pipes[2], file = open("/proc/self/exe", O_RDONLY);
    CHECK_INT(pipe(pipes), 0);
    tc_watcher one = {.fd = pipes[0]}, two = {.fd = pipes[0]}, regular = {.fd = file}, none = {.fd = -1};
    CHECK_INT(tc_poller_set(&poller, &one, TC_READ), TC_OK);
    CHECK_INT(tc_poller_set(&poller, &two, TC_READ), -EEXIST);
    if (!is_kqueue()) { /* which takes regular files */
        CHECK_INT(tc_poller_set(&poller, &regular, TC_READ), -EPERM);
    }
    CHECK_INT(tc_poller_set(&poller, &none, TC_READ), -EBADF);
    CHECK(!two.registered && !regular.registered && poller.count == 1);
    close(file);
    close(pipes[0]);
    close(pipes[1]);
    tc_watcher closed = {.fd = pipes[1]};
    int refusal = tc_poller_set(&poller, &closed, TC_WRITE);
    CHECK(refusal == -EBADF || (is_libkqueue() && refusal < 0));
    tc_poller_close(&poller);
}

/* Of two ready watchers the first removes the second, whose descriptor is taken by a new one: neither the
 * removed one nor the new one may get the old event. */
static void
test_removed_and_reused_within_a_batch(void)
{
    tc_poller poller;
    int a[2], b[2], c[2];
    tc_poller_init(&poller);
    make_pair(a);
    make_pair(b);
    make_pair(c);
    tc_watcher first = {.fd = a[0]}, second = {.fd = b[0]};
    tc_poller_set(&poller, &first, TC_READ);
    tc_poller_set(&poller, &second, TC_READ);
    CHECK_INT(write(a[1], "x", 1) + write(b[1], "x", 1), 2);
    CHECK_INT(tc_poller_ensure(&poller), TC_OK);
    CHECK_INT(tc_poller_wait(&poller, 1), 2);
    tc_watcher *got, *other;
    unsigned events;
    CHECK(tc_poller_next(&poller, &got, &events));
    other = got == &first ? &second : &first;
    int fd = other->fd;
    tc_poller_remove(&poller, other);
    CHECK_INT(dup2(c[0], fd), fd); /* closes the old one, and is the same number */
    tc_watcher fresh = {.fd = fd};
    CHECK_INT(tc_poller_set(&poller, &fresh, TC_READ), TC_OK);
    CHECK(!tc_poller_next(&poller, &got, &events));
    tc_poller_remove(&poller, got == &first ? &first : &second);
    CHECK_INT(write(c[1], "x", 1), 1);
    Batch batch = wait_batch(&poller, 1);
    CHECK_INT(batch.count, 1);
    CHECK(batch.watcher[0] == &fresh);
    tc_poller_close(&poller);
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
        close(c[i]);
    }
}

/* A descriptor that was closed while registered leaves epoll by itself; another file under its number is
 * added again. */
static void
test_closed_without_removal(void)
{
    tc_poller poller;
    int a[2], b[2];
    tc_poller_init(&poller);
    make_pair(a);
    make_pair(b);
    tc_watcher watcher = {.fd = a[0]};
    CHECK_INT(tc_poller_set(&poller, &watcher, TC_READ), TC_OK);
    CHECK_INT(dup2(b[0], a[0]), a[0]);
    CHECK_INT(tc_poller_set(&poller, &watcher, TC_READ | TC_WRITE), TC_OK);
    Batch batch = wait_batch(&poller, 1);
    CHECK_INT(batch.count, 1);
    CHECK_INT(batch.events[0], TC_WRITE);
    close(a[0]);
    tc_poller_remove(&poller, &watcher);
    CHECK_INT(poller.count, 0);
    tc_poller_close(&poller);
    close(a[1]);
    close(b[0]);
    close(b[1]);
}

/* poll knows numbers only, and never loses one. */
static void
test_lost_to_another_file(void)
{
    tc_poller poller;
    int a[2], b[2];
    tc_poller_init(&poller);
    make_pair(a);
    make_pair(b);
    tc_watcher watcher = {.fd = a[0]};
    CHECK(!tc_poller_lost(&poller, &watcher));
    CHECK_INT(tc_poller_set(&poller, &watcher, TC_READ), TC_OK);
    CHECK(!tc_poller_lost(&poller, &watcher));
    CHECK_INT(dup2(b[0], a[0]), a[0]);
    CHECK(tc_poller_lost(&poller, &watcher) == !is_poll());
    close(a[0]);
    CHECK(!tc_poller_lost(&poller, &watcher));
    tc_poller_close(&poller);
    close(a[1]);
    close(b[0]);
    close(b[1]);
}

/* What was removed after its close lives on in a duplicate: only epoll reports it still, until it starts
 * anew. */
static void
test_closed_but_for_a_duplicate(void)
{
    tc_poller poller;
    int a[2], b[2];
    tc_poller_init(&poller);
    make_pair(a);
    make_pair(b);
    tc_watcher watcher = {.fd = a[0]}, other = {.fd = b[0]};
    CHECK_INT(tc_poller_set(&poller, &watcher, TC_READ), TC_OK);
    CHECK_INT(tc_poller_set(&poller, &other, TC_READ), TC_OK);
    int duplicate = dup(a[0]);
    close(a[0]);
    tc_poller_remove(&poller, &watcher);
    CHECK_INT(write(a[1], "x", 1), 1);
    CHECK_INT(wait_batch(&poller, 0).count, 0);
    CHECK(poller.stale == (strcmp(tc_poller_backend(), "epoll") == 0));
    CHECK_INT(tc_poller_renew(&poller), TC_OK);
    CHECK(!poller.stale);
    CHECK_INT(tc_poller_ensure(&poller), TC_OK);
    CHECK_INT(tc_poller_wait(&poller, 0), 0);
    CHECK_INT(write(b[1], "x", 1), 1);
    CHECK_INT(wait_batch(&poller, 1).count, 1);
    tc_poller_close(&poller);
    close(duplicate);
    close(a[1]);
    close(b[0]);
    close(b[1]);
}

/* A number that is no descriptor costs no memory. */
static void
test_numbers_far_off(void)
{
    tc_poller poller;
    tc_poller_init(&poller);
    tc_watcher watcher = {.fd = 30000000};
    CHECK(tc_poller_set(&poller, &watcher, TC_READ) < 0);
    CHECK_INT(poller.slots_cap, 0);
    CHECK(tc_poller_find(&poller, 30000000) == NULL);
    tc_poller_close(&poller);
}

/* The child has a poller of its own: what it removes stays registered in the parent. */
static void
test_fork(void)
{
    tc_poller poller;
    int fds[2];
    tc_poller_init(&poller);
    make_pair(fds);
    tc_watcher watcher = {.fd = fds[0]};
    CHECK_INT(tc_poller_set(&poller, &watcher, TC_READ), TC_OK);
    CHECK_INT(write(fds[1], "x", 1), 1);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        bool before = poller.fd >= 0 || is_poll();
        Batch batch = wait_batch(&poller, 5);
        int good = batch.count == 1 && batch.watcher[0] == &watcher && before;
        tc_poller_remove(&poller, &watcher);
        good = good && wait_batch(&poller, 0).count == 0 && check_failures == 0;
        tc_poller_close(&poller);
        _exit(good ? 0 : 1);
    }
    int status;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK_INT(status, 0);
    CHECK_INT(wait_batch(&poller, 1).count, 1);
    tc_poller_close(&poller);
    close(fds[0]);
    close(fds[1]);
}

static void
test_many_descriptors(void)
{
    tc_poller poller;
    enum { N = 300 };
    static tc_watcher watchers[N];
    static int pipes[N][2];
    int told[N] = {0};
    tc_poller_init(&poller);
    for (int i = 0; i < N; i++) {
        CHECK_INT(pipe(pipes[i]), 0);
        watchers[i].fd = pipes[i][0];
        CHECK_INT(tc_poller_set(&poller, &watchers[i], TC_READ), TC_OK);
        CHECK_INT(write(pipes[i][1], "x", 1), 1);
    }
    /* More than a batch: what is left comes with the next waits. */
    for (int got = 0; got < N && check_failures == 0;) {
        tc_watcher *watcher;
        unsigned events;
        CHECK_INT(tc_poller_ensure(&poller), TC_OK);
        CHECK(tc_poller_wait(&poller, 1) > 0);
        while (tc_poller_next(&poller, &watcher, &events)) {
            told[watcher - watchers]++;
            tc_poller_remove(&poller, watcher);
            got++;
        }
    }
    for (int i = 0; i < N; i++) {
        CHECK_INT(told[i], 1);
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    tc_poller_close(&poller);
}

static void *
send_wakeup(void *wakeup)
{
    usleep(20000);
    tc_wakeup_send(wakeup);
    tc_wakeup_send(wakeup);
    return NULL;
}

static void
test_wakeup_from_a_thread(void)
{
    tc_poller poller;
    tc_wakeup wakeup;
    tc_poller_init(&poller);
    tc_wakeup_init(&wakeup);
    tc_wakeup_send(&wakeup); /* not open yet: nothing */
    for (int round = 0; round < 3; round++) {
        CHECK_INT(tc_poller_ensure(&poller), TC_OK);
        CHECK_INT(tc_wakeup_ensure(&wakeup, &poller), TC_OK);
        pthread_t thread;
        pthread_create(&thread, NULL, send_wakeup, &wakeup);
        Batch batch = wait_batch(&poller, 20);
        CHECK_INT(batch.count, 1);
        pthread_join(thread, NULL);
        CHECK(batch.watcher[0] == &wakeup.watcher);
        CHECK_INT(wakeup.watcher.cb(&wakeup.watcher, batch.events[0]), TC_OK);
        CHECK_INT(wait_batch(&poller, 0).count, 0);
    }
    tc_wakeup_close(&wakeup, &poller);
    CHECK_INT(poller.count, 0);
    tc_poller_close(&poller);
}

static void
test_wakeup_after_a_fork(void)
{
    tc_poller poller;
    tc_wakeup wakeup;
    tc_poller_init(&poller);
    tc_wakeup_init(&wakeup);
    CHECK_INT(tc_wakeup_ensure(&wakeup, &poller), TC_OK);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        tc_poller_ensure(&poller);
        tc_wakeup_ensure(&wakeup, &poller);
        tc_wakeup_send(&wakeup);
        int good = wait_batch(&poller, 5).count == 1 && check_failures == 0;
        tc_wakeup_close(&wakeup, &poller);
        tc_poller_close(&poller);
        _exit(good ? 0 : 1);
    }
    int status;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK_INT(status, 0);
    CHECK_INT(wait_batch(&poller, 0).count, 0); /* the child woke itself, not its parent */
    tc_wakeup_close(&wakeup, &poller);
    tc_poller_close(&poller);
}

/* libkqueue forgets a closed queue late, from a thread, by its number: the next queue must have another. */
static void
use_up_numbers(void)
{
    for (int i = 0; is_libkqueue() && i < 16; i++) {
        CHECK(open("/dev/null", O_RDONLY) >= 0);
    }
}

#define RUN_APART(test)                                                                                      \
    do {                                                                                                     \
        RUN(test);                                                                                           \
        use_up_numbers();                                                                                    \
    } while (0)

int
main(void)
{
    alarm(120);
    RUN_APART(test_read_and_write);
    RUN_APART(test_hang_up_is_told_unasked);
    RUN_APART(test_refusals);
    RUN_APART(test_removed_and_reused_within_a_batch);
    RUN_APART(test_closed_without_removal);
    if (!is_libkqueue()) {
        RUN(test_lost_to_another_file);
        RUN(test_closed_but_for_a_duplicate);
    }
    RUN_APART(test_numbers_far_off);
    RUN_APART(test_many_descriptors);
    RUN_APART(test_wakeup_from_a_thread);
    if (!is_libkqueue()) {
        RUN(test_fork);
        RUN(test_wakeup_after_a_fork);
    }
    else {
        puts("test_fork, test_wakeup_after_a_fork: skipped, libkqueue's queues do not survive a fork");
    }
    return check_report();
}
