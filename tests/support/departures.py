"""Where an answer of ours may differ from stock Tornado's to the same bytes, as "Where we depart from
Tornado" in ARCHITECTURE.rst has it. Each rule names what must be in the request and what may then differ in
the answer.
"""

from __future__ import annotations

import re

REFUSED = b"HTTP/1.1 400 Bad Request\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 (Continue)\r\n\r\n"
TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 414 URI Too Long\r\nConnection: close\r\n\r\n",
)

#: We refuse it; stock goes on.
STRICTER = {
    "bare CR": re.compile(rb"\r(?!\n)"),
    "version 1.x": re.compile(rb"HTTP/1\.[2-9]"),
    "a chunk size of more than 16 digits": re.compile(rb"\n[0-9a-f]{17}", re.I),
    "a chunk size that cannot become one": re.compile(rb"transfer-encoding", re.I),
}
#: We refuse it before a delegate hears of the request; stock lets that answer first.
BODY_ANNOUNCED = re.compile(rb"\n(?:content-length|transfer-encoding):", re.I)
#: We go on; stock refuses it.
LAXER = {
    "empty lines": re.compile(rb"\n\r?\n|\A\r?\n"),
    "chunk extensions": re.compile(rb"transfer-encoding.*\n[0-9a-f]+[ \t]*;", re.I | re.S),
    "trailers": re.compile(rb"transfer-encoding.*\n0+\r\n(?!\r\n)", re.I | re.S),
}
#: We close after an answer where stock keeps the connection.
CLOSING = {
    "close among others": re.compile(
        rb"connection:[^\r\n]*close|connection:.*connection:[^\r\n]*close", re.I | re.S
    ),
    "chunked in HTTP/1.0": re.compile(rb"HTTP/1\.0.*transfer-encoding", re.I | re.S),
    "HTTP/1.0 without a Content-Length": re.compile(rb"/chunked[^ ]* HTTP/1\.0.*keep-alive", re.I | re.S),
}
HOW_IT_CLOSES = re.compile(rb"Connection: (?:close|Keep-Alive)\r\n")
#: We answer with other cookies, and so with a body of another length; stock joins the lines by commas.
COOKIE_LINES = re.compile(rb"\ncookie:.*\ncookie:", re.I | re.S)


def departure(data: bytes, ours: bytes, stock: bytes, hasty: bool = False) -> str:
    """The name of the rule by which these answers may differ, or nothing. Equal ones are "same".

    hasty: it is a delegate's, which may answer with the head of a request.
    """
    if ours == stock:
        return "same"
    if re.search(rb"expect:[ \t]*100-continue", data, re.I):
        ours, stock = ours.replace(CONTINUE, b""), stock.replace(CONTINUE, b"")
        if ours == stock:
            return "Expect"
    for refusal in TOO_LONG:
        if ours == stock + refusal:
            return "head too long"
    head, refused = ours.removesuffix(REFUSED), ours.endswith(REFUSED)
    if refused and stock.startswith(head):
        for name, pattern in STRICTER.items():
            if pattern.search(data):
                return name
        if hasty and BODY_ANNOUNCED.search(data):
            return "a body announced in a wrong way"
    head = stock.removesuffix(REFUSED)
    if head != stock and ours.startswith(head):
        for name, pattern in LAXER.items():
            if pattern.search(data):
                return name
    if HOW_IT_CLOSES.sub(b"", stock).startswith(HOW_IT_CLOSES.sub(b"", ours)):
        for name, pattern in CLOSING.items():
            if pattern.search(data):
                return name
    if COOKIE_LINES.search(data) and _heads(ours) == _heads(stock):
        return "several Cookie lines"
    return ""


def _heads(answers: bytes) -> list[bytes]:
    """The heads of some answers, without the length of their bodies."""
    heads = re.findall(rb"HTTP/1\.1 [^\r]*\r\n(?:[^\r]+\r\n)*\r\n", answers)
    return [re.sub(rb"Content-Length: \d+\r\n", b"", head) for head in heads]
