"""The simple client on a loop that is given, with errors that show their code."""

from __future__ import annotations

import ssl
from types import ModuleType
from typing import Any

from tornado_c._swap.generation import Changes
from tornado_c.ioloop import IOLoop


def _default_ca_certs() -> str | None:
    """Return the file of certificates that OpenSSL trusts here, if there is one."""
    return ssl.get_default_verify_paths().cafile


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.simple_httpclient``."""
    client = module.SimpleAsyncHTTPClient
    initialize_plain, handle_plain = client.initialize, client._handle_request

    def initialize(self: Any, io_loop: Any = None, *args: Any, **kwargs: Any) -> None:
        if io_loop is not None and not isinstance(io_loop, IOLoop):
            args, io_loop = (
                (io_loop, *args),
                None,
            )  # max_clients is the first argument, in Tornado 5 and later
        if io_loop is not None:
            self.io_loop = io_loop
        initialize_plain(self, *args, **kwargs)

    def handle_request(self: Any, *args: Any) -> None:
        if IOLoop.current(instance=False) is self.io_loop:
            handle_plain(self, *args)
        else:
            self.io_loop.add_callback(handle_plain, self, *args)

    changes.set(client, "initialize", initialize)
    changes.set(client, "_handle_request", handle_request)
    for error in (module.HTTPTimeoutError, module.HTTPStreamClosedError):
        changes.set(error, "__str__", module.HTTPError.__str__)  # "HTTP 599: " comes first
    changes.set(module, "_default_ca_certs", _default_ca_certs)
    changes.set(module, "_DEFAULT_CA_CERTS", _default_ca_certs())
