"""The nest_asyncio package, which replaces methods of the loop's class, on our loop."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.apps

PROGRAM = """
import asyncio, nest_asyncio, tornado_c

async def inner(n):
    await asyncio.sleep(0.001)
    return n

async def outer():
    loop = asyncio.get_running_loop()
    background = asyncio.ensure_future(inner(4))
    nested = [loop.run_until_complete(inner(n)) for n in range(3)]
    return nested, loop.run_until_complete(background), await inner(5)

loop = tornado_c.new_event_loop()
nest_asyncio.apply(loop)
assert loop.run_until_complete(outer()) == ([0, 1, 2], 4, 5)
loop.close()

async def late():
    nest_asyncio.apply()
    return asyncio.get_running_loop().run_until_complete(inner(6))

assert tornado_c.run(late()) == 6
print("done")
"""


def test_nested_loops():
    """In a process of its own: the patch is for good."""
    pytest.importorskip("nest_asyncio")
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
