"""The reasons of status codes: the dict that ``http.client`` has.

The rest of that module takes longer to import than all that is ours for HTTP; so when others import it, it
gets the dict from here. What programs add to either is in both.
"""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import Any

from tornado_c._support.imports import when_imported


def _make() -> dict[int, str]:
    client: Any = sys.modules.get("http.client")
    return client.responses if client is not None else {status: status.phrase for status in HTTPStatus}


responses: dict[int, str] = _make()


def _share(client: Any) -> None:
    client.responses = responses


when_imported("http.client", _share)
