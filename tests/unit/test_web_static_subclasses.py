"""Subclasses of StaticFileHandler beside stock Tornado: each method that may be overridden, by anything."""

import datetime
import os

import pytest

from support.implementations import BOTH, OURS
from support.live_http import LiveServer, Overridden, serving
from support.web_servers import body, pair, request, same, without_date

TIME = 1_600_000_000
WHEN = datetime.datetime.fromtimestamp(TIME, datetime.UTC)
EAST = datetime.timezone(datetime.timedelta(hours=5))
CONTENT = b"0123456789" * 10


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("static")
    (root / "sub").mkdir()
    (root / "file.txt").write_bytes(CONTENT)
    (root / "sub" / "index.html").write_bytes(b"index")
    (root / "index.html").write_bytes(b"root index")
    for path in root.rglob("*.*"):
        os.utime(path, (TIME, TIME))
    return root


def make(web, root, **members):
    """An application with a subclass that has these members."""
    cls = type("Mine", (web.StaticFileHandler,), members)
    cls.reset()
    return web.Application([("/(.*)", cls, {"path": str(root)})])


ASKED = [
    *([], ["Range: bytes=5-14"], ["Range: bytes=-5"], ["Range: bytes=95-"], ["Range: bytes=500-"]),
    ["If-Modified-Since: Sun, 13 Sep 2020 12:26:40 GMT"],
    ["If-Modified-Since: Sun, 13 Sep 2020 12:26:39 GMT"],
    *(['If-None-Match: "mine"'], ["If-None-Match: *"]),
]


def check(root, members, compare):
    """The same answers and log lines from both; the same answers of ours by another way."""
    with pair(lambda web: make(web, root, **members(web))) as ask:
        app = ask.servers["ours"].app
        other = LiveServer(app, make=lambda: Overridden(app))
        try:
            for path in ("/file.txt", "/sub", "/missing", "/../x"):
                for headers in ASKED:
                    for method in ("GET", "HEAD"):
                        data = request(path, method, headers)
                        outcome = ask(data)
                        compare(outcome)
                        if compare is not roughly_same:
                            assert without_date(other.exchange(data)) == outcome["ours"][0]
        finally:
            other.stop()


def roughly_same(outcome):
    """The same status, and log lines of the same kind."""
    for side in outcome:
        answer, log = outcome[side]
        outcome[side] = answer.partition(b"\r\n")[0], [line[:2] for line in log]
    assert outcome["ours"] == outcome["stock"]


def pieces(abspath, start=None, end=None):
    whole = CONTENT[start:end]
    return (whole[at : at + 7] for at in range(0, len(whole), 7))


def constant(value):
    return lambda self, *args: value


SUBCLASSES = {
    "nothing": {},
    "content as bytes": {"get_content": classmethod(lambda cls, *args: b"".join(pieces(*args)))},
    "content as a generator": {"get_content": staticmethod(pieces)},
    "content as a list": {"get_content": classmethod(lambda cls, *args: list(pieces(*args)))},
    "content as str": {"get_content": classmethod(lambda cls, *args: b"".join(pieces(*args)).decode())},
    "content with empty pieces": {"get_content": classmethod(lambda cls, *args: [b"", *pieces(*args), b""])},
    "size of its own": {"get_content_size": constant(50), "get_content": staticmethod(pieces)},
    "type of its own": {"get_content_type": constant("x/y")},
    "no type": {"get_content_type": constant("")},
    "naive time": {"get_modified_time": constant(datetime.datetime(2020, 9, 13, 12, 26, 40, 5))},
    "aware time": {"get_modified_time": constant(WHEN.astimezone(EAST))},
    "no time": {"get_modified_time": constant(None)},
    "time as text": {"get_modified_time": constant("yesterday")},
    "its own etag": {"compute_etag": constant('"mine"')},
    "no etag": {"compute_etag": constant(None)},
    "etag as junk": {"compute_etag": constant(5.0)},
    "its own version": {"get_content_version": classmethod(lambda cls, abspath: "mine")},
    "no version": {"get_content_version": classmethod(lambda cls, abspath: None)},
    "failing version": {"get_content_version": classmethod(lambda cls, abspath: 1 / 0)},
    "cached version": {"_get_cached_version": classmethod(lambda cls, abspath: "mine")},
    "cache time": {"get_cache_time": constant(-5)},
    "cache time as text": {"get_cache_time": constant("5")},
    "its own path": {"get_absolute_path": classmethod(lambda cls, root, path: root + "/index.html")},
    "a path as junk": {"get_absolute_path": classmethod(lambda cls, root, path: None)},
    "a path as a list": {"get_absolute_path": classmethod(lambda cls, root, path: [root])},
    "parsed path": {"parse_url_path": lambda self, path: "sub/index.html"},
    "parsed path as junk": {"parse_url_path": constant(5)},
    "always 304": {"should_return_304": constant(True)},
    "never 304": {"should_return_304": constant(False)},
    "no validation": {"validate_absolute_path": lambda self, root, path: path},
    "nothing to serve": {"validate_absolute_path": lambda self, root, path: None},
    "refusing after validation": {},
    "another file than validated": {},
    "the one page": {},
    "stat of its own": {"_stat": lambda self: os.stat(self.absolute_path)},
    "size as None": {"get_content_size": constant(None)},
    "size as text": {"get_content_size": constant("100")},
    "size that raises": {"get_content_size": lambda self: 1 / 0},
    "negative size": {"get_content_size": constant(-1)},
    "size as float": {"get_content_size": constant(100.0)},
    "content as None": {"get_content": classmethod(lambda cls, *args: None)},
    "content as a number": {"get_content": classmethod(lambda cls, *args: 5)},
    "content as numbers": {"get_content": classmethod(lambda cls, *args: [5])},
    "content as bytearray": {"get_content": classmethod(lambda cls, *args: bytearray(b"x"))},
    "content that raises": {"get_content": classmethod(lambda cls, *args: 1 / 0)},
    "headers that raise": {"set_extra_headers": lambda self, path: 1 / 0},
    "bad header": {"set_extra_headers": lambda self, path: self.set_header("X", "a\nb")},
    "extra headers": {"set_extra_headers": lambda self, path: self.set_header("X", path)},
    "an early flush": {},
    "written before": {},
    "status of its own": {"set_extra_headers": lambda self, path: self.set_status(203)},
    "finished in between": {"set_extra_headers": lambda self, path: self.finish()},
    "refused in between": {},
}


def members_of(kind, web):
    if kind == "refusing after validation":

        def validate(self, root, path):
            web.StaticFileHandler.validate_absolute_path(self, root, path)
            raise web.HTTPError(410, "hidden")

        return {"validate_absolute_path": validate}
    if kind == "another file than validated":

        def validate(self, root, path):
            web.StaticFileHandler.validate_absolute_path(self, root, path)
            return os.path.join(root, "index.html")

        return {"validate_absolute_path": validate}
    if kind == "the one page":

        def validate(self, root, path):
            ours = web.StaticFileHandler.validate_absolute_path
            try:
                return ours(self, root, path)
            except web.HTTPError:
                return ours(self, root, os.path.join(root, "index.html"))

        return {"validate_absolute_path": validate}
    if kind == "written before":

        async def get(self, path, include_body=True):
            self.set_header("X-Before", path)
            await web.StaticFileHandler.get(self, path, include_body)

        return {"get": get, "head": lambda self, path: self.get(path, False)}
    if kind == "refused in between":

        def refuse(self, path):
            raise web.HTTPError(451, "not here")

        return {"set_extra_headers": refuse}
    if kind == "an early flush":

        async def get(self, path):
            self.set_header("Content-Length", "100")
            await self.flush()
            await web.StaticFileHandler.get(self, path)

        return {"get": get}
    return SUBCLASSES[kind]


#: What is raised for these, and how far the response has got, is not the same.
JUNK = {"a path as a list", "a path as junk", "time as text", "size of its own"}
#: What stock Tornado answers is a fault; see the tests below.
DIFFERENT = {"naive time", "no time", "another file than validated", "negative size"}


@pytest.mark.parametrize("kind", sorted(SUBCLASSES.keys() - DIFFERENT))
def test_subclass(root, kind):
    check(root, lambda web: members_of(kind, web), roughly_same if kind in JUNK else same)


@pytest.fixture
def ours(root, serve):
    """ours(members): a function that sends a request to a subclass of ours."""
    return lambda members: serve(make(OURS.web, root, **members))


def statuses(ask, *asked):
    return [int(ask("/file.txt", headers=headers).split()[1]) for headers in asked]


def test_time_without_zone(ours):
    """It is in UTC. Stock fails where it meets If-Modified-Since."""
    ask = ours(SUBCLASSES["naive time"])
    assert b"\r\nLast-Modified: Sun, 13 Sep 2020 12:26:40 GMT\r\n" in ask("/file.txt")
    then, before = ASKED[5], ASKED[6]
    assert "40 GMT" in then[0] and "39 GMT" in before[0]
    whole = {"get_modified_time": constant(WHEN.replace(tzinfo=None))}
    assert statuses(ours(whole), then, before) == [304, 200]
    part = "Range: bytes=1-2"
    if_range = ["If-Range" + each[0].partition("Since")[2] for each in (then, before)]
    assert statuses(ask, [part, if_range[0]], [part, if_range[1]]) == [206, 200]


def test_no_time(ours):
    """Stock fails where it meets If-Modified-Since."""
    ask = ours(SUBCLASSES["no time"])
    assert b"Last-Modified" not in ask("/file.txt")
    if_range = ["Range: bytes=1-2", "If-Range: Sun, 13 Sep 2020 12:26:40 GMT"]
    assert statuses(ask, ASKED[5], if_range) == [200, 200]


def test_another_file_than_validated(ours):
    """Size and time are those of the file that is sent. Stock mixes the two."""
    ask = ours(members_of("another file than validated", OURS.web))
    answer = ask("/file.txt")
    assert body(answer) == b"root index" and b"\r\nContent-Length: 10\r\n" in answer


def test_negative_size(ours):
    assert statuses(ours(SUBCLASSES["negative size"]), [], ["Range: bytes=1-"]) == [500, 416]


# ---- an initialize() that does not call ours ----


@pytest.mark.parametrize("members", [{}, {"allowed_symlink_directory": None}])
def test_initialize_that_sets_only_the_root(root, serve, members):
    class Mine(OURS.web.StaticFileHandler):
        def initialize(self, path):
            self.root = path

    ask = serve([("/(.*)", type("More", (Mine,), members), {"path": str(root)})])
    assert body(ask("/file.txt")) == CONTENT
    assert ask("/sub").startswith(b"HTTP/1.1 403 ") and ask("/../x").startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("implementation", BOTH, ids=repr)
def test_no_root(implementation):
    class Mine(implementation.web.StaticFileHandler):
        def initialize(self):
            pass

    with serving(implementation.web.Application([("/(.*)", Mine)]), implementation) as server:
        assert server.exchange(request("/file.txt")).startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize("implementation", BOTH, ids=repr)
def test_several_roots(root, tmp_path, implementation):
    """As Jupyter's FileFindHandler has them: under the class's lock; what is not found is an empty path."""
    web = implementation.web
    (tmp_path / "other.txt").write_bytes(b"other")

    class Finding(web.StaticFileHandler):
        def initialize(self, path):
            self.root = tuple(each + os.sep for each in path)
            self.default_filename = None

        def compute_etag(self):
            return None

        @classmethod
        def get_absolute_path(cls, roots, path):
            with cls._lock:
                for each in roots:
                    if os.path.exists(os.path.join(each, path)):
                        return os.path.abspath(os.path.join(each, path))
            return ""

        def validate_absolute_path(self, root, absolute_path):
            if not absolute_path:
                raise web.HTTPError(404)
            for each in self.root:
                if (absolute_path + os.sep).startswith(each):
                    root = each
            return super().validate_absolute_path(root, absolute_path)

    app = web.Application([("/(.*)", Finding, {"path": [str(root), str(tmp_path)]})])
    with serving(app, implementation) as server:
        assert body(server.exchange(request("/file.txt"))) == CONTENT
        assert body(server.exchange(request("/other.txt"))) == b"other"
        assert server.exchange(request("/missing")).startswith(b"HTTP/1.1 404 ")
        assert b"Etag" not in server.exchange(request("/other.txt"))


# ---- methods replaced at run time ----


def test_replaced_on_the_class_and_on_the_instance(root, serve, monkeypatch):
    class Mine(OURS.web.StaticFileHandler):
        def prepare(self):
            if self.get_argument("replaced", None):
                self.get_content = lambda abspath, start, end: b"replaced on it"
                self.get_content_size = lambda: 14

    ask = serve([("/(.*)", Mine, {"path": str(root)})])
    assert body(ask("/file.txt?replaced=1")) == b"replaced on it"
    assert body(ask("/file.txt")) == CONTENT
    monkeypatch.setattr(OURS.web.StaticFileHandler, "get_content", staticmethod(pieces))
    monkeypatch.setattr(OURS.web.StaticFileHandler, "get_content_size", constant(50))
    assert body(ask("/file.txt", headers=["Range: bytes=10-19"])) == CONTENT[10:20]


def test_write_and_flush_of_its_own(root, serve):
    """The content passes through them."""

    class Mine(OURS.web.StaticFileHandler):
        def write(self, chunk):
            super().write(chunk.replace(b"1", b"x"))

    class Flushing(OURS.web.StaticFileHandler):
        def flush(self, include_footers=False):
            self.require_setting("flushed")
            return super().flush(include_footers)

    rules = [(f"/{cls.__name__}/(.*)", cls, {"path": str(root)}) for cls in (Mine, Flushing)]
    ask = serve(rules, flushed=True)
    assert body(ask("/Mine/file.txt")) == CONTENT.replace(b"1", b"x")
    assert body(ask("/Flushing/file.txt")) == CONTENT


def test_head_that_calls_get(root, serve):
    """With the body, as code of old did: the body is dropped."""

    class Mine(OURS.web.StaticFileHandler):
        def head(self, path):
            return self.get(path)

    answer = serve([("/(.*)", Mine, {"path": str(root)})])("/file.txt", "HEAD")
    assert b"\r\nContent-Length: 100\r\n" in answer and not body(answer)


def test_iterator_that_raises_half_way(root, serve):
    """The response is cut short, and the iterator is closed."""
    closed = []

    class Mine(OURS.web.StaticFileHandler):
        @classmethod
        def get_content(cls, abspath, start=None, end=None):
            try:
                yield CONTENT[:50]
                raise ValueError("mine")
            finally:
                closed.append(abspath)

    answer = serve([("/(.*)", Mine, {"path": str(root)})])("/file.txt", close=False)
    assert body(answer) == CONTENT[:50] and b"\r\nContent-Length: 100\r\n" in answer
    assert closed


def test_transforms_see_the_body(root, serve):
    class Upper(OURS.web.OutputTransform):
        def transform_chunk(self, chunk, finishing):
            return chunk.replace(b"1", b"x")

        def transform_first_chunk(self, status_code, headers, chunk, finishing):
            return status_code, headers, self.transform_chunk(chunk, finishing)

    class HeadOnly(OURS.web.OutputTransform):
        def transform_first_chunk(self, status_code, headers, chunk, finishing):
            headers["X-Seen"] = str(len(chunk))
            return status_code, headers, chunk

    rules = [("/(.*)", OURS.web.StaticFileHandler, {"path": str(root)})]
    assert body(serve(rules, transforms=[Upper])("/file.txt")) == CONTENT.replace(b"1", b"x")
    answer = serve(rules, transforms=[HeadOnly])("/file.txt")
    assert body(answer) == CONTENT and b"\r\nX-Seen: 100\r\n" in answer
    answer = serve(rules, transforms=[OURS.web.OutputTransform])("/file.txt")
    assert body(answer) == CONTENT
