/* What every layer may use: the status alphabet, likelihood hints, container_of and rounding helpers.
 * Plain C: no Python.h here, so parsers, the heap and the pollers build and test without an interpreter. */
#ifndef TC_BASE_H
#define TC_BASE_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

/* Statuses of plain C: one of these, or a negative errno. TC_RAISED belongs to drivers only and says
 * that a Python exception is set; it is positive because -1 is -EPERM, which epoll_ctl returns for a
 * regular file. */
enum {
    TC_OK = 0,
    TC_AGAIN = 1,  /* needs more input, or the descriptor would block */
    TC_EOF = 2,    /* the peer has ended its side */
    TC_RAISED = 3, /* a Python exception is set */
};

#define TC_LIKELY(x) __builtin_expect(!!(x), 1)
#define TC_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define TC_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define tc_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* A part of a buffer known from context: an offset and a length, so that it survives a move. */
typedef struct {
    uint32_t off;
    uint32_t len;
} tc_span;

static inline size_t
tc_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The smallest power of two that is at least n and at least 16. */
static inline size_t
tc_round_pow2(size_t n)
{
    size_t p = 16;
    while (p < n) {
        p *= 2;
    }
    return p;
}

#endif
