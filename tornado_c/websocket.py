"""The installed Tornado's ``websocket``: handlers and clients of WebSocket. Under the swap only."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.websocket import *  # noqa: F403
else:
    from tornado_c._swap.stock import hand_out

    hand_out(__name__, only_swapped=True)
