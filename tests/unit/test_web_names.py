"""The names of ``tornado.web``: those documented, those that programs use besides, and star-imports."""

import importlib
import inspect
import pickle
import subprocess
import sys

import pytest
import tornado.web

import tornado_c.web
from support.children import CHILD_ENVIRONMENT
from support.tornado_names import (
    assert_counterpart,
    differences,
    missing_members,
    own_names,
    star,
    stock_classes,
)

OURS = tornado_c.web


#: How stock finds out that a static file is one.
INNER = {"_check_in_root", "_resolve_symlink_target", "_stat_regular_file"}


def test_documented_names():
    assert differences("web") == (set(), set())


@pytest.mark.parametrize("name", own_names("web"))
def test_whatever_stock_has(name):
    assert_counterpart("web", name)


@pytest.mark.parametrize(
    "name", sorted(name for name in vars(tornado.web.RequestHandler) if not name.startswith("__"))
)
def test_whatever_a_stock_handler_has(name):
    stock = inspect.getattr_static(tornado.web.RequestHandler, name)
    ours = inspect.getattr_static(tornado_c.web.RequestHandler, name)
    if inspect.isfunction(stock):
        theirs, mine = inspect.signature(stock).parameters, inspect.signature(ours).parameters
        assert [*mine][: len(theirs)] == [*theirs]


@pytest.mark.parametrize("name", stock_classes("web"))
def test_what_stock_classes_have(name):
    assert missing_members("web", name) <= INNER


def test_star_imports_give_the_same():
    ours, stock = star("tornado_c", "web"), star("tornado", "web")
    assert set(ours) == set(stock) | {"ChunkedTransferEncoding", "asynchronous"}
    assert ours["RequestHandler"] is OURS.RequestHandler
    assert ours["httputil"].__name__ == "tornado_c.httputil"


@pytest.mark.parametrize("name", ["nothing", "_nothing", "__path__", "os.path", ""])
def test_other_names(name):
    with pytest.raises(AttributeError) as failure:
        getattr(OURS, name)
    assert str(failure.value) == f"module 'tornado_c.web' has no attribute {name!r}"
    assert not hasattr(OURS, name)


def test_dir_lists_what_is_there():
    assert set(dir(tornado.web)) <= set(dir(OURS))


def test_modules_are_imported_on_demand():
    program = """
import sys
import tornado_c.web as web
assert not {"tornado", "gzip"} & set(sys.modules)
assert web.gzip.__name__ == "gzip" and web.email.utils and web.http.cookies and web.urllib.parse
assert not [name for name in sys.modules if name.partition(".")[0] == "tornado"]
assert web.template.__name__ == "tornado.template"
"""
    subprocess.run([sys.executable, "-c", program], env=CHILD_ENVIRONMENT, check=True)


def test_packages_come_with_their_modules():
    for name, module in {"email": "utils", "http": "cookies", "urllib": "parse", "os": "path"}.items():
        assert getattr(getattr(OURS, name), module)


def test_they_can_be_patched(monkeypatch):
    """As tests of programs do; the core has its own."""
    monkeypatch.setattr("tornado_c.web.time.time", lambda: 17.0)
    assert OURS.create_signed_value("s", "a", "v").startswith(b"2|1:0|2:17|")
    monkeypatch.undo()
    monkeypatch.setattr(OURS, "time", None)
    assert OURS.time is None
    monkeypatch.undo()
    assert OURS.time is importlib.import_module("time")


@pytest.mark.parametrize(
    "name", ["RequestHandler", "UIModule", "HTTPError", "create_signed_value", "addslash"]
)
def test_pickles_name_the_public_module(name):
    data = pickle.dumps(getattr(OURS, name))
    assert b"tornado_c.web" in data and pickle.loads(data) is getattr(OURS, name)
