"""Tornado's server core, reimplemented in C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from tornado_c._swap.install import install, uninstall

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tornado_c._asyncio.eventloop import EventLoop
    from tornado_c._asyncio.policy import EventLoopPolicy

_T = TypeVar("_T")

# The version of Tornado whose interface this is; the package's own version is __version__.
version = "6.6.1"
version_info = (6, 6, 1, 0)
__version__ = "0.1.0"


def new_event_loop() -> EventLoop:
    """A new native asyncio event loop."""
    from tornado_c._asyncio.eventloop import EventLoop

    return EventLoop()


def run(main: Coroutine[Any, Any, _T], *, debug: bool | None = None) -> _T:
    """Run a coroutine on a new native event loop and close that: asyncio.run with our loop.

    SIGINT cancels the coroutine and ends in KeyboardInterrupt.
    """
    import asyncio

    if asyncio._get_running_loop() is not None:
        raise RuntimeError("tornado_c.run() cannot be called from a running event loop")
    with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
        return runner.run(main)


_MODULES = frozenset(
    "auth autoreload concurrent curl_httpclient escape gen http1connection httpclient httpserver httputil "
    "ioloop iostream locale locks log netutil options platform process queues routing simple_httpclient "
    "tcpclient tcpserver template testing util web websocket wsgi".split()
)


def __getattr__(name: str) -> Any:
    if name == "_core":
        return _load_core()
    if name in _MODULES:
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    # Loaded on demand: a child of a swapped program imports this package at its start, and may never need
    # asyncio.
    if name == "EventLoop":
        from tornado_c._asyncio.eventloop import EventLoop

        return EventLoop
    if name == "EventLoopPolicy":
        from tornado_c._asyncio.policy import EventLoopPolicy

        return EventLoopPolicy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _load_core() -> Any:
    """The extension. Says what to do where the folder is a checkout in which nothing was built."""
    import importlib

    try:
        return importlib.import_module("tornado_c._core")
    except ModuleNotFoundError as exc:
        raise ImportError(
            f"{__path__[0]} has no extension that was built for this Python. If it is a checkout, build it "
            "with: pip install -e . (or start the program elsewhere, where an installed package is found)",
            name="tornado_c._core",
        ) from exc


__all__ = [
    "EventLoop",
    "EventLoopPolicy",
    "install",
    "new_event_loop",
    "run",
    "uninstall",
    "version",
    "version_info",
]
