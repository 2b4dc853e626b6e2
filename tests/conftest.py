"""Settings for every test below this folder."""

import gc
import importlib
import os
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: Whether tornado_c/ of the checkout can be imported. Where not, it would only hide the installed package.
BUILT_IN_PLACE = (ROOT / "tornado_c" / f"_core{sysconfig.get_config_var('EXT_SUFFIX')}").exists()

if not BUILT_IN_PLACE:
    # `python -m pytest` puts the checkout on the path.
    sys.path[:] = [entry for entry in sys.path if Path(entry or os.curdir).resolve() != ROOT]


def pytest_collection_finish(session):
    """Programs that tests start with -c or -m have the current folder on their path.

    Tests that collect garbage need not look through everything that was imported and collected before them."""
    if not BUILT_IN_PLACE:
        os.chdir(ROOT / "tests")
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items):
    """A build over poll(2) cannot be a foreign loop's guest, and says so."""
    guests = [item for item in items if item.get_closest_marker("guest")]
    if guests and importlib.import_module("tornado_c._core").poller_backend == "poll":
        for item in guests:
            item.add_marker(pytest.mark.skip(reason="guest mode needs epoll or kqueue"))
