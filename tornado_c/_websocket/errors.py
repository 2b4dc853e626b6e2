"""What goes wrong with WebSocket, apart from the HTTP that comes before it."""

from __future__ import annotations


class WebSocketError(Exception):
    """A peer does not speak WebSocket, or not as it should."""


class WebSocketClosedError(WebSocketError):
    """Something was to be sent on a connection that is closed, or closing."""


class _DecompressTooLargeError(Exception):
    """A message is beyond the limit once it is decompressed."""
