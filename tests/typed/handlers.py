"""Handlers, routing, options and log."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Awaitable
from typing import Any

import tornado.httpserver
import tornado.web
from tornado.httputil import HTTPServerRequest
from tornado.log import LogFormatter, access_log, app_log, enable_pretty_logging, gen_log
from tornado.options import Error, OptionParser, define, options, print_help
from tornado.routing import (
    AnyMatches,
    HostMatches,
    PathMatches,
    ReversibleRuleRouter,
    Router,
    Rule,
    RuleRouter,
    URLSpec,
)
from tornado.web import (
    Application,
    ErrorHandler,
    FallbackHandler,
    Finish,
    HTTPError,
    MissingArgumentError,
    RedirectHandler,
    RequestHandler,
    addslash,
    authenticated,
    removeslash,
)


class Base(RequestHandler):
    def initialize(self, database: dict[str, str] | None = None) -> None:
        self.database = database or {}

    def set_default_headers(self) -> None:
        self.set_header("Server", "x")
        self.add_header("X-Number", 5)
        self.set_header("Expires", datetime.datetime.now())
        self.clear_header("X-Number")

    async def prepare(self) -> None:
        if not self.get_current_user():
            raise Finish()

    def get_current_user(self) -> str | None:
        return self.get_cookie("user")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish(f"{status_code}: {self._reason}")

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        super().log_exception(typ, value, tb)

    def on_finish(self) -> None:
        print(self.request.request_time() + 1, self.get_status() + 1)

    def on_connection_close(self) -> None:
        print("gone")

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return None

    def compute_etag(self) -> str | None:
        return '"x"'

    def check_trusted_origin(self, origin: str) -> bool:
        return super().check_trusted_origin(origin)


class Item(Base):
    @authenticated
    def get(self, number: str, suffix: str = "") -> None:
        name: str = self.get_argument("name", default="x", strip=False)
        other: str | None = self.get_query_argument("other", None)
        many: list[str] = self.get_arguments("many")
        body: str = self.get_body_argument("body")
        print(name, other, many, body, self.get_body_arguments("b"), self.get_query_arguments("q"))
        print(self.path_args[0].upper(), self.path_kwargs, self.application.settings["debug"])
        user: str = self.get_cookie("user", "nobody")
        self.set_cookie("user", user, expires_days=1, httponly=True, samesite="Lax")
        self.clear_cookie("user")
        self.clear_all_cookies()
        if not number.isdigit():
            raise MissingArgumentError("number")
        self.set_status(201, reason="Made")
        self.write({"number": 1})
        self.write(b"bytes")
        self.redirect(self.reverse_url("item", 5), permanent=True)

    @addslash
    async def post(self, number: str) -> None:
        for name, files in self.request.files.items():
            for file in files:
                print(name, file.filename.upper(), file["body"], file.content_type)
        for key, values in self.request.arguments.items():
            print(key, values[0].decode())
        self.set_etag_header()
        if self.check_etag_header():
            self.set_status(304)
            return
        await self.flush(include_footers=False)
        self.send_error(500, reason="x")

    @removeslash
    def put(self, number: str) -> None:
        stream = self.detach()
        stream.write(b"raw")

    def delete(self, number: str) -> None:
        error = HTTPError(404, "no %s", number, reason="Gone")
        print(error.status_code + 1, error.log_message, error.args)
        raise error


class MyApplication(Application):
    def __init__(self) -> None:
        rules: list[Any] = [
            (r"/item/(\d+)", Item, {"database": {}}, "item"),
            URLSpec(r"/x", RedirectHandler, {"url": "/y"}),
            (HostMatches("a"), [(r"/z", ErrorHandler, {"status_code": 400})]),
        ]
        super().__init__(rules, default_host="a", debug=True, login_url="/login")
        self.add_handlers(r".*\.b", [(r"/", tornado.web.RequestHandler)])

    def log_request(self, handler: RequestHandler) -> None:
        super().log_request(handler)


class MyRouter(Router):
    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        return MyApplication().get_handler_delegate(request, Item, path_args=[b"1"])


def old_style(request: HTTPServerRequest) -> None:
    print(request.method, request.uri, request.full_url())


def main() -> None:
    define("name", default="x", help="h", metavar="NAME", multiple=False, group="g")
    define("moment", type=datetime.timedelta, callback=print)
    parser = OptionParser()
    parser.define("port", default=1)
    rest: list[str] = parser.parse_command_line(["--port=2"], final=False)
    parser.parse_config_file("x.conf", final=True)
    parser.add_parse_callback(lambda: print("parsed"))
    print(rest, parser.as_dict(), parser.group_dict("g"), list(parser.items()), parser.groups(), parser.port)
    print_help()
    try:
        options.name = "y"
    except Error:
        gen_log.warning("no")
    enable_pretty_logging(logger=logging.getLogger("x"))
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter(color=False, datefmt="%H"))
    access_log.addHandler(handler)
    app_log.info("x")
    app = MyApplication()
    print(app.reverse_url("item", 1), app.settings)
    router = RuleRouter([Rule(PathMatches("/a.*"), app), (AnyMatches(), MyRouter())])
    named = ReversibleRuleRouter([Rule(PathMatches("/a/(.*)"), app, name="a")])
    print(named.reverse_url("a", 1))
    server = tornado.httpserver.HTTPServer(router, max_body_size=100, ssl_options=None)
    server.listen(80)
    fallback = Application([(r".*", FallbackHandler, {"fallback": old_style})])
    tornado.httpserver.HTTPServer(fallback).start()
