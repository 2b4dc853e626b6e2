"""Servers that other people have written, under ``python -m tornado_c``."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from support.children import ROOT
from support.ports import free_port

ENVIRONMENT = {**os.environ, "PYTHONPATH": ROOT, "PYTHONUNBUFFERED": "1"}
SWAPPED = [sys.executable, "-m", "tornado_c"]


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


def run_to_end(*arguments: object, cwd: Path) -> str:
    """The output of a program that ends, run by ``python -m tornado_c``."""
    done = subprocess.run(
        [*SWAPPED, *map(str, arguments)],
        cwd=cwd,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def stop(process: subprocess.Popen[bytes]) -> None:
    """End one that serves, as an operator does."""
    process.terminate()
    assert process.wait(30) == 0


@contextlib.contextmanager
def site(handler: Callable[..., http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serves with the standard library's server; yields its URL."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextlib.contextmanager
def linked_pages(folder: Path) -> Iterator[str]:
    """Serves 21 pages, each reached from another; yields the URL of the first."""
    root = folder / "site"
    root.mkdir()
    for number in range(20):
        links = f'<a href="/{(number + 1) % 20}.html">next</a><a href="/0.html#top">0</a>'
        (root / f"{number}.html").write_text(links)
    (root / "index.html").write_text('<a href="/0.html">first</a>')
    with site(functools.partial(http.server.SimpleHTTPRequestHandler, directory=root)) as url:
        yield f"{url}/"
