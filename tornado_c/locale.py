"""The installed Tornado's ``locale``: translations, and the formats of languages."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.locale import *  # noqa: F403
else:
    from tornado_c._swap.stock import hand_out

    hand_out(__name__)
