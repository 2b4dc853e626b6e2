"""The client over libcurl, on a loop that is given."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tornado_c._generation4.simple_httpclient import with_loop, without_contexts
from tornado_c._swap.generation import Changes


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.curl_httpclient``."""
    client: Any = module.CurlAsyncHTTPClient
    changes.set(client, "initialize", with_loop(client.initialize))
    changes.set(client, "fetch_impl", without_contexts(client.fetch_impl))
