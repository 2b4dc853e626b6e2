"""The installed Tornado's ``auth``: logins through other sites, as mixins of handlers."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.auth import *  # noqa: F403
else:
    from tornado_c._swap.stock import hand_out

    hand_out(__name__)
