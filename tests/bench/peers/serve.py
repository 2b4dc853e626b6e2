"""python serve.py SERVER PORT [STATIC_FOLDER]: one of the servers that ours is measured against, as fast as
its options make it: one worker, no access log."""

import sys
from pathlib import Path

BACKLOG = 4096
BODY_MAX = 1 << 25


def bjoern(port):
    import bjoern
    from wsgi import app

    bjoern.run(app, "127.0.0.1", port, listen_backlog=BACKLOG)


def fastpysgi(port):
    import fastpysgi
    from wsgi import app

    fastpysgi.server.backlog = BACKLOG
    fastpysgi.server.max_content_length = BODY_MAX
    fastpysgi.run(app, "127.0.0.1", port)


def granian(port, folder=None):
    from granian import Granian

    files = {"static_path_route": ["/static"], "static_path_mount": [Path(folder)]} if folder else {}
    Granian(
        "rsgi:app",
        address="127.0.0.1",
        port=port,
        interface="rsgi",
        backlog=BACKLOG,
        log_enabled=False,
        working_dir=Path(__file__).parent,
        **files,
    ).serve()


def uvicorn(port):
    import uvicorn

    options = {"access_log": False, "log_level": "warning", "lifespan": "off"}
    options |= {"loop": "uvloop", "http": "httptools", "ws": "websockets-sansio", "ws_ping_interval": None}
    uvicorn.run("asgi:app", host="127.0.0.1", port=port, backlog=BACKLOG, **options)


if __name__ == "__main__":
    _, name, port, *rest = sys.argv
    {f.__name__: f for f in (bjoern, fastpysgi, granian, uvicorn)}[name](int(port), *rest)
