"""The rows of the comparison: what is asked of which application, and the figures to reach."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    app: str
    limit_mode: str = "hello"
    path: str = "/"
    connections: int = 64
    pipeline: int = 1
    post: bool = False
    close: bool = False
    body: str = "Hello, world!"  # what is answered, unless a body is posted
    to_limit: float | None = None  # CPU a request: at most this many times the limit's
    to_stock: float | None = None  # CPU a request: at least this many times under stock Tornado's
    instructions: int | None = None  # user instructions a request: at most


ROWS = (
    # Of its instructions about 4,000 are the callback's own: it makes HTTPHeaders, a dict and a str.
    Row("callback", "hello, callback", "callback", to_limit=1.25, to_stock=11, instructions=9000),
    Row("raw", "hello, callback with request.write", "raw", to_limit=1.25, instructions=5000),
    Row("handler", "hello, RequestHandler", "handler", to_limit=1.6, to_stock=12, instructions=16000),
    Row("patterns", "hello, the last of 200 patterns", "patterns", path="/section199/7", instructions=16000),
    Row("nested", "hello, 50 nested patterns", "patterns", path="/nested/section49/7", instructions=20000),
    # About 5,000 of them are the delegates' own frames and objects.
    Row("delegate", "hello, delegate", "delegate", instructions=14500),
    Row("async", "hello, async RequestHandler", "handler", path="/async", to_stock=14),
    Row("pipeline", "pipelined x16, callback", "callback", pipeline=16, to_stock=65),
    Row("pipeline_raw", "pipelined x16, callback with request.write", "raw", pipeline=16),
    Row("pipeline_handler", "pipelined x16, RequestHandler", "handler", pipeline=16, to_stock=45),
    # Handlers as people write them.
    Row("initialize", "initialize sets an attribute", "handlers", path="/initialize", instructions=15000),
    Row("hooks", "five hooks overridden", "handlers", path="/hooks", instructions=25000),
    Row(
        *("item", "the same, async, an argument, JSON", "handlers"),
        path="/items/17?name=world",
        to_stock=18,
        instructions=40000,
        body='{"id": "17", "name": "world", "user": "alice"}',
    ),
    Row("argument", "get_argument", "handlers", path="/argument?name=world!", instructions=18000),
    Row(
        *("dict", "a dict as JSON", "handlers"),
        path="/dict",
        instructions=26000,
        body='{"text": "Hello, world!"}',
    ),
    Row("cookie", "set_cookie", "handlers", path="/cookie", instructions=52000),
    Row("replaced", "a method replaced on the instance", "handlers", path="/replaced", instructions=25000),
    Row("coroutine", "@gen.coroutine that does not suspend", "handlers", path="/coroutine", to_stock=12),
    Row("suspend", "async def that suspends once", "handlers", path="/suspend", to_stock=18),
    Row("wrapped", "prepare, on_finish wrapped by a tool", "handlers", path="/wrapped", instructions=25000),
    Row("awaited", "_execute wrapped by a tool", "handlers", path="/awaited"),
    # Their limit is nginx, with sendfile.
    Row(
        *("static", "static file, 100 KB", "static", "nginx", "/static/100k.bin"),
        to_limit=1.4,
        body="x" * 102400,
    ),
    Row("static_small", "static file, 13 bytes", "static", "nginx", "/static/small.txt"),
    Row("close", "Connection: close, callback", "callback", close=True, to_limit=1.2),
    Row("post", "POST 10 KB echo, callback", "callback", "post", post=True, to_limit=1.2),
    Row("post_handler", "POST 10 KB echo, RequestHandler", "handler", "post", post=True, to_stock=12),
    Row("connections", "1000 connections, callback", "callback", connections=1000, to_limit=1.25),
    Row("large", "1 MiB response, callback", "large", "large", connections=16, to_limit=1.1),
)
BY_NAME = {row.name: row for row in ROWS}
