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
