"""HTTP1Connection over the transcripts of tests/http_cases and over answers: the same events and the same
bytes however the input is cut, and stock Tornado's where it accepts the input as well."""

import asyncio
import itertools
import logging
import random

import pytest

from support.damage import REQUESTS, damage
from support.http1_roles import fetch, serve, serve_natively
from support.http_cases import CASES
from support.implementations import OURS, STOCK

NAMES = [case.name for case in CASES]
#: Longer ones are cut at some of their bytes only.
EVERY_CUT = 120


def params_of(case):
    names = {"limit": "max_header_size", "body_limit": "max_body_size"}
    return {names[key]: value for key, value in case.limits.items()} | {"linger_timeout": 0}


def cuts_of(data):
    step = max(1, len(data) // EVERY_CUT)
    return range(1, len(data), step)


def without_data(outcome):
    """Of a message that turns out to be malformed, more or less of the body may have been passed on."""
    events, *rest = outcome
    return [event for event in events if event[0] != "data"], *rest


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_requests_at_every_cut(case, caplog):
    caplog.set_level(logging.CRITICAL)
    malformed = case.expect["end"].startswith("error")
    comparable = without_data if malformed else list

    async def run():
        whole = await serve(OURS, [case.request], **params_of(case))
        for cut in cuts_of(case.request):
            pieces = [case.request[:cut], case.request[cut:]]
            outcome = await serve(OURS, pieces, **params_of(case))
            assert comparable(outcome) == comparable(whole), cut
        return whole

    events, sent = asyncio.run(run())
    assert events[-1] == ("gone",)
    complete = sum(event[0] == "finish" for event in events)
    assert sent.count(b"HTTP/1.1 200 OK") == complete
    if not malformed:
        incomplete = case.expect["end"] == "incomplete" and bool(case.expect["messages"])
        assert complete == len(case.expect["messages"]) - incomplete


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_requests_in_small_reads(case, size, caplog):
    """Each is answered, also where the client's end is met right behind it."""
    caplog.set_level(logging.CRITICAL)
    comparable = without_data if case.expect["end"].startswith("error") else list

    async def run():
        whole = await serve(OURS, [case.request], **params_of(case))
        small = await serve(OURS, [case.request], {"read_chunk_size": size}, **params_of(case))
        assert comparable(small) == comparable(whole)

    asyncio.run(run())


#: What stock refuses with 400, and we take: extensions and trailers of chunks, empty lines.
STOCK_REFUSES = {
    "chunked: Extensions",
    "chunked: Trailers",
    "request_line: Empty lines before",
    "request_line: Eight empty lines before",
    "request_line: Only empty lines",
}
#: Behind which stock keeps the connection, and we do not.
STOCK_KEEPS_ALIVE = {"framing: Chunked in HTTP/1.0"}


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_requests_on_the_native_connection(case, caplog):
    """A delegate hears the same there, however the input is cut, and the client gets the same bytes."""
    caplog.set_level(logging.CRITICAL)
    malformed = case.expect["end"].startswith("error")
    comparable = without_data if malformed else list
    params = params_of(case)

    async def run():
        expected = comparable(await serve(OURS, [case.request], **params))
        assert comparable(await serve_natively([case.request], **params)) == expected
        for cut in cuts_of(case.request):
            pieces = [case.request[:cut], case.request[cut:]]
            outcome = await serve_natively(pieces, **params)
            assert joined(comparable(outcome)) == joined(expected), cut
        for size in (1, 7):
            outcome = await serve_natively([case.request], {"read_chunk_size": size}, **params)
            assert joined(comparable(outcome)) == joined(expected), size

    asyncio.run(run())


def joined(outcome):
    """With consecutive pieces of a body as one."""
    events, *rest = outcome
    groups = itertools.groupby(events, lambda event: event[0])
    return [
        (name, b"".join(e[1] for e in group) if name == "data" else [*group]) for name, group in groups
    ], *rest


ACCEPTED = [case for case in CASES if not case.expect["end"].startswith("error")]


@pytest.mark.parametrize("case", ACCEPTED, ids=[case.name for case in ACCEPTED])
def test_requests_as_stock_hears_them(case, caplog):
    caplog.set_level(logging.CRITICAL)
    params = params_of(case)
    events, sent = asyncio.run(serve(OURS, [case.request], **params))
    del params["linger_timeout"]
    stock_events, stock_sent = asyncio.run(serve(STOCK, [case.request], **params))
    assert b"HTTP/1.1 400" not in sent
    if case.name in STOCK_REFUSES:
        assert b"HTTP/1.1 400" in stock_sent
        return
    assert events == stock_events
    if case.name in STOCK_KEEPS_ALIVE:
        assert b"Connection: Keep-Alive\r\n" in stock_sent
        stock_sent = stock_sent.replace(b"Connection: Keep-Alive\r\n", b"")
    for departure in (b"HTTP/1.1 100 (Continue)\r\n\r\n", b"Connection: close\r\n"):
        sent, stock_sent = sent.replace(departure, b""), stock_sent.replace(departure, b"")
    assert sent == stock_sent


OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    "length": OK + b"Content-Length: 5\r\n\r\nhello",
    "length 0": OK + b"Content-Length: 0\r\n\r\n",
    "length twice": OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "lengths differ": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "length no number": OK + b"Content-Length: five\r\n\r\nhello",
    "length and more": OK + b"Content-Length: 5\r\n\r\nhello and more",
    "length and less": OK + b"Content-Length: 50\r\n\r\nhello",
    "until close": OK + b"X: y\r\n\r\nhello\r\n\r\n",
    "until close, nothing": OK + b"\r\n",
    "chunked": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n yo\r\n0\r\n\r\n",
    "chunked, cut": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n y",
    "chunked, bad size": OK + b"Transfer-Encoding: chunked\r\n\r\n5x\r\nhello\r\n0\r\n\r\n",
    "chunked, bad end": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
    "chunked and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello",
    "other coding": OK + b"Transfer-Encoding: gzip\r\n\r\nhello",
    "1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "1.0 until close": b"HTTP/1.0 200 Fine, thanks\r\n\r\nhello",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "204 with a length": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
    "304 with a length": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    "no reason": b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
    "no space after the code": b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    "four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "other version": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "1.7": b"HTTP/1.7 200 OK\r\nContent-Length: 0\r\n\r\n",
    "no answer": b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "empty line first": b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "100 first": b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
    "103 first": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
    "ten 1xx": b"HTTP/1.1 100 Continue\r\n\r\n" * 10 + OK + b"Content-Length: 5\r\n\r\nhello",
    "eleven 1xx": b"HTTP/1.1 100 Continue\r\n\r\n" * 11 + OK + b"Content-Length: 5\r\n\r\nhello",
    "100 with a length": b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello",
    "100 and the end": b"HTTP/1.1 100 Continue\r\n\r\n",
    "latin-1": b"HTTP/1.1 200 \xe4\xf6\r\nX-\xff: y\r\nContent-Length: 0\r\n\r\n",
    "latin-1 value": b"HTTP/1.1 200 \xe4\xf6\r\nX: \xff\xe4\r\nContent-Length: 0\r\n\r\n",
    "folded": OK + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "no colon": OK + b"X\r\nContent-Length: 0\r\n\r\n",
    "space before the colon": OK + b"X : y\r\nContent-Length: 0\r\n\r\n",
    "long head": OK + b"X: " + b"y" * 1100 + b"\r\n\r\n",
    "nothing": b"",
    "half a head": OK + b"Content-Le",
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", ANSWERS)
def test_responses_at_every_cut_and_as_stock_hears_them(name, method, caplog):
    caplog.set_level(logging.INFO, "tornado.general")
    answer = ANSWERS[name]

    async def run():
        expected = await fetch(STOCK, [answer], method, max_header_size=1024)
        lines = [r.getMessage() for r in caplog.records]
        caplog.clear()
        assert await fetch(OURS, [answer], method, max_header_size=1024) == expected
        assert [r.getMessage() for r in caplog.records] == lines
        comparable = list if expected[1] is True else without_data
        for cut in cuts_of(answer):
            outcome = await fetch(OURS, [answer[:cut], answer[cut:]], method, max_header_size=1024)
            assert comparable(outcome) == comparable(expected), cut

    asyncio.run(run())


# ---- damaged messages ----


def told(outcome):
    """What delegates heard and what was sent, but for the documented departures."""
    events, sent = outcome
    for departure in (b"HTTP/1.1 100 (Continue)\r\n\r\n", b"Connection: close\r\n"):
        sent = sent.replace(departure, b"")
    return [event for event in events if event != ("gone",)], sent


def finished(events):
    return sum(event[0] == "finish" for event in events)


@pytest.mark.parametrize("seed", range(5))
def test_damaged_requests_beside_stock(seed, caplog):
    """The same, or we are stricter: refused, or not served behind a close, as stock does."""
    caplog.set_level(logging.CRITICAL)
    rng = random.Random(seed)
    limits = {"max_header_size": 2000, "max_body_size": 2000}

    async def run():
        same = 0
        for _ in range(200):
            data = b"".join(damage(rng.choice(REQUESTS), rng) for _ in range(rng.choice([1, 1, 2])))
            events, sent = told(await serve(OURS, [data], linger_timeout=0, **limits))
            stock_events, stock_sent = told(await serve(STOCK, [data], **limits))
            if (events, sent) == (stock_events, stock_sent):
                same += 1
                continue
            refused = any(b"HTTP/1.1 %d " % status in sent for status in (400, 414, 431))
            behind_a_close = sent == stock_sent and stock_events[: len(events)] == events
            assert (refused and finished(events) <= finished(stock_events)) or behind_a_close, data
        return same

    assert asyncio.run(run()) > 150


@pytest.mark.parametrize("seed", range(5))
def test_damaged_responses_beside_stock(seed, caplog):
    caplog.set_level(logging.CRITICAL)
    rng = random.Random(seed)
    answers = list(ANSWERS.values())

    async def run():
        for _ in range(200):
            data = damage(rng.choice(answers), rng)
            events, result = await fetch(OURS, [data], max_header_size=2000, max_body_size=2000)
            if (events, result) != await fetch(STOCK, [data], max_header_size=2000, max_body_size=2000):
                assert result is False and finished(events) == 0, data  # we are stricter

    asyncio.run(run())
