"""loop._ready and loop._scheduled, for code that looks into a loop or turns it by itself."""

import asyncio
import contextlib
import gc
import heapq
import weakref

import pytest

import tornado_c


@pytest.fixture
def loop():
    with contextlib.closing(tornado_c.new_event_loop()) as loop:
        yield loop


def names(handles):
    return [handle._args[0] for handle in handles]


class TestReady:
    @pytest.fixture
    def three(self, loop):
        self.got = []
        for name in "abc":
            loop.call_soon(self.got.append, name)
        return loop

    def turn(self, loop):
        loop.call_soon(loop.stop)
        loop.run_forever()
        return self.got

    def test_view_is_live(self, loop):
        ready = loop._ready
        assert len(ready) == 0 and not ready and ready == []
        handle = loop.call_soon(print)
        assert len(ready) == 1 and ready and ready == [handle] == loop._ready and ready != []
        assert ready[0] is ready[-1] is handle and handle in ready and [*ready] == [handle]
        assert repr(handle) in repr(ready)
        ready.clear()
        assert len(loop._ready) == 0

    def test_assignment_is_ignored(self, three):
        three._ready = []
        assert len(three._ready) == 3

    def test_both_ends(self, three):
        ready = three._ready
        a, b, c = ready
        assert ready.popleft() is a and ready.pop() is c and [*ready] == [b]
        ready.append(a)
        ready.appendleft(c)
        assert [*ready] == [c, b, a]
        assert self.turn(three) == ["c", "b", "a"]

    def test_extend_and_remove(self, three):
        ready = three._ready
        a, b, c = ready
        ready.remove(b)
        ready.extend(iter([b, a]))
        assert [*ready] == [a, c, b, a]
        with pytest.raises(ValueError):
            ready.remove(three)
        ready.pop()
        assert self.turn(three) == ["a", "c", "b"]

    def test_empty(self, loop):
        for take in (loop._ready.pop, loop._ready.popleft):
            with pytest.raises(IndexError, match="empty"):
                take()
        for index in (0, -1, 5):
            with pytest.raises(IndexError):
                loop._ready[index]

    def test_against_a_deque(self, loop):
        """The ring wraps and grows at either end."""
        import collections
        import random

        rng, mirror, ready = random.Random(7), collections.deque(), loop._ready
        for i in range(5000):
            add, take = rng.choice([("append", "popleft"), ("appendleft", "pop"), ("append", "pop")])
            for queue in (mirror, ready):
                getattr(queue, add)(i)
            if rng.random() < 0.45:
                assert getattr(ready, take)() == getattr(mirror, take)()
            if i % 500 == 0:
                assert [*ready] == [*mirror] and len(ready) == len(mirror)
        ready.clear()

    def test_changed_while_iterated(self, three):
        seen = []
        for handle in three._ready:
            seen.append(handle)
            three._ready.clear()
        assert len(seen) == 1

    def test_view_is_made_by_the_loop_only(self, loop):
        with pytest.raises(TypeError):
            type(loop._ready)()

    def test_view_and_loop_in_a_cycle(self):
        loop = tornado_c.new_event_loop()
        loop.view = loop._ready
        loop.close()
        dead = weakref.ref(loop)
        del loop
        gc.collect()
        assert dead() is None

    def test_of_a_closed_loop(self, loop):
        ready = loop._ready
        loop.call_soon(print)
        loop.close()
        assert len(ready) == 0 == len(loop._scheduled)


class TestScheduled:
    def test_view_is_live_and_sorted(self, loop):
        timers = loop._scheduled
        assert not timers and len(timers) == 0 and timers == []
        late, early = loop.call_later(200, print), loop.call_later(100, print)
        assert timers and len(timers) == 2 and [*timers] == [early, late] == timers
        assert timers[0] is early and late in timers and timers != [] and repr(early) in repr(timers)
        early.cancel()
        assert [*timers] == [late] and early not in timers
        timers.clear()
        assert len(loop._scheduled) == 0 and not late.cancelled()

    def test_taking_timers_out(self, loop):
        a, b, c = (loop.call_later(delay, print) for delay in (1, 2, 3))
        assert loop._scheduled.pop() is c and loop._scheduled.pop(0) is a
        loop._scheduled.remove(b)
        assert not loop._scheduled
        with pytest.raises(ValueError):
            loop._scheduled.remove(b)
        with pytest.raises(IndexError):
            loop._scheduled.pop()

    def test_timer_moved_to_the_ready_queue(self, loop):
        got = []
        loop.call_later(1000, got.append, "b")
        loop.call_later(500, got.append, "a")
        while loop._scheduled:
            loop._ready.append(heapq.heappop(loop._scheduled))
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert got == ["a", "b"]

    def test_timer_of_another_loop_stays_there(self, loop):
        with contextlib.closing(tornado_c.new_event_loop()) as other:
            timer = other.call_later(1000, print)
            loop._ready.append(timer)
            assert [*other._scheduled] == [timer] == [*loop._ready]
            loop._ready.clear()


# --------------------------------------------------------------------------- turned from outside


class NestedLoop(tornado_c.EventLoop):
    """run_until_complete inside itself, as nest_asyncio does it: by turns written in Python."""

    def _run_once(self):
        ready, scheduled = self._ready, self._scheduled
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)
        timeout = None
        if ready or self._stopping:
            timeout = 0
        elif scheduled:
            timeout = max(scheduled[0]._when - self.time(), 0)
        self._process_events(self._selector.select(timeout))
        end = self.time() + self._clock_resolution
        while scheduled and scheduled[0]._when < end:
            ready.append(heapq.heappop(scheduled))
        for _ in range(len(ready)):
            if not ready:
                break
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def run_nested(self, coroutine):
        outer = asyncio.current_task(self)
        asyncio.tasks._leave_task(self, outer)
        try:
            task = self.create_task(coroutine)
            while not task.done():
                self._run_once()
            return task.result()
        finally:
            asyncio.tasks._enter_task(self, outer)


class NativeTurns(NestedLoop):
    _run_once = tornado_c.EventLoop._run_once


class StandardTurns(NestedLoop):
    _run_once = asyncio.BaseEventLoop._run_once


@pytest.mark.parametrize("cls", [NestedLoop, NativeTurns, StandardTurns])
def test_nested_turns(cls):
    async def double(n):
        await asyncio.sleep(0.001)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"%d\n" % n)
        answer = int(await reader.readline())
        writer.close()
        await writer.wait_closed()
        return answer

    async def answer(reader, writer):
        writer.write(b"%d\n" % (2 * int(await reader.readline())))
        await writer.drain()
        writer.close()

    async def deep(n):
        return n if n == 0 else loop.run_nested(deep(n - 1)) + await double(1)

    async def main():
        nonlocal port
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            background = asyncio.ensure_future(double(5))
            assert loop.run_nested(double(21)) == 42
            assert loop.run_nested(deep(4)) == 8
            assert await asyncio.wait_for(background, 30) == 10
            assert (await asyncio.gather(*map(double, range(5)))) == [0, 2, 4, 6, 8]

    port = 0
    with contextlib.closing(cls()) as loop:
        loop.run_until_complete(asyncio.wait_for(main(), 60))


def test_select_delivers_and_runs_nothing(loop):
    got = []
    loop.call_later(0.001, got.append, 1)
    while not loop._ready:
        assert loop._selector.select(5) == []
    assert got == [] and len(loop._ready) == 1 and not loop._scheduled
    loop._ready.clear()
    assert loop._selector.select(-1) == loop._selector.select(0.001) == []
    with pytest.raises(TypeError):
        loop._selector.select("soon")
