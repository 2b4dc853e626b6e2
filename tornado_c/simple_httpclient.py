"""The installed Tornado's ``simple_httpclient``: an HTTP client in Python."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.simple_httpclient import *  # noqa: F403
else:
    from tornado_c._swap.stock import hand_out

    hand_out(__name__)
