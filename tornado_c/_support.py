"""Private helpers shared by the package's Python modules.

Nothing here is public: applications find these names in ``tornado.util``, ``tornado.escape`` and
``tornado.concurrent``. The core must run where Tornado itself is not installed, so it keeps its own.
Nothing in this module needs an event loop when it is imported.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import datetime
import importlib
import logging
import re
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from tornado_c import _autospec as _autospec

T = TypeVar("T")

#: The string type of option definitions and of ``tornado.util``.
basestring_type = str

Future = asyncio.Future
#: What counts as a future: asyncio's kind and the kind that thread pools return.
FUTURES = (concurrent.futures.Future, asyncio.Future)

AnyFuture = asyncio.Future[Any] | concurrent.futures.Future[Any]

_app_log = logging.getLogger("tornado.application")


# --------------------------------------------------------------------------- optional Tornado


def require_tornado(what: str, module: str = "tornado") -> ModuleType:
    """Import a module of the installed Tornado on behalf of a feature that cannot do without it.

    :param what: the feature, as the subject of the error's sentence (``"template rendering"``).
    :param module: dotted name of the module to import; default ``"tornado"``.
    :returns: the imported module.
    :raises ImportError: Tornado is not installed; the text says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] != "tornado":
            raise
        raise ImportError(
            f"{what} needs Tornado's own modules; install them with: pip install 'tornado_c[tornado]'",
            name=exc.name,
        ) from exc


# --------------------------------------------------------------------------- text


@overload
def utf8(value: str | bytes) -> bytes: ...
@overload
def utf8(value: None) -> None: ...
def utf8(value: str | bytes | None) -> bytes | None:
    """Return *value* as UTF-8 bytes; bytes and None pass through.

    :raises TypeError: *value* is of any other type.
    """
    if isinstance(value, str):
        return value.encode("utf-8")
    if value is None or isinstance(value, bytes):
        return value
    raise TypeError(f"Expected bytes, unicode, or None; got {type(value)!r}")


@overload
def to_unicode(value: str | bytes) -> str: ...
@overload
def to_unicode(value: None) -> None: ...
def to_unicode(value: str | bytes | None) -> str | None:
    """Return *value* as text, reading bytes as UTF-8; str and None pass through.

    :raises TypeError: *value* is of any other type.
    :raises UnicodeDecodeError: *value* is bytes and not UTF-8.
    """
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"Expected bytes, unicode, or None; got {type(value)!r}")


native_str = to_unicode


# --------------------------------------------------------------------------- query strings


_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")


def _unescape_run(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[0].replace(b"%", b"").decode("ascii"))


def _unquote(field: bytes) -> bytes:
    """Undo form encoding: a plus is a space; a percent sign without two hex digits stays."""
    field = field.replace(b"+", b" ")
    return _ESCAPES.sub(_unescape_run, field) if b"%" in field else field


def parse_qsl_bytes(
    qs: str | bytes,
    keep_blank_values: bool = False,
    strict_parsing: bool = False,
    *,
    max_num_fields: int | None = None,
) -> list[tuple[str, bytes]]:
    """The fields of a query string, in order; names are Latin-1 text and values are bytes.

    Raises ValueError for more than ``max_num_fields`` fields and, if the parsing is strict, for a field
    that has no equals sign.
    """
    query = qs.encode("latin1") if isinstance(qs, str) else qs
    if not query:
        return []
    if max_num_fields is not None and query.count(b"&") >= max_num_fields:
        raise ValueError("Max number of fields exceeded")
    pairs = []
    for field in query.split(b"&"):
        name, equals, value = field.partition(b"=")
        if strict_parsing and not equals:
            raise ValueError(f"bad query field: {field!r}")
        if field and (value or keep_blank_values):
            pairs.append((_unquote(name).decode("latin1"), _unquote(value)))
    return pairs


def parse_qs_bytes(
    qs: str | bytes,
    keep_blank_values: bool = False,
    strict_parsing: bool = False,
    *,
    max_num_fields: int | None = None,
) -> dict[str, list[bytes]]:
    """As parse_qsl_bytes, with the values of each name gathered in a list."""
    pairs = parse_qsl_bytes(qs, keep_blank_values, strict_parsing, max_num_fields=max_num_fields)
    result: dict[str, list[bytes]] = {}
    for name, value in pairs:
        result.setdefault(name, []).append(value)
    return result


# --------------------------------------------------------------------------- objects


class ObjectDict(dict[str, Any]):
    """A dictionary whose items are attributes as well; a missing one raises AttributeError."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def import_object(name: str) -> Any:
    """Return the module, or the attribute of a module, that a dotted *name* stands for.

    :raises ImportError: the module is missing, or has no such attribute.
    """
    parent, dot, leaf = name.rpartition(".")
    if not dot:
        return __import__(name)
    owner = __import__(parent, fromlist=[leaf])
    if not hasattr(owner, leaf):
        raise ImportError(f"No module named {leaf}")
    return getattr(owner, leaf)


class Configurable:
    """A class that, when called, makes an instance of whichever implementation is configured for it.

    A hierarchy names its root in :meth:`configurable_base` and its usual implementation in
    :meth:`configurable_default`. Calling the root builds the configured class and merges in the keyword
    arguments saved by :meth:`configure`; calling an implementation builds just that. Instances are set up by
    :meth:`initialize`, which takes the place of ``__init__``.
    """

    __impl_class: type[Configurable] | None = None
    __impl_kwargs: dict[str, Any] | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        base = cls.configurable_base()
        chosen: type[Configurable] = cls
        if cls is base:
            chosen = cls.configured_class()
            kwargs = {**(base.__impl_kwargs or {}), **kwargs}
        if chosen.configurable_base() is not base:
            # The implementation is the root of a hierarchy of its own, which may be configured in turn.
            return chosen(*args, **kwargs)
        allocate: Callable[[type], Any] = super().__new__
        if allocate is object.__new__:
            # With a C base earlier in the resolution order, object's allocator would be refused.
            allocate = _native_allocator(chosen)
        instance = allocate(chosen)
        instance.initialize(*args, **kwargs)
        return instance

    @classmethod
    def configurable_base(cls) -> type[Configurable]:
        """Return the root of the hierarchy, which is the class that is configured."""
        raise NotImplementedError()

    @classmethod
    def configurable_default(cls) -> type[Configurable]:
        """Return the implementation used while none was configured."""
        raise NotImplementedError()

    if TYPE_CHECKING:
        _initialize: Callable[..., None]
    else:

        def _initialize(self):
            pass

    #: Called with the constructor's arguments; implementations override it with a signature of their own.
    initialize: Callable[..., None] = _initialize

    @classmethod
    def configure(cls, impl: str | type[Configurable] | None, **kwargs: Any) -> None:
        """Choose what the root of this hierarchy builds from now on.

        :param impl: a class, its dotted name, or None for the default.
        :param kwargs: default keyword arguments for every instance built through the root.
        :raises ValueError: *impl* is no subclass of this class.
        """
        base = cls.configurable_base()
        chosen = import_object(impl) if isinstance(impl, str) else impl
        if chosen is not None and not issubclass(chosen, cls):
            raise ValueError(f"Invalid subclass of {cls}")
        base.__impl_class = chosen
        base.__impl_kwargs = kwargs

    @classmethod
    def configured_class(cls) -> type[Configurable]:
        """Return the implementation in force; the default one is settled at the first call."""
        base = cls.configurable_base()
        # Only the root's own entry counts: a root may inherit from another, already configured, one.
        current = base.__dict__.get("_Configurable__impl_class")
        if current is None:
            current = base.__impl_class = cls.configurable_default()
        return cast("type[Configurable]", current)

    @classmethod
    def _save_configuration(cls) -> tuple[type[Configurable] | None, dict[str, Any] | None]:
        base = cls.configurable_base()
        return base.__impl_class, base.__impl_kwargs

    @classmethod
    def _restore_configuration(cls, saved: tuple[type[Configurable] | None, dict[str, Any] | None]) -> None:
        base = cls.configurable_base()
        base.__impl_class, base.__impl_kwargs = saved


def _native_allocator(cls: type) -> Callable[[type], Any]:
    """Return the ``__new__`` of the nearest base of *cls* that is written in C."""
    for klass in cls.__mro__:
        new = klass.__dict__.get("__new__")
        # A __new__ written in Python sits in the class as a staticmethod.
        if new is not None and not isinstance(new, staticmethod):
            return cast("Callable[[type], Any]", new)
    return object.__new__


# --------------------------------------------------------------------------- errors and time


def errno_from_exception(e: BaseException) -> int | None:
    """Return the error number that *e* carries: its ``errno``, else its first argument, else None."""
    if hasattr(e, "errno"):
        return cast("int | None", e.errno)
    return e.args[0] if e.args else None


def timedelta_to_seconds(td: datetime.timedelta) -> float:
    """Return the length of *td* in seconds."""
    return td.total_seconds()


# --------------------------------------------------------------------------- futures


def is_future(x: Any) -> bool:
    """Tell whether *x* is an asyncio or a concurrent future."""
    return isinstance(x, FUTURES)


def future_set_result_unless_cancelled(future: AnyFuture, value: Any) -> None:
    """Complete *future* with *value*; a cancelled future is left alone."""
    if not future.cancelled():
        future.set_result(value)


def future_set_exception_unless_cancelled(future: AnyFuture, exc: BaseException) -> None:
    """Fail *future* with *exc*; where it was cancelled, the exception is logged instead."""
    if future.cancelled():
        _app_log.error("Exception after Future was cancelled", exc_info=exc)
    else:
        future.set_exception(exc)


def future_add_done_callback(future: AnyFuture, callback: Callable[[Any], object]) -> None:
    """Run ``callback(future)`` when *future* is done: at once where it already is."""
    if future.done():
        callback(future)
    else:
        future.add_done_callback(callback)


def chain_future(a: AnyFuture, b: AnyFuture) -> None:
    """Copy the outcome of *a* (result, exception or cancellation) to *b*, unless *b* is done by then.

    Where *a* comes from a thread pool, the copying happens on the current IOLoop.
    """

    def copy(source: AnyFuture) -> None:
        if b.done():
            return
        if source.cancelled():
            b.cancel()
            return
        exc = source.exception()
        if exc is None:
            b.set_result(source.result())
        else:
            b.set_exception(exc)

    if isinstance(a, asyncio.Future):
        future_add_done_callback(a, copy)
    else:
        current_ioloop().add_future(a, copy)


def current_ioloop() -> Any:
    """Return the calling thread's IOLoop; the loop's module is imported at the first use only."""
    module: Any = importlib.import_module("tornado_c.ioloop")
    return module.IOLoop.current()
