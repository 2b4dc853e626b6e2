"""For ASGI: / answers hello or echoes a body; besides /items/N?name=, /large and /upload. WebSockets: /echo,
/deflate and /async echo, /broadcast sends what it gets to every socket."""

from bodies import LARGE, TEXT, Upload, item

sockets = set()


async def body_of(scope, receive):
    path = scope["path"]
    if path == "/large":
        return LARGE
    if scope["method"] == "POST":
        upload = None
        if path == "/upload":
            upload = Upload(dict(scope["headers"])[b"content-type"].decode())
        pieces, more = [], True
        while more:
            message = await receive()
            (upload.feed if upload else pieces.append)(message["body"])
            more = message.get("more_body", False)
        return upload.answer() if upload else b"".join(pieces)
    return item(path, scope["query_string"].decode()) or TEXT


async def http(scope, receive, send):
    body = await body_of(scope, receive)
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def websocket(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    everybody = scope["path"] == "/broadcast"
    if everybody:
        sockets.add(send)
    try:
        while (message := await receive())["type"] == "websocket.receive":
            answer = {"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")}
            for each in tuple(sockets) if everybody else (send,):
                await each(answer)
    finally:
        sockets.discard(send)


async def app(scope, receive, send):
    await (http if scope["type"] == "http" else websocket)(scope, receive, send)
