"""Handlers in unit tests of programs: made by hand, of an application and a request that are mocks. What
Tornado's do then, ours do.
"""

import asyncio
import logging
from unittest.mock import AsyncMock, MagicMock, Mock, patch

import pytest

from support.implementations import BOTH

STEPS = {
    "set_header": lambda handler: handler.set_header("A", "b"),
    "set_status": lambda handler: (handler.set_status(404), handler.get_status()),
    "write": lambda handler: (handler.write("x"), handler.write({"a": 1}), list(handler._write_buffer)),
    "write list": lambda handler: handler.write([1]),
    "get_argument": lambda handler: handler.get_argument("a", None),
    "get_body_arguments": lambda handler: handler.get_body_arguments("a"),
    "get_cookie": lambda handler: handler.get_cookie("a"),
    "set_cookie": lambda handler: handler.set_cookie("a", "b"),
    "get_signed_cookie": lambda handler: handler.get_signed_cookie("a"),
    "settings": lambda handler: handler.settings is handler.application.settings,
    "current_user": lambda handler: handler.current_user,
    "locale": lambda handler: handler.locale.code,
    "ui": lambda handler: sorted(handler.ui),
    "summary": lambda handler: type(handler._request_summary()),
    "reverse_url": lambda handler: handler.reverse_url("a") is handler.application.reverse_url.return_value,
    "send_error": lambda handler: (handler.send_error(503), handler.get_status(), handler._finished),
    "get": lambda handler: (handler.get(), handler._finished),
    "finish": lambda handler: (handler.finish("x"), handler._finished)[1],
    "finish twice": lambda handler: (handler.finish("x"), handler.finish("y")),
    "flush": lambda handler: (handler.flush(), handler._headers_written)[1],
    "redirect": lambda handler: (handler.redirect("/"), handler._headers["Location"], handler.get_status()),
    "_log": lambda handler: (handler._log(), handler.application.log_request.called),
    "log_exception": lambda handler: handler.log_exception(ValueError, ValueError(1), None),
    "check_xsrf_cookie": lambda handler: handler.check_xsrf_cookie(),
    "detach": lambda handler: (handler.detach(), handler._finished)[1],
    "prepare": lambda handler: handler.prepare(),
    "head": lambda handler: handler.head(),
    "write_error": lambda handler: (handler.write_error(404), handler._finished),
    "clear": lambda handler: (handler.clear(), handler._write_buffer),
    "patched": lambda handler: _patched(handler),
}


def _patched(handler):
    with patch.object(handler, "write") as write, patch.object(type(handler), "finish") as finish:
        handler.get()
    return write.call_args, finish.call_count


def requests(implementation):
    httputil = implementation.httputil

    def real():
        line = httputil.RequestStartLine("GET", "/?a=1", "HTTP/1.1")
        headers = httputil.HTTPHeaders({"Cookie": "a=1"})
        return httputil.HTTPServerRequest(start_line=line, headers=headers, connection=Mock())

    return {
        "magic": MagicMock,
        "get": lambda: MagicMock(method="GET", headers={}, cookies={}, arguments={}),
        "real": real,
    }


def applications(implementation):
    web = implementation.web
    return {
        "magic": MagicMock,
        "settings": lambda: MagicMock(ui_methods={}, ui_modules={}, settings={}, transforms=[]),
        "real": lambda: web.Application(cookie_secret="x"),
    }


def outcome(implementation, application, request, step):
    class Handler(implementation.web.RequestHandler):
        def get(self):
            self.write("x")
            self.finish()

    async def main():
        handler = Handler(applications(implementation)[application](), requests(implementation)[request]())
        handler._transforms = []
        return STEPS[step](handler)

    logging.disable(logging.CRITICAL)
    try:
        return implementation.run(main())
    except Exception as exc:
        return type(exc).__name__
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("request_kind", ["magic", "get", "real"])
@pytest.mark.parametrize("application", ["magic", "settings", "real"])
def test_mocks_get_the_same(application, request_kind, step):
    ours, stock = (outcome(each, application, request_kind, step) for each in BOTH)
    assert repr(ours) == repr(stock)


def test_execute(implementation):
    """As a test that awaits a handler's whole request does."""
    web = implementation.web

    class Handler(web.RequestHandler):
        async def get(self, name):
            self.write(await self.settings["source"](name))

    async def main():
        application = web.Application(source=AsyncMock(return_value="answer"))
        request = MagicMock(method="GET", headers={}, cookies={}, arguments={})
        request.request_time.return_value = 0.1
        handler = Handler(application, request)
        await handler._execute([], b"name")
        return handler, application.settings["source"].await_args

    handler, called = asyncio.run(main())
    assert called.args == ("name",)
    head, headers, text = handler.request.connection.write_headers.call_args.args
    assert (head.code, headers["Content-Length"], bytes(text)) == (200, "6", b"answer")
    assert handler.request.connection.finish.called
