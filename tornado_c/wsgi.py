"""The installed Tornado's ``wsgi``: WSGI applications behind an HTTP server."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.wsgi import *  # noqa: F403
else:
    from tornado_c._swap.stock import hand_out

    hand_out(__name__)
