"""What programs reach through ``websocket`` and the core has no use for there."""

from __future__ import annotations

from tornado_c._support.names import MEMBERS, Names

_MEMBERS = ("Awaitable", "Callable", "TracebackType", "Any", "Optional", "Protocol", "Type", "Union", "cast")

NAMES = Names(
    "tornado_c.websocket",
    modules=(
        *("abc", "asyncio", "base64", "functools", "hashlib", "logging", "os", "struct", "sys"),
        *("warnings", "zlib"),
    ),
    members={name: MEMBERS[name] for name in _MEMBERS},
    tornado=("gen", "httpclient", "simple_httpclient"),
    tornado_members={"Queue": "queues"},
)
