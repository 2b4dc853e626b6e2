"""The installed Tornado's ``locks``: locks, conditions, events and semaphores for coroutines."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.locks import *  # noqa: F403
else:
    from tornado_c._swap.stock import hand_out

    hand_out(__name__)
