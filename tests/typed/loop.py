"""Every method of the loop and of what runs on it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import datetime
import os
import socket
from collections.abc import Awaitable
from typing import Any

from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.platform.asyncio import (
    AsyncIOLoop,
    AsyncIOMainLoop,
    to_asyncio_future,
    to_tornado_future,
)
from tornado.process import CalledProcessError, Subprocess, cpu_count, fork_processes, task_id


def on_descriptor(fd: int, events: int) -> None:
    loop = IOLoop.current()
    if events & IOLoop.READ:
        print(os.read(fd, 10))
    if events & (IOLoop.WRITE | IOLoop.ERROR):
        loop.update_handler(fd, IOLoop.READ)
    loop.remove_handler(fd)


def on_socket(sock: socket.socket, events: int) -> None:
    print(sock.recv(10), IOLoop.NONE)
    IOLoop.current().remove_handler(sock)


def which() -> IOLoop:
    found: IOLoop | None = IOLoop.current(instance=False)
    if found is None:
        found = IOLoop.instance()
    return found


def timers(loop: IOLoop, moment: datetime.timedelta) -> float:
    handle: object = loop.add_timeout(moment, print, "a", end="")
    loop.remove_timeout(handle)
    loop.remove_timeout(loop.add_timeout(loop.time() + 1, print))
    loop.remove_timeout(loop.call_later(1.5, print, 1))
    loop.remove_timeout(loop.call_at(loop.time() + 1.5, print, 1))
    periodic = PeriodicCallback(tick, moment)
    periodic.start()
    if periodic.is_running():
        periodic.stop()
    periodic.callback_time = 3.0
    return loop.time()


async def tick() -> None:
    await asyncio.sleep(0)


def work(number: int) -> str:
    return "x" * number


async def results(loop: IOLoop) -> str:
    future: asyncio.Future[str] = loop.run_in_executor(None, work, 3)
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        loop.set_default_executor(executor)
        loop.add_future(executor.submit(work, 4), lambda done: print(done.result().upper()))
        other: Awaitable[str] = loop.run_in_executor(executor, work, 3)
        print(await other)
    loop.add_future(future, show)
    made: asyncio.Future[Any] = to_asyncio_future(to_tornado_future(future))
    print(await made)
    return await future


def show(future: asyncio.Future[str]) -> None:
    print(future.result().upper())


def children() -> None:
    process = Subprocess(["cat"], stdin=Subprocess.STREAM, stdout=Subprocess.STREAM)
    process.set_exit_callback(lambda code: print(code + 1))
    process.stdin.write(b"x")
    process.stdin.close()
    print(process.pid + 1, process.proc.poll(), process.returncode)
    Subprocess.initialize()
    Subprocess.uninitialize()


async def wait(process: Subprocess) -> int:
    try:
        return await process.wait_for_exit()
    except CalledProcessError as exc:
        return exc.returncode


class MyLoop(AsyncIOLoop):
    def close(self, all_fds: bool = False) -> None:
        super().close(all_fds=all_fds)

    def start(self) -> None:
        super().start()


def main() -> None:
    number: int = fork_processes(cpu_count(), max_restarts=3)
    print(number, task_id())
    loop = IOLoop()
    loop.make_current()
    IOLoop.clear_current()
    loop.install()
    IOLoop.configure("tornado.platform.asyncio.AsyncIOLoop")
    print(IOLoop.configured_class(), AsyncIOMainLoop(), MyLoop(make_current=False))
    first, second = socket.socketpair()
    loop.add_handler(first, on_socket, IOLoop.READ)
    loop.add_handler(second.fileno(), on_descriptor, loop.READ | loop.WRITE)
    fd, obj = loop.split_fd(first)
    loop.close_fd(obj)
    print(fd + 1)
    loop.spawn_callback(tick)
    loop.add_callback(results, loop)
    timers(loop, datetime.timedelta(seconds=1))
    answer: str = loop.run_sync(lambda: results(loop), timeout=10)
    print(answer, which())
    loop.stop()
    loop.close(all_fds=True)
