"""Test cases that raise what their callbacks raised, and whose ``fetch`` returns errors."""

from __future__ import annotations

import asyncio
import io
import itertools
import logging
import os
import unittest
from types import ModuleType
from typing import Any

from tornado_c._swap.generation import Changes
from tornado_c.httpserver import HTTPServer
from tornado_c.log import gen_log

#: Below those that the system gives out; another one first for each of several processes.
_ports = itertools.count(10000 + os.getpid() % 20000)


def get_unused_port() -> int:
    """Return a port that no other call returns. Whether it is free is not known: see ``bind_unused_port``."""
    return next(_ports)


class LogTrapTestCase(unittest.TestCase):
    """A test case that shows what was logged only where it fails.

    The root logger must have one handler, which writes to a stream; else this is any other test case.
    """

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test."""
        if not logging.getLogger().handlers:
            logging.basicConfig()
        handler, *others = logging.getLogger().handlers
        if others or not isinstance(handler, logging.StreamHandler) or result is None:
            return super().run(result)
        stream: Any = handler.stream
        trap = handler.stream = io.StringIO()
        bad = len(result.failures) + len(result.errors)
        try:
            gen_log.info("RUNNING TEST: %s", self)
            return super().run(result)
        finally:
            handler.stream = stream
            if len(result.failures) + len(result.errors) > bad:
                stream.write(trap.getvalue())


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.testing``."""
    case, http_case = module.AsyncTestCase, module.AsyncHTTPTestCase
    run_plain, fetch_plain = case.run, http_case.fetch

    def run(self: Any, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        from tornado_c.stack_context import ExceptionStackContext

        def handle(kind: Any, error: Any, traceback: Any) -> bool:
            if issubclass(kind, asyncio.CancelledError):
                return False  # of a Task that tearDown() cancels
            handled: bool = self._handle_exception(kind, error, traceback)
            return handled

        with ExceptionStackContext(handle):
            return run_plain(self, result)

    def fetch(self: Any, path: str, **kwargs: Any) -> Any:
        """Return the response to a request; one with the code 599 where there was none.

        With ``raise_error`` it is Tornado 6's method, which returns or raises.
        """
        if "raise_error" in kwargs:
            return fetch_plain(self, path, **kwargs)
        url = path if path.lower().startswith(("http://", "https://")) else self.get_url(path)
        self.http_client.fetch(url, self.stop, **kwargs)
        return self.wait()

    def get_http_client(self: Any) -> Any:
        return module.AsyncHTTPClient(io_loop=self.io_loop)

    def get_http_server(self: Any) -> HTTPServer:
        return HTTPServer(self._app, io_loop=self.io_loop, **self.get_httpserver_options())

    for name, value in (("get_unused_port", get_unused_port), ("LogTrapTestCase", LogTrapTestCase)):
        changes.set(module, name, value)
    changes.set(case, "run", run)
    changes.set(http_case, "fetch", fetch)
    changes.set(http_case, "get_http_client", get_http_client)
    changes.set(http_case, "get_http_server", get_http_server)
