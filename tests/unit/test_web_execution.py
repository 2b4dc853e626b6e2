"""The coroutine of a request's handler, which its Task hands out, beside stock Tornado's."""

import asyncio

import pytest

from support.web_servers import pair, request


def application(web):
    class Interferes(web.RequestHandler):
        """Uses its own coroutine while it runs, by name."""

        async def get(self, name):
            if self.get_argument("later", None):
                await asyncio.sleep(0)
            task = asyncio.current_task()
            arguments = {"close": (), "send": (None,), "throw": (KeyError,)}[name]
            try:
                getattr(task.get_coro(), name)(*arguments)
            except ValueError as exc:
                self.write(f"{exc}; ")
            await asyncio.sleep(0.001)
            self.write("goes on")

    class Closed(web.RequestHandler):
        """Is closed by another while it waits; what it has to tell comes out of its own finally."""

        async def get(self):
            task = asyncio.current_task()

            async def end():
                coroutine = task.get_coro()
                coroutine.close()
                again = coroutine.close()
                with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
                    coroutine.send(None)
                outcome.append(again)

            outcome = []
            ending = asyncio.ensure_future(end())
            try:
                await asyncio.sleep(20)
            finally:
                ending.add_done_callback(lambda _: self.finish(f"closed {outcome} {ending.exception()}"))

    return web.Application([("/own/(.*)", Interferes), ("/closed", Closed)])


@pytest.mark.parametrize("later", ["", "?later=1"])
@pytest.mark.parametrize("name", ["close", "send", "throw"])
def test_a_handler_that_runs_cannot_be_entered(name, later):
    with pair(application) as ask:
        outcome = ask(request(f"/own/{name}{later}"))
    assert outcome["ours"] == outcome["stock"]
    assert outcome["ours"][0].endswith(b"coroutine already executing; goes on")


def test_a_handler_closed_while_it_waits():
    with pair(application) as ask:
        outcome = ask(request("/closed"))
    assert outcome["ours"][0].endswith(b"closed [None] None"), outcome
    assert outcome["ours"][0] == outcome["stock"][0]
