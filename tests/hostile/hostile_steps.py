"""Performs steps, which are data, on the objects of a world. What they raise is of no interest, but a
SystemError is: it says that C returned without an exception, or with one that it should not have.

{"do": "call", "on": TARGET, "name": ATTRIBUTE, "args": [SPEC, ...], "kw": {NAME: SPEC}, "id": N}, and so on:
see the functions do_*. SPEC is a value as in hostile_values.py. A result that is worth it becomes the
object "rN".
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import gc
import importlib
import operator
import pickle
import socket
import sys
import threading
import types
from collections.abc import Callable, Iterable
from typing import Any

from hostile_values import RAISED, VALUES, make_hostile
from hostile_world import World, noop

DEEPEST = 3
BUDGET = 300
MOST_RESULTS = 40


class Slow(BaseException):
    """Raised by the alarm into a step that does not end."""


class Failure(Exception):
    pass


def found(path: str) -> Any:
    """The object of "module:name.name"."""
    module, _, names = path.partition(":")
    return operator.attrgetter(names)(importlib.import_module(module))


async def _wait_for(awaitable: Any) -> Any:
    return await awaitable


def _first(iterable: Iterable[Any], count: int = 20) -> list[Any]:
    return [item for item, _ in zip(iterable, range(count), strict=False)]


def _enter(obj: Any, arg: Any) -> None:
    with obj:
        pass


def _run_once(obj: Any, arg: Any) -> None:
    obj.call_soon(noop)
    obj._run_once()


OPS: dict[str, Callable[[Any, Any], Any]] = {
    "call": lambda obj, arg: obj(arg),
    "call()": lambda obj, arg: obj(),
    "iter": lambda obj, arg: iter(obj),
    "next": lambda obj, arg: next(obj),
    "walk": lambda obj, arg: _first(obj),
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">=": operator.ge,
    "== from behind": lambda obj, arg: arg == obj,
    "hash": lambda obj, arg: hash(obj),
    "repr": lambda obj, arg: repr(obj),
    "str": lambda obj, arg: str(obj),
    "format": lambda obj, arg: format(obj, arg),
    "len": lambda obj, arg: len(obj),
    "bool": lambda obj, arg: bool(obj),
    "int": lambda obj, arg: int(obj),
    "float": lambda obj, arg: float(obj),
    "bytes": lambda obj, arg: bytes(obj),
    "in": lambda obj, arg: arg in obj,
    "getitem": operator.getitem,
    "setitem": lambda obj, arg: operator.setitem(obj, arg, arg),
    "delitem": operator.delitem,
    "+": operator.add,
    "|": operator.or_,
    "memoryview": lambda obj, arg: memoryview(obj),
    "send": lambda obj, arg: obj.send(arg),
    "throw": lambda obj, arg: obj.throw(arg if isinstance(arg, BaseException) else ValueError),
    "await": lambda obj, arg: obj.__await__(),
    "with": _enter,
    "vars": lambda obj, arg: list(vars(obj).items()),
    "dict": lambda obj, arg: dict(obj),
    "dir": lambda obj, arg: dir(obj),
    "copy": lambda obj, arg: copy.copy(obj),
    "deepcopy": lambda obj, arg: copy.deepcopy(obj),
    "pickle": lambda obj, arg: pickle.loads(pickle.dumps(obj)),
    "set class": lambda obj, arg: setattr(obj, "__class__", type(arg)),
    "set dict": lambda obj, arg: setattr(obj, "__dict__", arg),
    "referents": lambda obj, arg: gc.get_referents(obj),
    "run once": _run_once,
    "select": lambda obj, arg: obj._select(0),
    "isinstance": lambda obj, arg: isinstance(arg, type(obj)),
}


_pending = ctypes.pythonapi.PyErr_Occurred


def left_set() -> None:
    """Raise SystemError where C has returned and left an exception set."""
    try:
        _pending()
    except BaseException as exc:
        raise SystemError("an exception is left set") from exc


class Machine:
    def __init__(self, world: World) -> None:
        self.world = world
        self.depth = 0
        self.budget = BUDGET
        self.thread = threading.get_ident()
        world.sort = self.sort

    def sort(self, exc: BaseException, place: str) -> None:
        """Keep what must not be."""
        seen: set[int] = set()
        at: BaseException | None = exc
        while at is not None and id(at) not in seen:
            seen.add(id(at))
            if isinstance(at, SystemError):
                self.world.faults.append(f"{place}: SystemError: {at}")
            at = at.__cause__ or at.__context__

    # ---- values ----

    def value(self, spec: list[Any]) -> Any:
        kind = spec[0]
        if kind == "v":
            return VALUES[spec[1]]()
        if kind == "t":
            return self.world.objects.get(spec[1])
        if kind == "c":
            return found(spec[1])
        if kind == "seq":
            return {"list": list, "tuple": tuple, "iter": iter}[spec[1]](
                [self.value(each) for each in spec[2]]
            )
        return make_hostile(spec, self.act, self.world.loop)

    def act(self, act: dict[str, Any], original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The body of a hostile method."""
        if self.thread == threading.get_ident() and self.depth <= DEEPEST:
            for step in act["do"]:
                self.perform(step)
        then = act["then"]
        if then == "base":
            return original(*args, **kwargs) if original is not None else None
        if then == "self":
            return args[0] if args else None
        if isinstance(then, str):
            raise RAISED[then.removeprefix("raise:")]("hostile")
        return self.value(then)

    # ---- steps ----

    def perform(self, step: dict[str, Any]) -> None:
        if self.budget <= 0:
            return
        self.budget -= 1
        self.depth += 1
        try:
            result = getattr(self, "do_" + step["do"])(step)
            left_set()
            self.keep(step, result)
        except (Slow, Failure):
            raise
        except BaseException as exc:
            self.sort(
                exc,
                " ".join(str(step[key]) for key in ("do", "on", "cls", "path", "name", "op") if key in step),
            )
            exc.__traceback__ = None
        finally:
            self.depth -= 1

    def keep(self, step: dict[str, Any], result: Any) -> None:
        cls, objects = type(result), self.world.objects
        module = cls.__module__
        worth = isinstance(module, str) and str.partition(module, ".")[0] in (
            "tornado_c",
            "asyncio",
            "_asyncio",
        )
        worth = worth or isinstance(result, (memoryview, types.CoroutineType, types.GeneratorType))
        if worth and "id" in step and len(objects) < MOST_RESULTS:
            objects[f"r{step['id']}"] = result
        elif isinstance(result, types.CoroutineType):
            result.close()

    def target(self, step: dict[str, Any]) -> Any:
        return self.world.objects[step["on"]]  # a KeyError skips the step

    def arguments(self, step: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        args = [self.value(spec) for spec in step.get("args", ())]
        return args, {name: self.value(spec) for name, spec in step.get("kw", {}).items()}

    def do_call(self, step: dict[str, Any]) -> Any:
        function = getattr(self.target(step), step["name"])
        args, kwargs = self.arguments(step)
        return function(*args, **kwargs)

    def do_unbound(self, step: dict[str, Any]) -> Any:
        """A method of the class, with whatever as self."""
        args, kwargs = self.arguments(step)
        return getattr(type(self.target(step)), step["name"])(*args, **kwargs)

    def do_descriptor(self, step: dict[str, Any]) -> Any:
        for cls in type(self.target(step)).__mro__:
            if step["name"] in vars(cls):
                descriptor = vars(cls)[step["name"]]
                args, _ = self.arguments(step)
                for way in ("__get__", "__set__", "__delete__"):
                    with contextlib.suppress(Exception):
                        getattr(descriptor, way)(*args[: 1 if way != "__set__" else 2])
                return None
        return None

    def do_get(self, step: dict[str, Any]) -> Any:
        return getattr(self.target(step), step["name"])

    def do_set(self, step: dict[str, Any]) -> None:
        setattr(self.target(step), step["name"], self.value(step["args"][0]))

    def do_del(self, step: dict[str, Any]) -> None:
        delattr(self.target(step), step["name"])

    def do_op(self, step: dict[str, Any]) -> Any:
        return OPS[step["op"]](self.target(step), self.value(step["args"][0]))

    def do_new(self, step: dict[str, Any]) -> Any:
        cls = found(step["cls"])
        args, kwargs = self.arguments(step)
        if step["how"] == "subclass":
            namespace = {name: self.method(cls, name, act) for name, act in step["acts"].items()}
            cls = type(cls)(cls.__name__, (cls,), namespace)
        if step["how"] == "bare":
            return cls.__new__(cls)
        if step["how"] == "new":
            return cls.__new__(cls, *args, **kwargs)
        return cls(*args, **kwargs)

    def method(self, cls: type, name: str, act: dict[str, Any]) -> Any:
        original = getattr(cls, name, None)

        def method(*args: Any, **kwargs: Any) -> Any:
            return self.act(act, original, args, kwargs)

        return method

    def do_function(self, step: dict[str, Any]) -> Any:
        function = found(step["path"])
        args, kwargs = self.arguments(step)
        return function(*args, **kwargs)

    def do_patch(self, step: dict[str, Any]) -> None:
        """Replace or delete something on a class; undone when the program ends."""
        cls, name = found(step["cls"]), step["name"]
        before = vars(cls).get(name, self)
        if step["args"]:
            setattr(cls, name, self.value(step["args"][0]))
        else:
            delattr(cls, name)
        undo = (lambda: delattr(cls, name)) if before is self else (lambda: setattr(cls, name, before))
        self.world.undo.append(undo)

    def do_register(self, step: dict[str, Any]) -> None:
        """Give C something else than one of our classes; undone when the program ends."""
        name, faces = step["name"], sys.modules["hostile_faces"]
        register, before = faces.register, faces.FACES[name]
        self.world.undo.append(lambda: register(name, before))
        register(name, self.value(step["args"][0]))

    def do_task(self, step: dict[str, Any]) -> Any:
        return self.world.loop.create_task(_wait_for(self.target(step)))

    def do_shut(self, step: dict[str, Any]) -> None:
        self.target(step).close()

    def do_turn(self, step: dict[str, Any]) -> None:
        if self.world.loop.is_running():
            _run_once(self.world.loop, None)  # within a turn
        else:
            self.world.turn(step["count"])

    def do_gc(self, step: dict[str, Any]) -> None:
        gc.collect()

    def do_drop(self, step: dict[str, Any]) -> None:
        self.world.objects.pop(step["on"], None)

    def do_peer(self, step: dict[str, Any]) -> None:
        peers = self.world.peers
        if not peers:
            return
        peer = peers[step["which"] % len(peers)]
        data = step["data"].encode("latin-1")
        if step["what"] == "send":
            peer.send(data)
        elif step["what"] == "receive":
            peer.recv(1 << 20)
        elif step["what"] == "end":
            peer.shutdown(socket.SHUT_WR)
        else:
            if step["what"] == "reset":
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.close()


def left_over(world: World) -> None:
    """Coroutines among the results, which would complain when they go."""
    for obj in list(world.objects.values()):
        if type(obj) is types.CoroutineType:
            with contextlib.suppress(BaseException):
                obj.close()
