"""The source distributions of Tornado's callback generation, for their tests and demos. pip fetches them once
into build/; what is in Python 2 is translated by lib2to3, which Python has up to 3.12.
"""

import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / "build" / "old-tornado"
SHA256 = {
    "4.5.3": "6d14e47eab0e15799cf3cdcc86b0b98279da68522caace2bd7ce644287685f0a",
    "2.4.1": "14d392cf14698eba75b9299748fa83716f7c02fc49684dfc5011668c30ba6b00",
}
#: Parts that are to be translated.
PYTHON2 = {"2.4.1": ("tornado/test", "demos"), "4.5.3": ("demos/s3server",)}


class Unavailable(Exception):
    """The tests cannot be had here; the message says why."""


def download(version: str, folder: Path) -> Path:
    """The source distribution, in `folder`."""
    # The last setuptools that does not refuse 2.4.1, where this Python has it.
    (folder / "constraints.txt").write_text("setuptools<58\n" if version == "2.4.1" else "")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "tornado"]
    try:
        got = subprocess.run(
            [*command, "--dest", str(folder), f"tornado=={version}"],
            capture_output=True,
            text=True,
            timeout=240,
            env={**os.environ, "PIP_CONSTRAINT": str(folder / "constraints.txt")},
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"pip download of Tornado {version} did not end") from None
    archive = folder / f"tornado-{version}.tar.gz"
    if got.returncode != 0 or not archive.exists():
        lines = [line for line in got.stderr.splitlines() if line.startswith("ERROR")] or ["no archive"]
        raise Unavailable(f"pip cannot download Tornado {version}: {lines[-1]}")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256[version]:
        raise Unavailable(f"{archive.name} is not the file that these tests are pinned to")
    return archive


def unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as file:
        prefix = archive.name.removesuffix(".tar.gz") + "/"
        members = [member for member in file if member.name.startswith(prefix)]
        for member in members:
            member.name = member.name.removeprefix(prefix)
        extra = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        file.extractall(folder, members, **extra)


def translate(folder: Path) -> None:
    """Translate programs from Python 2."""
    command = [sys.executable, "-W", "ignore", "-m", "lib2to3", "--write", "--nobackups", "--no-diffs"]
    subprocess.run([*command, str(folder)], capture_output=True, check=True)


def replace_certificate(folder: Path) -> None:
    """Put the installed Tornado's in its place: of 1024 bits, as theirs is, OpenSSL takes none any more."""
    installed = Path(importlib.util.find_spec("tornado").submodule_search_locations[0], "test")
    for name in ("test.crt", "test.key"):
        shutil.copyfile(installed / name, folder / name)


@functools.cache
def fetch(version: str) -> Path:
    """The folder of a version's source distribution, with its tests and demos for Python 3."""
    if importlib.util.find_spec("tornado") is None:
        raise Unavailable("tornado is not installed")
    folder = CACHE / version
    if not folder.is_dir():
        if importlib.util.find_spec("lib2to3") is None:
            raise Unavailable("this Python has no lib2to3, which translates what is in Python 2")
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            unpack(download(version, Path(temporary)), Path(temporary, "unpacked"))
            for part in PYTHON2[version]:
                translate(Path(temporary, "unpacked", part))
            replace_certificate(Path(temporary, "unpacked", "tornado", "test"))
            try:
                Path(temporary, "unpacked").rename(folder)
            except OSError:  # another process was first
                if not folder.is_dir():
                    raise
    return folder
