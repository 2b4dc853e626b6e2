"""What applications and tools override, replace and patch is honoured; what a request leaves behind."""

import asyncio
import gc
import inspect
import pickle
import socket
import threading
from unittest import mock

import pytest

from support.web_servers import body, request
from tornado_c import _core, web


class Hello(web.RequestHandler):
    def get(self):
        self.write("hello")


HOOKS = [
    "clear",
    "set_default_headers",
    "initialize",
    "prepare",
    "_cross_origin_protection",
    "get",
    "write",
    "finish",
    "set_etag_header",
    "compute_etag",
    "check_etag_header",
    "set_header",
    "_convert_header_value",
    "_should_not_send_content",
    "flush",
    "_log",
    "on_finish",
    "_break_cycles",
]


def recorder(name, calls):
    original = getattr(Hello, name)

    def method(self, *args, **kwargs):
        calls.append(name)
        return original(self, *args, **kwargs)

    return method


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("where", ["subclass", "later on the class", "later on RequestHandler", "instance"])
def test_replaced_method_is_called(serve, name, where):
    calls = []
    method = recorder(name, calls)

    class Handler(Hello):
        if where == "instance":

            def __init__(self, *args, **kwargs):
                setattr(self, name, method.__get__(self))
                super().__init__(*args, **kwargs)

    if where == "subclass":
        setattr(Handler, name, method)
    fetch = serve([("/", Handler)])
    assert body(fetch("/")) == b"hello"
    if where.startswith("later"):
        assert not calls
        target = Handler if where == "later on the class" else web.RequestHandler
        if name == "get":
            target = Handler  # Hello has one of its own
        with mock.patch.object(target, name, method):
            assert body(fetch("/")) == b"hello"
        assert calls
        count = len(calls)
        assert body(fetch("/")) == b"hello" and len(calls) == count
    assert calls


@pytest.mark.parametrize("name", ["write", "finish", "compute_etag", "on_finish", "flush"])
def test_method_replaced_on_the_instance_in_the_middle(serve, name):
    calls = []

    class Handler(Hello):
        def get(self):
            setattr(self, name, recorder(name, calls).__get__(self))
            self.write("hello")

    assert body(serve([("/", Handler)])("/")) == b"hello"
    assert calls == [name]


def test_init_replaced(serve):
    calls = []
    original = web.RequestHandler.__init__

    def init(self, application, request, **kwargs):
        calls.append(kwargs)
        original(self, application, request, **kwargs)

    class Handler(Hello):
        def initialize(self, x):
            self.x = x

    fetch = serve([("/", Handler, {"x": 1})])
    with mock.patch.object(web.RequestHandler, "__init__", init):
        assert body(fetch("/")) == b"hello"
    assert calls == [{"x": 1}]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_execute_replaced(serve, method):
    """Monitoring tools wrap _execute in a coroutine function of their own."""
    assert inspect.iscoroutinefunction(web.RequestHandler._execute)
    original = web.RequestHandler._execute
    calls = []

    async def execute(self, *args, **kwargs):
        calls.append((args, kwargs))
        await original(self, *args, **kwargs)
        calls.append(self.get_status())

    class Handler(web.RequestHandler):
        def get(self, arg):
            self.write("got " + arg)

        async def post(self, arg):
            await asyncio.sleep(0)
            raise web.HTTPError(402)

    fetch = serve([("/(.*)", Handler)])
    with mock.patch.object(web.RequestHandler, "_execute", execute):
        answer = fetch("/a%20b", method, ["Content-Length: 0"])
    assert calls[0] == (([], b"a b"), {})
    assert calls[1] == (200 if method == "GET" else 402)
    assert answer.startswith(b"HTTP/1.1 200 OK" if method == "GET" else b"HTTP/1.1 402 Payment")


def test_getattr_in_a_handler(serve):
    class Handler(Hello):
        def __getattr__(self, name):
            raise AttributeError(name)

    assert body(serve([("/", Handler)])("/")) == b"hello"


def test_getattribute_in_a_handler(serve):
    class Handler(Hello):
        def __getattribute__(self, name):
            found = super().__getattribute__(name)
            return (lambda: '"mine"') if name == "compute_etag" else found

    assert b'\r\nEtag: "mine"\r\n' in serve([("/", Handler)])("/")


def test_skipped_init(serve):
    class Handler(web.RequestHandler):
        def __init__(self, application, request):
            self.application = application
            self.request = request
            self.clear()

        def get(self):
            self.write("made by hand")

    assert body(serve([("/", Handler)])("/")) == b"made by hand"


def test_parts_of_the_class_show_as_the_class():
    """What RequestHandler's mixins bring is hidden by nothing, and is named as the class's own."""
    _, core, *mixins, _ = web.RequestHandler.__mro__
    assert core is _core.HandlerBase and mixins
    for mixin in mixins:
        for name, member in vars(mixin).items():
            if name.startswith("__"):
                continue
            assert inspect.getattr_static(web.RequestHandler, name) is member
            if inspect.isfunction(member):
                assert member.__qualname__ == f"RequestHandler.{member.__name__}"
                assert pickle.loads(pickle.dumps(member)) is member


def test_missing_fields_raise_attribute_error():
    handler = web.RequestHandler.__new__(web.RequestHandler)
    for name in (
        "application",
        "request",
        "path_args",
        "_headers",
        "_status_code",
        "_write_buffer",
        "settings",
    ):
        with pytest.raises(AttributeError):
            getattr(handler, name)
    for call in (
        handler.finish,
        lambda: handler.set_header("a", "b"),
        lambda: handler.write(b"x"),
        handler.get_status,
    ):
        with pytest.raises(AttributeError):
            call()
    assert handler._finished is False and handler._prepared_future is None


def test_log_function(serve):
    seen = []
    fetch = serve([("/", Hello)], log_function=lambda handler: seen.append(handler.get_status()))
    fetch("/")
    fetch("/no")
    assert seen == [200, 404] and not serve.log.take()


def test_settings_that_are_attributes_of_an_object(serve, monkeypatch):
    monkeypatch.setattr(web.access_log, "disabled", True)  # only for a function there is something to do

    class Settings:
        pass

    settings, seen = Settings(), []
    settings.title = "hello"
    application = web.Application([("/", Hello)])
    application.settings = vars(settings)
    fetch = serve(application)
    server = serve.servers[-1]
    fetch("/")
    server.call(setattr, settings, "log_function", lambda handler: seen.append(handler.get_status()))
    fetch("/")
    server.call(delattr, settings, "log_function")
    fetch("/")
    assert server.call(list, seen) == [200]


def test_log_request_overridden(serve):
    seen = []

    class App(web.Application):
        def log_request(self, handler):
            seen.append(handler._request_summary())

    serve([("/", Hello)], cls=App)("/")
    assert seen == ["GET / (127.0.0.1)"]


def test_transforms(serve):
    class Upper:
        def __init__(self, request):
            self.path = request.path

        def transform_first_chunk(self, status_code, headers, chunk, finishing):
            headers["X-Finishing"] = str(finishing)
            return 201, headers, chunk.upper()

        def transform_chunk(self, chunk, finishing):
            return chunk.upper()

    class Two(web.RequestHandler):
        def get(self):
            self.write("one")
            self.flush()
            self.write("two")

    fetch = serve([("/", Hello), ("/two", Two)], transforms=[Upper])
    answer = fetch("/")
    assert (
        answer.startswith(b"HTTP/1.1 201 OK") and b"X-Finishing: True" in answer and body(answer) == b"HELLO"
    )
    assert body(fetch("/two")) == b"3\r\nONE\r\n3\r\nTWO\r\n0\r\n\r\n"


def test_asynchronous(serve):
    class Handler(web.RequestHandler):
        @web.asynchronous
        def get(self):
            asyncio.get_running_loop().call_soon(self.finish, "later")

        @web.asynchronous
        async def post(self):
            await asyncio.sleep(0)
            self.write("a coroutine")

    fetch = serve([("/", Handler)])
    assert body(fetch("/")) == b"later"
    assert body(fetch("/", "POST", ["Content-Length: 0"])) == b"a coroutine"


def test_on_connection_close(serve):
    closed, started = threading.Event(), threading.Event()

    class Handler(web.RequestHandler):
        async def get(self):
            started.set()
            await asyncio.sleep(0.05 if closed.wait(0) else 3600)

        def on_connection_close(self):
            closed.set()
            self.task.cancel()

        async def prepare(self):
            self.task = asyncio.current_task()

    serve([("/", Handler)])
    with socket.create_connection(serve.servers[0].address) as conn:
        conn.sendall(request("/"))
        assert started.wait(20) and not closed.is_set()
    assert closed.wait(20)


def test_cancelled_request_gets_a_response(serve):
    class Handler(web.RequestHandler):
        async def get(self):
            asyncio.current_task().cancel()
            await asyncio.sleep(3600)

    assert serve([("/", Handler)])("/").startswith(b"HTTP/1.1 500")


def test_old_flush_callback(serve):
    class Handler(web.RequestHandler):
        @web.asynchronous
        def get(self):
            self.write("one")
            self.flush(callback=lambda: self.finish("two"))

    assert body(serve([("/", Handler)])("/")) == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


class Chain(web.RequestHandler):
    async def get(self):
        await asyncio.sleep(0)
        self.write("x" * 10)
        self.attribute = 1

    def put(self):
        raise web.HTTPError(400, "no")

    def post(self):
        self.set_cookie("a", "b")
        self.redirect("/")


PER_REQUEST = (_core.HandlerBase, _core.RequestBase, _core.Execution)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_no_reference_cycles(serve, method):
    """A request that ran to its end leaves nothing for the collector."""
    fetch = serve([("/", Hello), ("/chain", Chain)])
    server = serve.servers[0]

    def count():
        gc.collect()
        return sum(isinstance(o, (*PER_REQUEST, _core.HTTPConnectionBase)) for o in gc.get_objects())

    for path in ("/", "/chain"):
        fetch(path, method, ["Content-Length: 0"])
        server.call(gc.collect)
        before = server.call(count)
        gc.disable()
        try:
            for _ in range(5):
                fetch(path, method, ["Content-Length: 0"])
            objects = server.call(lambda: [o for o in gc.get_objects() if isinstance(o, PER_REQUEST)])
            # Not the coroutine of an idle Task.
            left = [o for o in objects if getattr(o, "handler", o) is not None]
        finally:
            gc.enable()
        assert left == [] and before == server.call(count)


def test_bare_instances_are_distinguished():
    """The check of an instance's attributes, which knows the layout of each Python version."""

    class Handler(Hello):
        pass

    def finish_called(prepare):
        handler = Handler.__new__(Handler)
        prepare(handler)
        calls = []
        if "write" in vars(handler):
            handler.write = lambda chunk: calls.append(chunk)
        handler._write_buffer = []
        with pytest.raises((AttributeError, RuntimeError)):
            handler.finish(b"x")
        return calls

    assert finish_called(lambda h: None) == []
    assert finish_called(lambda h: setattr(h, "write", None)) == [b"x"]
    assert finish_called(lambda h: vars(h).update(write=None)) == [b"x"]

    def many(handler):
        for i in range(60):
            setattr(handler, f"a{i}", i)
        handler.write = None

    assert finish_called(many) == [b"x"]

    def deleted(handler):
        handler.other = 1
        handler.write = None
        del handler.other

    assert finish_called(deleted) == [b"x"]
