"""python -m tornado_c: a small server to look at in a browser.

python -m tornado_c [--drain-timeout SECONDS] SCRIPT [ARGUMENTS]: a program, run with our event loop under
asyncio.run, and with our core in the place of Tornado's, if that is installed. On SIGTERM it serves what
is in flight, then ends; SIGHUP replaces it by the program as it is then, several processes one by one.
With --generation 4 before it, a program that was written for Tornado 2 to 4.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import html
import importlib.util
import json
import math
import os
import platform
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn

from tornado_c import EventLoopPolicy, __version__, _core, install, version
from tornado_c._swap import generation as spoken
from tornado_c._swap.install import begin_again_if_late
from tornado_c._workers import again, shutdown
from tornado_c._workers.program import CannotRun, Program
from tornado_c.httpserver import HTTPServer
from tornado_c.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornado_c.ioloop import IOLoop
from tornado_c.netutil import bind_sockets

_ASYNCIO = os.path.dirname(asyncio.__file__) + os.sep
#: Our options that may stand before a program, and how many arguments each takes up.
_BEFORE_PROGRAM = {"--drain-timeout": 2, "--generation": 2, "--keep-orphans": 1}
_AUTORELOAD = ("tornado.autoreload", "tornado_c.autoreload")

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
    const response = await fetch("/status");
    const status = await response.json();
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
    """Serves the requests of the page; a callable object, as HTTPServer takes it."""

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
            self.respond(request, 404, "Not Found", b"not found\n", "text/plain")
            return
        self.respond(request, 200, "OK", body, content_type)

    def respond(
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


def run_program(program: Program, drain_timeout: float, keep_orphans: bool, generation: int) -> None:
    """Run a program as plain Python would, swapped, with a graceful end on SIGTERM."""
    begin_again_if_late()
    again.remember(program.command(), program.other_names())
    program.enter()
    if importlib.util.find_spec("tornado") is not None:
        install(generation=generation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.14 on; nothing else reaches asyncio.run
        asyncio.set_event_loop_policy(EventLoopPolicy())
    shutdown.enable(drain_timeout, keep_orphans, waits_at_end=program.name in _AUTORELOAD)
    try:
        program.run()
    except CannotRun:
        raise
    except BaseException:
        sys.excepthook = functools.partial(show_exception, sys.excepthook)
        raise
    finally:
        shutdown.program_ended()


def show_exception(
    show: Callable[[type[BaseException], BaseException, TracebackType | None], object],
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
) -> None:
    """Show an exception that ends the program without the frames that brought the program about.

    After Ctrl-C it does not matter either where in the loop that was.
    """
    while traceback is not None and traceback.tb_next is not None and not is_applications(traceback):
        traceback = traceback.tb_next
    if isinstance(error, SyntaxError) and traceback is not None and not is_applications(traceback):
        traceback = None  # it could not even be compiled
    last, frame = None, traceback
    while frame is not None:
        last, frame = frame if is_applications(frame) else last, frame.tb_next
    if isinstance(error, KeyboardInterrupt) and last is not None:
        last.tb_next = None
    show(kind, error.with_traceback(traceback), traceback)


def is_applications(traceback: TracebackType) -> bool:
    name = traceback.tb_frame.f_code.co_filename
    return not name.startswith(("<frozen ", os.path.dirname(os.path.abspath(__file__)) + os.sep, _ASYNCIO))


class Parser(argparse.ArgumentParser):
    """Says what is wrong in a single line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def port_number(text: str) -> int:
    """The type of --port."""
    port = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 65535")
    return port


def seconds(text: str) -> float:
    """The type of --drain-timeout."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:  # nan is not
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number


def generation(text: str) -> int:
    """The type of --generation."""
    if text not in ("4", "6"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither 4 nor 6")
    return int(text)


def make_parser() -> Parser:
    parser = Parser(
        prog="python -m tornado_c",
        usage="%(prog)s [--drain-timeout SECONDS] [--keep-orphans] [--generation 4] "
        "(SCRIPT | -m MODULE) [ARGUMENTS]\n"
        "       %(prog)s [--port PORT] [--address ADDRESS] | --version | --help",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    about = f"tornado_c {__version__} (interface of Tornado {version})"
    parser.add_argument("--version", action="version", version=about)
    parser.add_argument(
        "--drain-timeout",
        type=seconds,
        default=30.0,
        metavar="SECONDS",
        help="how long requests in flight have after SIGTERM (default: 30)",
    )
    parser.add_argument(
        "--keep-orphans",
        action="store_true",
        help="workers go on when their parent has ended without them (default: they drain and end)",
    )
    parser.add_argument(
        "--generation",
        type=generation,
        metavar="NUMBER",
        help="4: the program was written for Tornado 2 to 4 (default: TORNADO_C_GENERATION's, else 6)",
    )
    parser.add_argument("-m", dest="module", metavar="MODULE", help="run a module, or a package's __main__")
    demo = parser.add_argument_group("without a program")
    demo.add_argument("--port", type=port_number, default=8888, help="port to listen on (default: 8888)")
    demo.add_argument("--address", default="127.0.0.1", help="address to bind (default: 127.0.0.1)")
    return parser


def split_arguments(arguments: list[str]) -> tuple[list[str], Program | None]:
    """Our options, and the program that stands behind them."""
    at = 0
    while at < len(arguments) and arguments[at].partition("=")[0] in _BEFORE_PROGRAM:
        at += _BEFORE_PROGRAM[arguments[at]] if "=" not in arguments[at] else 1
    ours, rest = arguments[:at], arguments[at:]
    if rest and not rest[0].startswith("-"):
        return ours, Program(rest[0], rest[1:])
    if len(rest) > 1 and rest[0] == "-m":
        return ours, Program(rest[1], rest[2:], is_module=True)
    return arguments, None


def main() -> int:
    arguments, program = split_arguments(sys.argv[1:])
    parser = make_parser()
    options = parser.parse_args(arguments)
    if program is not None:
        try:
            wanted = spoken.wanted(options.generation)
        except ValueError as exc:
            parser.error(str(exc))
        try:
            run_program(program, options.drain_timeout, options.keep_orphans, wanted)
        except CannotRun as exc:
            parser.error(str(exc))
        except ModuleNotFoundError as exc:
            if exc.name == "tornado":
                exc.add_note("Tornado's own modules come with: pip install 'tornado_c[tornado]'")
            raise
        return 0
    loop = IOLoop.current()
    try:
        sockets = bind_sockets(options.port, options.address)
    except OSError as exc:
        where = f"{options.address} port {options.port}"
        print(f"cannot listen on {where}: {exc}; choose one with --port", file=sys.stderr)
        return 1
    HTTPServer(Demo()).add_sockets(sockets)
    host = f"[{options.address}]" if ":" in options.address else options.address
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.asyncio_loop.add_signal_handler(number, loop.stop)
    print(f"Serving on http://{host}:{sockets[0].getsockname()[1]}/ (Ctrl-C ends)", flush=True)
    loop.start()
    return 0


if __name__ == "__main__":
    sys.exit(main())
