"""Signed values and cookies, beside stock Tornado: what either side signs, both read in the same way. What is
malformed, forged or old gets the same verdict and the same line in the log.
"""

import base64
import random

import pytest
import tornado.web

from support.children import run_alone
from support.damage import damage
from support.implementations import BOTH
from support.live_http import serving
from support.web_servers import body, collecting, request
from tornado_c import web

SECRET = "a secret"
KEYS = {0: "key of old", 1: b"another key", 12: "a third"}
NOW = 1_300_000_000
DAY = 86400
SIDES = (web, tornado.web)


def at(seconds):
    return lambda: seconds


def outcome(log, function, *args, **kwargs):
    log.take()
    try:
        result = function(*args, **kwargs)
    except Exception as exc:
        result = type(exc), str(exc)
    return result, log.take()


def verdict(secret, name, value, **kwargs):
    """What both sides say, which must be the same."""
    kwargs = {"clock": at(NOW)} | kwargs
    with collecting() as log:
        ours, stock = (
            outcome(log, side.decode_signed_value, secret, name, value, **kwargs) for side in SIDES
        )
        assert ours == stock, (value, kwargs)
        versions = [outcome(log, side.get_signature_key_version, value)[0] for side in SIDES if value]
    assert len(set(versions)) <= 1
    return ours


def field(data):
    return b"%d:%b" % (len(data), data)


def signed_2(*fields, key=SECRET, head=b"2|"):
    """A value of version 2 of these fields, as they are, with a good signature."""
    signed = head + b"".join(each + b"|" for each in fields)
    return signed + web._create_signature_v2(key, signed)


def signed_1(encoded, timestamp, name="a", key=SECRET):
    signature = web._create_signature_v1(key, name, encoded, timestamp)
    return b"|".join([encoded, timestamp, signature])


NAMES = ["a", "user", "x-y_z", b"bytes", "", "n|ame", "2|", "na:me", "1:0|", "é", "nul\0"]
VALUES = ["", "v", "text with spaces", b"\0\xff" * 20, "é|:", b"x" * 5000, "2|1:0|"]


@pytest.mark.parametrize("version", [1, 2, None])
@pytest.mark.parametrize("name", NAMES)
def test_both_sign_and_read_alike(version, name):
    for value in VALUES:
        for clock in (at(NOW), at(NOW + 0.9), at(0), at(17), at(-5)):
            ours, stock = (
                side.create_signed_value(SECRET, name, value, version=version, clock=clock) for side in SIDES
            )
            assert ours == stock
            result, lines = verdict(SECRET, name, ours, clock=clock)
            if name != "é" and clock() > 0:  # its length is counted in characters
                assert result == (value if isinstance(value, bytes) else value.encode()) and not lines
            assert verdict(SECRET, "other", ours, clock=clock)[0] is None


def test_known_values():
    sign = web.create_signed_value
    assert sign("It's a secret to everybody", "key", "value", clock=at(NOW)) == (
        b"2|1:0|10:1300000000|3:key|8:dmFsdWU=|3d4e60b996ff9c5d5788e333a0cba6f238a22c6c0f94788870e1a9ecd482e152"
    )
    assert sign("It's a secret to everybody", "key", "value", version=1, clock=at(NOW)) == (
        b"dmFsdWU=|1300000000|31c934969f53e48164c50768b40cbd7e2daaaa4f"
    )


@pytest.mark.parametrize("key_version", [0, 1, 12])
def test_one_key_of_several(key_version):
    for side in SIDES:
        value = side.create_signed_value(KEYS, "a", "v", clock=at(NOW), key_version=key_version)
        assert verdict(KEYS, "a", value)[0] == b"v"
        assert web.get_signature_key_version(value) == key_version
        assert verdict(KEYS[key_version], "a", value)[0] == b"v"
        others = {version: key for version, key in KEYS.items() if version != key_version}
        assert verdict(others, "a", value) == (None, [])
        assert verdict({key_version: "wrong"}, "a", value) == (None, [])


@pytest.mark.parametrize(
    "arguments",
    [
        {"version": 3},
        {"version": 0},
        {"secret": KEYS},
        {"secret": KEYS, "key_version": 5},
        {"secret": KEYS, "key_version": 0, "version": 1},
        {"secret": None},
        {"value": None},
        {"value": 5},
        {"name": 5},
    ],
    ids=str,
)
def test_what_cannot_be_signed(arguments):
    arguments = {"secret": SECRET, "name": "a", "value": "v"} | arguments
    kinds = []
    for side in SIDES:
        with pytest.raises(Exception) as failure:
            side.create_signed_value(**arguments)
        kinds.append(failure.type)
    assert kinds[0] is kinds[1]


@pytest.mark.parametrize("days", [0, 0.5, 1, 1 / 86400, 31, 365, -1, float("inf")])
@pytest.mark.parametrize("age", [0, 0.5, 1, DAY / 2, DAY / 2 + 1, DAY, DAY + 1, 31 * DAY, 31 * DAY + 1, -DAY])
@pytest.mark.parametrize("version", [1, 2])
def test_ages(version, days, age):
    value = web.create_signed_value(SECRET, "a", "v", version=version, clock=at(NOW))
    expired = NOW < NOW + age - days * DAY
    result, lines = verdict(SECRET, "a", value, max_age_days=days, clock=at(NOW + age))
    assert result == (None if expired else b"v")
    assert [line[2].startswith("Expired cookie") for line in lines] == [True] * (expired and version == 1)


@pytest.mark.parametrize("min_version", [None, 0, 1, 2, 3, 9])
@pytest.mark.parametrize("version", [1, 2])
def test_min_version(version, min_version):
    value = web.create_signed_value(SECRET, "a", "v", version=version, clock=at(NOW))
    result = verdict(SECRET, "a", value, min_version=min_version)[0]
    if min_version is not None and min_version > 2:
        assert result == (ValueError, f"Unsupported min_version {min_version}")
    else:
        assert result == (b"v" if version >= (min_version or 1) else None)


HUGE = b"9" * 3000
MALFORMED = {
    "none": None,
    "empty": b"",
    "text": "2|1:0|",
    "bars": b"|" * 50,
    "two bars": b"||",
    "version 3": signed_2(field(b"0"), head=b"3|"),
    "version 999": signed_2(field(b"0"), head=b"999|"),
    "version 1000": signed_2(field(b"0"), head=b"1000|"),
    "version 02": signed_2(field(b"0"), head=b"02|"),
    "version of many digits": HUGE * 3 + b"|a|b",
    "version in other digits": "２|1:0|".encode(),
    "no fields": b"2|",
    "no length": b"2|0|10:1300000000|1:a|4:dg==|",
    "empty length": b"2|:0|",
    "huge length": b"2|" + HUGE + b":0|",
    "length of too many digits": b"2|" + HUGE * 2 + b":0|",
    "length beyond the end": b"2|1:0|10:1300000000|1:a|400:dg==|aa",
    "length beyond 64 bits": b"2|1:0|10:1300000000|1:a|18446744073709551617:d|aa",
    "negative length": b"2|-3:0|x",
    "length with a sign": b"2|+1:0|10:1300000000|1:a|4:dg==|",
    "length with blanks": b"2| 1 :0|10:1300000000|1:a|4:dg==|",
    "length with zeros": b"2|01:0|10:1300000000|1:a|4:dg==|",
    "length with underscore": b"2|1_0:0000000000|10:1300000000|1:a|4:dg==|",
    "length in other digits": "2|１:0|10:1300000000|1:a|4:dg==|".encode(),
    "length with a NUL": b"2|1\0:0|10:1300000000|1:a|4:dg==|",
    "huge key version": b"2|%b|" % field(HUGE) + b"10:1300000000|1:a|4:dg==|",
    "key version of too many digits": b"2|%b|" % field(HUGE * 2) + b"10:1300000000|1:a|4:dg==|",
    "key version in letters": b"2|1:a|10:1300000000|1:a|4:dg==|",
    "line feed": b"2|1:0\n|10:1300000000|1:a|4:dg==|",
    "no signature": signed_2(*map(field, (b"0", b"1300000000", b"a", b"dg==")))[:-64],
    "good": signed_2(*map(field, (b"0", b"1300000000", b"a", b"dg=="))),
    "good, key version with zeros": signed_2(*map(field, (b"000", b"1300000000", b"a", b"dg=="))),
    "time in letters": signed_2(*map(field, (b"0", b"a", b"a", b"dg=="))),
    "time in other digits": signed_2(*map(field, (b"0", "１300000000".encode(), b"a", b"dg=="))),
    "no time": signed_2(*map(field, (b"0", b"", b"a", b"dg=="))),
    "time of many digits": signed_2(*map(field, (b"0", HUGE, b"a", b"dg=="))),
    "time of too many digits": signed_2(*map(field, (b"0", HUGE * 2, b"a", b"dg=="))),
    "time with a NUL": signed_2(*map(field, (b"0", b"130\0", b"a", b"dg=="))),
    "not base64": signed_2(*map(field, (b"0", b"1300000000", b"a", b"d"))),
    "partly base64": signed_2(*map(field, (b"0", b"1300000000", b"a", b"\xff\0d-g=="))),
    "no value": signed_2(*map(field, (b"0", b"1300000000", b"a", b""))),
    "v1, good": signed_1(b"dg==", b"1300000000"),
    "v1, far future": signed_1(b"dg==", b"1400000000"),
    "v1, near future": signed_1(b"dg==", b"1300086400"),
    "v1, zeros": signed_1(b"dg==", b"01300000000"),
    "v1, only zeros": signed_1(b"dg==", b"0000"),
    "v1, letters": signed_1(b"dg==", b"13x"),
    "v1, no time": signed_1(b"dg==", b""),
    "v1, huge": signed_1(b"dg==", HUGE),
    "v1, too many digits": signed_1(b"dg==", HUGE * 2),
    "v1, not base64": signed_1(b"d", b"1300000000"),
    "v1, no value": signed_1(b"", b"1300000000"),
    "v1, no signature": b"dg==|1300000000|",
    "v1, four parts": signed_1(b"dg==", b"1300000000") + b"|",
    "v1, signature not ASCII": b"dg==|1300000000|\xff",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_same_verdict(name):
    value = MALFORMED[name]
    result, _ = verdict(SECRET, "a", value)
    good = {"good", "good, key version with zeros", "time of many digits", "partly base64"}
    assert (result == b"v") == (name in good | {"v1, good", "v1, near future"})


def test_a_plus_in_front_of_the_time_is_tampering():
    """The end of a value, moved to the time, leaves the signature good, and with a plus the number, too."""
    value = base64.b64decode(b"abcd+000")
    encoded, timestamp, signature = web.create_signed_value(SECRET, "a", value, 1, at(NOW)).split(b"|")
    shorter = b"|".join([encoded[:4], encoded[4:] + timestamp, signature])
    with collecting() as log:
        assert web.decode_signed_value(SECRET, "a", shorter, clock=at(NOW)) is None
        assert [line[2] for line in log.take()] == [f"Tampered cookie {shorter!r}"]


def test_no_value_of_version_1_is_signed_with_one_of_several_keys():
    """Stock Tornado raises AssertionError: any client can have a response of 500."""
    for value in (b"x", b"a|b|c", signed_1(b"dg==", b"1300000000")):
        assert web.decode_signed_value(KEYS, "a", value, clock=at(NOW)) is None
        assert web.get_signature_key_version(value) is None


TOKENS = [b"|", b":", b"2|", b"1:0|", b"0", b"00", b"=", b"\0", b"\n", b"-1:", b"+", b"_", b" ", b"9" * 30]


@pytest.mark.parametrize("seed", range(20))
def test_damaged_values(seed):
    rng = random.Random(seed)
    for _ in range(150):
        secret, key_version = rng.choice([(SECRET, None), (b"s", None), (KEYS, rng.choice([*KEYS]))])
        version = 2 if secret is KEYS else rng.choice([1, 2])
        name = rng.choice(["a", "12", "name"])
        value = rng.choice(SIDES).create_signed_value(
            secret, name, rng.randbytes(rng.randrange(20)), version, at(NOW), key_version
        )
        value = damage(value, rng, TOKENS)
        if secret is KEYS and web._get_version(value) == 1:
            continue  # an AssertionError of stock's
        verdict(secret, rng.choice([name, name, "other"]), value, max_age_days=rng.choice([0, 1, 31]))


def test_random_fields_with_good_signatures():
    rng = random.Random(1)
    parts = [b"0", b"1", b"12", b"1300000000", b"1299999999", b"a", b"dg==", b"", b"-1", b"x", b"|", b"1:0"]
    for _ in range(2000):
        fields = [field(rng.choice(parts)) for _ in range(rng.choice([3, 4, 4, 4, 4, 5]))]
        verdict(SECRET, "a", signed_2(*fields))
        pieces = [rng.choice(parts), rng.choice([b"1300000000", b"01300000000", *parts])]
        verdict(SECRET, "a", signed_1(*pieces))


def test_by_hypothesis():
    hypothesis = pytest.importorskip("hypothesis")
    strategies = pytest.importorskip("hypothesis.strategies")
    pieces = strategies.sampled_from([*TOKENS, b"a", b"dg==", b"1300000000"]) | strategies.binary(max_size=6)

    @hypothesis.settings(max_examples=300, deadline=None, derandomize=True, database=None)
    @hypothesis.given(strategies.lists(pieces, max_size=12).map(b"".join), strategies.booleans())
    def check(data, sign):
        verdict(SECRET, "a", data + web._create_signature_v2(SECRET, data) if sign else data)

    check()


def test_long_input_takes_linear_time():
    """Each of these takes well below a second where the work is linear, and for ever where it is not."""
    program = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
sys.set_int_max_str_digits(0)  # a program may have lifted the limit
from tornado_c import web
N = 3_000_000
for value in (b"9" * N + b"|a", b"|" * N, b"2|" * N, b"1:0|" * N, b"2|" + b"1:0|" * N, b"a" * N + b"|1|b",
              b"2|1:0|1:0|1:a|%d:" % N + b"A" * N + b"|", b"2|" + b"\\n" * N + b"|", b"2|" + b":" * N):
    assert web.decode_signed_value("s", "a", value) is None
    web.get_signature_key_version(value)
print("done")
"""
    assert run_alone(program).split() == ["done"]


# ---- cookies ----


def make_app(web, **settings):
    class Handler(web.RequestHandler):
        def get(self, what):
            if what == "set":
                self.set_signed_cookie("a", b"\xe9 v", path="/p", httponly=True)
                self.set_secure_cookie("b", "v", expires_days=None, version=1)
            elif what == "make":
                self.write(self.create_signed_value("a", "made", version=int(self.get_argument("version"))))
            elif what == "version":
                self.write(repr(self.get_signed_cookie_key_version("a", self.get_argument("value", None))))
            else:
                days = float(self.get_argument("days", "31"))
                version = self.get_argument("version", None)
                given = [self.get_argument("value", None), days, int(version) if version else None]
                self.write(repr((self.get_signed_cookie("a", *given), self.get_secure_cookie("b"))))

    return web.Application([("/(.*)", Handler)], **settings)


@pytest.mark.parametrize("secret", [SECRET, SECRET.encode(), KEYS], ids=["str", "bytes", "dict"])
def test_a_cookie_that_one_server_sets_the_other_reads(secret):
    settings = {"cookie_secret": secret, "key_version": 12}
    with (
        serving(make_app(BOTH[0].web, **settings)) as ours,
        serving(make_app(BOTH[1].web, **settings), BOTH[1]) as stock,
    ):
        versions = [2] if secret is KEYS else [1, 2]
        for one, other in ((ours, stock), (stock, ours)):
            for version in versions:
                value = body(one.exchange(request(f"/make?version={version}")))
                for server in (one, other):
                    cookie = [f"Cookie: a={value.decode()}"]
                    assert body(server.exchange(request("/get", headers=cookie))) == b"(b'made', None)"
                    assert body(server.exchange(request("/get?days=-1", headers=cookie))) == b"(None, None)"
                    by_argument = request("/get?value=" + value.decode().replace("=", "%3D"))
                    assert body(server.exchange(by_argument)) == b"(b'made', None)"
                    expected = b"12" if secret is KEYS else b"None" if version == 1 else b"0"
                    assert body(server.exchange(request("/version", headers=cookie))) == expected
                    if version == 1:
                        refused = server.exchange(request("/get?version=2", headers=cookie))
                        assert body(refused) == b"(None, None)"


def test_set_signed_cookie_sends_what_get_signed_cookie_reads(implementation):
    with serving(make_app(implementation.web, cookie_secret=SECRET), implementation) as server:
        head = server.exchange(request("/set")).decode()
        cookies = [line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("Set-Cookie")]
        first, second = sorted(cookies)
        assert first.startswith("a=2|1:0|10:") and "expires=" in first and "HttpOnly; Path=/p" in first
        assert second.startswith("b=") and second.endswith("; Path=/")
        sent = "; ".join(cookie.partition("; ")[0] for cookie in cookies)
        assert body(server.exchange(request("/get", headers=[f"Cookie: {sent}"]))) == b"(b'\\xe9 v', b'v')"


@pytest.mark.parametrize("settings", [{}, {"cookie_secret": ""}, {"cookie_secret": KEYS}], ids=str)
@pytest.mark.parametrize("path", ["/set", "/make?version=2", "/get", "/version"])
def test_missing_settings_have_the_same_answer(settings, path):
    said = []
    for side in BOTH:
        with collecting(), serving(make_app(side.web, **settings), side) as server:
            said.append(server.exchange(request(path)).partition(b"\r\n")[0])
    assert said[0] == said[1]


def test_the_errors_name_the_settings(serve):
    class Handler(web.RequestHandler):
        def get(self):
            for call in (self.set_signed_cookie, self.get_signed_cookie, self.get_signed_cookie_key_version):
                try:
                    call("a", "v")
                except Exception as exc:
                    self.write(f"{exc}\n")

    missing = "You must define the 'cookie_secret' setting in your application to use secure cookies\n"
    assert body(serve([("/", Handler)])("/")).decode() == missing * 3
    keys = body(serve([("/", Handler)], cookie_secret=KEYS)("/")).decode()
    assert keys == "key_version setting must be used for secret_key dicts\n"
