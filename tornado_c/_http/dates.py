"""Dates as HTTP writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tornado_c import _core

if TYPE_CHECKING:
    import datetime
    import time


def format_timestamp(ts: int | float | tuple[Any, ...] | time.struct_time | datetime.datetime) -> str:
    """A date as HTTP writes it, in GMT.

    Takes seconds since the epoch, a time tuple in UTC, or a datetime; a datetime without a time zone is
    taken for UTC.

    >>> format_timestamp(0)
    'Thu, 01 Jan 1970 00:00:00 GMT'
    """
    seconds: float
    text = _core.datetime_text(ts)
    if text is not None:
        return text
    import calendar
    import datetime
    import email.utils

    if isinstance(ts, datetime.datetime):
        seconds = calendar.timegm(ts.utctimetuple())
    elif isinstance(ts, tuple):  # struct_time is one
        seconds = calendar.timegm(ts)
    elif isinstance(ts, (int, float)):
        seconds = ts
    else:
        raise TypeError(f"unknown timestamp type: {ts!r}")
    return email.utils.formatdate(seconds, usegmt=True)
