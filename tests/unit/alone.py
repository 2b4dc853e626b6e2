"""Programs in interpreters of their own, for what would take the test run down with it."""

import os
import subprocess
import sys
from pathlib import Path

import tornado_c

LIMIT = 60  # seconds: far beyond what any of these programs takes


def run_alone(program, *arguments, env=None):
    """Run a program whose freed memory is overwritten; return its output. Its end must be a good one."""
    paths = [str(Path(tornado_c.__file__).parent.parent), str(Path(__file__).parent)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONMALLOC": "debug"} | (env or {})
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        environment["PYTHONMALLOC"] = "malloc"
    done = subprocess.run(
        [sys.executable, "-P", "-X", "faulthandler", "-c", program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout
