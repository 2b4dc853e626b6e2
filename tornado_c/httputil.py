"""HTTP for servers and clients alike: headers, start lines, form bodies, cookies and small helpers.

The interfaces between connections and applications (`HTTPServerConnectionDelegate`,
`HTTPMessageDelegate`, `HTTPConnection`) are declared here. `HTTPHeaders` is a C type underneath.
"""

from __future__ import annotations

import calendar
import collections.abc
import dataclasses
import datetime
import email.utils
import http.cookies
import re
import ssl
import time
import unicodedata
import warnings
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from functools import lru_cache
from http.client import responses as responses
from typing import TYPE_CHECKING, Any, AnyStr, NamedTuple, overload
from urllib.parse import parse_qsl, urlencode, urlparse, urlunparse

from . import _core
from ._escape import ObjectDict, native_str, parse_qs_bytes, utf8

if TYPE_CHECKING:
    import unittest
    from asyncio import Future

# What may stand around a header's value; for str.strip and its kin.
HTTP_WHITESPACE = " \t"

# Control characters, tab excepted. Text that is not bytes in disguise may have anything else.
_FORBIDDEN_HEADER_CHARS_RE = re.compile(r"[\x00-\x08\x0A-\x1F\x7F]")


class _ABNF:
    """Grammar rules of RFC 9110, 9112 and 3986 as compiled patterns, to be used with ``fullmatch``.

    Each bears its name in the RFC, with underscores for hyphens. Text is taken for bytes decoded as
    Latin-1.
    """

    # RFC 5234
    VCHAR = re.compile(r"[\x21-\x7E]")

    # RFC 3986. The host is laxer than the RFC's: brackets and colons may stand anywhere in it.
    uri_unreserved = re.compile(r"[\w\-.~]", re.ASCII)
    uri_sub_delims = re.compile(r"[!$&'()*+,;=]")
    uri_pct_encoded = re.compile(r"%[0-9A-Fa-f]{2}")
    uri_host = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:\[\]]|%[0-9A-Fa-f]{2})*")
    uri_port = re.compile(r"[0-9]*")

    # RFC 9110
    obs_text = re.compile(r"[\x80-\xFF]")
    field_vchar = re.compile(r"[\x21-\x7E\x80-\xFF]")
    field_value = re.compile(r"(?:[\x21-\x7E\x80-\xFF](?:[\t\x20-\x7E\x80-\xFF]*[\x21-\x7E\x80-\xFF])?)?")
    tchar = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]")
    token = re.compile(f"{tchar.pattern}+")
    field_name = token
    method = token
    host = re.compile(f"{uri_host.pattern}(?::{uri_port.pattern})?")

    # RFC 9112. A request target may be anything without blanks and control characters: browsers send
    # more than the RFC's URIs.
    HTTP_version = re.compile(r"HTTP/[0-9]\.[0-9]")
    request_target = re.compile(f"{field_vchar.pattern}+")
    request_line = re.compile(f"({method.pattern}) ({request_target.pattern}) ({HTTP_version.pattern})")
    status_code = re.compile(r"[0-9]{3}")
    reason_phrase = re.compile(r"[\t\x20-\x7E\x80-\xFF]+")
    status_line = re.compile(f"({HTTP_version.pattern}) ({status_code.pattern}) ({reason_phrase.pattern})?")


class HTTPInputError(Exception):
    """A peer sent something that is not proper HTTP."""


class HTTPOutputError(Exception):
    """The application tried to send something that is not proper HTTP."""


@lru_cache(1000)
def _normalize_header(name: str) -> str:
    """A header's name in the case that `HTTPHeaders` uses.

    C knows this rule too and does not call this function unless it has been replaced in the module, as
    some monitoring tools do; then every name passes through the replacement.

    >>> _normalize_header("x-REQUEST-id")
    'X-Request-Id'
    """
    return "-".join(part.capitalize() for part in name.split("-"))


class HTTPHeaders(_core.HeadersBase, collections.abc.MutableMapping[str, str]):
    """A mapping of header names to values that ignores the case of names and allows several values.

    Names are kept in ``Http-Header-Case``. Access by key joins the values of a header by commas;
    `add`, `get_list` and `get_all` deal with them one by one.

    >>> headers = HTTPHeaders({"content-TYPE": "text/plain"})
    >>> headers["Content-Type"], list(headers)
    ('text/plain', ['Content-Type'])
    >>> headers.add("vary", "Accept")
    >>> headers.add("Vary", "Cookie")
    >>> headers["VARY"]
    'Accept,Cookie'
    >>> headers.get_list("vary")
    ['Accept', 'Cookie']
    >>> print(headers, end="")
    Content-Type: text/plain
    Vary: Accept
    Vary: Cookie
    """

    if TYPE_CHECKING:

        @overload
        def __init__(self, arg: Mapping[str, list[str]], /) -> None: ...
        @overload
        def __init__(self, arg: Mapping[str, str], /) -> None: ...
        @overload
        def __init__(self, *args: tuple[str, str]) -> None: ...
        @overload
        def __init__(self, **kwargs: str) -> None: ...
        def __init__(self, *args: Any, **kwargs: str) -> None: ...


class HTTPServerRequest(_core.RequestBase):
    """One request to a server.

    Attributes, all str unless said otherwise: `method`, `uri`, `path`, `query`, `version`, `headers` (`HTTPHeaders`), `body` (bytes),
    `remote_ip`, `protocol` ("http" or "https"), `host`, `host_name`, `arguments`, `query_arguments` and `body_arguments` (name to
    list of bytes), `files` (name to list of `HTTPFile`), `cookies`, `connection`. Those of a request that came over the
    network are made from its head when they are first asked for; all can be assigned.

    start_line: a `RequestStartLine`; method, uri and version in its place are deprecated, as is host. Raises `HTTPInputError` for a
    Host that is missing in HTTP/1.1 or malformed, and for a query string with too many arguments.
    """

    def __init__(
        self,
        method: str | None = None,
        uri: str | None = None,
        version: str = "HTTP/1.0",
        headers: HTTPHeaders | None = None,
        body: bytes | None = None,
        host: str | None = None,
        files: dict[str, list[HTTPFile]] | None = None,
        connection: Any = None,
        start_line: RequestStartLine | None = None,
        server_connection: object | None = None,
    ) -> None:
        if method is not None or uri is not None:
            warnings.warn(
                "HTTPServerRequest's arguments method, uri and version are deprecated and will be removed "
                "in Tornado 6.7; pass start_line instead.",
                DeprecationWarning,
                stacklevel=2,
            )
        if start_line is None:
            warnings.warn(
                "HTTPServerRequest's argument start_line will be required in Tornado 6.7.",
                DeprecationWarning,
                stacklevel=2,
            )
            start_line = RequestStartLine(method or "GET", uri or "/", version)
        self.method, self.uri, self.version = start_line
        self.headers = headers or HTTPHeaders()
        if host is not None:
            warnings.warn(
                "HTTPServerRequest's argument host is deprecated and will be removed in Tornado 6.7; "
                'set headers["Host"] instead.',
                DeprecationWarning,
                stacklevel=2,
            )
            self.headers["Host"] = host
        self.body = body or b""
        context = getattr(connection, "context", None)
        self.remote_ip = getattr(context, "remote_ip", None)
        self.protocol = getattr(context, "protocol", "http")
        self.host = _checked_host(self.headers, self.version)
        self.host_name = split_host_and_port(self.host.lower())[0]
        self.files = files or {}
        self.connection = connection
        self.server_connection = server_connection
        if self.uri is not None:
            self.path, _, self.query = self.uri.partition("?")
        self.query_arguments = _parse_query(self.query)
        self.body_arguments = {}

    def get_ssl_certificate(self, binary_form: bool = False) -> dict[str, Any] | bytes | None:
        """The client's certificate, None if it gave none: a dict, or DER bytes with `binary_form`."""
        if self.connection is None:
            return None
        try:
            return self.connection.stream.socket.getpeercert(binary_form=binary_form)
        except ssl.SSLError:
            return None

    def __repr__(self) -> str:
        names = ("protocol", "host", "method", "uri", "version", "remote_ip")
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({shown})"


def _checked_host(headers: HTTPHeaders, version: str) -> str:
    """The Host header of a request; HTTP/1.0 may do without."""
    host = headers.get("Host")
    if host is None:
        if version != "HTTP/1.0":
            raise HTTPInputError("Missing Host header")
        host = "127.0.0.1"
    if not _ABNF.host.fullmatch(host):
        raise HTTPInputError(f"Invalid Host header: {host!r}")
    if "," in host:
        # No DNS name has a comma: a proxy has joined several Host headers, which are forbidden.
        raise HTTPInputError(f"Multiple host headers not allowed: {host!r}")
    return host


def _parse_query(query: str) -> dict[str, list[bytes]]:
    """The arguments of a request's query string."""
    limit = _DEFAULT_PARSE_BODY_CONFIG.urlencoded.max_arguments
    try:
        return parse_qs_bytes(query, keep_blank_values=True, max_num_fields=limit)
    except Exception as e:
        raise HTTPInputError(f"Invalid query string: {e}") from e


def _load_cookies(headers: HTTPHeaders) -> http.cookies.SimpleCookie:
    """The cookies of a request; those that ``http.cookies`` does not accept are left out."""
    cookies = http.cookies.SimpleCookie()
    if "Cookie" not in headers:
        return cookies
    try:
        parsed = parse_cookie(headers["Cookie"])
    except Exception:
        return cookies
    for name, value in parsed.items():
        try:
            cookies[name] = value
        except Exception:
            continue
    return cookies


def _parse_body(
    headers: HTTPHeaders,
    body: bytes,
    body_arguments: dict[str, list[bytes]],
    files: dict[str, list[HTTPFile]],
) -> None:
    """Parse a request's form body as its Content-Type says."""
    parse_body_arguments(headers.get("Content-Type", ""), body, body_arguments, files, headers)


class HTTPServerConnectionDelegate:
    """What `.HTTPServer` calls for each connection and each request on it."""

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Called when a request begins; returns the delegate that will receive it.

        ``server_conn`` stands for the connection from the client, ``request_conn`` is where the response
        of this one request is to be written.
        """
        raise NotImplementedError()

    def on_close(self, server_conn: object) -> None:
        """Called when the connection that ``start_request`` was given has been closed."""


class HTTPMessageDelegate:
    """What receives one request or one response, piece by piece."""

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Called with the head. If it returns an awaitable, the body is not read before that is done."""
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Called with each piece of the body. An awaitable result holds back the next piece."""
        return None

    def finish(self) -> None:
        """Called after the last piece."""

    def on_connection_close(self) -> None:
        """Called in place of ``finish`` if the connection closes before the end of the message."""


class HTTPConnection:
    """Where an application writes a message: first the head, then the body, then ``finish``."""

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> Future[None]:
        """Write the head, and with it the first chunk of the body if there is one.

        The version in ``start_line`` is not used. The Future returned is for flow control.
        """
        raise NotImplementedError()

    def write(self, chunk: bytes) -> Future[None]:
        """Write a piece of the body. The Future returned is for flow control."""
        raise NotImplementedError()

    def finish(self) -> None:
        """Say that the body is complete."""
        raise NotImplementedError()


def url_concat(
    url: str,
    args: None | dict[str, str] | list[tuple[str, str]] | tuple[tuple[str, str], ...],
) -> str:
    """Add arguments to a URL, whether or not it has a query already.

    ``args`` is a dictionary, or a list or tuple of pairs where a name may come more than once.

    >>> url_concat("http://localhost/search#top", {"q": "a b"})
    'http://localhost/search?q=a+b#top'
    >>> url_concat("/search?q=a", [("page", "1"), ("page", "2")])
    '/search?q=a&page=1&page=2'
    """
    if args is None:
        return url
    if not isinstance(args, (dict, list, tuple)):
        raise TypeError(f"'args' parameter should be dict, list or tuple. Not {type(args)}")
    parts = urlparse(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    query.extend(args.items() if isinstance(args, dict) else args)
    return urlunparse(parts._replace(query=urlencode(query)))


class HTTPFile(ObjectDict):
    """A file that came in a form; its fields are attributes and dictionary items."""

    filename: str
    body: bytes
    content_type: str


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


@dataclasses.dataclass
class ParseMultipartConfig:
    """Limits on bodies of the type ``multipart/form-data``."""

    #: False refuses all of them.
    enabled: bool = True
    #: How many parts (form fields and files) a body may have.
    max_parts: int = 100
    #: How many bytes of headers each part may have.
    max_part_header_size: int = 10 * 1024


@dataclasses.dataclass
class ParseUrlEncodedConfig:
    """Limits on bodies of the type ``application/x-www-form-urlencoded`` and on query strings."""

    #: How many arguments there may be.
    max_arguments: int = 1000


@dataclasses.dataclass
class ParseBodyConfig:
    """Limits on the form bodies of requests, by their type."""

    multipart: ParseMultipartConfig = dataclasses.field(default_factory=ParseMultipartConfig)
    urlencoded: ParseUrlEncodedConfig = dataclasses.field(default_factory=ParseUrlEncodedConfig)


_DEFAULT_PARSE_BODY_CONFIG = ParseBodyConfig()


def set_parse_body_config(config: ParseBodyConfig) -> None:
    """Set the limits that hold for the whole process wherever none are given.

    >>> set_parse_body_config(ParseBodyConfig(urlencoded=ParseUrlEncodedConfig(max_arguments=1)))
    >>> form = "application/x-www-form-urlencoded"
    >>> parse_body_arguments(form, b"a=1&b=2", {}, {})  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
        ...
    HTTPInputError: Invalid x-www-form-urlencoded body: Max number of fields exceeded
    >>> set_parse_body_config(ParseBodyConfig())
    """
    global _DEFAULT_PARSE_BODY_CONFIG
    _DEFAULT_PARSE_BODY_CONFIG = config


def parse_body_arguments(
    content_type: str,
    body: bytes,
    arguments: dict[str, list[bytes]],
    files: dict[str, list[HTTPFile]],
    headers: HTTPHeaders | None = None,
    *,
    config: ParseBodyConfig | None = None,
) -> None:
    """Parse the body of a form into ``arguments`` and ``files``.

    Bodies whose type is neither ``application/x-www-form-urlencoded`` nor ``multipart/form-data`` are left
    alone. Raises `HTTPInputError` for a malformed or encoded one.
    """
    is_urlencoded = content_type.startswith("application/x-www-form-urlencoded")
    if not is_urlencoded and not content_type.startswith("multipart/form-data"):
        return
    if headers and "Content-Encoding" in headers:
        raise HTTPInputError("Unsupported Content-Encoding: {}".format(headers["Content-Encoding"]))
    if config is None:
        config = _DEFAULT_PARSE_BODY_CONFIG
    if is_urlencoded:
        limit = config.urlencoded.max_arguments
        try:
            parsed = parse_qs_bytes(body, keep_blank_values=True, max_num_fields=limit)
        except Exception as e:
            raise HTTPInputError(f"Invalid x-www-form-urlencoded body: {e}") from e
        for name, values in parsed.items():
            arguments.setdefault(name, []).extend(values)
        return
    try:
        boundary = _multipart_boundary(content_type)
        parse_multipart_form_data(boundary, body, arguments, files, config=config.multipart)
    except Exception as e:
        raise HTTPInputError(f"Invalid multipart/form-data: {e}") from e


def _multipart_boundary(content_type: str) -> bytes:
    """The boundary that a Content-Type names, in quotes if it came in quotes."""
    media_type, *params = content_type.split(";")
    if media_type.strip() != "multipart/form-data":
        raise HTTPInputError("Invalid content type")
    for param in params:
        name, _, value = param.strip().partition("=")
        if name == "boundary" and value:
            return utf8(value)
    raise HTTPInputError("multipart boundary not found")


def parse_multipart_form_data(
    boundary: bytes,
    data: bytes,
    arguments: dict[str, list[bytes]],
    files: dict[str, list[HTTPFile]],
    *,
    config: ParseMultipartConfig | None = None,
) -> None:
    """Parse a ``multipart/form-data`` body into ``arguments`` and ``files``.

    Raises `HTTPInputError` for a malformed body and for one beyond the limits of ``config``.
    """
    if config is None:
        config = _DEFAULT_PARSE_BODY_CONFIG.multipart
    if not config.enabled:
        raise HTTPInputError("multipart/form-data parsing is disabled")
    # Some clients quote the boundary. Escapes inside the quotes are not looked for.
    if boundary[:1] == boundary[-1:] == b'"':
        boundary = boundary[1:-1]
    delimiter = b"--" + boundary
    stop = data.rfind(delimiter + b"--")
    if stop < 0:
        raise HTTPInputError("Invalid multipart/form-data: no final boundary found")
    parts = data[:stop].split(delimiter + b"\r\n", config.max_parts + 1)
    if len(parts) > config.max_parts:
        raise HTTPInputError("multipart/form-data has too many parts")
    for part in filter(None, parts):
        _parse_part(part, arguments, files, config)


def _parse_part(
    part: bytes,
    arguments: dict[str, list[bytes]],
    files: dict[str, list[HTTPFile]],
    config: ParseMultipartConfig,
) -> None:
    """Add one part of a multipart body to ``arguments`` or ``files``."""
    head_size = part.find(b"\r\n\r\n")
    if head_size < 0:
        raise HTTPInputError("multipart/form-data missing headers")
    if head_size > config.max_part_header_size:
        raise HTTPInputError("multipart/form-data part header too large")
    # Here characters are characters: browsers send names and file names in UTF-8.
    headers = HTTPHeaders.parse(part[:head_size].decode("utf-8"), _chars_are_bytes=False)
    disposition, params = _parse_header(headers.get("Content-Disposition", ""))
    if disposition != "form-data" or not part.endswith(b"\r\n"):
        raise HTTPInputError("Invalid multipart/form-data")
    name = params.get("name")
    if not name:
        raise HTTPInputError("multipart/form-data missing name")
    value = part[head_size + 4 : -2]
    filename = params.get("filename")
    if filename:
        content_type = headers.get("Content-Type", "application/unknown")
        files.setdefault(name, []).append(HTTPFile(filename=filename, body=value, content_type=content_type))
    else:
        arguments.setdefault(name, []).append(value)


def format_timestamp(ts: int | float | tuple[Any, ...] | time.struct_time | datetime.datetime) -> str:
    """A date as HTTP writes it, in GMT.

    Takes seconds since the epoch, a time tuple in UTC, or a datetime; a datetime without a time zone is
    taken for UTC.

    >>> format_timestamp(0)
    'Thu, 01 Jan 1970 00:00:00 GMT'
    """
    seconds: float
    if isinstance(ts, datetime.datetime):
        seconds = calendar.timegm(ts.utctimetuple())
    elif isinstance(ts, tuple):  # struct_time is one
        seconds = calendar.timegm(ts)
    elif isinstance(ts, (int, float)):
        seconds = ts
    else:
        raise TypeError(f"unknown timestamp type: {ts!r}")
    return email.utils.formatdate(seconds, usegmt=True)


class RequestStartLine(NamedTuple):
    method: str
    path: str
    version: str


class ResponseStartLine(NamedTuple):
    version: str
    code: int
    reason: str


def _check_version(version: str) -> None:
    if not version.startswith("HTTP/1"):
        raise HTTPInputError(f"Unexpected HTTP version {version!r}")


def parse_request_start_line(line: str) -> RequestStartLine:
    """Take a request line apart; raises `HTTPInputError` if it is malformed or not of HTTP/1.

    >>> parse_request_start_line("POST /form?a=1 HTTP/1.1")
    RequestStartLine(method='POST', path='/form?a=1', version='HTTP/1.1')
    """
    match = _ABNF.request_line.fullmatch(line)
    if match is None:
        raise HTTPInputError("Malformed HTTP request line")
    method, path, version = match.groups()
    _check_version(version)
    return RequestStartLine(method, path, version)


def parse_response_start_line(line: str) -> ResponseStartLine:
    """Take a status line apart; raises `HTTPInputError` if it is malformed or not of HTTP/1.

    >>> parse_response_start_line("HTTP/1.1 404 Not Found")
    ResponseStartLine(version='HTTP/1.1', code=404, reason='Not Found')
    """
    match = _ABNF.status_line.fullmatch(line)
    if match is None:
        raise HTTPInputError("Error parsing response start line")
    version, code, reason = match.groups()
    _check_version(version)
    return ResponseStartLine(version, int(code), reason)


_PARAM_MARKS = re.compile(r'\\"|"|;')


def _parseparam(s: str) -> Iterator[str]:
    """The stripped pieces of ``;one;two;three``. Semicolons between double quotes do not count."""
    if not s.startswith(";"):
        return
    start, quoted = 1, False
    for mark in _PARAM_MARKS.finditer(s, 1):
        if mark[0] == '"':
            quoted = not quoted
        elif mark[0] == ";" and not quoted:
            yield s[start : mark.start()].strip()
            start = mark.end()
    yield s[start:].strip()


def _parse_header(line: str) -> tuple[str, dict[str, str]]:
    r"""Take apart a header such as Content-Disposition: its value and its parameters.

    Parameters without an equals sign are dropped; those encoded as RFC 2231 says are decoded.

    >>> _parse_header("form-data; Name=upload; filename=\"a;b.txt\"")
    ('form-data', {'name': 'upload', 'filename': 'a;b.txt'})
    >>> _parse_header("form-data; filename*=utf-8''%C3%A4.txt")[1] == {"filename": "\u00e4.txt"}
    True
    """
    value, *rest = _parseparam(";" + line)
    params = [("", "")]  # decode_params passes its first entry through untouched
    for param in rest:
        name, equals, text = param.partition("=")
        if equals:
            params.append((name.strip().lower(), native_str(text.strip())))
    result = {}
    for name, encoded in email.utils.decode_params(params)[1:]:
        text = email.utils.collapse_rfc2231_value(encoded)
        if len(text) >= 2 and text[0] == text[-1] == '"':
            text = text[1:-1]
        result[name] = text
    return value, result


def _encode_header(key: str, pdict: Mapping[str, Any]) -> str:
    """The reverse of `_parse_header`, with sorted names; a value of None gives the name alone.

    >>> _encode_header("permessage-deflate", {"b": 15, "a": None})
    'permessage-deflate; a; b=15'
    """
    params = (name if value is None else f"{name}={value}" for name, value in sorted(pdict.items()))
    return "; ".join([key, *params])


def encode_username_password(username: str | bytes, password: str | bytes) -> bytes:
    """Join a name and a password by a colon, as HTTP's basic authentication wants them before base64."""
    both = (
        unicodedata.normalize("NFC", part) if isinstance(part, str) else part for part in (username, password)
    )
    return b":".join(map(utf8, both))


def doctests() -> unittest.TestSuite:
    """The examples of this module as a test suite."""
    import doctest

    return doctest.DocTestSuite(optionflags=doctest.ELLIPSIS)


_HOST_AND_PORT = re.compile(r"(.+):(\d+)$")


def split_host_and_port(netloc: str) -> tuple[str, int | None]:
    """Take ``host:port`` apart; the port is None if there is none.

    >>> split_host_and_port("[::1]:8080"), split_host_and_port("localhost")
    (('[::1]', 8080), ('localhost', None))
    """
    match = _HOST_AND_PORT.match(netloc)
    return (match[1], int(match[2])) if match else (netloc, None)


def qs_to_qsl(qs: Mapping[str, Iterable[AnyStr]]) -> Iterable[tuple[str, AnyStr]]:
    """The pairs of a dictionary as ``parse_qs`` makes them."""
    return ((name, value) for name, values in qs.items() for value in values)


_COOKIE_ESCAPE = re.compile(r"\\(?:([0-3][0-7]{2})|(.))")


def _unescape_cookie(match: re.Match[str]) -> str:
    octal, char = match.groups()
    return chr(int(octal, 8)) if octal else char


def _unquote_cookie(s: str) -> str:
    """Undo the quoting that ``http.cookies`` does; a value that is not in quotes stays as it is."""
    if s is None or len(s) < 2 or not (s[0] == s[-1] == '"'):
        return s
    return _COOKIE_ESCAPE.sub(_unescape_cookie, s[1:-1])


def parse_cookie(cookie: str) -> dict[str, str]:
    """Parse a Cookie header the way browsers do, which is more lenient than the RFCs.

    A piece without an equals sign is the value of a cookie without a name; of several cookies with the same
    name the last one counts.

    >>> parse_cookie('a=1; b="two"; a=3; four')
    {'a': '3', 'b': 'two', '': 'four'}
    """
    cookies = {}
    for piece in cookie.split(";"):
        name, equals, value = piece.partition("=")
        if not equals:
            name, value = "", name
        name, value = name.strip(), value.strip()
        if name or value:
            cookies[name] = _unquote_cookie(value)
    return cookies


_DIGITS = re.compile(r"[0-9]+")
_HEX_DIGITS = re.compile(r"[0-9a-fA-F]+")


def parse_int(s: str) -> int:
    """The number that a string of decimal digits stands for; anything else raises ValueError."""
    if not _DIGITS.fullmatch(s):
        raise ValueError(f"not an integer: {s!r}")
    return int(s)


def parse_hex_int(s: str) -> int:
    """The number that a string of hexadecimal digits stands for; anything else raises ValueError."""
    if not _HEX_DIGITS.fullmatch(s):
        raise ValueError(f"not a hexadecimal integer: {s!r}")
    return int(s, 16)


def is_transfer_encoding_chunked(headers: HTTPHeaders) -> bool:
    """Does the message have a chunked body?

    Raises `HTTPInputError` for any other transfer encoding and for one beside a Content-Length: where two
    servers read such a message differently, requests can be smuggled.
    """
    if "Transfer-Encoding" not in headers:
        return False
    if "Content-Length" in headers:
        raise HTTPInputError("Message with both Transfer-Encoding and Content-Length")
    encoding = headers["Transfer-Encoding"]
    if encoding.lower() != "chunked":
        raise HTTPInputError(f"Unsupported Transfer-Encoding {encoding}")
    return True


_core.register("normalize_header", _normalize_header)
_core.register("httputil_globals", globals())
_core.register("HTTPHeaders", HTTPHeaders)
_core.register("HTTPInputError", HTTPInputError)
_core.register("HTTPOutputError", HTTPOutputError)
_core.register("HTTPServerRequest", HTTPServerRequest)
_core.register("parse_query", _parse_query)
_core.register("parse_body", _parse_body)
_core.register("load_cookies", _load_cookies)
_core.register("parse_int", parse_int)
_core.register("split_host_and_port", split_host_and_port)
