"""Requests that come from elsewhere: by their origin, beside stock Tornado, and by a cookie."""

import pytest

from support.web_servers import body, request, same, without_body
from tornado_c import web


class Hello(web.RequestHandler):
    def get(self):
        self.write("hello")


def make_app(web):
    class Origin(web.RequestHandler):
        def post(self):
            self.write("posted")

    return web.Application(
        [
            (r"/origin", Origin),
        ],
        cross_origin_protection=True,
    )


CASES = {
    **without_body("POST /origin"),
    "origin good": request("/origin", "POST", ["Origin: http://example.test", "Content-Length: 0"]),
    "origin bad": request("/origin", "POST", ["Origin: http://evil.test", "Content-Length: 0"]),
    "site same": request("/origin", "POST", ["Sec-Fetch-Site: same-origin", "Content-Length: 0"]),
    "site cross": request("/origin", "POST", ["Sec-Fetch-Site: cross-site", "Content-Length: 0"]),
}


@pytest.mark.parametrize("name", CASES)
def test_same_response(ask, name):
    same(ask(CASES[name]))


def test_xsrf_cookies_call_the_check(serve):
    class Handler(Hello):
        def post(self):
            self.write("posted")

        def check_xsrf_cookie(self):
            raise web.HTTPError(403, "no token")

    fetch = serve([("/", Handler)], xsrf_cookies=True)
    assert fetch("/", "POST", ["Content-Length: 0"]).startswith(b"HTTP/1.1 403")
    assert body(fetch("/")) == b"hello"
