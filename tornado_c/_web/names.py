"""What programs reach through ``web`` and the core has no use for there."""

from __future__ import annotations

from tornado_c._support.names import MEMBERS, Names

NAMES = Names(
    "tornado_c.web",
    modules=(
        *("asyncio", "base64", "binascii", "datetime", "functools", "gzip", "hashlib", "hmac", "mimetypes"),
        *("numbers", "os", "re", "socket", "stat", "string", "sys", "threading", "time", "traceback"),
        *("types", "warnings"),
    ),
    packages={"email": "email.utils", "http": "http.cookies", "urllib": "urllib.parse"},
    members={
        **{name: MEMBERS[name] for name in MEMBERS if name != "Protocol"},
        "_HeaderTypes": "tornado_c._web.header_types",
    },
    tornado=("gen", "locale", "template"),
)
