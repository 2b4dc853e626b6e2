"""authenticated, removeslash and addslash, beside stock Tornado."""

import pytest

from support.web_servers import gets, same, without_body


def make_app(web):
    class Decorated(web.RequestHandler):
        def get_current_user(self):
            return self.get_argument("user", None)

        @web.authenticated
        def get(self):
            self.write(self.current_user)

        @web.authenticated
        def post(self):
            self.write(self.current_user)

    class Slash(web.RequestHandler):
        @web.removeslash
        def get(self):
            self.write("no slash")

        @web.removeslash
        def post(self):
            self.write("no slash")

    class AddSlash(web.RequestHandler):
        @web.addslash
        def get(self):
            self.write("slash")

    return web.Application(
        [
            (r"/decorated", Decorated),
            (r"/slash/*", Slash),
            (r"/addslash/?", AddSlash),
        ],
        login_url="/login",
    )


CASES = {
    **gets("/", "decorated decorated?user=me slash slash/ slash///?q=1 addslash addslash?q=1 addslash/"),
    **without_body("POST /decorated", "POST /decorated?user=me", "POST /slash", "POST /slash/"),
}


@pytest.mark.parametrize("name", CASES)
def test_same_response(ask, name):
    same(ask(CASES[name]))
