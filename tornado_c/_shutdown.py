"""A graceful end on SIGTERM, for programs that `python -m tornado_c` runs and that have no handler of their
own: every server stops accepting, what is in flight is answered, then the loop ends."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
from typing import Any

from tornado_c import _prefork
from tornado_c.ioloop import IOLoop
from tornado_c.log import gen_log
from tornado_c.tcpserver import listening_servers

_timeout = 30.0
_ending = False


def enable(timeout: float) -> None:
    """Drain on SIGTERM, for at most `timeout` seconds, unless the signal is ignored or handled already."""
    global _timeout
    _timeout = timeout
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_signal)


def _on_signal(number: int, frame: object) -> None:
    global _ending
    loop = asyncio._get_running_loop()
    if loop is None or _ending:
        _end_at_once(number)
    else:
        _ending = True
        loop.call_soon_threadsafe(_begin, loop)


def _end_at_once(number: int) -> None:
    """As without a handler: nothing runs that could be drained, or the second signal says to hurry."""
    _prefork.stop_predecessors()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _begin(loop: asyncio.AbstractEventLoop) -> None:
    gen_log.info("Draining for SIGTERM")
    task = loop.create_task(_drain(_timeout))
    task.add_done_callback(lambda task: _end(loop, task))


async def _drain(timeout: float) -> None:
    draining = []
    for server in listening_servers():
        drain: Any = getattr(server, "drain", None)
        if inspect.iscoroutinefunction(drain):
            draining.append(drain(timeout))
        else:
            server.stop()
    await asyncio.gather(*draining)


def _end(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        gen_log.error("Draining failed", exc_info=task.exception())
    io_loop = IOLoop._ioloop_for_asyncio.get(loop)
    if io_loop is not None and io_loop._in_start:
        loop.stop()  # start() returns, and the program goes on behind it
    else:
        raise SystemExit(0)  # asyncio.run() and its like clean up
