"""Serving from several processes, and running other programs from a loop."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tornado_c._support import stack
from tornado_c._workers import prefork, reload
from tornado_c.concurrent import (
    future_set_exception_unless_cancelled,
    future_set_result_unless_cancelled,
)
from tornado_c.ioloop import IOLoop
from tornado_c.iostream import PipeIOStream
from tornado_c.log import gen_log

CalledProcessError = subprocess.CalledProcessError

#: Times that ``fork_processes`` replaces children, all of them together, where the caller sets no limit.
_DEFAULT_MAX_RESTARTS = 100

_task_id: int | None = None


def cpu_count() -> int:
    """Return the number of processors of this machine; 1, with a line in the log, where it is unknown."""
    import multiprocessing

    try:
        return multiprocessing.cpu_count()
    except NotImplementedError:
        pass
    try:
        return os.sysconf("SC_NPROCESSORS_CONF")
    except (AttributeError, ValueError):
        gen_log.error("Could not detect number of processors; assuming 1")
        return 1


def _reseed_random() -> None:
    """Give this process random numbers of its own: a fork copies the generator's state."""
    random.seed(int.from_bytes(os.urandom(16), "big"))


def task_id() -> int | None:
    """Return this process's number, as ``fork_processes`` returned it; None outside its children."""
    return _task_id


def fork_processes(num_processes: int | None, max_restarts: int | None = None) -> int:
    """Fork worker processes and watch over them. Each child returns from this call and can serve.

    The parent stays inside. A child that exits with a status other than 0, or is killed by a signal, is
    replaced by a new one of the same number. Once all have exited with status 0, the parent exits with 0 too.

    Listening sockets that were made before are shared by the children. The parent keeps its copies open, so
    that connections which arrive while a child is replaced wait for it. Where the program calls
    ``bind_sockets(reuse_port=True)`` once for each child, every child has a socket and a queue of its own:
    child ``n`` adds the sockets of call ``n`` to its server and closes the others.

    Under ``python -m tornado_c`` the parent passes SIGTERM on and ends when its children have ended, and on
    SIGHUP executes the program again, which replaces the children one by one, once a trial of it has got to
    this call. A child that SIGTERM ended alone is replaced. Children end when the parent is gone.

    No event loop may be running; one that was only made before is the parent's and, with descriptors of its
    own, each child's.

    :param num_processes: how many children; None, 0 or less: one for each processor.
    :param max_restarts: how many replacements to make, all children together; None: 100.
    :returns: in a child, its number, from 0.
    :raises SystemExit: in the parent, when every child has ended well.
    :raises RuntimeError: a loop is running; or, in the parent, there were too many restarts. The other
        children live on then.
    """
    if sys.platform == "win32":
        raise Exception("fork not available on windows")
    assert _task_id is None
    if num_processes is None or num_processes <= 0:
        num_processes = cpu_count()
    _refuse_running_loop()
    reload.trial_passed()
    restarts_left = _DEFAULT_MAX_RESTARTS if max_restarts is None else max_restarts
    gen_log.info("Starting %d processes", num_processes)
    return prefork.master_class()(num_processes, restarts_left, _fork_child).run()


def _refuse_running_loop() -> None:
    if asyncio._get_running_loop() is not None:
        raise RuntimeError(
            "Cannot run in multiple processes: IOLoop instance has already been initialized. "
            "You cannot call IOLoop.instance() before calling start_processes()"
        )


def _fork_child(number: int) -> int:
    """Fork the child of this number. Returns its process id; in it, 0."""
    global _task_id
    pid = os.fork()
    if pid == 0:
        _reseed_random()
        _task_id = number
    return pid


class Subprocess:
    """A ``subprocess.Popen`` whose pipes can be streams and whose end is reported on the loop.

    Takes Popen's arguments. For each of ``stdin``, ``stdout`` and ``stderr`` that is given as
    ``Subprocess.STREAM`` the attribute of that name is a PipeIOStream, which the caller closes.

    Attributes: ``proc`` (the Popen), ``pid``, ``io_loop``, ``returncode`` (None until the exit was noticed;
    minus the signal's number where one killed it).

    :param io_loop: the IOLoop for callbacks; default: the current one.
    :raises OSError: the program cannot be started.
    """

    STREAM = object()

    _initialized = False
    _signal_loop: asyncio.AbstractEventLoop | None = None
    _waiting: dict[int, Subprocess] = {}

    # As Tornado's annotations: what Popen has where the argument was not Subprocess.STREAM.
    stdin: PipeIOStream
    stdout: PipeIOStream
    stderr: PipeIOStream

    def __init__(self, *args: Any, io_loop: Any = None, **kwargs: Any) -> None:
        self.io_loop: IOLoop = IOLoop.current() if io_loop is None else io_loop
        self.returncode: int | None = None
        self._exit_callback: Callable[[int], None] | None = None
        piped = [name for name in ("stdin", "stdout", "stderr") if kwargs.get(name) is Subprocess.STREAM]
        ours: dict[str, int] = {}
        theirs: list[int] = []
        try:
            for name in piped:
                read_end, write_end = os.pipe()
                child_end, ours[name] = (read_end, write_end) if name == "stdin" else (write_end, read_end)
                theirs.append(child_end)
                kwargs[name] = child_end
            self.proc: subprocess.Popen[Any] = subprocess.Popen(*args, **kwargs)
        except BaseException:
            for fd in ours.values():
                os.close(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        self.pid = self.proc.pid
        for name in ("stdin", "stdout", "stderr"):
            if name in ours:
                setattr(self, name, PipeIOStream(ours[name], io_loop=io_loop))
            else:
                setattr(self, name, getattr(self.proc, name))

    def set_exit_callback(self, callback: Callable[[int], None]) -> None:
        """Have ``callback(returncode)`` called on this object's loop when the process has ended.

        Handles SIGCHLD, of which a process has one handler; see :meth:`initialize`.
        """
        self._exit_callback = stack.follow(callback)
        Subprocess.initialize()
        Subprocess._waiting[self.pid] = self
        stack.outside(Subprocess._try_cleanup_process, self.pid)

    def wait_for_exit(self, raise_error: bool = True) -> asyncio.Future[int]:
        """Return a Future of the return code.

        :param raise_error: whether a code other than 0 is a CalledProcessError; default True.
        """
        future: asyncio.Future[int] = asyncio.Future()

        def on_exit(code: int) -> None:
            if code and raise_error:
                future_set_exception_unless_cancelled(future, CalledProcessError(code, "unknown"))
            else:
                future_set_result_unless_cancelled(future, code)

        self.set_exit_callback(on_exit)
        return future

    @classmethod
    def initialize(cls, io_loop: Any = None) -> None:
        """Handle SIGCHLD on a loop of the main thread, for all instances. Done already: nothing happens.

        :param io_loop: the IOLoop; default: the current one.
        """
        if Subprocess._initialized and not (Subprocess._signal_loop and Subprocess._signal_loop.is_closed()):
            return
        loop = (IOLoop.current() if io_loop is None else io_loop).asyncio_loop
        stack.outside(loop.add_signal_handler, signal.SIGCHLD, Subprocess._cleanup)
        Subprocess._signal_loop = loop
        Subprocess._initialized = True

    @classmethod
    def uninitialize(cls) -> None:
        """Stop handling SIGCHLD."""
        if not Subprocess._initialized:
            return
        loop = Subprocess._signal_loop
        Subprocess._signal_loop = None
        Subprocess._initialized = False
        if loop is not None and not loop.is_closed():
            loop.remove_signal_handler(signal.SIGCHLD)

    @classmethod
    def _cleanup(cls) -> None:
        for pid in list(Subprocess._waiting):
            Subprocess._try_cleanup_process(pid)

    @classmethod
    def _try_cleanup_process(cls, pid: int) -> None:
        try:
            ended, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            Subprocess._waiting[pid]._ask_popen()
            return
        if ended:
            process = Subprocess._waiting.pop(pid)
            process.io_loop.add_callback(process._set_returncode, os.waitstatus_to_exitcode(status))

    def _ask_popen(self) -> None:
        """The process was waited for elsewhere: most likely by our Popen, which knows the code then.

        What it makes of a child that others have reaped is its own rule (0).
        """
        code = self.proc.poll()
        if code is None:  # another thread is inside its wait()
            self.io_loop.add_callback(self.io_loop.call_later, 0.01, Subprocess._cleanup)
        elif Subprocess._waiting.pop(self.pid, None) is not None:
            self.io_loop.add_callback(self._set_returncode, code)

    def _set_returncode(self, code: int) -> None:
        self.returncode = code
        # Popen has not noticed that its process is gone, and would complain when it is collected.
        self.proc.returncode = code
        callback, self._exit_callback = self._exit_callback, None
        if callback is not None:
            callback(code)
