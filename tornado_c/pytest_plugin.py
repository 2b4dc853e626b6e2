"""Fixtures and coroutines for tests under pytest. A project asks for them in its top ``conftest.py``::

    pytest_plugins = ["tornado_c.pytest_plugin"]

    @pytest.fixture
    def app():
        return make_app()

Then in its tests::

    async def test_hello(http_client, base_url):
        response = await http_client.fetch(base_url + "/hello")
        assert response.body == b"Hello, world"

===============  ======================================================================================
``io_loop``      an IOLoop of the test's own, which is current
``app``          the application, or whatever an HTTPServer serves: the project's fixture
``http_server``  an HTTPServer that serves ``app`` on an unused port of 127.0.0.1
``base_url``     where, without a slash at the end
``http_client``  an AsyncHTTPClient of the installed Tornado's
===============  ======================================================================================

Tests that are coroutines run on ``io_loop``; so do their fixtures that are coroutines or asynchronous
generators, and those of other tests that have ``io_loop``. Each may take 5 seconds, or as many as the
environment variable ``ASYNC_TEST_TIMEOUT`` says. Tests marked ``asyncio``, ``anyio`` or ``trio`` are left to
others.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import unittest
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tornado_c._support.optional import require_tornado
from tornado_c.httpserver import HTTPServer
from tornado_c.ioloop import IOLoop, _thread_asyncio_loop
from tornado_c.netutil import bind_sockets

if TYPE_CHECKING:
    import socket

_OTHERS = ("asyncio", "anyio", "trio")


def _is_coroutine(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or hasattr(function, "__tornado_coroutine__")


def _run(loop: IOLoop, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run a coroutine on the loop, within the time that it has."""
    limit = float(os.environ.get("ASYNC_TEST_TIMEOUT", 5))
    return loop.run_sync(functools.partial(function, *args, **kwargs), timeout=limit)


# ---- fixtures ----


@pytest.fixture
def io_loop() -> Iterator[IOLoop]:
    """An IOLoop of the test's own, which is current; what still runs on it is cancelled at the end."""
    before = _thread_asyncio_loop()
    loop = IOLoop(make_current=False)
    asyncio.set_event_loop(loop.asyncio_loop)
    try:
        yield loop
        _run(loop, _end_tasks)
        _run(loop, loop.asyncio_loop.shutdown_asyncgens)
    finally:
        asyncio.set_event_loop(before)
        loop.close(all_fds=True)


async def _end_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def app() -> Any:
    """The application that ``http_server`` serves: a project has a fixture of this name."""
    pytest.fail("http_server needs a fixture app of yours, which returns the application", pytrace=False)


@pytest.fixture
def _listening_socket() -> Iterator[socket.socket]:
    with bind_sockets(0, "127.0.0.1")[0] as listening:
        yield listening


@pytest.fixture
def http_server(io_loop: IOLoop, app: Any, _listening_socket: socket.socket) -> Iterator[HTTPServer]:
    """An HTTPServer that serves ``app`` on an unused port of 127.0.0.1."""
    server = HTTPServer(app)
    server.add_sockets([_listening_socket])
    yield server
    server.stop()
    _run(io_loop, server.close_all_connections)


@pytest.fixture
def base_url(http_server: HTTPServer, _listening_socket: socket.socket) -> str:
    """The URL of ``http_server``, without a slash at the end."""
    return f"http://127.0.0.1:{_listening_socket.getsockname()[1]}"


@pytest.fixture
def http_client(io_loop: IOLoop) -> Iterator[Any]:
    """An AsyncHTTPClient of the installed Tornado's, for this test."""
    httpclient: Any = require_tornado("the fixture http_client", "tornado.httpclient")
    client = httpclient.AsyncHTTPClient(force_instance=True)
    yield client
    client.close()


# ---- coroutines ----


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give tests that are coroutines the loop."""
    if not isinstance(item, pytest.Function) or not _is_coroutine(item.obj):
        return
    if item.cls is not None and issubclass(item.cls, unittest.TestCase):
        return
    if "io_loop" not in item.fixturenames and not any(map(item.get_closest_marker, _OTHERS)):
        item.fixturenames.insert(0, "io_loop")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test on its loop."""
    fixtures: dict[str, Any] = pyfuncitem.funcargs
    if "io_loop" not in fixtures or not _is_coroutine(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters.keys() & fixtures.keys()
    _run(fixtures["io_loop"], pyfuncitem.obj, **{name: fixtures[name] for name in names})
    return True


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Run a fixture on the test's loop."""
    function: Any = fixturedef.func
    is_generator = inspect.isasyncgenfunction(function)
    if not (is_generator or _is_coroutine(function)) or "io_loop" not in request.fixturenames:
        return (yield)
    loop = request.getfixturevalue("io_loop")
    bound = function
    if hasattr(function, "__self__") and isinstance(request.instance, type(function.__self__)):
        bound = function.__func__.__get__(request.instance)  # pytest found it in another instance

    def call(*args: Any, **kwargs: Any) -> Any:
        if not is_generator:
            return _run(loop, bound, *args, **kwargs)
        values = bound(*args, **kwargs)
        value = _run(loop, values.__anext__)
        request.addfinalizer(lambda: _run(loop, _finish, values, fixturedef.argname))
        return value

    set_function = functools.partial(setattr, fixturedef, "func")  # it is Final
    set_function(call)
    try:
        return (yield)
    finally:
        set_function(function)


async def _finish(values: Any, name: str) -> None:
    async for _ in values:
        pytest.fail(f"the fixture {name} yields more than once", pytrace=False)
