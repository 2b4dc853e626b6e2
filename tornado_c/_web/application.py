"""Application: from requests to handlers. Its call and the matching of usual rules are in C, see routes.c."""

from __future__ import annotations

import asyncio
import re
import socket
import types
from collections.abc import Awaitable
from inspect import isclass
from typing import Any, cast

from tornado_c import _core, httputil
from tornado_c._support.attributes import restore, shown, state
from tornado_c._web.errors import HTTPError, MissingArgumentError
from tornado_c._web.handler import _ARG_DEFAULT, RequestHandler
from tornado_c._web.handlers import ErrorHandler
from tornado_c._web.reloading import start_autoreload
from tornado_c._web.routes import _ApplicationRouter, compile_routes
from tornado_c._web.static import StaticFileHandler, expire, static_rules
from tornado_c._web.synchronous import Unfinished, is_synchronous
from tornado_c._web.targets import check_default, is_handler_class
from tornado_c._web.transforms import GZipContentEncoding
from tornado_c._web.ui_modules import TemplateModule, UIModule, _linkify, _xsrf_form_html
from tornado_c._web.upcalls import UPCALLS
from tornado_c.httpserver import HTTPServer
from tornado_c.log import access_log
from tornado_c.netutil import _DEFAULT_BACKLOG
from tornado_c.routing import AnyMatches, DefaultHostMatches, HostMatches, ReversibleRouter, Rule, _RuleList


class Application(_core.ApplicationBase, ReversibleRouter):
    """A collection of handlers; called with each request.

    :param handlers: rules, ``(pattern, handler class[, kwargs[, name]])`` or
        :class:`tornado_c.routing.URLSpec`; the first whose pattern matches the whole path serves the request.
        See :mod:`tornado_c.routing` for other matchers and targets.
    :param default_host: the host whose rules (see :meth:`add_handlers`) serve requests for unknown hosts too.
    :param transforms: classes that alter responses on their way out, see :class:`OutputTransform`.
    :param wsgi: of Tornado before 4.0; ignored.
    :param settings: ``debug``, ``autoreload``, ``serve_traceback``, ``log_function``,
        ``default_handler_class`` and its ``default_handler_args``, ``login_url``, ``cookie_secret``,
        ``compress_response`` or ``gzip`` (compress, unless there are ``transforms``), ``static_path`` (a
        folder, which is served below ``static_url_prefix``, ``/static/``, by ``static_handler_class`` with
        ``static_handler_args``) and whatever the handlers want to know.
    """

    __dict__ = shown("transforms", "default_host", "settings", "wildcard_router", "default_router")
    __getstate__, __setstate__ = state, restore

    def __init__(
        self,
        handlers: _RuleList | None = None,
        default_host: str | None = None,
        transforms: list[Any] | None = None,
        wsgi: bool = False,
        **settings: Any,
    ) -> None:
        if transforms is None:
            compress = settings.get("compress_response") or settings.get("gzip")
            transforms = [GZipContentEncoding] if compress else []
        if settings.get("static_path"):
            handlers = [*static_rules(settings), *(handlers or [])]
        check_default(settings.get("default_handler_class"))
        self.transforms: list[Any] = transforms
        self.default_host = default_host
        self.settings = settings
        self.ui_modules: dict[str, type[UIModule]] = {
            "linkify": _linkify,
            "xsrf_form_html": _xsrf_form_html,
            "Template": TemplateModule,
        }
        self.ui_methods: dict[str, Any] = {}
        self._load_ui_modules(settings.get("ui_modules", {}))
        self._load_ui_methods(settings.get("ui_methods", {}))
        if settings.get("debug"):
            settings.setdefault("autoreload", True)
            settings.setdefault("compiled_template_cache", False)
            settings.setdefault("static_hash_cache", False)
            settings.setdefault("serve_traceback", True)
        self.wildcard_router = _ApplicationRouter(self, handlers)
        self.default_router = _ApplicationRouter(self, [Rule(AnyMatches(), self.wildcard_router)])
        if settings.get("autoreload"):
            start_autoreload()

    @property
    def handlers(self) -> list[tuple[re.Pattern[str], list[Rule]]]:
        """The rules by host pattern, as Tornado before 4.5 kept them."""
        found = []
        for rule in self.default_router.rules:
            pattern = getattr(rule.matcher, "host_pattern", None) or re.compile(".*$")
            found.append((pattern, rule.target.rules))
        return found

    def listen(
        self,
        port: int,
        address: str | None = None,
        *,
        family: socket.AddressFamily = socket.AF_UNSPEC,
        backlog: int = _DEFAULT_BACKLOG,
        flags: int | None = None,
        reuse_port: bool = False,
        **kwargs: Any,
    ) -> HTTPServer:
        """Make an HTTPServer for this application, have it listen, and return it.

        Further keyword arguments are the server's.
        """
        server = HTTPServer(self, **kwargs)
        server.listen(port, address, family, backlog, flags, reuse_port)
        return server

    def add_handlers(self, host_pattern: str, host_handlers: _RuleList) -> None:
        """Add rules for hosts that ``host_pattern`` matches. They are asked before those for any host."""
        matcher = HostMatches(host_pattern)
        self.default_router.rules.insert(-1, Rule(matcher, _ApplicationRouter(self, host_handlers)))
        if self.default_host is not None:
            by_default = DefaultHostMatches(self, matcher.host_pattern)
            self.wildcard_router.add_rules([(by_default, host_handlers)])  # type: ignore[list-item]

    def _get_host_handlers(self, request: httputil.HTTPServerRequest) -> list[Rule] | None:
        """Return the rules for the host of a request, or for the default host, as Tornado 2 to 4 did.

        :returns: None if there are none.
        """
        hosts = [request.host_name]
        if self.default_host is not None and "X-Real-Ip" not in request.headers:
            hosts.append(self.default_host)
        for host in hosts:
            for pattern, rules in self.handlers:
                if pattern.match(host):
                    return rules
        return None

    def add_transform(self, transform_class: type[Any]) -> None:
        """Add a class that alters responses."""
        self.transforms.append(transform_class)

    def _load_ui_methods(self, methods: Any) -> None:
        if isinstance(methods, types.ModuleType):
            methods = vars(methods)
        if isinstance(methods, list):
            for each in methods:
                self._load_ui_methods(each)
            return
        for name, function in methods.items():
            if not name.startswith("_") and callable(function) and name[0].lower() == name[0]:
                self.ui_methods[name] = function

    def _load_ui_modules(self, modules: Any) -> None:
        if isinstance(modules, types.ModuleType):
            modules = vars(modules)
        if isinstance(modules, list):
            for each in modules:
                self._load_ui_modules(each)
            return
        assert isinstance(modules, dict)
        for name, cls in modules.items():
            if isclass(cls) and issubclass(cls, UIModule):
                self.ui_modules[name] = cls

    # ---- routing ----

    def find_handler(self, request: httputil.HTTPServerRequest, **kwargs: Any) -> _HandlerDelegate:
        """Return the delegate that serves ``request``.

        The call asks it only if it is overridden, or if a rule is of a kind that C does not know.
        """
        delegate = self.default_router.find_handler(request)
        if delegate is not None:
            return cast(_HandlerDelegate, delegate)
        settings = self.settings
        if settings.get("default_handler_class"):
            kind, arguments = settings["default_handler_class"], settings.get("default_handler_args", {})
            return self.get_handler_delegate(request, kind, arguments)
        return self.get_handler_delegate(request, ErrorHandler, {"status_code": 404})

    def get_handler_delegate(
        self,
        request: httputil.HTTPServerRequest,
        target_class: type[RequestHandler],
        target_kwargs: dict[str, Any] | None = None,
        path_args: list[bytes] | None = None,
        path_kwargs: dict[str, bytes] | None = None,
    ) -> _HandlerDelegate:
        """Return the delegate that serves ``request`` with a handler class.

        :param target_kwargs: for the handler's ``initialize``.
        :param path_args: positional arguments of its method.
        :param path_kwargs: keyword arguments of its method.
        """
        return _HandlerDelegate(self, request, target_class, target_kwargs, path_args, path_kwargs)

    def reverse_url(self, name: str, *args: Any) -> str:
        """Return the path of a named rule, with ``args``, quoted, in place of its groups.

        :raises KeyError: there is no rule of this name.
        """
        url = self.default_router.reverse_url(name, *args)
        if url is None:
            raise KeyError(f"{name} not found in named urls")
        return url

    def log_request(self, handler: RequestHandler) -> None:
        """Log a request that was served, at a level that depends on its status. May be overridden.

        The setting ``log_function`` is called in its place if it is there.
        """
        if "log_function" in self.settings:
            self.settings["log_function"](handler)
            return
        status = handler.get_status()
        log = access_log.info if status < 400 else access_log.warning if status < 500 else access_log.error
        milliseconds = 1000.0 * handler.request.request_time()
        log("%d %s %.2fms", status, handler._request_summary(), milliseconds)


class _HandlerDelegate(httputil.HTTPMessageDelegate):
    """Serves a request with a handler where a delegate is wanted: one that has its body streamed, or what an
    overridden find_handler() returns.
    """

    def __init__(
        self,
        application: Application,
        request: httputil.HTTPServerRequest,
        handler_class: type[RequestHandler],
        handler_kwargs: dict[str, Any] | None,
        path_args: list[bytes] | None,
        path_kwargs: dict[str, bytes] | None,
    ) -> None:
        self.application = application
        self.connection = request.connection
        self.request = request
        self.handler_class = handler_class
        self.handler_kwargs = handler_kwargs or {}
        self.path_args = path_args or []
        self.path_kwargs = path_kwargs or {}
        self.chunks: bytearray | None = bytearray()
        self.stream_request_body: bool = (
            is_handler_class(handler_class) and handler_class._stream_request_body
        )

    def headers_received(self, start_line: Any, headers: httputil.HTTPHeaders) -> Awaitable[None] | None:
        if not self.stream_request_body:
            return None
        if is_synchronous():
            raise Unfinished()  # a body comes piece by piece, in later turns of a loop
        self.request._body_future = asyncio.Future()
        return self.execute()

    def data_received(self, data: bytes) -> Awaitable[None] | None:
        if self.stream_request_body:
            return self.handler.data_received(data)
        assert self.chunks is not None
        self.chunks += data
        return None

    def finish(self) -> None:
        if self.stream_request_body:
            self.handler._body_received()
        else:
            assert self.chunks is not None
            self.request.body = bytes(self.chunks)
            self.execute()

    def on_connection_close(self) -> None:
        self.chunks = None
        handler = self.__dict__.get("handler")
        if self.stream_request_body and handler is not None:
            try:
                handler.on_connection_close()
            finally:
                handler._body_lost()

    def execute(self) -> Awaitable[None] | None:
        """Make the handler and run it.

        :returns: where the body is streamed, a Future that is done when it may come; else None.
        """
        self.handler: RequestHandler = _core.execute_handler(
            self.application,
            self.request,
            self.handler_class,
            self.handler_kwargs,
            tuple(self.path_args),
            self.path_kwargs,
        )
        return self.handler._prepared_future


_core.register(
    "web",
    faces={
        "ErrorHandler": ErrorHandler,
        "HTTPError": HTTPError,
        "MissingArgumentError": MissingArgumentError,
    },
    upcalls={
        "HandlerDelegate": _HandlerDelegate,
        **UPCALLS,
        "arg_default": _ARG_DEFAULT,
        "compile_routes": compile_routes,
        "hook_originals": {
            **{name: value for cls in reversed(RequestHandler.__mro__) for name, value in vars(cls).items()},
            "find_handler": Application.__dict__["find_handler"],
            "get_handler_delegate": Application.__dict__["get_handler_delegate"],
            "log_request": Application.__dict__["log_request"],
            "settings": _core.ApplicationBase.__dict__["settings"],
            "start_request": Application.start_request,
            "transforms": _core.ApplicationBase.__dict__["transforms"],
        },
        "static_expire": expire,
        "static_hook_originals": dict(vars(StaticFileHandler)),
    },
)
