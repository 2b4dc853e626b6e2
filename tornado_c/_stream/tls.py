"""Sockets of the ssl module whose records a stream moves itself, between the descriptor and memory: many
records leave in one system call."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

from tornado_c import _core

_T = TypeVar("_T")


class TLSSocket(ssl.SSLSocket):
    """An SSLSocket over memory. Its methods are those of any non-blocking SSLSocket."""

    _memory: _core.TLSMemory

    def _moving(self, operation: Callable[..., _T], *args: Any) -> _T:
        """The result of an operation of OpenSSL, with records received and sent for it."""
        fd = self.fileno()
        if fd < 0:
            return operation(*args)  # which says what is wrong
        while True:
            self._send_all(fd)
            try:
                result = operation(*args)
            except ssl.SSLWantReadError:
                self._send_all(fd)
                if not self._memory.fill(fd):
                    raise
            except ssl.SSLError:
                self._send_some(fd)  # the alert
                raise
            else:
                self._send_some(fd)
                return result

    def _send_all(self, fd: int) -> None:
        if not self._memory.flush(fd):
            raise ssl.SSLWantWriteError(ssl.SSL_ERROR_WANT_WRITE, "The operation did not complete (write)")

    def _send_some(self, fd: int) -> None:
        """Send what goes now. The next operation, or the stream, sends the rest or learns what failed."""
        with contextlib.suppress(OSError):
            self._memory.flush(fd)

    def do_handshake(self, block: bool = False) -> None:
        self._moving(super().do_handshake, block)

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        return self._moving(super().read, len, buffer)

    def write(self, data: Any) -> int:
        return self._moving(super().write, data)

    def send(self, data: Any, flags: int = 0) -> int:
        return self._moving(super().send, data, flags)

    def unwrap(self) -> socket.socket:
        self._moving(super().unwrap)
        return self

    def verify_client_post_handshake(self) -> None:
        self._moving(super().verify_client_post_handshake)


def move_into_memory(wrapped: socket.socket) -> None:
    """Make a TLSSocket of a socket that was wrapped just now and on which nothing has happened since. A
    socket of another class than SSLSocket stays what it is."""
    if type(wrapped) is not ssl.SSLSocket or not hasattr(wrapped.context, "_wrap_bio"):
        return
    if wrapped._sslobj is None:  # type: ignore[attr-defined]
        return  # the peer was gone before
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    wrapped._sslobj = wrapped.context._wrap_bio(  # type: ignore[attr-defined]
        incoming,
        outgoing,
        server_side=wrapped.server_side,
        server_hostname=wrapped.server_hostname,
        owner=wrapped,
        session=wrapped.session,
    )
    wrapped._memory = _core.TLSMemory(incoming, outgoing)  # type: ignore[attr-defined]
    wrapped.__class__ = TLSSocket


def take_records(wrapped: Any, records: bytes) -> None:
    """Have a TLS socket begin with records that were received before it was wrapped.

    :raises ValueError: OpenSSL itself reads its descriptor.
    """
    memory = native_parts(wrapped)[1]
    if memory is None:
        raise ValueError("the handshake has begun before start_tls()")
    memory.feed(records)


def native_parts(wrapped: Any) -> tuple[Any, _core.TLSMemory | None]:
    """The ssl module's own object below a TLS socket, and what moves its records; both may be None."""
    if not isinstance(wrapped, ssl.SSLSocket):
        return None, None
    return getattr(wrapped, "_sslobj", None), getattr(wrapped, "_memory", None)
