"""Servers that other people have written, under ``python -m tornado_c``."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from support.children import ROOT

ENVIRONMENT = {**os.environ, "PYTHONPATH": ROOT, "PYTHONUNBUFFERED": "1"}
SWAPPED = [sys.executable, "-m", "tornado_c"]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_until_served(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on port {port}: {log.read_text()}")


@contextlib.contextmanager
def running(
    folder: Path,
    *arguments: str,
    cwd: Path | None = None,
    port: int = 0,
    quiet: bool = True,
    **environment: str,
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start ``python -m tornado_c`` with these arguments; yields the process and its URL once it listens.

    :param folder: its log goes there.
    :param arguments: "PORT" in them stands for a port that is free.
    :param port: the one it takes by itself.
    :param quiet: there must be no traceback in the log.
    """
    port, log = port or free_port(), folder / "log"
    command = [*SWAPPED, *(argument.replace("PORT", str(port)) for argument in arguments)]
    with open(log, "w") as file:
        process = subprocess.Popen(
            command, cwd=cwd or folder, env=ENVIRONMENT | environment, stdout=file, stderr=file
        )
    try:
        wait_until_served(process, port, log)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
    assert not quiet or "Traceback" not in log.read_text(), log.read_text()
