/* Two backends in one program: the functions of poller.h under names with a prefix, which is BACKEND where a
 * backend's source is included. */
#define BACKEND_JOIN(prefix, name) prefix##_##name
#define BACKEND_NAME(prefix, name) BACKEND_JOIN(prefix, name)

#define tc_poller_backend BACKEND_NAME(BACKEND, backend)
#define tc_poller_close BACKEND_NAME(BACKEND, close)
#define tc_poller_ensure BACKEND_NAME(BACKEND, ensure)
#define tc_poller_renew BACKEND_NAME(BACKEND, renew)
#define tc_poller_lost BACKEND_NAME(BACKEND, lost)
#define tc_poller_next BACKEND_NAME(BACKEND, next)
#define tc_poller_remove BACKEND_NAME(BACKEND, remove)
#define tc_poller_set BACKEND_NAME(BACKEND, set)
#define tc_poller_wait BACKEND_NAME(BACKEND, wait)
