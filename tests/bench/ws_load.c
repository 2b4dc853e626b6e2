/* The load of the WebSocket rows: a client that costs far less than any server, since what it sends is made by
 * others and of what it gets it reads the heads of frames alone.
 *
 *     ws_load PORT HANDSHAKE FRAMES CONNECTIONS IN_FLIGHT
 *
 * HANDSHAKE and FRAMES are files: a request, and masked frames, which are sent in turn, over and over. Once all
 * connections are open it says READY. For each line "seconds N" or "messages N" on standard input it sends in
 * waves and says "RESULT MESSAGES MICROSECONDS P50 P99", a wave's time in microseconds; it ends with the input. A
 * wave is IN_FLIGHT messages on each connection, each of which waits for its own answers. IN_FLIGHT 0 means that
 * the server sends each message to everybody: the first connection alone sends, and all wait for it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_EVENTS = 512, INPUT_SIZE = 1 << 20, HEAD_MAX = 14, TIMES_MAX = 1 << 20 };

struct file {
    char *data;
    size_t len;
};

struct peer {
    int fd;
    unsigned char head[HEAD_MAX]; /* of the frame that arrives */
    size_t head_len;              /* as far as it is there */
    bool in_payload;
    uint64_t skip; /* what is left of its payload */
    int awaited;   /* answers of the wave that are not there yet */
    size_t next;   /* the frame that is sent next */
    const char *unsent;
    size_t unsent_len;
    uint64_t sent_at;
};

struct load {
    int epoll_fd;
    int connections;
    int in_flight;
    struct peer *peers;
    struct file frames; /* those of the file, and as many again as a wave may need behind the last one */
    size_t *starts;     /* of each frame in it, and its end */
    size_t count;       /* of the frames in the file */
    char *input;
    uint64_t deadline;
    uint64_t left; /* messages that may still be sent */
    uint64_t done;
    int waiting; /* connections with answers awaited */
    uint32_t *times;
    size_t times_len;
};

static void
die(const char *what)
{
    fprintf(stderr, "ws_load: %s: %s\n", what, errno ? strerror(errno) : "unexpected");
    exit(1);
}

static void
check(bool ok, const char *what)
{
    if (!ok) {
        die(what);
    }
}

static void *
must_alloc(size_t n)
{
    void *p = calloc(1, n);
    check(p != NULL, "calloc");
    return p;
}

static uint64_t
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static struct file
read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    check(f != NULL, path);
    check(fseek(f, 0, SEEK_END) == 0, path);
    struct file file = {.len = (size_t)ftell(f)};
    rewind(f);
    file.data = must_alloc(file.len + 1);
    check(fread(file.data, 1, file.len, f) == file.len, path);
    fclose(f);
    return file;
}

/* ---- frames ---- */

/* The length of a frame's head and of its payload; false where the head is not whole. */
static bool
read_head(const unsigned char *data, size_t len, size_t *head_len, uint64_t *payload_len)
{
    if (len < 2) {
        return false;
    }
    unsigned short_len = data[1] & 127;
    int extended = short_len == 127 ? 8 : short_len == 126 ? 2 : 0;
    *head_len = 2 + (size_t)extended + (data[1] & 128 ? 4 : 0);
    if (len < *head_len) {
        return false;
    }
    *payload_len = extended ? 0 : short_len;
    for (int i = 0; i < extended; i++) {
        *payload_len = *payload_len << 8 | data[2 + i];
    }
    return true;
}

static void
index_frames(struct load *load, struct file file)
{
    size_t most = file.len / 2 + 1, head_len;
    uint64_t payload_len;
    size_t *starts = must_alloc((most + (size_t)load->in_flight + 2) * sizeof *starts);
    for (size_t at = 0; at < file.len; at += head_len + payload_len) {
        check(read_head((unsigned char *)file.data + at, file.len - at, &head_len, &payload_len), "frames");
        starts[load->count++] = at;
    }
    check(load->count > 0, "frames");
    size_t wave = load->in_flight > 0 ? (size_t)load->in_flight : 1, copies = wave / load->count + 2;
    load->frames.data = must_alloc(file.len * copies);
    for (size_t i = 0; i < copies; i++) {
        memcpy(load->frames.data + i * file.len, file.data, file.len);
    }
    for (size_t i = 0; i <= wave; i++) {
        starts[load->count + i] = (i / load->count + 1) * file.len + starts[i % load->count];
    }
    load->starts = starts;
}

/* ---- connections ---- */

static void
watch(struct load *load, struct peer *peer, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = peer};
    check(epoll_ctl(load->epoll_fd, op, peer->fd, &event) == 0, "epoll_ctl");
}

static void
open_peer(struct load *load, struct peer *peer, uint16_t port, struct file handshake)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char head[4096];
    size_t len = 0;
    int on = 1;
    peer->fd = socket(AF_INET, SOCK_STREAM, 0);
    check(peer->fd >= 0, "socket");
    check(connect(peer->fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    check(send(peer->fd, handshake.data, handshake.len, 0) == (ssize_t)handshake.len, "handshake");
    while (memmem(head, len, "\r\n\r\n", 4) == NULL) {
        ssize_t n = recv(peer->fd, head + len, sizeof head - len, 0);
        check(n > 0, "handshake");
        len += (size_t)n;
    }
    check(memmem(head, len, " 101 ", 5) != NULL, "not a 101");
    check(fcntl(peer->fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    watch(load, peer, EPOLL_CTL_ADD, EPOLLIN);
}

static void
send_some(struct load *load, struct peer *peer, bool waits)
{
    ssize_t n = send(peer->fd, peer->unsent, peer->unsent_len, MSG_NOSIGNAL);
    check(n >= 0 || errno == EAGAIN, "send");
    size_t sent = n < 0 ? 0 : (size_t)n;
    peer->unsent += sent;
    peer->unsent_len -= sent;
    if (waits != (peer->unsent_len > 0)) {
        watch(load, peer, EPOLL_CTL_MOD, peer->unsent_len > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

static void
send_frames(struct load *load, struct peer *peer, int frames)
{
    peer->unsent = load->frames.data + load->starts[peer->next];
    peer->unsent_len = load->starts[peer->next + (size_t)frames] - load->starts[peer->next];
    peer->next = (peer->next + (size_t)frames) % load->count;
    peer->sent_at = now();
    send_some(load, peer, false);
}

/* ---- waves ---- */

static bool
may_send(struct load *load, int messages)
{
    if (load->left < (uint64_t)messages || (load->deadline && now() >= load->deadline)) {
        return false;
    }
    load->left -= (uint64_t)messages;
    return true;
}

/* The next wave: of this connection, or of all where each message goes to everybody. */
static void
begin_wave(struct load *load, struct peer *peer)
{
    if (load->in_flight > 0) {
        if (may_send(load, load->in_flight)) {
            peer->awaited = load->in_flight;
            load->waiting++;
            send_frames(load, peer, load->in_flight);
        }
    }
    else if (load->waiting == 0 && may_send(load, load->connections)) {
        for (int i = 0; i < load->connections; i++) {
            load->peers[i].awaited = 1;
        }
        load->waiting = load->connections;
        send_frames(load, load->peers, 1);
    }
}

static void
end_wave(struct load *load, struct peer *peer)
{
    load->waiting--;
    uint64_t since = load->in_flight > 0 ? peer->sent_at : load->peers[0].sent_at;
    if (load->times_len < TIMES_MAX) {
        load->times[load->times_len++] = (uint32_t)(now() - since);
    }
    begin_wave(load, peer);
}

static void
frame_arrived(struct load *load, struct peer *peer, unsigned opcode)
{
    errno = 0;
    check(opcode != 8, "the server closes");
    if (opcode > 2) {
        return; /* a ping, which may wait */
    }
    check(peer->awaited > 0, "more answers than messages");
    load->done++;
    if (--peer->awaited == 0) {
        end_wave(load, peer);
    }
}

static void
receive(struct load *load, struct peer *peer)
{
    ssize_t n = recv(peer->fd, load->input, INPUT_SIZE, 0);
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    errno = n == 0 ? 0 : errno;
    check(n > 0, "the connection has ended");
    const unsigned char *data = (unsigned char *)load->input, *end = data + n;
    for (;;) {
        if (peer->in_payload) {
            size_t there = (size_t)(end - data), skipped = peer->skip < there ? peer->skip : there;
            data += skipped;
            peer->skip -= skipped;
            if (peer->skip > 0) {
                return;
            }
            peer->in_payload = false;
            peer->head_len = 0;
            frame_arrived(load, peer, peer->head[0] & 15);
        }
        if (data == end) {
            return;
        }
        size_t there = (size_t)(end - data), had = peer->head_len, head_len;
        size_t copied = there < HEAD_MAX - had ? there : HEAD_MAX - had;
        memcpy(peer->head + had, data, copied);
        if (!read_head(peer->head, had + copied, &head_len, &peer->skip)) {
            peer->head_len = had + copied;
            return;
        }
        data += head_len - had;
        peer->in_payload = true;
    }
}

/* ---- runs ---- */

static int
compare_times(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void
run(struct load *load, uint64_t seconds, uint64_t messages)
{
    struct epoll_event events[MAX_EVENTS];
    uint64_t start = now();
    load->deadline = seconds ? start + seconds * 1000000 : 0;
    load->left = seconds ? UINT64_MAX : messages;
    load->done = load->times_len = 0;
    for (int i = 0; i < (load->in_flight > 0 ? load->connections : 1); i++) {
        begin_wave(load, &load->peers[i]);
    }
    while (load->waiting > 0) {
        int n = epoll_wait(load->epoll_fd, events, MAX_EVENTS, 30000);
        check(n > 0, "no answer for 30 seconds");
        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) {
                send_some(load, peer, true);
            }
            if (events[i].events & ~(uint32_t)EPOLLOUT) {
                receive(load, peer);
            }
        }
    }
    uint64_t taken = now() - start;
    qsort(load->times, load->times_len, sizeof *load->times, compare_times);
    uint32_t p50 = load->times_len ? load->times[load->times_len / 2] : 0;
    uint32_t p99 = load->times_len ? load->times[load->times_len * 99 / 100] : 0;
    printf("RESULT %llu %llu %u %u\n", (unsigned long long)load->done, (unsigned long long)taken, p50, p99);
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    check(argc == 6, "arguments");
    struct file handshake = read_file(argv[2]);
    struct load load = {.connections = atoi(argv[4]), .in_flight = atoi(argv[5])};
    index_frames(&load, read_file(argv[3]));
    load.epoll_fd = epoll_create1(0);
    load.peers = must_alloc((size_t)load.connections * sizeof *load.peers);
    load.input = must_alloc(INPUT_SIZE);
    load.times = must_alloc(TIMES_MAX * sizeof *load.times);
    for (int i = 0; i < load.connections; i++) {
        load.peers[i].next = (size_t)i % load.count;
        open_peer(&load, &load.peers[i], (uint16_t)atoi(argv[1]), handshake);
    }
    puts("READY");
    fflush(stdout);
    char line[64];
    while (fgets(line, sizeof line, stdin) != NULL) {
        unsigned long long n;
        bool seconds = sscanf(line, "seconds %llu", &n) == 1;
        check(seconds || sscanf(line, "messages %llu", &n) == 1, "input");
        run(&load, seconds ? n : 0, seconds ? 0 : n);
    }
    return 0;
}
