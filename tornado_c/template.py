"""The installed Tornado's ``template``: templates that become Python."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.template import *  # noqa: F403
else:
    from tornado_c._swap.stock import hand_out

    hand_out(__name__)
