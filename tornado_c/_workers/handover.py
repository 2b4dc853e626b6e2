"""What outlives a program that is executed again, or that is tried before that: listening sockets, so that no
connection is refused in between, and the workers of the predecessor. It goes through one environment
variable, which counts only for the process that it is meant for."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import weakref
from collections.abc import Iterable
from typing import Any, NamedTuple

VARIABLE = "TORNADO_C_HANDOVER"


class Predecessor(NamedTuple):
    """A worker that the predecessor forked: a child of this process still."""

    number: int
    pid: int
    line: int  # the descriptor of the line to it
    kill_at: float | None  # it was stopped, and is killed at this time of the monotonic clock


#: The listening sockets of this process that a successor can take over.
_listening: weakref.WeakSet[socket.socket] = weakref.WeakSet()

#: Those that a service manager opened, in its order.
_activated: list[weakref.ref[socket.socket]] = []

#: What the predecessor left: sockets that were not asked for yet, and its workers.
_inherited: list[socket.socket] = []
_inherited_activated: list[socket.socket] = []
_predecessors: list[Predecessor] = []

#: Copies of the sockets that the program is about to close, for its successor.
_held: dict[str, list[socket.socket]] = {}

#: In a program that is only tried: where to report that it is good. In a successor: signals that came too
#: late for its predecessor.
trial = -1
notes = -1

#: Whether this process has a predecessor.
succeeds = False


def _load() -> None:
    text = os.environ.pop(VARIABLE, "")
    if not text:
        return
    try:
        import json

        _read(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as e:
        log = logging.getLogger("tornado.general")
        log.warning("%s is not what a predecessor left, and ignored: %r", VARIABLE, e)


def _read(left: dict[str, Any]) -> None:
    global trial, notes, succeeds
    trial_fd = int(left["trial"])
    if int(left["pid"]) != (os.getpid() if trial_fd < 0 else os.getppid()):
        return  # an ancestor's
    predecessors = [Predecessor(*map(_number_or_none, worker)) for worker in left["workers"]]  # type: ignore[arg-type]
    sockets, activated = ([int(fd) for fd in left[name]] for name in ("sockets", "activated"))
    notes_fd = int(left["notes"])
    _inherited.extend(_open(sockets))
    _inherited_activated.extend(_open(activated))
    _predecessors.extend(worker for worker in predecessors if is_child(worker.pid))
    for fd in (trial_fd, notes_fd, *(worker.line for worker in _predecessors)):
        with contextlib.suppress(OSError):
            os.set_inheritable(fd, False)
    trial, notes, succeeds = trial_fd, notes_fd, trial_fd < 0


def _number_or_none(value: Any) -> int | float | None:
    if value is not None and not isinstance(value, (int, float)):
        raise TypeError(f"no number: {value!r}")
    return value


def _open(fds: list[int]) -> Iterable[socket.socket]:
    for fd in fds:
        try:
            sock = socket.socket(fileno=fd)
        except OSError:
            continue  # not there any more
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.detach()
            continue
        sock.set_inheritable(False)
        sock.setblocking(False)
        yield sock


def is_child(pid: int) -> bool:
    """Whether this number is that of a child of ours, as it is until its end has been waited for."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except OSError:
        return False
    return True


def note(sock: socket.socket) -> None:
    """Remember a listening socket for a successor."""
    _listening.add(sock)


def listens() -> bool:
    """Whether there is anything that a successor could take over."""
    return any(_current().values())


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


def predecessors() -> list[Predecessor]:
    """The predecessor's workers that have no new master yet."""
    return list(_predecessors)


def take_predecessors() -> list[Predecessor]:
    """The same, for their new master."""
    taken, _predecessors[:] = _predecessors[:], []
    return taken


def close_rest() -> None:
    """Close the sockets that the program did not ask for again: nothing would ever accept on them."""
    for sock in (*_inherited, *_inherited_activated):
        sock.close()
    _inherited.clear()
    _inherited_activated.clear()


def close_all() -> None:
    """Close all listening sockets: there will be no successor, and this process does not accept on them."""
    close_rest()
    for sockets in _current().values():
        for sock in sockets:
            sock.close()


def forget() -> None:
    """Drop all that a predecessor left, in a process that is not its successor."""
    close_rest()
    for worker in take_predecessors():
        if worker.line >= 0:
            os.close(worker.line)


def hold() -> None:
    """Keep all listening sockets for a successor, whatever the program closes from now on."""
    _held.update({name: [_copy(sock) for sock in sockets] for name, sockets in _current().items()})


def drop_held() -> None:
    """There will be no successor after all."""
    for sockets in _held.values():
        for sock in sockets:
            sock.close()
    _held.clear()


def _copy(sock: socket.socket) -> socket.socket:
    return socket.socket(fileno=os.dup(sock.fileno()))


def _current() -> dict[str, list[socket.socket]]:
    activated = [sock for reference in _activated if (sock := reference()) is not None]
    return {
        "sockets": sorted(_open_ones((*_listening, *_inherited)), key=socket.socket.fileno),
        "activated": _open_ones((*activated, *_inherited_activated)),
    }


def _open_ones(sockets: Iterable[socket.socket]) -> list[socket.socket]:
    return [sock for sock in sockets if sock.fileno() >= 0]


def pack(
    workers: Iterable[Predecessor] = (), trial: int = -1, notes: int = -1
) -> tuple[dict[str, str], list[int]]:
    """What to leave to a program that is executed next: variables, and the descriptors that must stay open.

    :param trial: where a program that is only tried reports that it is good.
    :param notes: where signals are noted that come while it is executed.
    """
    sockets = {name: [sock.fileno() for sock in sockets] for name, sockets in (_held or _current()).items()}
    workers = list(workers)
    left = {"pid": os.getpid(), "trial": trial, "notes": notes, "workers": workers, **sockets}
    fds = [*sockets["sockets"], *sockets["activated"], trial, notes, *(worker.line for worker in workers)]
    import json

    return {VARIABLE: json.dumps(left)}, [fd for fd in fds if fd >= 0]


_load()
