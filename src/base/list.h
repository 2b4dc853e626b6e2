/* An intrusive doubly linked list with a head that is itself a link: O(1) append, unlink and "is it
 * linked?". Plain C. A link that is not in a list points to itself. */
#ifndef TC_LIST_H
#define TC_LIST_H

#include "base/base.h"

typedef struct tc_link {
    struct tc_link *prev, *next;
} tc_link;

static inline void
tc_list_init(tc_link *link)
{
    link->prev = link->next = link;
}

static inline bool
tc_list_empty(const tc_link *head)
{
    return head->next == head;
}

/* For a link: whether it is in a list. */
static inline bool
tc_list_linked(const tc_link *link)
{
    return link->next != link;
}

static inline void
tc_list_append(tc_link *head, tc_link *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void
tc_list_unlink(tc_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    tc_list_init(link);
}

/* Moves every link of `from` after those of `to`; `from` ends empty. */
static inline void
tc_list_splice(tc_link *to, tc_link *from)
{
    if (tc_list_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    tc_list_init(from);
}

#endif
