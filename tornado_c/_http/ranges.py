"""Ranges of bytes: the Range header of a request and the Content-Range of its response."""

from __future__ import annotations


def _int_or_none(val: str) -> int | None:
    """The integer that a string holds, None if there is only white space in it."""
    val = val.strip()
    return int(val) if val else None


def _parse_request_range(range_header: str) -> tuple[int | None, int | None] | None:
    """The slice that a Range header asks for, or None if it is not a single range of bytes.

    >>> _parse_request_range("bytes=10-19")
    (10, 20)
    >>> _parse_request_range("bytes=10-")
    (10, None)
    >>> _parse_request_range("bytes=-10")
    (-10, None)
    >>> _parse_request_range("bytes=0-1,5-6") is None
    True
    """
    unit, _, value = range_header.partition("=")
    if unit.strip() != "bytes":
        return None
    first, _, last = value.strip().partition("-")
    try:
        start, end = _int_or_none(first), _int_or_none(last)
    except ValueError:
        return None
    if end is None:
        return start, None
    if start is not None:
        return start, end + 1
    # A suffix: the last `end` bytes; none of them is the empty slice at the front.
    return (-end, None) if end != 0 else (None, 0)


def _get_content_range(start: int | None, end: int | None, total: int) -> str:
    """The Content-Range header for a slice of ``total`` bytes.

    >>> _get_content_range(10, 20, 100), _get_content_range(None, None, 100)
    ('bytes 10-19/100', 'bytes 0-99/100')
    """
    return f"bytes {start or 0}-{(end or total) - 1}/{total}"
