"""Well-known HTTP clients against our server, and aiohttp on our event loop: packages that applications
already use.
"""

import asyncio
import threading

import pytest

from tornado_c.httpserver import HTTPServer
from tornado_c.httputil import HTTPHeaders, ResponseStartLine
from tornado_c.ioloop import IOLoop
from tornado_c.netutil import bind_sockets

pytestmark = pytest.mark.apps


def echo(request):
    """Answers with the method, the path and the body; chunked where the path says so."""
    body = f"{request.method} {request.uri} ".encode() + request.body
    headers = HTTPHeaders({"Content-Type": "text/plain"})
    if request.path != "/chunked":
        headers["Content-Length"] = str(len(body))
    request.connection.write_headers(ResponseStartLine("HTTP/1.1", 200, "OK"), headers)
    request.connection.write(body)
    request.connection.finish()


@pytest.fixture
def url():
    """A server on a loop in a thread of its own."""
    ready = threading.Event()
    state = {}

    def serve():
        loop = IOLoop(make_current=False)
        asyncio.set_event_loop(loop.asyncio_loop)
        server = HTTPServer(echo)
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        state.update(loop=loop, port=sockets[0].getsockname()[1])
        ready.set()
        loop.start()
        server.stop()
        loop.run_sync(server.close_all_connections)
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(10)
    yield f"http://127.0.0.1:{state['port']}"
    state["loop"].add_callback(state["loop"].stop)
    thread.join(10)


@pytest.mark.parametrize("path", ["/plain?a=1", "/chunked"])
def test_requests(url, path):
    requests = pytest.importorskip("requests")
    with requests.Session() as session:
        for _ in range(3):
            answer = session.post(url + path, data=b"x" * 70000)
            assert answer.text == f"POST {path} " + "x" * 70000


@pytest.mark.parametrize("path", ["/plain?a=1", "/chunked"])
def test_httpx(url, path):
    httpx = pytest.importorskip("httpx")
    with httpx.Client() as client:
        assert client.get(url + path).text == f"GET {path} "
        streamed = client.put(url + path, content=iter([b"one ", b"two ", b"three"]))
        assert streamed.text == f"PUT {path} one two three"


def test_aiohttp_on_our_loop(url):
    aiohttp = pytest.importorskip("aiohttp")

    async def fetch():
        async with aiohttp.ClientSession() as session:

            async def one(number):
                async with session.post(f"{url}/{number}", data=str(number)) as answer:
                    return await answer.text()

            return await asyncio.gather(*(one(number) for number in range(50)))

    loop = IOLoop(make_current=False)
    try:
        assert loop.run_sync(fetch, timeout=30) == [f"POST /{number} {number}" for number in range(50)]
    finally:
        loop.close()


def test_aiohttp_server_on_our_loop():
    aiohttp = pytest.importorskip("aiohttp")
    from aiohttp import web

    async def main():
        async def hello(request):
            return web.Response(text=f"hello {request.match_info['name']}")

        app = web.Application()
        app.router.add_get("/{name}", hello)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/you") as answer:
            text = await answer.text()
        await runner.cleanup()
        return text

    loop = IOLoop(make_current=False)
    try:
        assert loop.run_sync(main, timeout=30) == "hello you"
    finally:
        loop.close()
