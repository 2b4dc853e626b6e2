"""A static file that was served before, when something has changed: as if nothing had been kept of it, beside
stock Tornado.
"""

import hashlib
import mimetypes
import os

import pytest

from support.children import run_alone
from support.implementations import BOTH, OURS
from support.live_http import serving
from support.web_servers import body, pair, request, same
from tornado_c import _core

TIME = 1_600_000_000
CONTENT = b"0123456789"
VERSION = hashlib.sha512(CONTENT).hexdigest()


def fill(folder):
    folder.mkdir()
    (folder / "sub").mkdir()
    for name in ("a.txt", "sub/a.txt", "index.html", "noext", "x.gz", "UP.TXT"):
        (folder / name).write_bytes(CONTENT)
        os.utime(folder / name, (TIME, TIME))
    return folder


@pytest.fixture
def root(tmp_path):
    fill(tmp_path / "other")
    return fill(tmp_path / "root")


PATHS = ("/a.txt", "/a.txt?v=1", "/sub/a.txt", "/noext", "/x.gz", "/UP.TXT", "/missing", "/sub")
ASKED = (
    *([], ["Range: bytes=1-2"], ["If-None-Match: *"], ["If-Modified-Since: Sun, 13 Sep 2020 12:26:40 GMT"]),
    *(["Range: bytes=0-"], ["If-Modified-Since: Sun, 13 Sep 2020 12:26:39 GMT"]),
    *([f'If-None-Match: {before}"{VERSION}"{after}'] for before in ("", "W/") for after in ("", ', "x"')),
    [f'If-None-Match: "{VERSION}"', "If-Modified-Since: Sun, 13 Sep 2020 12:26:39 GMT", "Range: bytes=1-2"],
    [f'If-None-Match: "{VERSION}"', 'If-None-Match: "x"'],
)


def compare(root, change, settings=None, members=None):
    """The same responses before the change, with what was kept, and after it."""
    classes = []

    def make_app(web):
        cls = type("Mine", (web.StaticFileHandler,), dict(members(web)) if members else {})
        cls.reset()
        classes.append(cls)
        return web.Application([("/(.*)", cls, {"path": str(root)} | (settings or {}))])

    def look(ask):
        for path in PATHS:
            for headers in ASKED:
                for method in ("GET", "HEAD"):
                    outcome = ask(request(path, method, headers))
                    for side, (answer, log) in outcome.items():
                        lines = answer.split(b"\r\n")
                        outcome[side] = [each for each in lines if not each.startswith(b"Expires:")], log
                    same(outcome)

    with pair(make_app) as ask:
        look(ask)
        look(ask)
        for cls in classes:
            change(cls)
        look(ask)
        look(ask)


def once(action):
    """A change that is not the classes'."""
    done = []
    return lambda cls: done or done.append(action())


FILES = {
    "longer": lambda file, root: file.write_bytes(CONTENT * 2),
    "later": lambda file, root: os.utime(file, (TIME + 100, TIME + 100)),
    "before 1970": lambda file, root: os.utime(file, (-100, -100)),
    "gone": lambda file, root: file.unlink(),
    "a folder": lambda file, root: (file.unlink(), file.mkdir()),
    "a pipe": lambda file, root: (file.unlink(), os.mkfifo(file)),
    "a link to a neighbour": lambda file, root: (file.unlink(), file.symlink_to(root / "index.html")),
    "a link out": lambda file, root: (file.unlink(), file.symlink_to(root.parent / "other" / "a.txt")),
    "a link to a device": lambda file, root: (file.unlink(), file.symlink_to("/dev/zero")),
    "another file": lambda file, root: os.replace(root.parent / "other" / "a.txt", file),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("name", ["a.txt", "sub/a.txt"])
def test_the_file_has_changed(root, kind, name):
    compare(root, once(lambda: FILES[kind](root / name, root)))


def test_a_folder_on_the_way_is_a_link_now(root):
    def change():
        (root / "sub").rename(root / "moved")
        (root / "sub").symlink_to(root.parent / "other")

    compare(root, once(change))


def test_the_root_is_a_link_now(root):
    def change():
        root.rename(root.parent / "moved")
        root.symlink_to(root.parent / "other")

    compare(root, once(change))


TYPES = {
    "added": lambda: mimetypes.add_type("x/new", ".txt"),
    "deleted": lambda: mimetypes.types_map.pop(".txt"),
    "of no suffix": lambda: mimetypes.add_type("x/none", ""),
    "an encoding": lambda: mimetypes.encodings_map.update({".txt": "gzip"}),
    "another suffix": lambda: mimetypes.suffix_map.update({".txt": ".html"}),
    "in capitals": lambda: mimetypes.add_type("x/up", ".TXT"),
    "read anew": lambda: mimetypes.init([]),
    "replaced": lambda: setattr(mimetypes, "guess_type", lambda path: ("x/mine", None)),
}


@pytest.mark.parametrize("kind", TYPES)
def test_types_have_changed(root, kind, monkeypatch):
    monkeypatch.setattr(mimetypes, "guess_type", mimetypes.guess_type)
    monkeypatch.setattr(mimetypes, "inited", mimetypes.inited)
    try:
        compare(root, once(TYPES[kind]))
    finally:
        monkeypatch.undo()
        mimetypes.init()


def constant(value):
    return lambda self, *args: value


def refuse(self, *args):
    raise ValueError("mine")


METHODS = {
    "compute_etag": constant('"mine"'),
    "get_absolute_path": classmethod(lambda cls, root, path: os.path.join(root, "index.html")),
    "get_cache_time": constant(5),
    "get_content": classmethod(lambda cls, *args: CONTENT[:2]),
    "get_content_size": constant(2),
    "get_content_type": constant("x/y"),
    "get_modified_time": constant(None),
    "parse_url_path": constant("index.html"),
    "set_extra_headers": lambda self, path: self.set_header("X-Path", path),
    "set_headers": lambda self: self.set_header("X-Own", self.path),
    "should_return_304": constant(True),
    "validate_absolute_path": refuse,
    "_get_cached_version": classmethod(lambda cls, path: "mine"),
    "_stat": lambda self: os.stat(self.absolute_path),
    "set_header": lambda self, name, value: None,
    "set_etag_header": constant(None),
    "check_etag_header": constant(True),
    "_convert_header_value": constant("mine"),
    "CACHE_MAX_AGE": 7,
}
#: Stock fails for If-Modified-Since and a time that is None; half a content is cut short elsewhere.
DIFFERENT = {"get_modified_time", "get_content", "get_content_size", "set_header", "_convert_header_value"}


@pytest.mark.parametrize("name", sorted(METHODS.keys() - DIFFERENT))
def test_a_method_of_the_class_was_replaced(root, name):
    compare(root, lambda cls: setattr(cls, name, METHODS[name]))


@pytest.mark.parametrize("name", sorted(METHODS.keys() - DIFFERENT - {"CACHE_MAX_AGE"}))
def test_a_method_of_the_instance_was_replaced(root, name):
    replaced = []

    def members(web):
        def prepare(self):
            if replaced:
                method = METHODS[name]
                setattr(self, name, method.__get__(self, type(self)))

        return {"prepare": prepare}

    compare(root, once(lambda: replaced.append(1)), members=members)


def test_an_etag_of_its_own_that_is_set_last(root):
    def members(web):
        return {"set_extra_headers": lambda self, path: self.set_header("Etag", '"mine"')}

    compare(root, lambda cls: None, members=members)


@pytest.mark.parametrize("version", ["mine", 'a"b', "a, b", '" "', "\u00fc", "", None])
def test_versions_were_replaced(root, version):
    def change(cls):
        cls._static_hashes = {str(root / "a.txt"): version}

    compare(root, change)


def test_versions_were_forgotten(root):
    compare(root, lambda cls: ((root / "a.txt").write_bytes(b"mine"), cls.reset()))


def test_attributes_of_the_handler(root):
    """Those that a method may look at are there when it is called, and later."""
    seen = []

    def members(web):
        def look(self, path):
            self.set_header("X-Seen", repr((self.path, self.modified, self.absolute_path, path)))
            self.set_header("X-Size", self.get_content_size())

        def on_finish(self):
            seen.append((self.path, self.get_content_size()))

        return {"set_extra_headers": look, "on_finish": on_finish}

    compare(root, lambda cls: None, members=members)
    assert seen.count(("a.txt", len(CONTENT))) > 10


def test_a_file_that_is_refused_late_is_closed(root, serve):
    class Mine(OURS.web.StaticFileHandler):
        def set_extra_headers(self, path):
            if self.get_argument("refuse", None):
                raise OURS.web.HTTPError(451)

    ask = serve([("/(.*)", Mine, {"path": str(root)})])
    assert body(ask("/a.txt")) == CONTENT
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        assert ask("/a.txt?refuse=1").startswith(b"HTTP/1.1 451 ")
    assert len(os.listdir("/proc/self/fd")) <= before + 1


@pytest.mark.parametrize("implementation", BOTH, ids=repr)
def test_the_least_recently_used_version_goes_first(root, implementation):
    class Mine(implementation.web.StaticFileHandler):
        MAX_CACHED_VERSIONS = 2

    Mine.reset()
    with serving(
        implementation.web.Application([("/(.*)", Mine, {"path": str(root)})]), implementation
    ) as server:
        for path in ("/a.txt", "/noext", "/noext", "/a.txt", "/a.txt", "/index.html"):
            assert body(server.exchange(request(path))) == CONTENT
    assert [os.path.basename(path) for path in Mine._static_hashes] == ["a.txt", "index.html"]


def test_two_folders_with_files_of_one_name(root, serve):
    (root.parent / "other" / "a.txt").write_bytes(b"other")
    folders = {name: {"path": str(root.parent / name)} for name in ("root", "other")}
    ask = serve([(f"/{name}/(.*)", OURS.web.StaticFileHandler, args) for name, args in folders.items()])
    for _ in range(3):
        assert body(ask("/root/a.txt")) == CONTENT and body(ask("/other/a.txt")) == b"other"


def test_links_that_are_allowed_later(root, serve):
    """What is kept is of the folder; whose links are allowed is asked each time."""
    (root / "link").symlink_to(root.parent / "other" / "a.txt")
    allowed = []

    class Mine(OURS.web.StaticFileHandler):
        def prepare(self):
            self.allowed_symlink_directory = allowed or None

    ask = serve([("/(.*)", Mine, {"path": str(root)})])
    for _ in range(2):
        assert ask("/link").startswith(b"HTTP/1.1 403 ") and body(ask("/a.txt")) == CONTENT
    allowed.append(str(root.parent / "other"))
    assert body(ask("/link")) == CONTENT and ask("/a.txt").startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "at, wrong",
    [(0, 5), (1, b"a"), (2, None), (3, 5), (3, ("a", b"a")), (4, 5), (5, "x"), (6, ()), (6, None)],
)
def test_what_cannot_be_kept(at, wrong):
    types = ("text/plain", ".txt", "text/plain", vars(mimetypes), mimetypes.guess_type)
    when = OURS.web.datetime.datetime.fromtimestamp(TIME, OURS.web.datetime.UTC)
    arguments = ["/no", "a.txt", "/no/a.txt", None, when, TIME, types]
    _core.remember_static_file(*arguments)
    arguments[at] = wrong
    with pytest.raises(TypeError):
        _core.remember_static_file(*arguments)


def test_the_facts_are_bounded(root, serve):
    ask = serve([("/(.*)", OURS.web.StaticFileHandler, {"path": str(root)})])
    assert body(ask("/a.txt")) == CONTENT
    types = ("text/plain", ".txt", "text/plain", vars(mimetypes), mimetypes.guess_type)
    when = OURS.web.datetime.datetime.fromtimestamp(TIME, OURS.web.datetime.UTC)
    for n in range(3000):
        _core.remember_static_file(str(root), f"{n}", f"{root}/{n}", None, when, TIME, types)
        _core.remember_static_file(f"/no/{n}", "a", f"/no/{n}/a", None, when, TIME, types)
    for _ in range(3):
        assert body(ask("/a.txt")) == CONTENT


def test_what_is_not_a_handler():
    for handler in (None, 5, OURS.web.RequestHandler, object()):
        assert _core.serve_static_file(handler, "a.txt", True) is None


HOSTILE = """
import contextlib, gc, mimetypes, socket, sys
from support.live_http import LiveServer
from support.web_servers import request
from tornado_c import _core, web

root = sys.argv[1]
actions = {
    "request": lambda self: setattr(self, "request", None),
    "headers": lambda self: setattr(self, "_headers", {}),
    "no headers": lambda self: delattr(self, "_headers"),
    "transforms": lambda self: setattr(self, "_transforms", 5),
    "buffer": lambda self: setattr(self, "_write_buffer", [b"x"]),
    "file": lambda self: self._static_file.close(),
    "another file": lambda self: setattr(self, "_static_file", 5),
    "path": lambda self: vars(self).clear(),
    "versions": lambda self: setattr(type(self), "_static_hashes", None),
    "no versions": lambda self: type(self)._static_hashes.clear(),
    "connection": lambda self: self.request.connection.close(),
    "stream": lambda self: self.request.connection.detach().close(),
    "finished": lambda self: self.finish(b"mine"),
    "again": lambda self: _core.serve_static_file(self, "a.txt", True),
    "class": lambda self: setattr(self, "__class__", web.StaticFileHandler),
    "facts": lambda self: forget(),
    "collected": lambda self: gc.collect(),
}

def forget():
    types = ("text/plain", ".txt", "text/plain", vars(mimetypes), mimetypes.guess_type)
    for n in range(1100):
        when = web.datetime.datetime.fromtimestamp(n, web.datetime.UTC)
        _core.remember_static_file(root, f"{n}", f"/no/{n}", None, when, n, types)

class Key(str):
    def __hash__(self):
        return hash(str(self))
    def __eq__(self, other):
        mimetypes.types_map, mimetypes.suffix_map, mimetypes.encodings_map = {}, {}, {}
        Late._static_hashes = {}
        forget()
        gc.collect()
        return False

class Mine(web.StaticFileHandler):
    action = None
    def act(self, *args):
        if Mine.action:
            actions[Mine.action](self)

class Late(Mine):
    set_extra_headers = Mine.act

class Early(Mine):
    def get_content_type(self):
        self.act()
        return "x/y"

class Timed(Mine):
    def get_cache_time(self, *args):
        self.act()
        return 5

rules = [(f"/{cls.__name__}/(.*)", cls, {"path": root}) for cls in (Late, Early, Timed)]
def talk(data):
    with socket.create_connection(server.address, timeout=0.3) as sock, contextlib.suppress(OSError):
        sock.sendall(data)
        while sock.recv(1000):
            pass
    server.settle()

server = LiveServer(web.Application(rules, log_function=lambda handler: None))
for cls in (Late, Early, Timed):
    for action in actions:
        for headers in ([], ["Range: bytes=1-2"]):
            cls._static_hashes = {}
            for Mine.action in (None, None, action):
                talk(request(f"/{cls.__name__}/a.txt", headers=headers))
Mine.action, Late._static_hashes = None, {}
saved = mimetypes.types_map, mimetypes.suffix_map, mimetypes.encodings_map
for name in ("types_map", "suffix_map", "encodings_map"):
    for _ in range(3):
        assert server.exchange(request("/Late/a.txt")).endswith(b"0123456789")
    mimetypes.types_map, mimetypes.suffix_map, mimetypes.encodings_map = map(dict, saved)
    for _ in range(3):
        talk(request("/Late/a.txt"))
    hostile = {Key(".txt"): "x"}
    setattr(mimetypes, name, hostile)
    del hostile
    talk(request("/Late/a.txt"))
    mimetypes.types_map, mimetypes.suffix_map, mimetypes.encodings_map = map(dict, saved)
for value in (5, {Key(root + "/a.txt"): "x"}, {root + "/a.txt": 5}, {root + "/a.txt": "a\\nb"}):
    Late._static_hashes = value
    talk(request("/Late/a.txt"))
Late._static_hashes = {}
assert server.exchange(request("/Late/a.txt")).endswith(b"0123456789")
server.stop()
print("alive")
"""


def test_whatever_is_done_in_between(root):
    assert run_alone(HOSTILE, str(root)).endswith("alive\n")
