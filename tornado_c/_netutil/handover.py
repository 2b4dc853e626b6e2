"""Listening sockets that outlive the program: the master of prefork workers that executes itself anew hands
them to its successor, so that no connection is refused meanwhile."""

from __future__ import annotations

import json
import os
import socket
import weakref
from collections.abc import Iterable
from typing import Any

_VARIABLE = "TORNADO_C_HANDOVER"

#: The listening sockets of this process that a successor can take over.
_listening: weakref.WeakSet[socket.socket] = weakref.WeakSet()

#: Those that a service manager opened, in its order.
_activated: list[weakref.ref[socket.socket]] = []

#: What the predecessor left: sockets that nobody has asked for yet, and its workers.
_inherited: list[socket.socket] = []
_inherited_activated: list[socket.socket] = []
_workers: dict[int, int] = {}


def _load() -> None:
    text = os.environ.pop(_VARIABLE, "")
    left: dict[str, Any] = json.loads(text) if text else {}
    if left.get("pid") != os.getpid():
        return  # a parent's
    _workers.update({int(number): pid for number, pid in left["workers"].items()})
    _inherited.extend(map(_open, left["sockets"]))
    _inherited_activated.extend(map(_open, left["activated"]))


def _open(fd: int) -> socket.socket:
    os.set_inheritable(fd, False)
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock


def note(sock: socket.socket) -> None:
    """Remember a listening socket for a successor."""
    _listening.add(sock)


def note_activated(sockets: list[socket.socket]) -> None:
    """The same for sockets that a service manager opened."""
    _activated.extend(map(weakref.ref, sockets))


def take_activated() -> list[socket.socket]:
    """Return the sockets that a service manager opened for the predecessor."""
    sockets, _inherited_activated[:] = _inherited_activated[:], []
    note_activated(sockets)
    return sockets


def take(family: int, address: Any) -> socket.socket | None:
    """Return the inherited socket that is bound to this address, or None. It listens already."""
    for sock in _inherited:
        bound = sock.getsockname()
        if sock.family == family and (
            bound[:2] == address[:2] if isinstance(bound, tuple) else bound in (address, os.fsencode(address))
        ):
            _inherited.remove(sock)
            note(sock)
            return sock
    return None


def workers() -> dict[int, int]:
    """The predecessor's workers: number and process id."""
    return dict(_workers)


def forget() -> None:
    """Close the sockets that the program did not ask for again, and forget the predecessor's workers."""
    for sock in (*_inherited, *_inherited_activated):
        sock.close()
    _inherited.clear()
    _inherited_activated.clear()
    _workers.clear()


def prepare(children: dict[int, int]) -> None:
    """Leave sockets and workers (number and process id) to the program that is executed next."""
    activated = [sock for reference in _activated if (sock := reference()) is not None]
    left: dict[str, Any] = {
        "pid": os.getpid(),
        "workers": children,
        "sockets": sorted(_open_fds((*_listening, *_inherited))),
        "activated": _open_fds((*activated, *_inherited_activated)),
    }
    for fd in (*left["sockets"], *left["activated"]):
        os.set_inheritable(fd, True)
    os.environ[_VARIABLE] = json.dumps(left)


def _open_fds(sockets: Iterable[socket.socket]) -> list[int]:
    return [sock.fileno() for sock in sockets if sock.fileno() >= 0]


_load()
