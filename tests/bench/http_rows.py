"""The rows that wrk asks for: what is asked of which application, and the figures to reach."""

from dataclasses import dataclass

from peers import HTTP as PEERS
from row import Row

#: The bodies of the POST rows, by name: their type, and how many bytes. A form's is the size of its file.
BODIES = {
    "10k": ("application/octet-stream", 10240),
    "form": ("multipart/form-data; boundary=frontier", 10 << 20),
}


@dataclass(frozen=True)
class HttpRow(Row):
    app: str
    limit_mode: str = "hello"
    path: str = "/"
    connections: int = 64
    pipeline: int = 1
    post: str = ""  # the name of the body that is sent
    close: bool = False
    body: str | None = "Hello, world!"  # what is answered; None: what was sent
    peers: tuple[str, ...] = ()  # who takes part besides

    @property
    def servers(self) -> tuple[str, ...]:
        return (*(name for name in Row.servers if name != "limit" or self.limit_mode), *self.peers)

    def sent(self) -> bytes:
        """The body of the request."""
        if not self.post:
            return b""
        content_type, size = BODIES[self.post]
        if self.post != "form":
            return b"b" * size
        head = b'Content-Disposition: form-data; name="file"; filename="file.bin"'
        head += b"\r\nContent-Type: application/octet-stream"
        return b"--frontier\r\n%b\r\n\r\n%b\r\n--frontier--\r\n" % (head, b"b" * size)

    def request(self) -> bytes:
        body, head = (
            self.sent(),
            f"{'POST' if self.post else 'GET'} {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        )
        if body:
            head += f"Content-Length: {len(body)}\r\nContent-Type: {BODIES[self.post][0]}\r\n"
        if self.close:
            head += "Connection: close\r\n"
        return head.encode() + b"\r\n" + body


ROWS = (
    # Of its instructions about 4,000 are the callback's own: it makes HTTPHeaders, a dict and a str.
    HttpRow(
        *("callback", "hello, callback", "callback"),
        **{"to_limit": 1.25, "to_stock": 11, "instructions": 9000, "peers": PEERS, "brief": True},
    ),
    HttpRow(
        *("raw", "hello, callback with request.write", "raw"), to_limit=1.25, instructions=5000, brief=True
    ),
    HttpRow(
        *("handler", "hello, RequestHandler", "handler"),
        **{"to_limit": 1.6, "to_stock": 12, "instructions": 16000, "brief": True},
    ),
    HttpRow(
        *("patterns", "hello, the last of 200 patterns", "patterns"),
        path="/section199/7",
        instructions=16000,
    ),
    HttpRow(
        *("nested", "hello, 50 nested patterns", "patterns"),
        path="/nested/section49/7",
        instructions=20000,
    ),
    # About 5,000 of them are the delegates' own frames and objects.
    HttpRow("delegate", "hello, delegate", "delegate", instructions=14500),
    HttpRow("async", "hello, async RequestHandler", "handler", path="/async", to_stock=14, brief=True),
    HttpRow(
        *("pipeline", "pipelined x16, callback", "callback"),
        pipeline=16,
        to_stock=65,
        peers=("fastpysgi", "granian", "uvicorn"),  # bjoern answers the first of them alone
        brief=True,
    ),
    HttpRow("pipeline_raw", "pipelined x16, callback with request.write", "raw", pipeline=16),
    HttpRow(
        *("pipeline_handler", "pipelined x16, RequestHandler", "handler"),
        pipeline=16,
        to_stock=45,
        brief=True,
    ),
    # Handlers as people write them.
    HttpRow("initialize", "initialize sets an attribute", "handlers", path="/initialize", instructions=15000),
    HttpRow("hooks", "five hooks overridden", "handlers", path="/hooks", instructions=25000),
    HttpRow(
        *("item", "five hooks, async, an argument, JSON", "handlers"),
        path="/items/17?name=world",
        to_stock=18,
        instructions=40000,
        body='{"id": "17", "name": "world", "user": "alice"}',
        peers=PEERS,
        brief=True,
    ),
    HttpRow("argument", "get_argument", "handlers", path="/argument?name=world!", instructions=18000),
    HttpRow(
        *("dict", "a dict as JSON", "handlers"),
        path="/dict",
        instructions=26000,
        body='{"text": "Hello, world!"}',
    ),
    HttpRow("cookie", "set_cookie", "handlers", path="/cookie", instructions=52000),
    HttpRow(
        *("replaced", "a method replaced on the instance", "handlers"),
        path="/replaced",
        instructions=25000,
    ),
    HttpRow(
        *("coroutine", "@gen.coroutine that does not suspend", "handlers"),
        path="/coroutine",
        to_stock=12,
    ),
    HttpRow("suspend", "async def that suspends once", "handlers", path="/suspend", to_stock=18),
    HttpRow(
        *("wrapped", "prepare, on_finish wrapped by a tool", "handlers"),
        path="/wrapped",
        instructions=25000,
    ),
    # Programs of Tornado 4's time, which today's does not run.
    HttpRow(
        *("contexts", "hello, stack_context imported", "callbacks_of_4"),
        **{"to_limit": 1.6, "instructions": 12000},
    ),
    HttpRow(
        *("later", "@asynchronous that finishes later", "callbacks_of_4"),
        **{"path": "/later", "instructions": 35000},
    ),
    HttpRow("awaited", "_execute wrapped by a tool", "handlers", path="/awaited"),
    # Their limit is nginx, with sendfile.
    HttpRow(
        *("static", "static file, 100 KB", "static", "nginx", "/static/100k.bin"),
        to_limit=1.4,
        instructions=35_000,
        body="x" * 102400,
        peers=("granian",),
        brief=True,
    ),
    HttpRow("static_small", "static file, 13 bytes", "static", "nginx", "/static/small.txt"),
    HttpRow("close", "Connection: close, callback", "callback", close=True, to_limit=1.2, brief=True),
    HttpRow(
        *("post", "POST 10 KB echo, callback", "callback", "post"),
        **{"post": "10k", "body": None, "to_limit": 1.2, "peers": PEERS, "brief": True},
    ),
    HttpRow(
        *("post_handler", "POST 10 KB echo, RequestHandler", "handler", "post"),
        **{"post": "10k", "body": None, "to_stock": 12, "brief": True},
    ),
    # The limit keeps no request of this size.
    HttpRow(
        *("upload", "multipart upload of 10 MB", "upload", "", "/upload"),
        **{"post": "form", "body": str(10 << 20), "connections": 4, "to_peers": (("uvicorn", 1.0),)},
        **{"peers": PEERS, "brief": True},
    ),
    HttpRow(
        *("connections", "1000 connections, callback", "callback"),
        connections=1000,
        to_limit=1.25,
        brief=True,
    ),
    HttpRow(
        *("large", "1 MiB response, callback", "large", "large", "/large"),
        **{"body": "x" * (1 << 20), "connections": 16, "to_limit": 1.1, "peers": PEERS, "brief": True},
    ),
)
