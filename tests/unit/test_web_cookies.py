"""Cookies that a handler sets and reads, beside stock Tornado."""

import http.cookies
import types

import pytest

from support.web_servers import body, gets, request, same
from tornado_c import httputil, web


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
            elif what == "bytes":
                self.set_cookie(b"a", "\u00e9".encode())
                self.set_cookie("b", "", path="", domain="")
            elif what == "changed":
                self.set_cookie("a", "1", secure=True)
                cookie = self._new_cookie["a"]
                read = [cookie[key] for key in ("path", "domain", "secure", "max-age", "version", "samesite")]
                cookie["SameSite"] = "strict"
                cookie["max-age"] = 7
                self._new_cookie["b"] = "c d"
                self._new_cookie["b"]["path"] = "/b"
                self.write({"read": read, "value": [cookie.key, cookie.value, cookie.coded_value]})
                self.write(f"{cookie} {self._new_cookie.output()}")
            elif what in ("bad_name", "path"):
                self.set_cookie("a", "1")
                name = {"bad_name": "a,b", "path": "path"}[what]
                try:
                    self.set_cookie(name, "x")
                except Exception as e:
                    self.write(f"{type(e).__name__} {e}")
                try:
                    self._new_cookie["a"]["unknown"]
                except KeyError as e:
                    self.write(f"{e!r}")
            elif what == "bad_value":
                self.set_cookie("a", "x\n")
            elif what == "bad_path":
                self.set_cookie("a", "x", path="/;b")

    class Each(web.RequestHandler):
        """What get_cookie() says before all cookies have been looked at, then, and when they were changed."""

        def get(self):
            names = self.get_arguments("name") + ["", "a", "none", "path", "$a"]
            before = [self.get_cookie(name, "default") for name in names]
            all_of_them = sorted((name, morsel.value) for name, morsel in self.request.cookies.items())
            after = [self.get_cookie(name, "default") for name in names]
            self.request.cookies["a"] = "changed"
            self.write({"before": before, "all": all_of_them, "after": after, "a": self.get_cookie("a")})

    return web.Application(
        [
            (r"/cookies/(.*)", Cookies),
            (r"/each", Each),
        ]
    )


CASES = {
    **gets("/cookies/", "set get bytes changed bad_name path bad_value bad_path"),
    "cookies": request("/cookies/get", headers=["Cookie: a=1; b=2; c"]),
}


@pytest.mark.parametrize("name", CASES)
def test_same_response(ask, name):
    same(ask(CASES[name]))


HEADERS = [
    ["Cookie: a=1; b=2; a=3"],
    ["Cookie: a"],
    ["Cookie: a=1; ; =; x"],
    ["Cookie: =b; a=1"],
    ['Cookie: a="quoted"; b="a\\"b\\054c"; c="open'],
    ["Cookie:a=1;b=2;a =5"],
    ["Cookie: a=b=c; b=="],
    ["Cookie: path=/; a=1; expires=x; $a=1; A=2"],
    ["Cookie: a b=1; a/b=2; b,=3; a=\xe9; \xe9=1"],
    ['Cookie: a="\\001\\177"; b="\\012"'],
    ['Cookie: a="\\240\\377"; b=\xa0'],
    ["Cookie: " + "a=1; " * 500 + "b=2"],
    ["Cookie: "],
    [],
]


@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: " ".join(headers)[:40])
def test_one_cookie_and_all(ask, headers):
    names = "&".join(f"name={name}" for name in "b c x A a%20b a/b b, %C3%A9 expires".split())
    same(ask(request("/each?" + names, headers=headers)))


def test_headers_of_one_request_are_one_list(serve):
    """Tornado joins them with commas."""

    class Handler(web.RequestHandler):
        def get(self):
            before = [self.get_cookie(name) for name in "abc"]
            assert before == [self.request.cookies[name].value for name in "abc"]
            self.write(",".join(before))

    fetch = serve([("/", Handler)])
    assert body(fetch("/", headers=["Cookie: a=1; c=3", "Cookie: b=2; a=4"])) == b"4,2,3"


@pytest.mark.parametrize("how", ["sent", "assigned", "private", "header", "class", "request"])
def test_cookies_that_are_replaced_count(serve, monkeypatch, how):
    said = []

    class Handler(web.RequestHandler):
        def get(self):
            request = self.request
            replaced = http.cookies.SimpleCookie(f"a={how}")
            if how == "assigned":
                request.cookies = replaced
            elif how == "private":
                request._cookies = replaced
            elif how == "header":
                request.headers["Cookie"] = "a=header"
            elif how == "class":
                made = property(lambda request: replaced)
                monkeypatch.setattr(httputil.HTTPServerRequest, "cookies", made, raising=False)
            elif how == "request":
                self.request = types.SimpleNamespace(cookies=replaced)
            said.append(self.get_cookie("a"))
            self.request = request

    serve([("/", Handler)])("/", headers=["Cookie: a=sent"])
    monkeypatch.undo()
    assert said == [how]
