"""Headers with which an application speaks about the connection, for both ways through a server."""

from __future__ import annotations

from typing import Any


def says_close(value: Any) -> bool:
    """Whether a Connection header has the option "close"."""
    return isinstance(value, str) and "close" in (option.strip().lower() for option in value.split(","))


def settle_transfer_encoding(headers: Any, is_http11: bool, forbidden: bool) -> None:
    """Bring an application's own Transfer-Encoding in line with how its body will be sent.

    Bodies are cut into chunks by the connection, and only by it, so "chunked" is dropped where the connection
    will not do that. Codings of the application's are kept in front of it; such a body has no Content-Length
    (RFC 9112, sections 6.1 and 6.2).

    :param forbidden: the status is one that has no body at all, 204 or 1xx. With 304 and HEAD the header says
        what a GET would bring.
    """
    codings = [coding.strip() for coding in headers["Transfer-Encoding"].split(",")]
    own = [coding for coding in codings if coding.lower() not in ("", "chunked", "identity")]
    if forbidden or not is_http11:
        del headers["Transfer-Encoding"]
    elif own:
        headers["Transfer-Encoding"] = ", ".join([*own, "chunked"])
        if "Content-Length" in headers:
            del headers["Content-Length"]
    elif "Content-Length" in headers:
        del headers["Transfer-Encoding"]
    else:
        headers["Transfer-Encoding"] = "chunked"
