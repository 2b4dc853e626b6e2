"""What programs reach through ``web`` and the core has no use for there: modules of the standard library and
Tornado's, types, functions. They are imported when somebody asks for them.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from tornado_c._support.optional import require_tornado

_MODULES = (
    *("asyncio", "base64", "binascii", "datetime", "functools", "gzip", "hashlib", "hmac", "mimetypes"),
    *("numbers", "os", "re", "socket", "stat", "string", "sys", "threading", "time", "traceback", "types"),
    "warnings",
)

#: Packages, with the module of each that comes with it.
_PACKAGES = {"email": "email.utils", "http": "http.cookies", "urllib": "urllib.parse"}

#: These need an installed Tornado.
_TORNADO = {
    "gen": "tornado.gen",
    "locale": "tornado.locale",
    "template": "tornado.template",
    "tornado": "tornado",
}

#: What is in a module.
_MEMBERS = {
    "BytesIO": "io",
    "TracebackType": "types",
    "isclass": "inspect",
    "urlencode": "urllib.parse",
    **dict.fromkeys(("Awaitable", "Callable", "Generator", "Iterable"), "collections.abc"),
    **dict.fromkeys(("Any", "Optional", "Type", "TypeVar", "Union", "cast", "overload"), "typing"),
}


def find(name: str) -> Any:
    """Return what ``web`` has under a name on demand.

    :raises AttributeError: nothing.
    :raises ImportError: it is Tornado's, which is not installed.
    """
    if name in _MEMBERS:
        return getattr(importlib.import_module(_MEMBERS[name]), name)
    if name in _TORNADO:
        return require_tornado(f"web.{name}", _TORNADO[name])
    if name in _PACKAGES:
        importlib.import_module(_PACKAGES[name])
    elif name not in _MODULES:
        raise AttributeError(f"module 'tornado_c.web' has no attribute {name!r}")
    return importlib.import_module(name)


def available() -> list[str]:
    """The names that ``find`` finds here."""
    found = [*_MODULES, *_PACKAGES, *_MEMBERS]
    return [*found, *_TORNADO] if importlib.util.find_spec("tornado") is not None else found
