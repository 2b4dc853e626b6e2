"""StaticFileHandler: the files of a folder. What it asks of the file system is in static_files.py."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Awaitable, Generator, Iterable
from typing import TYPE_CHECKING, Any

from tornado_c import _core, httputil
from tornado_c._web import static_files
from tornado_c._web.errors import HTTPError
from tornado_c._web.handler import RequestHandler
from tornado_c._web.synchronous import is_synchronous
from tornado_c._web.transforms import wants_body
from tornado_c._web.urls import _is_protocol_relative
from tornado_c.iostream import StreamClosedError
from tornado_c.log import gen_log

if TYPE_CHECKING:
    import datetime

_HASHED_AT_ONCE = 1024 * 1024  # bytes; of more the loop's default executor takes the hash
_VERSION_HASH = "sha512"
_hashing: dict[tuple[Any, ...], asyncio.Future[Any]] = {}  # by the loop that waits


class StaticFileHandler(RequestHandler):
    """Serves the files of a folder, with versions, conditional requests and ranges of bytes.

    The route's pattern has a group for the path below the folder. Symbolic links may lead to places within
    ``path``, or within ``allowed_symlink_directory`` in place of it.

    :param path: the folder.
    :param default_filename: what is served for a folder, such as ``index.html``; default None: nothing.
    :param allowed_symlink_directory: a folder, or a list of them; default None: ``path``.

    Subclasses may override what is documented here. One that takes content from elsewhere overrides
    ``get_content``, ``get_content_size``, ``get_modified_time``, ``get_absolute_path`` and
    ``validate_absolute_path``; one whose URLs look otherwise ``make_static_url`` and ``parse_url_path``. The
    kernel sends the files as long as ``get_content`` and ``get_content_size`` are not overridden.
    """

    CACHE_MAX_AGE = 86400 * 365 * 10

    #: The largest content that is hashed for a version, in bytes. What is larger has none.
    MAX_VERSION_CONTENT_SIZE = 64 * 1024 * 1024

    #: How many versions are kept; the least recently used goes first.
    MAX_CACHED_VERSIONS = 10000

    _static_hashes: dict[str, str | None] = {}  # the least recently used first
    _lock = threading.Lock()  # for _static_hashes; nothing is hashed under it

    # Here for subclasses whose initialize() does not call ours.
    default_filename: str | None = None
    allowed_symlink_directory: str | list[str] | None = None

    root: str
    path: str
    absolute_path: str | None
    modified: datetime.datetime | None

    _static_file: _core.StaticFile | None = None  # open, from validate_absolute_path() on
    _static_file_path = ""

    def initialize(
        self,
        path: str,
        default_filename: str | None = None,
        allowed_symlink_directory: str | list[str] | None = None,
    ) -> None:
        self.root = path
        self.default_filename = default_filename
        self.allowed_symlink_directory = allowed_symlink_directory

    # ---- a request ----

    def head(self, path: str) -> Awaitable[None]:
        return self.get(path, include_body=False)

    async def get(self, path: str, include_body: bool = True) -> None:
        """Respond with the file; with ``include_body=False`` only with its headers."""
        try:
            served = _core.serve_static_file(self, path, include_body)
            if served is None or isinstance(served, _core.StaticFile):
                served = await _serve(self, path, include_body, served)
        finally:
            if self._static_file is not None:
                _close_file(self)
        if served is not True:
            await _send_rest(self, served)

    def compute_etag(self) -> str | None:
        """Return the Etag: the file's version, which is that of its parts too. May be overridden."""
        if not hasattr(self, "absolute_path"):  # a get() that looks for no file
            return super().compute_etag()
        assert self.absolute_path is not None
        version = self._get_cached_version(self.absolute_path)
        return f'"{version}"' if version else None

    def set_headers(self) -> None:
        """Set the headers that describe the file and how long it keeps. May be overridden."""
        self.set_header("Accept-Ranges", "bytes")
        self.set_etag_header()
        if self.modified is not None:
            self.set_header("Last-Modified", self.modified)
        content_type = self.get_content_type()
        if content_type:
            self.set_header("Content-Type", content_type)
        expire(self, self.get_cache_time(self.path, self.modified, content_type))
        self.set_extra_headers(self.path)

    def should_return_304(self) -> bool:
        """Whether the client has the file already: by If-None-Match, or else by If-Modified-Since."""
        if not _may_be_conditional(self.request):
            return False
        headers = self.request.headers
        if headers.get("If-None-Match"):
            return self.check_etag_header()
        asked = headers.get("If-Modified-Since")
        if asked is None or self.modified is None:
            return False
        since = _parse_date(asked)
        return since is not None and since >= _aware(self.modified)

    def get_content_type(self) -> str:
        """Return the file's type, which its name tells. May be overridden."""
        assert self.absolute_path is not None
        return static_files.content_type(self.absolute_path)

    def set_extra_headers(self, path: str) -> None:
        """Set further headers. For subclasses."""

    def get_cache_time(self, path: str, modified: datetime.datetime | None, mime_type: str) -> int:
        """Return for how many seconds the response keeps; 0 leaves that to the client. May be overridden.

        Ten years (``CACHE_MAX_AGE``) for a URL with a version, ``?v=``.
        """
        return self.CACHE_MAX_AGE if "v" in self.request.arguments else 0

    # ---- the file ----

    @classmethod
    def get_absolute_path(cls, root: str, path: str) -> str:
        """Return where a path below the root is. May be overridden.

        :raises HTTPError: 403, it is not below the root.
        """
        return static_files.locate(root, path)

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """Return the file to be served, or None after a response of another kind. May be overridden.

        :raises HTTPError: 403, 404.
        """
        root = static_files.check_below(root, absolute_path, self.path)
        allowed = self.allowed_symlink_directory
        if not allowed and _open_file(self, absolute_path, resolved=False):
            return absolute_path
        absolute_path = static_files.resolve(absolute_path, root, allowed, self.path)
        if self.default_filename is not None and os.path.isdir(absolute_path):
            url = self.request.path  # self.path may be empty where the pattern has taken the prefix
            if not url.endswith("/"):
                if _is_protocol_relative(url):
                    raise HTTPError(403, "cannot redirect path with two initial slashes")
                self.redirect(url + "/", permanent=True)
                return None
            absolute_path = os.path.join(absolute_path, self.default_filename)
            absolute_path = static_files.resolve(absolute_path, root, allowed, self.path)
        if not _open_file(self, absolute_path, resolved=True):
            self._stat_result = static_files.stat_file(absolute_path, self.path)
        return absolute_path

    def parse_url_path(self, url_path: str) -> str:
        """Return the path of a file, of that in the URL behind its prefix. May be overridden."""
        return url_path

    def _stat(self) -> os.stat_result:
        assert self.absolute_path is not None
        if not hasattr(self, "_stat_result"):  # validate_absolute_path() is another's, or has opened the file
            file = self._static_file
            self._stat_result = os.stat(self.absolute_path if file is None else file.fileno())
        return self._stat_result

    def get_content_size(self) -> int:
        """Return the size of the whole content in bytes. May be overridden."""
        return self._stat().st_size if self._static_file is None else self._static_file.size

    def get_modified_time(self) -> datetime.datetime | None:
        """Return when the content was changed; None if that is not known. May be overridden.

        A time without a time zone is in UTC.
        """
        file = self._static_file
        return _time_of(int(self._stat().st_mtime) if file is None else file.modified)

    @classmethod
    def get_content(
        cls, abspath: str, start: int | None = None, end: int | None = None
    ) -> Generator[bytes, None, None]:
        """Return the content, or the part from ``start`` to ``end``: bytes, or an iterator of them.

        May be overridden. What each step of an iterator gives is sent before the next is asked for.

        :raises HTTPError: it is no regular file.
        """
        return static_files.read_file(abspath, start, end)

    # ---- versions ----

    @classmethod
    def reset(cls) -> None:
        """Forget the versions."""
        with cls._lock:
            cls._static_hashes = {}

    @classmethod
    def make_static_url(cls, settings: dict[str, Any], path: str, include_version: bool = True) -> str:
        """Return the URL of a static file. May be overridden.

        :param settings: the application's.
        :param include_version: whether it ends in the file's version, ``?v=``; default True.
        """
        url: str = settings.get("static_url_prefix", "/static/") + path
        version = cls.get_version(settings, path) if include_version else None
        return f"{url}?v={version}" if version else url

    @classmethod
    def get_version(cls, settings: dict[str, Any], path: str) -> str | None:
        """Return the version of a static file, or None. It is kept until ``reset()``.

        :raises HTTPError: 403, the path is not below the setting ``static_path``.
        """
        return cls._get_cached_version(cls.get_absolute_path(settings["static_path"], path))

    @classmethod
    def get_content_version(cls, abspath: str) -> str:
        """Return the version of a content: its SHA-512 (MD5 in generation 4). May be overridden.

        :raises ValueError: it is larger than ``MAX_VERSION_CONTENT_SIZE``.
        """
        import hashlib

        content: Any = cls.get_content(abspath)
        pieces: Any = [content] if isinstance(content, bytes) else content
        digest, size = getattr(hashlib, _VERSION_HASH)(), 0
        try:
            for piece in pieces:
                size += len(piece)
                if size > cls.MAX_VERSION_CONTENT_SIZE:
                    limit = cls.MAX_VERSION_CONTENT_SIZE
                    raise ValueError(f"content is larger than MAX_VERSION_CONTENT_SIZE ({limit:d} bytes)")
                digest.update(piece)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        return digest.hexdigest()

    @classmethod
    def _get_cached_version(cls, abs_path: str) -> str | None:
        with cls._lock:
            versions = cls._static_hashes  # reset() replaces it: what was read before is not kept then
            if abs_path in versions:
                version = versions[abs_path] = versions.pop(abs_path)
                return version or None
        try:
            version = cls.get_content_version(abs_path)
        except Exception as e:
            gen_log.error("Could not open static file %r: %s", abs_path, e)
            version = None
        with cls._lock:
            versions.pop(abs_path, None)
            while versions and len(versions) >= cls.MAX_CACHED_VERSIONS:
                del versions[next(iter(versions))]
            versions[abs_path] = version
        return version or None


# ---- what a request takes, in functions: subclasses may have methods of any name ----


def _functions(*names: str) -> tuple[Any, ...]:
    """Methods as we wrote them, for _core.owns()."""
    methods = ((name, vars(StaticFileHandler)[name]) for name in names)
    return tuple(part for name, method in methods for part in (name, getattr(method, "__func__", method)))


_READING = _functions("get_content", "get_content_size", "_stat")
_HASHING = _functions("compute_etag", "_get_cached_version", "get_content_version")
_HASHING += _functions("get_content", "get_content_size", "_stat")


async def _serve(
    handler: StaticFileHandler, path: str, include_body: bool, file: _core.StaticFile | None
) -> Any:
    """Respond with a file as the handler's methods say.

    :param file: it is open and its headers are set, by C.
    :returns: True: that is all; a Future of what waits to be sent; start and end of what is still to be sent.
    """
    if file is not None:
        handler._static_file = file
    elif not await _find_file(handler, path):
        return True
    if handler.should_return_304():
        handler.set_status(304)
        return True
    length = handler.get_content_size()
    start = end = None
    if _may_be_conditional(handler.request):
        part = _choose_part(handler, length)
        if part is None:
            return True
        start, end, length = part
    handler.set_header("Content-Length", length)
    if not include_body:
        assert handler.request.method == "HEAD"
        return True
    file = handler._static_file
    if file is not None and not (handler._transforms and _is_transformed(handler)):
        written = handler._flush_file(file, start or 0, length)
        if written is not None:
            handler._static_file = None  # the stream's: it must not be closed while it is in the queue
            return written
    return start, end


async def _find_file(handler: StaticFileHandler, path: str) -> bool:
    """Find the file and set the headers. False: there is a response already."""
    handler.path = handler.parse_url_path(path)
    absolute_path = handler.get_absolute_path(handler.root, handler.path)
    handler.absolute_path = found = handler.validate_absolute_path(handler.root, absolute_path)
    if found is None:
        return False
    if handler._static_file is not None and handler._static_file_path != found:
        _close_file(handler)
    if isinstance(found, str) and found not in handler._static_hashes and _hashes_long(handler):
        await _hash_large(handler)
    handler.modified = handler.get_modified_time()
    handler.set_headers()
    if handler._static_file is not None:
        _remember_file(handler, path, handler._static_file)
    return True


def _remember_file(handler: StaticFileHandler, path: str, file: _core.StaticFile) -> None:
    """Let C serve the next request for this path, if what was found follows from root and path alone."""
    root, found = handler.root, handler._static_file_path
    if isinstance(root, os.PathLike):
        root = os.fspath(root)
    if type(root) is not str or type(path) is not str or type(found) is not str:
        return
    folder, real = static_files.folders_of(root)
    if not _core.is_plain_path(path) or found != f"{real.rstrip('/')}/{path}":
        return
    link = (os.fsencode(folder), os.fsencode(real)) if folder != real else None
    content_type = static_files.type_by_suffix(found)
    if content_type is not None:
        modified = _time_of(file.modified)
        _core.remember_static_file(root, path, found, link, modified, file.modified, content_type)


def _time_of(seconds: float) -> datetime.datetime:
    import datetime

    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


async def _send_rest(handler: StaticFileHandler, rest: Any) -> None:
    """Wait for what is not sent yet, or send what Python has to."""
    if isinstance(rest, tuple):
        await _write_content(handler, *rest)
    else:
        await _wait(rest)


def expire(handler: RequestHandler, seconds: Any) -> None:
    """Set the headers that say for how many seconds the response keeps, if that is more than 0."""
    if seconds > 0:
        import datetime

        expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
        handler.set_header("Expires", expires)
        handler.set_header("Cache-Control", f"max-age={seconds}")


async def _wait(written: asyncio.Future[None]) -> None:
    """In a frame of its own: a failed Future keeps the frames that its exception has passed."""
    try:
        await written
    except StreamClosedError:
        pass


def _open_file(handler: StaticFileHandler, absolute_path: str, resolved: bool) -> bool:
    """Open the file, if the connection can take it from there. What the headers say is then told of it.

    Not if the content passes through Python, since a subclass has its own ways.
    """
    if handler._static_file is not None:
        _close_file(handler)
    if isinstance(handler.request.connection, _core.HTTPConnectionBase) and _core.owns(handler, _READING):
        try:
            handler._static_file = _core.open_static_file(absolute_path, resolved)
        except ValueError:  # NUL, or what no file name can hold
            return False
        handler._static_file_path = absolute_path
    return handler._static_file is not None


def _close_file(handler: StaticFileHandler) -> None:
    file, handler._static_file = handler._static_file, None
    if file is not None:
        file.close()


def _is_transformed(handler: StaticFileHandler) -> bool:
    return any(wants_body(each, handler._headers) for each in handler._transforms)


async def _write_content(handler: StaticFileHandler, start: int | None, end: int | None) -> None:
    assert handler.absolute_path is not None
    content: Any = handler.get_content(handler.absolute_path, start, end)
    pieces: Iterable[Any] = [content] if isinstance(content, bytes) else content
    first = True
    for piece in pieces:
        if not first and not is_synchronous():
            await asyncio.sleep(0)  # however fast this client is, others get their turn
        first = False
        try:
            handler.write(piece)
            await handler.flush()
        except StreamClosedError:
            return


def _hashes_long(handler: StaticFileHandler) -> bool:
    """Whether finding the version takes long; False if what does it is not ours, or not for a thread, and
    where no loop could wait for one."""
    if is_synchronous() or not _core.owns(handler, _HASHING):
        return False
    return handler.get_content_size() > _HASHED_AT_ONCE


async def _hash_large(handler: StaticFileHandler) -> None:
    """Have a thread find the version."""
    cls: Any = type(handler)
    path = handler.absolute_path
    loop = asyncio.get_running_loop()
    key = loop, cls, path
    if key not in _hashing:
        try:
            _hashing[key] = loop.run_in_executor(None, cls._get_cached_version, path)
        except RuntimeError:  # the executor takes nothing any more
            return
        _hashing[key].add_done_callback(lambda _: _hashing.pop(key, None))
    await asyncio.shield(_hashing[key])


def _choose_part(handler: StaticFileHandler, size: int) -> tuple[int | None, int | None, int] | None:
    """What of the content is sent: from where, to where, how much. Sets the status and Content-Range.

    None where the client wants a part that is not there.
    """
    start = end = None
    asked = handler.request.headers.get("Range")
    part = httputil._parse_request_range(asked) if asked else None
    if part is not None and _is_part_wanted(handler):
        start, end = part
        if start is not None and start < 0:
            start = max(start + size, 0)
        if end == 0 or (start is not None and (start >= size or (end is not None and start >= end))):
            handler.set_status(416)
            handler.set_header("Content-Type", "text/plain")
            handler.set_header("Content-Range", f"bytes */{size}")
            return None
        if end is not None and end > size:
            end = size
        if size != (end or size) - (start or 0):  # Chrome plays no audio from a 206 of the whole
            handler.set_status(206)
            handler.set_header("Content-Range", httputil._get_content_range(start, end, size))
    if start is None and end is None:
        return None, None, size
    return start, end, (size if end is None else end) - (start or 0)


def _may_be_conditional(request: Any) -> bool:
    """Whether a request may have the headers Range or If-..., without making its headers."""
    return not isinstance(request, _core.RequestBase) or request._may_be_conditional()


def _is_part_wanted(handler: StaticFileHandler) -> bool:
    """Whether If-Range, if it is there, says what the client has a part of (RFC 9110, section 13.1.5)."""
    known = handler.request.headers.get("If-Range")
    if known is None:
        return True
    known = known.strip()
    if '"' in known:  # a weak Etag never matches
        return known == handler._headers.get("Etag") and known.startswith('"')
    since, modified = _parse_date(known), handler.modified
    return since is not None and modified is not None and since == _aware(modified).replace(microsecond=0)


def _parse_date(text: str) -> datetime.datetime | None:
    """A date of a header; without a zone it is in UTC. None if it is none."""
    import email.utils

    try:
        return _aware(email.utils.parsedate_to_datetime(text))
    except Exception:
        return None


def _aware(time: datetime.datetime) -> datetime.datetime:
    if time.tzinfo is not None:
        return time
    import datetime

    return time.replace(tzinfo=datetime.UTC)


def static_rules(settings: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The rules that an application with the setting ``static_path`` begins with."""
    kind = settings.get("static_handler_class", StaticFileHandler)
    arguments = settings.get("static_handler_args", {})
    arguments["path"] = settings["static_path"]
    below = re.escape(settings.get("static_url_prefix", "/static/")) + "(.*)"
    return [(pattern, kind, arguments) for pattern in (r"/(robots\.txt)", r"/(favicon\.ico)", below)]


os.register_at_fork(after_in_child=StaticFileHandler._lock._at_fork_reinit)  # type: ignore[attr-defined]
