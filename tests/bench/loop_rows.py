"""The rows of loop.py, and the process that runs one of them over one loop:

    python tests/bench/loop_rows.py LOOP ROW COUNT

It does COUNT operations and prints the CPU seconds that they took. An echo row first prints the port that
it listens on; there an operation is one message, there and back, and the other end is the caller's."""

import asyncio
import importlib
import sys
import threading
import time
from dataclasses import dataclass

LOOPS = {
    "asyncio": "asyncio:SelectorEventLoop",
    "uvloop": "uvloop:new_event_loop",
    "ours": "tornado_c:EventLoop",
}
BATCH = 1000
LIVE_TIMERS = 100_000
CHURNING_TIMERS = 1000


def nothing() -> None:
    pass


def call_soon(loop, count: int) -> float:
    """Each call queues the next one: one for each turn."""
    left = count

    def step() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            loop.stop()

    return timed(loop, step)


def batches(loop, count: int, work) -> float:
    """Runs work(BATCH) once a turn until `count` operations are done."""
    left = count // BATCH

    def step() -> None:
        nonlocal left
        work(BATCH)
        left -= 1
        loop.call_soon(step if left else loop.stop)

    return timed(loop, step)


def call_soon_batch(loop, count: int) -> float:
    def work(n: int) -> None:
        for _ in range(n):
            loop.call_soon(nothing)

    return batches(loop, count, work)


def call_later_cancel(loop, count: int) -> float:
    live = [loop.call_later(3600 + i % 977, nothing) for i in range(LIVE_TIMERS)]

    def work(n: int) -> None:
        for _ in range(n):
            loop.call_later(4000, nothing).cancel()

    seconds = batches(loop, count, work)
    assert len(live) == LIVE_TIMERS
    return seconds


def call_later_churn(loop, count: int) -> float:
    """Timers of one to three milliseconds that fire and set themselves anew."""
    left = count

    def fire(delay: float) -> None:
        nonlocal left
        left -= 1
        if left > 0:
            loop.call_later(delay, fire, delay)
        else:
            loop.stop()

    def start() -> None:
        for i in range(CHURNING_TIMERS):
            loop.call_later(0.001 + i % 3 * 0.001, fire, 0.001 + i % 3 * 0.001)

    return timed(loop, start)


async def sleep_zero(loop, count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def create_task(loop, count: int) -> None:
    async def body() -> None:
        pass

    for _ in range(count):
        await loop.create_task(body())


async def future(loop, count: int) -> None:
    for _ in range(count):
        waiter = loop.create_future()
        loop.call_soon(waiter.set_result, None)
        await waiter


async def threadsafe(loop, count: int) -> None:
    """A thread queues BATCH calls at a time and waits until the loop has run them."""
    ran = threading.Semaphore(0)
    done = loop.create_future()

    def flood() -> None:
        for _ in range(count // BATCH):
            for _ in range(BATCH - 1):
                loop.call_soon_threadsafe(nothing)
            loop.call_soon_threadsafe(ran.release)
            ran.acquire()
        loop.call_soon_threadsafe(done.set_result, None)

    thread = threading.Thread(target=flood)
    thread.start()
    await done
    thread.join()


def serve(loop, starting) -> None:
    server = loop.run_until_complete(starting)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop.run_forever()
    server.close()


def protocol_echo(loop, count: int) -> float:
    begin = end = 0.0

    class Echo(asyncio.Protocol):
        def connection_made(self, transport) -> None:
            nonlocal begin
            begin = time.process_time()
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(data)

        def connection_lost(self, error) -> None:
            nonlocal end
            end = time.process_time()
            loop.stop()

    serve(loop, loop.create_server(Echo, "127.0.0.1", 0))
    return end - begin


def streams_echo(loop, count: int) -> float:
    begin = end = 0.0

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal begin, end
        begin = time.process_time()
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        end = time.process_time()
        writer.close()
        loop.call_soon(loop.stop)

    serve(loop, asyncio.start_server(echo, "127.0.0.1", 0))
    return end - begin


def timed(loop, first) -> float:
    loop.call_soon(first)
    begin = time.process_time()
    loop.run_forever()
    return time.process_time() - begin


def timed_coroutine(coroutine):
    def run(loop, count: int) -> float:
        begin = time.process_time()
        loop.run_until_complete(coroutine(loop, count))
        return time.process_time() - begin

    return run


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    run: object
    counts: tuple[int, int]  # of the two runs under callgrind
    timed: int  # of a run by the clock
    echo: bool = False


ROWS = (
    Row("call_soon", "call_soon, one for each turn", call_soon, (1000, 11_000), 100_000),
    Row("call_soon_batch", "call_soon, batch of 1000", call_soon_batch, (2000, 22_000), 400_000),
    Row("cancel", "call_later + cancel, 100k live", call_later_cancel, (2000, 22_000), 400_000),
    Row("churn", "call_later churn", call_later_churn, (5000, 25_000), 100_000),
    Row("sleep", "await sleep(0)", timed_coroutine(sleep_zero), (1000, 11_000), 100_000),
    Row("task", "create_task + await", timed_coroutine(create_task), (1000, 6000), 50_000),
    Row("future", "future wake-up", timed_coroutine(future), (1000, 6000), 100_000),
    Row("threadsafe", "call_soon_threadsafe flood", timed_coroutine(threadsafe), (5000, 25_000), 100_000),
    Row("protocol", "asyncio Protocol echo", protocol_echo, (500, 4500), 20_000, echo=True),
    Row("streams", "asyncio streams echo", streams_echo, (500, 4500), 20_000, echo=True),
)
BY_NAME = {row.name: row for row in ROWS}


def main() -> None:
    loop_name, row_name, count = sys.argv[1:]
    module, _, name = LOOPS[loop_name].partition(":")
    loop = getattr(importlib.import_module(module), name)()
    asyncio.set_event_loop(loop)
    print(BY_NAME[row_name].run(loop, int(count)))
    loop.close()


if __name__ == "__main__":
    main()
