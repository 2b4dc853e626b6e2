"""A server of both generations at once, for test_generations_mixed: port, then "plain", "tls" or "fork"."""

import asyncio
import contextlib
import contextvars
import datetime
import functools
import json
import os
import sys
import threading

from tornado import gen, httpclient, httpserver, ioloop, netutil, process, stack_context, web, websocket
from tornado.concurrent import Future, return_future

port, kind = int(sys.argv[1]), sys.argv[2]
scheme = "https" if kind == "tls" else "http"
variable = contextvars.ContextVar("variable", default="unset")
entered = []


@contextlib.contextmanager
def entering(name):
    entered.append(name)
    try:
        yield
    finally:
        entered.remove(name)


def state():
    return [variable.get(), *entered]


def later(value, callback):
    ioloop.IOLoop.instance().add_timeout(
        datetime.timedelta(milliseconds=1), functools.partial(callback, value)
    )


async def native(value):
    await asyncio.sleep(0.001)
    return value


class Site(web.RequestHandler):
    def get(self):
        self.write("site")


class StartsNative(web.RequestHandler):
    """A method of the callbacks' time that starts coroutines and is called back."""

    @web.asynchronous
    def get(self):
        self.io_loop = ioloop.IOLoop.instance()
        self.io_loop.add_future(asyncio.ensure_future(native("one")), self.on_first)

    def on_first(self, future):
        self.first = future.result()
        gen.convert_yielded(native("two")).add_done_callback(self.async_callback(self.on_second))

    def on_second(self, future):
        async def end():
            self.finish({"results": [self.first, future.result(), await native("three")]})

        self.io_loop.spawn_callback(end)


class AwaitsTasks(web.RequestHandler):
    """A coroutine of today that waits for what takes callbacks."""

    async def prepare(self):
        self.prepared = await gen.Task(later, "prepared")

    async def get(self):
        results = [self.prepared, await gen.Task(later, "one")]
        results += await gen.multi([gen.Task(later, "two"), native("three")])
        client = httpclient.AsyncHTTPClient(io_loop=ioloop.IOLoop.current())
        response = await gen.Task(client.fetch, address("/site"), validate_cert=False)
        results.append(response.body.decode())
        results.append(await self.decorated("four"))
        results.append(await self.returned("five"))
        self.write({"results": results})

    @gen.coroutine
    def decorated(self, value):
        raise gen.Return((yield native(value)))

    @return_future
    def returned(self, value, callback):
        later(value, callback)


class Engine(web.RequestHandler):
    @web.asynchronous
    @gen.engine
    def get(self):
        future = asyncio.get_running_loop().create_future()
        later("future", future.set_result)
        own = Future()
        later("own", own.set_result)
        later("callback", (yield gen.Callback("key")))
        results = [(yield future), (yield own), (yield native("native")), (yield asyncio.sleep(0, "slept"))]
        results += yield [gen.Task(later, "task"), native("in a list"), gen.Wait("key")]
        results.append((yield {"a": asyncio.ensure_future(native("in a dict"))})["a"])
        try:
            yield asyncio.wait_for(asyncio.Event().wait(), 0.001)
        except TimeoutError:
            results.append("late")
        try:
            yield gen.with_timeout(datetime.timedelta(milliseconds=1), gen.Task(lambda callback: None))
        except gen.TimeoutError:
            results.append("late, too")
        self.finish({"results": results})


class Contexts(web.RequestHandler):
    """Contexts of both kinds, in asyncio's own tasks and callbacks."""

    @web.asynchronous
    def get(self):
        self.seen = [state()]
        variable.set("set")
        with stack_context.StackContext(functools.partial(entering, "context")):
            asyncio.ensure_future(self.work())
        self.seen.append(state())

    async def work(self):
        self.seen.append(state())
        await asyncio.sleep(0.001)
        variable.set("set in the task")
        asyncio.get_running_loop().call_soon(self.look)
        with stack_context.NullContext():
            asyncio.get_running_loop().call_soon(self.end)

    def look(self):
        self.seen.append(state())

    def end(self):
        self.seen.append(state())
        self.finish({"results": self.seen})


class Fails(web.RequestHandler):
    """Errors of asyncio's callbacks are the handler's, those of a Task its own."""

    @web.asynchronous
    def get(self, how):
        getattr(self, how)()

    def call_soon(self):
        asyncio.get_running_loop().call_soon(self.fail)

    def call_later(self):
        asyncio.get_running_loop().call_later(0.001, self.fail)

    def done_callback(self):
        asyncio.ensure_future(native("x")).add_done_callback(self.fail)

    def from_a_thread(self):
        fail = stack_context.wrap(self.fail)  # a new thread has no contexts
        threading.Thread(target=ioloop.IOLoop.instance().add_callback, args=(fail,)).start()

    def task(self):
        async def work():
            self.fail()

        ioloop.IOLoop.current().add_future(asyncio.ensure_future(work()), lambda future: future.result())

    def engine(self):
        @gen.engine
        def work():
            yield native("x")
            self.fail()

        work()

    def fail(self, *args):
        raise web.HTTPError(418)


class Threads(web.RequestHandler):
    """A worker's thread finds the loop of the main one."""

    @web.asynchronous
    def get(self):
        def work():
            loop = ioloop.IOLoop.instance()
            loop.add_callback(self.finish, {"results": [ioloop.IOLoop.current(instance=False) is None]})

        threading.Thread(target=work).start()


class Ticks(web.RequestHandler):
    @web.asynchronous
    def get(self):
        self.times = 0
        self.periodic = ioloop.PeriodicCallback(self.tick, 1, ioloop.IOLoop.instance())
        self.periodic.start()

    def tick(self):
        self.times += 1
        if self.times == 3:
            self.periodic.stop()
            self.finish({"results": [self.times, self.periodic.is_running()]})


class Echo(websocket.WebSocketHandler):
    async def on_message(self, message):
        await self.write_message(await native(message[::-1]))


class AsksEcho(web.RequestHandler):
    """A client by callbacks of a server by coroutines."""

    @web.asynchronous
    def get(self):
        url = address("/echo").replace("http", "ws", 1)
        request = httpclient.HTTPRequest(url, validate_cert=False)
        websocket.websocket_connect(request, ioloop.IOLoop.current(), self.on_connected)

    def on_connected(self, future):
        self.connection = future.result()
        self.connection.write_message("abc")
        self.connection.read_message(self.on_message)

    def on_message(self, future):
        self.connection.close()
        self.finish({"results": [future.result()]})


class Worker(web.RequestHandler):
    async def get(self):
        self.write({"results": [process.task_id()]})


def callback(request):
    """A server's callback that answers from a coroutine."""

    async def answer():
        body = json.dumps({"results": [await native(request.path)]})
        request.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}")
        request.finish()

    ioloop.IOLoop.current().spawn_callback(answer)


def address(path):
    return f"{scheme}://127.0.0.1:{port}{path}"


application = web.Application(
    [
        ("/site", Site),
        ("/starts", StartsNative),
        ("/awaits", AwaitsTasks),
        ("/engine", Engine),
        ("/contexts", Contexts),
        (r"/fails/(\w+)", Fails),
        ("/threads", Threads),
        ("/ticks", Ticks),
        ("/echo", Echo),
        ("/asks_echo", AsksEcho),
        ("/worker", Worker),
        ("/callback", web.FallbackHandler, {"fallback": callback}),
    ]
)
options = {}
if kind == "tls":
    folder = os.path.dirname(sys.modules["tornado"].__file__) + "/test/test."
    options["ssl_options"] = {"certfile": folder + "crt", "keyfile": folder + "key"}
sockets = netutil.bind_sockets(port, "127.0.0.1")
if kind == "fork":
    process.fork_processes(2)
server = httpserver.HTTPServer(application, io_loop=ioloop.IOLoop.instance(), **options)
server.add_sockets(sockets)
ioloop.IOLoop.instance().start()
