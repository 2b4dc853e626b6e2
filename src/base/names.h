/* What the state holds for every layer; see base/state.h. */
#ifndef TC_NAMES_BASE_H
#define TC_NAMES_BASE_H

#define TC_BASE_NAMES(X)                                                                                     \
    X(done)                                                                                                  \
    X(errno)                                                                                                 \
    X(exception)                                                                                             \
    X(flush)                                                                                                 \
    X(set_exception)                                                                                         \
    X(set_result)

#define TC_BASE_OWN(X)                                                                                       \
    X(future_done)       /* asyncio.Future.done */                                                           \
    X(future_set_result) /* asyncio.Future.set_result */                                                     \
    X(replaced)          /* a list of registered objects that others have replaced */

#define TC_BASE_IMPORTS(X)                                                                                   \
    X(asyncio_future, "asyncio", "Future")                                                                   \
    X(get_logger, "logging", "getLogger")

#endif
