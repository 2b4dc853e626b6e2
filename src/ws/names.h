/* What the state holds for WebSocket; see base/state.h. */
#ifndef TC_NAMES_WS_H
#define TC_NAMES_WS_H

#define TC_WS_TYPES(X)

#endif
