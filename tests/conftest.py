"""Settings for every test below this folder."""

import os
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def leave_unbuilt_checkout_out() -> None:
    """Without an extension built in place, the checkout's tornado_c/ cannot be imported and would only hide
    the installed package; `python -m pytest` puts the checkout on the path all the same, and programs that
    tests start
    from here would."""
    if (ROOT / "tornado_c" / f"_core{sysconfig.get_config_var('EXT_SUFFIX')}").exists():
        return
    sys.path[:] = [entry for entry in sys.path if Path(entry or os.curdir).resolve() != ROOT]
    os.chdir(ROOT / "tests")


leave_unbuilt_checkout_out()
