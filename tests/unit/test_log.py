"""Formatting and set-up of logs; stock Tornado formats the same records."""

import logging
import os
import subprocess
import sys

import pytest
import tornado.log
import tornado.options

import tornado_c.log
import tornado_c.options
from support.children import CHILD_ENVIRONMENT


@pytest.fixture
def log(implementation):
    return implementation.log


@pytest.fixture
def options(implementation):
    return implementation.options


def make_record(level=logging.ERROR, msg="hello", args=(), exc_info=None):
    record = logging.LogRecord("name", level, "/some/where/module.py", 42, msg, args, exc_info)
    record.created, record.msecs = 1700000000.0, 0
    return record


def exc_info(error):
    try:
        raise error
    except Exception:
        return sys.exc_info()


RECORDS = {
    "plain": {},
    "arguments": {"msg": "%s and %d", "args": ("a", 1)},
    "lines": {"msg": "one\ntwo\n"},
    "not ascii": {"msg": "é\u4e2d"},
    "number": {"msg": 5},
    "exception": {"exc_info": exc_info(KeyError("é\nx"))},
    "exception of bytes": {"exc_info": exc_info(Exception(b"\xe9"))},
    "unknown level": {"level": 7},
    "critical": {"level": logging.CRITICAL},
}


@pytest.mark.parametrize("case", RECORDS)
@pytest.mark.parametrize("colors", [{}, {logging.ERROR: "<red>"}], ids=["plain", "coloured"])
def test_format(case, colors):
    texts = []
    for log in (tornado_c.log, tornado.log):
        formatter = log.LogFormatter(color=False)
        formatter._colors = colors
        formatter._normal = "<normal>" if colors else ""
        texts.append(formatter.format(make_record(**RECORDS[case])))
    assert texts[0] == texts[1]


def test_bad_arguments_do_not_raise():
    text = tornado_c.log.LogFormatter(color=False).format(make_record(msg="%d", args=("x",)))
    assert "Bad message (TypeError(" in text


def test_format_parameters():
    texts = [
        log.LogFormatter(fmt="%(levelname)s|%(asctime)s", datefmt="%Y").format(make_record(level=5))
        for log in (tornado_c.log, tornado.log)
    ]
    assert texts == ["Level 5|2023"] * 2


def test_public_constants():
    ours, stock = tornado_c.log.LogFormatter, tornado.log.LogFormatter
    assert ours.DEFAULT_FORMAT == stock.DEFAULT_FORMAT
    assert ours.DEFAULT_DATE_FORMAT == stock.DEFAULT_DATE_FORMAT
    assert ours.DEFAULT_COLORS == stock.DEFAULT_COLORS
    for name in ("access_log", "app_log", "gen_log"):
        assert getattr(tornado_c.log, name) is getattr(tornado.log, name)


def test_colour_on_a_terminal(tmp_path):
    """On a real terminal both produce the same escape sequences."""
    pty = pytest.importorskip("pty")
    texts = []
    for package in ("tornado_c", "tornado"):
        script = tmp_path / "colours.py"
        script.write_text(
            f"import logging, {package}.log as log\n"
            "f = log.LogFormatter(fmt='%(color)s%(levelname)s%(end_color)s %(message)s')\n"
            "for level in (10, 20, 30, 40, 50, 7):\n"
            "    print(repr(f.format(logging.LogRecord('n', level, 'p', 1, 'hello', (), None))))\n"
        )
        parent, child = pty.openpty()
        try:
            done = subprocess.run(
                [sys.executable, str(script)],
                stderr=child,
                stdout=subprocess.PIPE,
                env={**CHILD_ENVIRONMENT, "TERM": "xterm-256color"},
                check=True,
            )
        finally:
            os.close(parent)
            os.close(child)
        texts.append(done.stdout)
    assert texts[0] == texts[1]
    assert b"hello" in texts[0]


class TestEnable:
    @pytest.fixture
    def logger(self):
        logger = logging.Logger("test")
        yield logger
        for handler in logger.handlers:
            handler.close()

    def parser(self, log, options):
        parser = options.OptionParser()
        log.define_logging_options(parser)
        return parser

    def test_default_writes_to_stderr(self, log, options, logger):
        log.enable_pretty_logging(self.parser(log, options), logger)
        assert logger.level == logging.INFO
        (handler,) = logger.handlers
        assert type(handler) is logging.StreamHandler
        assert isinstance(handler.formatter, log.LogFormatter)

    def test_default_keeps_out_where_there_is_a_handler(self, log, options, logger):
        logger.addHandler(logging.NullHandler())
        log.enable_pretty_logging(self.parser(log, options), logger)
        assert len(logger.handlers) == 1

    def test_log_to_stderr(self, log, options, logger):
        parser = self.parser(log, options)
        parser.log_to_stderr = True
        logger.addHandler(logging.NullHandler())
        log.enable_pretty_logging(parser, logger)
        assert len(logger.handlers) == 2
        parser.log_to_stderr = False
        log.enable_pretty_logging(parser, logger)
        assert len(logger.handlers) == 2

    @pytest.mark.parametrize("level", [None, "none", "NONE"])
    def test_none(self, log, options, logger, level):
        parser = self.parser(log, options)
        parser.logging = level
        log.enable_pretty_logging(parser, logger)
        assert (logger.level, logger.handlers) == (logging.NOTSET, [])

    @pytest.mark.parametrize("mode", ["size", "time"])
    def test_file(self, log, options, logger, mode, tmp_path):
        parser = self.parser(log, options)
        parser.log_file_prefix = str(tmp_path / "log")
        parser.log_rotate_mode = mode
        log.enable_pretty_logging(parser, logger)
        (handler,) = logger.handlers
        logger.warning("héllo")
        handler.flush()
        assert (tmp_path / "log").read_text("utf-8").endswith("] héllo\n")
        if mode == "size":
            assert (handler.maxBytes, handler.backupCount) == (100 * 1000 * 1000, 10)
        else:
            assert (handler.when, handler.backupCount) == ("MIDNIGHT", 10)

    def test_wrong_mode(self, log, options, logger, tmp_path):
        parser = self.parser(log, options)
        parser.log_file_prefix = str(tmp_path / "log")
        parser.log_rotate_mode = "hourly"
        with pytest.raises(ValueError) as caught:
            log.enable_pretty_logging(parser, logger)
        assert str(caught.value) == (
            'The value of log_rotate_mode option should be "size" or "time", not "hourly".'
        )

    @pytest.mark.parametrize(("argument", "shown"), [("--logging=info", True), ("--logging=none", False)])
    def test_command_line_sets_up_the_root_logger(self, log, options, argument, shown):
        code = (
            f"import logging; from {options.__name__} import parse_command_line; "
            "parse_command_line(); logging.info('hello')"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, argument], capture_output=True, env=CHILD_ENVIRONMENT, check=True
        )
        assert (b"hello" in done.stderr) == shown


def test_logging_options_are_those_of_tornado():
    def described(options):
        return {
            option.name: (option.type, option.default, option.metavar, option.multiple)
            for option in options.options._options.values()
        }

    assert described(tornado_c.options) == described(tornado.options)
