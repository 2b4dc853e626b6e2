"""Which rule of an application serves a request, and with which arguments: asked without a connection, of
ours and of stock Tornado's.
"""

from __future__ import annotations

from typing import Any

from support.implementations import OURS, Implementation

NOTHING = "nothing"


def recorder(implementation: Implementation, seen: list[Any]) -> type[Any]:
    """A handler class that writes down what it was made for. It takes the keyword argument ``mark``."""
    Base: Any = implementation.web.RequestHandler

    class Recorder(Base):
        def __init__(self, application, request, **kwargs):
            super().__init__(application, request, **kwargs)
            self.kept = application, kwargs

        def initialize(self, **kwargs):
            pass

        def _execute(self, transforms, *args, **kwargs):
            application, given = self.kept
            seen.append((getattr(application, "mark", None), given, list(args), kwargs))

    return Recorder


class Context:
    """What a request wants of a connection."""

    context = None

    def set_close_callback(self, callback):
        pass


class Routed:
    """An application of either package, whose rules all lead to :attr:`handler`.

    ``found(path)`` is [application's mark, the rule's kwargs, the groups' args, their kwargs], or the name of
    what it raised.
    """

    def __init__(self, implementation: Implementation) -> None:
        self.implementation = implementation
        self.seen: list[Any] = []
        self.handler = recorder(implementation, self.seen)
        self.routing = implementation.routing
        self.app = self.application([])

    def application(self, rules: Any, **settings: Any) -> Any:
        return self.implementation.web.Application(
            rules,
            default_handler_class=self.handler,
            default_handler_args={"mark": NOTHING},
            **settings,
        )

    def start(self, rules: Any, **settings: Any) -> Any:
        self.app = self.application(rules, **settings)
        return self.app

    def found(self, path: str, **headers: str) -> Any:
        httputil = self.implementation.httputil
        line = httputil.RequestStartLine("GET", "/", "HTTP/1.1")
        request = httputil.HTTPServerRequest(
            headers=httputil.HTTPHeaders({"Host": "h.test", **headers}), start_line=line, connection=Context()
        )
        request.path = path
        self.seen.clear()
        try:
            if self.implementation is OURS:
                self.app(request)
            else:
                found = self.app.find_handler(request)
                mark = getattr(found.application, "mark", None)
                self.seen.append((mark, dict(found.handler_kwargs), found.path_args, found.path_kwargs))
        except Exception as e:
            return type(e).__name__
        (only,) = self.seen
        return list(only)
