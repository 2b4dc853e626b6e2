"""Draws steps at random, for what there is in a world. The names come from the live classes, so that what
is new in the extension or the package is called without anybody's doing."""

from __future__ import annotations

import functools
import importlib
import inspect
import random
import sys
from collections.abc import Callable, Sequence
from typing import Any

from hostile_faces import FACES
from hostile_steps import OPS, found
from hostile_values import BASES, RAISED, VALUES, methods_of
from hostile_world import World

MODULES = (
    "_core _asyncio.eventloop httputil httpserver http1connection iostream ioloop tcpserver tcpclient "
    "netutil web routing options log platform.asyncio"
).split()

#: What blocks by its nature, forks, ends the process, installs something for good or calls from threads.
NEVER = set(
    (
        "run_forever run_until_complete run_sync _run_loop _run_once _select start instance clear_instance "
        "clear_current install configure _save_configuration _restore_configuration fork_processes register "
        "enable_pretty_logging add_signal_handler run_in_executor set_default_executor getaddrinfo "
        "getnameinfo __init_subclass__ __subclasshook__ __class_getitem__ __subclasses__ mro __setstate__ "
        "subprocess_exec subprocess_shell set_parse_body_config AddThreadSelectorEventLoop SelectorThread "
        "initialize_child_watcher uninitialize Subprocess _process_self_data _read_from_self "
        "_signal_handlers _handle_signal sock_connect __abstractmethods__"
    ).split()
)
DULL = set("__doc__ __module__ __slots__ __annotations__ __qualname__ __parameters__ __orig_bases__".split())
NEVER_ON_CLASSES = {"__class__", "__new__", "__getattribute__", "__setattr__", "__delattr__", "__dict__"}

CALLABLES = ["lambda", "raising function", "builtin", "bound method", "partial", "coroutine function"]
BUFFERS = [
    repr(b"abc"),
    "long bytes",
    "bytearray",
    repr(b"\r\n"),
    repr(b""),
    "memoryview",
    "released memoryview",
    "strided memoryview",
]
TEXTS = [
    repr(text)
    for text in ("a", "Content-Length", "5", "", "chunked", "/", "a\r\nb: c", "\xe9", "\ud800", "http")
]
INTEGERS = [
    repr(number) for number in (1, 5, 200, 0, -1, 2, 304, 65536, 2**31, 2**63, 2**64, -(2**63) - 1, True)
]
NUMBERS = [repr(n) for n in (0.001, 0.0, 0.002, -0.5, float("nan"), float("inf"), 1e300, 0, 10**30)] + [
    "timedelta",
    "fraction",
]

Hint = tuple[list[str], list[str], list[str]]

#: What a parameter of that name likes: values, those that it takes first, bases of hostile objects, and
#: objects of the world.
_HINTS: dict[str, Hint] = {
    "callback fn func function handler streaming_callback close_callback connection_callback "
    "request_callback factory": (CALLABLES, ["object"], []),
    "num_bytes max_bytes size loc events state status_code status limit length offset count backlog "
    "max_body_size": (INTEGERS, ["int", "object"], []),
    "delay when timeout deadline callback_time jitter": (NUMBERS, ["float", "int", "object"], []),
    "data chunk buf body block delimiter regex line": (
        [*BUFFERS, "pattern"],
        ["bytes", "bytearray", "object", "str"],
        [],
    ),
    "name value key reason text uri path method version host url pattern prefix": (
        TEXTS,
        ["str", "bytes", "int", "object"],
        [],
    ),
    "headers": (["dict", "empty dict"], ["dict", "object"], ["headers", "parsed headers"]),
    "start_line": (["('HTTP/1.1', 200, 'OK')"], ["tuple", "object"], ["start line", "answer line"]),
    "request": (["object"], ["object"], ["request"]),
    "connection server_conn request_conn": (["object"], ["object"], ["connection"]),
    "stream socket sock source fd": (
        ["connected socket", "closed socket"],
        ["object", "int", "socket"],
        ["stream", "watched socket"],
    ),
    "handle": (["object"], ["object"], ["handle", "timer", "far timer"]),
    "loop io_loop core": (["closed foreign loop", "None"], ["object"], ["loop", "ioloop"]),
    "context": (["context"], ["object"], []),
    "config": ([], ["object"], ["config"]),
    "application": ([], ["object"], ["application"]),
    "args path_args": (["()", "(1, 2)"], ["tuple", "list"], []),
    "kwargs path_kwargs settings": (["dict", "empty dict"], ["dict"], []),
    "future": ([], ["Future", "object"], ["future", "task", "gate"]),
    "exc_info exc exception typ": (
        ["exception", "exception class", "exc_info", "True"],
        ["Exception"],
        [],
    ),
    "file": (["file", "this file", "closed file"], ["object"], []),
}
HINTS: dict[str, Hint] = {name: hint for names, hint in _HINTS.items() for name in names.split()}
ANYTHING: Hint = (list(VALUES), list(BASES), [])


@functools.cache
def own_names(cls: type) -> list[str]:
    """What classes of ours, and the C bases below them, define."""
    names = {name for base in cls.__mro__ if ours(base) for name in vars(base)}
    return sorted(names - NEVER - DULL)


@functools.cache
def core_names(cls: type) -> list[str]:
    """What the extension's classes among them define."""
    names = {name for base in cls.__mro__ if base.__module__ == "tornado_c._core" for name in vars(base)}
    return sorted(names - NEVER - DULL)


@functools.cache
def own_methods(cls: type) -> list[str]:
    return [name for name in own_names(cls) if callable(getattr(cls, name, None))]


@functools.cache
def core_methods(cls: type) -> list[str]:
    return [name for name in core_names(cls) if callable(getattr(cls, name, None))]


@functools.cache
def fields(cls: type) -> list[str]:
    """Attributes that are no methods, those of the extension's classes first of all."""
    return [name for name in core_names(cls) or own_names(cls) if not callable(getattr(cls, name, None))]


@functools.cache
def plain_names(cls: type) -> list[str]:
    return [name for name in all_names(cls) if not name.startswith("__")]


@functools.cache
def all_names(cls: type) -> list[str]:
    return sorted(set(dir(cls)) - NEVER)


def ours(cls: type) -> bool:
    return home(cls) in ("tornado_c", "_core")


def home(cls: type) -> str:
    """The top-level package of a class, as far as it lets one know."""
    module = cls.__module__
    return str.partition(module, ".")[0] if isinstance(module, str) else ""


@functools.cache
def classes() -> list[str]:
    """Every class of the extension and of the public modules, as "module:name"."""
    found = set()
    for name in MODULES:
        module = importlib.import_module(f"tornado_c.{name}")
        for attribute, value in vars(module).items():
            if isinstance(value, type) and ours(value) and attribute not in NEVER:
                found.add(f"{module.__name__}:{attribute}")
    return sorted(found)


@functools.cache
def functions() -> list[str]:
    found = set()
    for name in MODULES:
        module = importlib.import_module(f"tornado_c.{name}")
        for attribute, value in vars(module).items():
            own = (
                callable(value)
                and not isinstance(value, type)
                and getattr(value, "__module__", "") == module.__name__
            )
            if own and attribute not in NEVER:
                found.add(f"{module.__name__}:{attribute}")
    return sorted(found)


@functools.lru_cache(5000)
def parameters(cls: Any, name: str) -> tuple[str, ...]:
    """The names of a method's parameters without self."""
    try:
        found = list(inspect.signature(getattr(cls, name)).parameters.values())
    except (ValueError, TypeError, AttributeError):
        return ("?",)
    names = [p.name if p.kind != p.VAR_KEYWORD else "**" for p in found if p.kind != p.VAR_POSITIONAL]
    return tuple(names[1:] if names and names[0] in ("self", "$self") else names)


NamesOf = Callable[[type], list[str]]


class Generator:
    def __init__(self, rng: random.Random, world: World, preferred: Sequence[str] = ()) -> None:
        self.rng, self.world = rng, world
        self.preferred = preferred
        self.number = 0
        self.weights: dict[str, float] = WEIGHTS

    def often(self, percent: float) -> bool:
        return self.rng.random() * 100 < percent

    # ---- values ----

    def value(self, hint: str = "", depth: int = 0) -> list[Any]:
        rng = self.rng
        values, bases, targets = HINTS.get(hint, ANYTHING) if not self.often(25) else ANYTHING
        targets = [name for name in targets if name in self.world.objects]
        kind = rng.random()
        if targets and kind < 0.5:
            return ["t", rng.choice(targets)]
        if hint in HINTS and values and self.often(45):
            return ["v", rng.choice(values[:3])]  # what it takes
        if kind < 0.55 or depth > 2:
            return ["v", rng.choice(values or ANYTHING[0])]
        if kind < 0.62:
            return ["t", self.target()]
        if kind < 0.64:
            return ["c", rng.choice(classes())]
        if kind < 0.68:
            items = [self.value("", depth + 1) for _ in range(rng.randrange(4))]
            return ["seq", rng.choice(["list", "tuple", "iter"]), items]
        return self.hostile(rng.choice(bases), values, depth)

    def hostile(self, base: str, values: list[str], depth: int) -> list[Any]:
        rng = self.rng
        methods = methods_of(base)
        few = (
            rng.choice([1, 1, 2, 2, 3, 5])
            if base != "object"
            else rng.choice([2, 4, 6, 10, len(methods) // 2])
        )
        names = rng.sample(methods, min(few, len(methods)))
        if base == "object" and "__call__" not in names and self.often(60):
            names.append("__call__")
        if self.often(15) and "__del__" not in names:
            names.append("__del__")
        value = rng.choice(values) if values and base != "object" else ""
        return ["h", base, value, {name: self.act(depth + 1) for name in names}]

    def act(self, depth: int) -> dict[str, Any]:
        rng = self.rng
        count = rng.choice([0, 1, 1, 1, 2, 3]) if depth <= 2 else 0
        made: dict[str, Any] = {"do": [self.step(depth) for _ in range(count)], "then": "base"}
        kind = rng.random()
        if kind < 0.15:
            made["then"] = "raise:" + rng.choice(list(RAISED))
        elif kind < 0.45:
            made["then"] = self.value("", depth + 1)
        elif kind < 0.5:
            made["then"] = "self"
        if self.often(25):
            made["after"] = rng.randrange(1, 6)
        return made

    # ---- steps ----

    def target(self) -> str:
        preferred = [name for name in self.preferred if name in self.world.objects]
        if preferred and self.often(80):
            return self.rng.choice(preferred)
        return self.rng.choice(list(self.world.objects))

    def name(self, obj: Any, own: NamesOf = own_names, core: NamesOf = core_names) -> str:
        cls = type(obj)
        names = own(cls) if ours(cls) else plain_names(cls)
        if self.often(5):
            names = all_names(cls)
        if ours(cls) and self.often(55):
            names = core(cls) or names
        return self.rng.choice(names or ["__class__"])

    def arguments(self, cls: Any, name: str, depth: int) -> dict[str, Any]:
        names = parameters(cls, name)
        args: list[Any] = []
        kw: dict[str, Any] = {}
        if self.often(10):
            names = ("?",) * self.rng.randrange(5)
        required = self.rng.randrange(len(names) + 1) if self.often(40) else len(names)
        for at, parameter in enumerate(names):
            if parameter == "**" or at >= required:
                continue
            if parameter != "?" and self.often(12):
                kw[parameter] = self.value(parameter, depth)
            elif not kw:
                args.append(self.value(parameter, depth))
        return {"args": args, "kw": kw}

    def step(self, depth: int = 0) -> dict[str, Any]:
        rng = self.rng
        do = rng.choices(list(self.weights), list(self.weights.values()))[0]
        step: dict[str, Any] = {"do": do}
        if do in ("call", "unbound", "get", "set", "del", "descriptor", "op", "task", "shut", "drop"):
            step["on"] = self.target()
            if (
                step["on"] in ("loop", "ioloop")
                and do in ("set", "del", "unbound", "drop")
                and not self.often(20)
            ):
                step["do"] = do = "call"
        getattr(self, "make_" + do, lambda step, depth: None)(step, depth)
        self.number += 1
        step["id"] = self.number
        return step

    def make_call(self, step: dict[str, Any], depth: int) -> None:
        obj = self.world.objects[step["on"]]
        step["name"] = self.name(obj, own_methods, core_methods)
        if step["name"].startswith("_") or step["on"] == "ready":
            self.note_hurt(step)
        step |= self.arguments(type(obj), step["name"], depth)
        if step["do"] == "unbound":
            step["args"].insert(0, self.value("", depth))

    make_unbound = make_call

    def make_get(self, step: dict[str, Any], depth: int) -> None:
        obj = self.world.objects[step["on"]]
        step["name"] = self.name(obj)
        if ours(type(obj)) and self.often(70) and (names := fields(type(obj))):
            step["name"] = self.rng.choice(names)

    def make_del(self, step: dict[str, Any], depth: int) -> None:
        self.make_get(step, depth)
        self.note_hurt(step)

    def make_set(self, step: dict[str, Any], depth: int) -> None:
        self.make_get(step, depth)
        step["args"] = [self.value("callback" if self.often(30) else "", depth)]
        self.note_hurt(step)

    def note_hurt(self, step: dict[str, Any]) -> None:
        """The loop's own inside, without which it need not turn any more."""
        if step["on"] in ("loop", "ioloop", "ready"):
            self.world.hurt = True

    def make_descriptor(self, step: dict[str, Any], depth: int) -> None:
        self.make_get(step, depth)
        step["args"] = [self.value("", depth), self.value("", depth)]

    def make_op(self, step: dict[str, Any], depth: int) -> None:
        step["op"] = self.rng.choice(list(OPS))
        step["args"] = [self.value("", depth)]
        if step["op"].startswith("set "):
            self.note_hurt(step)

    def make_new(self, step: dict[str, Any], depth: int) -> None:
        step["cls"] = self.rng.choice(classes())
        step["how"] = self.rng.choice(["call", "call", "bare", "new", "subclass", "subclass"])
        cls = found(step["cls"])
        step |= self.arguments(cls, "__init__", depth)
        if step["how"] == "subclass":
            names = self.rng.sample(
                names := own_names(cls) or ["__init__"], min(self.rng.randrange(1, 4), len(names))
            )
            step["acts"] = {name: self.act(depth + 1) for name in names if name not in NEVER_ON_CLASSES}

    def make_function(self, step: dict[str, Any], depth: int) -> None:
        step["path"] = self.rng.choice(functions())
        module, _, name = step["path"].partition(":")
        step |= self.arguments(sys.modules[module], name, depth)

    def make_patch(self, step: dict[str, Any], depth: int) -> None:
        step["cls"] = self.rng.choice(classes())
        names = [name for name in own_names(found(step["cls"])) if name not in NEVER_ON_CLASSES] or ["x"]
        step["name"] = self.rng.choice(names)
        step["args"] = [] if self.often(15) else [self.value("callback", depth)]
        if "Loop" in step["cls"]:
            self.world.hurt = True

    def make_register(self, step: dict[str, Any], depth: int) -> None:
        step["name"] = self.rng.choice(sorted(FACES))
        step["args"] = [self.value("callback" if self.often(60) else "", depth)]
        self.world.hurt = True

    def make_turn(self, step: dict[str, Any], depth: int) -> None:
        step["count"] = self.rng.choice([1, 1, 2, 5])

    def make_peer(self, step: dict[str, Any], depth: int) -> None:
        step["which"] = self.rng.randrange(8)
        step["what"] = self.rng.choice(["send", "send", "send", "receive", "end", "close", "reset"])
        step["data"] = self.rng.choice(PEERS_SAY)


WEIGHTS = {
    "call": 34, "set": 12, "del": 5, "get": 4, "op": 10, "unbound": 4, "descriptor": 2, "new": 7,
    "function": 3, "patch": 2, "register": 0.3, "turn": 12, "peer": 8, "task": 3, "shut": 1, "drop": 3,
    "gc": 2,
}  # fmt: skip

PEERS_SAY = [
    "a", "\r\n", "line\r\n" * 3, "x" * 100_000, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\n",
    "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello", "HTTP/1.1 200 OK\r\n\r\n",
    "\x16\x03\x01\0\0", "GET /x HTTP/1.1\r\nHost: a\r\n\r\n" * 3, "xxy",
]  # fmt: skip
