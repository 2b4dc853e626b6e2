"""The servers of others, for rows that they can serve: which there are, and how they are started.

    python tests/bench/peers.py

prints what pip can install of them, the extra "bench" of pyproject.toml, one a line: some want to be
compiled, and where one cannot be had, the others still can. bjoern needs Debian's libev-dev."""

import functools
import importlib.util
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
HTTP = ("fastpysgi", "bjoern", "granian", "uvicorn")
WEBSOCKET = ("picows", "aiohttp", "websockets", "uvicorn")
ALL = tuple(dict.fromkeys((*HTTP, *WEBSOCKET)))
#: What a peer imports besides itself.
NEEDS = {name: ("python_multipart",) for name in HTTP} | {
    "uvicorn": ("python_multipart", "httptools", "uvloop", "websockets"),
    "picows": ("uvloop",),
    "aiohttp": ("uvloop",),
    "websockets": ("uvloop",),
}


@functools.cache
def missing_reason(name: str) -> str | None:
    for package in (name, *NEEDS[name]):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed"
    return None


def command_line(name: str, app: str, port: int, folder: Path) -> list[str]:
    """`folder` is the one whose files are served."""
    if app == "websocket" and name != "uvicorn":
        return [sys.executable, str(HERE / "peers" / "websocket.py"), name, str(port)]
    files = [str(folder)] if app == "static" else []
    return [sys.executable, str(HERE / "peers" / "serve.py"), name, str(port), *files]


if __name__ == "__main__":
    project = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text())["project"]
    print("\n".join(project["optional-dependencies"]["bench"]))
