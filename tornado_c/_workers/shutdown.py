"""Ending well, for programs that ``python -m tornado_c`` runs and that have no handlers of their own.

SIGTERM: every server stops accepting, serves what is in flight, then the loops end. SIGHUP to a process that
serves alone: the same, and the program is executed again with its listening sockets open.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import signal
import sys
import threading
from typing import Any

from tornado_c._workers import handover, prefork, reload, serving, worker
from tornado_c.ioloop import IOLoop
from tornado_c.log import gen_log
from tornado_c.tcpserver import listening_servers

#: Seconds between looks at old workers that are to end.
_LOOK = 0.05

_timeout = 30.0
_pid = 0
_ending = False
_reloading = False  # it ends to be executed again
_trial: reload.Trial | None = None
_draining: set[asyncio.AbstractEventLoop] = set()
_main_loop: asyncio.AbstractEventLoop | None = None  # the one of them that runs in the main thread
_waits_at_end = False
_end_main = False  # the next signal is our own, to the main thread
_old: list[prefork.Child] = []  # workers of a predecessor that this process, which serves alone, replaces


def enable(timeout: float, keep_orphans: bool = False, waits_at_end: bool = False) -> None:
    """Obey SIGTERM and SIGHUP, unless they are ignored or handled already.

    :param timeout: seconds for what is in flight.
    :param keep_orphans: whether workers go on when their master is gone.
    :param waits_at_end: whether the program then runs another loop and waits for changes, as autoreload does
        where it is the program: that is not to begin.
    """
    global _timeout, _pid, _waits_at_end
    _waits_at_end = waits_at_end
    _timeout = prefork.drain_timeout = timeout
    _pid = os.getpid()
    worker.outlive_master = keep_orphans
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would keep from us how children ended
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_term)
    if handover.trial < 0:
        serving.on_accepting = lambda loop: loop.call_soon(loop.call_later, worker.SETTLING, _serves, loop)
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
            signal.signal(signal.SIGHUP, _on_hangup)
    reload.enable()


# --------------------------------------------------------------------------- SIGTERM


def _on_term(number: int, frame: object) -> None:
    global _ending, _reloading, _end_main
    if _end_main:
        _end_main = False
        raise SystemExit(0)
    if worker.is_worker() and worker.is_hurried():
        _end_at_once(number)
    elif _reloading:
        _reloading = False
        handover.drop_held()
    elif _ending:
        if not worker.is_worker():
            _end_at_once(number)
    elif _pid == os.getpid() and handover.predecessors():
        prefork.stop_wanted = True
        raise SystemExit(0)  # for keep_predecessors(): nothing else rules them yet
    elif loops := _serving_loops():
        _ending = True
        if _trial is not None:
            _trial.end()
        _begin(loops, "SIGTERM")
    else:
        _end_at_once(number)


def _end_at_once(number: int) -> None:
    """As without a handler: nothing runs that could be drained, or the second signal says to hurry."""
    for child in _old if _pid == os.getpid() else ():
        child.stop(worker.HURRY)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _serving_loops() -> list[asyncio.AbstractEventLoop]:
    """The running loops on which servers accept, and the one that runs in this thread."""
    io_loops = {server.io_loop for server in listening_servers()} - {None}
    loops = {io_loop.asyncio_loop for io_loop in io_loops}
    running = asyncio._get_running_loop()
    loops.discard(running)
    return [*([] if running is None else [running]), *(loop for loop in loops if loop.is_running())]


def _begin(loops: list[asyncio.AbstractEventLoop], cause: str) -> None:
    gen_log.info("Draining for %s", cause)
    _draining.update(loops)
    for loop in loops:
        loop.call_soon_threadsafe(_begin_on, loop, loops)


def _begin_on(loop: asyncio.AbstractEventLoop, loops: list[asyncio.AbstractEventLoop]) -> None:
    global _main_loop
    if threading.current_thread() is threading.main_thread():
        _main_loop = loop
    task = loop.create_task(_drain(loop))
    task.add_done_callback(lambda task: _drained(loop, loops, task))


async def _drain(loop: asyncio.AbstractEventLoop) -> None:
    draining: list[Any] = []
    for server in listening_servers():
        if server.io_loop is not None and server.io_loop.asyncio_loop is not loop:
            continue
        drain: Any = getattr(server, "drain", None)
        if inspect.iscoroutinefunction(drain):
            draining.append(drain(_timeout))
        else:
            server.stop()
    if not _reloading:
        draining.append(_old_ended())
    await asyncio.gather(*draining)


def _drained(
    loop: asyncio.AbstractEventLoop, loops: list[asyncio.AbstractEventLoop], task: asyncio.Task[None]
) -> None:
    """The last one ends them all."""
    global _end_main
    if not task.cancelled() and task.exception() is not None:
        gen_log.error("Draining failed", exc_info=task.exception())
    _draining.discard(loop)
    if _draining:
        return
    if _main_loop is None:  # the main thread waits for something else
        _end_main = True
        os.kill(os.getpid(), signal.SIGTERM)
    for other in loops:
        if other is not loop:
            other.call_soon_threadsafe(_end, other)
    _end(loop)


def _end(loop: asyncio.AbstractEventLoop) -> None:
    if _waits_at_end:
        serving.on_loop = functools.partial(_no_other_loop, loop)
    io_loop = IOLoop._ioloop_for_asyncio.get(loop)
    if io_loop is not None and io_loop._in_start:
        loop.stop()  # start() returns, and the program continues after it
    else:
        raise SystemExit(0)  # asyncio.run() and its like clean up


def _no_other_loop(ended: asyncio.AbstractEventLoop, loop: asyncio.AbstractEventLoop) -> None:
    if loop is not ended:  # which may run for what is to be cleaned up
        raise SystemExit(0)


# --------------------------------------------------------------------------- SIGHUP


def _on_hangup(number: int, frame: object) -> None:
    """To a process that serves alone, or is about to. Any other ends."""
    loops = _serving_loops() if listening_servers() else []
    if _pid != os.getpid() or not (loops or handover.succeeds or handover.listens()):
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    elif reload.lost_terminal():
        if not _ending:
            os.kill(os.getpid(), signal.SIGTERM)
    else:
        prefork.reload_wanted = True
        if loops:
            loops[0].call_soon_threadsafe(_see_to_reloading, loops[0])


def _see_to_reloading(loop: asyncio.AbstractEventLoop) -> None:
    global _trial
    if prefork.reload_wanted and not (_ending or _trial or _old or handover.predecessors()):
        prefork.reload_wanted = False
        _trial = reload.start_trial()
        if _trial is not None:
            loop.add_reader(_trial.fd, _tried, loop)


def _tried(loop: asyncio.AbstractEventLoop) -> None:
    global _trial, _ending, _reloading
    assert _trial is not None
    loop.remove_reader(_trial.fd)
    good = _trial.passed()
    _trial = None
    if not good:
        reload.report_failure()
    if prefork.reload_wanted:
        _see_to_reloading(loop)
    elif good and not _ending:
        _ending = _reloading = True
        handover.hold()
        _begin(_serving_loops(), "SIGHUP")


def program_ended() -> None:
    """To be called when the application's program has come to its end, by an exception or without."""
    if _pid != os.getpid() or worker.is_worker() or handover.trial >= 0:
        return
    if _trial is not None:
        _trial.end()
    if _reloading:
        reload.execute_at_end(child.leave() for child in _old)
    elif not isinstance(sys.exc_info()[1], KeyboardInterrupt) and handover.predecessors():
        prefork.keep_predecessors()
        if sys.exc_info()[1] is None:
            raise SystemExit(1)


# --------------------------------------------------------------------------- from several processes to one


def _serves(loop: asyncio.AbstractEventLoop) -> None:
    """This process serves, alone: what its predecessor left is not needed any more."""
    if _pid == os.getpid() and not worker.is_worker() and not _ending:
        handover.close_rest()
        _old.extend(map(prefork.Child.of, handover.take_predecessors()))
        for child in _old:
            child.retire()
        _look_after_old(loop)


def _look_after_old(loop: asyncio.AbstractEventLoop) -> None:
    _reap_old()
    if _old:
        loop.call_later(_LOOK, _look_after_old, loop)
    else:
        _see_to_reloading(loop)


def _reap_old() -> None:
    for child in _old[:]:
        child.kill_if_overdue()
        if child.has_ended():
            _old.remove(child)


async def _old_ended() -> None:
    """Wait for the old workers, which have a time limit of their own."""
    _old.extend(map(prefork.Child.of, handover.take_predecessors()))
    for child in _old:
        child.retire()
    while _old:
        _reap_old()
        await asyncio.sleep(_LOOK)
