"""Timers at odd times: what is no number, never, long ago or far off, on our loop and on asyncio's own; the
same of IOLoop and PeriodicCallback, on ours and on stock Tornado's.
"""

import asyncio
import contextlib
import math
import sys

import pytest

import tornado_c

LOOPS = {"ours": tornado_c.EventLoop, "asyncio": asyncio.SelectorEventLoop}
NOW = [math.nan, -math.inf, -1e308, -5, -0.0, False]
NEVER = [math.inf, 1e308, sys.maxsize]


@pytest.fixture(params=LOOPS)
def loop(request):
    with contextlib.closing(LOOPS[request.param]()) as loop:
        yield loop


def fired_beside(loop, schedule):
    """Whether the call that schedule(callback) sets is made; timers before and behind it must be."""
    calls = []
    loop.call_later(0.001, calls.append, "early")
    schedule(lambda: calls.append("odd"))
    loop.call_later(0.002, calls.append, "late")
    loop.call_later(0.01, loop.stop)
    loop.run_forever()
    assert {"early", "late"} <= set(calls)
    return "odd" in calls


@pytest.fixture
def ours():
    with contextlib.closing(tornado_c.EventLoop()) as loop:
        yield loop


@pytest.mark.parametrize("name", ["call_later", "call_at"])
@pytest.mark.parametrize("seconds", NOW + NEVER)
def test_odd_times(loop, name, seconds):
    assert fired_beside(loop, lambda callback: getattr(loop, name)(seconds, callback)) is (seconds in NOW)


def test_several_that_are_no_numbers(ours):
    """asyncio's order breaks with more than one of them."""
    loop, calls = ours, []
    for i in range(5):
        loop.call_later(math.nan, calls.append, i)
        loop.call_later(0.001 * i, calls.append, "number")
    loop.call_later(0.02, loop.stop)
    loop.run_forever()
    assert [call for call in calls if call != "number"] == [0, 1, 2, 3, 4]
    assert calls.count("number") == 5


def test_a_whole_number_that_no_float_holds(loop):
    with pytest.raises(OverflowError, match="int too large to convert to float"):
        loop.call_later(10**400, print)
    assert not fired_beside(loop, lambda callback: loop.call_at(10**400, callback))


def test_a_negative_one(ours):
    """asyncio's run_forever() raises OverflowError."""
    assert fired_beside(ours, lambda callback: ours.call_at(-(10**400), callback))


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="asyncio.sleep refuses it")
def test_sleep_of_no_number(ours):
    """On asyncio it ends when the next timer is due."""
    ours.run_until_complete(asyncio.wait_for(asyncio.sleep(math.nan), 10))


def test_a_clock_that_shows_no_number():
    """All timers are due then, as asyncio has it; none waits for a time that the clock cannot show."""

    class Clockless(tornado_c.EventLoop):
        shown = 0.0

        def time(self):
            return self.shown

    with contextlib.closing(Clockless()) as loop:
        loop.call_later(100, loop.stop)
        loop.shown = math.nan
        loop.run_forever()


def test_select_for_no_time_at_all(ours):
    assert ours._selector.select(math.nan) == []


# --------------------------------------------------------------------------- IOLoop


@pytest.fixture
def module(implementation):
    return implementation.ioloop


@pytest.fixture(params=LOOPS)
def io_loop(request, module):
    """Ours over our loop and as a guest; stock over either."""
    loop = LOOPS[request.param]()
    io_loop = module.IOLoop(make_current=False, asyncio_loop=loop)
    with contextlib.closing(io_loop):
        yield io_loop


@pytest.mark.parametrize("name", ["call_later", "call_at", "add_timeout"])
@pytest.mark.parametrize("seconds", NOW + NEVER)
def test_odd_times_of_an_ioloop(io_loop, name, seconds):
    calls = []
    getattr(io_loop, name)(seconds, calls.append, "odd")
    io_loop.call_later(0.002, calls.append, "late")
    io_loop.call_later(0.01, io_loop.stop)
    io_loop.start()
    assert ("odd" in calls, "late" in calls) == (seconds in NOW, True)


@pytest.mark.parametrize("name", ["call_later", "call_at", "add_timeout"])
def test_an_ioloop_with_a_number_that_no_float_holds(io_loop, name):
    with pytest.raises(OverflowError, match="int too large to convert to float"):
        getattr(io_loop, name)(10**400, print)


def test_a_periodic_callback_with_no_period(module, io_loop):
    async def main():
        with pytest.raises(ValueError, match="cannot convert float NaN to integer"):
            module.PeriodicCallback(print, math.nan).start()
        never = module.PeriodicCallback(lambda: calls.append(1), math.inf)
        never.start()
        await asyncio.sleep(0.005)
        assert never.is_running()
        never.stop()

    calls = []
    io_loop.run_sync(main)
    assert calls == []
