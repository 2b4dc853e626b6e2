/* Large memory. Where it comes fresh from the kernel its cost is that of the pages, which are cleared and
 * entered one by one when they are first touched; huge ones save most of that. */
#ifndef TC_MEMORY_H
#define TC_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#define TC_MEMORY_LARGE ((size_t)4 << 20)
#define TC_MEMORY_HUGE_PAGE ((uintptr_t)2 << 20)

/* Says of memory that was just allocated, and is going to be filled, that huge pages are welcome. A hint. */
static inline void
tc_memory_expect(const void *memory, size_t size)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (size >= TC_MEMORY_LARGE) {
        uintptr_t start = ((uintptr_t)memory + TC_MEMORY_HUGE_PAGE - 1) & ~(TC_MEMORY_HUGE_PAGE - 1);
        uintptr_t end = ((uintptr_t)memory + size) & ~(TC_MEMORY_HUGE_PAGE - 1);
        (void)madvise((void *)start, end - start, MADV_HUGEPAGE);
    }
#endif
}

#endif
