"""The reasons of status codes: the dict that ``http.client`` has.

The rest of that module takes longer to import than all that is ours for HTTP; so when others import it, it
gets the dict from here. What programs add to either is in both. C imports it for any reason but that of 200.
"""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import Any

from tornado_c import _core


def _make() -> dict[int, str]:
    client: Any = sys.modules.get("http.client")
    return client.responses if client is not None else {status: status.phrase for status in HTTPStatus}


responses: dict[int, str] = _make()


def share(client: Any) -> None:
    """Give ``http.client`` the dict."""
    client.responses = responses


_core.register("reasons", upcalls={"http_responses": responses})
