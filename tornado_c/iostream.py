"""Non-blocking streams over sockets, TLS, pipes and an application's own descriptors, with the interface of
Tornado's iostream in both generations: Futures, or callbacks as in 2.x-4.x."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import functools
import io
import os
import socket
import socket as _socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, overload

from tornado_c import _core
from tornado_c._stream import tls
from tornado_c._stream.earlier import adapt, buffer_optional, fill
from tornado_c._support.generations import bind_arguments
from tornado_c.ioloop import IOLoop, _Selectable
from tornado_c.log import gen_log
from tornado_c.netutil import _client_ssl_defaults, _server_ssl_defaults, ssl_wrap_socket

_StreamBuffer = _core._StreamBuffer

_ERRNO_CONNRESET = (errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT)
_SSL_MAX = 1 << 30  # bytes given to the ssl module at once


class StreamClosedError(IOError):
    """Raised by, or set on, operations of a stream that is closed.

    ``real_error`` is the exception that closed it, or None.
    """

    def __init__(self, real_error: BaseException | None = None) -> None:
        super().__init__("Stream is closed")
        self.real_error = real_error


class UnsatisfiableReadError(Exception):
    """A read can never be satisfied: its delimiter was not found within max_bytes."""


class StreamBufferFullError(Exception):
    """A buffer has reached its limit: max_buffer_size or max_write_buffer_size."""


class BaseIOStream(_core.IOStreamBase):
    """A stream over any descriptor that can be polled. Subclasses give it :meth:`fileno`, :meth:`close_fd`,
    :meth:`read_from_fd`, :meth:`write_to_fd` and, if they can, :meth:`get_fd_error`.

    :param max_buffer_size: the maximum of unread bytes; default 100 MB.
    :param read_chunk_size: bytes asked of the descriptor at a time; default 64 KB.
    :param max_write_buffer_size: the maximum of bytes that may wait to be sent; default: no limit.
    """

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        adapt(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._open_over(None, args, kwargs)

    def _open_over(
        self, source: socket.socket | int | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Bind the stream to a socket, a descriptor or (None) whatever fileno() returns."""
        io_loop, sizes = _sort_arguments(args, kwargs)
        loop = io_loop if io_loop is not None else IOLoop.current()
        self._open(
            source,
            loop._core,
            sizes.get("max_buffer_size"),
            sizes.get("read_chunk_size"),
            sizes.get("max_write_buffer_size"),
        )

    def fileno(self) -> int | _Selectable:
        """The descriptor: a number, or an object with a fileno() method."""
        raise NotImplementedError()

    def close_fd(self) -> None:
        """Close the descriptor. Called by the stream only; others call ``close``."""
        raise NotImplementedError()

    def write_to_fd(self, data: memoryview) -> int:
        """Write what the descriptor takes now.

        :param data: released after the call.
        :returns: the number of bytes, 0 for none.
        """
        raise NotImplementedError()

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read at most ``len(buf)`` bytes into ``buf``.

        :returns: their number, None if there are none now, 0 at the end.
        """
        raise NotImplementedError()

    def get_fd_error(self) -> Exception | None:
        """The error that the kernel has reported for the descriptor, or None if there is none."""
        return None

    def _handle_connect(self) -> None:
        raise NotImplementedError()


class IOStream(BaseIOStream):
    """A stream over a connected or connecting socket, which it owns and makes non-blocking.

    The interface of Tornado 2 to 4, ``IOStream(socket, io_loop, max_buffer_size, ...)``, is understood: an
    IOLoop as second argument, or None with further ones.

    :param socket: connected, connecting or new.
    :param max_buffer_size: the maximum of unread bytes; default 100 MB.
    :param read_chunk_size: bytes asked of the socket at a time; default 64 KB.
    :param max_write_buffer_size: the maximum of bytes that may wait to be sent; default: no limit.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def socket(self) -> _socket.socket: ...

    def __init__(self, socket: _socket.socket, *args: Any, **kwargs: Any) -> None:
        socket.setblocking(False)
        self._open_over(socket, args, kwargs)

    def fileno(self) -> int | _Selectable:
        """The socket object that the stream works on; None once closed."""
        return self.socket

    def close_fd(self) -> None:
        """Close the socket."""
        self.socket.close()

    def get_fd_error(self) -> Exception | None:
        """The socket's pending error, as an OSError."""
        number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return OSError(number, os.strerror(number))

    def _read_from_socket(self) -> bytes | None:
        """Return what was received, or None. The name that this had in Tornado 2."""
        return IOStream.read_from_fd(self)  # type: ignore[call-arg, return-value]

    @buffer_optional
    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Receive into buf; None if there is nothing now."""
        try:
            return self.socket.recv_into(buf, len(buf))
        except BlockingIOError:
            return None

    def write_to_fd(self, data: memoryview) -> int:
        """Send what the socket takes now.

        :raises BlockingIOError: that is nothing.
        """
        return self.socket.send(data)

    def start_tls(
        self,
        server_side: bool,
        ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> asyncio.Future[SSLIOStream]:
        """Turn an idle stream into an SSLIOStream over the same socket; this stream is closed to its owner.

        Nothing may be pending or buffered, but for an early handshake. The close callback moves to the
        new stream.

        :param server_side: which end of the connection this is.
        :param ssl_options: a dict of arguments for wrapping a socket, or an SSLContext; default: certificates
            are checked by clients.
        :param server_hostname: the name that a client asks for and checks.
        :returns: a Future of the new stream once the handshake is done; cancelling it closes that.
        :raises ValueError: the stream is not idle.
        """
        if not self._is_idle():
            raise ValueError("IOStream is not idle; cannot convert to SSL")
        if ssl_options is None:
            ssl_options = _server_ssl_defaults() if server_side else _client_ssl_defaults()
        io_loop, sizes = self.io_loop, (self.max_buffer_size, self.read_chunk_size)
        plain, close_callback, nodelay = self._detach()
        try:
            wrapped = ssl_wrap_socket(
                plain,
                ssl_options,
                server_hostname=server_hostname,
                server_side=server_side,
                do_handshake_on_connect=False,
            )
            tls.move_into_memory(wrapped)
        except BaseException:
            plain.close()
            raise
        stream = SSLIOStream(wrapped, io_loop, ssl_options=ssl_options)
        stream._before = self
        stream.set_close_callback(close_callback)
        stream.set_nodelay(nodelay)  # as it was: the application may have turned it off
        stream.max_buffer_size, stream.read_chunk_size = sizes
        future = stream.wait_for_handshake()
        # Only the caller has the stream before the handshake is done: giving up must not leave it open.
        future.add_done_callback(lambda f: stream.close() if f.cancelled() else None)
        return future


class SSLIOStream(IOStream):
    """A stream over TLS. A connected socket must have been wrapped by ``ssl.SSLContext.wrap_socket`` with
    ``do_handshake_on_connect=False``; an unconnected one is wrapped by :meth:`connect`.

    The other arguments are those of :class:`IOStream`.

    :param ssl_options: a dict of arguments for wrapping a socket, or an SSLContext; default: certificates are
        checked.
    """

    __slots__ = ("_before", "_on_handshake", "_server_hostname", "_ssl_options")

    if TYPE_CHECKING:

        @property
        def socket(self) -> ssl.SSLSocket: ...

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._ssl_options = kwargs.pop("ssl_options", None)
        if self._ssl_options is None:
            self._ssl_options = _client_ssl_defaults()
        self._server_hostname: str | None = None
        self._before: IOStream | None = None  # what start_tls() was called on
        self._on_handshake: Callable[[], object] | None = None  # has its callback called in the next turn
        super().__init__(*args, **kwargs)
        try:
            self.socket.getpeername()
        except OSError:
            connected = False
        else:
            connected = True
        self._tls_begin(connected)

    def _read_from_socket(self) -> bytes | None:
        return SSLIOStream.read_from_fd(self)  # type: ignore[call-arg, return-value]

    @buffer_optional
    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read decrypted bytes into buf; None if there are none now."""
        if self._ssl_accepting:
            return None
        try:
            return self.socket.recv_into(buf, min(len(buf), _SSL_MAX))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return None

    def write_to_fd(self, data: memoryview) -> int:
        """Encrypt and send; 0 if the socket takes nothing now."""
        if self._ssl_accepting:
            return 0
        try:
            return self.socket.send(memoryview(data)[:_SSL_MAX])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def _is_connreset(self, exc: BaseException) -> bool:
        return isinstance(exc, ssl.SSLEOFError) or super()._is_connreset(exc)

    # ---- the handshake ----

    @overload
    def connect(
        self, address: Any, callback: str | None = None, server_hostname: str | None = None
    ) -> asyncio.Future[Self]: ...

    @overload
    def connect(
        self, address: Any, callback: Callable[[], object], server_hostname: str | None = None
    ) -> None: ...

    def connect(
        self,
        address: Any,
        callback: Callable[[], object] | str | None = None,
        server_hostname: str | None = None,
    ) -> asyncio.Future[Self] | None:
        """Connect the socket and shake hands.

        :param server_hostname: the name that the certificate must carry and that is sent as SNI; a str as
            second argument is it, too.
        :returns: a Future of this stream, which fails with what was wrong; with a callback None, and a
            failure calls the close callback.
        """
        if isinstance(callback, str):
            callback, server_hostname = None, callback
        self._server_hostname = server_hostname
        super().connect(address).add_done_callback(_look_at)
        future = self.wait_for_handshake()
        if callback is None:
            return future
        later = self._call_later

        def done(f: asyncio.Future[Self]) -> None:
            # In the turn after this one: in TLS 1.3 the client is done first, and a program that has both
            # ends takes the server for done as well.
            if not f.cancelled() and f.exception() is None:
                later(callback)

        future.add_done_callback(done)
        return None

    @overload
    def wait_for_handshake(self, callback: None = None) -> asyncio.Future[Self]: ...

    @overload
    def wait_for_handshake(self, callback: Callable[[], object]) -> None: ...

    def wait_for_handshake(self, callback: Callable[[], object] | None = None) -> asyncio.Future[Self] | None:
        """Wait until the handshake is done: a Future of this stream, or with a callback None.

        Afterwards ``socket`` knows the peer's certificate and the protocol that was agreed on. May be called
        once at a time; RuntimeError otherwise.
        """
        waiting = self._ssl_connect_future
        if waiting is not None and not waiting.done():
            raise RuntimeError("Already waiting")
        future: asyncio.Future[Self] = asyncio.Future(loop=self.io_loop.asyncio_loop)
        if self.closed():
            future.set_exception(self.error if self.error is not None else StreamClosedError())
            _look_at(future)
        elif self._ssl_accepting:
            self._ssl_connect_future = future
        else:
            future.set_result(self)
        if callback is None:
            return future
        if self._ssl_connect_future is future:
            run = contextvars.copy_context().run
            self._on_handshake = functools.partial(run, self._call_later, callback)
            future.add_done_callback(self._forget_callback)
        elif not self.closed():
            self._call_later(callback)
        return None

    def _forget_callback(self, future: asyncio.Future[Self]) -> None:
        self._on_handshake = None
        _look_at(future)

    def _start_tls(self) -> None:
        """The socket is connected: wrap it. Called by the stream itself."""
        wrapped = ssl_wrap_socket(
            self.socket,
            self._ssl_options,
            server_hostname=self._server_hostname,
            do_handshake_on_connect=False,
            server_side=False,
        )
        tls.move_into_memory(wrapped)
        self._set_socket(wrapped)
        self._tls_wants(IOLoop.WRITE)

    def _do_ssl_handshake(self) -> None:
        """One step of the handshake. Called by the stream itself, when the socket is ready for it."""
        if self._before is not None:
            self._take_early_records(self._before)
            self._before = None
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            self._tls_wants(IOLoop.READ)
        except ssl.SSLWantWriteError:
            self._tls_wants(IOLoop.WRITE)
        except ssl.SSLError as e:
            self._handshake_failed(e)
        except OSError as e:
            # A port scanner that is gone already, or never was there; else a network that has failed.
            if not self._is_connreset(e) and e.args[0] not in (0, errno.EBADF, errno.ENOTCONN):
                _log_handshake_error(self.socket, e)
            self.close(exc_info=e)
        except AttributeError as e:
            # The connection was reset before it was wrapped: the ssl module made no TLS object.
            self.close(exc_info=e)
        else:
            self._tls_done(*tls.native_parts(self.socket))
            future = self._ssl_connect_future
            self._ssl_connect_future = None
            if future is not None and not future.done():
                future.set_result(self)
                if self._on_handshake is not None:
                    # In the turn that the Future's own callbacks have: the peer may be gone in the one after.
                    self._on_handshake()

    def _take_early_records(self, before: IOStream) -> None:
        """What the peer sent while the stream was another is in that one's buffer."""
        size = before._read_buffer_size
        if size:
            tls.take_records(self.socket, before._consume(size))

    def _handshake_failed(self, error: ssl.SSLError) -> None:
        number = error.args[0]
        if number in (ssl.SSL_ERROR_SSL, ssl.SSL_ERROR_SYSCALL):
            _log_handshake_error(self.socket, error)
        elif number not in (ssl.SSL_ERROR_EOF, ssl.SSL_ERROR_ZERO_RETURN):
            raise error
        self.close(exc_info=error)


class PipeIOStream(BaseIOStream):
    """A stream over one end of a pipe (or another descriptor that reads and writes like one), which it owns
    and makes non-blocking.

    The other arguments are those of :class:`BaseIOStream`.

    :param fd: the descriptor's number.
    """

    __slots__ = ("_fio", "fd")

    def __init__(self, fd: int, *args: Any, **kwargs: Any) -> None:
        self.fd = fd
        self._fio = io.FileIO(fd, "r+")
        os.set_blocking(fd, False)
        self._open_over(fd, args, kwargs)

    def fileno(self) -> int:
        """The descriptor's number."""
        return self.fd

    def close_fd(self) -> None:
        """Close the descriptor."""
        self._fio.close()

    def write_to_fd(self, data: memoryview) -> int:
        """Write what the pipe takes now.

        :raises BlockingIOError: that is nothing.
        """
        return os.write(self.fd, data)

    @buffer_optional
    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read into buf; None if there is nothing now."""
        try:
            return self._fio.readinto(buf)
        except OSError as e:
            if e.errno != errno.EBADF:
                raise
            # The other end is closed: polling reports that, but reading only gives EBADF.
            self.close(exc_info=e)
            return None


_SIZES = ("max_buffer_size", "read_chunk_size", "max_write_buffer_size")


def _sort_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[IOLoop | None, dict[str, Any]]:
    """The io_loop and the sizes among a stream's arguments, whichever generation they are of."""
    if args and (isinstance(args[0], IOLoop) or (args[0] is None and len(args) > 1)):
        args, kwargs = args[1:], {**kwargs, "io_loop": args[0]}
    sizes = bind_arguments("BaseIOStream.__init__", _SIZES, args, kwargs, keywords=("io_loop",))
    return sizes.pop("io_loop", None), sizes


def _log_handshake_error(sock: socket.socket | None, error: OSError) -> None:
    """Log why a handshake failed.

    :param sock: None where a callback of the ssl module has closed the stream.
    """
    peer: Any = "(not connected)"
    if sock is not None:
        with contextlib.suppress(Exception):
            peer = sock.getpeername()
    gen_log.warning("SSL Error on %s %s: %s", sock.fileno() if sock else -1, peer, error)


def _look_at(future: asyncio.Future[Any]) -> None:
    """Mark a Future's exception as seen."""
    if not future.cancelled():
        future.exception()


def doctests() -> Any:
    """The module's examples, as a test suite."""
    import doctest

    return doctest.DocTestSuite()


_core.register(
    "iostream",
    faces={
        "IOStream": IOStream,
        "SSLEOFError": ssl.SSLEOFError,
        "SSLWantReadError": ssl.SSLWantReadError,
        "SSLWantWriteError": ssl.SSLWantWriteError,
        "StreamBufferFullError": StreamBufferFullError,
        "StreamClosedError": StreamClosedError,
        "UnsatisfiableReadError": UnsatisfiableReadError,
    },
    upcalls={
        "pipe_read_from_fd": PipeIOStream.read_from_fd,
        "pipe_write_to_fd": PipeIOStream.write_to_fd,
        "read_without_buffer": fill,
        "socket_close_fd": IOStream.close_fd,
        "socket_get_fd_error": IOStream.get_fd_error,
        "socket_read_from_fd": IOStream.read_from_fd,
        "socket_write_to_fd": IOStream.write_to_fd,
        "tls_read_from_fd": SSLIOStream.read_from_fd,
        "tls_write_to_fd": SSLIOStream.write_to_fd,
    },
)
