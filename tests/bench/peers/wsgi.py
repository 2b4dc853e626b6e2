"""For WSGI: / answers hello or echoes a body; besides /items/N?name=, /large and /upload."""

from bodies import LARGE, TEXT, Upload, item

PIECE = 1 << 16


def body_of(environ):
    path = environ["PATH_INFO"]
    if path == "/large":
        return LARGE
    if path == "/upload":
        upload, stream = Upload(environ["CONTENT_TYPE"]), environ["wsgi.input"]
        left = int(environ["CONTENT_LENGTH"])
        while left:
            piece = stream.read(min(PIECE, left))
            upload.feed(piece)
            left -= len(piece)
        return upload.answer()
    if environ["REQUEST_METHOD"] == "POST":
        return environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    return item(path, environ.get("QUERY_STRING", "")) or TEXT


def app(environ, start_response):
    body = body_of(environ)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
