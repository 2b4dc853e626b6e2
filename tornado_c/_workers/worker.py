"""A worker under a master: it reports when it serves, knows the master's SIGTERM from others', and ends when
its master is gone."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Any

from tornado_c import _core
from tornado_c._workers import handover, serving

#: What is said over the line between a worker and its master.
SERVES = b"s"  # by the worker: connections are accepted
STOPPED = b"t"  # by the worker: it got a SIGTERM that is not its master's
DRAIN = b"d"  # by the master, before its SIGTERM
HURRY = b"h"

#: A program that fails within this many seconds after add_sockets() does not count as serving.
SETTLING = 0.5

#: A worker that runs its loop this long without a server has none, and counts as serving.
_WITHOUT_SERVER = 10.0

#: SIGTERMs of one cause come within this many seconds: to a group, through a wrapper, by a script twice.
TOGETHER = 1.0

#: Whether workers go on when their master is gone, as stock Tornado's do.
outlive_master = False

_pid = 0  # the worker's; children that it forks are none
_master = 0
_line: socket.socket | None = None
_reported = False
_first_term = 0.0  # when the first SIGTERM came that is not the master's


def begin(line: socket.socket, master: int, succeeds: bool) -> None:
    """To be called in a worker that has just been forked.

    :param succeeds: whether old workers serve until it does.
    """
    global _pid, _master, _line
    _pid, _master, _line = os.getpid(), master, line
    line.setblocking(False)
    handover.forget()
    if succeeds:
        serving.hold()
    serving.on_loop = lambda loop: loop.call_later(_WITHOUT_SERVER, _report)
    serving.on_accepting = lambda loop: loop.call_soon(loop.call_later, SETTLING, _report)
    if not outlive_master:
        _core.signal_when_parent_ends(signal.SIGTERM)
        if os.getppid() != master:  # it has ended already
            os.kill(_pid, signal.SIGTERM)


def is_worker() -> bool:
    return _pid == os.getpid()


def on_hangup(number: int, frame: Any) -> None:
    """SIGHUP is meant for the master, also from a terminal. What a worker starts gets it as usual."""
    if not is_worker():
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _report() -> None:
    global _reported
    if not _reported and is_worker():
        _reported = True
        serving.release()
        _say(SERVES)


def _say(what: bytes) -> None:
    try:
        if _line is not None:
            _line.send(what)
    except OSError:
        pass  # the master is gone


def is_hurried() -> bool:
    """Whether the SIGTERM that has come means that the worker is to end at once.

    Signals to a whole group reach a worker twice, from the group and by its master: that is one. Only the
    master's own word, or a second signal from elsewhere that comes clearly later, means to hurry.
    """
    global _first_term, _master
    said = _heard()
    if said:
        return HURRY in said
    if _master and os.getppid() != _master:
        _master = 0
        return False  # the kernel's signal that the master has ended
    if _first_term:
        return time.monotonic() - _first_term > TOGETHER
    _first_term = time.monotonic()
    _say(STOPPED)
    return False


def _heard() -> bytes:
    try:
        return _line.recv(64) if _line is not None else b""
    except OSError:
        return b""
