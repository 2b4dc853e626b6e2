"""What Tornado 2 to 4 had for each system; here for those with ``fcntl``."""

from __future__ import annotations

import fcntl
import os
from time import monotonic as monotonic_time

__all__ = ["Waker", "monotonic_time", "set_close_exec"]


def set_close_exec(fd: int) -> None:
    """Have a descriptor closed in programs that this one executes."""
    fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.fcntl(fd, fcntl.F_GETFD) | fcntl.FD_CLOEXEC)


class Waker:
    """A pipe that is written to from another thread, so that a poller which watches it returns."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        for fd in (self._read, self._write):
            os.set_blocking(fd, False)

    def fileno(self) -> int:
        """Return the end to be watched."""
        return self._read

    def write_fileno(self) -> int:
        """Return the end that is written to."""
        return self._write

    def wake(self) -> None:
        """Make the other end readable. Safe from any thread."""
        try:
            os.write(self._write, b"x")
        except OSError:
            pass  # full, which does as well, or closed

    def consume(self) -> None:
        """Read what there is."""
        try:
            while len(os.read(self._read, 4096)) == 4096:
                pass
        except OSError:
            pass

    def close(self) -> None:
        """Close both ends."""
        for fd in (self._read, self._write):
            os.close(fd)
