"""Requests that come from elsewhere: by their origin and by their token, beside stock Tornado."""

import random
import re
import urllib.parse

import pytest

from support.damage import damage
from support.implementations import BOTH
from support.live_http import serving
from support.web_servers import body, collecting, request, same, without_body
from tornado_c import web


class Hello(web.RequestHandler):
    def get(self):
        self.write("hello")


def make_app(web):
    class Origin(web.RequestHandler):
        def post(self):
            self.write("posted")

    return web.Application(
        [
            (r"/origin", Origin),
        ],
        cross_origin_protection=True,
    )


CASES = {
    **without_body("POST /origin"),
    "origin good": request("/origin", "POST", ["Origin: http://example.test", "Content-Length: 0"]),
    "origin bad": request("/origin", "POST", ["Origin: http://evil.test", "Content-Length: 0"]),
    "site same": request("/origin", "POST", ["Sec-Fetch-Site: same-origin", "Content-Length: 0"]),
    "site cross": request("/origin", "POST", ["Sec-Fetch-Site: cross-site", "Content-Length: 0"]),
}


@pytest.mark.parametrize("name", CASES)
def test_same_response(ask, name):
    same(ask(CASES[name]))


def test_xsrf_cookies_call_the_check(serve):
    class Handler(Hello):
        def post(self):
            self.write("posted")

        def check_xsrf_cookie(self):
            raise web.HTTPError(403, "no token")

    fetch = serve([("/", Handler)], xsrf_cookies=True)
    assert fetch("/", "POST", ["Content-Length: 0"]).startswith(b"HTTP/1.1 403")
    assert body(fetch("/")) == b"hello"


# ---- tokens ----


def token_app(web, **settings):
    """GET tells the token, the others need it."""

    class Token(web.RequestHandler):
        def get(self):
            self.write(self.xsrf_token)

        def post(self):
            self.write("good")

        put = delete = patch = options = post

        def head(self):
            pass

    class Form(web.RequestHandler):
        def get(self):
            self.write(self.xsrf_form_html())

    class Raw(web.RequestHandler):
        def get(self):
            cookie = self.get_argument("cookie").encode("latin1").decode("utf8", "replace")
            version, token, timestamp = self._decode_xsrf_token(cookie)
            self.write(repr((version, token, timestamp if version == 2 else type(timestamp).__name__)))

    class Open(Token):
        def check_xsrf_cookie(self):
            pass

    class User(Token):
        def get_current_user(self):
            return "somebody"

    rules = [("/", Token), ("/form", Form), ("/raw", Raw), ("/open", Open), ("/user", User)]
    return web.Application(rules, **{"xsrf_cookies": True, **settings})


@pytest.fixture(scope="module")
def servers():
    """Ours and stock Tornado's."""
    with (
        collecting() as log,
        serving(token_app(BOTH[0].web)) as ours,
        serving(token_app(BOTH[1].web), BOTH[1]) as stock,
    ):
        ours.log = stock.log = log
        yield ours, stock


@pytest.fixture
def one(implementation):
    """A function that starts one server, with these settings."""
    running = []

    def start(**settings):
        running.append(serving(token_app(implementation.web, **settings), implementation))
        return running[-1].__enter__()

    with collecting():
        yield start
    for server in running:
        server.__exit__(None, None, None)


def cookie_of(answer, name="_xsrf"):
    found = re.search(rf"\r\nSet-Cookie: {name}=([^;\r]*)".encode(), answer)
    return found[1].decode() if found else None


def status(answer):
    return int(answer.split(b" ", 2)[1])


def post(server, cookie=None, form=None, headers=(), path="/", method="POST"):
    headers = [*headers, *([f"Cookie: _xsrf={cookie}"] if cookie is not None else [])]
    data = b"" if form is None else urllib.parse.urlencode({"_xsrf": form}).encode()
    headers += ["Content-Type: application/x-www-form-urlencoded"] if data else ["Content-Length: 0"]
    return server.exchange(request(path, method, headers, data))


V1 = "0123456789abcdef0123456789abcdef"
V2 = "2|00000000|0123456789abcdef0123456789abcdef|1300000000"
V2_MASKED = "2|01010101|0022446688aaccee0022446688aaccee|1300000000"
OTHER = "ff" * 16

#: Cookie and token that a form sends.
PAIRS = {
    "none": (None, None),
    "no token": (V2, None),
    "no cookie": (None, V2),
    "empty token": (V2, ""),
    "empty both": ("", ""),
    "the same": (V2, V2),
    "another mask": (V2, V2_MASKED),
    "v1": (V1, V1),
    "v1 for v2": (V2, V1),
    "v2 for v1": (V1, V2_MASKED),
    "another": (V2, OTHER),
    "another v2": (V2, V2.replace("0123", "0124")),
    "upper case": (V2, V1.upper()),
    "short": ("01", "01"),
    "one digit, so text": ("1", "1"),
    "text": ("not hex", "not hex"),
    "other text": ("not hex", "not_hex"),
    "hex for text": ("6e6f", "no"),
    "not ASCII": (V2, "é" * 16),
    "unknown version": ("3|a|b|c", "3|a|b|c"),
    "unknown version of the cookie": ("3|00000000|ab|1", V2),
    "unknown version of the token": (V2, "9|00000000|0123456789abcdef0123456789abcdef|1300000000"),
    "many digits": ("9" * 5000 + "|a", "9" * 5000 + "|a"),
    "empty v2": ("2|00000000||1300000000", "2|00000000||1300000000"),
    "empty token for an empty one": ("2|00000000||1300000000", ""),
    "short v2": ("2|00000000|01|1300000000", "2|00000000|01|1300000000"),
    "long mask": (V2, "2|0101010199|0022446688aaccee0022446688aaccee|1300000000"),
    "short mask": (V2, "2|000000|0123456789abcdef0123456789abcdef|1300000000"),
    "no mask": (V2, "2||0123456789abcdef0123456789abcdef|1300000000"),
    "mask not hex": (V2, "2|0000000x|0123456789abcdef0123456789abcdef|1300000000"),
    "token not hex": (V2, "2|00000000|x123456789abcdef0123456789abcdef|1300000000"),
    "odd token": (V2, "2|00000000|123456789abcdef0123456789abcdef|1300000000"),
    "time in letters": (V2, "2|00000000|0123456789abcdef0123456789abcdef|x"),
    "no time": (V2, "2|00000000|0123456789abcdef0123456789abcdef|"),
    "too many digits": (V2, "2|00000000|0123456789abcdef0123456789abcdef|" + "9" * 5000),
    "three parts": (V2, "2|00000000|0123456789abcdef0123456789abcdef"),
    "five parts": (V2, V2 + "|"),
    "NUL": (V2, V2 + "\0"),
    "blanks around": (V2, f" {V2} "),
}


@pytest.mark.parametrize("name", PAIRS)
def test_same_verdict_on_a_form(servers, name):
    answers = []
    for server in servers:
        server.log.take()
        answer = post(server, *PAIRS[name])
        answers.append((status(answer), body(answer), [line[:3] for line in server.log.take()]))
    assert answers[0] == answers[1]
    good = {"the same", "another mask", "v1", "v1 for v2", "v2 for v1", "upper case", "short", "text"}
    good |= {"one digit, so text", "hex for text", "short v2", "NUL", "blanks around"}
    assert (answers[0][0] == 200) == (name in good)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("where", ["nowhere", "X-XSRFToken", "X-CSRFToken", "query", "form", "json"])
def test_methods_and_places(servers, method, where):
    answers = []
    for server in servers:
        headers = [f"{where}: {V1}"] if where.startswith("X-") else []
        if where == "json":
            text = b'{"_xsrf": "%s"}' % V1.encode()
            more = ["Content-Type: application/json", f"Cookie: _xsrf={V2}"]
            answers.append(status(server.exchange(request("/", method, more, text))))
            continue
        path = f"/?_xsrf={V1}" if where == "query" else "/"
        form = V1 if where == "form" else None
        answers.append(status(post(server, V2, form, headers, path, method)))
    assert answers[0] == answers[1]
    safe = method in ("GET", "HEAD", "OPTIONS")
    assert answers[0] == (200 if safe or where not in ("nowhere", "json") else 403)


def test_a_form_that_a_page_gave_is_good(one):
    server = one()
    page = server.exchange(request("/form"))
    cookie = cookie_of(page)
    field = re.fullmatch(rb'<input type="hidden" name="_xsrf" value="([^"]*)"/>', body(page))[1].decode()
    assert field == cookie and re.fullmatch(r"2\|[0-9a-f]{8}\|[0-9a-f]{32}\|\d{10}", field)
    assert body(post(server, cookie, field)) == b"good"
    assert status(post(server, cookie, cookie_of(server.exchange(request("/form"))))) == 403


def test_the_mask_is_another_each_time_and_the_token_stays(one):
    server = one()
    cookie = cookie_of(server.exchange(request("/")))
    tokens = set()
    for _ in range(5):
        page = server.exchange(request("/", headers=[f"Cookie: _xsrf={cookie}"]))
        assert cookie_of(page) is None  # the client has it
        tokens.add(body(page).decode())
    assert len(tokens) == 5
    assert {token.split("|")[3] for token in tokens} == {cookie.split("|")[3]}
    assert [status(post(server, cookie, token)) for token in tokens] == [200] * 5


def test_tokens_of_one_server_are_good_for_the_other(servers):
    for giver, taker in (servers, servers[::-1]):
        cookie = cookie_of(giver.exchange(request("/")))
        token = body(giver.exchange(request("/", headers=[f"Cookie: _xsrf={cookie}"]))).decode()
        assert token != cookie
        assert body(post(taker, cookie, token)) == b"good"
        assert body(post(taker, token, cookie)) == b"good"


@pytest.mark.parametrize("cookie", ["3|a|b|c", "2|x|y|z", "2|000000|0102|1", "2|1|2"])
def test_a_cookie_that_is_none_is_replaced(one, cookie):
    page = one().exchange(request("/", headers=[f"Cookie: _xsrf={cookie}"]))
    assert cookie_of(page) == body(page).decode()


def test_cookies_of_version_1_are_converted(one):
    page = one().exchange(request("/", headers=[f"Cookie: _xsrf={V1}"]))
    version, mask, token, _ = body(page).decode().split("|")
    plain = bytes(a ^ b for a, b in zip(bytes.fromhex(token), bytes.fromhex(mask) * 4, strict=True))
    assert (version, plain.hex()) == ("2", V1)
    assert cookie_of(page) is None


def test_version_1_on_request(one):
    server = one(xsrf_cookie_version=1)
    page = server.exchange(request("/"))
    cookie = cookie_of(page)
    assert re.fullmatch("[0-9a-f]{32}", cookie) and body(page).decode() == cookie
    assert body(server.exchange(request("/", headers=[f"Cookie: _xsrf={V2}"]))).decode() == V1


def test_a_version_that_does_not_exist(one):
    assert status(one(xsrf_cookie_version=3).exchange(request("/"))) == 500


def test_another_cookie_name(one):
    server = one(xsrf_cookie_name="__Host-x")
    cookie = cookie_of(server.exchange(request("/")), "__Host-x")
    answers = [post(server, None, cookie, [f"Cookie: {name}={cookie}"]) for name in ("__Host-x", "_xsrf")]
    assert list(map(status, answers)) == [200, 403]


def test_options_of_the_cookie(one):
    server = one(xsrf_cookie_kwargs={"httponly": True, "samesite": "strict"})
    line = re.search(rb"Set-Cookie: [^\r]*", server.exchange(request("/")))[0]
    assert line.endswith(b"; HttpOnly; Path=/; SameSite=strict")


def test_a_user_keeps_the_cookie(one):
    server = one()
    assert b"expires=" in server.exchange(request("/user"))
    assert b"expires=" not in server.exchange(request("/"))
    assert b"expires=" not in one(xsrf_cookie_kwargs={"expires_days": None}).exchange(request("/user"))


def test_the_settings_stay_as_they_are(serve):
    """Stock Tornado adds expires_days to the dict of the settings, for good."""
    application = token_app(web, xsrf_cookie_kwargs={"path": "/p"})
    fetch = serve(application)
    assert b"expires=" in fetch("/user")
    assert b"expires=" not in fetch("/")
    assert application.settings["xsrf_cookie_kwargs"] == {"path": "/p"}


def test_the_check_can_be_overridden(servers):
    assert [status(post(server, path="/open")) for server in servers] == [200, 200]


def test_a_bad_argument_is_400(servers):
    for server in servers:
        answer = server.exchange(
            request("/", "POST", ["Content-Type: application/x-www-form-urlencoded"], b"_xsrf=%ff")
        )
        assert status(answer) == 400


ORIGINS = {"same": ["Sec-Fetch-Site: same-origin"], "cross": ["Sec-Fetch-Site: cross-site"]}


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("token", [V1, OTHER, None])
def test_both_protections(origin, token):
    """Both have to agree; the token is looked at first."""
    answers = []
    for side in BOTH:
        with collecting() as log, serving(token_app(side.web, cross_origin_protection=True), side) as server:
            answer = status(post(server, V2, token, ORIGINS[origin]))
            answers.append((answer, [line[:3] for line in log.take()]))
    assert answers[0] == answers[1]
    assert answers[0][0] == (200 if (origin, token) == ("same", V1) else 403)


def test_other_methods_need_a_token_where_they_are_supported(serve):
    class Coffee(Hello):
        SUPPORTED_METHODS = (*web.RequestHandler.SUPPORTED_METHODS, "BREW")

        def brew(self):
            self.write("coffee")

    fetch = serve([("/", Coffee)], xsrf_cookies=True)
    assert status(fetch("/", "BREW", ["Content-Length: 0"])) == 403
    answer = fetch("/", "BREW", ["Content-Length: 0", f"X-Xsrftoken: {V1}", f"Cookie: _xsrf={V2}"])
    assert body(answer) == b"coffee"


# ---- streamed bodies ----


def streaming_app(web):
    @web.stream_request_body
    class Streamed(web.RequestHandler):
        def prepare(self):
            self.settings["calls"].append("prepare")

        def data_received(self, chunk):
            self.settings["calls"].append("data")

        def post(self):
            self.write("good")

    return web.Application([("/", Streamed)], xsrf_cookies=True, calls=[])


@pytest.mark.parametrize("where", ["nowhere", "X-XSRFToken", "X-CSRFToken", "query", "form"])
def test_the_token_of_a_streamed_body_is_in_header_or_query(where):
    """The body is not there yet when it is looked for, and no hook sees a request without a token."""
    outcomes = []
    for side in BOTH:
        application = streaming_app(side.web)
        with collecting(), serving(application, side) as server:
            headers = [f"{where}: {V1}"] if where.startswith("X-") else []
            path = f"/?_xsrf={V1}" if where == "query" else "/"
            answer = post(server, V2, V1 if where == "form" else "other", headers, path)
        outcomes.append((status(answer), application.settings["calls"]))
    assert outcomes[0] == outcomes[1]
    refused = where in ("nowhere", "form")
    assert outcomes[0] == ((403, []) if refused else (200, ["prepare", "data"]))


TOKENS = [b"|", b"2|", b"3|", b"0", b"=", b"9" * 30, b"_", b"+", b" ", b"-", b"ff"]


@pytest.mark.parametrize("seed", range(3))
def test_damaged_tokens_are_read_alike(servers, seed):
    rng = random.Random(seed)
    for _ in range(60):
        cookie = damage(rng.choice([V1, V2, V2_MASKED]).encode(), rng, TOKENS)
        path = "/raw?cookie=" + urllib.parse.quote_from_bytes(cookie.decode("latin1").encode())
        answers = [body(server.exchange(request(path))) for server in servers]
        assert answers[0] == answers[1], cookie
