"""The simple client on a loop that is given, with errors that show their code."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tornado_c._support import stack
from tornado_c._swap.generation import Changes
from tornado_c.ioloop import IOLoop


def _default_ca_certs() -> str | None:
    """Return the file of certificates that OpenSSL trusts here, if there is one."""
    return ssl.get_default_verify_paths().cafile


def with_loop(initialize_plain: Callable[..., None]) -> Callable[..., None]:
    """Return an ``initialize`` of a client that takes an ``io_loop`` as well, as its first argument."""

    def initialize(self: Any, io_loop: Any = None, *args: Any, **kwargs: Any) -> None:
        if isinstance(io_loop, IOLoop):
            self.io_loop = io_loop
        elif io_loop is not None:  # the first argument is max_clients, in Tornado 5 and later
            args = (io_loop, *args)
        initialize_plain(self, *args, **kwargs)

    return initialize


def without_contexts(fetch_plain: Callable[..., None]) -> Callable[..., None]:
    """Return a ``fetch_impl`` that takes no stack contexts of its caller along.

    What a client registers serves other requests as well. What a request has of its own is wrapped.
    """

    def fetch_impl(self: Any, request: Any, callback: Callable[[Any], None]) -> None:
        stack.outside(fetch_plain, self, request, callback)

    return fetch_impl


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.simple_httpclient``."""
    client = module.SimpleAsyncHTTPClient
    handle_plain = client._handle_request

    def handle_request(self: Any, *args: Any) -> None:
        if IOLoop.current(instance=False) is self.io_loop:
            handle_plain(self, *args)
        else:
            self.io_loop.add_callback(handle_plain, self, *args)

    changes.set(client, "initialize", with_loop(client.initialize))
    changes.set(client, "fetch_impl", without_contexts(client.fetch_impl))
    changes.set(client, "_handle_request", handle_request)
    for error in (module.HTTPTimeoutError, module.HTTPStreamClosedError):
        changes.set(error, "__str__", module.HTTPError.__str__)  # "HTTP 599: " comes first
    changes.set(module, "_default_ca_certs", _default_ca_certs)
    changes.set(module, "_DEFAULT_CA_CERTS", _default_ca_certs())
