/* Nanoseconds for one request head: a short one and a browser's. Best of several rounds. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "http/http_parser.h"

static const char SHORT[] = "GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8888\r\n\r\n";

static const char BROWSER[] =
    "GET /articles/2024/tornado?ref=home HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "Connection: keep-alive\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 "
    "Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.9\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    "\r\n";

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void
bench(const char *name, const char *data, size_t size)
{
    enum { ROUNDS = 15, LOOPS = 200000 };
    double best = 1e18;
    uint64_t sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        for (int i = 0; i < LOOPS; i++) {
            tc_http_parser parser = {0};
            tc_http_head head;
            if (tc_http_parse_head(&parser, data, size, 65536, &head) != TC_OK) {
                fprintf(stderr, "%s: not parsed\n", name);
                exit(1);
            }
            sum += head.flags + head.target.len;
            __asm__ volatile("" : : : "memory");
        }
        double each = (now() - start) / LOOPS;
        best = each < best ? each : best;
    }
    printf("%-8s %4zu bytes  %6.1f ns  (checksum %u)\n", name, size, best, (unsigned)(sum & 0xffff));
}

int
main(void)
{
    bench("short", SHORT, sizeof(SHORT) - 1);
    bench("browser", BROWSER, sizeof(BROWSER) - 1);
    return 0;
}
