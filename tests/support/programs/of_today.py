"""A program for Tornado 6, which says what it finds; as a module it leaves main() to another program."""

import asyncio
import contextvars
import datetime
import json

import tornado.gen
import tornado.httpclient
import tornado.httpserver
import tornado.ioloop
import tornado.locks
import tornado.netutil
import tornado.queues
import tornado.web
import tornado.websocket

variable = contextvars.ContextVar("variable", default="unset")
SOON = datetime.timedelta(milliseconds=10)


class Plain(tornado.web.RequestHandler):
    def get(self):
        self.write("plain")


class Native(tornado.web.RequestHandler):
    async def prepare(self):
        variable.set("set")
        await asyncio.sleep(0)

    async def get(self):
        self.write("native ")
        await self.flush()
        results = await asyncio.gather(self.step(1), self.step(2))
        await self.finish(f"{results} {variable.get()}")

    async def step(self, value):
        await asyncio.sleep(0.001)
        return value


class Coroutine(tornado.web.RequestHandler):
    @tornado.gen.coroutine
    def get(self):
        yield tornado.gen.sleep(0.001)
        results = yield [asyncio.sleep(0, 1), asyncio.sleep(0, 2)]
        try:
            yield tornado.gen.with_timeout(SOON, asyncio.Future())
        except tornado.gen.TimeoutError:
            self.write(f"coroutine {results}")


class Fails(tornado.web.RequestHandler):
    async def get(self):
        await asyncio.sleep(0)
        raise tornado.web.HTTPError(418)


class Locks(tornado.web.RequestHandler):
    async def get(self):
        queue, condition = tornado.queues.Queue(1), tornado.locks.Condition()
        waiter = condition.wait()
        condition.notify()
        async with tornado.locks.Lock():
            asyncio.get_running_loop().call_later(0.001, queue.put_nowait, "put")
            self.write(f"{await waiter} {await queue.get(timeout=datetime.timedelta(seconds=20))}")


class Echo(tornado.websocket.WebSocketHandler):
    async def on_message(self, message):
        await self.write_message(message[::-1])


@tornado.gen.coroutine
def decorated(value):
    yield tornado.gen.moment
    return value


async def main():
    handlers = [("/plain", Plain), ("/native", Native), ("/coroutine", Coroutine), ("/fails", Fails)]
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server = tornado.httpserver.HTTPServer(
        tornado.web.Application([*handlers, ("/locks", Locks), ("/echo", Echo)])
    )
    server.add_sockets(sockets)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    client = tornado.httpclient.AsyncHTTPClient()
    found = {}
    for path in ("/plain", "/native", "/coroutine", "/locks"):
        found[path] = (await client.fetch(url + path)).body.decode()
    try:
        await client.fetch(url + "/fails")
    except tornado.httpclient.HTTPClientError as error:
        found["error"] = [str(error), error.response.code]
    found["no error"] = (await client.fetch(url + "/fails", raise_error=False)).code
    connection = await tornado.websocket.websocket_connect(url.replace("http", "ws") + "/echo")
    await connection.write_message("abc")
    found["websocket"] = await connection.read_message()
    connection.close()
    assert await connection.read_message() is None
    ticks = asyncio.Event()
    periodic = tornado.ioloop.PeriodicCallback(ticks.set, SOON)
    periodic.start()
    await ticks.wait()
    periodic.stop()
    loop = tornado.ioloop.IOLoop.current()
    found["loop"] = [loop.asyncio_loop is asyncio.get_running_loop(), await decorated("decorated")]
    found["executor"] = await loop.run_in_executor(None, str, "executor")
    server.stop()
    client.close()
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
