"""The switch to the callback generation: install(generation=4), --generation 4, TORNADO_C_GENERATION."""

import json
import subprocess
import sys

import pytest

from support.children import CHILD_ENVIRONMENT

pytest.importorskip("tornado")

#: What a program sees of the generation.
SEEN = """
import json, tornado, tornado.testing, tornado.wsgi
print(json.dumps([hasattr(tornado.wsgi, "WSGIAdapter"), hasattr(tornado.testing, "get_unused_port"),
                  tornado.version_info[0]]))
"""
OLD, NEW = [True, True, 6], [False, False, 6]


def python(*arguments, **variables):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**CHILD_ENVIRONMENT, **variables},
    )


def seen(*arguments, **variables):
    done = python(*arguments, **variables)
    assert (done.stderr, done.returncode) == ("", 0)
    return [json.loads(line) for line in done.stdout.splitlines()]


INSTALL = "import tornado_c\ntornado_c.install({})\n"


@pytest.mark.parametrize(
    "arguments, variables, expected",
    [
        ("generation=4", {}, OLD),
        ("", {}, NEW),
        ("generation=6", {}, NEW),
        ("", {"TORNADO_C_GENERATION": "4"}, OLD),
        ("", {"TORNADO_C_GENERATION": ""}, NEW),
        ("generation=6", {"TORNADO_C_GENERATION": "4"}, NEW),
    ],
)
def test_install(arguments, variables, expected):
    assert seen("-c", INSTALL.format(arguments) + SEEN, **variables) == [expected]


def test_command_line(tmp_path):
    (tmp_path / "app.py").write_text("import sys\nassert sys.argv[1:] == ['--generation', '6']\n" + SEEN)
    program = [str(tmp_path / "app.py"), "--generation", "6"]
    assert seen("-m", "tornado_c", "--generation", "4", *program) == [OLD]
    assert seen("-m", "tornado_c", "--drain-timeout", "3", "--generation=4", *program) == [OLD]
    assert seen("-m", "tornado_c", *program) == [NEW]
    assert seen("-m", "tornado_c", *program, TORNADO_C_GENERATION="4") == [OLD]
    assert seen("-m", "tornado_c", "--generation", "6", *program, TORNADO_C_GENERATION="4") == [NEW]


RUN_CHILD = """
import subprocess, sys
print(subprocess.run([sys.executable, "-c", sys.argv[1]], capture_output=True, text=True).stdout, end="")
"""


@pytest.mark.parametrize(
    "arguments, expected", [("generation=4", OLD), ("", NEW), ("children=False, generation=4", None)]
)
def test_children(arguments, expected):
    """They speak what the program speaks; where it does not reach them they are stock."""
    child = "import sys\n" + SEEN.replace("import json,", "import json, tornado.ioloop,")
    assert seen("-c", INSTALL.format(arguments) + RUN_CHILD, child) == [expected or NEW]


def test_a_program_that_executes_itself(tmp_path):
    """As autoreload does: with the interpreter and its own arguments."""
    again = """
import os, sys
sys.stdout.flush()
if len(sys.argv) == 1:
    os.execv(sys.executable, [sys.executable, *sys.argv, "x"])
"""
    (tmp_path / "app.py").write_text(SEEN + again)
    assert seen("-m", "tornado_c", "--generation", "4", str(tmp_path / "app.py")) == [OLD, OLD]


WRONG = "it can be 4 or 6"


@pytest.mark.parametrize("value", ["5", "4.5", "four", " 4"])
def test_a_wrong_value_in_the_environment(tmp_path, value):
    (tmp_path / "app.py").write_text("print('ran')")
    done = python("-m", "tornado_c", str(tmp_path / "app.py"), TORNADO_C_GENERATION=value)
    text = f"the environment variable TORNADO_C_GENERATION is {value!r}, {WRONG}\n"
    assert (done.stdout, done.stderr, done.returncode) == ("", "python -m tornado_c: " + text, 2)
    done = python("-c", INSTALL.format("") + "print('ran')", TORNADO_C_GENERATION=value)
    assert done.stdout == "" and done.stderr.endswith("ValueError: " + text)


def test_a_wrong_value_on_the_command_line(tmp_path):
    done = python("-m", "tornado_c", "--generation", "5", str(tmp_path / "app.py"))
    text = "python -m tornado_c: argument --generation: '5' is neither 4 nor 6\n"
    assert (done.stdout, done.stderr, done.returncode) == ("", text, 2)


@pytest.mark.parametrize("value", ["5", "'4'", "True", "4.5"])
def test_a_wrong_argument(value):
    done = python("-c", INSTALL.format(f"generation={value}"))
    assert done.stderr.endswith(f"ValueError: the generation is {value}, {WRONG}\n")


def test_changing_over_and_back():
    """Modules that are there already change at once, and get back what they had."""
    assert seen(
        "-c",
        INSTALL.format("")
        + "import tornado.testing as t, tornado.httpclient as h\n"
        + "client = h.AsyncHTTPClient\n"
        + "now = lambda: [t.AsyncTestCase.run, client.fetch, client.__dict__['__new__']]\n"
        + "plain = now()\n"
        + "tornado_c.install()\n"
        + SEEN
        + "tornado_c.install(generation=4)\n"
        + SEEN
        + "assert not any(a is b for a, b in zip(plain, now()))\n"
        + "tornado_c.install()\n"
        + SEEN
        + "tornado_c.install(generation=6)\n"
        + SEEN
        + "assert plain == now()\n",
    ) == [NEW, OLD, OLD, NEW]


def test_uninstall():
    """Both what is kept from before, and what is imported anew, is stock Tornado's."""
    assert seen(
        "-c",
        "import os\n"
        + INSTALL.format("generation=4")
        + SEEN
        + "import tornado.wsgi as before\n"
        + "assert os.environ['TORNADO_C_GENERATION'] == '4'\n"
        + "tornado_c.uninstall()\n"
        + "assert 'TORNADO_C_GENERATION' not in os.environ\n"
        + "assert not hasattr(before, 'WSGIAdapter')\n"
        + SEEN,
    ) == [OLD, NEW]
