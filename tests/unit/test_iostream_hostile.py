"""Whatever Python puts where a stream's C looks: an operation may fail, the process lives."""

from live_tcp import TLS
from test_web_hostile import run_program


def test_private_names():
    assert run_program("hostile_streams.py", TLS["certfile"], TLS["keyfile"]) == ["done"]
