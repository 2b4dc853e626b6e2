"""The names of ``tornado.web``: those documented, those that programs use besides, and star-imports."""

import importlib
import inspect
import pickle
import subprocess
import sys
import types
from pathlib import Path

import pytest
import tornado.test
import tornado.web

import tornado_c.web
from support.children import CHILD_ENVIRONMENT

STOCK, OURS = vars(tornado.web), tornado_c.web
SNAPSHOT = Path(tornado.test.__file__).parent / "api.txt"


def documented():
    """Name (below the module) and kind of each documented name."""
    for line in SNAPSHOT.read_text(encoding="utf-8").splitlines():
        name, colon, kind = line.partition(": ")
        if colon and name.startswith("tornado.web."):
            yield name.removeprefix("tornado.web."), kind.partition("(")[0]


def find(name):
    found = OURS
    for part in name.split("."):
        found = getattr(found, part)
    return found


KINDS = {
    "function": inspect.isroutine,
    "method": inspect.isroutine,
    "classmethod": inspect.ismethod,
    "property": inspect.isdatadescriptor,
    "class": inspect.isclass,
    "data": lambda value: not callable(value),
}


def test_documented_names():
    missing, different = set(), set()
    for name, kind in documented():
        if kind == "attribute":
            continue  # of instances; see below
        try:
            value = find(name)
        except AttributeError:
            missing.add(name)
        else:
            if kind in KINDS and not KINDS[kind](value):
                different.add(name)
    assert (missing, different) == (set(), set())


@pytest.mark.parametrize("name", sorted(name for name in STOCK if not name.startswith("__")))
def test_whatever_stock_has(name):
    ours, stock = getattr(OURS, name), STOCK[name]
    if isinstance(stock, types.ModuleType):
        assert isinstance(ours, types.ModuleType)
        assert ours.__name__ in (stock.__name__, stock.__name__.replace("tornado.", "tornado_c."))
    elif isinstance(stock, (str, int)):
        assert ours == stock
    elif inspect.isclass(stock) or inspect.isfunction(stock):
        assert ours.__name__ == stock.__name__
        if stock.__module__ == "tornado.web":
            assert ours.__module__ == "tornado_c.web"


@pytest.mark.parametrize(
    "name", sorted(name for name in vars(tornado.web.RequestHandler) if not name.startswith("__"))
)
def test_whatever_a_stock_handler_has(name):
    stock = inspect.getattr_static(tornado.web.RequestHandler, name)
    ours = inspect.getattr_static(tornado_c.web.RequestHandler, name)
    if inspect.isfunction(stock):
        theirs, mine = inspect.signature(stock).parameters, inspect.signature(ours).parameters
        assert [*mine][: len(theirs)] == [*theirs]


#: Helpers of stock's that nobody but its own methods calls.
HELPERS = {"_check_in_root", "_resolve_symlink_target", "_stat_regular_file"}


@pytest.mark.parametrize("kind", [kind for kind, value in STOCK.items() if inspect.isclass(value)])
def test_what_stock_classes_have(kind):
    if STOCK[kind].__module__ == "tornado.web":
        assert {name for name in vars(STOCK[kind]) if not hasattr(getattr(OURS, kind), name)} <= HELPERS


def star(package):
    names = {}
    exec(f"from {package}.web import *", names)
    del names["__builtins__"]
    return names


def test_star_imports_give_the_same():
    ours, stock = star("tornado_c"), star("tornado")
    assert set(ours) == set(stock) | {"asynchronous"}
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
