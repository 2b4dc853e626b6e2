"""python -m tornado_c: a small server to look at in a browser.

python -m tornado_c [--drain-timeout SECONDS] SCRIPT [ARGUMENTS]: a program written for Tornado, run with the
core of tornado_c in the place of Tornado's, and with its event loop under asyncio.run. On SIGTERM it answers
what is in flight, then ends; with several processes, SIGHUP replaces them one by one by the program as it is
then.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import json
import os
import platform
import resource
import runpy
import signal
import sys
import time
import warnings

from . import EventLoopPolicy, __version__, _core, _shutdown, install, version
from .httpserver import HTTPServer
from .httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from .ioloop import IOLoop

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tornado_c</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; color: #1c2430; background: #f4f6f8; margin: 0; }}
  main {{ max-width: 44rem; margin: 3rem auto; padding: 2rem; background: #fff; border-radius: .75rem;
         box-shadow: 0 1px 8px #0002; }}
  h1 {{ margin: 0 0 .25rem; }}
  table {{ border-collapse: collapse; width: 100%; margin: 1rem 0; }}
  th, td {{ text-align: left; padding: .3rem .5rem; border-bottom: 1px solid #e3e7ec; vertical-align: top; }}
  th {{ width: 14rem; font-weight: 600; }}
  code, td {{ font-variant-numeric: tabular-nums; }}
  input, button {{ font: inherit; padding: .3rem .6rem; }}
</style>
</head>
<body>
<main>
<h1>It works.</h1>
<p>This page came from tornado_c {package} (interface of Tornado {interface}) on {python}, polled by {poller}.
No Python frame ran between the kernel's event and the function that wrote it.</p>
<table id="status">{rows}</table>
<form method="post" action="/echo">
<label>Say something: <input name="text" value="hello"></label> <button>Send</button>
</form>
<p>{echo}</p>
<p>Next: <code>examples/</code> has servers for callbacks, handlers, TCP streams and several processes.</p>
</main>
<script>
  const table = document.getElementById("status");
  setInterval(async () => {{
    const answer = await fetch("/status");
    const status = await answer.json();
    for (const [name, value] of Object.entries(status)) {{
      const cell = table.querySelector(`td[data-name="${{name}}"]`);
      if (cell) cell.textContent = value;
    }}
  }}, 1000);
</script>
</body>
</html>
"""


class Demo:
    """Answers the requests of the page; a callable object, as HTTPServer takes it."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.requests = 0

    def __call__(self, request: HTTPServerRequest) -> None:
        self.requests += 1
        if request.path == "/status":
            body, content_type = json.dumps(self.status()).encode(), "application/json"
        elif request.path in ("/", "/echo"):
            body, content_type = self.page(request).encode(), "text/html; charset=UTF-8"
        else:
            self.answer(request, 404, "Not Found", b"not found\n", "text/plain")
            return
        self.answer(request, 200, "OK", body, content_type)

    def answer(
        self, request: HTTPServerRequest, code: int, reason: str, body: bytes, content_type: str
    ) -> None:
        headers = HTTPHeaders({"Content-Type": content_type, "Content-Length": str(len(body))})
        head = request.method == "HEAD"
        request.connection.write_headers(
            ResponseStartLine("HTTP/1.1", code, reason), headers, None if head else body
        )
        request.connection.finish()

    def status(self) -> dict[str, str]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "Requests answered": str(self.requests),
            "Seconds up": f"{time.monotonic() - self.started:.0f}",
            "CPU seconds used": f"{usage.ru_utime + usage.ru_stime:.3f}",
            "Process": str(os.getpid()),
        }

    def page(self, request: HTTPServerRequest) -> str:
        facts = {**self.status(), "Your address": request.remote_ip}
        facts["Your browser"] = request.headers.get("User-Agent", "unknown")
        rows = "".join(
            f'<tr><th>{name}</th><td data-name="{name}">{html.escape(value)}</td></tr>'
            for name, value in ((html.escape(name), value) for name, value in facts.items())
        )
        said = [text.decode("utf-8", "replace") for text in request.body_arguments.get("text", [])]
        echo = f"You said: <strong>{html.escape(said[-1])}</strong>" if said else ""
        return PAGE.format(
            package=__version__,
            interface=version,
            python=f"{platform.python_implementation()} {platform.python_version()}",
            poller=_core.poller_backend,
            rows=rows,
            echo=echo,
        )


def run_script(path: str, arguments: list[str], drain_timeout: float) -> None:
    """Run a program as `python SCRIPT ARGUMENTS` would, swapped, with a graceful end on SIGTERM."""
    install()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.14 on; nothing else reaches asyncio.run
        asyncio.set_event_loop_policy(EventLoopPolicy())
    _shutdown.enable(drain_timeout)
    sys.argv[:] = [path, *arguments]
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.abspath(path))
    try:
        runpy.run_path(path, run_name="__main__")
    finally:
        _shutdown.program_ended()


def script_of(arguments: list[str]) -> int:
    """Where the script's path stands among the arguments; 0 if there is none."""
    at = 1
    while at < len(arguments) and arguments[at].startswith("--drain-timeout"):
        at += 1 if "=" in arguments[at] else 2
    return at if at < len(arguments) and not arguments[at].startswith("-") else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tornado_c",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--drain-timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="before SCRIPT: how long requests in flight have after SIGTERM (default: 30)",
    )
    at = script_of(sys.argv)
    if at:
        options = parser.parse_args(sys.argv[1:at])
        run_script(sys.argv[at], sys.argv[at + 1 :], options.drain_timeout)
        return 0
    parser.add_argument("--port", type=int, default=8888, help="port to listen on (default: 8888)")
    parser.add_argument("--address", default="127.0.0.1", help="address to bind (default: 127.0.0.1)")
    options = parser.parse_args()
    loop = IOLoop.current()
    try:
        HTTPServer(Demo()).listen(options.port, options.address)
    except OSError as exc:
        where = f"{options.address} port {options.port}"
        print(f"cannot listen on {where}: {exc}; choose one with --port", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.asyncio_loop.add_signal_handler(number, loop.stop)
    print(f"Serving on http://{options.address}:{options.port}/ (Ctrl-C ends)", flush=True)
    loop.start()
    return 0


if __name__ == "__main__":
    sys.exit(main())
