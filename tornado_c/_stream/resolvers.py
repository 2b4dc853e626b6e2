"""Resolvers of host names."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from tornado_c._support.generations import with_callback
from tornado_c.ioloop import IOLoop
from tornado_c.util import Configurable


def check_port(port: Any) -> None:
    """Refuse a port that getaddrinfo would take modulo 65536, as a socket does.

    :raises OverflowError: it is over 65535.
    """
    if isinstance(port, (str, bytes)) and port.isdigit():
        port = int(port)
    if isinstance(port, int) and port > 65535:
        raise OverflowError("port must be 0-65535.")


def _resolve_addr(
    host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
) -> list[tuple[int, Any]]:
    check_port(port)
    # Solaris resolves a port that is not in its list of services only where a socket type is given.
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    return [(info[0], info[4]) for info in found]


class Resolver(Configurable):
    """Turns host names into addresses without blocking the loop.

    ``Resolver()`` makes the configured implementation, :class:`DefaultLoopResolver` unless
    ``Resolver.configure(...)`` chose another one. An ``io_loop`` argument, as before Tornado 5.0, is for
    implementations whose ``initialize`` has it. The others are here, and resolve names on the loop that asks.
    """

    def __new__(cls, *args: Any, io_loop: Any = None, **kwargs: Any) -> Any:
        if io_loop is not None:
            chosen = cls.configured_class() if cls is Resolver else cls
            if "io_loop" in inspect.signature(chosen.initialize).parameters:
                kwargs["io_loop"] = io_loop
        return super().__new__(cls, *args, **kwargs)

    @classmethod
    def configurable_base(cls) -> type[Resolver]:
        return Resolver

    @classmethod
    def configurable_default(cls) -> type[Resolver]:
        return DefaultLoopResolver

    def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> Awaitable[list[tuple[int, Any]]]:
        """Look up ``host``.

        :param host: a host name or the text of an IP address.
        :param port: passed through into the addresses.
        :param family: the kind of addresses wanted; default: any.
        :returns: an awaitable of (family, address) pairs; an address is what ``socket.connect`` takes.
        :raises OSError: from the awaitable, where ``host`` cannot be resolved.
        :raises OverflowError: from the awaitable, where ``port`` is over 65535.
        """
        raise NotImplementedError()

    def close(self) -> None:
        """Free what the resolver holds."""


class DefaultLoopResolver(Resolver):
    """Resolves through the running asyncio loop's ``getaddrinfo``."""

    @with_callback
    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        check_port(port)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        return [(info[0], info[4]) for info in found]


class DefaultExecutorResolver(Resolver):
    """Resolves on the IOLoop's default executor."""

    @with_callback
    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        found: list[tuple[int, Any]] = await IOLoop.current().run_in_executor(
            None, _resolve_addr, host, port, family
        )
        return found


class _InlineExecutor(concurrent.futures.Executor):
    """Runs each function inside ``submit``."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        done: concurrent.futures.Future[Any] = concurrent.futures.Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as e:
            done.set_exception(e)
        return done

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        pass


_inline_executor = _InlineExecutor()


class ExecutorResolver(Resolver):
    """Resolves on an executor.

    :param executor: a ``concurrent.futures.Executor``; default: the calling thread, which blocks.
    :param close_executor: whether :meth:`close` shuts a given executor down; default True.
    """

    def initialize(
        self, executor: concurrent.futures.Executor | None = None, close_executor: bool = True
    ) -> None:
        """Called with the constructor's arguments."""
        self.executor: concurrent.futures.Executor = _inline_executor if executor is None else executor
        self.close_executor = close_executor and executor is not None

    def close(self) -> None:
        if self.close_executor and self.executor is not None:
            self.executor.shutdown()
        self.executor = None  # type: ignore[assignment]

    @with_callback
    def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> asyncio.Future[list[tuple[int, Any]]]:
        if self.executor is None:
            raise RuntimeError("the resolver is closed")
        return asyncio.wrap_future(self.executor.submit(_resolve_addr, host, port, family))


class BlockingResolver(ExecutorResolver):
    """Resolves in the calling thread, which blocks its loop."""

    def initialize(self) -> None:  # type: ignore[override]
        """Called by the constructor, which takes no arguments."""
        super().initialize()


class ThreadedResolver(ExecutorResolver):
    """Resolves on threads that all resolvers of this kind share.

    :param num_threads: size of the pool, heeded by the first instance in a process only; default 10.
    """

    _threadpool: concurrent.futures.ThreadPoolExecutor | None = None
    _threadpool_pid: int | None = None

    def initialize(self, num_threads: int = 10) -> None:  # type: ignore[override]
        """Called with the constructor's arguments."""
        super().initialize(executor=self._create_threadpool(num_threads), close_executor=False)

    @classmethod
    def _create_threadpool(cls, num_threads: int) -> concurrent.futures.ThreadPoolExecutor:
        pid = os.getpid()
        # A pool that was made before a fork has no threads in the child.
        if ThreadedResolver._threadpool is None or ThreadedResolver._threadpool_pid != pid:
            ThreadedResolver._threadpool = concurrent.futures.ThreadPoolExecutor(num_threads)
            ThreadedResolver._threadpool_pid = pid
        return ThreadedResolver._threadpool


class OverrideResolver(Resolver):
    """Replaces some names before another resolver looks them up.

    :param resolver: the resolver that does the work; closed with this one.
    :param mapping: what to replace. A key is a host, (host, port) or (host, port, family), and the most
        specific one wins; its value is a host for the first form and (host, port) for the others.
    """

    def initialize(self, resolver: Resolver, mapping: dict[Any, Any]) -> None:
        """Called with the constructor's arguments."""
        self.resolver = resolver
        self.mapping = mapping

    def close(self) -> None:
        self.resolver.close()

    @with_callback
    def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> Awaitable[list[tuple[int, Any]]]:
        for key in ((host, port, family), (host, port)):
            if key in self.mapping:
                host, port = self.mapping[key]
                break
        else:
            host = self.mapping.get(host, host)
        return self.resolver.resolve(host, port, family)
