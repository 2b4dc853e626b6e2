"""Cookies that a handler sets and reads, beside stock Tornado."""

import pytest

from support.web_servers import gets, request, same


def make_app(web):
    class Cookies(web.RequestHandler):
        def get(self, what):
            if what == "set":
                self.set_cookie("a", "1")
                self.set_cookie("b", "x;y", domain="example.test", max_age=5, httponly=True, secure=True)
                self.set_cookie("a", "2", samesite="lax", path="/p")
                self.set_cookie("e", "3", expires=0.0 + 1e9)
            elif what == "get":
                self.write(
                    {"a": self.get_cookie("a"), "n": self.get_cookie("n", "dflt"), "c": sorted(self.cookies)}
                )
            elif what == "bad_value":
                self.set_cookie("a", "x\n")
            elif what == "bad_path":
                self.set_cookie("a", "x", path="/;b")

    return web.Application(
        [
            (r"/cookies/(.*)", Cookies),
        ]
    )


CASES = {
    **gets("/cookies/", "set get bad_value bad_path"),
    "cookies": request("/cookies/get", headers=["Cookie: a=1; b=2; c"]),
}


@pytest.mark.parametrize("name", CASES)
def test_same_response(ask, name):
    same(ask(CASES[name]))
