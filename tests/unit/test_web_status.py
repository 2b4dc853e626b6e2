"""Statuses that a handler sets, beside stock Tornado."""

import http

import pytest

from support.implementations import OURS
from support.live_http import serving
from support.web_servers import collecting, gets, heads, pair, request, same, without_body


def make_app(web):
    class Status(web.RequestHandler):
        def get(self, code):
            self.set_status(int(code), self.get_argument("reason", None))
            if self.get_argument("body", ""):
                self.write("body")

        head = post = get

    return web.Application(
        [
            (r"/status/(\d+)", Status),
        ]
    )


CASES = {
    **gets("/status/", "0 1 99 200 201 204 304 404 599 999 1000 12345 200?reason=Fine 200?reason=%3Cb%3E"),
    **gets("/status/", "204?body=1 304?body=1 201?body=1"),
    **heads("/status/200?body=1", "/status/204"),
    **without_body("POST /status/200?body=1"),
}


@pytest.mark.parametrize("name", CASES)
def test_same_response(ask, name):
    same(ask(CASES[name]))


STATUSES = [-1, -200, True, False, 1 << 40, 10**30, 200.0, 404.7, http.HTTPStatus.NOT_FOUND]


@pytest.mark.parametrize("status", STATUSES, ids=repr)
def test_status_of_any_kind(status):
    """set_status() takes what "%d" does."""

    def make(web):
        class Handler(web.RequestHandler):
            def get(self):
                self.set_status(status, "Reason" if self.get_argument("reason", "") else None)
                self.write(f"{self.get_status()!r}")

        return web.Application([("/", Handler)])

    with pair(make) as ask:
        for path in ("/", "/?reason=1"):
            outcome = ask(request(path))
            assert outcome["ours"] == outcome["stock"]
            assert outcome["ours"][0].startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("status", ["200", None, b"200", float("nan"), 1j, ()], ids=repr)
def test_status_that_is_none(status):
    """Stock writes the body without a head, or nothing; ours answers with 500."""

    def make(web):
        class Handler(web.RequestHandler):
            def get(self):
                self.set_status(status, "Reason")
                self.write("body")

        return web.Application([("/", Handler)])

    with collecting() as collector:
        with serving(make(OURS.web)) as server:
            assert server.exchange(request("/")).startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert {"TypeError", "ValueError"} & {line[3] for line in collector.take()}
