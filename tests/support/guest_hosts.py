"""Event loops that are not ours, for tests of guest mode: plain asyncio's, uvloop's, and a plain one in
another thread.
"""

import asyncio
import concurrent.futures
import importlib.util
import os

import pytest

import tornado_c

LIMIT = 20  # seconds: far beyond what anything here takes


def uvloop_factory():
    import uvloop

    return uvloop.new_event_loop()


class Host:
    """Runs coroutine functions under a foreign loop, each under a new one."""

    def __init__(self, name):
        self.factory = uvloop_factory if name == "uvloop" else asyncio.SelectorEventLoop
        self.in_thread = name == "thread"

    def run(self, main, *args):
        if not self.in_thread:
            return self._run(main, *args)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(self._run, main, *args).result(LIMIT)

    def _run(self, main, *args):
        async def limited():
            assert not isinstance(asyncio.get_running_loop(), tornado_c.EventLoop)
            async with asyncio.timeout(LIMIT):
                return await main(*args)

        with asyncio.Runner(loop_factory=self.factory) as runner:
            return runner.run(limited())


no_uvloop = pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed")

HOSTS = ["asyncio", pytest.param("uvloop", marks=no_uvloop), "thread"]


def descriptors():
    return len(os.listdir("/proc/self/fd"))
