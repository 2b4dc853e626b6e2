"""The installed Tornado's ``queues``: queues for coroutines."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.queues import *  # noqa: F403
else:
    from tornado_c._swap.stock import hand_out

    hand_out(__name__)
