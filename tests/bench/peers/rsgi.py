"""For RSGI, granian's own interface: / answers hello or echoes a body; besides /items/N?name=, /large and
/upload."""

from bodies import LARGE, TEXT, Upload, item


async def body_of(scope, protocol):
    if scope.path == "/large":
        return LARGE
    if scope.path == "/upload":
        upload = Upload(scope.headers["content-type"])
        async for piece in protocol:
            upload.feed(piece)
        return upload.answer()
    if scope.method == "POST":
        return await protocol()
    return item(scope.path, scope.query_string) or TEXT


async def app(scope, protocol):
    protocol.response_bytes(200, [("content-type", "text/plain")], await body_of(scope, protocol))
