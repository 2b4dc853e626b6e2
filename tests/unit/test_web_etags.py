"""ETags, beside stock Tornado."""

import urllib.parse

import pytest

from support.web_servers import gets, hello, request, same


def make_app(web):
    Hello = hello(web)

    class Write(web.RequestHandler):
        def get(self, size):
            self.write("x" * int(size))

    class Pieces(web.RequestHandler):
        def get(self):
            for piece in self.get_arguments("p"):
                self.write(piece)

    class Own(web.RequestHandler):
        def get(self):
            self.write("its own")

        def compute_etag(self):
            return None if self.get_argument("noetag", None) else '"mine"'

    return web.Application(
        [
            (r"/", Hello),
            (r"/write/(.*)", Write),
            (r"/pieces", Pieces),
            (r"/own", Own),
        ]
    )


CASES = {
    **{f"etag of {size}": request(f"/write/{size}") for size in (1, 511, 512, 513, 70_000)},
    "etag": request("/", headers=['If-None-Match: "e02aa1b106d5c7c6a98def2b13005d5b84fd8dc8"']),
    "weak etag": request("/", headers=['If-None-Match: "x", W/"e02aa1b106d5c7c6a98def2b13005d5b84fd8dc8"']),
    "other etag": request("/", headers=['If-None-Match: "x"']),
    "any etag": request("/", headers=["If-None-Match: *"]),
    "odd etag": request("/", headers=["If-None-Match: nonsense"]),
    "own etag": request("/own", headers=['If-None-Match: "mine"']),
    "head etag": request("/", "HEAD", headers=['If-None-Match: "e02aa1b106d5c7c6a98def2b13005d5b84fd8dc8"']),
    **gets("/own", "?noetag=1"),
}


@pytest.mark.parametrize("name", CASES)
def test_same_response(ask, name):
    same(ask(CASES[name]))


def test_bodies_that_differ_little(ask):
    """The Etag is that of the whole body, whatever was sent before."""
    pieces = ["", "a", "b", "ab", "ba", "\x00", "\x00\x00"]
    pieces += ["x12345678", "y12345678", "xx12345678", "x1234567"]
    bodies = [(a, b) for a in pieces for b in pieces] + [("z" * n, "tail") for n in (507, 508, 509)]
    for a, b in [*bodies, *reversed(bodies)]:
        same(ask(request("/pieces?" + urllib.parse.urlencode([("p", a), ("p", b)]))))
