/* The limit: the least that one thread can do to answer HTTP over epoll, the bar that every server in this
 * folder is measured against. It looks for the end of the head, for "Connection: close" and, where bodies are
 * echoed, for Content-Length; it parses nothing else and is fit for nothing but measuring.
 *
 *     limit PORT [hello | post | large]
 *
 * hello answers 13 bytes, post echoes the request's body, large answers 1 MiB. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MAX_EVENTS = 512,
    INPUT_SIZE = 1 << 18,  /* also the largest request */
    OUTPUT_SIZE = 1 << 18, /* answers joined into one send */
    SMALL_ANSWER = 4096,   /* larger answers are sent from where they lie */
    LARGE_BODY = 1 << 20,
    HEAD_ROOM = 160,
};

enum mode { MODE_HELLO, MODE_POST, MODE_LARGE };

struct answer {
    char *data;
    size_t len;
};

struct peer {
    int fd;
    bool close_when_sent;
    char *input; /* the start of an unfinished request, or what backpressure left unread */
    size_t input_len;
    const char *unsent; /* inside `owned`, or inside an answer that lives as long as the server */
    size_t unsent_len;
    char *owned;
};

struct server {
    int epoll_fd;
    int listen_fd;
    enum mode mode;
    struct answer keep; /* the answer that keeps the connection */
    struct answer last; /* the same with "Connection: close" */
    char *input;
    char *output;
};

struct request {
    const char *body;
    size_t body_len;
    size_t total; /* head and body */
    bool close;
};

static void
die(const char *what)
{
    fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *
must_alloc(size_t n)
{
    void *p = malloc(n);
    if (p == NULL) {
        die("malloc");
    }
    return p;
}

static size_t
format_head(char *to, size_t body_len, bool close)
{
    int n = snprintf(to, HEAD_ROOM,
                     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n", body_len,
                     close ? "Connection: close\r\n" : "");
    return (size_t)n;
}

static struct answer
make_answer(enum mode mode, bool close)
{
    static const char hello[] = "Hello, world!";
    size_t body_len = mode == MODE_LARGE ? LARGE_BODY : sizeof hello - 1;
    struct answer answer = {.data = must_alloc(HEAD_ROOM + body_len)};
    size_t head_len = format_head(answer.data, body_len, close);
    if (mode == MODE_LARGE) {
        memset(answer.data + head_len, 'x', body_len);
    }
    else {
        memcpy(answer.data + head_len, hello, body_len);
    }
    answer.len = head_len + body_len;
    return answer;
}

static bool
watch(struct server *server, int op, int fd, uint32_t events, void *ptr)
{
    struct epoll_event event = {.events = events, .data.ptr = ptr};
    return epoll_ctl(server->epoll_fd, op, fd, &event) == 0;
}

static void
peer_free(struct peer *peer)
{
    close(peer->fd);
    free(peer->input);
    free(peer->owned);
    free(peer);
}

/* Sends what the socket takes and keeps the rest, by copy unless the bytes outlive the peer.
 * False: the connection is broken. */
static bool
peer_send(struct server *server, struct peer *peer, const char *data, size_t len, bool lasting)
{
    while (len > 0) {
        ssize_t sent = send(peer->fd, data, len, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                return false;
            }
            peer->unsent = data;
            if (!lasting) {
                peer->owned = must_alloc(len);
                memcpy(peer->owned, data, len);
                peer->unsent = peer->owned;
            }
            peer->unsent_len = len;
            return watch(server, EPOLL_CTL_MOD, peer->fd, EPOLLOUT, peer);
        }
        data += sent;
        len -= (size_t)sent;
    }
    return true;
}

/* The value of Content-Length among the head's lines; 0 where there is none. */
static size_t
content_length(const char *head, const char *end)
{
    static const char name[] = "\r\nContent-Length:";
    size_t name_len = sizeof name - 1;
    for (const char *line = head; (line = memchr(line, '\r', (size_t)(end - line))) != NULL; line++) {
        if ((size_t)(end - line) > name_len && strncasecmp(line, name, name_len) == 0) {
            return strtoul(line + name_len, NULL, 10); /* stops at the head's CR LF at the latest */
        }
    }
    return 0;
}

/* 1: `request` is filled in; 0: more bytes are needed; -1: larger than this server takes. */
static int
next_request(const struct server *server, const char *data, size_t len, struct request *request)
{
    const char *end = memmem(data, len, "\r\n\r\n", 4);
    if (end == NULL) {
        return len < INPUT_SIZE ? 0 : -1;
    }
    size_t head_len = (size_t)(end - data) + 4;
    request->body = data + head_len;
    request->body_len = server->mode == MODE_POST ? content_length(data, end) : 0;
    if (request->body_len > INPUT_SIZE - head_len) {
        return -1;
    }
    request->total = head_len + request->body_len;
    if (request->total > len) {
        return 0;
    }
    request->close = memmem(data, head_len, "onnection: close", 16) != NULL;
    return 1;
}

/* Answers every complete request of `data` until the socket is full; returns the bytes used, or -1 when the
 * connection is to be dropped. */
static ssize_t
answer_all(struct server *server, struct peer *peer, const char *data, size_t len)
{
    size_t used = 0, out = 0;
    while (used < len && peer->unsent == NULL && !peer->close_when_sent) {
        struct request request;
        int found = next_request(server, data + used, len - used, &request);
        if (found < 0) {
            return -1;
        }
        if (found == 0) {
            break;
        }
        used += request.total;
        peer->close_when_sent = request.close;
        const struct answer *answer = request.close ? &server->last : &server->keep;
        size_t room = server->mode == MODE_POST ? HEAD_ROOM + request.body_len : answer->len;
        if (out > 0 && out + room > OUTPUT_SIZE) {
            if (!peer_send(server, peer, server->output, out, false)) {
                return -1;
            }
            out = 0;
            if (peer->unsent != NULL) {
                /* Nothing of this request is answered yet: take it again when the socket drains. */
                used -= request.total;
                peer->close_when_sent = false;
                break;
            }
        }
        if (server->mode == MODE_POST) {
            out += format_head(server->output + out, request.body_len, request.close);
            memcpy(server->output + out, request.body, request.body_len);
            out += request.body_len;
        }
        else if (answer->len <= SMALL_ANSWER) {
            memcpy(server->output + out, answer->data, answer->len);
            out += answer->len;
        }
        else if (!peer_send(server, peer, answer->data, answer->len, true)) {
            return -1;
        }
    }
    if (out > 0 && !peer_send(server, peer, server->output, out, false)) {
        return -1;
    }
    return (ssize_t)used;
}

/* Answers what `data` holds and keeps its tail. False: the peer is done with. */
static bool
peer_consume(struct server *server, struct peer *peer, const char *data, size_t len)
{
    ssize_t used = answer_all(server, peer, data, len);
    if (used < 0 || (peer->close_when_sent && peer->unsent == NULL)) {
        return false;
    }
    size_t left = len - (size_t)used;
    if (left > 0) {
        if (peer->input == NULL) {
            peer->input = must_alloc(INPUT_SIZE);
        }
        memmove(peer->input, data + used, left);
    }
    peer->input_len = left;
    return true;
}

static bool
peer_readable(struct server *server, struct peer *peer)
{
    /* An unfinished request is completed where it lies; anything else arrives in the shared buffer. */
    char *buffer = peer->input_len > 0 ? peer->input : server->input;
    ssize_t got = recv(peer->fd, buffer + peer->input_len, INPUT_SIZE - peer->input_len, 0);
    if (got < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    }
    return got > 0 && peer_consume(server, peer, buffer, peer->input_len + (size_t)got);
}

static bool
peer_writable(struct server *server, struct peer *peer)
{
    const char *data = peer->unsent;
    size_t len = peer->unsent_len;
    ssize_t sent = send(peer->fd, data, len, MSG_NOSIGNAL);
    if (sent < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    }
    peer->unsent += sent;
    peer->unsent_len -= (size_t)sent;
    if (peer->unsent_len > 0) {
        return true;
    }
    free(peer->owned);
    peer->owned = NULL;
    peer->unsent = NULL;
    if (peer->close_when_sent || !watch(server, EPOLL_CTL_MOD, peer->fd, EPOLLIN, peer)) {
        return false;
    }
    return peer->input_len == 0 || peer_consume(server, peer, peer->input, peer->input_len);
}

static void
accept_all(struct server *server)
{
    int fd;
    while ((fd = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *peer = calloc(1, sizeof *peer);
        if (peer == NULL) {
            die("calloc");
        }
        peer->fd = fd;
        int on = 1;
        if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
            !watch(server, EPOLL_CTL_ADD, fd, EPOLLIN, peer)) {
            peer_free(peer);
        }
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ECONNABORTED) {
        die("accept4");
    }
}

static void
serve(struct server *server)
{
    struct epoll_event events[MAX_EVENTS];
    for (;;) {
        int n = epoll_wait(server->epoll_fd, events, MAX_EVENTS, -1);
        if (n < 0 && errno != EINTR) {
            die("epoll_wait");
        }
        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer == NULL) {
                accept_all(server);
            }
            else if (!(peer->unsent != NULL ? peer_writable(server, peer) : peer_readable(server, peer))) {
                peer_free(peer);
            }
        }
    }
}

static void
listen_on(struct server *server, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->listen_fd < 0) {
        die("socket");
    }
    if (setsockopt(server->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) {
        die("setsockopt");
    }
    if (bind(server->listen_fd, (struct sockaddr *)&address, sizeof address) < 0) {
        die("bind");
    }
    if (listen(server->listen_fd, 4096) < 0) {
        die("listen");
    }
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll_fd < 0 || !watch(server, EPOLL_CTL_ADD, server->listen_fd, EPOLLIN, NULL)) {
        die("epoll");
    }
}

static int
usage(void)
{
    fputs("usage: limit PORT [hello | post | large]\n", stderr);
    return 2;
}

int
main(int argc, char **argv)
{
    static const char *const modes[] = {"hello", "post", "large"};
    if (argc < 2 || argc > 3) {
        return usage();
    }
    long port = strtol(argv[1], NULL, 10);
    if (port < 1 || port > 65535) {
        return usage();
    }
    int mode = MODE_HELLO;
    if (argc == 3) {
        while (strcmp(argv[2], modes[mode]) != 0) {
            if (++mode > MODE_LARGE) {
                return usage();
            }
        }
    }
    struct server server = {.mode = (enum mode)mode,
                            .keep = make_answer((enum mode)mode, false),
                            .last = make_answer((enum mode)mode, true),
                            .input = must_alloc(INPUT_SIZE),
                            .output = must_alloc(OUTPUT_SIZE + INPUT_SIZE)};
    listen_on(&server, (uint16_t)port);
    serve(&server);
}
