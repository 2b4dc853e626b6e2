"""The grammar of HTTP's text as regular expressions."""

from __future__ import annotations

import re


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
