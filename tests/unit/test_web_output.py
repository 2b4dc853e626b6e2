"""write(), flush() and finish(), beside stock Tornado."""

import pytest

from support.web_servers import gets, heads, hello, request, same


def make_app(web):
    Hello = hello(web)

    class Write(web.RequestHandler):
        def get(self, what):
            if what == "dict":
                self.write({"a": 1, "b": ["</script>", None, "\u00e9"]})
            elif what == "list":
                self.write([1])
            elif what == "int":
                self.write(1)
            elif what == "none":
                self.write(None)
            elif what == "bytes":
                self.write(b"\x00\xff")
            elif what == "unicode":
                self.write("\u00e9\u20ac")
            elif what == "pieces":
                for i in range(10):
                    self.write(str(i))
            elif what.isdigit():
                self.write("x" * int(what))
            elif what == "after":
                self.finish("done")
                self.write("more")
            elif what == "twice":
                self.finish("done")
                self.finish()
            elif what == "finish_dict":
                self.finish({"x": 1})
            elif what == "empty":
                pass
            elif what == "json_type":
                self.write({"x": 1})
                self.set_header("Content-Type", "text/x-json")

    class Flush(web.RequestHandler):
        async def get(self, what):
            self.write("one")
            if what == "await":
                await self.flush()
            else:
                self.flush()
            self.write("two")
            if what == "length":
                self.set_header("Content-Length", "6")
            if what == "error":
                raise ValueError("late")
            if what == "http":
                raise web.HTTPError(400, "late")
            if what == "redirect":
                self.redirect("/")

        head = get

    class FlushLength(web.RequestHandler):
        def get(self, length):
            self.set_header("Content-Length", length)
            self.write("one")
            self.flush()
            self.write("two")

    return web.Application(
        [
            (r"/", Hello),
            (r"/write/(.*)", Write),
            (r"/flush/(.*)", Flush),
            (r"/length/(.*)", FlushLength),
        ]
    )


CASES = {
    **gets("/write/", "dict list int none bytes unicode pieces after twice finish_dict empty json_type"),
    **gets("/flush/", "await plain length"),
    **gets("/length/", "6 7 5"),
    **heads("/flush/await", "/flush/plain", "/flush/error"),
    "1.0 flush": request("/flush/plain", version="1.0", close=False),
}


@pytest.mark.parametrize("name", CASES)
def test_same_response(ask, name):
    same(ask(CASES[name]))


@pytest.mark.parametrize("how", ["error", "http", "redirect"])
def test_failing_after_the_first_flush(ask, how):
    """Stock ends the body as if it were complete; ours without the last chunk, and the connection ends."""
    outcome = ask(request(f"/flush/{how}", close=False) + request("/"))
    ours, stock = outcome["ours"][0], outcome["stock"][0]
    assert ours.startswith(b"HTTP/1.1 200 OK") and ours.endswith(b"\r\n3\r\none\r\n")
    assert stock.startswith(ours + b"3\r\ntwo\r\n0\r\n\r\n")
