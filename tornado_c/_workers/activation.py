"""Sockets that a service manager opened for this process (systemd's socket activation)."""

from __future__ import annotations

import os
import socket

from tornado_c._workers import handover

#: The number of the first descriptor that the service manager hands over; the others follow it.
_FIRST_FD = 3

_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


def activated_sockets(unset_environment: bool = True) -> list[socket.socket]:
    """Return the sockets that systemd, or ``systemd-socket-activate``, opened for this process.

    They are what ``add_sockets`` of a server takes: non-blocking, and closed in programs that this process
    starts; forked workers inherit them. ``LISTEN_FDS`` counts only where ``LISTEN_PID`` is this process: what
    a parent was given is not taken for our own. A program that ``python -m tornado_c`` executes again for
    SIGHUP gets them again.

    :param unset_environment: remove these variables, so that a second call returns nothing and children see
        none; default True. With False a second call makes other objects for the same descriptors.
    :returns: the sockets in the order of the unit's ``Listen...=`` lines; an empty list where the process was
        started in another way.
    :raises ValueError: a variable holds no number.
    :raises OSError: a descriptor is closed, or is no socket (such as a ``ListenFIFO=``); all stay open then.
    """
    values = {name: os.environ.get(name, "") for name in _VARIABLES}
    if unset_environment:
        for name in _VARIABLES:
            os.environ.pop(name, None)
    inherited = handover.take_activated()
    if inherited:
        return inherited
    pid, count = values["LISTEN_PID"], values["LISTEN_FDS"]
    if not pid or _number("LISTEN_PID", pid) != os.getpid():
        return []
    fds = range(_FIRST_FD, _FIRST_FD + _number("LISTEN_FDS", count))
    for fd in fds:
        os.set_inheritable(fd, False)
    sockets: list[socket.socket] = []
    try:
        for fd in fds:
            sock = socket.socket(fileno=fd)
            sockets.append(sock)
            sock.setblocking(False)
    except OSError:
        for sock in sockets:
            sock.detach()
        raise
    handover.note_activated(sockets)
    return sockets


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{name} is not a number: {text!r}")
    return int(text)
