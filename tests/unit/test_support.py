"""The private helpers, next to the public ones of Tornado that they stand in for."""

import asyncio
import concurrent.futures
import datetime
import errno
import logging
import subprocess
import sys

import pytest
import tornado.concurrent
import tornado.escape
import tornado.util

from support.children import CHILD_ENVIRONMENT
from tornado_c._support import concurrent as own_concurrent
from tornado_c._support import escape, optional, util


def outcome(function, *args, **kwargs):
    """Return what a call returned, or the type and text of what it raised."""
    try:
        return "returned", function(*args, **kwargs)
    except Exception as e:
        return type(e), str(e)


MODULES = ["_support.concurrent", "_support.escape", "_support.optional", "_support.util"]
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


@pytest.mark.parametrize("value", ["", "é", b"", b"\xc3\xa9", b"\xff", None, 1, ["a"], bytearray(b"a")])
def test_text(value):
    assert outcome(escape.utf8, value) == outcome(tornado.escape.utf8, value)
    assert outcome(escape.to_unicode, value) == outcome(tornado.escape.to_unicode, value)
    assert outcome(escape.native_str, value) == outcome(tornado.escape.native_str, value)


@pytest.mark.parametrize(
    "name",
    ["os", "os.path", "os.path.join", "os.nothing", "no_such_module", "no_such_module.name", "email.mime"],
)
def test_import_object(name):
    assert outcome(util.import_object, name) == outcome(tornado.util.import_object, name)


def test_object_dict():
    d = util.ObjectDict(a=1)
    d.b = 2
    assert (d.a, d["b"]) == (1, 2)
    assert outcome(lambda: d.c) == (AttributeError, "c")
    assert not hasattr(d, "c")


@pytest.mark.parametrize("error", [OSError(errno.EPIPE, "x"), OSError(), ValueError(7, "x"), ValueError()])
def test_errno_from_exception(error):
    assert util.errno_from_exception(error) == tornado.util.errno_from_exception(error)


def test_timedelta_to_seconds():
    assert util.timedelta_to_seconds(datetime.timedelta(minutes=1, milliseconds=500)) == 60.5


class TestFutures:
    def test_is_future(self):
        async def run():
            return asyncio.Future()

        for x in (asyncio.run(run()), concurrent.futures.Future(), None, 1, object()):
            assert own_concurrent.is_future(x) == tornado.concurrent.is_future(x)

    def test_unless_cancelled(self, caplog):
        done = concurrent.futures.Future()
        own_concurrent.future_set_result_unless_cancelled(done, 5)
        assert done.result() == 5
        failed = concurrent.futures.Future()
        own_concurrent.future_set_exception_unless_cancelled(failed, KeyError("x"))
        assert isinstance(failed.exception(), KeyError)
        cancelled = concurrent.futures.Future()
        cancelled.cancel()
        own_concurrent.future_set_result_unless_cancelled(cancelled, 5)
        assert not caplog.records
        own_concurrent.future_set_exception_unless_cancelled(cancelled, KeyError("x"))
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("tornado.application", logging.ERROR)
        assert record.getMessage() == "Exception after Future was cancelled"
        assert isinstance(record.exc_info[1], KeyError)

    def test_done_callback_runs_at_once_when_done(self):
        seen = []
        future = concurrent.futures.Future()
        own_concurrent.future_add_done_callback(future, seen.append)
        assert seen == []
        future.set_result(None)
        assert seen == [future]
        own_concurrent.future_add_done_callback(future, seen.append)
        assert seen == [future, future]

    def test_chain(self):
        async def run():
            pairs = [(asyncio.Future(), asyncio.Future()) for _ in range(4)]
            for a, b in pairs:
                own_concurrent.chain_future(a, b)
            pairs[0][0].set_result(1)
            pairs[1][0].set_exception(KeyError("x"))
            pairs[2][0].cancel()
            pairs[3][1].set_result("mine")
            pairs[3][0].set_result("late")
            await asyncio.wait([b for _, b in pairs])
            assert pairs[0][1].result() == 1
            assert isinstance(pairs[1][1].exception(), KeyError)
            assert isinstance(pairs[1][0].exception(), KeyError)
            assert pairs[2][1].cancelled()
            assert pairs[3][1].result() == "mine"

        asyncio.run(run())


# The same hierarchies are built over our class and over Tornado's.
@pytest.fixture(params=[util.Configurable, tornado.util.Configurable], ids=["ours", "stock"])
def family(request):
    class Root(request.param):
        @classmethod
        def configurable_base(cls):
            return Root

        @classmethod
        def configurable_default(cls):
            return Usual

        def initialize(self, *args, **kwargs):
            self.got = args, kwargs

    class Usual(Root):
        pass

    class Other(Root):
        pass

    Root.Usual, Root.Other = Usual, Other
    return Root


class TestConfigurable:
    def test_default(self, family):
        made = family(1, a=2)
        assert type(made) is family.Usual
        assert made.got == ((1,), {"a": 2})
        assert family.configured_class() is family.Usual

    def test_configure(self, family):
        family.configure(family.Other, a=1, b=2)
        made = family(b=3)
        assert type(made) is family.Other
        assert made.got == ((), {"a": 1, "b": 3})
        # Saved arguments are for the root only.
        assert family.Other(b=3).got == ((), {"b": 3})
        assert family.Usual().got == ((), {})
        family.configure(None)
        assert type(family()) is family.Usual

    def test_configure_by_name(self, family):
        with pytest.raises(ValueError, match="Invalid subclass of <class .*Root"):
            family.configure("collections.OrderedDict")
        with pytest.raises(ImportError):
            family.configure("collections.nothing_of_that_name")

    def test_save_and_restore(self, family):
        saved = family._save_configuration()
        family.configure(family.Other, x=1)
        family._restore_configuration(saved)
        made = family()
        assert (type(made), made.got) == (family.Usual, ((), {}))

    def test_abstract(self):
        for base in (util.Configurable, tornado.util.Configurable):
            with pytest.raises(NotImplementedError):
                base()

    def test_nested_roots(self, family):
        class Inner(family.Usual):
            @classmethod
            def configurable_base(cls):
                return Inner

            @classmethod
            def configurable_default(cls):
                return Deep

        class Deep(Inner):
            pass

        family.configure(Inner, outer=1)
        Inner.configure(None, inner=2)
        made = family(call=3)
        assert type(made) is Deep
        assert made.got == ((), {"outer": 1, "inner": 2, "call": 3})

    def test_inherited_configuration_is_not_the_inner_roots(self, family):
        family.configure(family.Other)

        class Inner(family.Other):
            @classmethod
            def configurable_base(cls):
                return Inner

            @classmethod
            def configurable_default(cls):
                return Inner

        assert type(Inner()) is Inner

    def test_init_is_called_with_the_arguments_too(self, family):
        seen = []

        class Both(family):
            def __init__(self, *args, **kwargs):
                seen.append((args, kwargs))

        Both(1, a=2)
        assert seen == [((1,), {"a": 2})]


def test_configurable_over_a_base_in_c():
    class Root(dict, util.Configurable):
        __new__ = util.Configurable.__new__

        def __init__(self, *args):
            pass

        @classmethod
        def configurable_base(cls):
            return Root

        @classmethod
        def configurable_default(cls):
            return Usual

        def initialize(self, x):
            self["x"] = x

    class Usual(Root):
        pass

    made = Root(5)
    assert type(made) is Usual
    assert made == {"x": 5}
