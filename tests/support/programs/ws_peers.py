"""Other libraries' clients with our server, our client with their servers, with and without compression."""

import asyncio
import contextlib

import aiohttp
import aiohttp.web
import picows
import tornado.web
import tornado.websocket
import websockets
import websockets.asyncio.client
import websockets.asyncio.server
import wsproto
import wsproto.events

assert tornado.websocket.__name__ == "tornado_c.websocket"
MESSAGES = ["hello", "", "\u00e4" * 40000, "x" * 200, "abc" * 100000, b"", b"\x00\xff" * 70, bytes(300000)]
DEFLATE = {"compression_level": 6}


class Echo(tornado.websocket.WebSocketHandler):
    closed = []

    def get_compression_options(self):
        return None if self.request.path == "/plain" else DEFLATE

    def select_subprotocol(self, names):
        return names[-1] if names else None

    async def on_message(self, message):
        await self.write_message(message, binary=isinstance(message, bytes))

    def on_close(self):
        self.closed.append((self.close_code, self.close_reason))


async def by_websockets(url, **options):
    async with websockets.asyncio.client.connect(
        url, max_size=None, subprotocols=["a", "b"], **options
    ) as client:
        assert client.subprotocol == "b"
        for message in MESSAGES:
            await client.send(message)
            assert await client.recv() == message
        await client.send(["one", "two", "three"])
        assert await client.recv() == "onetwothree"
        await (await client.ping())
        await client.close(4000, "bye")
        assert client.close_code == 4000


async def by_aiohttp(url, **options):
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, max_msg_size=0, **options) as client,
    ):
        for message in MESSAGES:
            await (client.send_bytes if isinstance(message, bytes) else client.send_str)(message)
            assert (await client.receive()).data == message
        await client.ping(b"ping")
        await client.send_str("after")
        assert (await client.receive()).data == "after"
        await client.close(code=4001, message=b"bye")
        assert client.close_code == 4001


async def by_picows(url):
    got = asyncio.Queue()

    class Listener(picows.WSListener):
        def on_ws_frame(self, transport, frame):
            got.put_nowait((frame.msg_type, frame.get_payload_as_bytes()))

    transport, _ = await picows.ws_connect(Listener, url)
    for message in MESSAGES:
        kind = picows.WSMsgType.BINARY if isinstance(message, bytes) else picows.WSMsgType.TEXT
        data = message if isinstance(message, bytes) else message.encode()
        transport.send(kind, data)
        assert await got.get() == (kind, data)
    transport.send_close(4002, b"bye")
    kind, payload = await got.get()
    assert (kind, payload[:2]) == (picows.WSMsgType.CLOSE, (4002).to_bytes(2)), payload
    transport.disconnect()


async def by_wsproto(port, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    extensions = [wsproto.extensions.PerMessageDeflate()]
    writer.write(client.send(wsproto.events.Request(host="a", target=path, extensions=extensions)))

    async def event():
        while True:
            for each in client.events():
                return each
            client.receive_data(await reader.read(65536) or None)

    accepted = await event()
    assert isinstance(accepted, wsproto.events.AcceptConnection)
    assert bool(accepted.extensions) == (path != "/plain")
    for message in MESSAGES:
        cls = wsproto.events.BytesMessage if isinstance(message, bytes) else wsproto.events.TextMessage
        writer.write(client.send(cls(message)))
        answer = await event()
        data = answer.data
        while not answer.message_finished:
            answer = await event()
            data += answer.data
        assert data == message
    writer.write(client.send(wsproto.events.CloseConnection(code=4003, reason="bye")))
    ended = await event()
    assert (ended.code, await reader.read()) == (4003, b"")
    writer.close()


async def ours(url, **options):
    connection = await tornado.websocket.websocket_connect(url, **options)
    for message in MESSAGES:
        await connection.write_message(message, binary=isinstance(message, bytes))
        assert await connection.read_message() == message
    connection.close(4004, "bye")
    assert await connection.read_message() is None
    return connection.close_code


async def websockets_echo(connection):
    with contextlib.suppress(websockets.ConnectionClosed):
        async for message in connection:
            await connection.send(message)


async def aiohttp_echo(request):
    server = aiohttp.web.WebSocketResponse(max_msg_size=0)
    await server.prepare(request)
    async for message in server:
        send = server.send_bytes if message.type == aiohttp.WSMsgType.BINARY else server.send_str
        await send(message.data)
    return server


class PicowsEcho(picows.WSListener):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())


async def main():
    application = tornado.web.Application([("/plain", Echo), ("/", Echo)])
    (listener,) = application.listen(0, "127.0.0.1")._sockets.values()
    port = listener.getsockname()[1]
    for path in ("/", "/plain"):
        url = f"ws://127.0.0.1:{port}{path}"
        await by_websockets(url)
        await by_websockets(url, compression=None)
        await by_aiohttp(url)
        await by_aiohttp(url, compress=15)
        await by_aiohttp(url, compress=9)
        await by_picows(url)
        await by_wsproto(port, path)
        for options in ({}, {"compression_options": {}}):
            assert await ours(url, **options) == 4004
    async with websockets.asyncio.server.serve(websockets_echo, "127.0.0.1", 0, max_size=None) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for options in ({}, {"compression_options": {}}):
            assert await ours(url, **options) == 4004
    runner = aiohttp.web.AppRunner(aiohttp.web.Application())
    runner.app.router.add_get("/", aiohttp_echo)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"ws://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/"
    for options in ({}, {"compression_options": {}}):
        await ours(url, **options)
    await runner.cleanup()
    server = await picows.ws_create_server(lambda request: PicowsEcho(), "127.0.0.1", 0)
    await ours(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    server.close()
    codes = [4000, 4000, 4001, 4001, 4001, 4002, 4003, 4004, 4004]
    assert Echo.closed == [(code, "bye") for code in codes] * 2, Echo.closed
    print("finished")


asyncio.run(main())
