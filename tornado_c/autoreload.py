"""The installed Tornado's ``autoreload``: a program starts anew when its source changes.

``python -m tornado_c.autoreload SCRIPT`` (or ``-m MODULE``) does that to any program.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.autoreload import *  # noqa: F403
elif __name__ == "__main__":
    from tornado_c._support.optional import require_tornado

    require_tornado("reloading", "tornado.autoreload").main()
else:
    from tornado_c._swap.stock import hand_out

    hand_out(__name__)
