"""WebSocketHandler as programs use it: what they override, set and replace, beside stock Tornado's. Each test
is a program that notes what happens. With ours it must note the same: natively, through delegates, in TLS.
"""

import asyncio
import contextvars
import inspect

import pytest

from support.live_http import wait_for
from support.live_ws import WAYS, close, frame, live, request, text
from support.web_servers import collecting

var = contextvars.ContextVar("var", default="unset")


def course(way, make, talk, **settings):
    """What a program notes while talk(peer, server) speaks with it, and the lines of its log."""
    notes = []

    def handlers(implementation):
        made = make(implementation, notes.append)
        return made if isinstance(made, list) else [("/(.*)", made)]

    with collecting() as log, live(handlers, way, **settings) as server:
        with server.connect() as peer:
            talk(peer, server)
        server.left(5.0)
        server.settle()
        server.settle()
        lines = [
            (name, level, said.replace("='https'", "='http'"), kind) for name, level, said, kind in log.take()
        ]
    return notes, lines


@pytest.fixture(name="same", params=WAYS)
def _same(request):
    """Runs a program with stock's and with ours; returns what both noted."""

    def run(make, talk, log=True, **settings):
        stock, ours = (course(way, make, talk, **settings) for way in ("stock", request.param))
        assert ours[0] == stock[0]
        if log:
            assert ours[1] == stock[1]
        return ours[0]

    run.way = request.param
    return run


def until_closed(*messages):
    """Sends messages, then closes and waits for the server's end."""

    def talk(peer, server):
        assert b" 101 " in peer.open("/some/path")
        for message in messages:
            peer.send(message if isinstance(message, bytes) else text(message))
        peer.send(close(1001, "bye"))
        peer.frames()

    return talk


# ---- what is left of the handshake ----


def test_the_response_can_be_read_later(same):
    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def set_default_headers(self):
                self.set_header("X-Default", "1")

            def prepare(self):
                self.add_header("X-Two", "a")
                self.add_header("X-Two", "b")
                if "new" in self.request.path:
                    self.request.path = "/newer"

            def look(self):
                headers = self._headers
                note(sorted(pair for pair in headers.get_all() if pair[0] not in ("Server", "Date")))
                note((type(headers).__name__, "Date" in headers, headers is self._headers))
                note((self.get_status(), self.request.method, self.request.uri, self.request.path))
                note((self.request.headers["Host"][:9], self.request.host[:9], self.request.version))

            def open(self, *args):
                self.look()

            def on_message(self, message):
                self.look()
                self._headers["X-Late"] = message

            def on_close(self):
                self.look()
                del self._headers
                note(hasattr(self, "_headers"))

        return Handler

    notes = same(make, until_closed("1", "2"))
    assert ("X-Late", "2") in notes[-5] and notes[-1] is False

    def of_new(peer, server):
        peer.open("/new?a=b")
        peer.send(close(1000))
        peer.frames()

    assert (101, "GET", "/new?a=b", "/newer") in same(make, of_new)


def test_what_was_sent_and_matched_can_be_read_later(same):
    heads = []

    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def prepare(self):
                self.set_cookie("a", self.request.path)

            def on_message(self, message):
                sent = {f"{name}: {value}".encode() for name, value in self._headers.get_all()}
                note((sent <= set(heads[-1].split(b"\r\n")), len(sent)))
                note((self.open_args, self.open_kwargs, self._write_buffer))

        return Handler

    def talk(peer, server):
        heads.append(peer.open("/some/path"))
        peer.send(text("1"))
        peer.send(close(1000))
        peer.frames()

    notes = same(make, talk)
    assert notes[0][0] and notes[1][1:] == ({}, [])


# ---- subclasses ----


def test_on_close_runs_in_a_task(same):
    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def on_message(self, message):
                if message == "close":
                    self.close()

            def on_close(self):
                task = asyncio.current_task()
                note((task.done(), task in asyncio.all_tasks()))
                if "raise" in self.open_args:
                    raise ZeroDivisionError

        return [("/some/(path)", Handler), ("/(.*)", Handler)]

    assert same(make, until_closed()) == [(False, True)]
    assert same(make, until_closed("close")) == [(False, True)]

    def talk(peer, server):
        peer.open("/raise")
        peer.reset()

    assert same(make, talk) == [(False, True)]


def test_the_usual_course(same):
    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def initialize(self):
                note(("initialize", self.ws_connection if hasattr(self, "ws_connection") else None))

            def prepare(self):
                note(
                    ("prepare", self.ws_connection, self.close_code, self.close_reason, self._on_close_called)
                )

            def on_finish(self):
                note(("on_finish", self.get_status(), self._finished))

            def open(self, *args, **kwargs):
                note(("open", args, kwargs, self.open_args, self.open_kwargs))
                note((bool(self.ws_connection), self.request.connection.stream, self.selected_subprotocol))
                stream = self.ws_connection.stream
                note((isinstance(stream, implementation.iostream.IOStream), stream.closed()))
                note(
                    (self.path_args, self.request.path, self.request.headers["Host"], self.request.remote_ip)
                )

            def on_message(self, message):
                note(("on_message", message))

            def on_ping(self, data):
                note(("on_ping", data))

            def on_pong(self, data):
                note(("on_pong", data))

            def on_close(self):
                note(("on_close", self.close_code, self.close_reason, self.ws_connection))
                note((self._on_close_called, self.request.connection.stream))

        return Handler

    same(make, until_closed("one", frame(2, b"two"), frame(9, b"ping"), frame(10, b"pong")))


def test_attributes_before_ours(same):
    """As Dask's and Bokeh's handlers."""

    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def __init__(self, application, request, extra=None, **kwargs):
                self.request = request
                self.extra = extra
                self.ws_connection = "mine"
                self.close_code = 17
                super().__init__(application, request, **kwargs)
                note((self.ws_connection, self.close_code, self.extra))

            def on_message(self, message):
                note(message + self.extra)

        return [("/(.*)", Handler, {"extra": "!"})]

    assert same(make, until_closed("hello")) == [(None, None, "!"), "hello!"]


def test_init_runs_twice_and_methods_are_on_the_instance(same):
    """As jupyter-server-proxy's handlers."""

    def make(implementation, note):
        class Mixin(implementation.websocket.WebSocketHandler):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                bases = inspect.getmro(type(self))
                following = bases[bases.index(Mixin) + 1]

                def wrapper(method):
                    def undisallow(*args, **kwargs):
                        getattr(following, method)(self, *args, **kwargs)

                    return undisallow

                for method in (
                    "write",
                    "redirect",
                    "set_header",
                    "set_cookie",
                    "set_status",
                    "flush",
                    "finish",
                ):
                    setattr(self, method, wrapper(method))
                following.__init__(self, *args, **kwargs)

            async def get(self, *args, **kwargs):
                if self.request.headers.get("Upgrade", "").lower() != "websocket":
                    return await self.http_get(*args, **kwargs)
                await super().get(*args, **kwargs)
                note("get has ended")

        class Handler(Mixin, implementation.web.RequestHandler):
            def initialize(self):
                note("initialize")

            async def http_get(self, *args):
                self.set_header("X-Plain", "yes")
                self.write("plain")

            def open(self, *args):
                try:
                    self.write("x")
                except RuntimeError as e:
                    note(str(e))

            def on_message(self, message):
                self.write_message(message)
                note(message)

        return Handler

    def talk(peer, server):
        peer.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        head, body = peer.answer()
        assert body == b"plain" and b"X-Plain: yes" in head
        until_closed("hello")(peer, server)

    same(make, talk)


def test_what_responds_to_http_raises(same):
    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def __init__(self, *args, **kwargs):
                self.write = lambda chunk: note("my own write")
                super().__init__(*args, **kwargs)

            def open(self, *args):
                calls = {
                    "write": ["x"],
                    "redirect": ["/"],
                    "set_header": ["a", "b"],
                    "set_cookie": ["a", "b"],
                    "set_status": [500],
                    "flush": [],
                    "finish": [],
                }
                for name, arguments in calls.items():
                    try:
                        getattr(self, name)(*arguments)
                    except RuntimeError as e:
                        note((name, str(e), name in vars(self)))

        return Handler

    assert len(same(make, until_closed())) == 7


def test_a_handler_that_skips_our_init(same):
    """It calls RequestHandler's alone. Stock has no attributes then."""

    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def __init__(self, application, request, **kwargs):
                implementation.web.RequestHandler.__init__(self, application, request, **kwargs)

            def on_message(self, message):
                note(message)

            def on_close(self):
                note((self.close_code, self.ws_connection))

        return Handler

    assert course(same.way, make, until_closed("hello"))[0] == ["hello", (1001, None)]


def test_code_around_get_runs_until_the_end(same):
    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            async def get(self, *args):
                note("before")
                try:
                    result = await super().get(*args)
                finally:
                    note(("after", self.close_code, self.ws_connection))
                note(result)

            def open(self, *args):
                note("open")

            def on_message(self, message):
                note(message)

            def on_close(self):
                note("on_close")

            def on_finish(self):
                note("on_finish")

        return Handler

    notes = same(make, until_closed("hello"))
    assert notes[-2:] == [("after", 1001, None), None]


@pytest.mark.parametrize("on_instance", [False, True])
def test_code_around_execute_runs_until_the_end(same, on_instance):
    """As monitoring tools have it."""

    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def on_message(self, message):
                note(message)

        execute = Handler._execute

        async def wrapped(self, *args, **kwargs):
            note("before")
            await execute(self, *args, **kwargs)
            note(("after", self.close_code))

        if on_instance:
            Handler.initialize = lambda self: setattr(self, "_execute", wrapped.__get__(self))
        else:
            Handler._execute = wrapped
        return Handler

    assert same(make, until_closed("hello")) == ["before", "hello", ("after", 1001)]


def test_get_that_does_not_wait(same):
    """The coroutine of super().get() is run elsewhere."""

    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def get(self, *args):
                note("get")
                return asyncio.ensure_future(super().get(*args))

            def on_message(self, message):
                note(message)

        return Handler

    same(make, until_closed("hello"))


def test_settings_and_properties(same):
    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def open(self, *args):
                params = self.ws_connection.params
                note((params.ping_interval, params.ping_timeout, params.max_message_size))
                note((self.ping_interval, self.ping_timeout, self.max_message_size))
                note((self.ws_connection.ping_interval, self.ws_connection.ping_timeout))

        class Own(Handler):
            ping_interval = 1000
            ping_timeout = property(lambda self: 500)
            max_message_size = property(lambda self: 17)

        return [("/own", Own), ("/(.*)", Handler)]

    def talk(peer, server):
        until_closed()(peer, server)
        with server.connect() as other:
            other.open("/own")
            other.send(close()).frames()

    settings = {"websocket_ping_interval": 2000, "websocket_max_message_size": 99}
    assert same(make, talk, **settings) == [
        *[(2000, None, 99), (2000, None, 99), (2000, 2000)],
        *[(1000, 500, 17), (1000, 500, 17), (1000, 500)],
    ]
    same(make, talk)


def test_the_settings_of_one_connection_may_be_changed(same):
    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def on_message(self, message):
                params = self.ws_connection.params
                note((type(params).__name__, params is self.ws_connection.params, vars(params).get("own")))
                note((params.max_message_size, params.compression_options, self.max_message_size))
                if message == "change":
                    params.max_message_size, params.own = 5, True
                self.write_message(message)

        return Handler

    def talk(peer, server):
        with server.connect() as other:
            peer.open("/")
            other.open("/")
            for client, message in ((peer, "change"), (other, "long enough"), (peer, "short")):
                client.send(text(message))
                assert client.message() == message
            assert peer.send(text("longer")).frames()[-1][0] == 0x88

    assert [note[0] for note in same(make, talk)[1::2]] == [10485760, 10485760, 5]


def test_the_ping_timeout_is_at_most_the_interval(same):
    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def open(self, *args):
                note(self.ws_connection.ping_timeout)

        implementation.websocket.de_dupe_gen_log.cache_clear()
        return Handler

    def talk(peer, server):
        for _ in range(3):
            with server.connect() as other:
                other.open()
                other.send(close()).frames()

    assert same(make, talk, websocket_ping_interval=100, websocket_ping_timeout=200) == [100] * 3


def test_templates_are_rendered_after_the_handshake(same):
    def make(implementation, note):
        from tornado.template import DictLoader

        class Handler(implementation.websocket.WebSocketHandler):
            def on_message(self, message):
                note(self.render_string("page", message=message))

            def get_template_namespace(self):
                return {"message": "-", **super().get_template_namespace()}

            def create_template_loader(self, path):
                return DictLoader({"page": "<b>{{ message }}</b>"})

        return Handler

    assert same(make, until_closed("a<b"), template_path="/tmp") == [b"<b>a&lt;b</b>"]


# ---- protocols of their own ----


def test_a_protocol_that_is_subclassed(same):
    def make(implementation, note):
        websocket = implementation.websocket

        class Protocol(websocket.WebSocketProtocol13):
            async def accept_connection(self, handler):
                note("accept_connection")
                await super().accept_connection(handler)
                note("accepted, and ended")

            def _handle_websocket_headers(self, handler):
                note("_handle_websocket_headers")
                super()._handle_websocket_headers(handler)

            def _challenge_response(self, handler):
                value = super()._challenge_response(handler)
                note(value)
                return value

            async def _accept_connection(self, handler):
                note("_accept_connection")
                await super()._accept_connection(handler)

            async def _receive_frame_loop(self):
                note("_receive_frame_loop")
                await super()._receive_frame_loop()

            def start_pinging(self):
                note("start_pinging")
                super().start_pinging()

        class Handler(websocket.WebSocketHandler):
            def get_websocket_protocol(self):
                params = websocket._WebSocketParams(max_message_size=100)
                return Protocol(self, False, params)

            def on_message(self, message):
                note(message)

        return Handler

    assert same(make, until_closed("hello"))[-1] == "accepted, and ended"


def test_a_protocol_from_scratch(same):
    """Over the interface alone: it speaks lines."""

    def make(implementation, note):
        class Lines(implementation.websocket.WebSocketProtocol):
            selected_subprotocol = None

            async def accept_connection(self, handler):
                handler.clear_header("Content-Type")
                handler.set_status(101)
                handler.finish()
                self.stream = handler._detach_stream()
                handler.open(*handler.open_args)
                while not self.is_closing():
                    line = await self.stream.read_until(b"\n")
                    done = self._run_callback(handler.on_message, line)
                    if done is not None:
                        await done

            def close(self, code=None, reason=None):
                note(("close", code, reason))

            def is_closing(self):
                return self.stream.closed()

            def write_message(self, message, binary=False):
                return self.stream.write(message)

            def write_ping(self, data):
                pass

            def _process_server_headers(self, key, headers):
                pass

            def start_pinging(self):
                pass

            async def _receive_frame_loop(self):
                pass

            def set_nodelay(self, x):
                note(("nodelay", x))

        class Handler(implementation.websocket.WebSocketHandler):
            def get_websocket_protocol(self):
                return Lines(self)

            def open(self, *args):
                self.set_nodelay(True)

            async def on_message(self, message):
                await asyncio.sleep(0)
                if message == b"bad\n":
                    raise ZeroDivisionError
                await self.write_message(message.upper())
                note(message)

        return Handler

    def talk(peer, server):
        peer.open()
        assert peer.send(b"one\ntwo\n").until(b"TWO\n") == b"ONE\nTWO\n"
        assert peer.send(b"bad\n").rest() == b""

    same(make, talk)


def test_periodic_ping_that_is_replaced(same):
    def make(implementation, note):
        websocket = implementation.websocket

        class Protocol(websocket.WebSocketProtocol13):
            async def periodic_ping(self):
                note(("periodic_ping", self.ping_interval))
                self.write_ping(b"mine")

        class Handler(websocket.WebSocketHandler):
            def get_websocket_protocol(self):
                return Protocol(self, False, websocket._WebSocketParams(ping_interval=7))

            def on_pong(self, data):
                note(("pong", data))

        return Handler

    def talk(peer, server):
        peer.open()
        assert peer.frame() == (0x89, b"mine")
        peer.send(frame(10, b"mine") + close()).frames()

    assert same(make, talk) == [("periodic_ping", 7), ("pong", b"mine")]


@pytest.mark.parametrize("end", ["close", "abort", "reset", "their close"])
def test_periodic_ping_that_is_replaced_ends_with_the_connection(same, end):
    def make(implementation, note):
        websocket = implementation.websocket

        class Protocol(websocket.WebSocketProtocol13):
            async def periodic_ping(self):
                try:
                    await asyncio.Event().wait()
                finally:
                    note("cancelled")

        class Handler(websocket.WebSocketHandler):
            def get_websocket_protocol(self):
                self.protocol = Protocol(self, False, websocket._WebSocketParams(ping_interval=7))
                return self.protocol

            def on_message(self, message):
                if message == "close":
                    self.close()
                if message == "abort":
                    self.protocol._abort()

            def on_close(self):
                note(self.protocol._ping_coroutine)

        return Handler

    def talk(peer, server):
        peer.open()
        server.settle()
        if end == "reset":
            peer.reset()
            return
        peer.send(text(end) if end in ("close", "abort") else close(1000))
        if end == "close":
            assert peer.frame() == (0x88, b"")
            server.settle()
            peer.send(close())
        peer.frames()

    assert sorted(same(make, talk), key=str) == [None, "cancelled"]


@pytest.mark.parametrize("where", ["class", "instance", "subclass"])
def test_methods_that_only_python_calls_may_be_replaced(same, where, monkeypatch):
    names = ("_accept_connection", "_receive_frame_loop", "periodic_ping", "ping_sleep_time")

    def make(implementation, note):
        websocket = implementation.websocket
        Stock = websocket.WebSocketProtocol13

        def noted(name, function):
            return lambda *args, **kwargs: (note(name), function(*args, **kwargs))[1]

        class Protocol(Stock):
            pass

        for name in names:
            method = vars(Stock)[name]
            replacement = noted(name, getattr(method, "__func__", method))
            if isinstance(method, staticmethod):
                replacement = staticmethod(replacement)
            if where != "instance":
                monkeypatch.setattr(Stock if where == "class" else Protocol, name, replacement)

        class Handler(websocket.WebSocketHandler):
            def get_websocket_protocol(self):
                params = websocket._WebSocketParams(ping_interval=0.02, ping_timeout=0)
                protocol = Protocol(self, False, params)
                if where == "instance":
                    for name in names:
                        setattr(protocol, name, noted(name, getattr(protocol, name)))
                return protocol

        return Handler

    def talk(peer, server):
        peer.open()
        assert peer.frame() == peer.frame() == (0x89, b"")
        peer.send(close())
        while peer.frame():
            pass

    called = [course(way, make, talk)[0] for way in ("stock", same.way)]
    monkeypatch.undo()
    assert set(called[0]) == set(called[1]) == set(names)


def test_flags_of_the_protocol_take_any_object(same):
    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def on_message(self, message):
                protocol = self.ws_connection
                for name in ("mask_outgoing", "client_terminated", "server_terminated", "_received_pong"):
                    for value in (1, "yes", None, 0):
                        setattr(protocol, name, value)
                        note(bool(getattr(protocol, name)))
                note(
                    implementation.websocket.WebSocketProtocol13(self, 1, protocol.params).mask_outgoing == 1
                )
                machine = implementation.websocket._PerMessageDeflateCompressor(1, None)
                machine._persistent = 0
                note(bool(machine._persistent))

        return Handler

    assert same(make, until_closed("go")) == [True, True, False, False] * 4 + [True, False]


# ---- contexts ----


def test_one_context_for_life(same):
    """What prepare or open sets is seen in all that follows."""

    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def prepare(self):
                var.set(self.get_argument("way", "prepare"))

            def open(self, *args):
                note(("open", var.get()))
                if var.get() == "open":
                    var.set("opened")

            def on_message(self, message):
                note((message, var.get()))

            def on_ping(self, data):
                note(("ping", var.get()))

            def on_pong(self, data):
                note(("pong", var.get()))

            def on_close(self):
                note(("close", var.get()))

        class Async(Handler):
            async def prepare(self):
                await asyncio.sleep(0)
                super().prepare()

            async def open(self, *args):
                super().open(*args)
                await asyncio.sleep(0)
                var.set(var.get() + " late")

        return [("/async", Async), ("/sync", Handler)]

    def talk(peer, server):
        for path in ("/sync?way=prepare", "/sync?way=open", "/async?way=prepare", "/async?way=open"):
            with server.connect() as other:
                other.open(path)
                other.send(text("hello") + frame(9) + frame(10) + close()).frames()
            server.settle()

    notes = same(make, talk)
    assert ("hello", "opened late") in notes and ("close", "opened") in notes


# ---- the end ----


def test_closing_from_open(same):
    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def open(self, *args):
                note(bool(self.ws_connection))
                self.close(4001, "no")
                note(self.ws_connection)
                for method in (self.write_message, self.ping):
                    with pytest.raises(implementation.websocket.WebSocketClosedError):
                        method("x")
                self.close()

            def on_close(self):
                note((self.close_code, self.close_reason))

        return Handler

    def talk(peer, server):
        peer.open()
        assert peer.frame() == (0x88, (4001).to_bytes(2) + b"no")
        peer.send(close(4001)).frames()

    assert same(make, talk) == [True, None, (4001, None)]


@pytest.mark.parametrize("late", [False, True])
def test_open_that_fails(same, late):
    """The connection is aborted. Stock does not call on_close then; ours does, once."""

    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            async def _late(self):
                await asyncio.sleep(0)
                raise ZeroDivisionError

            def open(self, *args):
                if late:
                    return self._late()
                raise ZeroDivisionError

            def on_message(self, message):
                note(message)

            def on_close(self):
                note(("on_close", self.close_code, self.ws_connection))

        return Handler

    def talk(peer, server):
        peer.open()
        peer.send(text("never"))
        assert peer.frames() == []

    (stock, stock_log), (ours, log) = (course(way, make, talk) for way in ("stock", same.way))
    assert stock == [] and ours == [("on_close", None, None)]
    assert log == stock_log
    assert [kind for *_, kind in log if kind] == ["ZeroDivisionError"]


def test_open_that_is_cancelled(same):
    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            async def open(self, *args):
                raise asyncio.CancelledError

            def on_close(self):
                note("on_close")

        return Handler

    notes, _ = course(same.way, make, lambda peer, server: peer.open() and peer.frames())
    assert notes == ["on_close"]


@pytest.mark.parametrize("path", ["/prepare", "/open"])
def test_a_client_that_leaves_meanwhile(same, path):
    """on_close is called once, and nothing is logged but the request."""
    waiting = []

    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            async def pause(self):
                waiting.append(asyncio.Event())
                await waiting[0].wait()

            async def prepare(self):
                if path == "/prepare":
                    await self.pause()

            async def open(self):
                note("open")
                await self.pause()
                note("opened")

            def on_message(self, message):
                note(message)

            def on_close(self):
                note("on_close")

        return [(path, Handler)]

    def talk(peer, server):
        peer.send(request(path))
        wait_for(lambda: waiting)
        if path == "/open":
            peer.head()
        peer.reset()
        server.left()
        server.settle()
        server.call(waiting.pop().set)
        server.settle()

    notes, log = course(same.way, make, talk)
    assert notes == (["on_close"] if path == "/prepare" else ["open", "opened", "on_close"])
    assert [line for line in log if line[0] != "tornado.access"] == []


# ---- what is replaced ----


def test_write_message_wherever_it_is_replaced(same):
    """In a subclass, on the instance, of the connection, and connections that are none of ours."""

    def make(implementation, note):
        class Recorder:
            selected_subprotocol = None

            def is_closing(self):
                note("is_closing")
                return False

            def write_message(self, message, binary=False):
                note((type(self).__name__, message, binary))
                return "written"

            def close(self, *args):
                note(("close", args))

            def on_connection_close(self):
                note("on_connection_close")

        class Handler(implementation.websocket.WebSocketHandler):
            def write_message(self, message, binary=False):
                note(("subclass", message, binary))
                return super().write_message(message, binary)

            def on_message(self, message):
                connection = self.ws_connection
                if message == "plain":
                    self.write_message(message)
                    self.write_message(b"bytes", binary=True)
                    self.write_message({"a": [1, "</script>"]})
                elif message == "instance":
                    self.write_message = lambda *args: note(("instance", args))
                    self.write_message(message, True)
                    del self.write_message
                elif message == "connection":
                    connection.write_message = lambda message, binary: note(("connection", message, binary))
                    self.write_message(message)
                    self.write_message({"a": 1})
                    del connection.write_message
                    connection.is_closing = lambda: True
                    with pytest.raises(implementation.websocket.WebSocketClosedError):
                        self.write_message(message)
                    del connection.is_closing
                elif message == "mock":
                    self.ws_connection = Recorder()
                    note(self.write_message({"a": 1}, binary=True))
                    self.close(1, "two")
                    self.ws_connection = connection
                elif message == "none":
                    self.ws_connection = None
                    with pytest.raises(implementation.websocket.WebSocketClosedError):
                        self.write_message(message)
                    self.ws_connection = connection
                elif message == "wrong":
                    for wrong in (None, 17, ["x"], object):
                        try:
                            self.write_message(wrong)
                        except (TypeError, AssertionError) as e:
                            note(type(e).__name__)

            def on_close(self):
                note("on_close")

        return Handler

    messages = ("plain", "instance", "connection", "mock", "none", "wrong")
    assert same(make, until_closed(*messages))[-1] == "on_close"


def test_ws_connection_that_is_deleted(same):
    """While the parser holds bytes."""

    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def on_message(self, message):
                note(message)
                if message == "one":
                    self.kept = self.ws_connection
                    del self.ws_connection
                    note(hasattr(self, "ws_connection") and self.ws_connection)

            def on_close(self):
                note(("on_close", self.close_code))

        return Handler

    ours = course(same.way, make, until_closed("one", "two"))[0]
    assert ours == ["one", None, "two", ("on_close", 1001)]


def wrapped(function, name, note):
    def wrapper(self, *args, **kwargs):
        note(name)
        return function(self, *args, **kwargs)

    return wrapper


def test_classes_that_are_patched(same, monkeypatch):
    """As monitoring tools do, at run time."""

    def make(implementation, note):
        class Handler(implementation.websocket.WebSocketHandler):
            def on_message(self, message):
                note(message)
                self.write_message(message)

        for cls, name in (
            (implementation.websocket.WebSocketHandler, "on_ws_connection_close"),
            (implementation.websocket.WebSocketHandler, "write_message"),
            (implementation.websocket.WebSocketHandler, "get"),
            (implementation.websocket.WebSocketProtocol13, "_write_frame"),
            (implementation.websocket.WebSocketProtocol13, "close"),
        ):
            monkeypatch.setattr(cls, name, wrapped(getattr(cls, name), name, note))
        return Handler

    notes = same(make, until_closed("hello"))
    monkeypatch.undo()
    assert {"get", "write_message", "_write_frame", "close", "on_ws_connection_close"} < set(notes)
