"""What a rule of an application may lead to. Handlers of the other package's RequestHandler are refused, on
either side: both packages would take one for a function of the request, which answers nothing.
"""

from __future__ import annotations

from functools import wraps
from inspect import isclass
from typing import Any

from tornado_c import _core, httputil
from tornado_c._support.imports import when_imported
from tornado_c.log import app_log

_OURS, _STOCK = "tornado_c.web", "tornado.web"


def is_handler_class(target: Any) -> bool:
    """Whether ``target`` is a handler class of ours."""
    return isclass(target) and issubclass(target, _core.HandlerBase)


def is_stock_handler_class(target: Any) -> bool:
    """Whether ``target`` is a handler class of stock Tornado's."""
    bases = target.__mro__ if isclass(target) and not is_handler_class(target) else ()
    return any(cls.__name__ == "RequestHandler" and cls.__module__ == _STOCK for cls in bases)


def is_target(target: Any) -> bool:
    """Whether a rule of an application may lead to ``target``, lists of rules apart."""
    if callable(target):
        return not is_stock_handler_class(target)
    return isinstance(target, httputil.HTTPServerConnectionDelegate)


def bad_target(target: Any) -> str:
    """Say what is wrong with a target that should be a handler class."""
    if is_stock_handler_class(target):
        return _mixture(target, _STOCK, _OURS)
    return f"expected subclass of RequestHandler, got {target!r}"


def check_target(target: Any) -> None:
    """Raise TypeError where ``is_target`` says no."""
    if is_target(target):
        return
    if is_stock_handler_class(target):
        raise TypeError(bad_target(target))
    raise TypeError(
        "the target of a rule must be a handler class, a list of rules, a router, a delegate or a function, "
        f"not {target!r}"
    )


def check_default(target: Any) -> None:
    """Raise TypeError for a setting default_handler_class that is none."""
    if target and not is_handler_class(target):
        raise TypeError(f"default_handler_class: {bad_target(target)}")


def _mixture(target: type[Any], theirs: str, application: str) -> str:
    name = f"{target.__module__}.{target.__qualname__}"
    return (
        f"{name} is a handler of {theirs} and cannot serve an Application of {application}: take both from "
        "the same module. Programs that import tornado.web run on this core after tornado_c.install()"
    )


def log_bad_target(target: Any) -> None:
    """Log what a request was routed to, and that it cannot serve one."""
    app_log.error("Uncaught exception: TypeError: %s", bad_target(target))


# ---- our handlers in stock Tornado's Application ----


def _guard(module: Any) -> None:
    """Have stock's Application refuse our handlers."""
    router, application = module._ApplicationRouter, module.Application
    process_rule, get_handler_delegate = router.process_rule, application.get_handler_delegate

    @wraps(process_rule)
    def checking_process_rule(self: Any, rule: Any) -> Any:
        if is_handler_class(rule.target):
            raise TypeError(_mixture(rule.target, _OURS, _STOCK))
        return process_rule(self, rule)

    @wraps(get_handler_delegate)
    def checking_get_handler_delegate(self: Any, *args: Any, **kwargs: Any) -> Any:
        target: Any = args[1] if len(args) > 1 else kwargs.get("target_class")
        if is_handler_class(target):
            app_log.error("Uncaught exception: TypeError: %s", _mixture(target, _OURS, _STOCK))
            request = args[0] if args else kwargs["request"]
            return get_handler_delegate(self, request, module.ErrorHandler, {"status_code": 500})
        return get_handler_delegate(self, *args, **kwargs)

    router.process_rule = checking_process_rule
    application.get_handler_delegate = checking_get_handler_delegate


def guard_stock() -> None:
    """Have stock Tornado's Application refuse our handlers, once it is imported."""
    when_imported(_STOCK, _guard)
