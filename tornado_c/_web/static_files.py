"""The file system below static files: which file a path means, whether it may be served, and its bytes.

A path is checked twice. As it is written it must lie below the root, so that ``..`` reaches nothing at all;
then where it leads through symbolic links must be in a folder that is allowed. Only regular files are read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterable
from functools import lru_cache
from typing import Any

from tornado_c import _core
from tornado_c._web.errors import HTTPError

_UNKNOWN_TYPE = "application/octet-stream"
_PIECE = 64 * 1024  # bytes read at once
# Whoever swaps a FIFO in after the check gets an error, not a server that waits for its writer.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def _within(path: str, folder: str) -> bool:
    """Whether a path is a folder, which ends in a slash, or below it."""
    return path.startswith(folder) or path + "/" == folder


def _normal(folder: str) -> str:
    folder = os.path.abspath(folder)
    return folder if folder.endswith("/") else folder + "/"


@lru_cache(256)
def _folder_of(root: str) -> str | None:
    """The same, as long as it does not depend on where the process is; None."""
    return _normal(root) if isinstance(root, str) and root.startswith("/") else None


def locate(root: str, path: str) -> str:
    """Return where a path below the root is.

    :raises HTTPError: 403, it is not below the root.
    """
    if _core.is_plain_path(path):
        return (_folder_of(root) or _normal(root)) + path
    absolute_path = os.path.abspath(os.path.join(root, path))
    check_below(root, absolute_path, path)
    return absolute_path


def check_below(root: str, absolute_path: str, path: str) -> str:
    """Check that a path lies below the root as it is written.

    :param path: what was asked for, for the message.
    :returns: the root's absolute path, with a slash at its end.
    :raises HTTPError: 403, it does not.
    """
    root = _folder_of(root) or _normal(root)
    if not absolute_path.startswith(root) and not _within(absolute_path, root):
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
        real = _core.resolve_path(absolute_path)
        # Without a link in a path there is none on the way to the root.
        if not allowed and real == absolute_path and _within(real, root):
            return real
        if real is None:
            real = os.path.realpath(absolute_path)
        folders = [allowed] if isinstance(allowed, str) else allowed
        if any(_within(real, _normal(_real(folder))) for folder in folders or (root,)):
            return real
    except ValueError:  # NUL, or what no file name can hold
        raise HTTPError(404) from None
    raise HTTPError(403, "%s is not in root static directory", path)


def folders_of(root: str) -> tuple[str, str]:
    """Return a root as it is written, without detours, and where it leads through symbolic links."""
    folder = os.path.normpath(root)
    return folder, _real(os.path.abspath(root))


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


def content_type(path: str) -> str:
    """Return the type of a file, which its name tells."""
    found = type_by_suffix(path)
    if found is not None:
        return found[0]
    import mimetypes

    kind, encoding = mimetypes.guess_type(path)
    if encoding == "gzip":
        return "application/gzip"
    return kind if kind is not None and encoding is None else _UNKNOWN_TYPE


def type_by_suffix(path: str) -> tuple[str, str, str | None, dict[str, Any], Any] | None:
    """Return the type of a file of which mimetypes looks at the suffix alone, only into its ``types_map``.

    :returns: the type; the suffix; what ``types_map`` has for it; the module's dict; its ``guess_type``. None
        where more has to be looked at, or ``guess_type`` has been replaced.
    """
    import mimetypes

    known, guess = vars(mimetypes), mimetypes.guess_type
    if not mimetypes.inited or getattr(guess, "__globals__", None) is not known or path[:1] != "/":
        return None
    suffix = os.path.splitext(path)[1]
    if suffix in mimetypes.suffix_map or suffix in mimetypes.encodings_map or suffix != suffix.lower():
        return None
    kind = mimetypes.types_map.get(suffix)
    return kind or _UNKNOWN_TYPE, suffix, kind, known, guess
