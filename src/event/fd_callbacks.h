/* Python callbacks on descriptors, for add_reader, add_writer and IOLoop.add_handler. */
#ifndef TC_FD_CALLBACKS_H
#define TC_FD_CALLBACKS_H

#include "event/core.h"

/* 0 or -1 with an exception. Runs Python: the cancel() of a handle that is replaced. */
int tc_fd_add(LoopCore *core, int fd, bool write, PyObject *handle);
/* Until it is replaced or removed, the reader's handle is run in the event itself if nothing else comes
 * first. */
void tc_fd_read_at_once(LoopCore *core, int fd);
int tc_fd_remove(LoopCore *core, int fd, bool write); /* 1 removed, 0 was not there, -1 */
int tc_fd_set_handler(LoopCore *core, int fd, PyObject *fd_obj, PyObject *handler, unsigned events);
int tc_fd_update_handler(LoopCore *core, int fd, unsigned events); /* 1, 0 unknown, -1 */
int tc_fd_remove_handler(LoopCore *core, int fd);
/* Which handler was added with this object, or -1: the object may be closed by now. */
int tc_fd_of_object(LoopCore *core, PyObject *fd_obj);
PyObject *tc_fd_info(LoopCore *core, int fd); /* (events, reader, writer) or None */
PyObject *tc_fd_list(LoopCore *core);
PyObject *tc_fd_handlers(LoopCore *core); /* list of the objects given to add_handler */
int tc_fd_traverse(LoopCore *core, visitproc visit, void *arg);
void tc_fd_clear(LoopCore *core);

#endif
