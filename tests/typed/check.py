"""What applications see of our types: programs that are clean under `mypy --strict` with Tornado are clean
with ours.

Checked are the programs beside this file, written for Tornado and for us by turns; the examples; and the
code blocks of README.rst, which need no annotations. Prints what mypy says, and exits with 1 for an error.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

#: Errors within the packages are not an application's.
SETTINGS = """
[mypy]
mypy_path = $MYPY_CONFIG_FILE_DIR/path
[mypy-tornado.*]
follow_imports = silent
[mypy-tornado_c.*]
follow_imports = silent
"""
RELAXED = ("--allow-untyped-defs", "--allow-incomplete-defs", "--allow-untyped-calls")

#: What a block of README.rst that does not begin with an import goes on from.
BEFORE = """\
import tornado_c
import tornado_c.netutil
from tornado_c.httpserver import HTTPServer
from tornado_c.web import Application

app = Application()
server = HTTPServer(app)
"""

#: The application that the blocks about testing import.
APP = """\
from tornado_c.web import Application, RequestHandler


class Hello(RequestHandler):
    def get(self) -> None:
        self.write("Hello, world")


def make_app() -> Application:
    return Application([("/", Hello)])
"""


def code_blocks(text: str) -> list[str]:
    """The Python code of a document, block by block."""
    blocks: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        if line == ".. code-block:: python":
            inside = True
            blocks.append([])
        elif inside and line and not line.startswith(" "):
            inside = False
        elif inside:
            blocks[-1].append(line[4:])
    return ["\n".join(lines).strip() + "\n" for lines in blocks]


def programs() -> list[Path]:
    """The programs that are written for Tornado."""
    return sorted(path for path in HERE.glob("*.py") if path.name != "check.py")


def swapped(source: str) -> str:
    """A program for Tornado, for us."""
    return re.sub(r"\btornado\b", "tornado_c", source)


def write(folder: Path) -> dict[str, tuple[str, ...]]:
    """Write what is checked below a folder; returns its folders and the options for each."""
    texts = {
        "stock": {path.name: path.read_text() for path in programs()},
        "ours": {path.name: swapped(path.read_text()) for path in programs()},
        "examples": {path.name: path.read_text() for path in sorted((ROOT / "examples").rglob("*.py"))},
        "readme": {"app.py": APP},
    }
    for number, code in enumerate(code_blocks((ROOT / "README.rst").read_text()), 1):
        complete = code.startswith(("from ", "import "))
        texts["readme"][f"block_{number}.py"] = code if complete else BEFORE + code
    for kind, files in texts.items():
        (folder / kind).mkdir()
        for name, source in files.items():
            (folder / kind / name).write_text(source)
    return {kind: RELAXED if kind == "readme" else () for kind in texts}


def check(*kinds: str) -> list[str]:
    """Run mypy on these kinds of programs, or all; its complaints, each with the name of what it is about."""
    complaints = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options_of = write(folder)
        # Of the checkout only the package: beside it are files of the same names as modules.
        (folder / "path").mkdir()
        (folder / "path" / "tornado_c").symlink_to(ROOT / "tornado_c")
        (folder / "mypy.ini").write_text(SETTINGS)
        for kind in kinds or options_of:
            files = sorted(str(path) for path in (folder / kind).glob("*.py"))
            command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *options_of[kind]]
            command += [
                "--config-file",
                str(folder / "mypy.ini"),
                "--cache-dir",
                str(ROOT / "build" / "mypy_typed"),
            ]
            done = subprocess.run([*command, *files], capture_output=True, text=True, cwd=folder, check=False)
            complaints += (done.stdout + done.stderr).splitlines()
    return complaints


if __name__ == "__main__":
    found = check()
    print("\n".join(found) or "typed programs: no complaints")
    sys.exit(1 if found else 0)
