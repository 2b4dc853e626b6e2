"""Private helpers that every wing uses.

Applications find much of this in ``tornado.util``, ``tornado.escape`` and ``tornado.concurrent``, and the
files are named after these. The core must run where Tornado itself is not installed, so it keeps its own.
Nothing here needs an event loop when it is imported.
"""

from tornado_c._support import autospec as autospec
