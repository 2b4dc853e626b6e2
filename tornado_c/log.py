"""The three loggers of the server core, a formatter for them, and the options that set them up.

==========================  =====================================================================
``tornado.access``          a line for each request that was served (``access_log``)
``tornado.application``     errors in the application's own code (``app_log``)
``tornado.general``         everything else of the core (``gen_log``)
==========================  =====================================================================

They are ordinary :mod:`logging` loggers and can be configured as such. Parsing the command line or a
configuration file with :mod:`tornado_c.options` configures the root logger through
:func:`enable_pretty_logging`, unless ``--logging=none`` is given.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

from tornado_c.escape import to_unicode

access_log = logging.getLogger("tornado.access")
app_log = logging.getLogger("tornado.application")
gen_log = logging.getLogger("tornado.general")


def __getattr__(name: str) -> Any:
    # Imported when a terminal is asked for its colours.
    if name not in ("colorama", "curses"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        found = importlib.import_module(name)
    except ImportError:
        found = None
    return globals().setdefault(name, found)


def _optional(name: str) -> Any:
    """The module, which others may have put here themselves; None: there is none."""
    return globals()[name] if name in globals() else __getattr__(name)


def _stderr_supports_color() -> bool:
    """Whether standard error is a terminal that shows colours. Never raises."""
    try:
        if not sys.stderr.isatty():
            return False
        curses, colorama = _optional("curses"), _optional("colorama")
        if curses is not None:
            curses.setupterm()
            return bool(curses.tigetnum("colors") > 0)
        if colorama is not None:
            return sys.stderr is getattr(colorama.initialise, "wrapped_stderr", None)
    except Exception:  # a missing or broken terminal description must not stop a server from starting
        pass
    return False


def _safe_unicode(s: Any) -> str:
    try:
        return to_unicode(s) or ""
    except UnicodeDecodeError:
        return repr(s)


class LogFormatter(logging.Formatter):
    """Formats a record as ``[I 240131 23:59:59 module:42] message``, coloured by level on a terminal.

    :param fmt: a %-style format. Besides the usual fields it may use ``%(color)s`` and ``%(end_color)s``,
        which are empty where no colour applies.
    :param datefmt: strftime format of ``%(asctime)s``.
    :param style: ignored; ``logging.config.dictConfig`` wants to pass it.
    :param color: whether to use colour where standard error supports it; default True.
    :param colors: terminal colour number for each level; a level that is missing stays plain.
    """

    DEFAULT_FORMAT = "%(color)s[%(levelname)1.1s %(asctime)s %(module)s:%(lineno)d]%(end_color)s %(message)s"
    DEFAULT_DATE_FORMAT = "%y%m%d %H:%M:%S"
    DEFAULT_COLORS = {
        logging.DEBUG: 4,
        logging.INFO: 2,
        logging.WARNING: 3,
        logging.ERROR: 1,
        logging.CRITICAL: 5,
    }

    def __init__(
        self,
        fmt: str = DEFAULT_FORMAT,
        datefmt: str = DEFAULT_DATE_FORMAT,
        style: str = "%",
        color: bool = True,
        colors: dict[int, int] = DEFAULT_COLORS,
    ) -> None:
        super().__init__(datefmt=datefmt)
        self._fmt: str = fmt
        self._colors: dict[int, str] = {}
        self._normal = ""
        if color and _stderr_supports_color():
            self._load_escapes(colors)

    def _load_escapes(self, colors: dict[int, int]) -> None:
        """Fill in the escape sequence of each level, and the one that ends colouring."""
        curses = _optional("curses")
        if curses is None:
            self._colors = {level: f"\033[2;3{code}m" for level, code in colors.items()}
            self._normal = "\033[0m"
            return
        template = curses.tigetstr("setaf") or curses.tigetstr("setf") or b""
        self._colors = {level: curses.tparm(template, code).decode("ascii") for level, code in colors.items()}
        self._normal = (curses.tigetstr("sgr0") or b"").decode("ascii")

    def format(self, record: Any) -> str:
        """Return the text of ``record``; lines after the first are indented by four spaces.

        Arguments that do not fit the message are reported in its place; nothing is raised.
        """
        try:
            record.message = _safe_unicode(record.getMessage())
        except Exception as e:
            record.message = f"Bad message ({e!r}): {record.__dict__!r}"
        record.asctime = self.formatTime(record, self.datefmt)
        record.color = self._colors.get(record.levelno, "")
        record.end_color = self._normal if record.levelno in self._colors else ""
        text = self._fmt % record.__dict__

        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            text = "\n".join([text.rstrip(), *map(_safe_unicode, record.exc_text.split("\n"))])
        return str(text.replace("\n", "\n    "))


def enable_pretty_logging(options: Any = None, logger: logging.Logger | None = None) -> None:
    """Set a logger's level and handlers from the logging options.

    :param options: an OptionParser with :func:`define_logging_options`' options; default: the global one.
    :param logger: the logger to configure; default: the root logger.
    :raises ValueError: ``log_rotate_mode`` is neither ``"size"`` nor ``"time"``.
    """
    options = _or_global(options)
    level: str | None = options.logging
    if level is None or level.lower() == "none":
        return
    if logger is None:
        logger = logging.getLogger()
    logger.setLevel(getattr(logging, level.upper()))
    if options.log_file_prefix:
        file_handler = _file_handler(options)
        file_handler.setFormatter(LogFormatter(color=False))
        logger.addHandler(file_handler)
    to_stderr = options.log_to_stderr
    if to_stderr is None:
        to_stderr = not logger.handlers
    if to_stderr:
        stream_handler = logging.StreamHandler()
        stream_handler.setFormatter(LogFormatter())
        logger.addHandler(stream_handler)


def _file_handler(options: Any) -> logging.Handler:
    import logging.handlers

    if options.log_rotate_mode == "size":
        return logging.handlers.RotatingFileHandler(
            filename=options.log_file_prefix,
            maxBytes=options.log_file_max_size,
            backupCount=options.log_file_num_backups,
            encoding="utf-8",
        )
    if options.log_rotate_mode == "time":
        return logging.handlers.TimedRotatingFileHandler(
            filename=options.log_file_prefix,
            when=options.log_rotate_when,
            interval=options.log_rotate_interval,
            backupCount=options.log_file_num_backups,
            encoding="utf-8",
        )
    raise ValueError(
        f'The value of log_rotate_mode option should be "size" or "time", not "{options.log_rotate_mode}".'
    )


def define_logging_options(options: Any = None) -> None:
    """Define the logging options and have them applied once parsing is done.

    :param options: the OptionParser to extend; default: the global one, which has them already.
    :raises tornado_c.options.Error: one of the options is defined already.
    """
    options = _or_global(options)
    options.define(
        "logging",
        default="info",
        metavar="debug|info|warning|error|none",
        help="level of the root logger; 'none' leaves logging as it is",
    )
    options.define(
        "log_to_stderr",
        type=bool,
        default=None,
        help="log to standard error, coloured on a terminal (unset: only where nothing else receives it)",
    )
    options.define(
        "log_file_prefix",
        type=str,
        default=None,
        metavar="PATH",
        help="write the log to files of this name; each of several processes needs a name of its own",
    )
    options.define(
        "log_file_max_size", type=int, default=100_000_000, help="bytes at which a log file is rotated"
    )
    options.define("log_file_num_backups", type=int, default=10, help="how many rotated log files are kept")
    options.define(
        "log_rotate_when",
        type=str,
        default="midnight",
        help="unit of log_rotate_interval when rotating by time: 'S', 'M', 'H', 'D', 'W0'-'W6' or 'midnight'",
    )
    options.define(
        "log_rotate_interval", type=int, default=1, help="units of time after which a log file is rotated"
    )
    options.define("log_rotate_mode", type=str, default="size", help="'size' or 'time': what rotates files")
    options.add_parse_callback(lambda: enable_pretty_logging(options))


def _or_global(options: Any) -> Any:
    if options is not None:
        return options
    # options imports this module while it is itself being imported.
    import tornado_c.options

    return tornado_c.options.options
