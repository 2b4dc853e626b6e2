#ifndef TC_TESTS_EXACT_COPY_H
#define TC_TESTS_EXACT_COPY_H

#include <stdlib.h>
#include <string.h>

/* A copy in a heap block of exactly its size, so that the sanitizer sees a read past it. */
static inline char *
exact_copy(const char *data, size_t size)
{
    char *copy = calloc(size, 1);
    if (copy == NULL && size != 0) {
        abort();
    }
    if (size != 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

#endif
