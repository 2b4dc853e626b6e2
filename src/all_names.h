/* The lists of all layers in one. Only base/state.h includes this, so that the state of the whole module can
 * be a struct of the lowest layer. */
#ifndef TC_ALL_NAMES_H
#define TC_ALL_NAMES_H

#include "base/names.h"
#include "event/names.h"
#include "stream/names.h"
#include "http/names.h"
#include "web/names.h"
#include "ws/names.h"

#define TC_TYPES(X)                                                                                          \
    TC_EVENT_TYPES(X)                                                                                        \
    TC_STREAM_TYPES(X)                                                                                       \
    TC_HTTP_TYPES(X)                                                                                         \
    TC_WEB_TYPES(X)                                                                                          \
    TC_WS_TYPES(X)

#define TC_NAMES(X)                                                                                          \
    TC_BASE_NAMES(X)                                                                                         \
    TC_EVENT_NAMES(X)                                                                                        \
    TC_STREAM_NAMES(X)                                                                                       \
    TC_HTTP_NAMES(X)                                                                                         \
    TC_WEB_NAMES(X)                                                                                          \
    TC_WS_NAMES(X)

#define TC_TEXTS(X) TC_WEB_TEXTS(X)

#define TC_KEYWORDS(X)                                                                                       \
    TC_EVENT_KEYWORDS(X)                                                                                     \
    TC_STREAM_KEYWORDS(X)                                                                                    \
    TC_WEB_KEYWORDS(X)                                                                                       \
    TC_WS_KEYWORDS(X)

#define TC_OWN(X)                                                                                            \
    TC_BASE_OWN(X)                                                                                           \
    TC_EVENT_OWN(X)                                                                                          \
    TC_STREAM_OWN(X)                                                                                         \
    TC_HTTP_OWN(X)                                                                                           \
    TC_WEB_OWN(X)

#define TC_IMPORTS(X)                                                                                        \
    TC_BASE_IMPORTS(X)                                                                                       \
    TC_EVENT_IMPORTS(X)                                                                                      \
    TC_STREAM_IMPORTS(X)                                                                                     \
    TC_HTTP_IMPORTS(X)                                                                                       \
    TC_WS_IMPORTS(X)

#define TC_FACES(X)                                                                                          \
    TC_EVENT_FACES(X)                                                                                        \
    TC_STREAM_FACES(X)                                                                                       \
    TC_HTTP_FACES(X)                                                                                         \
    TC_WEB_FACES(X)                                                                                          \
    TC_WS_FACES(X)

#define TC_UPCALLS(X)                                                                                        \
    TC_EVENT_UPCALLS(X)                                                                                      \
    TC_STREAM_UPCALLS(X)                                                                                     \
    TC_HTTP_UPCALLS(X)                                                                                       \
    TC_WEB_UPCALLS(X)                                                                                        \
    TC_WS_UPCALLS(X)

#define TC_FIELDS                                                                                            \
    TC_EVENT_FIELDS                                                                                          \
    TC_HTTP_FIELDS                                                                                           \
    TC_WEB_FIELDS

#endif
