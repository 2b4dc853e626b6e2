"""CPython's own asyncio tests (test.test_asyncio) over an event loop class of choice.

    python tests/conformance/asyncio_suite.py [--loop tornado_c:EventLoop] [--modules test_events,...]

Each module runs in a process of its own, once over the standard loop and once over the class; what only the
second run fails is printed. The exit status is 1 if there is any."""

import argparse
import importlib
import importlib.util
import sys
import time
import unittest
from pathlib import Path

import suite

STANDARD = "asyncio:SelectorEventLoop"
MODULES = """
    test_base_events test_buffered_proto test_context test_eager_task_factory test_events
    test_free_threading test_futures test_futures2 test_locks test_pep492 test_protocols test_queues
    test_runners test_sendfile test_server test_sock_lowlevel test_ssl test_sslproto test_staggered
    test_streams test_subprocess test_taskgroups test_tasks test_threads test_timeouts test_transports
    test_unix_events test_waitfor
""".split()


def available() -> list[str]:
    """The modules that this interpreter's test package has; none where it is not installed (Debian leaves it
    out: package libpython3.11-testsuite)."""
    try:
        return [name for name in MODULES if importlib.util.find_spec(f"test.test_asyncio.{name}")]
    except ModuleNotFoundError:
        return []


def load(specification: str):
    module, _, name = specification.partition(":")
    return getattr(importlib.import_module(module), name)


def patch_defaults(factory) -> None:
    """Makes `factory` what asyncio itself creates when no loop is named."""
    import asyncio
    from asyncio import unix_events

    for name in ("_UnixDefaultEventLoopPolicy", "DefaultEventLoopPolicy", "_DefaultEventLoopPolicy"):
        policy = getattr(unix_events, name, None)
        if policy is not None:
            policy._loop_factory = factory
    if hasattr(asyncio, "EventLoop"):
        asyncio.EventLoop = unix_events.EventLoop = factory


def repeats_another(case: unittest.TestCase, module) -> bool:
    """The suite has the same tests for select, poll and epoll; over a given loop one of them is enough."""
    name = type(case).__name__
    for prefix in ("Select", "Poll"):
        if name.startswith(prefix) and hasattr(module, "EPoll" + name.removeprefix(prefix)):
            return True
    return False


def child(result: str, specification: str, module_name: str) -> None:
    factory = load(specification)
    patch_defaults(factory)
    module = importlib.import_module(f"test.test_asyncio.{module_name}")
    # In test_runners new_loop makes a mock, which is what those tests want.
    makers = ["create_event_loop"] if module_name == "test_runners" else ["create_event_loop", "new_loop"]
    tests = unittest.TestSuite()
    for group in unittest.defaultTestLoader.loadTestsFromModule(module):
        for case in group:
            if repeats_another(case, module):
                continue
            for maker in makers:
                if hasattr(type(case), maker):
                    setattr(type(case), maker, lambda self: factory())
            tests.addTest(case)
    suite.run_tests(tests, result)


def run(specification: str, module_name: str, timeout: float = 180) -> suite.Outcome:
    return suite.run_module(Path(__file__), [specification, module_name], timeout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loop", default="tornado_c:EventLoop")
    parser.add_argument("--modules", help="separated by commas; all by default")
    args = parser.parse_args()
    names = args.modules.split(",") if args.modules else available()
    if not names:
        sys.exit("asyncio_suite.py: this interpreter has no test package")
    passed = expected = 0
    found: list[str] = []
    for name in names:
        start = time.monotonic()
        baseline, ours = run(STANDARD, name), run(args.loop, name)
        passed, expected = passed + ours.passed, expected + baseline.passed
        found += [f"{name}: {complaint}" for complaint in suite.complaints(baseline, ours)]
        print(
            f"{name:26} {ours.line()} (standard loop: {baseline.line()}) {time.monotonic() - start:.1f} s",
            flush=True,
        )
    print(f"TOTAL {passed} passed, the standard loop {expected}")
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        sys.exit(main())
