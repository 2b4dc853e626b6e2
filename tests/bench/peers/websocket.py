"""python websocket.py SERVER PORT: /broadcast sends what it gets to all sockets, other paths send it back."""

import asyncio
import sys

import uvloop

everybody = set()


async def picows(port):
    import picows

    class Echo(picows.WSListener):
        def on_ws_frame(self, transport, frame):
            if frame.msg_type in (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY):
                transport.send(frame.msg_type, frame.get_payload_as_bytes())

    class Broadcast(picows.WSListener):
        def on_ws_connected(self, transport):
            everybody.add(transport)

        def on_ws_disconnected(self, transport):
            everybody.discard(transport)

        def on_ws_frame(self, transport, frame):
            message = frame.get_payload_as_bytes()
            for each in everybody:
                each.send(frame.msg_type, message)

    def listener(request):
        return Broadcast() if request.path == b"/broadcast" else Echo()

    server = await picows.ws_create_server(listener, "127.0.0.1", port, max_frame_size=1 << 25, backlog=4096)
    await server.serve_forever()


async def aiohttp(port):
    from aiohttp import WSMsgType, web

    async def talk(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        to = (socket,)
        if request.path == "/broadcast":
            everybody.add(socket)
            to = everybody
        try:
            async for message in socket:
                for each in tuple(to):
                    if message.type is WSMsgType.TEXT:
                        await each.send_str(message.data)
                    else:
                        await each.send_bytes(message.data)
        finally:
            everybody.discard(socket)
        return socket

    app = web.Application()
    app.router.add_get("/{name}", talk)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


async def websockets(port):
    from websockets.asyncio.server import broadcast, serve

    async def talk(socket):
        if socket.request.path == "/broadcast":
            everybody.add(socket)
        try:
            async for message in socket:
                if socket in everybody:
                    broadcast(everybody, message)
                else:
                    await socket.send(message)
        finally:
            everybody.discard(socket)

    options = {"max_size": None, "ping_interval": None, "backlog": 4096}
    async with serve(talk, "127.0.0.1", port, **options) as server:
        await server.serve_forever()


if __name__ == "__main__":
    _, name, port = sys.argv
    uvloop.run({f.__name__: f for f in (picows, aiohttp, websockets)}[name](int(port)))
