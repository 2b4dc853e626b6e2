"""ipykernel: a kernel, whose loop is ours as well, runs a cell, an interrupt and a coroutine."""

import asyncio

import tornado.ioloop
from jupyter_client.manager import start_new_async_kernel

CODE = "import tornado.ioloop as t; print(t.IOLoop.start.__globals__['__name__'])"


async def printed(client, code):
    """What a cell prints, and how it ended."""
    text = []
    reply = await client.execute_interactive(
        code, timeout=60, output_hook=lambda message: text.append(message["content"].get("text", ""))
    )
    return "".join(text), reply["content"]["status"]


async def main():
    assert tornado.ioloop.IOLoop.start.__globals__["__name__"] == "tornado_c.ioloop"
    manager, client = await start_new_async_kernel(kernel_name="python3")
    try:
        assert await printed(client, CODE) == ("tornado_c.ioloop\n", "ok")
        assert await printed(client, "import asyncio; print(await asyncio.sleep(0.01, 6 * 7))") == (
            "42\n",
            "ok",
        )
        asyncio.get_running_loop().call_later(1, lambda: asyncio.ensure_future(manager.interrupt_kernel()))
        assert (await printed(client, "import time; time.sleep(1000)"))[1] == "error"
        assert await printed(client, "print('goes on')") == ("goes on\n", "ok")
    finally:
        client.stop_channels()
        await manager.shutdown_kernel()
    print("finished")


asyncio.run(main())
