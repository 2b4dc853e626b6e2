"""sockjs-tornado: sessions and raw connections over WebSocket, closed and aborted."""

import asyncio
import json

import sockjs.tornado
import tornado.web
import tornado.websocket
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

assert tornado.websocket.__name__ == "tornado_c.websocket"


class Echo(sockjs.tornado.SockJSConnection):
    events = []

    def on_open(self, info):
        self.events.append(("open", info.path.partition("/")[2].partition("/")[0]))

    def on_message(self, message):
        if message == "abort":
            self.session.handler.abort_connection()
        else:
            self.broadcast([self], message.upper())

    def on_close(self):
        self.events.append("close")


async def closed(times):
    while Echo.events.count("close") < times:
        await asyncio.sleep(0.001)


async def main():
    router = sockjs.tornado.SockJSRouter(Echo, "/echo")
    application = tornado.web.Application(router.urls)
    (listener,) = application.listen(0, "127.0.0.1")._sockets.values()
    port = listener.getsockname()[1]
    connect = tornado.websocket.websocket_connect
    for ends, (last, wrap) in enumerate((("abort", json.dumps), (None, lambda text: json.dumps([text])))):
        connection = await connect(f"ws://127.0.0.1:{port}/echo/000/session/websocket")
        assert await connection.read_message() == "o"
        connection.write_message(wrap("hello"))
        assert await connection.read_message() == 'a["HELLO"]'
        if last:
            connection.write_message(wrap(last))
        else:
            connection.close()
        while await connection.read_message() is not None:
            pass
        connection.close()
        await closed(ends + 1)
    raw = await connect(f"ws://127.0.0.1:{port}/echo/websocket")
    raw.write_message("hello")
    assert await raw.read_message() == "HELLO"
    raw.close()
    assert await raw.read_message() is None
    await closed(3)
    try:
        await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/echo/000/session/websocket")
    except HTTPClientError as e:
        assert (e.code, e.response.body) == (400, b'Can "Upgrade" only to "WebSocket".')
    assert Echo.events.count("close") == 3, Echo.events
    print("finished")


asyncio.run(main())
