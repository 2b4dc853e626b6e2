"""The file system below static files: which file a path means, whether it may be served, and its bytes.

A path is checked twice. As it is written it must lie below the root, so that ``..`` reaches nothing at all;
then where it leads through symbolic links must be in a folder that is allowed. Only regular files are read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterable
from functools import lru_cache

from tornado_c import _core
from tornado_c._web.errors import HTTPError

_PIECE = 64 * 1024  # bytes read at once
# Whoever swaps a FIFO in after the check gets an error, not a server that waits for its writer.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def _within(path: str, folder: str) -> bool:
    """Whether a path is a folder, which ends in a slash, or below it."""
    return path.startswith(folder) or path + "/" == folder


@lru_cache(256)
def _normal_absolute(folder: str) -> str:
    folder = os.path.abspath(folder)
    return folder if folder.endswith("/") else folder + "/"


def _normal(folder: str) -> str:
    """The folder's absolute path, with a slash at its end. A relative one depends on where the process is."""
    return _normal_absolute(folder if folder.startswith("/") else os.path.abspath(folder))


def check_below(root: str, absolute_path: str, path: str) -> str:
    """Check that a path lies below the root as it is written.

    :param path: what was asked for, for the message.
    :returns: the root's absolute path, with a slash at its end.
    :raises HTTPError: 403, it does not.
    """
    root = _normal(root)
    if not _within(absolute_path, root):
        raise HTTPError(403, "%s is not in root static directory", path)
    return root


def _real(path: str) -> str:
    real = _core.resolve_path(path)
    return os.path.realpath(path) if real is None else real


def resolve(absolute_path: str, root: str, allowed: str | Iterable[str] | None, path: str) -> str:
    """Return where a path leads through symbolic links, which must be in a folder that is allowed.

    :param root: what ``check_below`` has returned.
    :param allowed: one folder or several, in place of the root.
    :raises HTTPError: 403, it leads elsewhere; 404, there cannot be such a file.
    """
    try:
        real = _real(absolute_path)
        # Without a link in a path there is none on the way to the root.
        if not allowed and real == absolute_path and _within(real, root):
            return real
        folders = [allowed] if isinstance(allowed, str) else allowed
        if any(_within(real, _normal(_real(folder))) for folder in folders or (root,)):
            return real
    except ValueError:  # NUL, or what no file name can hold
        raise HTTPError(404) from None
    raise HTTPError(403, "%s is not in root static directory", path)


def stat_file(absolute_path: str, path: str) -> os.stat_result:
    """Return what there is to know of a regular file.

    :raises HTTPError: 404, there is nothing; 403, it is something else.
    """
    try:
        found = os.stat(absolute_path)
    except (OSError, ValueError):
        raise HTTPError(404) from None
    if not stat.S_ISREG(found.st_mode):
        raise HTTPError(403, "%s is not a file", path)
    return found


def read_file(absolute_path: str, start: int | None, end: int | None) -> Generator[bytes, None, None]:
    """Read a slice of a regular file, piece by piece.

    :raises HTTPError: it is no regular file.
    """
    stat_file(absolute_path, absolute_path)  # opening a device may do something
    fd = os.open(absolute_path, _READ)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise HTTPError(403, "%s is not a file", absolute_path)
        at = start or 0
        while end is None or at < end:
            piece = os.pread(fd, _PIECE if end is None else min(_PIECE, end - at), at)
            if not piece:
                assert end is None, f"{absolute_path} is shorter than it was"
                return
            at += len(piece)
            yield piece
    finally:
        os.close(fd)


def open_file(absolute_path: str | None) -> tuple[_core.FileDescriptor, os.stat_result] | None:
    """Open a regular file, of which the caller knows that it was one. None if that fails."""
    try:
        file = _core.FileDescriptor(absolute_path)  # type: ignore[arg-type]
    except (OSError, TypeError, ValueError):
        return None
    found = os.fstat(file.fileno())
    return (file, found) if stat.S_ISREG(found.st_mode) else None
