"""tornado_c.run and tornado_c.EventLoopPolicy."""

import asyncio
import subprocess
import sys
import warnings

import pytest

import tornado_c


def test_result_and_loop():
    async def main():
        loop = asyncio.get_running_loop()
        return loop, type(loop), loop.get_debug()

    loop, cls, debug = tornado_c.run(main())
    assert cls is tornado_c.EventLoop and loop.is_closed() and debug == sys.flags.dev_mode
    assert tornado_c.run(main(), debug=True)[2]


def test_exception_and_clean_up():
    ended = []

    async def background():
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("task")

    async def generator():
        try:
            yield
        finally:
            ended.append("generator")

    async def main():
        asyncio.current_task().task = asyncio.ensure_future(background())
        async for _ in generator():
            raise LookupError("out")

    with pytest.raises(LookupError, match="out"):
        tornado_c.run(main())
    assert sorted(ended) == ["generator", "task"]


def test_refusals():
    async def main():
        inner = asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="running event loop"):
            tornado_c.run(inner)
        inner.close()

    tornado_c.run(main())
    with pytest.raises((TypeError, ValueError), match="coroutine"):
        tornado_c.run(print)


INTERRUPTED = """
import asyncio, os, signal, sys, tornado_c
async def main():
    asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGINT)
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        print("cancelled")
        raise
try:
    RUN(main())
except KeyboardInterrupt:
    print("interrupted")
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


@pytest.mark.parametrize("run", ["asyncio.run", "tornado_c.run"])
def test_interrupt(run):
    program = INTERRUPTED.replace("RUN", run)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.split(), done.stderr, done.returncode) == (
        ["cancelled", "interrupted", "True"],
        "",
        0,
    )


POLICY = """
import asyncio, sys, warnings
import tornado_c
policy = tornado_c.EventLoopPolicy()
assert tornado_c.EventLoopPolicy is type(policy)
warnings.simplefilter("ignore", DeprecationWarning)
asyncio.set_event_loop_policy(policy)
async def main():
    code = "print(6 * 7)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return type(asyncio.get_running_loop()), int(out)
assert asyncio.run(main()) == (tornado_c.EventLoop, 42)
loop = asyncio.new_event_loop()
assert isinstance(loop, tornado_c.EventLoop)
loop.close()
print("done")
"""


def test_policy():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", POLICY], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


def test_names_of_the_package():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in tornado_c.__all__:
            assert getattr(tornado_c, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        tornado_c.nothing  # noqa: B018
