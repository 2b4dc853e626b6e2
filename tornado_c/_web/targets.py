"""What a rule of an application may lead to. Handlers of the other package's RequestHandler are refused."""

from __future__ import annotations

from inspect import isclass
from typing import Any

from tornado_c import _core
from tornado_c.log import app_log

_OURS, _STOCK = "tornado_c.web", "tornado.web"


def is_handler_class(target: Any) -> bool:
    """Whether *target* is a handler class of ours."""
    return isclass(target) and issubclass(target, _core.HandlerBase)


def foreign_package(target: Any) -> str | None:
    """The module whose RequestHandler a class comes from, if that is not ours."""
    for cls in target.__mro__ if isclass(target) else ():
        if cls.__name__ == "RequestHandler" and cls.__module__ == _STOCK:
            return _STOCK
    return None


def bad_target(target: Any, what: str = "target of a rule") -> str:
    """Say what is wrong with a target."""
    if foreign_package(target) is not None:
        return mixture(target, _STOCK, _OURS)
    return f"expected subclass of RequestHandler, got {target!r}"


def mixture(target: Any, theirs: str, application: str) -> str:
    """Say that a handler of one package stands in an application of the other."""
    name = f"{target.__module__}.{target.__qualname__}"
    return (
        f"{name} is a handler of {theirs} and cannot serve an Application of {application}: take both from "
        "the same module. A program that imports tornado.web runs on this core after tornado_c.install()"
    )


def log_bad_target(target: Any) -> None:
    """Log what a request was routed to, and that it cannot answer."""
    app_log.error("Uncaught exception: TypeError: %s", bad_target(target))
