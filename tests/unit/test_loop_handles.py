"""asyncio.Handle and TimerHandle of ours where others lay hands on them: attributes replaced or deleted, and
_run replaced by a tool, beside asyncio's own.
"""

import asyncio
import contextlib
import socket

import pytest

import tornado_c
from support.children import run_alone

LOOPS = {"ours": tornado_c.EventLoop, "asyncio": asyncio.SelectorEventLoop}


@pytest.fixture(params=LOOPS)
def loop(request):
    with contextlib.closing(LOOPS[request.param]()) as loop:
        loop.reported = []
        loop.set_exception_handler(lambda _, context: loop.reported.append(context["exception"]))
        yield loop


def run(loop):
    loop.call_later(0.01, loop.stop)
    loop.run_forever()


KINDS = {
    "soon": lambda loop, *call: loop.call_soon(*call),
    "later": lambda loop, *call: loop.call_later(0.001, *call),
    "many arguments": lambda loop, call, *args: loop.call_soon(call, *args, *args, *args),
}


@pytest.fixture(params=KINDS)
def queue(request):
    return KINDS[request.param]


def test_another_callback(loop, queue):
    calls = []
    handle = queue(loop, print, 1)
    handle._callback = lambda *args: calls.append(args)
    run(loop)
    assert calls in ([(1,)], [(1, 1, 1)])


@pytest.mark.parametrize("args", [(), (1,), (1, 2), (1, 2, 3), [4, 5]])
def test_other_arguments(loop, queue, args):
    calls = []
    handle = queue(loop, lambda *args: calls.append(args), 1)
    handle._args = args
    assert handle._args is args
    run(loop)
    assert calls == [tuple(args)]


@pytest.mark.parametrize("truth", [1, "yes", [0]])
def test_cancelled_by_attribute(loop, queue, truth):
    handle = queue(loop, pytest.fail, "was called")
    handle._cancelled = truth
    assert handle.cancelled() == truth
    handle.cancel()
    run(loop)
    assert loop.reported == []


def test_not_cancelled_by_attribute(loop, queue):
    calls = []
    handle = queue(loop, calls.append, 1) if queue is not KINDS["many arguments"] else None
    if handle is not None:
        handle._cancelled = 0
        run(loop)
        assert calls == [1]


@pytest.mark.parametrize(
    ("name", "value"), [("_callback", None), ("_callback", 5), ("_args", None), ("_context", 5)]
)
def test_what_cannot_be_run_is_reported(loop, queue, name, value):
    handle = queue(loop, print, 1)
    setattr(handle, name, value)
    run(loop)
    assert [type(exc) for exc in loop.reported] == [AttributeError if name == "_context" else TypeError]


def test_another_deadline(loop):
    """asyncio does not order its timers anew; a single one shows it."""
    calls = []
    handle = loop.call_later(1000, calls.append, 1)
    handle._when = when = loop.time()
    assert handle.when() is when
    run(loop)
    assert calls == [1]


def test_scheduled_is_taken_and_known_better():
    with contextlib.closing(tornado_c.EventLoop()) as loop:
        handle = loop.call_later(1000, print)
        handle._scheduled = False
        assert handle._scheduled and list(loop._scheduled) == [handle]


def test_a_deadline_that_is_no_number_is_kept(loop):
    assert str(loop.call_at(float("nan"), print).when()) == "nan"


def test_nothing_that_is_put_into_a_handle_ends_the_process():
    program = """if True:
        import asyncio, gc, itertools, tornado_c

        class Hostile:
            def __bool__(self): raise KeyError
            def __eq__(self, other): raise KeyError
            def __hash__(self): raise KeyError
            def __repr__(self): raise KeyError
            def __float__(self): raise KeyError
            def __iter__(self): raise KeyError

        class Cancels:
            def __init__(self, handle): self.handle = handle
            def __bool__(self): self.handle.cancel(); return False
            def __repr__(self): self.handle.cancel(); return "x"
            def __del__(self): self.handle.cancel()

        NAMES = ["_callback", "_args", "_cancelled", "_loop", "_source_traceback", "_repr", "_context",
                 "_when", "_scheduled"]
        DELETED = object()
        VALUES = [5, None, "x", (), [1], Hostile(), max, asyncio.Future, DELETED, Cancels, float("nan")]

        def through_attribute(handle, name, value):
            delattr(handle, name) if value is DELETED else setattr(handle, name, value)

        def through_asyncio(handle, name, value):
            slot = getattr(asyncio.TimerHandle, name)
            slot.__delete__(handle) if value is DELETED else slot.__set__(handle, value)

        USES = [
            lambda handle: handle.cancel(), lambda handle: handle.cancelled(), repr, hash,
            lambda handle: handle._run(), lambda handle: handle.get_context(), lambda handle: handle.when(),
            lambda handle: handle == loop.call_later(9, int), lambda handle: handle < loop.call_later(9, int),
            lambda handle: loop._ready.append(handle), lambda handle: sorted(loop._scheduled),
            lambda handle: asyncio.TimerHandle.__init__(handle, 1, max, (1, 2), loop),
            lambda handle: type(handle)(1, max, (1, 2), loop)._run(),
            lambda handle: type(handle)(int, (), loop)._run(),
            lambda handle: [getattr(handle, name) for name in NAMES],
        ]

        def attempt(function, *args):
            try:
                function(*args)
            except Exception:
                pass

        makers = [
            lambda: loop.call_soon(int),
            lambda: loop.call_soon(max, 1, 2, 3), lambda: loop.call_later(0, max, 1, 2),
            lambda: loop.call_later(5, max, 1, 2, 3),
        ]
        for debug in (False, True):
            loop = tornado_c.EventLoop()
            loop.set_debug(debug)
            loop.set_exception_handler(lambda loop, context: None)
            for make, put, name, value in itertools.product(
                makers, [through_attribute, through_asyncio], NAMES, VALUES
            ):
                handle = make()
                attempt(put, handle, name, value(handle) if value is Cancels else value)
                for use in USES:
                    attempt(use, handle)
                    attempt(put, handle, name, value(handle) if value is Cancels else value)
                loop.call_soon(loop.stop)
                attempt(loop.run_forever)
                for other in list(loop._scheduled):
                    attempt(other.cancel)
                del handle
            gc.collect()
            loop.close()
        print("lives")
    """
    assert run_alone(program) == "lives\n"


# --------------------------------------------------------------------------- _run replaced


@pytest.fixture
def watched(monkeypatch):
    """What a tool like aiodebug does: notes each callback, then runs it."""

    def install(cls):
        original = cls._run

        def _run(self):
            seen.append(self._callback)
            return original(self)

        monkeypatch.setattr(cls, "_run", _run)

    seen = []
    install.seen = seen
    return install


@pytest.mark.parametrize("cls", [asyncio.Handle, asyncio.TimerHandle])
def test_run_replaced(loop, watched, cls):
    def first():
        watched(cls)  # while the loop runs
        loop.call_soon(second)
        loop.call_later(0, third)

    def second():
        calls.append(2)

    def third():
        calls.append(3)
        loop.call_soon(loop.stop)
        raise ZeroDivisionError

    calls = []
    loop.call_soon(first)
    loop.run_forever()
    assert calls == [2, 3]
    assert [callback for callback in watched.seen if callback in (second, third)] == (
        [second, third] if cls is asyncio.Handle else [third]
    )
    assert [type(exc) for exc in loop.reported] == [ZeroDivisionError]


def test_run_replaced_and_put_back(loop, watched, monkeypatch):
    loop.call_soon(int)
    run(loop)
    watched(asyncio.Handle)
    loop.call_soon(str)
    run(loop)
    monkeypatch.undo()
    loop.call_soon(list)
    run(loop)
    assert str in watched.seen and not {int, list} & set(watched.seen)


def test_run_replaced_in_the_types_of_ours(watched):
    with contextlib.closing(tornado_c.EventLoop()) as loop:
        watched(type(loop.call_soon(int)))
        watched(type(loop.call_later(0, str)))
        run(loop)
    assert {int, str} <= set(watched.seen)


def test_run_replaced_is_seen_by_transports(loop, watched):
    async def main():
        watched(asyncio.Handle)
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        theirs.send(b"a")
        assert await reader.read(1) == b"a"
        writer.close()
        theirs.close()

    loop.run_until_complete(main())
    assert "_read_ready" in {getattr(callback, "__name__", "") for callback in watched.seen}


def test_run_replaced_before_the_import():
    program = """if True:
        import asyncio
        original, seen = asyncio.events.Handle._run, []
        asyncio.events.Handle._run = lambda self: (seen.append(self._callback), original(self))
        import tornado_c
        loop = tornado_c.EventLoop()
        loop.call_soon(int)
        loop.call_soon(loop.stop)
        loop.run_forever()
        print(int in seen)
    """
    assert run_alone(program) == "True\n"


def test_callbacks_are_reported_whatever_their_names_are(loop):
    """A __qualname__ that is no str, and a traceback of the source whose truth value raises."""

    class Name:
        def __add__(self, other):
            return 5

    class Callback:
        def __init__(self):
            self.__qualname__ = Name()

        def __call__(self):
            raise KeyError("the callback's own")

    class Untrue:
        def __bool__(self):
            raise ValueError("no truth value")

    reports = []
    loop.set_exception_handler(lambda loop, context: reports.append(context))
    handle = loop.call_soon(Callback())
    if isinstance(loop, tornado_c.EventLoop):  # asyncio loses the callback's exception
        handle._source_traceback = Untrue()
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert [(report["message"], type(report["exception"])) for report in reports] == [
        ("Exception in callback 5", KeyError)
    ]
