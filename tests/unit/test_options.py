"""Options, parsed by ours and by stock Tornado from the same input."""

import datetime
import io
import subprocess
import sys
from unittest import mock

import pytest

import tornado_c.log
import tornado_c.options
from support.children import CHILD_ENVIRONMENT
from support.implementations import BOTH


@pytest.fixture
def module(implementation):
    return implementation.options


def outcome(function, *args):
    """Return a call's result, or its exception's class name and text."""
    try:
        return "returned", function(*args)
    except Exception as e:
        return type(e).__name__, str(e)


def both(scenario):
    """Run ``scenario(parser, module)`` with each module and return the two outcomes."""
    return [outcome(scenario, each.options.OptionParser(), each.options) for each in BOTH]


class Email:
    def __init__(self, value):
        if "@" not in value:
            raise ValueError(f"no address: {value}")
        self.value = value

    def __eq__(self, other):
        return self.value == other.value


VALUES = [
    (str, "", False),
    (str, "a,b", False),
    (str, "a,b,,c", True),
    (str, "a=b", False),
    (int, "42", False),
    (int, "-1", False),
    (int, "x", False),
    (int, "", False),
    (int, "1,3,5:7", True),
    (int, "5:3", True),
    (int, "1:", True),
    (int, ":1", True),
    (int, "1:2:3", True),
    (int, "1,x", True),
    (float, "1.5", False),
    (float, "1e3,2", True),
    (float, "nan?", False),
    (bool, "true", False),
    (bool, "False", False),
    (bool, "f", False),
    (bool, "0", False),
    (bool, "no", False),
    (bool, "", False),
    (bool, "true,false", True),
    (Email, "a@b", False),
    (Email, "ab", False),
    (Email, "a@b,c@d", True),
    (datetime.datetime, "2013-04-28 05:16", False),
    (datetime.datetime, "Sun Apr 28 05:16:07 2013", False),
    (datetime.datetime, "2013-04-28 05:16:07", False),
    (datetime.datetime, "2013-04-28T05:16", False),
    (datetime.datetime, "20130428 05:16:07", False),
    (datetime.datetime, "20130428 05:16", False),
    (datetime.datetime, "2013-04-28", False),
    (datetime.datetime, "20130428", False),
    (datetime.datetime, "05:16:07", False),
    (datetime.datetime, "05:16", False),
    (datetime.datetime, "tomorrow", False),
    (datetime.datetime, "2013-04-28,2013-04-29", True),
    (datetime.timedelta, "45", False),
    (datetime.timedelta, "45s", False),
    (datetime.timedelta, "1h 30m", False),
    (datetime.timedelta, "1.5e1 min", False),
    (datetime.timedelta, " .5d -2w+1 sec", False),
    (datetime.timedelta, "10ms 5us", False),
    (datetime.timedelta, "2 hours 3 microseconds", False),
    (datetime.timedelta, "1H", False),
    (datetime.timedelta, "3 fortnights", False),
    (datetime.timedelta, "", False),
    (datetime.timedelta, "1s,2s", True),
]


@pytest.mark.parametrize(("type_", "text", "multiple"), VALUES)
def test_values(type_, text, multiple):
    def command_line(parser, module):
        parser.define("x", type=type_, multiple=multiple)
        parser.parse_command_line(["prog", "--x=" + text])
        return parser.x

    ours, stock = both(command_line)
    assert ours == stock
    if ours[0] == "returned" and not multiple:
        assert type(ours[1]) is type(stock[1])


def test_bad_timedelta_is_an_error_with_a_text():
    """Where Tornado raises a bare Exception, this one says what is wrong."""
    parser = tornado_c.options.OptionParser()
    parser.define("x", type=datetime.timedelta)
    with pytest.raises(tornado_c.options.Error, match="Unrecognized timedelta format: '5s soon'"):
        parser.parse_command_line(["prog", "--x=5s soon"])


DEFINITIONS = [
    {"default": 80},
    {"default": 80.5},
    {"default": "x"},
    {"default": True},
    {"default": None},
    {"default": datetime.timedelta(1)},
    {"default": [1], "type": int, "multiple": True},
    {"default": None, "multiple": True},
    {"default": None, "type": int},
]
ASSIGNED = [None, 1, "1", 1.5, True, [], [1], ["1"], [None], (1,), datetime.timedelta(2)]


@pytest.mark.parametrize("definition", DEFINITIONS, ids=str)
def test_assignment(definition):
    for value in ASSIGNED:

        def assign(parser, module, value=value):
            parser.define("an_option", **definition)
            before = parser.an_option
            parser.an_option = value
            return before, parser.an_option

        ours, stock = both(assign)
        assert ours == stock


class TestCommandLine:
    @pytest.mark.parametrize(
        "words",
        [
            [],
            ["--port=1"],
            ["-port=1"],
            ["--flag"],
            ["--flag=false"],
            ["--port"],
            ["--port=1", "rest", "--port=2"],
            ["--port=1", "--", "--port=2"],
            ["rest"],
            ["-"],
            ["--no-such"],
            ["--no_such=1"],
            ["--long_name=a", "--long-name=b"],
            ["--name="],
        ],
        ids=" ".join,
    )
    def test_words(self, words, capsys):
        def parse(parser, module):
            parser.define("port", default=80)
            parser.define("flag", default=False)
            parser.define("long-name")
            parser.define("name", default="x")
            rest = parser.parse_command_line(["prog", *words])
            return rest, parser.port, parser.flag, parser.long_name, parser.name

        ours, stock = both(parse)
        assert ours == stock
        # The help is printed before the error of an unknown option.
        assert capsys.readouterr().err.count("Usage:") == (2 if "Unrecognized" in str(ours) else 0)

    def test_argv_by_default(self, module, monkeypatch):
        monkeypatch.setattr(sys, "argv", ["prog", "--port=5", "rest"])
        parser = module.OptionParser()
        parser.define("port", type=int)
        assert parser.parse_command_line() == ["rest"]
        assert parser.port == 5

    def test_help(self, module, capsys):
        parser = module.OptionParser()
        with pytest.raises(SystemExit) as caught:
            parser.parse_command_line(["prog", "--help"])
        assert caught.value.code == 0
        captured = capsys.readouterr()
        assert captured.err.startswith("Usage: ")
        assert captured.out == ""

    def test_parse_callbacks(self, module):
        parser = module.OptionParser()
        calls = []
        parser.add_parse_callback(lambda: calls.append(1))
        parser.add_parse_callback(lambda: calls.append(2))
        parser.parse_command_line(["prog"], final=False)
        assert calls == []
        parser.parse_command_line(["prog"])
        assert calls == [1, 2]
        parser.run_parse_callbacks()
        assert calls == [1, 2, 1, 2]

    def test_option_callback(self, module):
        parser = module.OptionParser()
        seen = []
        parser.define("x", type=int, multiple=True, callback=seen.append)
        parser.parse_command_line(["prog", "--x=1:2"])
        parser.x = [5]
        assert seen == [[1, 2], [5]]


def test_print_help_layout():
    """With Tornado's own words for ``--help``, all of the text is the same."""

    def show(parser, module):
        parser._options["help"].help = "help"
        parser.define("with_underscore", group="a group", help="short")
        parser.define("no-help", group="a group")
        parser.define("empty", default="", group="a group", help="default is empty")
        parser.define("zero", default=0, group="a group", help="default is zero")
        parser.define("a-name-of-exactly-thirty-chars", group="b", help="fits")
        parser.define("a-name-of-more-than-thirty-chars", group="b", help="does not")
        parser.define("x", metavar="FROM|TO", default=[1, 2], multiple=True, group="b", help="long " * 30)
        parser.define("here")
        out = io.StringIO()
        parser.print_help(out)
        return out.getvalue()

    ours, stock = both(show)
    assert ours == stock


class TestNames:
    def test_introspection(self):
        def look(parser, module):
            parser.define("a", default=1)
            parser.define("b-c", default=2, group="g")
            parser.define("d_e", default=3, group="g")
            return (
                list(parser),
                list(parser.items()),
                parser.as_dict(),
                parser.groups(),
                parser.group_dict("g"),
                parser.group_dict("none"),
                parser.group_dict(""),
                ["b_c" in parser, "b-c" in parser, "d-e" in parser, "x" in parser],
                [parser["b_c"], parser["b-c"], parser.d_e],
            )

        ours, stock = both(look)
        assert ours[0] == "returned"
        assert ours == stock
        assert __file__ in ours[1][3]

    @pytest.mark.parametrize("name", ["missing", "missing_one", "missing-one"])
    def test_unknown(self, name):
        assert len(set(both(lambda parser, module: getattr(parser, name)))) == 1
        assert len(set(both(lambda parser, module: parser[name]))) == 1
        assert len(set(both(lambda parser, module: setattr(parser, name, 1)))) == 1
        assert both(lambda parser, module: parser[name])[0][0] == "AttributeError"

    @pytest.mark.parametrize(
        ("first", "second"), [("a-b", "a-b"), ("a-b", "a_b"), ("a_b", "a-b"), ("help", "help")]
    )
    def test_defined_twice(self, first, second):
        def define(parser, module):
            if first != "help":
                parser.define(first)
            parser.define(second)

        ours, stock = both(define)
        assert ours[0] == "Error"
        assert ours == stock

    def test_item_assignment(self, module):
        parser = module.OptionParser()
        parser.define("a_b", default=1)
        parser["a-b"] = 2
        assert parser.a_b == 2

    def test_a_bare_copy_does_not_recurse(self):
        bare = tornado_c.options.OptionParser.__new__(tornado_c.options.OptionParser)
        with pytest.raises(AttributeError):
            bare.anything  # noqa: B018


class TestConfigFile:
    @pytest.mark.parametrize(
        "text",
        [
            "port = 443\nname = '李康'\nnames = ['a', 'b']\n",
            "port = '443'\nnames = 'a,b'\ndelay = '5s'\n",
            "unknown = 1\nimport os\n",
            "port = 1.5\n",
            "names = 5\n",
            "names = ('a',)\n",
            "names = [1]\n",
            "numbers = '1:3'\n",
            "numbers = [1, '2']\n",
            "when = 5\n",
            "long_name = 'x'\n",
            "name = 5\n",
            "name = None\n",
            "port = True\n",
            "raise KeyError('x')\n",
            "flag = 'f'\n",
        ],
    )
    def test_contents(self, text, tmp_path):
        path = tmp_path / "server.conf"
        path.write_text(text, "utf-8")

        def parse(parser, module):
            parser.define("port", default=80)
            parser.define("name", default="x")
            parser.define("names", multiple=True)
            parser.define("numbers", type=int, multiple=True)
            parser.define("delay", type=datetime.timedelta)
            parser.define("when", type=datetime.datetime)
            parser.define("long-name")
            parser.define("flag", default=True)
            parser.parse_config_file(str(path))
            return parser.as_dict()

        ours, stock = both(parse)
        assert ours == stock

    def test_file_and_callbacks(self, module, tmp_path, monkeypatch):
        (tmp_path / "server.conf").write_text("where = __file__\n")
        monkeypatch.chdir(tmp_path)
        parser = module.OptionParser()
        parser.define("where")
        calls = []
        parser.add_parse_callback(lambda: calls.append(1))
        parser.parse_config_file("server.conf", final=False)
        assert parser.where == str(tmp_path / "server.conf")
        assert calls == []
        parser.parse_config_file("server.conf")
        assert calls == [1]

    def test_missing(self, tmp_path):
        ours, stock = both(lambda parser, module: parser.parse_config_file(str(tmp_path / "none")))
        assert ours == stock
        assert ours[0] == "FileNotFoundError"

    def test_later_sources_win(self, module, tmp_path):
        path = tmp_path / "server.conf"
        path.write_text("a = 10\nb = 20\n")
        parser = module.OptionParser()
        parser.define("a", default=1)
        parser.define("b", default=2)
        parser.define("config", type=str, callback=lambda p: parser.parse_config_file(p, final=False))
        parser.parse_command_line(["prog", "--a=5", f"--config={path}", "--b=6"])
        assert (parser.a, parser.b) == (10, 6)


def test_mockable(module):
    parser = module.OptionParser()
    parser.define("x", default=1)
    with mock.patch.object(parser.mockable(), "x", 2):
        assert parser.x == 2
        with mock.patch.object(parser.mockable(), "x", 3):
            assert parser.x == 3
        assert parser.x == 2
    assert parser.x == 1
    mockable = parser.mockable()
    mockable.x = 5
    with pytest.raises(AssertionError, match="don't reuse mockable objects"):
        mockable.x = 6


class TestGlobal:
    def test_module_functions(self, tmp_path):
        code = """
import io, sys
from tornado_c import options as module
from tornado_c.options import *

define("port", default=80, type=int)
module.options.define("host", default="x")
calls = []
add_parse_callback(lambda: calls.append(options.port))
assert parse_command_line(["prog", "--port=5", "--logging=none", "rest"]) == ["rest"]
assert (options.port, options["port"], calls) == (5, 5, [5])
assert module._Options.instance() is options
assert set(options.group_dict(sys.argv[0])) == {"port", "host"}, options.groups()
out = io.StringIO()
print_help(out)
assert "--port" in out.getvalue() and "--log-file-prefix=PATH" in out.getvalue()
"""
        script = tmp_path / "program.py"
        script.write_text(code)
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script)], env=CHILD_ENVIRONMENT, check=False
        )
        assert done.returncode == 0

    def test_pretty_logging_is_found_here_too(self):
        assert tornado_c.options.enable_pretty_logging is tornado_c.log.enable_pretty_logging

    def test_public_names(self):
        names = "Error OptionParser options define parse_command_line parse_config_file print_help"
        for name in [*names.split(), "add_parse_callback"]:
            assert hasattr(tornado_c.options, name)
