"""Objects that no caller should pass: plain odd values, and instances of classes whose methods misbehave.

Each is named by data that JSON can hold, so that a program that failed can be kept and run again: ["v", NAME]
is one of VALUES, ["t", NAME] an object of the world, ["h", BASE, NAME, {METHOD: ACT}] an object of a class
derived from BASE whose methods do what the acts say. An act is {"do": [STEP, ...], "then": OUTCOME,
"after": N}: after N calls the steps are performed, then the method ends with the outcome.
"""

from __future__ import annotations

import array
import asyncio
import collections
import contextlib
import contextvars
import datetime
import decimal
import enum
import fractions
import functools
import inspect
import io
import re
import socket
import ssl
import threading
import weakref
from collections.abc import Callable
from typing import Any


def _generator() -> Any:
    yield b"a"
    yield 1


def _exhausted() -> Any:
    made = _generator()
    collections.deque(made, maxlen=0)
    return made


async def _coroutine() -> None:
    await asyncio.sleep(0)


async def _async_generator() -> Any:
    yield 1


def _released() -> memoryview:
    view = memoryview(bytearray(b"abc"))
    view.release()
    return view


def _closed_socket() -> socket.socket:
    sock = socket.socket()
    sock.close()
    return sock


def _closed_file() -> io.BytesIO:
    file = io.BytesIO(b"abc")
    file.close()
    return file


def _dead_proxy() -> Any:
    return weakref.proxy(type("Gone", (), {})())


def _raise(*args: Any, **kwargs: Any) -> Any:
    raise ValueError("from a hostile function")


class _Colour(enum.IntEnum):
    RED = 1


def _own_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.SelectorEventLoop()
    loop.close()
    return loop


VALUES: dict[str, Callable[[], Any]] = {
    **{
        repr(value): functools.partial(lambda value: value, value)
        for value in (
            *(None, True, False, 0, 1, -1, 2, 5, 10, 200, 304, 1000, 65536, 2**31, 2**32 - 1, 2**63, 2**64),
            *(-(2**31), -(2**63), -(2**63) - 1, 10**30),
            *(0.0, 0.001, 0.002, -0.5, float("nan"), float("inf"), float("-inf"), 1e300, 2.0**63),
            *(
                "",
                "a",
                "Content-Length",
                "Transfer-Encoding",
                "chunked",
                "x: y",
                "\ud800",
                "a\0b",
                "a\r\nb: c",
            ),
            *("\xe9", "\u20ac", "\U0001f600", "5", "GET", "/", "http", "HTTP/1.1", "127.0.0.1", "localhost"),
            *(b"", b"abc", b"\r\n", b"a\0b", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", b"[", b"("),
            *((), (1, 2), ("a", "b"), ("127.0.0.1", 1), ("HTTP/1.1", 200, "OK"), ("GET", "/", "HTTP/1.1")),
            *(slice(None), slice(1, -1, 2), range(3), 1j, ..., NotImplemented, frozenset({1})),
        )
    },
    "long str": lambda: "a" * 100_000,
    "long wide str": lambda: "\u20ac" * 70_000,
    "long bytes": lambda: b"a" * 200_000,
    "bytearray": lambda: bytearray(b"abcdef"),
    "empty bytearray": bytearray,
    "large bytearray": lambda: bytearray(300_000),
    "memoryview": lambda: memoryview(bytearray(b"abcdef")),
    "read-only memoryview": lambda: memoryview(b"abcdef"),
    "strided memoryview": lambda: memoryview(bytearray(b"abcdef"))[::2],
    "wide memoryview": lambda: memoryview(array.array("i", [1, 2, 3])),
    "memoryview of two dimensions": lambda: memoryview(bytes(12)).cast("B", (3, 4)),
    "released memoryview": _released,
    "array": lambda: array.array("d", [1.5]),
    "list": lambda: [1, b"a", "b"],
    "empty list": list,
    "list in itself": lambda: (made := [1]).append(made) or made,
    "dict": lambda: {"a": "b", "Content-Length": "1"},
    "dict of odd keys": lambda: {1: 2, None: b"a", "a": [1]},
    "empty dict": dict,
    "set": lambda: {1, "a"},
    "deque": lambda: collections.deque([1, 2]),
    "generator": _generator,
    "exhausted generator": _exhausted,
    "async generator": _async_generator,
    "coroutine": _coroutine,
    "coroutine function": lambda: _coroutine,
    "lambda": lambda: lambda *args, **kwargs: None,
    "raising function": lambda: _raise,
    "builtin": lambda: len,
    "partial": lambda: functools.partial(_raise, 1),
    "bound method": lambda: [].append,
    "class": lambda: type("Plain", (), {}),
    "type": lambda: type,
    "str type": lambda: str,
    "object": object,
    "module": lambda: socket,
    "exception": lambda: ValueError("a", 1),
    "exception class": lambda: OSError,
    "base exception class": lambda: GeneratorExit,
    "exc_info": lambda: (ValueError, ValueError("x"), None),
    "pattern": lambda: re.compile(b"a*"),
    "str pattern": lambda: re.compile("a*"),
    "datetime": lambda: datetime.datetime(2020, 1, 1),
    "aware datetime": lambda: datetime.datetime(1, 1, 1, tzinfo=datetime.UTC),
    "timedelta": lambda: datetime.timedelta(milliseconds=1),
    "huge timedelta": lambda: datetime.timedelta.max,
    "decimal nan": lambda: decimal.Decimal("nan"),
    "fraction": lambda: fractions.Fraction(1, 3),
    "enum": lambda: _Colour.RED,
    "context": contextvars.copy_context,
    "socket": socket.socket,
    "connected socket": lambda: socket.socketpair()[0],
    "closed socket": _closed_socket,
    "file": lambda: io.BytesIO(b"abc"),
    "text file": lambda: io.StringIO("abc"),
    "closed file": _closed_file,
    "this file": lambda: open(__file__, "rb"),  # noqa: SIM115
    "dead proxy": _dead_proxy,
    "lock": threading.Lock,
    "tls context": lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    "memory bio": ssl.MemoryBIO,
    "closed foreign loop": _own_loop,
    "signature": lambda: inspect.signature(_raise),
    "null context": contextlib.nullcontext,
}

BASES: dict[str, type] = {
    cls.__name__: cls
    for cls in (object, str, bytes, int, float, dict, list, tuple, bytearray, set, type, socket.socket)
} | {"Exception": Exception, "Future": asyncio.Future, "datetime": datetime.datetime}

#: Methods that an object without a base gets.
FREE_METHODS = (
    "__await__ __iter__ __next__ __call__ __len__ __getitem__ __setitem__ __delitem__ __contains__ "
    "__getattr__ "
    "__getattribute__ __setattr__ __index__ __int__ __float__ __bool__ __str__ __repr__ __bytes__ "
    "__hash__ __eq__ "
    "__lt__ __enter__ __exit__ __aenter__ __aexit__ __aiter__ __anext__ __del__ __fspath__ __buffer__ "
    "__format__ "
    "__add__ __radd__ __mod__ __and__ __or__ __copy__ __reduce__ __instancecheck__ fileno read readinto "
    "write send "
    "recv throw close keys items values get get_all add match find_handler start_request headers_received "
    "data_received finish on_connection_close on_close transform_first_chunk transform_chunk connection_made "
    "connection_lost eof_received pause_writing resume_writing buffer_updated get_buffer encode decode lower "
    "split strip add_done_callback cancel done result set_result set_exception total_seconds getsockname "
    "setsockopt detach"
).split()

#: Not to be overridden: the interpreter needs them to make the class, or nothing of ours calls them.
_NEVER = {
    "__new__", "__init__", "__class__", "__init_subclass__", "__subclasshook__", "__dir__", "__sizeof__",
    "__doc__", "__class_getitem__", "__getnewargs__", "__getstate__", "__dict__", "__module__", "__weakref__",
    "__slots__", "__reduce_ex__", "mro",
}  # fmt: skip

RAISED: dict[str, type[BaseException]] = {
    cls.__name__: cls
    for cls in (
        *(
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            RuntimeError,
            OSError,
            BlockingIOError,
            StopIteration,
        ),
        *(ConnectionResetError, MemoryError, RecursionError, KeyboardInterrupt, SystemExit, GeneratorExit),
        *(UnicodeError, IndexError, OverflowError, NotImplementedError, ssl.SSLError, asyncio.CancelledError),
    )
}


def methods_of(base: str) -> list[str]:
    """What may be overridden in a class derived from that base."""
    cls = BASES[base]
    if cls is object:
        return FREE_METHODS
    names = {name for name in dir(cls) if callable(getattr(cls, name, None))} | {"__del__", "__getattr__"}
    return sorted(names - _NEVER)


def make_hostile(spec: list[Any], perform: Callable[..., Any], loop: asyncio.AbstractEventLoop) -> Any:
    """An object of ["h", BASE, NAME, {METHOD: ACT}]; perform(act, the base's method or None, args, kwargs)
    is the body of each method."""
    _, base_name, value_name, acts = spec
    base = BASES[base_name]
    namespace: dict[str, Any] = {}
    for name, act in acts.items():
        namespace[name] = _method(name, act, base, perform)
    cls = type(f"Hostile_{base_name}", (base,), namespace)
    value = VALUES[value_name]() if value_name else None
    try:
        if base is type:
            return cls("Made", (), {})
        if base is asyncio.Future:
            return cls(loop=loop)
        if base is datetime.datetime:
            return cls(2020, 1, 1)
        return cls(value) if isinstance(value, base) and base not in (object, socket.socket) else cls()
    except Exception:  # a method that it needs to be made misbehaved
        return object.__new__(object)


def _method(name: str, act: dict[str, Any], base: type, perform: Callable[..., Any]) -> Any:
    original = getattr(base, name, None)
    calls = [0]

    def method(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] <= act.get("after", 0):
            return original(*args, **kwargs) if original is not None else None
        return perform(act, original, args, kwargs)

    method.__name__ = name
    return method
