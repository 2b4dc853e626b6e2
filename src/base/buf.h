/* A growable byte buffer over malloc, for output that is built in steps and then handed on whole.
 * Plain C. A zeroed struct is an empty buffer; its owner calls tc_buf_free. */
#ifndef TC_BUF_H
#define TC_BUF_H

#include "base/base.h"

typedef struct {
    char *data;
    size_t size;
    size_t cap;
} tc_bytes_buf;

/* Makes room for `more` bytes after buf->size: TC_OK or -ENOMEM, which leaves the contents alone. */
int tc_buf_grow(tc_bytes_buf *buf, size_t more);

/* Frees the memory and leaves an empty buffer, which may be used again. */
void tc_buf_free(tc_bytes_buf *buf);

static inline int
tc_buf_reserve(tc_bytes_buf *buf, size_t more)
{
    return TC_LIKELY(buf->cap - buf->size >= more) ? TC_OK : tc_buf_grow(buf, more);
}

/* TC_OK or -ENOMEM. */
static inline int
tc_buf_append(tc_bytes_buf *buf, const void *data, size_t size)
{
    int st = tc_buf_reserve(buf, size);
    if (TC_LIKELY(st == TC_OK && size > 0)) {
        memcpy(buf->data + buf->size, data, size);
        buf->size += size;
    }
    return st;
}

#endif
