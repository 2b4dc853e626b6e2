/* The limit for streams: the least that one thread can do over epoll to echo lines or to send bytes on
 * demand.
 *
 *     stream_limit echo|send|take SIZE
 *
 * Prints its port, serves one connection until the peer leaves, and prints the CPU seconds that took, user
 * and system. echo sends back what was received as far as the last line end; send answers each byte received
 * with SIZE bytes, take SIZE bytes received with one. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static double
cpu(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static void
check(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static int
accept_one(void)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    check(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 1) == 0, "listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    check(fd >= 0, "accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

/* Sends what is left; waits for room where there is none. */
static void
send_all(int ep, int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n >= 0) {
            data += n;
            size -= (size_t)n;
            continue;
        }
        check(errno == EAGAIN, "send");
        struct epoll_event event = {.events = EPOLLOUT};
        epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event);
        epoll_wait(ep, &event, 1, -1);
        event.events = EPOLLIN;
        epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event);
    }
}

int
main(int argc, char **argv)
{
    check(argc == 3, "usage: stream_limit echo|send|take SIZE");
    int echo = strcmp(argv[1], "echo") == 0, take = strcmp(argv[1], "take") == 0;
    size_t size = strtoul(argv[2], NULL, 10), held = 0, taken = 0;
    char *answer = malloc(size + 1), *input = malloc(1 << 18);
    memset(answer, 'a', size + 1);
    int fd = accept_one(), ep = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
    double start = cpu();
    for (;;) {
        epoll_wait(ep, &event, 1, -1);
        ssize_t n = recv(fd, input + held, (1 << 18) - held, 0);
        if (n <= 0) {
            break;
        }
        if (take) {
            taken += (size_t)n;
            if (taken == size) {
                taken = 0;
                send_all(ep, fd, answer, 1);
            }
            continue;
        }
        if (!echo) {
            for (ssize_t i = 0; i < n; i++) {
                send_all(ep, fd, answer, size);
            }
            continue;
        }
        held += (size_t)n;
        const char *end = memrchr(input, '\n', held);
        if (end != NULL) {
            size_t whole = (size_t)(end - input) + 1;
            send_all(ep, fd, input, whole);
            held -= whole;
            memmove(input, input + whole, held);
        }
    }
    printf("%.6f\n", cpu() - start);
    return 0;
}
