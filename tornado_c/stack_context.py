"""Contexts that follow callbacks: Tornado 2's to 5's, for programs written for them.

What is registered inside the block of a ``StackContext`` or ``ExceptionStackContext`` is called later as if
it were in that block: the context manager is entered around it, its exceptions go to the handler. That holds
for whatever runs later: callbacks of the loop, timers, handlers of descriptors, callbacks of streams, servers
and clients, and what these register in turn. ``NullContext`` ends it, ``wrap`` does it for one function.

Today's programs have ``contextvars`` for the first of these and coroutines for the second.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar

from tornado_c import _core
from tornado_c._support.stack import NONE, Contexts, active
from tornado_c._support.steps import go_on

_T = TypeVar("_T")
_Handler = Callable[[Any, Any, Any], Any]


class StackContextInconsistentError(Exception):
    """A context was left that was not the innermost: a generator has yielded in its block."""


class _State:
    @property
    def contexts(self) -> Contexts:
        """Those that are active: the ones to enter around a callback, and the innermost of all.

        :raises TypeError: what is set is not a tuple of contexts and a context or None.
        """
        return active.get()

    @contexts.setter
    def contexts(self, contexts: Contexts) -> None:
        if not (isinstance(contexts, tuple) and len(contexts) == 2 and isinstance(contexts[0], tuple)):
            raise TypeError(f"not a tuple of contexts and a context: {contexts!r}")
        around, head = contexts
        for context in around if head is None else (*around, head):
            if not isinstance(context, _Context):
                raise TypeError(f"not a context: {context!r}")
        active.set((around, head) if head is not None else NONE)


_state = _State()


class _Context:
    """What both kinds have in common."""

    active = True
    #: What was active around it when it was entered.
    old_contexts: Contexts = NONE
    _entered: Contexts | None = None
    _before: Contexts | None = None  # as old_contexts, and those that had been deactivated

    def _deactivate(self) -> None:
        self.active = False

    def _activate(self, around: bool) -> None:
        before = active.get()
        old = _without_inactive(before)
        context = old[1]
        while context is not None:
            if context is self:
                raise StackContextInconsistentError("a stack context is entered inside of itself")
            context = context.old_contexts[1]
        self.old_contexts, self._before = old, before
        self._entered = (old[0] + (self,) if around else old[0], self)
        active.set(self._entered)

    def _restore(self) -> None:
        last, entered, before = active.get(), self._entered, self._before
        self._entered = self._before = None
        active.set(self.old_contexts if before is None else before)
        if last is not entered:
            raise StackContextInconsistentError(
                'a stack context is left that is not the innermost; was there a "yield" inside its block?'
            )


class StackContext(_Context):
    """Enters a context manager, now and around each callback that is registered in its block.

    Entering it yields a function that ends this for callbacks to come.

    :param context_factory: is called for a new context manager each time.
    """

    def __init__(self, context_factory: Callable[[], AbstractContextManager[Any]]) -> None:
        self.context_factory = context_factory
        self.contexts: list[AbstractContextManager[Any]] = []

    def enter(self) -> None:
        """Enter a new context manager."""
        context = self.context_factory()
        context.__enter__()
        self.contexts.append(context)

    def exit(self, type: Any, value: Any, traceback: Any) -> None:
        """Leave the one that was entered last. It cannot end an exception."""
        self.contexts.pop().__exit__(type, value, traceback)

    def __enter__(self) -> Callable[[], None]:
        self._activate(around=True)
        try:
            self.enter()
        except BaseException:
            active.set(self._before or NONE)
            self._entered = self._before = None
            raise
        return self._deactivate

    def __exit__(self, type: Any, value: Any, traceback: TracebackType | None) -> None:
        try:
            self.exit(type, value, traceback)
        finally:
            self._restore()


class ExceptionStackContext(_Context):
    """Has exceptions handled that its block raises, and callbacks that are registered in it.

    Entering it yields a function that ends this for callbacks to come.

    :param exception_handler: is called with type, value and traceback, and returns whether that is all. If
        not, the context around this one is next.
    """

    def __init__(self, exception_handler: _Handler) -> None:
        self.exception_handler = exception_handler

    def exit(self, type: Any, value: Any, traceback: Any) -> Any:
        """Have an exception handled, if there is any."""
        return self.exception_handler(type, value, traceback) if type is not None else None

    def __enter__(self) -> Callable[[], None]:
        self._activate(around=False)
        return self._deactivate

    def __exit__(self, type: Any, value: Any, traceback: TracebackType | None) -> Any:
        if type is None:
            self._restore()
            return None
        try:
            return self.exit(type, value, traceback)
        finally:
            self._restore()


class NullContext:
    """In its block no context is active: for what serves more than the call that needs it first."""

    def __enter__(self) -> None:
        self.old_contexts = active.get()
        active.set(NONE)

    def __exit__(self, type: Any, value: Any, traceback: TracebackType | None) -> None:
        active.set(self.old_contexts)


def wrap(fn: Any) -> Any:
    """Return a function that calls ``fn`` in the contexts that are active now, and in no others.

    None, and what this has returned, are returned as they are. Whatever ours takes to call later is called so
    without it.
    """
    if fn is None or hasattr(fn, "_wrapped"):
        return fn
    contexts = active.get()

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal contexts
        around = active.get()
        contexts = _without_inactive(contexts)
        active.set(contexts)
        try:
            return _call(contexts, fn, args, kwargs)
        finally:
            active.set(around)
            del args, kwargs  # a Future among them may have an exception whose traceback has this frame

    wrapped._wrapped = True  # type: ignore[attr-defined]
    return wrapped


def run_with_stack_context(context: AbstractContextManager[Any], func: Callable[[], _T]) -> _T:
    """Call ``func`` in a context: what a coroutine does in place of a ``with`` block that it yields in.

    :returns: what it returns.
    """
    with context:
        return func()


# ---- how callbacks are called ----


def push_exception_handler(handler: _Handler) -> Callable[[], None]:
    """Have a handler for exceptions from here on in the current context of ``contextvars``.

    :returns: a function that ends this.
    """
    context = ExceptionStackContext(handler)
    context.__enter__()
    context._entered = context._before = None

    def deactivate() -> None:
        context.active = False
        active.set(_without_inactive(active.get()))

    return deactivate


def _without_inactive(contexts: Contexts) -> Contexts:
    """Contexts less those that were deactivated, of which the others forget as well."""
    if contexts is NONE:
        return contexts
    kept = _pruned(contexts)
    context = kept[1]
    while context is not None:
        inner = context.old_contexts[1]
        if inner is not None and not inner.active:
            context.old_contexts = _pruned(context.old_contexts)
        context = context.old_contexts[1]
    return kept


def _pruned(contexts: Contexts) -> Contexts:
    """The same, where what is around the innermost that is left may have been deactivated, too."""
    stack, head = contexts
    while head is not None and not head.active:
        head = head.old_contexts[1]
    kept = tuple([each for each in stack if each.active])
    if head is contexts[1] and len(kept) == len(stack):
        return contexts
    return (kept, head) if head is not None else NONE


def _call(contexts: Contexts, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Call a function inside contexts; None where they have ended its exception."""
    error: BaseException | None = None
    innermost = contexts[1]
    try:
        for context in contexts[0]:
            innermost = context.old_contexts[1]
            context.enter()
        innermost = contexts[1]
        result = function(*args, **kwargs)
    except BaseException as exception:
        del args, kwargs
        error = _handle(innermost, exception)
        if error is None:
            return None
        try:
            raise error
        finally:
            error = None  # its traceback has this frame
    if contexts[0] and (error := _handle(innermost, None)) is not None:
        try:
            raise error
        finally:
            error = None
    return result


def _handle(context: Any, error: BaseException | None) -> BaseException | None:
    """Leave contexts, from this one outwards; return the exception that is left, theirs or the given one."""
    while context is not None:
        try:
            typ, traceback = (type(error), error.__traceback__) if error is not None else (None, None)
            if context.exit(typ, error, traceback):
                error = None
        except BaseException as exception:
            error = exception
        context = context.old_contexts[1]
    return error


def _call_active(contexts: Contexts, function: Callable[..., Any], *args: Any) -> Any:
    """What C does with a callback where a context is to be entered, and others are around it."""
    kept = _without_inactive(contexts)
    if kept is not contexts:
        active.set(kept)
    return _call(kept, function, args, {})


def _handle_active(contexts: Contexts, error: BaseException) -> BaseException | None:
    """What C does with the exception of a callback where nothing was entered."""
    return _handle(_without_inactive(contexts)[1], error)


def _enter(contexts: Contexts) -> list[StackContext]:
    """Enter context managers, and no handlers of exceptions."""
    entered: list[StackContext] = []
    try:
        for context in _without_inactive(contexts)[0]:
            context.enter()
            entered.append(context)
    except BaseException as error:
        raised = _leave(entered, error)
        assert raised is not None
        raise raised from raised.__cause__
    return entered


def _leave(entered: list[StackContext], error: BaseException | None) -> BaseException | None:
    """Leave what was entered; return the exception that is left, theirs or the given one."""
    for context in reversed(entered):
        try:
            typ, traceback = (type(error), error.__traceback__) if error is not None else (None, None)
            context.exit(typ, error, traceback)
        except BaseException as exception:
            error = exception
    return error


async def _begin(contexts: Contexts, coroutine: Any, every: bool) -> Any:
    """Await a coroutine whose first step is inside contexts, or every one."""
    return await _steps(contexts, coroutine, every)


@types.coroutine
def _steps(contexts: Contexts, coroutine: Any, every: bool) -> Generator[Any, Any, Any]:
    inside = _Inside(contexts, coroutine)
    try:
        yielded = inside.send(None)
    except StopIteration as end:
        return end.value
    result = yield from go_on(inside if every else coroutine, yielded)
    return result


class _Inside:
    """The methods of a coroutine, inside contexts."""

    def __init__(self, contexts: Contexts, coroutine: Any) -> None:
        self.contexts, self.coroutine = contexts, coroutine
        self.close = coroutine.close

    def send(self, value: Any) -> Any:
        return self._call(self.coroutine.send, value)

    def throw(self, error: BaseException) -> Any:
        return self._call(self.coroutine.throw, error)

    def _call(self, method: Callable[[Any], Any], argument: Any) -> Any:
        try:
            entered = _enter(self.contexts)
        except BaseException:
            self.close()
            raise
        try:
            return method(argument)
        finally:
            if (error := _leave(entered, None)) is not None:
                self.close()
                raise error


_core.register(
    "stack_context",
    upcalls={
        "stack_active": active,
        "stack_begin": _begin,
        "stack_call": _call_active,
        "stack_context": StackContext,
        "stack_enter": _enter,
        "stack_handle": _handle_active,
        "stack_leave": _leave,
        "stack_none": NONE,
        "stack_wrap": wrap,
    },
)
