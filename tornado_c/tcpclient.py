"""Connecting to TCP servers: names resolved, several addresses tried, TLS on top."""

from __future__ import annotations

import asyncio
import concurrent.futures
import datetime
import functools
import numbers
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from tornado_c._support.generations import with_callback
from tornado_c.concurrent import chain_future, future_add_done_callback
from tornado_c.ioloop import IOLoop
from tornado_c.iostream import IOStream
from tornado_c.log import app_log
from tornado_c.netutil import Resolver

#: Seconds that the first address has before the other family's first one is tried beside it.
_INITIAL_CONNECT_TIMEOUT = 0.3

_Address = tuple[Any, Any]  # family, and what socket.connect takes


def _format_addr(addr: Any) -> str:
    """Return an address as text: ``host:port``, an IPv6 host in brackets; anything but a tuple by ``str``."""
    if not isinstance(addr, tuple) or len(addr) < 2:
        return str(addr)
    host, port = addr[0], addr[1]
    return f"[{host}]:{port}" if isinstance(host, str) and ":" in host else f"{host}:{port}"


class _Connector:
    """Connects to whichever of several addresses answers first ("happy eyeballs", RFC 6555).

    The addresses make two queues: those of the first one's family, and all others. The first queue is tried
    one address after the other. The second one joins it, also one at a time, when the first attempt fails or
    takes long.

    :param addrinfo: (family, address) pairs, at least one.
    :param connect: called with family and address; returns a stream and a Future of its connection.
    """

    def __init__(
        self, addrinfo: list[_Address], connect: Callable[[Any, Any], tuple[Any, asyncio.Future[Any]]]
    ) -> None:
        self.io_loop: Any = IOLoop.current()
        self.connect = connect
        self.future: asyncio.Future[tuple[Any, Any, Any]] = self.io_loop.asyncio_loop.create_future()
        self.timeout: object | None = None
        self.connect_timeout: object | None = None
        self.last_error: Exception | None = None
        self.remaining = len(addrinfo)  # addresses that have neither failed nor won
        self.primary_addrs, self.secondary_addrs = self.split(addrinfo)
        self.streams: set[Any] = set()  # to be closed unless they win
        self.pending_addrs: set[Any] = set()  # being tried, for the message of an expired time limit

    @staticmethod
    def split(addrinfo: list[_Address]) -> tuple[list[_Address], list[_Address]]:
        """Return the pairs of the first one's family, and the others."""
        first = addrinfo[0][0]
        primary = [pair for pair in addrinfo if pair[0] == first]
        secondary = [pair for pair in addrinfo if pair[0] != first]
        return primary, secondary

    def start(
        self,
        timeout: float = _INITIAL_CONNECT_TIMEOUT,
        connect_timeout: float | datetime.timedelta | None = None,
    ) -> asyncio.Future[tuple[Any, Any, Any]]:
        """Begin, and return a Future of (family, address, stream).

        :param timeout: seconds for the first family alone.
        :param connect_timeout: when to give up: a time of the loop's clock, or a timedelta; None: never.
        """
        # An attempt may fail, and be followed by the next, inside try_connect: the time limits come first.
        self.set_timeout(timeout)
        if connect_timeout is not None:
            self.set_connect_timeout(connect_timeout)
        self.try_connect(iter(self.primary_addrs))
        future_add_done_callback(self.future, self.on_future_done)
        return self.future

    def try_connect(self, addrs: Iterator[_Address]) -> None:
        """Try the next address of a queue."""
        pair = next(addrs, None)
        if pair is None:
            # The other queue may go on; whichever ends last reports.
            if self.remaining == 0 and not self.future.done():
                self.clear_timeouts()
                self.future.set_exception(self.last_error or OSError("connection failed"))
                self.close_streams()  # those of cancelled attempts are open still
            return
        af, addr = pair
        try:
            stream, future = self.connect(af, addr)
        except Exception as e:
            # Such as a family that the system lacks: a failure like any other.
            future = self.io_loop.asyncio_loop.create_future()
            future.set_exception(e)
        else:
            self.streams.add(stream)
            self.pending_addrs.add(addr)
        future_add_done_callback(future, functools.partial(self.on_connect_done, addrs, af, addr))

    def on_connect_done(
        self, addrs: Iterator[_Address], af: Any, addr: Any, future: asyncio.Future[Any]
    ) -> None:
        self.remaining -= 1
        self.pending_addrs.discard(addr)
        try:
            stream = future.result()
        except (Exception, asyncio.CancelledError) as e:
            self._on_attempt_failed(addrs, e)
            return
        self.clear_timeouts()
        if self.future.done():
            stream.close()  # too late
            return
        self.streams.discard(stream)
        self.future.set_result((af, addr, stream))
        self.close_streams()

    def _on_attempt_failed(self, addrs: Iterator[_Address], error: BaseException) -> None:
        if self.future.done():
            return
        if isinstance(error, Exception):
            # Not a cancelled attempt, which must not look as if the caller had been cancelled.
            self.last_error = error
        self.try_connect(addrs)
        if self.timeout is not None:
            # The other family need not wait for its turn.
            self.clear_timeout()
            self.on_timeout()

    def on_future_done(self, future: asyncio.Future[Any]) -> None:
        if future.cancelled():  # the caller is interested no more
            self.clear_timeouts()
            self.close_streams()

    def set_timeout(self, timeout: float) -> None:
        self.timeout = self.io_loop.add_timeout(self.io_loop.time() + timeout, self.on_timeout)

    def on_timeout(self) -> None:
        self.timeout = None
        if not self.future.done():
            self.try_connect(iter(self.secondary_addrs))

    def clear_timeout(self) -> None:
        if self.timeout is not None:
            self.io_loop.remove_timeout(self.timeout)
            self.timeout = None

    def set_connect_timeout(self, connect_timeout: float | datetime.timedelta) -> None:
        self.connect_timeout = self.io_loop.add_timeout(connect_timeout, self.on_connect_timeout)

    def on_connect_timeout(self) -> None:
        if not self.future.done():
            pending = ", ".join(sorted(map(_format_addr, self.pending_addrs)))
            text = f"Timeout while connecting to {pending}" if pending else "Timeout while connecting"
            self.future.set_exception(TimeoutError(text))
        self.close_streams()

    def clear_timeouts(self) -> None:
        self.clear_timeout()
        if self.connect_timeout is not None:
            self.io_loop.remove_timeout(self.connect_timeout)
            self.connect_timeout = None

    def close_streams(self) -> None:
        for stream in self.streams:
            stream.close()


def _within(deadline: float, awaitable: Any, message: str) -> asyncio.Future[Any]:
    """Return a Future of what ``awaitable`` gives, which fails with ``TimeoutError`` at ``deadline``.

    The awaitable is not cancelled then; if it fails later, that is logged to the application log.

    :param message: the text of the error.
    """
    io_loop: Any = IOLoop.current()
    inner: asyncio.Future[Any]
    if isinstance(awaitable, concurrent.futures.Future):
        inner = asyncio.wrap_future(awaitable, loop=io_loop.asyncio_loop)
    else:
        inner = asyncio.ensure_future(awaitable, loop=io_loop.asyncio_loop)
    outer: asyncio.Future[Any] = io_loop.asyncio_loop.create_future()
    chain_future(inner, outer)

    def log_late_failure(future: asyncio.Future[Any]) -> None:
        if not future.cancelled() and isinstance(error := future.exception(), Exception):
            app_log.error("Exception in Future %r after timeout", future, exc_info=error)

    def expire() -> None:
        if not outer.done():
            outer.set_exception(TimeoutError(message))
        future_add_done_callback(inner, log_late_failure)

    timeout = io_loop.add_timeout(deadline, expire)
    future_add_done_callback(inner, lambda _: io_loop.remove_timeout(timeout))
    return outer


def _deadline(timeout: Any) -> float | None:
    """Return the time of the loop's clock at which ``timeout``, counted from now, ends."""
    if timeout is None:
        return None
    if isinstance(timeout, numbers.Real):
        seconds = float(timeout)
    elif isinstance(timeout, datetime.timedelta):
        seconds = timeout.total_seconds()
    else:
        raise TypeError(f"Unsupported timeout {timeout!r}")
    now: float = IOLoop.current().time()
    return now + seconds


class TCPClient:
    """Makes connected streams.

    :param resolver: looks names up, and stays open when the client is closed; default: a ``Resolver()`` of
        the client's own.
    :param io_loop: taken for the sake of programs for Tornado before 5.0, and kept as an attribute. Streams
        belong to the loop on which :meth:`connect` runs.
    """

    def __init__(self, resolver: Resolver | None = None, io_loop: Any = None) -> None:
        self.io_loop = io_loop
        self._own_resolver = resolver is None
        self.resolver: Resolver = Resolver(io_loop=io_loop) if resolver is None else resolver

    def close(self) -> None:
        """Close the resolver, if it is the client's own. Streams stay open."""
        if self._own_resolver:
            self.resolver.close()

    @with_callback
    async def connect(
        self,
        host: str,
        port: int,
        af: socket.AddressFamily = socket.AF_UNSPEC,
        ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
        max_buffer_size: int | None = None,
        source_ip: str | None = None,
        source_port: int | None = None,
        timeout: float | datetime.timedelta | None = None,
    ) -> IOStream:
        """Connect to ``host`` and return a stream.

        Where the name has IPv4 and IPv6 addresses both kinds are tried, the second after 0.3 seconds or as
        soon as the first fails.

        :param host: a name, or the text of an IP address. With TLS also the name that the certificate has
            to be for.
        :param af: the family wanted; default: any.
        :param ssl_options: a TLS context or the dictionary of ``netutil.ssl_options_to_context``; default:
            plain TCP.
        :param max_buffer_size: bytes that the stream buffers at most; default: the stream's own.
        :param source_ip: the local address; default: the system's choice, or the loopback address where only
            a port is given.
        :param source_port: the local port; default: any.
        :param timeout: seconds, or a timedelta, for all of it; default: no limit.
        :returns: an ``IOStream``; with ``ssl_options`` an ``SSLIOStream`` after its handshake.
        :raises TimeoutError: its text says whether the name, the connection (and to which addresses) or the
            handshake took too long.
        :raises OSError: the name cannot be resolved, or all connections failed: the last one's error.
        :raises TypeError: ``timeout`` is of another type.
        """
        deadline = _deadline(timeout)
        resolving: Awaitable[list[Any]] = self.resolver.resolve(host, port, af)
        if deadline is not None:
            resolving = _within(deadline, resolving, f"Timeout while resolving {host}")
        connect = functools.partial(
            self._create_stream, max_buffer_size, source_ip=source_ip, source_port=source_port
        )
        connector = _Connector(await resolving, connect)
        _, addr, stream = await connector.start(connect_timeout=deadline)
        if ssl_options is None:
            return stream
        try:
            handshake = stream.start_tls(False, ssl_options=ssl_options, server_hostname=host)
        except BaseException:  # options that are none
            stream.close()
            raise
        try:
            if deadline is None:
                return await handshake
            return await _within(
                deadline, handshake, f"Timeout during TLS handshake with {_format_addr(addr)}"
            )
        finally:
            # Where the time is up or the caller was cancelled, this closes the stream. Otherwise it is done.
            handshake.cancel()

    def _create_stream(
        self,
        max_buffer_size: int | None,
        af: Any,
        addr: Any,
        source_ip: str | None = None,
        source_port: int | None = None,
    ) -> tuple[Any, Any]:
        """Return a stream and the Future of its connection to ``addr``; TLS comes later."""
        local_port = source_port if isinstance(source_port, int) else 0
        local_ip = source_ip
        if local_port and not source_ip:
            local_ip = "::1" if af == socket.AF_INET6 else "127.0.0.1"
        sock = socket.socket(af)
        try:
            if local_port or local_ip:
                sock.bind((local_ip, local_port))
            stream = IOStream(sock, max_buffer_size=max_buffer_size)
        except BaseException:
            sock.close()
            raise
        return stream, stream.connect(addr)
