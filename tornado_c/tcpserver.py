"""A server that accepts TCP (or Unix socket) connections and makes streams of them."""

from __future__ import annotations

import asyncio
import errno
import functools
import importlib
import inspect
import os
import socket
import ssl
import weakref
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, overload

from tornado_c._stream import tls
from tornado_c._support.generations import bind_arguments
from tornado_c._support.names import Names, on_demand
from tornado_c._workers import serving
from tornado_c.concurrent import is_future
from tornado_c.ioloop import IOLoop
from tornado_c.iostream import IOStream, SSLIOStream
from tornado_c.log import app_log
from tornado_c.netutil import _DEFAULT_BACKLOG, add_accept_handler, bind_sockets, ssl_wrap_socket
from tornado_c.util import errno_from_exception

if TYPE_CHECKING:
    from tornado_c._stream.proxy_protocol import HeadReader, TrustedProxies

_SSLOptions = dict[str, Any] | ssl.SSLContext


#: Seconds between looks at the connections that a drain waits for.
_DRAIN_LOOK = 0.02

_listening_servers: weakref.WeakSet[TCPServer] = weakref.WeakSet()


class TCPServer:
    """Accepts connections and hands each, as a stream, to :meth:`handle_stream`.

    There are three ways to start one::

        server.listen(8888)                 # a single process

        server.bind(8888)                   # several processes, forked by the server
        server.start(0)

        sockets = bind_sockets(8888)        # several processes, forked by the program
        fork_processes(0)
        server.add_sockets(sockets)

    :param ssl_options: a TLS context, or the dictionary that ``netutil.ssl_options_to_context`` takes;
        default: plain TCP.
    :param max_buffer_size: bytes that a stream buffers at most; default: the stream's own.
    :param read_chunk_size: bytes that a stream reads at a time; default: the stream's own.
    :param io_loop: the IOLoop to serve on; default: the current one when sockets are added. As in Tornado
        before 5.0 it may come first of all arguments.
    :param proxy_protocol: every connection comes from a proxy and starts with a head of the PROXY protocol,
        version 1 or 2, from which :meth:`handle_stream` gets the client's address. Default False. TLS follows
        the head. Where the head names no client (``UNKNOWN``, ``LOCAL``) the address is the proxy's.
    :param trusted_proxies: texts of addresses and networks (``"10.0.0.0/8"``) whose heads are believed, and
        ``"unix"`` for the peers of Unix sockets. Connections from anybody else are refused: each is closed
        with a line in the log, as is one whose head is malformed, too long (107 bytes in version 1, 4096 in
        version 2) or late.
    :param proxy_protocol_timeout: seconds that a head may take; default 5.
    :raises KeyError: ``ssl_options`` is a dictionary without ``certfile``.
    :raises ValueError: its ``certfile`` or ``keyfile`` does not exist; or ``proxy_protocol`` is on and
        ``trusted_proxies`` has no entry, or an entry that is no address.
    """

    # Defaults for a subclass whose __init__ does not call ours.
    ssl_options: _SSLOptions | None = None
    max_buffer_size: int | None = None
    read_chunk_size: int | None = None
    proxy_protocol_timeout: float = 5.0
    _trusted: TrustedProxies | None = None
    _idle_grace: float = 1.0  # seconds, while draining
    _given_loop: Any = None
    _current_loop: Any = None

    @overload
    def __init__(
        self,
        ssl_options: _SSLOptions | None = None,
        max_buffer_size: int | None = None,
        read_chunk_size: int | None = None,
        *,
        io_loop: Any = None,
        proxy_protocol: bool = False,
        trusted_proxies: Iterable[str] | None = None,
        proxy_protocol_timeout: float = 5.0,
    ) -> None: ...

    @overload
    def __init__(
        self,
        io_loop: Any,
        ssl_options: _SSLOptions | None = None,
        max_buffer_size: int | None = None,
        read_chunk_size: int | None = None,
        *,
        proxy_protocol: bool = False,
        trusted_proxies: Iterable[str] | None = None,
        proxy_protocol_timeout: float = 5.0,
    ) -> None: ...

    def __init__(
        self,
        *args: Any,
        proxy_protocol: bool = False,
        trusted_proxies: Iterable[str] | None = None,
        proxy_protocol_timeout: float = 5.0,
        **kwargs: Any,
    ) -> None:
        self._given_loop, ssl_options, max_buffer_size, read_chunk_size = _sort_arguments(args, kwargs)
        _check_certificates(ssl_options)
        self.ssl_options = ssl_options
        self.max_buffer_size = max_buffer_size
        self.read_chunk_size = read_chunk_size
        self.proxy_protocol_timeout = proxy_protocol_timeout
        if proxy_protocol:
            from tornado_c._stream.proxy_protocol import TrustedProxies

            self._trusted = TrustedProxies(trusted_proxies)
        self._sockets: dict[int, socket.socket] = {}
        self._handlers: dict[int, Callable[[], None]] = {}
        self._pending_sockets: list[socket.socket] = []
        self._started = False
        self._stopped = False

    @property
    def io_loop(self) -> Any:
        """The IOLoop that was given; else the one on which sockets were added last; else None."""
        return self._current_loop if self._given_loop is None else self._given_loop

    @io_loop.setter
    def io_loop(self, io_loop: Any) -> None:
        self._given_loop = io_loop

    @property
    def proxy_protocol(self) -> bool:
        """Whether connections start with a head of the PROXY protocol, as given to the constructor."""
        return self._trusted is not None

    def listen(
        self,
        port: int,
        address: str | None = None,
        family: socket.AddressFamily = socket.AF_UNSPEC,
        backlog: int = _DEFAULT_BACKLOG,
        flags: int | None = None,
        reuse_port: bool = False,
    ) -> None:
        """Bind, and accept connections from now on. May be called for several ports.

        Arguments and exceptions are those of :func:`tornado_c.netutil.bind_sockets`.
        """
        self.add_sockets(bind_sockets(port, address, family, backlog, flags, reuse_port))

    def bind(
        self,
        port: int,
        address: str | None = None,
        family: socket.AddressFamily = socket.AF_UNSPEC,
        backlog: int = _DEFAULT_BACKLOG,
        flags: int | None = None,
        reuse_port: bool = False,
    ) -> None:
        """Bind; connections are accepted once :meth:`start` was called. May be called for several ports.

        Arguments and exceptions are those of :func:`tornado_c.netutil.bind_sockets`.
        """
        sockets = bind_sockets(port, address, family, backlog, flags, reuse_port)
        if self._started:
            self.add_sockets(sockets)
        else:
            self._pending_sockets += sockets

    def start(self, num_processes: int | None = 1, max_restarts: int | None = None) -> None:
        """Accept connections on the sockets that :meth:`bind` made.

        :param num_processes: 1, the default, serves from this process. Any other number forks as many
            children; None, 0 or less: one for each processor.
        :param max_restarts: see :func:`tornado_c.process.fork_processes`.
        :raises AssertionError: it was called before.
        :raises RuntimeError: as in :func:`tornado_c.process.fork_processes`.
        """
        assert not self._started
        self._started = True
        if num_processes != 1:
            from tornado_c import process

            process.fork_processes(num_processes, max_restarts)
        sockets, self._pending_sockets = self._pending_sockets, []
        self.add_sockets(sockets)

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on listening, non-blocking sockets, which :meth:`stop` will close."""
        _listening_servers.add(self)
        if self._given_loop is None:
            self._current_loop = IOLoop.current()
        serving.accepting(self.io_loop)
        for sock in sockets:
            fd = sock.fileno()
            self._sockets[fd] = sock
            self._handlers[fd] = serving.accept(self.io_loop, functools.partial(self._start_accepting, sock))

    def _start_accepting(self, sock: socket.socket) -> Callable[[], None]:
        """Accept connections on a listening socket; return what ends that."""
        accepted = self._handle_connection if self._trusted is None else self._read_proxy_head
        return add_accept_handler(sock, accepted, self.io_loop)

    def _read_proxy_head(self, connection: socket.socket, address: Any) -> None:
        """Take the PROXY protocol's head off a connection, and handle the rest as the client's."""
        from tornado_c._stream.proxy_protocol import HeadReader, log_refusal

        assert self._trusted is not None
        if self._trusted.trust(connection, address):
            limit = self.proxy_protocol_timeout
            reader = HeadReader(self.io_loop, connection, address, limit, self._handle_connection)
            self._heads.add(reader)
        else:
            connection.close()
            log_refusal(address, "not a trusted proxy")

    def add_socket(self, socket: socket.socket) -> None:
        """Accept connections on one listening, non-blocking socket."""
        self.add_sockets([socket])

    def stop(self) -> None:
        """Stop listening and close the sockets; connections that were accepted go on. May be called again."""
        if self._stopped:
            return
        self._stopped = True
        for fd, sock in self._sockets.items():
            self._handlers.pop(fd)()
            sock.close()

    async def drain(self, timeout: float = 30.0) -> bool:
        """Stop gracefully: accept no connection any more, and wait until those that are open were closed.

        :param timeout: seconds after which the connections that are left are closed as they are.
        :returns: whether none was left at the end.
        """
        for _ in range(2):
            await asyncio.sleep(0)  # those who have connected already are let in
        self.stop()
        clock = asyncio.get_running_loop().time
        next_drain = now = clock()
        deadline = now + timeout
        while self._is_serving() and now < deadline:
            if now >= next_drain:
                next_drain = now + self._idle_grace
                self._drain_connections()
            await asyncio.sleep(min(_DRAIN_LOOK, deadline - now))
            now = clock()
        in_time = not self._is_serving()
        for stream in self._held_streams():
            stream.close()
        return in_time

    def _drain_connections(self) -> None:
        """Have connections end that can; called again and again, after as many seconds as an idle one has."""

    def _is_serving(self) -> bool:
        """Whether connections are open that were accepted."""
        return any(head.is_waiting for head in self._heads) or any(
            not stream.closed() for stream in self._held_streams()
        )

    def _held_streams(self) -> list[IOStream]:
        """The streams that a drain waits for and closes in the end; some may be closed."""
        return list(self._streams)

    @functools.cached_property
    def _streams(self) -> weakref.WeakSet[IOStream]:
        """What ``handle_stream`` got."""
        return weakref.WeakSet()

    @functools.cached_property
    def _heads(self) -> weakref.WeakSet[HeadReader]:
        return weakref.WeakSet()

    if TYPE_CHECKING:
        handle_stream: Callable[[IOStream, Any], Awaitable[None] | None]  # may be assigned
    else:

        def handle_stream(self, stream: IOStream, address: Any) -> Awaitable[None] | None:
            """Serve a connection. Override it, or assign a function to the instance.

            What it raises is logged. With TLS the handshake may still be going on.

            :param stream: an IOStream or SSLIOStream.
            :param address: the peer's address, as ``socket.accept`` gave it.
            :returns: an awaitable, which the loop awaits and whose exception it logs. Anything else is
                ignored.
            """
            raise NotImplementedError()

    def _handle_connection(self, connection: socket.socket, address: Any) -> None:
        """Make a stream of an accepted socket and pass it on."""
        stream_class: type[IOStream] = IOStream
        if self.ssl_options is not None:
            try:
                connection.getpeername()  # the ssl module leaves a socket open where it finds the peer gone
                connection = ssl_wrap_socket(
                    connection, self.ssl_options, server_side=True, do_handshake_on_connect=False
                )
                tls.move_into_memory(connection)
            except Exception as e:
                connection.close()
                if not _peer_left(e):
                    raise
                return
            stream_class = SSLIOStream
        try:
            stream = stream_class(
                connection, max_buffer_size=self.max_buffer_size, read_chunk_size=self.read_chunk_size
            )
            self._streams.add(stream)
            result = self.handle_stream(stream, address)
            if result is not None:
                self._attend(result)
        except Exception:
            app_log.error("Error in connection callback", exc_info=True)

    def _attend(self, result: Any) -> None:
        """Have the loop run an awaitable and log its exception; ignore anything else."""
        loop = self.io_loop
        if loop is None:
            loop = IOLoop.current()
        future = _future_of(result, loop)
        if future is not None:
            loop.add_future(future, lambda future: future.result())


def listening_servers() -> list[TCPServer]:
    """The servers of this process that accept connections."""
    return [server for server in _listening_servers if not server._stopped]


def _future_of(result: Any, loop: Any) -> Any:
    """Return the Future of what a handler returned, or None where it is nothing to wait for."""
    if is_future(result):
        return result
    if inspect.isawaitable(result):
        return asyncio.ensure_future(result, loop=loop.asyncio_loop)
    gen: Any = importlib.import_module("tornado_c.gen")
    # Lists of futures, and the types that an application taught Tornado to yield.
    try:
        return gen.convert_yielded(result)
    except gen.BadYieldError:
        return None


def _signature(
    self: TCPServer,
    ssl_options: _SSLOptions | None = None,
    max_buffer_size: int | None = None,
    read_chunk_size: int | None = None,
    *,
    io_loop: Any = None,
    proxy_protocol: bool = False,
    trusted_proxies: Iterable[str] | None = None,
    proxy_protocol_timeout: float = 5.0,
) -> None: ...


# What introspection shows in place of (*args, **kwargs).
TCPServer.__init__.__signature__ = inspect.signature(_signature)  # type: ignore[attr-defined]


_CURRENT_ORDER = ("ssl_options", "max_buffer_size", "read_chunk_size")
_OLD_ORDER = ("io_loop", *_CURRENT_ORDER)


def _sort_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    """Return the constructor's arguments, in the old order, from a call in either generation's order.

    A loop comes first, or None before TLS options or before three more arguments: that is the old order.

    :raises TypeError: there are too many arguments, an unknown one, or one twice.
    """
    order: tuple[str, ...] = _CURRENT_ORDER
    if args and (
        len(args) > len(order)
        or hasattr(args[0], "add_handler")
        or (args[0] is None and ("ssl_options" in kwargs or isinstance(args[-1], (dict, ssl.SSLContext))))
    ):
        order = _OLD_ORDER
    given = bind_arguments("TCPServer.__init__", order, args, kwargs, keywords=_OLD_ORDER)
    io_loop, ssl_options, max_buffer_size, read_chunk_size = map(given.get, _OLD_ORDER)
    return io_loop, ssl_options, max_buffer_size, read_chunk_size


def _check_certificates(ssl_options: _SSLOptions | None) -> None:
    """Find mistakes in a dictionary of TLS options now rather than at the first connection."""
    if not isinstance(ssl_options, dict):
        return
    if "certfile" not in ssl_options:
        raise KeyError('missing key "certfile" in ssl_options')
    for name in ("certfile", "keyfile"):  # the first may hold the key as well
        if name in ssl_options and not os.path.exists(ssl_options[name]):
            raise ValueError(f'{name} "{ssl_options[name]}" does not exist')


#: What the ssl module meets on a connection that has ended before it was wrapped. EINVAL is macOS's word.
_GONE = frozenset(
    {errno.ECONNABORTED, errno.ECONNRESET, errno.EINVAL, errno.ENOTCONN, errno.EPIPE, errno.ETIMEDOUT}
)


def _peer_left(error: Exception) -> bool:
    """Whether wrapping failed only because the peer, such as a port scanner, was gone again."""
    if isinstance(error, ssl.SSLError) and error.args[0] == ssl.SSL_ERROR_EOF:
        return True
    return isinstance(error, OSError) and errno_from_exception(error) in _GONE


if not TYPE_CHECKING:
    __getattr__, __dir__ = on_demand(globals(), Names(__name__, members={"process": "tornado_c"}))

del Names, on_demand
