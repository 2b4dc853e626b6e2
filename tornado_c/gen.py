"""The installed Tornado's ``gen``: generators as coroutines, and what waits for several awaitables."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.gen import *  # noqa: F403
else:
    from tornado_c._swap.stock import hand_out

    hand_out(__name__)
