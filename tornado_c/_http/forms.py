"""What forms bring."""

from __future__ import annotations

from tornado_c.util import ObjectDict


class HTTPFile(ObjectDict):
    """A file that came in a form; its fields are attributes and dictionary items."""

    filename: str
    body: bytes
    content_type: str
