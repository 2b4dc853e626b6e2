/* See buf.h. Any thread, one at a time for each buffer. */
#include "base/buf.h"

#include <stdlib.h>

int
tc_buf_grow(tc_bytes_buf *buf, size_t more)
{
    if (more > SIZE_MAX / 4 || buf->size > SIZE_MAX / 4) {
        return -ENOMEM;
    }
    size_t cap = buf->cap < 256 ? 256 : buf->cap;
    while (cap < buf->size + more) {
        cap *= 2;
    }
    char *data = realloc(buf->data, cap);
    if (data == NULL) {
        return -ENOMEM;
    }
    buf->data = data;
    buf->cap = cap;
    return TC_OK;
}

void
tc_buf_free(tc_bytes_buf *buf)
{
    free(buf->data);
    *buf = (tc_bytes_buf){0};
}
