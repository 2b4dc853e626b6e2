"""Arguments of queries and forms, beside stock Tornado."""

import pytest

from support.web_servers import gets, request, same, without_body

FORM = "Content-Type: application/x-www-form-urlencoded"


def make_app(web):
    class Args(web.RequestHandler):
        def get(self):
            name = self.get_argument("name")
            self.write(
                {
                    "name": name,
                    "all": self.get_arguments("name"),
                    "raw": self.get_arguments("name", strip=False),
                    "query": self.get_query_arguments("name"),
                    "body": self.get_body_arguments("name"),
                    "default": self.get_argument("none", None),
                    "q": self.get_query_argument("name", "q"),
                    "b": self.get_body_argument("name", "b"),
                    "one_raw": self.get_argument("name", "x", False),
                }
            )

        post = put = get

        def delete(self):
            self.get_arguments("x", "default")

    class Decode(web.RequestHandler):
        def decode_argument(self, value, name=None):
            return f"<{name}:{value!r}>"

        def get(self, arg):
            self.write(arg + self.get_argument("q", ""))

    class Groups(web.RequestHandler):
        def get(self, *args, **kwargs):
            self.write({"args": args, "kwargs": kwargs, "own": [self.path_args, self.path_kwargs]})

    class Seen(Groups):
        def initialize(self):
            self.seen = []

        def decode_argument(self, value, name=None):
            self.seen.append(repr((value, name)))
            return super().decode_argument(value, name)

        def get(self, *args, **kwargs):
            self.write({"seen": self.seen, "args": args, "kwargs": kwargs})

    class Chosen(Groups):
        """Other texts than UTF-8, values that are none, and errors of its own."""

        def decode_argument(self, value, name=None):
            if value == b"error":
                raise web.HTTPError(410)
            if value == b"bug":
                raise KeyError(value)
            return None if value == b"none" else value.decode("latin1") if value is not None else "nothing"

    return web.Application(
        [
            (r"/args", Args),
            (r"/decode/(.*)", Decode),
            (r"/groups/([^/]+)(/[^/]+)?(?:/x/(.*))?", Groups),
            (r"/named/(?P<first>[^/]+)(?:/(?P<second>.+))?", Groups),
            (r"/seen/([^/]*)(?:/(.*))?", Seen),
            (r"/seen_named/(?P<first>[^/]*)(?:/(?P<second>.*))?", Seen),
            (r"/chosen/([^/]*)(?:/(.*))?", Chosen),
        ]
    )


CASES = {
    **gets("/args", "?name=1&name=%20two%20&name=%00a%0b ?name=%ff ?name=%C3%A9"),
    "/args": request("/args"),
    **gets("/decode/", "x%20y?q=z"),
    **gets("/groups/", "a a/b a/b/x/ a/x/c a/b/x/%ff %ff %c3%a9 a%2fb a+b a%00b a%zz %25 é a/%e2%82"),
    **gets("/named/", "a a/b %ff a/%ff a/%c3%a9/c"),
    **gets("/seen/", "a a/b / %c3%a9 %ff a/%ff/%fe"),
    **gets("/seen_named/", "a a/b / %c3%a9 %ff a/%ff"),
    **gets("/chosen/", "a %ff error bug none a/error none/none"),
    "many bytes": request("/groups/" + "%ff" * 200),
    **without_body("DELETE /args"),
    "form": request("/args?name=q", "POST", [FORM], b"name=b1&name=+b2+&other=x"),
    "put form": request("/args", "PUT", [FORM], b"name=%e2%82%ac"),
    "bad form": request(
        "/args", "POST", ["Content-Type: multipart/form-data; boundary=x"], b"no such boundary"
    ),
    "multipart": request(
        "/args",
        "POST",
        ["Content-Type: multipart/form-data; boundary=x"],
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nvalue\r\n--x--\r\n',
    ),
    "json body": request("/args", "POST", ["Content-Type: application/json"], b'{"name": 1}'),
}


@pytest.mark.parametrize("name", CASES)
def test_same_response(ask, name):
    same(ask(CASES[name]))
