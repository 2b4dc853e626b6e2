"""tornado_c.util, beside Tornado's."""

import datetime
import errno
import gzip
import random
import re
import sys
import unittest
import zlib

import pytest
import tornado.util

from tornado_c import util


def outcome(function, *args, **kwargs):
    """Return what a call returned, or the type and text of what it raised."""
    try:
        return "returned", function(*args, **kwargs)
    except Exception as e:
        return type(e), str(e)


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


def decoded(module, data, sizes, max_length):
    """What a decompressor returns, piece by piece."""
    decompressor = module.GzipDecompressor()
    pieces, rest, start = [], b"", 0
    for size in sizes:
        rest, start = rest + data[start : start + size], start + size
        while rest:
            pieces.append(decompressor.decompress(rest, max_length))
            rest = decompressor.unconsumed_tail
    return pieces, decompressor.flush()


def test_gzip_members():
    draw = random.Random(5)
    whole = gzip.compress(b"a" * 5000) + gzip.compress(b"") + gzip.compress(draw.randbytes(3000))
    inputs = [
        whole,
        b"",
        whole[:-1],
        whole + b"x",
        whole + b"\x1f",
        b"plain",
        zlib.compress(b"x"),
        whole[:15],
    ]
    for data in inputs:
        for sizes in ([len(data)], [1] * len(data), [100] * (len(data) // 100 + 1)):
            for limit in (1, 100, 100000):
                results = [outcome(decoded, module, data, sizes, limit) for module in (util, tornado.util)]
                assert results[0] == results[1], (data[:20], sizes[:1], limit)


def test_gzip_without_limit_is_deprecated():
    for module in (util, tornado.util):
        with pytest.warns(DeprecationWarning, match="without max_length") as caught:
            assert module.GzipDecompressor().decompress(gzip.compress(b"a") * 3) == b"aaa"
        assert caught[0].filename == __file__


def test_gzip_flush_wants_the_tail():
    for module in (util, tornado.util):
        decompressor = module.GzipDecompressor()
        assert decompressor.decompress(gzip.compress(bytes(1 << 20)), 1000) == bytes(1000)
        with pytest.raises(ValueError, match="unconsumed_tail must be passed"):
            decompressor.flush()


def test_exec_in():
    for module in (util, tornado.util):
        names = {}
        module.exec_in(
            "x: undefined_name = 1" if sys.version_info < (3, 14) else "x = 1", {"undefined_name": 1}, names
        )
        module.exec_in(compile("y = x", "<test>", "exec"), names)
        assert (names["x"], names["y"]) == (1, 1)


def test_raise_exc_info():
    for module in (util, tornado.util):
        try:
            raise KeyError("x")
        except KeyError:
            info = sys.exc_info()
        with pytest.raises(KeyError) as caught:
            module.raise_exc_info(info)
        assert caught.value is info[1]
        assert outcome(module.raise_exc_info, (None, None, None)) == (
            TypeError,
            "raise_exc_info called with no exception",
        )


@pytest.mark.parametrize(
    "text", ["", "abc", r"\.", r"a\ b", r"\d", r"\\d", "\\\n", "\\", r"\_", r"\é", r"\-\."]
)
def test_re_unescape(text):
    assert outcome(util.re_unescape, text) == outcome(tornado.util.re_unescape, text)
    assert util.re_unescape(re.escape(text)) == text


def test_arg_replacer():
    def function(a, b, c=None, *, d=None, **more):
        pass

    for name in ("a", "b", "c", "d", "e"):
        for args, kwargs in [
            ((), {}),
            ((1,), {}),
            ((1, 2, 3), {}),
            ([1, 2], {"c": 3, "d": 4}),
            ((), {"e": 5}),
        ]:
            seen = []
            for module in (util, tornado.util):
                replacer, copy = module.ArgReplacer(function, name), dict(kwargs)
                old = replacer.get_old_value(args, copy), replacer.get_old_value(args, copy, default=9)
                seen.append((replacer.name, replacer.arg_pos, old, replacer.replace("new", args, copy)))
            assert seen[0] == seen[1]


class CythonFunction:
    """As compiled functions were in old Cython."""

    class func_code:
        co_varnames, co_argcount = ("self", "callback", "local"), 2

    __call__ = None


def test_arg_replacer_with_other_functions():
    for module in (util, tornado.util):
        assert module.ArgReplacer(CythonFunction(), "callback").arg_pos == 1
        assert module.ArgReplacer(CythonFunction(), "local").arg_pos is None
        with pytest.raises(TypeError):
            module.ArgReplacer(object(), "x")


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 1000, 65537])
def test_websocket_mask(size):
    data = random.Random(size).randbytes(size)
    for mask in (b"\0\0\0\0", b"abcd", b"\xff\0\x7f\x80"):
        for function in (util._websocket_mask, util._websocket_mask_python):
            masked = function(mask, data)
            assert type(masked) is bytes
            assert masked == tornado.util._websocket_mask_python(mask, data)
            assert function(mask, masked) == data
    for function in (util._websocket_mask, util._websocket_mask_python):
        assert outcome(function, b"abc", data) == (ValueError, "mask must be 4 bytes")
        assert function(bytearray(b"abcd"), memoryview(data)) == function(b"abcd", data)
    for wrong in [("abcd", data), (b"abcd", "text"), (b"abcd", None)]:
        assert outcome(util._websocket_mask, *wrong)[0] is TypeError


def test_names_of_types():
    for name in ("bytes_type", "unicode_type", "basestring_type", "TimeoutError"):
        assert getattr(util, name) is getattr(tornado.util, name)


def test_examples():
    result = unittest.TestResult()
    util.doctests().run(result)
    assert result.wasSuccessful() and result.testsRun == 1


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
