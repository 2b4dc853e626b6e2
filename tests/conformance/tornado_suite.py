"""Tornado's own test modules (they ship in its wheel) over the swapped core.

    python tests/conformance/tornado_suite.py [--modules iostream_test,...]

Each module runs in a process of its own, once with stock Tornado and once after tornado_c.install(); what
only the second run fails is printed. The exit status is 1 if there is any."""

import argparse
import importlib
import importlib.util
import logging
import sys
import time
import unittest
from pathlib import Path

import suite


def available() -> list[str]:
    if importlib.util.find_spec("tornado") is None:
        return []
    folder = Path(importlib.util.find_spec("tornado").submodule_search_locations[0], "test")
    return sorted(p.stem for p in folder.glob("*_test.py"))


def child(result: str, core: str, module_name: str) -> None:
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)  # as its own runner does
    if core != "stock":
        importlib.import_module(core).install()
    module = importlib.import_module(f"tornado.test.{module_name}")
    suite.run_tests(unittest.defaultTestLoader.loadTestsFromModule(module), result)


def run(core: str, module_name: str, timeout: float = 240) -> suite.Outcome:
    return suite.run_module(Path(__file__), [core, module_name], timeout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modules", help="separated by commas; all by default")
    args = parser.parse_args()
    passed = expected = 0
    found: list[str] = []
    for name in args.modules.split(",") if args.modules else available():
        start = time.monotonic()
        baseline, ours = run("stock", name), run("tornado_c", name)
        passed, expected = passed + ours.passed, expected + baseline.passed
        found += [f"{name}: {complaint}" for complaint in suite.complaints(baseline, ours)]
        print(
            f"{name:26} {ours.line()} (stock: {baseline.line()}) {time.monotonic() - start:.1f} s", flush=True
        )
    print(f"TOTAL {passed} passed, stock Tornado {expected}")
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        sys.exit(main())
