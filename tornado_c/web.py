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

Not here yet: templates, static files, streamed request bodies and compression; what is asked for them raises
NotImplementedError.
"""

from __future__ import annotations

from tornado_c._web.application import Application, _ApplicationRouter, _HandlerDelegate
from tornado_c._web.decorators import (
    addslash,
    asynchronous,
    authenticated,
    removeslash,
    stream_request_body,
)
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
)
from tornado_c._web.targets import guard_stock
from tornado_c.routing import URLSpec

url = URLSpec

for _cls in (
    Application,
    ErrorHandler,
    FallbackHandler,
    Finish,
    HTTPError,
    MissingArgumentError,
    RedirectHandler,
    RequestHandler,
):
    _cls.__module__ = __name__
del _cls

guard_stock()
del guard_stock

__all__ = [
    "DEFAULT_SIGNED_VALUE_MIN_VERSION",
    "DEFAULT_SIGNED_VALUE_VERSION",
    "MAX_SUPPORTED_SIGNED_VALUE_VERSION",
    "MIN_SUPPORTED_SIGNED_VALUE_VERSION",
    "_ARG_DEFAULT",
    "Application",
    "ErrorHandler",
    "FallbackHandler",
    "Finish",
    "HTTPError",
    "MissingArgumentError",
    "RedirectHandler",
    "RequestHandler",
    "URLSpec",
    "_ApplicationRouter",
    "_ArgDefaultMarker",
    "_CookieSecretTypes",
    "_HandlerDelegate",
    "_create_signature_v1",
    "_create_signature_v2",
    "_decode_fields_v2",
    "_decode_signed_value_v1",
    "_decode_signed_value_v2",
    "_get_version",
    "_signed_value_version_re",
    "addslash",
    "asynchronous",
    "authenticated",
    "create_signed_value",
    "decode_signed_value",
    "get_signature_key_version",
    "removeslash",
    "stream_request_body",
    "url",
]

for _value in [globals()[name] for name in __all__]:
    if hasattr(_value, "__qualname__") and _value.__module__.startswith("tornado_c._web."):
        _value.__module__ = __name__
del _value
