"""Whatever Python puts where a stream's C looks: an operation may fail, the process lives."""

from support.children import run_program
from support.live_tcp import TLS


def test_private_names():
    assert run_program("hostile_streams.py", TLS["certfile"], TLS["keyfile"]) == ["done"]
