"""Headers that a handler sets, adds and clears, beside stock Tornado."""

import datetime

import pytest

from support.web_servers import gets, same, without_body


def make_app(web):
    class Header(web.RequestHandler):
        def get(self, what):
            values = {
                "str": "text",
                "bytes": b"\xe9t\xe9",
                "latin": "\xe9t\xe9",
                "int": 12345678901,
                "bool": True,
                "datetime": datetime.datetime(2020, 2, 29, 12, 0, 0),
                "float": 1.5,
                "none": None,
                "newline": "a\r\nb",
                "nul": "a\0b",
                "del": "a\x7f",
                "tab": "a\tb",
                "wide": "\u20ac",
            }
            self.set_header("x-some-header", values[what])

        def post(self, what):
            self.set_header("X-A", "1")
            self.add_header("X-A", "2")
            self.add_header("x-b", "3")
            self.clear_header("Server")
            self.clear_header("Not-There")
            self.set_header("CONTENT-type", "text/plain")

    return web.Application(
        [
            (r"/header/(.*)", Header),
        ]
    )


CASES = {
    **gets("/header/", "str bytes latin int bool datetime float none newline nul del tab wide"),
    **without_body("POST /header/x"),
}


@pytest.mark.parametrize("name", CASES)
def test_same_response(ask, name):
    same(ask(CASES[name]))
