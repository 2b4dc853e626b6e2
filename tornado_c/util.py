"""Helpers of the other modules, some of which applications meet as well.

:class:`Configurable` is a base of :class:`tornado_c.ioloop.IOLoop`, of resolvers and HTTP clients, whose
``configure`` comes from it. The others are small: dictionaries with attributes, objects by name, gzip.
"""

from __future__ import annotations

import builtins
import re
import string
import sys
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from inspect import getfullargspec
from typing import TYPE_CHECKING, Any, NoReturn, cast

from tornado_c import _core

if TYPE_CHECKING:
    import datetime
    import unittest
    from types import TracebackType

# The names that types had where they were not the same on every Python.
bytes_type = bytes
unicode_type = str
basestring_type = str
xrange = range
PY3 = True

is_finalizing = sys.is_finalizing


def u(s: str) -> str:
    """Return ``s``: text, where literals of Python 2 were not."""
    return s


def b(s: str) -> bytes:
    """Return the bytes that ``s``, an ASCII literal, stood for where Python had no literals of bytes."""
    return s.encode("latin1")


TimeoutError = builtins.TimeoutError

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WITH_HEADER = 16 + zlib.MAX_WBITS


class ObjectDict(dict[str, Any]):
    """A dictionary whose items are attributes as well; a missing one raises AttributeError."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class GzipDecompressor:
    """Decodes gzip as it comes in, one or more members (RFC 1952, section 2.2).

    What follows a member must be another one. :meth:`flush` tells whether the input ended where a member did.
    """

    def __init__(self) -> None:
        # None where a member may begin: there the input may end as well.
        self._member: zlib._Decompress | None = None
        self._tail = b""

    def decompress(self, value: bytes, max_length: int = 0) -> bytes:
        """Decode ``value`` and return what came of it, which may be nothing.

        :param max_length: how many bytes are returned at most; what is not decoded by then is in
            ``unconsumed_tail``, and belongs before the next input. Default 0: no limit, which is
            deprecated, since a few bytes can become any number of them.
        :raises zlib.error: this is not gzip.
        """
        if max_length:
            return self._step(value, max_length)
        warnings.warn(
            "GzipDecompressor.decompress without max_length is deprecated", DeprecationWarning, stacklevel=2
        )
        decoded = [self._step(value, 0)]
        while self._tail:
            decoded.append(self._step(self._tail, 0))
        return b"".join(decoded)

    def _step(self, data: bytes, limit: int) -> bytes:
        """Decode up to the limit or to the end of a member."""
        if not data:
            self._tail = b""
            return b""
        if self._member is None:
            if not _GZIP_MAGIC.startswith(data[:2]):
                raise zlib.error(f"expected a gzip member, got {data[:2]!r}")
            self._member = zlib.decompressobj(_GZIP_WITH_HEADER)
        decoded = self._member.decompress(data, limit)
        if self._member.eof:
            # Not unconsumed_tail, in which CPython leaves older input.
            self._tail, self._member = self._member.unused_data, None
        else:
            self._tail = self._member.unconsumed_tail
        return decoded

    @property
    def unconsumed_tail(self) -> bytes:
        """Input that is to be given to :meth:`decompress` again."""
        return self._tail

    def flush(self) -> bytes:
        """Check, after the last input, that it was whole.

        :returns: ``b""``, always.
        :raises ValueError: there is an ``unconsumed_tail``.
        :raises zlib.error: the input ended within a member.
        """
        if self._tail:
            raise ValueError("unconsumed_tail must be passed to decompress before flush")
        if self._member is not None:
            raise zlib.error("incomplete or truncated gzip stream")
        return b""


def import_object(name: str) -> Any:
    """Return the module, or the attribute of a module, that a dotted ``name`` stands for.

    >>> import collections.abc
    >>> import_object("collections") is collections
    True
    >>> import_object("collections.abc") is collections.abc
    True
    >>> import_object("collections.abc.Sized") is collections.abc.Sized
    True
    >>> import_object("collections.nothing")
    Traceback (most recent call last):
        ...
    ImportError: No module named nothing

    :raises ImportError: the module is missing, or has no such attribute.
    """
    parent, dot, leaf = name.rpartition(".")
    if not dot:
        return __import__(name)
    owner = __import__(parent, fromlist=[leaf])
    if not hasattr(owner, leaf):
        raise ImportError(f"No module named {leaf}")
    return getattr(owner, leaf)


def exec_in(code: Any, glob: dict[str, Any], loc: Mapping[str, Any] | None = None) -> None:
    """Run code in the namespaces given.

    :param code: a code object, or its source, for which this module's ``__future__`` imports do not hold.
    """
    if isinstance(code, str):
        code = compile(code, "<string>", "exec", dont_inherit=True)
    exec(code, glob, loc)


def raise_exc_info(
    exc_info: tuple[type[BaseException] | None, BaseException | None, TracebackType | None],
) -> NoReturn:
    """Raise the exception of what ``sys.exc_info()`` returned, with its traceback.

    :raises TypeError: there is none.
    """
    _, error, traceback = exc_info
    try:
        if error is None:
            raise TypeError("raise_exc_info called with no exception")
        raise error.with_traceback(traceback)
    finally:
        del exc_info, error, traceback  # this frame becomes part of the traceback


def errno_from_exception(e: BaseException) -> int | None:
    """Return the error number that ``e`` carries: its ``errno``, else its first argument, else None."""
    if hasattr(e, "errno"):
        return cast("int | None", e.errno)
    return e.args[0] if e.args else None


_alphanum = frozenset(string.ascii_letters + string.digits)
_re_unescape_pattern = re.compile(r"\\(.)", re.DOTALL)


def _re_unescape_replacement(match: re.Match[str]) -> str:
    if match[1] in _alphanum:
        raise ValueError(rf"cannot unescape '\\{match[1]}'")
    return match[1]


def re_unescape(s: str) -> str:
    r"""Undo ``re.escape``.

    :raises ValueError: that cannot have made ``s``, for which ``\d`` is an example.
    """
    return _re_unescape_pattern.sub(_re_unescape_replacement, s)


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
            """Set the instance up; implementations override it."""

    #: Called with the constructor's arguments; implementations override it with a signature of their own.
    initialize: Callable[..., None] = _initialize

    @classmethod
    def configure(cls, impl: str | type[Configurable] | None, **kwargs: Any) -> None:
        """Choose what the root of this hierarchy builds from now on.

        :param impl: a class, its dotted name, or None for the default.
        :param kwargs: default keyword arguments for every instance built through the root.
        :raises ValueError: ``impl`` is no subclass of this class.
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
    """Return the ``__new__`` of the nearest base of ``cls`` that is written in C."""
    for klass in cls.__mro__:
        new = klass.__dict__.get("__new__")
        # A __new__ written in Python sits in the class as a staticmethod.
        if new is not None and not isinstance(new, staticmethod):
            return cast("Callable[[type], Any]", new)
    return object.__new__


class ArgReplacer:
    """Finds one argument of calls, and puts another in its place; for decorators.

    :param func: the function that is called.
    :param name: the argument's.
    """

    def __init__(self, func: Callable[..., Any], name: str) -> None:
        self.name = name
        names = self._getargnames(func)
        #: Where the argument stands when it is given by position; None: it is a keyword only.
        self.arg_pos: int | None = names.index(name) if name in names else None

    def _getargnames(self, func: Callable[..., Any]) -> list[str]:
        try:
            return getfullargspec(func).args
        except TypeError:
            # Functions of Cython have all that is needed, under its old names.
            code = getattr(func, "func_code", None)
            if code is None:
                raise
            return list(code.co_varnames[: code.co_argcount])

    def _is_positional(self, args: Sequence[Any]) -> bool:
        return self.arg_pos is not None and self.arg_pos < len(args)

    def get_old_value(self, args: Sequence[Any], kwargs: dict[str, Any], default: Any = None) -> Any:
        """Return the argument of a call, or ``default`` if it was not given."""
        if self._is_positional(args):
            return args[cast("int", self.arg_pos)]
        return kwargs.get(self.name, default)

    def replace(
        self, new_value: Any, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[Any, Sequence[Any], dict[str, Any]]:
        """Put a value in the argument's place, whether it was given or not.

        :returns: its old value (None: it was not given), and the arguments to call with. ``kwargs`` is
            changed, ``args`` is not.
        """
        old = self.get_old_value(args, kwargs)
        if self._is_positional(args):
            args = list(args)
            args[cast("int", self.arg_pos)] = new_value
        else:
            kwargs[self.name] = new_value
        return old, args, kwargs


def timedelta_to_seconds(td: datetime.timedelta) -> float:
    """Return the length of ``td`` in seconds."""
    return td.total_seconds()


def _websocket_mask_python(mask: bytes, data: bytes) -> bytes:
    """Mask or unmask the payload of a frame (RFC 6455, section 5.3).

    :raises ValueError: the mask has not four bytes.
    """
    if len(mask) != 4:
        raise ValueError("mask must be 4 bytes")
    size = len(data)
    key = mask * (size // 4 + 1)
    # Both as one number each: Python's work is the same then for a byte and for a megabyte.
    return (int.from_bytes(data, "little") ^ int.from_bytes(key[:size], "little")).to_bytes(size, "little")


_websocket_mask = _core.websocket_mask


def doctests() -> unittest.TestSuite:
    """Return the examples of this module as tests."""
    import doctest

    return doctest.DocTestSuite()
