/* What the state holds for the event layer; see base/state.h. */
#ifndef TC_NAMES_EVENT_H
#define TC_NAMES_EVENT_H

#include "base/compat.h"
#include "base/list.h"

#define TC_EVENT_TYPES(X)                                                                                    \
    X(handle, tc_handle_init_type)                                                                           \
    X(timer_handle, tc_timer_handle_init_type)                                                               \
    X(core, tc_core_init_type)                                                                               \
    X(ready_view, tc_ready_view_init_type)                                                                   \
    X(ioloop, tc_ioloop_init_type)                                                                           \
    X(transport, tc_transport_init_type)                                                                     \
    X(runner, tc_runner_init_type)                                                                           \
    X(pause, tc_pause_init_type)

#define TC_EVENT_NAMES(X)                                                                                    \
    X(__asyncio_running_event_loop__)                                                                        \
    X(__enter__)                                                                                             \
    X(__exit__)                                                                                              \
    X(__self__)                                                                                              \
    X(PENDING)                                                                                               \
    X(Runner)                                                                                                \
    X(_args)                                                                                                 \
    X(_asyncio_future_blocking)                                                                              \
    X(_callbacks)                                                                                            \
    X(_cancel_message)                                                                                       \
    X(_cancelled)                                                                                            \
    X(_check_callback)                                                                                       \
    X(_check_thread)                                                                                         \
    X(_convert)                                                                                              \
    X(_end)                                                                                                  \
    X(_fatal_error)                                                                                          \
    X(_guest_due)                                                                                            \
    X(_guest_turn)                                                                                           \
    X(_log_destroy_pending)                                                                                  \
    X(_log_slow)                                                                                             \
    X(_must_cancel)                                                                                          \
    X(_next_turn)                                                                                            \
    X(_read_ready__on_eof)                                                                                   \
    X(_run)                                                                                                  \
    X(_run_once)                                                                                             \
    X(_runner)                                                                                               \
    X(_state)                                                                                                \
    X(_watch)                                                                                                \
    X(_watch_result)                                                                                         \
    X(_watched_by_host)                                                                                      \
    X(_wrapped)                                                                                              \
    X(active)                                                                                                \
    X(add_done_callback)                                                                                     \
    X(add_reader)                                                                                            \
    X(buffer_updated)                                                                                        \
    X(call_at)                                                                                               \
    X(call_exception_handler)                                                                                \
    X(call_later)                                                                                            \
    X(call_soon)                                                                                             \
    X(call_soon_threadsafe)                                                                                  \
    X(callback)                                                                                              \
    X(cancel)                                                                                                \
    X(cancelling)                                                                                            \
    X(close)                                                                                                 \
    X(context)                                                                                               \
    X(context_factory)                                                                                       \
    X(convert_yielded)                                                                                       \
    X(create_task)                                                                                           \
    X(data)                                                                                                  \
    X(data_received)                                                                                         \
    X(deadline)                                                                                              \
    X(delay)                                                                                                 \
    X(events)                                                                                                \
    X(fd)                                                                                                    \
    X(func)                                                                                                  \
    X(get_buffer)                                                                                            \
    X(get_coro)                                                                                              \
    X(get_debug)                                                                                             \
    X(get_name)                                                                                              \
    X(get_task_factory)                                                                                      \
    X(handle)                                                                                                \
    X(_handler_failed)                                                                                       \
    X(handle_callback_exception)                                                                             \
    X(handle_yield)                                                                                          \
    X(handler)                                                                                               \
    X(is_running)                                                                                            \
    X(loop)                                                                                                  \
    X(message)                                                                                               \
    X(name)                                                                                                  \
    X(old_contexts)                                                                                          \
    X(remove_reader)                                                                                         \
    X(result)                                                                                                \
    X(run)                                                                                                   \
    X(source_traceback)                                                                                      \
    X(throw)                                                                                                 \
    X(time)                                                                                                  \
    X(timeout)                                                                                               \
    X(total_seconds)                                                                                         \
    X(when)                                                                                                  \
    X(write)                                                                                                 \
    X(yielded)

#define TC_EVENT_KEYWORDS(X)                                                                                 \
    X(context, "(s)", "context")                                                                             \
    X(loop, "(s)", "loop")                                                                                   \
    X(loop_context, "(ss)", "loop", "context")                                                               \
    X(loop_eager_start, "(ss)", "loop", "eager_start")                                                       \
    X(loop_context_eager_start, "(sss)", "loop", "context", "eager_start")

#define TC_EVENT_OWN(X)                                                                                      \
    X(ioloop_last_class) /* of the last IOLoop that ran a callback */                                        \
    X(context_key)       /* a key of asyncio's own that equals str_context */                                \
    X(known_tasks)       /* the set of asyncio's in which all_tasks() looks */                               \
    X(running_holder)    /* see running.c */                                                                 \
    X(running_loop)      /* what that says */                                                                \
    X(ioloop_run)        /* the function that a queued callback's handle calls */                            \
    X(transport_write)   /* the standard library's write() of a transport */

#if PY_VERSION_HEX < 0x030e0000
#define TC_CURRENT_TASKS "_current_tasks" /* a dict: loop -> task */
#else
#define TC_CURRENT_TASKS "current_task" /* a function of the loop */
#endif

/* Where all_tasks() finds a Task: a WeakSet. */
#if PY_VERSION_HEX < 0x030c0000
#define TC_STEPPED_TASKS "_all_tasks"
#elif PY_VERSION_HEX < 0x030e0000
#define TC_STEPPED_TASKS "_scheduled_tasks"
#else
#define TC_STEPPED_TASKS "all_tasks" /* not needed */
#endif

#define TC_EVENT_IMPORTS(X)                                                                                  \
    X(abc_generator, "collections.abc", "Generator")                                                         \
    X(asyncio_buffered_protocol, "asyncio", "BufferedProtocol")                                              \
    X(asyncio_cancelled_error, "asyncio", "CancelledError")                                                  \
    X(asyncio_current_tasks, "asyncio.tasks", TC_CURRENT_TASKS)                                              \
    X(asyncio_events_dict, "asyncio.events", "__dict__")                                                     \
    X(asyncio_flow_control, "asyncio.transports", "_FlowControlMixin")                                       \
    X(asyncio_get_running_loop, "asyncio.events", "_get_running_loop")                                       \
    X(asyncio_handle, "asyncio", "Handle")                                                                   \
    X(asyncio_selector_transport, "asyncio.selector_events", "_SelectorSocketTransport")                     \
    X(asyncio_stepped_tasks, "asyncio.tasks", TC_STEPPED_TASKS)                                              \
    X(asyncio_task, "asyncio", "Task")                                                                       \
    X(asyncio_timer_handle, "asyncio", "TimerHandle")                                                        \
    X(asyncio_unregister_task, "asyncio.tasks", "_unregister_task")                                          \
    X(extract_stack, "asyncio.format_helpers", "extract_stack")                                              \
    X(format_callback_source, "asyncio.format_helpers", "_format_callback_source")                           \
    X(number_real, "numbers", "Real")                                                                        \
    X(partial, "functools", "partial")

#define TC_EVENT_FACES(X) X(Runner, gen, state->runner_type)

#define TC_EVENT_UPCALLS(X)                                                                                  \
    X(gen_convert, gen, NULL)                                                                                \
    X(gen_create_future, gen, NULL)                                                                          \
    X(gen_end, gen, NULL)                                                                                    \
    X(gen_failed, gen, NULL)                                                                                 \
    X(gen_moment, gen, NULL)                                                                                 \
    X(gen_namespace, gen, &PyDict_Type)                                                                      \
    X(gen_registry, gen, NULL)                                                                               \
    X(gen_restore_stack, gen, NULL)                                                                          \
    X(stack_active, stack_context, &PyContextVar_Type)                                                       \
    X(stack_begin, stack_context, NULL)                                                                      \
    X(stack_call, stack_context, NULL)                                                                       \
    X(stack_context, stack_context, &PyType_Type)                                                            \
    X(stack_enter, stack_context, NULL)                                                                      \
    X(stack_handle, stack_context, NULL)                                                                     \
    X(stack_leave, stack_context, NULL)                                                                      \
    X(stack_none, stack_context, NULL)                                                                       \
    X(stack_wrap, stack_context, NULL)                                                                       \
    X(wrap_awaitable, ioloop, NULL)

/* Dead handles kept for the next call_soon. */
typedef struct {
    PyObject *items[128];
    int size;
} tc_handle_freelist;

/* Of asyncio.Task, see spare_task.c; borrowed, or NULL. */
typedef struct {
    PyObject *callbacks, *must_cancel, *message, *state, *blocking, *log, *cancelling, *name;
    bool looked;
} tc_task_parts;

#define TC_EVENT_FIELDS                                                                                      \
    tc_link cores; /* every LoopCore */                                                                      \
    /* A C type that asyncio takes for a coroutine; borrowed, set by its layer. */                           \
    PyTypeObject *native_coroutine_type;                                                                     \
    tc_task_parts task_parts;                                                                                \
    tc_handle_freelist handles, timer_handles;                                                               \
    /* The versions of our handles' types for which _run is asyncio's own. */                                \
    unsigned handle_run_tag, timer_handle_run_tag, runner_tag;                                               \
    unsigned running_forks; /* tc_fork_count() when running_holder was found */                              \
    /* Whether a Future is known to begin with its loop. */                                                  \
    bool future_loop_known, future_loop_first;

#endif
