"""ETags, beside stock Tornado."""

import pytest

from support.web_servers import gets, hello, request, same


def make_app(web):
    Hello = hello(web)

    class Write(web.RequestHandler):
        def get(self, size):
            self.write("x" * int(size))

    class Own(web.RequestHandler):
        def get(self):
            self.write("its own")

        def compute_etag(self):
            return None if self.get_argument("noetag", None) else '"mine"'

    return web.Application(
        [
            (r"/", Hello),
            (r"/write/(.*)", Write),
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
