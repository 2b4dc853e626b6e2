"""The names of ``tornado.websocket``: those documented, those that programs use besides, and star-imports."""

import inspect
import pickle
import subprocess
import sys

import pytest
import tornado.websocket

import tornado_c.websocket
from support.children import CHILD_ENVIRONMENT
from support.tornado_names import (
    assert_counterpart,
    differences,
    documented,
    missing_members,
    own_names,
    star,
    stock_classes,
)

STOCK, OURS = tornado.websocket, tornado_c.websocket

#: How stock's frames are read and its pings sent: C does that.
INNER = {"_read_bytes", "_receive_frame", "_send_pong", "_on_pong_sent"}

#: Stock's budget for a turn, and the C function behind its mask.
BUDGET = {"_YIELD_THRESHOLD", "_FRAME_YIELD_COST"}


def test_documented_names():
    assert len(list(documented("websocket"))) == 119
    assert differences("websocket") == (set(), set())


@pytest.mark.parametrize("name", own_names("websocket"))
def test_whatever_stock_has(name):
    if name in BUDGET:
        assert not hasattr(OURS, name)
        return
    assert_counterpart("websocket", name)


@pytest.mark.parametrize("name", stock_classes("websocket"))
def test_what_stock_classes_have(name):
    assert missing_members("websocket", name) <= INNER


def functions():
    for name in stock_classes("websocket"):
        for member, value in vars(getattr(STOCK, name)).items():
            function = getattr(value, "__func__", value)
            if inspect.isfunction(function) and member not in INNER and not name.endswith("ssor"):
                yield f"{name}.{member}", function


@pytest.mark.parametrize(
    "name, function", list(functions()), ids=lambda value: value if type(value) is str else ""
)
def test_parameters_have_the_same_names(name, function):
    cls, member = name.split(".")
    mine = inspect.getattr_static(getattr(OURS, cls), member)
    theirs = inspect.signature(function).parameters.values()
    ours = inspect.signature(getattr(mine, "__func__", mine)).parameters.values()
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


def test_what_is_a_coroutine_function_is_one():
    for name, function in functions():
        cls, member = name.split(".")
        mine = inspect.getattr_static(getattr(OURS, cls), member)
        assert inspect.iscoroutinefunction(mine) == inspect.iscoroutinefunction(function), name


def test_relations():
    assert issubclass(OURS.WebSocketHandler, tornado_c.web.RequestHandler)
    assert issubclass(OURS.WebSocketProtocol13, OURS.WebSocketProtocol)
    assert issubclass(OURS.WebSocketClosedError, OURS.WebSocketError)
    assert OURS.WebSocketError.__bases__ == (Exception,)
    with pytest.raises(TypeError, match="abstract"):
        OURS.WebSocketProtocol(None)


def test_star_imports_give_the_same():
    ours, stock = star("tornado_c", "websocket"), star("tornado", "websocket")
    assert set(ours) == set(stock)
    assert ours["WebSocketHandler"] is OURS.WebSocketHandler


def test_dir_lists_what_is_there():
    assert {name for name in dir(STOCK) if name[:2] != "__"} - BUDGET <= set(dir(OURS))


@pytest.mark.parametrize("name", ["nothing", "_nothing", "__path__"])
def test_other_names(name):
    with pytest.raises(AttributeError) as failure:
        getattr(OURS, name)
    assert str(failure.value) == f"module 'tornado_c.websocket' has no attribute {name!r}"


def test_no_tornado_is_needed():
    program = """
import sys
sys.modules["tornado"] = None
import tornado_c.websocket
assert tornado_c.websocket.zlib.__name__ == "zlib"
try:
    tornado_c.websocket.httpclient
except ImportError as e:
    print(e)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=CHILD_ENVIRONMENT, check=True, capture_output=True
    )
    assert done.stdout.startswith(b"websocket.httpclient needs Tornado's own modules")


@pytest.mark.parametrize("name", ["WebSocketHandler", "WebSocketClosedError", "WebSocketProtocol13"])
def test_pickles_name_the_public_module(name):
    data = pickle.dumps(getattr(OURS, name))
    assert b"tornado_c.websocket" in data and pickle.loads(data) is getattr(OURS, name)


def test_the_log_says_the_same_thing_once(monkeypatch):
    said = []
    monkeypatch.setattr(tornado_c.log.gen_log, "handle", said.append)
    for _ in range(3):
        OURS.de_dupe_gen_log(40, "a thing that only this test says")
    assert len(said) == 1
    OURS.de_dupe_gen_log.cache_clear()
