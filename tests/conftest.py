"""Settings for every test below this folder."""

import importlib
import os
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def leave_unbuilt_checkout_out() -> None:
    """Without an extension built in place, the checkout's tornado_c/ cannot be imported and would only hide
    the installed package; `python -m pytest` puts the checkout on the path all the same, and programs that
    tests start
    from here would."""
    if (ROOT / "tornado_c" / f"_core{sysconfig.get_config_var('EXT_SUFFIX')}").exists():
        return
    sys.path[:] = [entry for entry in sys.path if Path(entry or os.curdir).resolve() != ROOT]
    os.environ["PYTHONSAFEPATH"] = "1"


leave_unbuilt_checkout_out()


def pytest_collection_modifyitems(items):
    """A build over poll(2) cannot be a foreign loop's guest, and says so."""
    guests = [item for item in items if item.get_closest_marker("guest")]
    if guests and importlib.import_module("tornado_c._core").poller_backend == "poll":
        for item in guests:
            item.add_marker(pytest.mark.skip(reason="guest mode needs epoll or kqueue"))
