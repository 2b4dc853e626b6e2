"""Listening sockets, accepting connections, resolving names, and TLS contexts."""

from __future__ import annotations

import errno
import functools
import ipaddress
import os
import socket
import ssl
import stat
import sys
from collections.abc import Callable
from typing import Any

from tornado_c import _core
from tornado_c._stream.resolvers import (
    BlockingResolver,
    DefaultExecutorResolver,
    DefaultLoopResolver,
    ExecutorResolver,
    OverrideResolver,
    Resolver,
    ThreadedResolver,
    _resolve_addr,
    check_port,
)
from tornado_c._workers import handover
from tornado_c._workers.activation import activated_sockets
from tornado_c.ioloop import IOLoop
from tornado_c.util import errno_from_exception

SSLCertificateError = ssl.CertificateError

#: Length of the queue of connections that wait to be accepted, where none is given.
_DEFAULT_BACKLOG = 128

for _moved in (
    BlockingResolver,
    DefaultExecutorResolver,
    DefaultLoopResolver,
    ExecutorResolver,
    OverrideResolver,
    Resolver,
    ThreadedResolver,
    activated_sockets,
):
    _moved.__module__ = __name__
del _moved


def __getattr__(name: str) -> Any:
    if name == "TCPServer":  # its home in Tornado 2.x
        from tornado_c.tcpserver import TCPServer

        return TCPServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def ssl_match_hostname(cert: dict[str, Any] | None, hostname: str) -> None:
    """Check that a certificate is for a host, as Python did before 3.12.

    What its alternative names say counts. ``*`` may stand for the whole of the first label.

    :param cert: what ``SSLSocket.getpeercert()`` returned.
    :param hostname: a host name, or the text of an IP address.
    :raises SSLCertificateError: it is for others.
    :raises ValueError: there is no certificate.
    """
    if not cert:
        raise ValueError("empty or no certificate, match_hostname needs a SSL socket with CERT_REQUIRED")
    kind, wanted = ("IP Address", hostname) if is_valid_ip(hostname) else ("DNS", hostname.lower())
    names = [value for name, value in cert.get("subjectAltName", ()) if name == kind]
    if kind == "DNS":
        _, dot, parent = wanted.partition(".")
        accepted = {wanted, f"*{dot}{parent}"} if "." in parent else {wanted}
        found = any(name.lower() in accepted for name in names)
    else:
        addresses = {ipaddress.ip_address(name.strip()) for name in names if is_valid_ip(name.strip())}
        found = ipaddress.ip_address(wanted.partition("%")[0]) in addresses
    if not found:
        raise SSLCertificateError(f"hostname {hostname!r} doesn't match {', '.join(map(repr, names))}")


# --------------------------------------------------------------------------- listening


def bind_sockets(
    port: int,
    address: str | None = None,
    family: socket.AddressFamily = socket.AF_UNSPEC,
    backlog: int = _DEFAULT_BACKLOG,
    flags: int | None = None,
    reuse_port: bool = False,
) -> list[socket.socket]:
    """Open a listening, non-blocking socket on every address that ``address`` stands for.

    :param port: the port; 0 takes a free one, the same for all sockets.
    :param address: an IP address, or a host name for all its addresses; None or ``""``: all interfaces.
    :param family: ``socket.AF_INET`` or ``AF_INET6`` to use only that one. IPv6 sockets never accept IPv4.
    :param backlog: length of the accept queue; default 128.
    :param flags: flags for ``socket.getaddrinfo``; default ``AI_PASSIVE``.
    :param reuse_port: set ``SO_REUSEPORT``, so that other processes may bind the same port; default False.
    :returns: the sockets, IPv4 first; closed again, all of them, if one fails.
    :raises ValueError: ``reuse_port`` on a platform without it.
    :raises OverflowError: ``port`` is over 65535.
    :raises OSError: ``address`` cannot be resolved, or an address cannot be bound. ``::1`` alone may be
        missing where ``address`` is ``"localhost"``.
    """
    if reuse_port and not hasattr(socket, "SO_REUSEPORT"):
        raise ValueError("the platform doesn't support SO_REUSEPORT")
    check_port(port)
    if family == socket.AF_UNSPEC and not socket.has_ipv6:
        # getaddrinfo may return IPv6 addresses even to a Python that was built without IPv6.
        family = socket.AF_INET
    found = socket.getaddrinfo(
        address or None, port, family, socket.SOCK_STREAM, 0, socket.AI_PASSIVE if flags is None else flags
    )
    sockets: list[socket.socket] = []
    shared_port = 0
    try:
        for af, kind, proto, _, sockaddr in sorted(dict.fromkeys(found), key=lambda info: info[0]):
            if _is_local_link_address(address, af, sockaddr):
                continue
            if shared_port and sockaddr[1] == 0:
                sockaddr = (sockaddr[0], shared_port, *sockaddr[2:])
            taken = handover.take(af, sockaddr)
            if taken is not None:
                sockets.append(taken)
                continue
            try:
                sock = socket.socket(af, kind, proto)
            except OSError as e:
                if e.errno == errno.EAFNOSUPPORT:
                    continue
                raise
            sockets.append(sock)
            _set_listener_options(sock, reuse_port)
            try:
                sock.bind(sockaddr)
            except OSError as e:
                # Where IPv6 is half switched off (common in containers), localhost has an address ::1 that
                # cannot be bound. Any other address that is not there is likely a mistake.
                if e.errno == errno.EADDRNOTAVAIL and (address, sockaddr[0]) == ("localhost", "::1"):
                    sockets.pop().close()
                    continue
                raise
            shared_port = sock.getsockname()[1]
            sock.listen(backlog)
            handover.note(sock)
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _is_local_link_address(address: str | None, af: int, sockaddr: tuple[Any, ...]) -> bool:
    """Whether this is the ``fe80::1%lo0`` that macOS adds to localhost and then asks its user about."""
    return sys.platform == "darwin" and address == "localhost" and af == socket.AF_INET6 and sockaddr[3] != 0


def _set_listener_options(sock: socket.socket, reuse_port: bool) -> None:
    sock.setblocking(False)
    if os.name != "nt":
        _set_reuse_address(sock)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sock.family == socket.AF_INET6 and hasattr(socket, "IPPROTO_IPV6"):
        # The IPv4 addresses get a socket of their own, on the same port.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def _set_reuse_address(sock: socket.socket) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError as e:
        if e.errno != errno.ENOPROTOOPT:  # the Hurd has no such option
            raise


if hasattr(socket, "AF_UNIX"):

    def bind_unix_socket(file: str, mode: int = 0o600, backlog: int = _DEFAULT_BACKLOG) -> socket.socket:
        """Open a listening, non-blocking Unix socket.

        :param file: its path; a socket that lies there is removed first. A name that starts with a NUL is in
            Linux's abstract namespace, where there is no file.
        :param mode: permissions of the file; default 0o600.
        :param backlog: length of the accept queue; default 128.
        :returns: the socket.
        :raises ValueError: ``file`` exists and is something else.
        :raises OSError: the socket cannot be bound.
        """
        taken = handover.take(socket.AF_UNIX, file)
        if taken is not None:
            return taken
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _set_reuse_address(sock)
            sock.setblocking(False)
            in_file_system = not file.startswith("\0")
            if in_file_system:
                _remove_stale_socket(file)
            sock.bind(file)
            if in_file_system:
                os.chmod(file, mode)
            sock.listen(backlog)
            handover.note(sock)
        except BaseException:
            sock.close()
            raise
        return sock


def _remove_stale_socket(file: str) -> None:
    try:
        kind = os.stat(file).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise ValueError(f"File {file} exists and is not a socket")
    os.remove(file)


# --------------------------------------------------------------------------- accepting


def add_accept_handler(
    sock: socket.socket, callback: Callable[[socket.socket, Any], None], io_loop: Any = None
) -> Callable[[], None]:
    """Have ``callback(connection, address)`` called for each connection that arrives at ``sock``.

    While the process or the system is out of descriptors or memory the listener rests, a second at a time;
    one line in the general log reports it, however long it lasts, until all who wait were accepted.

    :param sock: a listening, non-blocking socket.
    :param io_loop: the IOLoop to accept on; default: the current one.
    :returns: a function that ends accepting. Calling it again does no harm.
    """
    return _core.Acceptor(IOLoop.current() if io_loop is None else io_loop, sock, callback).stop


# --------------------------------------------------------------------------- names and addresses


def is_valid_ip(ip: str) -> bool:
    """Whether ``ip`` is the text of an IPv4 or IPv6 address.

    :raises OSError: the resolver failed for a reason that says nothing about ``ip``.
    """
    if not ip or "\0" in ip:
        # To getaddrinfo these are localhost, and whatever stands before the NUL.
        return False
    try:
        return bool(socket.getaddrinfo(ip, 0, socket.AF_UNSPEC, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST))
    except socket.gaierror as e:
        if errno_from_exception(e) == socket.EAI_NONAME:
            return False
        raise
    except UnicodeError:  # too long for a host name
        return False


# --------------------------------------------------------------------------- TLS

_SSL_CONTEXT_KEYWORDS = frozenset({"ssl_version", "certfile", "keyfile", "cert_reqs", "ca_certs", "ciphers"})


# Made when first asked for: loading the platform's certificates may start threads, and a fork follow.
@functools.lru_cache(maxsize=1)
def _client_ssl_defaults() -> ssl.SSLContext:
    return _default_context(ssl.Purpose.SERVER_AUTH)


@functools.lru_cache(maxsize=1)
def _server_ssl_defaults() -> ssl.SSLContext:
    return _default_context(ssl.Purpose.CLIENT_AUTH)


def _default_context(purpose: ssl.Purpose) -> ssl.SSLContext:
    context = ssl.create_default_context(purpose)
    context.options |= ssl.OP_NO_COMPRESSION
    return context


def ssl_options_to_context(
    ssl_options: dict[str, Any] | ssl.SSLContext, server_side: bool | None = None
) -> ssl.SSLContext:
    """Return the TLS context that ``ssl_options`` describes.

    :param ssl_options: a context, returned as it is, or a dictionary with any of ``ssl_version``,
        ``certfile``, ``keyfile``, ``cert_reqs``, ``ca_certs`` and ``ciphers``.
    :param server_side: which end of a connection it is for. Default None, for both, is deprecated by Python.
    :raises AssertionError: ``ssl_options`` has other keys.
    :raises OSError: a file cannot be read, or holds no certificate or key (``ssl.SSLError``).
    """
    if isinstance(ssl_options, ssl.SSLContext):
        return ssl_options
    for defaults in (_client_ssl_defaults, _server_ssl_defaults):
        if ssl_options is defaults:  # the HTTP client of Tornado 6.5 takes it for a context
            return defaults()
    assert isinstance(ssl_options, dict)
    assert _SSL_CONTEXT_KEYWORDS.issuperset(ssl_options), ssl_options
    if server_side is None:
        protocol = ssl.PROTOCOL_TLS
    else:
        protocol = ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT
    context = ssl.SSLContext(ssl_options.get("ssl_version", protocol))
    context.options |= ssl.OP_NO_COMPRESSION  # compression leaks secrets to an eavesdropper (CRIME)
    if "certfile" in ssl_options:
        context.load_cert_chain(ssl_options["certfile"], ssl_options.get("keyfile"))
    verify = ssl_options.get("cert_reqs")
    if verify is not None:
        # A client's context checks names, and does not take CERT_NONE while it does.
        context.check_hostname = context.check_hostname and verify != ssl.CERT_NONE
        context.verify_mode = verify
    apply: Callable[[Any], None]
    for key, apply in (("ca_certs", context.load_verify_locations), ("ciphers", context.set_ciphers)):
        if key in ssl_options:
            apply(ssl_options[key])
    return context


def ssl_wrap_socket(
    socket: socket.socket,
    ssl_options: dict[str, Any] | ssl.SSLContext,
    server_hostname: str | None = None,
    server_side: bool | None = None,
    **kwargs: Any,
) -> ssl.SSLSocket:
    """Wrap ``socket`` for TLS.

    :param ssl_options: as for :func:`ssl_options_to_context`.
    :param server_hostname: the name that a client asks for; default None.
    :param server_side: whether this is the server's end; default None: a client's, with a context for both.
    :param kwargs: passed to ``SSLContext.wrap_socket``.
    """
    context = ssl_options_to_context(ssl_options, server_side=server_side)
    return context.wrap_socket(
        socket, server_side=bool(server_side), server_hostname=server_hostname, **kwargs
    )


__all__ = [
    "BlockingResolver",
    "DefaultExecutorResolver",
    "DefaultLoopResolver",
    "ExecutorResolver",
    "OverrideResolver",
    "Resolver",
    "ThreadedResolver",
    "_DEFAULT_BACKLOG",
    "_client_ssl_defaults",
    "_resolve_addr",
    "_server_ssl_defaults",
    "activated_sockets",
    "add_accept_handler",
    "bind_sockets",
    "is_valid_ip",
    "ssl_options_to_context",
    "ssl_wrap_socket",
]
if hasattr(socket, "AF_UNIX"):
    __all__ += ["bind_unix_socket"]
