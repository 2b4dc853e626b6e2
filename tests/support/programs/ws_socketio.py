"""python-socketio in its Tornado mode: text, JSON and binary events, over WebSocket and on the way to it."""

import asyncio

import socketio
import tornado.web
import tornado.websocket

assert tornado.websocket.__name__ == "tornado_c.websocket"

server = socketio.AsyncServer(async_mode="tornado")
seen = []


@server.event
async def connect(sid, environ):
    seen.append(environ["PATH_INFO"])


@server.event
async def echo(sid, data):
    await server.emit("echoed", data, to=sid)
    return "acknowledged", data


async def main():
    application = tornado.web.Application([(r"/socket.io/", socketio.get_tornado_handler(server))])
    (listener,) = application.listen(0, "127.0.0.1")._sockets.values()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for transports in (["websocket"], ["polling", "websocket"]):
        client = socketio.AsyncClient()
        got = asyncio.Queue()
        client.on("echoed", got.put)
        await client.connect(url, transports=transports)
        for data in ("text", {"a": [1, "\u00e4"]}, b"\x00\xff" * 500, {"deep": [b"one", b"two"]}):
            answer = await client.call("echo", data, timeout=10)
            assert answer == ("acknowledged", data), answer
            assert await got.get() == data
        assert client.transport() == "websocket"
        await client.disconnect()
    assert seen == ["/socket.io/"] * 2
    print("finished")


asyncio.run(main())
