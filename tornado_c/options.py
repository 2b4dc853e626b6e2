"""Options that any module may define, set from the command line and from configuration files.

A module declares its options, at import time::

    define("port", default=8888, help="port to listen on")

and the program's entry point parses everything at once, after which values are attributes or items of
:data:`options`::

    parse_command_line()
    server.listen(options.port)

Dashes and underscores in a name mean the same everywhere. The logging options of :mod:`tornado_c.log` are
always present, and logging is set up when a parse is final.
"""

from __future__ import annotations

import dataclasses
import datetime
import numbers
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, TextIO

from tornado_c.log import LogFormatter, define_logging_options, enable_pretty_logging
from tornado_c.util import basestring_type

__all__ = [
    "Error",
    "OptionParser",
    "add_parse_callback",
    "define",
    "enable_pretty_logging",
    "options",
    "parse_command_line",
    "parse_config_file",
    "print_help",
]

#: Name of the formatter in Tornado 2.x.
_LogFormatter = LogFormatter


class Error(Exception):
    """An option is unknown, defined twice, or was given a value that does not fit."""


class OptionParser:
    """A set of options. Values are read and assigned as attributes or as items.

    Reading or assigning an option that was not defined raises AttributeError. A fresh parser has one option,
    ``help``.
    """

    def __init__(self) -> None:
        # Assignment is overridden: it would look for an option of that name.
        self.__dict__.update(_options={}, _parse_callbacks=[])
        self.define("help", type=bool, help="show this text and exit", callback=self._help_callback)

    def _normalize_name(self, name: str) -> str:
        return name.replace("_", "-")

    def _find(self, name: str) -> _Option:
        # Through __dict__, so that an instance without __init__ (as copy.copy makes) does not recurse.
        option = self.__dict__.get("_options", {}).get(self._normalize_name(name))
        if isinstance(option, _Option):
            return option
        raise AttributeError(f"Unrecognized option {self._normalize_name(name)!r}")

    def __getattr__(self, name: str) -> Any:
        return self._find(name).value()

    def __setattr__(self, name: str, value: Any) -> None:
        self._find(name).set(value)

    def __getitem__(self, name: str) -> Any:
        return self.__getattr__(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self.__setattr__(name, value)

    def __contains__(self, name: str) -> bool:
        return self._normalize_name(name) in self._options

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, spelled as they were defined."""
        return (option.name for option in self._options.values())

    def items(self) -> Iterable[tuple[str, Any]]:
        """Return (name, value) pairs in the order of definition."""
        return [(option.name, option.value()) for option in self._options.values()]

    def as_dict(self) -> dict[str, Any]:
        """Return every option's value by its name."""
        return dict(self.items())

    def groups(self) -> set[str]:
        """Return the names of all groups; an option without a group belongs to its defining file."""
        return {option.group_name for option in self._options.values()}

    def group_dict(self, group: str) -> dict[str, Any]:
        """Return names and values of one group's options, of all options where ``group`` is empty.

        Handy for settings: ``Application(handlers, **options.group_dict("application"))``.
        """
        return {
            option.name: option.value()
            for option in self._options.values()
            if not group or option.group_name == group
        }

    def define(
        self,
        name: str,
        default: Any = None,
        type: type | None = None,
        help: str | None = None,
        metavar: str | None = None,
        multiple: bool = False,
        group: str | None = None,
        callback: Callable[[Any], None] | None = None,
    ) -> None:
        """Add an option.

        :param name: unique; dashes and underscores count as equal.
        :param default: the value until one is set; with ``multiple``, None means an empty list.
        :param type: str, int, float, bool, datetime, timedelta, or any callable type that makes a value of a
            string. Default: the type of ``default``, else str.
        :param help: text for :meth:`print_help`.
        :param metavar: what stands for the value in the help.
        :param multiple: the value is a list, given as comma-separated text; for integers ``low:high`` stands
            for all numbers from low to high, both included.
        :param group: name of the group; default: the file that makes this call.
        :param callback: called with each new value, at the moment it is set.
        :raises Error: the name is taken.
        """
        key = self._normalize_name(name)
        if key in self._options:
            raise Error(f"Option {key!r} already defined in {self._options[key].file_name}")
        file_name = _defining_file()
        if type is None:
            type = str if multiple or default is None else default.__class__
        self._options[key] = _Option(
            name,
            default=default,
            type=type,
            help=help,
            metavar=metavar,
            multiple=multiple,
            file_name=file_name,
            group_name=group or file_name,
            callback=callback,
        )

    def parse_command_line(self, args: list[str] | None = None, final: bool = True) -> list[str]:
        """Set options from arguments of the form ``--name=value``; for a bool, ``--name`` alone means true.

        Parsing ends at ``--`` or at the first argument that does not start with a dash.

        :param args: the arguments, the program's name first; default: ``sys.argv``.
        :param final: whether to run the parse callbacks; False where more sources follow. Default True.
        :returns: the arguments that were left over.
        :raises Error: an option is unknown (the help is printed first), lacks its value, or has one that is
            no date or time span. What a type itself raises for a bad value passes through.
        """
        words = sys.argv if args is None else args
        remaining: list[str] = []
        for position, word in enumerate(words[1:], start=1):
            if word == "--":
                remaining = words[position + 1 :]
                break
            if not word.startswith("-"):
                remaining = words[position:]
                break
            self._parse_word(word)
        if final:
            self.run_parse_callbacks()
        return remaining

    def _parse_word(self, word: str) -> None:
        name, equals, value = word.lstrip("-").partition("=")
        name = self._normalize_name(name)
        option = self._options.get(name)
        if option is None:
            self.print_help()
            raise Error(f"Unrecognized command line option: {name!r}")
        if not equals:
            if option.type is not bool:
                raise Error(f"Option {name!r} requires a value")
            value = "true"
        option.parse(value)

    def parse_config_file(self, path: str, final: bool = True) -> None:
        """Set options from a file of Python code; each global that is named like an option gives its value.

        The code is executed, so the file has to be trusted. It is read as UTF-8 and finds its own absolute
        path in ``__file__``. A string is parsed as on the command line unless the option is a string itself.

        :param path: the file.
        :param final: whether to run the parse callbacks; False where more sources follow. Default True.
        :raises Error: a value is of the wrong type.
        :raises OSError: the file cannot be read. What its code raises passes through.
        """
        values: dict[str, Any] = {"__file__": os.path.abspath(path)}
        with open(path, "rb") as file:
            source = file.read().decode("utf-8")
        exec(compile(source, path, "exec", dont_inherit=True), values, values)
        for name, value in values.items():
            option = self._options.get(self._normalize_name(name))
            if option is None:
                continue
            if option.multiple and not isinstance(value, (list, str)):
                raise Error(
                    f"Option {option.name!r} is required to be a list of {option.type.__name__} "
                    "or a comma-separated string"
                )
            if type(value) is str and (option.multiple or option.type is not str):
                option.parse(value)
            else:
                option.set(value)
        if final:
            self.run_parse_callbacks()

    def print_help(self, file: TextIO | None = None) -> None:
        """Print the usage and all options, by group, to ``file`` (default: standard error)."""
        out = sys.stderr if file is None else file
        groups: dict[str, list[_Option]] = {}
        for option in self._options.values():
            groups.setdefault(option.group_name, []).append(option)
        print(f"Usage: {sys.argv[0]} [OPTIONS]\n\nOptions:\n", file=out)
        for title in sorted(groups):
            if title:
                print(f"\n{os.path.normpath(title)} options:\n", file=out)
            for option in sorted(groups[title], key=lambda member: member.name):
                for line in self._help_lines(option):
                    print(line, file=out)
        print(file=out)

    def _help_lines(self, option: _Option) -> Iterator[str]:
        """Lay out one option: its name in a column of 30, its description in one of 44 characters."""
        label = self._normalize_name(option.name)
        if option.metavar:
            label += "=" + option.metavar
        text = option.help or ""
        if option.default is not None and option.default != "":
            text += f" (default {option.default})"
        lines = textwrap.wrap(text, 44)
        if not lines or len(label) > 30:
            lines.insert(0, "")
        yield f"  --{label:<30} {lines[0]}"
        for line in lines[1:]:
            yield " " * 35 + line

    def _help_callback(self, value: bool) -> None:
        if value:
            self.print_help()
            sys.exit(0)

    def add_parse_callback(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called, without arguments, after each final parse."""
        self._parse_callbacks.append(callback)

    def run_parse_callbacks(self) -> None:
        """Call the parse callbacks in the order in which they were added."""
        for callback in self._parse_callbacks:
            callback()

    def mockable(self) -> _Mockable:
        """Return a stand-in for ``unittest.mock``: ``mock.patch.object(options.mockable(), "port", 0)``."""
        return _Mockable(self)


def _defining_file() -> str:
    """Return the file that called ``define``: the method or the module's function; "" for this module."""
    frame = sys._getframe(1).f_back
    if frame is not None and frame.f_code is define.__code__:
        frame = frame.f_back
    if frame is None:
        return "<unknown>"
    file_name = frame.f_code.co_filename
    return "" if file_name == _defining_file.__code__.co_filename else file_name


class _Mockable:
    """Passes attributes through to an OptionParser; deleting one brings back the value before its assignment.

    ``mock.patch`` undoes its work by deletion, which an OptionParser does not understand.
    """

    def __init__(self, options: OptionParser) -> None:
        vars(self).update(_parser=options, _before={})

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_parser"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        assert name not in self._before, "don't reuse mockable objects"
        self._before[name] = self._parser[name]
        self._parser[name] = value

    def __delattr__(self, name: str) -> None:
        self._parser[name] = self._before.pop(name)


@dataclasses.dataclass(eq=False)
class _Option:
    """One option: how it is described, how text becomes its value, and the value."""

    UNSET: ClassVar[object] = object()

    name: str
    type: type
    default: Any = None
    help: str | None = None
    metavar: str | None = None
    multiple: bool = False
    file_name: str | None = None
    group_name: str | None = None
    callback: Callable[[Any], None] | None = None
    _value: Any = dataclasses.field(default=UNSET, init=False)

    def __post_init__(self) -> None:
        if self.multiple and self.default is None:
            self.default = []

    def value(self) -> Any:
        """Return the value that was set last, or the default."""
        return self.default if self._value is _Option.UNSET else self._value

    def parse(self, value: str) -> Any:
        """Set the value from text and return it."""
        convert: Callable[[str], Any] = _PARSERS.get(self.type, self.type)
        if not self.multiple:
            return self._store(convert(value))
        parts = value.split(",")
        if not issubclass(self.type, numbers.Integral):
            return self._store([convert(part) for part in parts])
        numbers_given: list[Any] = []
        for part in parts:
            low_text, _, high_text = part.partition(":")
            low = convert(low_text)
            high = convert(high_text) if high_text else low
            numbers_given.extend(range(low, high + 1))
        return self._store(numbers_given)

    def set(self, value: Any) -> None:
        """Set the value from an object of the right type; None is always allowed, also as a list's item.

        :raises Error: the type is wrong.
        """
        if not self.multiple:
            if value is not None and not isinstance(value, self.type):
                raise Error(
                    f"Option {self.name!r} is required to be a {self.type.__name__} ({type(value)} given)"
                )
        elif not isinstance(value, list) or any(
            item is not None and not isinstance(item, self.type) for item in value
        ):
            raise Error(f"Option {self.name!r} is required to be a list of {self.type.__name__}")
        self._store(value)

    def _store(self, value: Any) -> Any:
        self._value = value
        if self.callback is not None:
            self.callback(value)
        return self.value()


#: In order of trial; a time alone falls on the first day of 1900.
_DATETIME_FORMATS = (
    "%a %b %d %H:%M:%S %Y",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y%m%d %H:%M:%S",
    "%Y%m%d %H:%M",
    "%Y-%m-%d",
    "%Y%m%d",
    "%H:%M:%S",
    "%H:%M",
)

_TIMEDELTA_UNITS = {
    "": "seconds",
    "us": "microseconds",
    "ms": "milliseconds",
    "s": "seconds",
    "sec": "seconds",
    "m": "minutes",
    "min": "minutes",
    "h": "hours",
    "d": "days",
    "w": "weeks",
}

_TIMEDELTA_TERM = re.compile(
    r"\s* (?P<count> [-+]? (?: \d+ (?: \.\d* )? | \.\d+ ) (?: e [-+]? \d+ )? ) \s* (?P<unit> \w* ) \s*",
    re.IGNORECASE | re.VERBOSE,
)


def _parse_datetime(value: str) -> datetime.datetime:
    for form in _DATETIME_FORMATS:
        try:
            return datetime.datetime.strptime(value, form)
        except ValueError:
            continue
    raise Error(f"Unrecognized date/time format: {value!r}")


def _parse_timedelta(value: str) -> datetime.timedelta:
    """Add up terms such as ``1h 30m``; a bare number counts seconds, timedelta's keywords are units too."""
    total = datetime.timedelta()
    position = 0
    while position < len(value):
        term = _TIMEDELTA_TERM.match(value, position)
        if term is None:
            raise Error(f"Unrecognized timedelta format: {value!r}")
        unit = term["unit"]
        total += datetime.timedelta(**{_TIMEDELTA_UNITS.get(unit, unit): float(term["count"])})
        position = term.end()
    return total


def _parse_bool(value: str) -> bool:
    return value.lower() not in ("false", "0", "f")


_PARSERS: dict[type, Callable[[str], Any]] = {
    datetime.datetime: _parse_datetime,
    datetime.timedelta: _parse_timedelta,
    bool: _parse_bool,
    basestring_type: str,
}


def define(
    name: str,
    default: Any = None,
    type: type | None = None,
    help: str | None = None,
    metavar: str | None = None,
    multiple: bool = False,
    group: str | None = None,
    callback: Callable[[Any], None] | None = None,
) -> None:
    """Add an option to the global set; see :meth:`OptionParser.define`."""
    options.define(
        name,
        default=default,
        type=type,
        help=help,
        metavar=metavar,
        multiple=multiple,
        group=group,
        callback=callback,
    )


def parse_command_line(args: list[str] | None = None, final: bool = True) -> list[str]:
    """Set global options from the command line; see :meth:`OptionParser.parse_command_line`."""
    return options.parse_command_line(args, final=final)


def parse_config_file(path: str, final: bool = True) -> None:
    """Set global options from a file; see :meth:`OptionParser.parse_config_file`."""
    options.parse_config_file(path, final=final)


def print_help(file: TextIO | None = None) -> None:
    """Print the help of the global options; see :meth:`OptionParser.print_help`."""
    options.print_help(file)


def add_parse_callback(callback: Callable[[], None]) -> None:
    """Have ``callback`` called after each final parse; see :meth:`OptionParser.add_parse_callback`."""
    options.add_parse_callback(callback)


#: The global set of options.
options = OptionParser()


class _Options:
    """Tornado 2.x's OptionParser: ``_Options()`` makes one, ``_Options.instance()`` is ``options``."""

    def __new__(cls) -> OptionParser:  # type: ignore[misc]
        return OptionParser()

    @classmethod
    def instance(cls) -> OptionParser:
        """Return the global set of options."""
        return options


define_logging_options(options)
