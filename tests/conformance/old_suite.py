"""The tests of Tornado 4.5.3 and 2.4.1 over the swapped core that speaks their generation.

    python tests/conformance/old_suite.py 4.5.3 [--modules iostream_test,...] [--failures] [--log]

They come with the source distributions, which pip fetches once into build/; those of 2.4.1 are in Python 2
and translated by lib2to3, which Python has up to 3.12. Each module runs in a process of its own. --failures
prints what failed and what it raised, --log all that the module wrote. The exit status is 1 if anything
failed."""

import argparse
import functools
import hashlib
import importlib
import importlib.util
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
from pathlib import Path

import suite

CACHE = Path(__file__).resolve().parents[2] / "build" / "old-tornado"
SHA256 = {
    "4.5.3": "6d14e47eab0e15799cf3cdcc86b0b98279da68522caace2bd7ce644287685f0a",
    "2.4.1": "14d392cf14698eba75b9299748fa83716f7c02fc49684dfc5011668c30ba6b00",
}
#: No tests, and tests of what Tornado had for other systems and for Twisted.
LEFT_OUT = {
    "4.5.3": {"resolve_test_helper", "runtests", "util", "twisted_test", "windows_test"},
    "2.4.1": {"runtests", "util", "twisted_test"},
}


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
    """Translate the tests from Python 2."""
    command = [sys.executable, "-W", "ignore", "-m", "lib2to3", "--write", "--nobackups", "--no-diffs"]
    subprocess.run([*command, str(folder)], capture_output=True, check=True)


@functools.cache
def fetch(version: str) -> Path:
    """The folder `tornado` of a version, with tests for Python 3."""
    if importlib.util.find_spec("tornado") is None:
        raise Unavailable("tornado is not installed")
    folder = CACHE / version
    if not folder.is_dir():
        if version == "2.4.1" and importlib.util.find_spec("lib2to3") is None:
            raise Unavailable("this Python has no lib2to3, which translates Tornado 2.4.1's tests")
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            unpack(download(version, Path(temporary)), Path(temporary, "unpacked"))
            if version == "2.4.1":
                translate(Path(temporary, "unpacked", "tornado", "test"))
            try:
                Path(temporary, "unpacked").rename(folder)
            except OSError:  # another process was first
                if not folder.is_dir():
                    raise
    return folder / "tornado"


def available(version: str) -> list[str]:
    found = {path.stem for path in (fetch(version) / "test").glob("*_test.py")}
    return sorted(found - LEFT_OUT[version])


def child(result: str, version: str, module_name: str) -> None:
    tornado_c = importlib.import_module("tornado_c")
    tornado_c.install(generation=4)
    folder = fetch(version) / "test"
    spec = importlib.util.spec_from_file_location(
        "tornado.test", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    package = sys.modules["tornado.test"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    importlib.import_module("tornado").test = package
    module = importlib.import_module(f"tornado.test.{module_name}")
    suite.run_tests(unittest.defaultTestLoader.loadTestsFromModule(module), result)


def run(version: str, module_name: str, timeout: float = 300) -> suite.Outcome:
    fetch(version)
    return suite.run_module(Path(__file__), [version, module_name], timeout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", choices=sorted(SHA256))
    parser.add_argument("--modules", help="separated by commas; all by default")
    parser.add_argument("--failures", action="store_true", help="print what failed, and with what")
    parser.add_argument("--log", action="store_true", help="print tracebacks and what the modules wrote")
    args = parser.parse_args()
    passed = total = failed = 0
    for name in args.modules.split(",") if args.modules else available(args.version):
        start = time.monotonic()
        ours = run(args.version, name)
        passed, total = passed + ours.passed, total + ours.run - ours.skipped
        failed += len(ours.bad) + bool(ours.crash)
        print(f"{name:26} {ours.line()} {time.monotonic() - start:.1f} s", flush=True)
        if args.failures:
            print("".join(f"    {test}: {ours.reasons.get(test, '')}\n" for test in ours.bad), end="")
        if args.log:
            print(ours.log)
    print(f"TOTAL {passed} passed of {total}")
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        try:
            sys.exit(main())
        except Unavailable as reason:
            sys.exit(f"old_suite.py: {reason}")
