"""HTTP for servers and clients alike: headers, start lines, form bodies, cookies and small helpers.

The interfaces between connections and applications (``HTTPServerConnectionDelegate``,
``HTTPMessageDelegate``, ``HTTPConnection``) are declared here. ``HTTPHeaders`` is a C type underneath.
"""

from __future__ import annotations

import re
import ssl
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tornado_c import _core
from tornado_c._http import cookies as _cookies
from tornado_c._http import dates as _dates
from tornado_c._http import params as _params
from tornado_c._http import ranges as _ranges
from tornado_c._http import urls as _urls
from tornado_c._http.cookies import _unquote_cookie as _unquote_cookie
from tornado_c._http.cookies import parse_cookie as parse_cookie
from tornado_c._http.dates import format_timestamp as format_timestamp
from tornado_c._http.delegates import HTTPConnection as HTTPConnection
from tornado_c._http.delegates import HTTPMessageDelegate as HTTPMessageDelegate
from tornado_c._http.delegates import HTTPServerConnectionDelegate as HTTPServerConnectionDelegate
from tornado_c._http.delegates import RequestStartLine as RequestStartLine
from tornado_c._http.delegates import ResponseStartLine as ResponseStartLine
from tornado_c._http.forms import HTTPFile as HTTPFile
from tornado_c._http.headers import HTTPHeaders as HTTPHeaders
from tornado_c._http.params import _encode_header as _encode_header
from tornado_c._http.params import _parse_header as _parse_header
from tornado_c._http.params import _parseparam as _parseparam
from tornado_c._http.ranges import _get_content_range as _get_content_range
from tornado_c._http.ranges import _int_or_none as _int_or_none
from tornado_c._http.ranges import _parse_request_range as _parse_request_range
from tornado_c._http.urls import qs_to_qsl as qs_to_qsl
from tornado_c._http.urls import split_host_and_port as split_host_and_port
from tornado_c._http.urls import url_concat as url_concat
from tornado_c._support.attributes import restore, shown, state
from tornado_c._support.imports import when_imported
from tornado_c._support.names import on_demand
from tornado_c._support.regex import regex
from tornado_c.escape import parse_qs_bytes, utf8

if TYPE_CHECKING:
    import asyncio
    import http.cookies
    import unittest

    from tornado_c._http.form_limits import ParseBodyConfig as ParseBodyConfig
    from tornado_c._http.form_limits import ParseMultipartConfig as ParseMultipartConfig
    from tornado_c._http.form_limits import ParseUrlEncodedConfig as ParseUrlEncodedConfig
    from tornado_c._http.grammar import _ABNF as _ABNF
    from tornado_c._http.reasons import responses as responses

# What may stand around a header's value; for str.strip and its kin.
HTTP_WHITESPACE = " \t"

# Control characters, tab excepted. Text that is not bytes in disguise may have anything else.
_FORBIDDEN_HEADER_CHARS_RE = re.compile(r"[\x00-\x08\x0A-\x1F\x7F]")


class HTTPInputError(Exception):
    """A peer sent something that is not proper HTTP."""


class HTTPOutputError(Exception):
    """The application tried to send something that is not proper HTTP."""


@lru_cache(1000)
def _normalize_header(name: str) -> str:
    """A header's name in the case that ``HTTPHeaders`` uses.

    C knows this rule too and does not call this function unless it has been replaced in the module, as
    some monitoring tools do; then every name passes through the replacement.

    >>> _normalize_header("x-REQUEST-id")
    'X-Request-Id'
    """
    return "-".join(part.capitalize() for part in name.split("-"))


class HTTPServerRequest(_core.RequestBase):
    """One request to a server.

    Attributes, all str unless said otherwise: ``method``, ``uri``, ``path``, ``query``, ``version``,
    ``headers`` (:class:`HTTPHeaders`), ``body`` (bytes), ``remote_ip``, ``protocol`` ("http" or "https"),
    ``host``, ``host_name``, ``arguments``, ``query_arguments`` and ``body_arguments`` (name to list of
    bytes), ``files`` (name to list of :class:`HTTPFile`), ``cookies``, ``connection``. Those of a request
    that came over the network are made from its head when they are first asked for; all can be assigned.

    :param start_line: a :class:`RequestStartLine`; ``method``, ``uri`` and ``version`` in its place are
        deprecated, as is ``host``.
    :raises HTTPInputError: Host is missing in HTTP/1.1, or malformed; or the query string has too many
        arguments.
    """

    __dict__ = shown(
        *("method", "uri", "version", "headers", "body", "remote_ip", "protocol", "host", "host_name"),
        *("connection", "server_connection", "_start_time", "_finish_time", "path", "query", "files"),
        *("arguments", "query_arguments", "body_arguments"),
    )
    __getstate__, __setstate__ = state, restore

    #: Where a handler has its body streamed: done when that has come.
    _body_future: asyncio.Future[None]

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
        self.remote_ip = getattr(context, "remote_ip", None)  # type: ignore[assignment]
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
        """The client's certificate, None if it gave none: a dict, or DER bytes with ``binary_form``."""
        if self.connection is None:
            return None
        try:
            connection: Any = self.connection
            certificate: dict[str, Any] | bytes | None = connection.stream.socket.getpeercert(
                binary_form=binary_form
            )
            return certificate
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
    from tornado_c._http.grammar import _ABNF

    if not _ABNF.host.fullmatch(host):
        raise HTTPInputError(f"Invalid Host header: {host!r}")
    if "," in host:
        # No DNS name has a comma: a proxy has joined several Host headers, which are forbidden.
        raise HTTPInputError(f"Multiple host headers not allowed: {host!r}")
    return host


def _parse_query(query: str) -> dict[str, list[bytes]]:
    """The arguments of a request's query string."""
    limit = _default_config().urlencoded.max_arguments
    try:
        return parse_qs_bytes(query, keep_blank_values=True, max_num_fields=limit)
    except Exception as e:
        raise HTTPInputError(f"Invalid query string: {e}") from e


def _cookie_text(headers: HTTPHeaders) -> str:
    """The Cookie header; lines of their own belong together like one list (RFC 9113, section 8.2.3)."""
    lines = headers.get_list("Cookie") if isinstance(headers, HTTPHeaders) else [headers["Cookie"]]
    return "; ".join(lines)


def _load_cookies(headers: HTTPHeaders) -> http.cookies.SimpleCookie:
    """The cookies of a request; those that ``http.cookies`` does not accept are left out."""
    import http.cookies

    cookies = http.cookies.SimpleCookie()
    if "Cookie" not in headers:
        return cookies
    try:
        parsed = parse_cookie(_cookie_text(headers))
    except Exception:
        return cookies
    for name, value in parsed.items():
        try:
            cookies[name] = value
        except Exception:
            continue
    return cookies


def _find_cookie(request: HTTPServerRequest, name: str) -> str | None:
    """The value of one cookie, or None. Most handlers ask for one or two: the others are not taken apart."""
    if type(request) is HTTPServerRequest and not hasattr(request, "_cookies"):
        headers = request.headers
        if "cookies" not in vars(HTTPServerRequest) and type(headers) is HTTPHeaders:
            return _cookies.find_cookie(_cookie_text(headers), name)
    cookies = request.cookies
    return cookies[name].value if cookies is not None and name in cookies else None


def _parse_body(
    headers: HTTPHeaders,
    body: bytes,
    body_arguments: dict[str, list[bytes]],
    files: dict[str, list[HTTPFile]],
) -> None:
    """Parse a request's form body as its Content-Type says."""
    parse_body_arguments(headers.get("Content-Type", ""), body, body_arguments, files, headers)


_DEFAULT_PARSE_BODY_CONFIG: ParseBodyConfig  # on demand


def _default_config() -> ParseBodyConfig:
    from tornado_c import httputil

    return httputil._DEFAULT_PARSE_BODY_CONFIG


def set_parse_body_config(config: ParseBodyConfig) -> None:
    """Set the limits that hold for the whole process wherever none are given.

    >>> from tornado_c.httputil import ParseBodyConfig, ParseUrlEncodedConfig
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
    alone.

    :raises HTTPInputError: the body is malformed, or encoded.
    """
    is_urlencoded = content_type.startswith("application/x-www-form-urlencoded")
    if not is_urlencoded and not content_type.startswith("multipart/form-data"):
        return
    if headers and "Content-Encoding" in headers:
        raise HTTPInputError("Unsupported Content-Encoding: {}".format(headers["Content-Encoding"]))
    if config is None:
        config = _default_config()
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

    :raises HTTPInputError: the body is malformed, or beyond the limits of ``config``.
    """
    if config is None:
        config = _default_config().multipart
    if not config.enabled:
        raise HTTPInputError("multipart/form-data parsing is disabled")
    # Some clients quote the boundary. Escapes inside the quotes are not looked for.
    if boundary[:1] == boundary[-1:] == b'"':
        boundary = boundary[1:-1]
    delimiter = b"--" + boundary
    stop = _find_last(data, delimiter + b"--")
    if stop < 0:
        raise HTTPInputError("Invalid multipart/form-data: no final boundary found")
    # Bodies are large: nothing but the values of their parts is copied.
    opening = delimiter + b"\r\n"
    begins, ends = [0], []
    while (end := data.find(opening, begins[-1], stop)) >= 0:
        ends.append(end)
        begins.append(end + len(opening))
        if len(begins) > config.max_parts:
            break
    if len(begins) > config.max_parts:
        raise HTTPInputError("multipart/form-data has too many parts")
    for begin, end in zip(begins, (*ends, stop), strict=True):
        if begin < end:
            _parse_part(data, begin, end, arguments, files, config)


def _find_last(data: bytes, what: bytes) -> int:
    """``data.rfind(what)``, but in linear time, and at once where it is at the end."""
    near = max(0, len(data) - len(what) - 1024)
    found = data.rfind(what, near)
    if found < 0 and near > 0:
        # A search backwards may compare all of `what` at every place; a forward one does not.
        found = data[::-1].find(what[::-1])
        found = len(data) - len(what) - found if found >= 0 else -1
    return found


def _parse_part(
    data: bytes,
    start: int,
    end: int,
    arguments: dict[str, list[bytes]],
    files: dict[str, list[HTTPFile]],
    config: ParseMultipartConfig,
) -> None:
    """Add one part of a multipart body, ``data[start:end]``, to ``arguments`` or ``files``."""
    head_end = data.find(b"\r\n\r\n", start, end)
    if head_end < 0:
        raise HTTPInputError("multipart/form-data missing headers")
    if head_end - start > config.max_part_header_size:
        raise HTTPInputError("multipart/form-data part header too large")
    # Here characters are characters: browsers send names and file names in UTF-8.
    headers = HTTPHeaders.parse(data[start:head_end].decode("utf-8"), _chars_are_bytes=False)
    disposition, params = _parse_header(headers.get("Content-Disposition", ""))
    if disposition != "form-data" or not data.endswith(b"\r\n", start, end):
        raise HTTPInputError("Invalid multipart/form-data")
    name = params.get("name")
    if not name:
        raise HTTPInputError("multipart/form-data missing name")
    value = _core.slice_bytes(data, head_end + 4, end - 2)
    filename = params.get("filename")
    if filename:
        content_type = headers.get("Content-Type", "application/unknown")
        files.setdefault(name, []).append(HTTPFile(filename=filename, body=value, content_type=content_type))
    else:
        arguments.setdefault(name, []).append(value)


def _check_version(version: str) -> None:
    if not version.startswith("HTTP/1"):
        raise HTTPInputError(f"Unexpected HTTP version {version!r}")


def parse_request_start_line(line: str) -> RequestStartLine:
    """Take a request line apart.

    :raises HTTPInputError: it is malformed, or not of HTTP/1.

    >>> parse_request_start_line("POST /form?a=1 HTTP/1.1")
    RequestStartLine(method='POST', path='/form?a=1', version='HTTP/1.1')
    """
    from tornado_c._http.grammar import _ABNF

    match = _ABNF.request_line.fullmatch(line)
    if match is None:
        raise HTTPInputError("Malformed HTTP request line")
    method, path, version = match.groups()
    _check_version(version)
    return RequestStartLine(method, path, version)


def parse_response_start_line(line: str) -> ResponseStartLine:
    """Take a status line apart.

    :raises HTTPInputError: it is malformed, or not of HTTP/1.

    >>> parse_response_start_line("HTTP/1.1 404 Not Found")
    ResponseStartLine(version='HTTP/1.1', code=404, reason='Not Found')
    """
    from tornado_c._http.grammar import _ABNF

    match = _ABNF.status_line.fullmatch(line)
    if match is None:
        raise HTTPInputError("Error parsing response start line")
    version, code, reason = match.groups()
    _check_version(version)
    return ResponseStartLine(version, int(code), reason)


def encode_username_password(username: str | bytes, password: str | bytes) -> bytes:
    """Join a name and a password by a colon, as HTTP's basic authentication wants them before base64."""
    import unicodedata

    both = (
        unicodedata.normalize("NFC", part) if isinstance(part, str) else part for part in (username, password)
    )
    return b":".join(map(utf8, both))


def doctests() -> unittest.TestSuite:
    """The examples of this module as a test suite."""
    import doctest

    suite = doctest.DocTestSuite(__name__, optionflags=doctest.ELLIPSIS)
    for part in (_cookies, _dates, _params, _ranges, _urls):
        suite.addTests(doctest.DocTestSuite(part, optionflags=doctest.ELLIPSIS))
    return suite


_DIGITS = regex(r"[0-9]+")
_HEX_DIGITS = regex(r"[0-9a-fA-F]+")


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

    :raises HTTPInputError: there is another transfer encoding, or one beside a Content-Length: where two
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


_PUBLIC: tuple[Any, ...] = (
    *(HTTPConnection, HTTPFile, HTTPHeaders, HTTPMessageDelegate, HTTPServerConnectionDelegate),
    *(RequestStartLine, ResponseStartLine),
    *(format_timestamp, parse_cookie, qs_to_qsl, split_host_and_port, url_concat),
)
for _name in _PUBLIC:
    _name.__module__ = __name__
del _PUBLIC, _name

_core.register(
    "httputil",
    faces={
        "HTTPHeaders": HTTPHeaders,
        "HTTPInputError": HTTPInputError,
        "HTTPOutputError": HTTPOutputError,
        "HTTPServerRequest": HTTPServerRequest,
        "RequestStartLine": RequestStartLine,
        "ResponseStartLine": ResponseStartLine,
    },
    upcalls={
        "HTTPServerConnectionDelegate": HTTPServerConnectionDelegate,
        "httputil_globals": globals(),
        "load_cookies": _load_cookies,
        "normalize_header": _normalize_header,
        "parse_body": _parse_body,
        "parse_int": parse_int,
        "parse_query": _parse_query,
        "split_host_and_port": split_host_and_port,
    },
)


def _share_reasons(client: Any) -> None:
    from tornado_c._http import reasons

    reasons.share(client)


when_imported("http.client", _share_reasons)

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_demand(globals(), "tornado_c._http")

del on_demand, when_imported
