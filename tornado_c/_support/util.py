"""Classes, names and errors, as in ``tornado.util``."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

#: The string type of option definitions and of ``tornado.util``.
basestring_type = str


class ObjectDict(dict[str, Any]):
    """A dictionary whose items are attributes as well; a missing one raises AttributeError."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def import_object(name: str) -> Any:
    """Return the module, or the attribute of a module, that a dotted ``name`` stands for.

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


def errno_from_exception(e: BaseException) -> int | None:
    """Return the error number that ``e`` carries: its ``errno``, else its first argument, else None."""
    if hasattr(e, "errno"):
        return cast("int | None", e.errno)
    return e.args[0] if e.args else None


def timedelta_to_seconds(td: datetime.timedelta) -> float:
    """Return the length of ``td`` in seconds."""
    return td.total_seconds()
