"""The installed Tornado's ``httpclient``: the interface of HTTP clients, and a blocking one."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.httpclient import *  # noqa: F403
else:
    from tornado_c._swap.stock import hand_out

    hand_out(__name__)
