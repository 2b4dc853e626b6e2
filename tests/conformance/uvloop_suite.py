"""uvloop's own tests, in their asyncio flavour, over an event loop class of choice.

    python tests/conformance/uvloop_suite.py [--loop tornado_c:EventLoop] [--modules test_tcp,...]

The tests are in uvloop's source distribution, which pip fetches once into build/; the helpers that they
import come with the uvloop that is installed, which has to be of the same version. Each module runs in a
process of its own, once over the standard loop and once over the class; what only the second run fails is
printed. The exit status is 1 if there is any."""

import argparse
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import signal
import subprocess
import sys
import tarfile
import time
import unittest
from pathlib import Path

import asyncio_suite
import suite

VERSION = "0.22.1"
SHA256 = "6c84bae345b9147082b17371e3dd5d42775bddce91f885499017f4607fdaf39f"
CACHE = Path(__file__).resolve().parents[2] / "build" / "uvloop-tests"
STANDARD = asyncio_suite.STANDARD
# The modules with asyncio-flavoured tests; the rest of the folder is about uvloop's own classes.
MODULES = """
    test_aiohttp test_base test_context test_dns test_executors test_pipes test_process test_signals
    test_sockets test_tcp test_udp test_unix
""".split()


class Unavailable(Exception):
    """The tests cannot be had here; the message says why."""


def installed_reason() -> str | None:
    """Why the installed uvloop does not do, or None."""
    try:
        version = importlib.metadata.version("uvloop")
    except importlib.metadata.PackageNotFoundError:
        return "uvloop is not installed"
    return None if version == VERSION else f"uvloop {version} is installed, the tests are {VERSION}'s"


def download(folder: Path) -> Path:
    """uvloop's source distribution, in `folder`; nothing of it is compiled."""
    archive = folder / f"uvloop-{VERSION}.tar.gz"
    if not archive.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
        command += ["--no-binary", "uvloop", "--dest", str(folder), f"uvloop=={VERSION}"]
        try:
            got = subprocess.run(command, capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            raise Unavailable("pip download of uvloop's source did not end") from None
        if got.returncode != 0 or not archive.exists():
            lines = [line for line in got.stderr.splitlines() if line.startswith("ERROR")] or ["no archive"]
            raise Unavailable(f"pip cannot download uvloop's source: {lines[-1]}")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        raise Unavailable(f"{archive.name} is not the file that these tests are pinned to")
    return archive


@functools.cache
def fetch() -> Path:
    """The folder that holds uvloop's `tests` package, and only that: its `uvloop` folder would hide the
    installed one."""
    reason = installed_reason()
    if reason is not None:
        raise Unavailable(reason)
    folder = CACHE / VERSION
    if (folder / "tests").is_dir():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    prefix = f"uvloop-{VERSION}/"
    with tarfile.open(download(folder)) as archive:
        members = [m for m in archive if m.name.startswith(prefix + "tests/") and (m.isfile() or m.isdir())]
        for member in members:
            member.name = member.name.removeprefix(prefix)
        extra = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder / "new", members, **extra)
    (folder / "new" / "tests").rename(folder / "tests")
    (folder / "new").rmdir()
    return folder


def count_runs(factory) -> list[int]:
    """[how often a loop of this class was run so far]: the proof that the tests are about it."""
    runs, original = [0], factory.run_forever

    @functools.wraps(original)
    def run_forever(self):
        runs[0] += 1
        return original(self)

    factory.run_forever = run_forever
    return runs


class Suite(unittest.TestSuite):
    """Fails as a whole if its tests never ran a loop of the class."""

    runs: list[int]
    elsewhere = False  # the loops run in programs that the tests start

    def run(self, result, debug=False):
        super().run(result, debug)
        print(f"run_forever was called {self.runs[0]} times here", flush=True)
        if self.runs[0] == 0 and not self.elsewhere and result.testsRun > len(result.skipped):
            raise RuntimeError("no test ran a loop of this class")
        return result


def child(result: str, specification: str, module_name: str, folder: str) -> None:
    # A shell's background job ignores SIGINT, and so would the programs that test_signals starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path.insert(0, folder)
    factory = asyncio_suite.load(specification)
    asyncio_suite.patch_defaults(factory)
    testbase = importlib.import_module("uvloop._testbase")
    testbase.AIOTestCase.new_loop = lambda self: factory()
    testbase.BaseTestCase.is_asyncio_loop = lambda self: True
    module = importlib.import_module(f"tests.{module_name}")
    loop_module, _, loop_name = specification.partition(":")
    tests = Suite()
    tests.runs = count_runs(factory)
    for group in unittest.defaultTestLoader.loadTestsFromModule(module):
        for case in group:
            if not isinstance(case, testbase.AIOTestCase):
                continue
            if hasattr(case, "NEW_LOOP"):  # test_signals: an expression in the programs that it starts
                tests.elsewhere = True
                type(case).NEW_LOOP = f"__import__({loop_module!r}).{loop_name}()"
            tests.addTest(case)
    suite.run_tests(tests, result)


def run(specification: str, module_name: str, timeout: float = 240) -> suite.Outcome:
    return suite.run_module(Path(__file__), [specification, module_name, str(fetch())], timeout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loop", default="tornado_c:EventLoop")
    parser.add_argument("--modules", help="separated by commas; all by default")
    args = parser.parse_args()
    passed = expected = 0
    found: list[str] = []
    for name in args.modules.split(",") if args.modules else MODULES:
        start = time.monotonic()
        baseline, ours = run(STANDARD, name), run(args.loop, name)
        passed, expected = passed + ours.passed, expected + baseline.passed
        found += [f"{name}: {complaint}" for complaint in suite.complaints(baseline, ours)]
        print(
            f"{name:26} {ours.line()} (standard loop: {baseline.line()}) {time.monotonic() - start:.1f} s",
            flush=True,
        )
        if baseline.bad:
            print(f"{'':26} bad over the standard loop: {', '.join(baseline.bad)}")
    print(f"TOTAL {passed} passed, the standard loop {expected}")
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        try:
            sys.exit(main())
        except Unavailable as reason:
            sys.exit(f"uvloop_suite.py: {reason}")
