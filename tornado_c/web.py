"""Handlers and the application that they make up.

::

    import asyncio
    import tornado_c.web

    class MainHandler(tornado_c.web.RequestHandler):
        def get(self):
            self.write("Hello, world")

    async def main():
        tornado_c.web.Application([(r"/", MainHandler)]).listen(8888)
        await asyncio.Event().wait()

Templates and locales are the installed Tornado's: ``pip install 'tornado_c[tornado]'``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado_c import escape, httputil, iostream
from tornado_c._support.names import adopt, on_demand
from tornado_c._web.application import Application, _ApplicationRouter, _HandlerDelegate
from tornado_c._web.decorators import (
    _has_stream_request_body,
    _RequestHandlerType,
    addslash,
    asynchronous,
    authenticated,
    removeslash,
    stream_request_body,
)
from tornado_c._web.earlier import ChunkedTransferEncoding
from tornado_c._web.errors import Finish, HTTPError, MissingArgumentError
from tornado_c._web.handler import _ARG_DEFAULT, RequestHandler, _ArgDefaultMarker
from tornado_c._web.handlers import ErrorHandler, FallbackHandler, RedirectHandler
from tornado_c._web.signed import (
    DEFAULT_SIGNED_VALUE_MIN_VERSION,
    DEFAULT_SIGNED_VALUE_VERSION,
    MAX_SUPPORTED_SIGNED_VALUE_VERSION,
    MIN_SUPPORTED_SIGNED_VALUE_VERSION,
    _CookieSecretTypes,
    _create_signature_v1,
    _create_signature_v2,
    _decode_fields_v2,
    _decode_signed_value_v1,
    _decode_signed_value_v2,
    _get_version,
    _signed_value_version_re,
    create_signed_value,
    decode_signed_value,
    get_signature_key_version,
    same_digest,
)
from tornado_c._web.static import StaticFileHandler
from tornado_c._web.targets import guard_stock
from tornado_c._web.transforms import GZipContentEncoding, OutputTransform
from tornado_c._web.ui_modules import (
    TemplateModule,
    UIModule,
    _linkify,
    _UIModuleNamespace,
    _xsrf_form_html,
)
from tornado_c._web.urls import (
    _is_protocol_relative,
    _normalize_url_like_browser,
    _scheme_and_netloc,
    is_absolute,
)
from tornado_c.concurrent import Future, future_set_result_unless_cancelled
from tornado_c.escape import _unicode, utf8
from tornado_c.httpserver import HTTPServer
from tornado_c.log import access_log, app_log, gen_log
from tornado_c.routing import (
    AnyMatches,
    DefaultHostMatches,
    HostMatches,
    ReversibleRouter,
    ReversibleRuleRouter,
    Rule,
    URLSpec,
    _RuleList,
)
from tornado_c.util import ObjectDict, _websocket_mask, unicode_type

if TYPE_CHECKING:
    from tornado_c._web.header_types import _HeaderTypes as _HeaderTypes

url = URLSpec

# The names of Tornado 2.
_create_signature = _create_signature_v1
_time_independent_equals = same_digest

guard_stock()
del guard_stock

__all__ = [
    "DEFAULT_SIGNED_VALUE_MIN_VERSION",
    "DEFAULT_SIGNED_VALUE_VERSION",
    "MAX_SUPPORTED_SIGNED_VALUE_VERSION",
    "MIN_SUPPORTED_SIGNED_VALUE_VERSION",
    "_ARG_DEFAULT",
    "Application",
    "ChunkedTransferEncoding",
    "ErrorHandler",
    "FallbackHandler",
    "Finish",
    "GZipContentEncoding",
    "HTTPError",
    "MissingArgumentError",
    "OutputTransform",
    "RedirectHandler",
    "RequestHandler",
    "StaticFileHandler",
    "URLSpec",
    "_ApplicationRouter",
    "_ArgDefaultMarker",
    "_CookieSecretTypes",
    "_HandlerDelegate",
    "_RequestHandlerType",
    "_create_signature",
    "_create_signature_v1",
    "_create_signature_v2",
    "_decode_fields_v2",
    "_decode_signed_value_v1",
    "_decode_signed_value_v2",
    "_get_version",
    "_has_stream_request_body",
    "_signed_value_version_re",
    "_time_independent_equals",
    "addslash",
    "asynchronous",
    "authenticated",
    "create_signed_value",
    "decode_signed_value",
    "get_signature_key_version",
    "removeslash",
    "stream_request_body",
    "url",
    "TemplateModule",
    "UIModule",
    "_linkify",
    "_UIModuleNamespace",
    "_xsrf_form_html",
    "_is_protocol_relative",
    "_normalize_url_like_browser",
    "_scheme_and_netloc",
    "is_absolute",
    "Future",
    "future_set_result_unless_cancelled",
    "_unicode",
    "utf8",
    "HTTPServer",
    "access_log",
    "app_log",
    "gen_log",
    "AnyMatches",
    "DefaultHostMatches",
    "HostMatches",
    "ReversibleRouter",
    "ReversibleRuleRouter",
    "Rule",
    "_RuleList",
    "ObjectDict",
    "_websocket_mask",
    "unicode_type",
    "escape",
    "httputil",
    "iostream",
]

adopt(globals(), "tornado_c._web")

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_demand(globals(), "tornado_c._web")

del adopt, on_demand
