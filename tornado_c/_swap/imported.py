"""What programs reach through a module of Tornado's though it is not of its making: what that has imported.

Ours import other things, and web and websocket have these names by themselves. Under the swap a name that the
others miss is looked up here.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from tornado_c._support.names import MEMBERS

#: By module.
NAMES = {
    "util": "Match array asyncio os typing",
    "escape": "typing",
    "concurrent": "Union sys types typing",
    "log": "_unicode basestring_type cast unicode_type",
    "options": "_unicode exec_in native_str",
    "ioloop": (
        "Future TypedDict chain_future datetime future_set_exc_info isawaitable numbers sys time typing"
    ),
    "iostream": (
        "Awaitable Future Pattern TracebackType TypeVar collections errno_from_exception "
        "future_set_result_unless_cancelled ioloop numbers re sys typing"
    ),
    "tcpserver": "gen",
    "tcpclient": "Future Tuple gen",
    "netutil": "Awaitable Configurable asyncio concurrent dummy_executor run_on_executor",
    "process": "Future hexlify ioloop multiprocessing time",
    "httputil": (
        "AnyStr Awaitable Generator Iterable Iterator Mapping ObjectDict SSLError calendar collections copy "
        "dataclasses datetime email native_str parse_qsl time to_unicode typing unicode_type urlencode "
        "urlparse urlunparse"
    ),
    "http1connection": (
        "Callable Future GzipDecompressor Optional Type app_log cast future_add_done_callback gen logging "
        "native_str types utf8 zlib"
    ),
    "httpserver": "Awaitable iostream native_str netutil typing",
    "routing": "Pattern overload re_unescape unicode_type url_escape url_unescape",
    "gen": (
        "Awaitable Dict Iterable List Mapping Sequence Tuple Type Union builtins collections concurrent "
        "contextvars datetime isawaitable singledispatch sys typing"
    ),
    "platform.asyncio": "Protocol TypeVar Union concurrent convert_yielded sys typing",
}

#: Where members of modules are; any other name is that of a module, of ours or of the standard library.
HOMES = {
    **MEMBERS,
    **dict.fromkeys("Iterator Mapping Sequence".split(), "collections.abc"),
    **dict.fromkeys("AnyStr Dict List Match Pattern Tuple TypedDict".split(), "typing"),
    **dict.fromkeys("parse_qsl urlparse urlunparse".split(), "urllib.parse"),
    "SSLError": "ssl",
    "hexlify": "binascii",
    "isawaitable": "inspect",
    "singledispatch": "functools",
    **dict.fromkeys("Future chain_future dummy_executor run_on_executor".split(), "tornado_c.concurrent"),
    **dict.fromkeys("future_add_done_callback future_set_exc_info".split(), "tornado_c.concurrent"),
    "future_set_result_unless_cancelled": "tornado_c.concurrent",
    "convert_yielded": "tornado_c.gen",
    "app_log": "tornado_c.log",
    **dict.fromkeys(
        "_unicode native_str to_unicode url_escape url_unescape utf8".split(), "tornado_c.escape"
    ),
    **dict.fromkeys(
        "Configurable GzipDecompressor ObjectDict errno_from_exception".split(), "tornado_c.util"
    ),
    **dict.fromkeys("basestring_type exec_in re_unescape unicode_type".split(), "tornado_c.util"),
}
OURS = {"gen", "ioloop", "iostream", "netutil"}


def find(name: str) -> Any:
    """What one of the names stands for."""
    if name in HOMES:
        return getattr(importlib.import_module(HOMES[name]), name)
    return importlib.import_module(f"tornado_c.{name}" if name in OURS else name)


def add(module: ModuleType, theirs: str) -> None:
    """Give a module of ours that is to be one of Tornado's the names that it lacks."""
    names = frozenset(NAMES.get(theirs.removeprefix("tornado."), "").split())
    own = vars(module).get("__getattr__")
    if not names or hasattr(own, "module_had"):
        return

    def get(name: str) -> Any:
        if name in names:
            return find(name)
        if own is None:
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        return own(name)

    get.module_had = own  # type: ignore[attr-defined]
    vars(module)["__getattr__"] = get


def take_away(module: ModuleType) -> None:
    """Undo ``add``."""
    get: Any = vars(module).get("__getattr__")
    if hasattr(get, "module_had"):
        del vars(module)["__getattr__"]
        if get.module_had is not None:
            vars(module)["__getattr__"] = get.module_had
