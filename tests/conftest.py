"""Settings for every test below this folder."""

import gc
import importlib
import os
import signal
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: The path without the checkout, which `python -m pytest` puts there.
ELSEWHERE = [entry for entry in sys.path if Path(entry or os.curdir).resolve() != ROOT]

#: Whether the package to be tested is another than the checkout's: an editable installation is not found on
#: the path. The checkout's, which may not be built, or for something else, would only hide it.
INSTALLED = PathFinder.find_spec("tornado_c", ELSEWHERE) is not None

if INSTALLED:
    sys.path[:] = ELSEWHERE

# A command in the background, or under nohup, ignores these, and every program that a test starts would, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda number, frame: None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """For ``-n auto``: one more than there are processors, since tests wait for processes."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return processors + 1


def pytest_collection_finish(session):
    """Programs that tests start with -c or -m have the current folder on their path."""
    if INSTALLED:
        os.chdir(ROOT / "tests")


def pytest_runtest_setup(item):
    """Tests that collect garbage need not look through all that was there before their file."""
    if item.path != getattr(item.config, "frozen_for", None):
        item.config.frozen_for = item.path
        gc.collect()
        gc.freeze()


def pytest_report_header(config):
    package = importlib.import_module("tornado_c")
    return f"tornado_c: {Path(package.__file__).parent}"


def pytest_collection_modifyitems(items):
    """A build over poll(2) cannot be a foreign loop's guest, and says so."""
    guests = [item for item in items if item.get_closest_marker("guest")]
    if guests and importlib.import_module("tornado_c._core").poller_backend == "poll":
        for item in guests:
            item.add_marker(pytest.mark.skip(reason="guest mode needs epoll or kqueue"))
