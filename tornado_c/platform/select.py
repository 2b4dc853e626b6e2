"""The IOLoop that Tornado 3 and 4 had over select(2), and its poller."""

from __future__ import annotations

import select
from typing import Any

from tornado_c.ioloop import IOLoop, PollIOLoop


class _Select:
    """A poller over ``select.select``, which applications derive pollers of their own from."""

    def __init__(self) -> None:
        self.read_fds: set[int] = set()
        self.write_fds: set[int] = set()
        self.error_fds: set[int] = set()
        self.fd_sets = (self.read_fds, self.write_fds, self.error_fds)

    def _wanted(self, events: int) -> list[set[int]]:
        kinds = (IOLoop.READ, IOLoop.WRITE, IOLoop.ERROR)
        return [fds for fds, kind in zip(self.fd_sets, kinds, strict=True) if events & kind]

    def close(self) -> None:
        """There is nothing to be freed."""

    def register(self, fd: int, events: int) -> None:
        """Watch a descriptor.

        :raises OSError: it is watched.
        """
        if any(fd in fds for fds in self.fd_sets):
            raise OSError(f"fd {fd} already registered")
        for fds in self._wanted(events):
            fds.add(fd)

    def modify(self, fd: int, events: int) -> None:
        """Watch a descriptor for other events."""
        self.unregister(fd)
        self.register(fd, events)

    def unregister(self, fd: int) -> None:
        """Watch a descriptor no more."""
        for fds in self.fd_sets:
            fds.discard(fd)

    def poll(self, timeout: float) -> Any:
        """Wait for events, at most ``timeout`` seconds.

        :returns: pairs of a descriptor and its events.
        """
        found: dict[int, int] = {}
        kinds = (IOLoop.READ, IOLoop.WRITE, IOLoop.ERROR)
        for fds, kind in zip(select.select(*self.fd_sets, timeout), kinds, strict=True):
            for fd in fds:
                found[fd] = found.get(fd, 0) | kind
        return found.items()


class SelectIOLoop(PollIOLoop):
    """An IOLoop over the native event loop; the name is all that it has of select(2)."""
