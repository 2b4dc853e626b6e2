"""The setting ``autoreload``: a program in development starts anew when its source changes."""

from __future__ import annotations

from tornado_c._support.optional import require_tornado
from tornado_c.ioloop import IOLoop
from tornado_c.log import gen_log

_warned = False


def start_autoreload() -> None:
    """Have the installed Tornado watch the modules of this process. Where there is none, say so, once."""
    from tornado_c import process

    global _warned
    if process.task_id() is not None:
        return  # one of several workers, which would all start the whole program
    IOLoop.current()  # before Tornado asks asyncio for a loop: it is to be ours
    try:
        autoreload = require_tornado("the setting autoreload, which debug includes,", "tornado.autoreload")
    except ImportError as exc:
        if not _warned:
            _warned = True
            gen_log.warning("The program will not be reloaded: %s", exc)
    else:
        autoreload.start()
