"""What a handler answers to requests of all methods and versions, beside stock Tornado."""

import abc

import pytest

from support.web_servers import gets, heads, hello, request, same, without_body


def make_app(web):
    Hello = hello(web)

    class Properties(web.RequestHandler):
        def get(self):
            self.require_setting("login_url")
            self.write(
                {
                    "reverse": [self.reverse_url("path2", "a b", 7), self.reverse_url("hello")],
                    "settings": self.settings is self.application.settings,
                    "status": self.get_status(),
                    "flags": [self._finished, self._headers_written, self._auto_finish],
                    "buffer": self._write_buffer,
                    "template": self.get_template_path(),
                    "summary": self._request_summary(),
                }
            )

        def post(self):
            self.require_setting("nothing", "something")

    class Unusual(web.RequestHandler):
        SUPPORTED_METHODS = web.RequestHandler.SUPPORTED_METHODS + ("PROPFIND",)

        def propfind(self):
            self.write("found")

    class Path(web.RequestHandler):
        def get(self, *args, **kwargs):
            self.write({"args": args, "kwargs": kwargs, "mine": [self.path_args, self.path_kwargs]})

    class Abstract(Hello, metaclass=abc.ABCMeta):
        @abc.abstractmethod
        def missing(self):
            """What a concrete class has."""

    class Concrete(Abstract):
        def missing(self):
            return None

    class Meta(type):
        def __call__(cls, *args, **kwargs):
            made = super().__call__(*args, **kwargs)
            made.set_header("X-Made", "by a metaclass")
            return made

    class Made(Hello, metaclass=Meta):
        pass

    class Empty(web.RequestHandler):
        def initialize(self, **kwargs):
            self.given = kwargs

        def get(self):
            self.path_args.append("mine")
            self.write({"args": self.path_args, "kwargs": self.path_kwargs, "given": self.given})
            self.write(str(self._transforms))

        def head(self):
            del self.path_args
            self.path_kwargs = None

    return web.Application(
        [
            (r"/abstract", Abstract),
            (r"/concrete", Concrete),
            (r"/made", Made),
            (r"/empty", Empty),
            (r"/empty/given", Empty, {"a": 1, "b": [2]}),
            (r"/empty/many", Empty, {f"a{i}": i for i in range(20)}),
            web.url(r"/", Hello, name="hello"),
            web.url(r"/path/([^/]*)/(.*)", Path, name="path2"),
            (r"/properties", Properties),
            (r"/unusual", Unusual),
            (r"/initkw", Hello, {"unexpected": 1}),
        ],
        login_url="/login",
    )


CASES = {
    **gets("/", "?x=1"),
    **gets("/", "nothing properties concrete made empty empty/given empty/many"),
    "/": request("/"),
    **heads("/", "/nothing", "/empty"),
    **without_body(
        "POST /", "PUT /nothing", "FOO /", "get /", "PROPFIND /unusual", "PROPFIND /", "POST /properties"
    ),
    "1.0": request("/", version="1.0", close=False),
    "1.0 keep": request("/", version="1.0", close=False, headers=["Connection: keep-alive"])
    + request("/", version="1.0", close=False),
    "keep-alive": request("/", close=False) + request("/nothing", close=False) + request("/"),
    "no host path": request("*", "OPTIONS"),
}


@pytest.mark.parametrize("name", CASES)
def test_same_response(ask, name):
    same(ask(CASES[name]))


def test_unexpected_initialize_argument(ask):
    """A handler that cannot be made is the server's problem: the connection ends without an answer."""
    outcome = ask(request("/initkw"))
    assert outcome["ours"][0] == outcome["stock"][0] == b""


def test_an_abstract_handler_is_not_made(ask):
    outcome = ask(request("/abstract"))
    assert outcome["ours"][0] == outcome["stock"][0] == b""
    assert (
        [line[3] for line in outcome["ours"][1]] == ["TypeError"] == [line[3] for line in outcome["stock"][1]]
    )
