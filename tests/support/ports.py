"""Ports for programs that bind them themselves, later."""

import contextlib
import secrets
import socket


def free_port() -> int:
    """Of those that the system gives nobody: one that is free now is not a connection's, or a listener's in
    another test, when the program comes to bind it.
    """
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
