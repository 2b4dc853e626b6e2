"""Programs in interpreters of their own, and environments for them."""

import os
import subprocess
import sys
from pathlib import Path

import tornado_c

TESTS = Path(__file__).resolve().parent.parent
PROGRAMS = Path(__file__).resolve().parent / "programs"
EXAMPLES = TESTS.parent / "examples"

#: The folder in which the tornado_c that is tested here lies.
ROOT = str(Path(tornado_c.__file__).resolve().parent.parent)

#: Programs find that tornado_c, in whatever folder they run.
CHILD_ENVIRONMENT = os.environ | {"PYTHONPATH": ROOT, "PYTHONUNBUFFERED": "1"}

#: For programs that are not ours: a sanitizer that is preloaded here is not for them.
FOREIGN_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}

LIMIT = 300  # seconds: far beyond what any of these programs takes


def _run(command, environment):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([ROOT, str(TESTS)])} | environment
    done = subprocess.run(
        [sys.executable, "-P", "-X", "faulthandler", *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout


def run_alone(program, *arguments, env=None):
    """Run a program's text; freed memory is overwritten. Return its output: its end must be a good one."""
    malloc = "malloc" if "libasan" in os.environ.get("LD_PRELOAD", "") else "debug"
    return _run(["-c", program, *arguments], {"PYTHONMALLOC": malloc} | (env or {}))


def run_quietly(program, *arguments, interpreter=(), cwd=None):
    """Run a program's text. Return the lines it says: on standard error there must be nothing."""
    done = subprocess.run(
        [sys.executable, *interpreter, "-c", program, *arguments],
        env=CHILD_ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        cwd=cwd,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout.splitlines()


def run_program(name, *arguments):
    """Run one of the files in ``programs``. Return the words it says: its end must be a good one."""
    return _run([str(PROGRAMS / name), *arguments], {}).split()
