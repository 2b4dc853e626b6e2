"""What is private: features that need Tornado, and what runs without it."""

import subprocess
import sys

import pytest
import tornado.util

from support.children import CHILD_ENVIRONMENT
from tornado_c._support import optional

MODULES = ["concurrent", "escape", "util", "_support.optional"]
MODULES += ["log", "options", "netutil", "process", "tcpclient", "tcpserver"]


@pytest.mark.parametrize("module", MODULES)
def test_import_without_tornado(module):
    code = f"""
import sys
sys.modules["tornado"] = None
import tornado_c.{module}
loaded = [name for name in sys.modules if name.startswith("tornado.")]
assert not loaded, loaded
"""
    env = CHILD_ENVIRONMENT
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=env, check=True)


def test_require_tornado_returns_the_module():
    assert optional.require_tornado("this test") is sys.modules["tornado"]
    assert optional.require_tornado("this test", "tornado.util") is tornado.util


def test_require_tornado_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tornado.template", None)
    with pytest.raises(ImportError) as caught:
        optional.require_tornado("template rendering", "tornado.template")
    assert "template rendering" in str(caught.value)
    assert "pip install 'tornado_c[tornado]'" in str(caught.value)


def test_require_tornado_lets_other_missing_modules_through(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import no_such_module_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError) as caught:
        optional.require_tornado("this test", "needs_more")
    assert caught.value.name == "no_such_module_anywhere"


#: Takes long to import, and most programs do without.
HEAVY = (
    *("curses", "email.utils", "encodings.idna", "hashlib", "html", "http.client", "importlib.resources"),
    *("json", "logging.handlers", "multiprocessing", "pickle", "shutil", "tempfile", "unittest"),
)


def test_imports_of_the_core():
    code = f"""
import sys, asyncio
before = set(sys.modules)
import tornado_c.web, tornado_c.options, tornado_c.tcpclient
print(sorted(set({HEAVY!r}) & (set(sys.modules) - before)))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=CHILD_ENVIRONMENT, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("first", ["http.client", "tornado_c.httputil"])
def test_reasons_are_shared(first):
    """What a program adds to one module's is in the other's, whichever was imported first."""
    code = f"""
import {first}
import tornado_c.httputil, http.client, http
assert tornado_c.httputil.responses is http.client.responses
from http.client import responses
assert responses == {{status.value: status.phrase for status in http.HTTPStatus}}
responses[299] = "Mine"
from tornado_c.web import HTTPError
print(HTTPError(299))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=CHILD_ENVIRONMENT, check=True, capture_output=True, text=True)
    assert done.stdout == "HTTP 299: Mine\n"
