"""Redirects, by a handler and by RedirectHandler, beside stock Tornado."""

import pytest

from support.web_servers import gets, request, same


def make_app(web):
    class Redirect(web.RequestHandler):
        def get(self, what):
            if what == "permanent":
                self.redirect("/x", permanent=True)
            elif what == "status":
                self.redirect("/x", status=307)
            elif what == "bad":
                self.redirect("/x", status=200)
            else:
                self.redirect("/\u00e9 x")

    return web.Application(
        [
            (r"/redirect/(.*)", Redirect),
            (r"/to/(.*)", web.RedirectHandler, {"url": "/target/{0}"}),
            (r"/toplain", web.RedirectHandler, {"url": "/target?x=1", "permanent": False}),
            (r"/tohost/(.*)", web.RedirectHandler, {"url": "{0}"}),
        ]
    )


CASES = {
    **gets("/redirect/", "plain permanent status bad"),
    **gets("/to/", "a?b=c"),
    "/to/": request("/to/"),
    **gets("/toplain", "?y=%20"),
    "/toplain": request("/toplain"),
    **gets("/tohost/", "http://evil/ x"),
}


@pytest.mark.parametrize("name", CASES)
def test_same_response(ask, name):
    same(ask(CASES[name]))
