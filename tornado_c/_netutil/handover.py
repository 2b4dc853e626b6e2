"""Listening sockets that outlive the program: the master of prefork workers that executes itself anew hands
them to its successor, so that no connection is refused meanwhile."""

from __future__ import annotations

import json
import os
import socket
import weakref
from typing import Any

_VARIABLE = "TORNADO_C_HANDOVER"

#: The listening sockets of this process that a successor can take over.
_listening: weakref.WeakSet[socket.socket] = weakref.WeakSet()

#: What the predecessor left: sockets that nobody has asked for yet, and its workers.
_inherited: list[socket.socket] = []
_workers: dict[int, int] = {}


def _load() -> None:
    text = os.environ.pop(_VARIABLE, "")
    left: dict[str, Any] = json.loads(text) if text else {}
    if left.get("pid") != os.getpid():
        return  # a parent's
    _workers.update({int(number): pid for number, pid in left["workers"].items()})
    for fd in left["sockets"]:
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
        sock.setblocking(False)
        _inherited.append(sock)


def note(sock: socket.socket) -> None:
    """Remember a listening socket for a successor."""
    _listening.add(sock)


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
    for sock in _inherited:
        sock.close()
    _inherited.clear()
    _workers.clear()


def prepare(children: dict[int, int]) -> None:
    """Leave sockets and workers (number and process id) to the program that is executed next."""
    sockets = [sock.fileno() for sock in (*_listening, *_inherited) if sock.fileno() >= 0]
    for fd in sockets:
        os.set_inheritable(fd, True)
    left = {"pid": os.getpid(), "workers": children, "sockets": sorted(sockets)}
    os.environ[_VARIABLE] = json.dumps(left)


_load()
