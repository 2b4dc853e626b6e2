"""The tests of Tornado 4.5.3 and 2.4.1 over the swapped core that speaks their generation.

    python tests/conformance/old_suite.py 4.5.3 [--changes guide] [--modules iostream_test,...] [--failures]

They are run as they are, or after changes that docs/callbacks.rst asks for: see old_changes.py.

They come with the source distributions, which pip fetches once into build/; those of 2.4.1 are in Python 2
and translated by lib2to3, which Python has up to 3.12. Each module runs in a process of its own. --failures
prints what failed and what it raised, --log all that the module wrote. The exit status is 1 if anything
failed."""

import argparse
import functools
import importlib
import importlib.util
import logging
import sys
import time
import unittest
from pathlib import Path

import old_changes
import suite

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.old_tornado import SHA256, Unavailable, fetch  # noqa: E402

#: But for those about other systems and about Twisted.
MODULES = {
    "4.5.3": """
        asyncio_test auth_test concurrent_test curl_httpclient_test escape_test gen_test http1connection_test
        httpclient_test httpserver_test httputil_test import_test ioloop_test iostream_test locale_test
        locks_test log_test netutil_test options_test process_test queues_test routing_test
        simple_httpclient_test stack_context_test tcpclient_test tcpserver_test template_test testing_test
        util_test web_test websocket_test wsgi_test
    """,
    "2.4.1": """
        auth_test curl_httpclient_test escape_test gen_test httpclient_test httpserver_test httputil_test
        import_test ioloop_test iostream_test locale_test options_test process_test simple_httpclient_test
        stack_context_test template_test testing_test util_test web_test wsgi_test
    """,
}

#: Those about parts that are ours; the others are about modules that stay the installed tornado's.
CORE = """
    concurrent_test gen_test httpserver_test ioloop_test iostream_test netutil_test process_test
    simple_httpclient_test stack_context_test tcpserver_test web_test websocket_test wsgi_test
""".split()


def child(result: str, version: str, stage: str, module_name: str) -> None:
    importlib.import_module("concurrent.futures.thread")  # was imported with the package then
    tornado_c = importlib.import_module("tornado_c")
    tornado_c.install(generation=4)
    logging.getLogger().setLevel(logging.INFO)  # as their own runner does
    folder = fetch(version) / "tornado" / "test"
    if stage != "none":
        folder = old_changes.copy(folder, version, stage, Path.cwd() / "changed")
    spec = importlib.util.spec_from_file_location(
        "tornado.test", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    package = sys.modules["tornado.test"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    importlib.import_module("tornado").test = package
    module = importlib.import_module(f"tornado.test.{module_name}")
    suite.run_tests(unittest.defaultTestLoader.loadTestsFromModule(module), result)


@functools.cache
def run(version: str, stage: str, module_name: str, timeout: float = 300) -> suite.Outcome:
    """Run a module; only once where the changes of a stage are not about it."""
    needed = old_changes.needed(fetch(version) / "tornado" / "test", version, stage, module_name)
    if needed != stage:
        return run(version, needed, module_name, timeout)
    return suite.run_module(Path(__file__), [version, stage, module_name], timeout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", choices=sorted(SHA256))
    parser.add_argument("--changes", choices=old_changes.STAGES, default="none", help="none by default")
    parser.add_argument("--modules", help="separated by commas; all by default")
    parser.add_argument("--failures", action="store_true", help="print what failed, and with what")
    parser.add_argument("--log", action="store_true", help="print tracebacks and what the modules wrote")
    args = parser.parse_args()
    outcomes = {}
    for name in args.modules.split(",") if args.modules else MODULES[args.version].split():
        start = time.monotonic()
        ours = outcomes[name] = run(args.version, args.changes, name)
        print(f"{name:26} {ours.line()} {time.monotonic() - start:.1f} s", flush=True)
        if args.failures:
            print("".join(f"    {test}: {ours.reasons.get(test, '')}\n" for test in ours.bad), end="")
        if args.log:
            print(ours.log)
    print(f"Tornado {args.version}'s tests {old_changes.SAYS[args.changes]}:")
    for what, names in (("the core's modules", CORE), ("all modules", outcomes)):
        some = [ours for name, ours in outcomes.items() if name in names]
        passed, total = sum(ours.passed for ours in some), sum(ours.run - ours.skipped for ours in some)
        print(f"TOTAL of {what}: {passed} passed of {total}")
    return 1 if any(ours.bad or ours.crash for ours in outcomes.values()) else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        try:
            sys.exit(main())
        except Unavailable as reason:
            sys.exit(f"old_suite.py: {reason}")
