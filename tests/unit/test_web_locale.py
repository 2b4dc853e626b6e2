"""The locale of a request, beside stock Tornado; the locales themselves are stock's."""

import pytest
import tornado.locale

from support.implementations import BOTH
from support.live_http import serving
from support.web_servers import body, collecting, request


def make_app(web):
    class Chosen(web.RequestHandler):
        def get(self):
            before = self.locale.code
            again = self.locale is self.locale
            self.locale = tornado.locale.get("fr_FR")
            self.write({"before": before, "same": again, "after": self.locale.code})

    class Default(web.RequestHandler):
        def get(self):
            self.write(self.get_browser_locale(self.get_argument("default")).code)

    class User(web.RequestHandler):
        calls = 0

        def get_user_locale(self):
            User.calls += 1
            code = self.get_argument("user", None)
            return None if code is None else tornado.locale.get(code)

        def get_browser_locale(self, default="en_US"):
            return (
                tornado.locale.get("pt_BR")
                if self.get_argument("own", None)
                else super().get_browser_locale()
            )

        def get(self):
            self.write(f"{self.locale.code} {self.locale.code} {User.calls > 0}")

    class Falsy(web.RequestHandler):
        def get_user_locale(self):
            class Locale:
                code = "none of them"

                def __bool__(self):
                    return False

            return Locale()

        def get(self):
            self.write(self.locale.code)

    rules = [("/", Chosen), ("/default", Default), ("/user", User), ("/falsy", Falsy)]
    return web.Application(rules)


@pytest.fixture(scope="module")
def servers():
    supported, default = tornado.locale._supported_locales, tornado.locale._default_locale
    tornado.locale._supported_locales = frozenset({"en_US", "fr_FR", "es", "pt_BR", "zh_TW"})
    tornado.locale._default_locale = "es"
    with (
        collecting(),
        serving(make_app(BOTH[0].web)) as ours,
        serving(make_app(BOTH[1].web), BOTH[1]) as stock,
    ):
        yield ours, stock
    tornado.locale._supported_locales, tornado.locale._default_locale = supported, default
    tornado.locale.Locale._cache.clear()


def both(servers, *args, **kwargs):
    ours, stock = (server.exchange(request(*args, **kwargs)) for server in servers)
    assert body(ours) == body(stock) and ours.split(b"\r\n")[0] == stock.split(b"\r\n")[0]
    return body(ours)


LANGUAGES = [
    "fr-FR",
    "fr",
    "es",
    "es-MX",
    "pt-br",
    "PT-BR",
    "zh-Hant-TW",
    "de",
    "de, fr-FR",
    "de;q=1, es;q=0.5, fr-FR;q=0.7",
    "es;q=0.5, fr-FR",
    "fr-FR;q=0, es",
    "fr-FR;q=-1, es",
    "fr-FR;q=x, es",
    "fr-FR;q=nan, es",
    "fr-FR;q=inf, es",
    "fr-FR;q=1e400, es;q=9",
    "es;q=0.5;q=1, fr-FR;q=0.6",
    "es;level=1;q=0.1, fr-FR;q=0.6",
    "es ; q=0.1, fr-FR ; q=0.6",
    "es;  q=0.1 , fr-FR; q=0.6 ",
    "es; Q=0.1, fr-FR;q=0.6",
    "es;q =0.1, fr-FR;q=0.6",
    "es;q=0_5, fr-FR;q=1",
    "es;q=, fr-FR;q=0.1",
    "",
    ",",
    ";",
    ";q=1",
    ", fr-FR",
    "fr-FR;q=0",
    "*",
    "*;q=0.5, fr-FR;q=0.1",
    "fr_FR",
    "x" * 500,
    "en-" * 50,
]


@pytest.mark.parametrize("languages", LANGUAGES)
def test_the_language_of_the_browser(servers, languages):
    both(servers, "/", headers=[f"Accept-Language: {languages}"])
    both(servers, "/default?default=pt_BR", headers=[f"Accept-Language: {languages}"])


def test_the_best_comes_first(servers):
    answer = both(servers, "/default?default=pt_BR", headers=["Accept-Language: es;q=0.5, de, fr-FR;q=0.7"])
    assert answer == b"fr_FR"


def test_without_a_header(servers):
    assert b'"before": "en_US", "same": true, "after": "fr_FR"' in both(servers, "/")
    assert both(servers, "/default?default=pt_BR") == b"pt_BR"
    assert both(servers, "/default?default=xx") == b"es"  # the program's default


def test_two_headers(servers):
    assert both(servers, "/default?default=en_US", headers=["Accept-Language: de", "Accept-Language: fr-FR"])


@pytest.mark.parametrize("query", ["", "?user=fr_FR", "?own=1", "?user=es&own=1"])
def test_overridden(servers, query):
    expected = {"": b"en_US", "?user=fr_FR": b"fr_FR", "?own=1": b"pt_BR", "?user=es&own=1": b"es"}[query]
    assert both(servers, "/user" + query) == b"%b %b True" % (expected, expected)


def test_what_the_user_has_counts_even_if_false(servers):
    assert both(servers, "/falsy") == b"none of them"


def test_many_languages_take_linear_time(servers):
    languages = ",".join(f"x{n};q=0.{n}" for n in range(4000))
    both(servers, "/", headers=[f"Accept-Language: {languages}"])
