"""Every server of others that is installed answers what the rows ask it."""

import os
from contextlib import ExitStack

import http_load
import peers
import pytest
import servers
import ws_load
from http_rows import ROWS as HTTP
from ws_rows import ROWS as WEBSOCKET


@pytest.fixture(autouse=True)
def installed(name):
    if reason := peers.missing_reason(name):
        pytest.skip(reason)
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("a sanitizer is not for other people's programs")


@pytest.mark.parametrize("name", peers.HTTP)
def test_http(name):
    rows = [row for row in HTTP if name in row.peers]
    for static in {row.app == "static" for row in rows}:
        with servers.running(name, "static" if static else "callback", quiet=True) as (_, port):
            for row in rows:
                if (row.app == "static") == static:
                    http_load.check_answer(name, port, row)


@pytest.mark.parametrize("name", peers.WEBSOCKET)
def test_websocket(name):
    with ExitStack() as stack:
        _, port = stack.enter_context(servers.running(name, "websocket", quiet=True))
        for row in WEBSOCKET:
            if name in row.peers:
                ws_load.check_answer(port, row)
