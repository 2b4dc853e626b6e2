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

    return web.Application(
        [
            (r"/args", Args),
            (r"/decode/(.*)", Decode),
        ]
    )


CASES = {
    **gets("/args", "?name=1&name=%20two%20&name=%00a%0b ?name=%ff ?name=%C3%A9"),
    "/args": request("/args"),
    **gets("/decode/", "x%20y?q=z"),
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
