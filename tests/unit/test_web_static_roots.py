"""Static files below a root that is a symbolic link, lies behind one or is relative, as in deployments, and
parts of files, beside stock Tornado: what is kept of a file must not outlive a switch to another release.
"""

import contextlib
import errno
import itertools
import os
import pathlib
import random
import threading
import time

import pytest

from support.children import run_alone
from support.implementations import OURS
from support.live_http import serving
from support.web_servers import body, pair, request, same
from tornado_c._web import static

TIME = 1_600_000_000
CONTENT = b"0123456789"


def write(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    os.utime(file, (TIME, TIME))


@pytest.fixture
def base(tmp_path, monkeypatch):
    """Two releases and ``current``, in which the process is."""
    for release in ("1", "2"):
        write(tmp_path / "releases" / release / "static" / "a.txt", CONTENT + release.encode())
        write(tmp_path / "releases" / release / "static" / "sub" / "b.js", b"x" * int(release))
    first, second = (tmp_path / "releases" / release / "static" for release in "12")
    (first / "out").symlink_to(second / "a.txt")
    (first / "in").symlink_to("a.txt")
    (tmp_path / "current").symlink_to("releases/1")
    (tmp_path / "linked").symlink_to("current/static")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def switch(base, release):
    """As deployments do it."""
    (base / "next").symlink_to(f"releases/{release}")
    os.replace(base / "next", base / "current")


@contextlib.contextmanager
def serving_pair(*roots):
    """Each root under its number."""

    def make_app(web):
        web.StaticFileHandler.reset()
        rules = [(f"/{n}/(.*)", web.StaticFileHandler, {"path": root}) for n, root in enumerate(roots)]
        return web.Application(rules)

    with pair(make_app) as ask:
        yield ask


ROOTS = {
    "real": "{base}/releases/1/static",
    "behind a link": "{base}/current/static",
    "a link": "{base}/linked",
    "with a slash": "{base}/linked/",
    "two slashes": "/{base}/linked",
    "dots": "{base}/./releases/../current//static",
    "dots behind a link": "{base}/linked/../linked",
    "relative": "releases/1/static",
    "relative behind a link": "current/static",
    "relative with dots": "./nowhere/../linked/.",
    "above": "../{name}/current/static",
    "here": ".",
    "nothing": "",
}
PATHS = ("a.txt", "sub/b.js", "in", "out", "missing", "sub", "../a.txt", "current/static/a.txt")


def root_of(base, kind, way=str):
    return way(ROOTS[kind].format(base=base, name=base.name))


CHANGES = {
    "another release": lambda base: switch(base, "2"),
    "the release is moved": lambda base: (os.rename("releases/1", "releases/old"), switch(base, "old")),
    "the release is moved, and a new one": lambda base: (
        (os.rename("releases/1", "releases/old"), os.rename("releases/2", "releases/1")),
        switch(base, "old"),
    ),
    "in another folder": lambda base: os.chdir(base / "releases"),
    "where the same is another": lambda base: (
        (base / "elsewhere").mkdir(),
        (base / "elsewhere" / "releases").symlink_to(base / "releases"),
        (base / "elsewhere" / "current").symlink_to(base / "releases" / "2"),
        (base / "elsewhere" / "linked").symlink_to(base / "releases" / "2" / "static"),
        os.chdir(base / "elsewhere"),
    ),
    "a folder in place of the link": lambda base: (
        os.unlink("current"),
        write(base / "current" / "static" / "a.txt", b"mine"),
    ),
    "the link is gone": lambda base: os.unlink("current"),
    "a loop": lambda base: (os.unlink("current"), os.symlink("current", "current")),
    "the file is a link to another release": lambda base: (
        os.unlink("releases/1/static/a.txt"),
        os.symlink(base / "releases" / "2" / "static" / "a.txt", "releases/1/static/a.txt"),
    ),
    "the same file, linked": lambda base: (
        os.unlink("releases/2/static/a.txt"),
        os.symlink(base / "releases" / "1" / "static" / "a.txt", "releases/2/static/a.txt"),
        switch(base, "2"),
    ),
}


@pytest.mark.parametrize("way", [str, pathlib.Path])
@pytest.mark.parametrize("kind", CHANGES)
def test_a_root_leads_elsewhere(base, kind, way):
    with serving_pair(*(root_of(base, each, way) for each in ROOTS)) as ask:

        def look():
            for n, path in itertools.product(range(len(ROOTS)), PATHS):
                same(ask(request(f"/{n}/{path}")))

        look()
        look()
        CHANGES[kind](base)
        look()
        look()


@pytest.mark.parametrize("way", [str, pathlib.Path])
@pytest.mark.parametrize("kind", [each for each in ROOTS if each not in ("here", "nothing")])
@pytest.mark.parametrize("headers", [[], ["Range: bytes=2-3"], ["Range: bytes=-3"]], ids=str)
def test_a_file_is_found_once(base, kind, way, headers, monkeypatch):
    found, find = [], static._find_file
    monkeypatch.setattr(static, "_find_file", lambda *args: found.append(args[1]) or find(*args))
    monkeypatch.setattr(static, "_choose_part", lambda *args: found.append("part"))
    rules = [("/(.*)", OURS.web.StaticFileHandler, {"path": root_of(base, kind, way)})]
    with serving(OURS.web.Application(rules), OURS) as server:
        assert body(server.exchange(request("/a.txt"))) == CONTENT + b"1"
        for _ in range(3):
            server.exchange(request("/a.txt", headers=headers))
        assert found == ["a.txt"]
        switch(base, "2")
        switched = "current" in ROOTS[kind] or "linked" in ROOTS[kind]
        assert body(server.exchange(request("/a.txt"))) == CONTENT + (b"2" if switched else b"1")


def test_ranges(base):
    rnd = random.Random(5)
    numbers = ("", "0", "1", "5", "10", "11", "12", "007", "9" * 18, "9" * 19, "9" * 40)
    numbers += ("-1", "+1", " 1", "\u00b2")
    forms = ("bytes={}-{}",) * 3 + ("bytes = {} - {} ", "Bytes={}-{}", "bytes={}-{},1-2")
    forms += ("bytes={}{}", "{}-{}", "bytes=={}-{}", "bytes={}-{}-", "items={}-{}")
    others = ["If-None-Match: x", "If-Modified-Since: x", "Range: bytes=1-1", "range: bytes=0-", "X: y"]
    with serving_pair(root_of(base, "a link")) as ask:
        etag = ask(request("/0/a.txt"))["stock"][0].partition(b"Etag: ")[2].partition(b"\r\n")[0].decode()
        others.append(f"If-None-Match: {etag}")
        for _ in range(300):
            asked = rnd.choice(forms).format(rnd.choice(numbers), rnd.choice(numbers))
            headers = [f"Range: {asked}", *rnd.choices(others, k=rnd.choice((0, 0, 1)))]
            rnd.shuffle(headers)
            same(ask(request("/0/a.txt", rnd.choice(("GET", "GET", "HEAD")), headers)))


@pytest.mark.parametrize("known", ["{}", '"x"', "W/{}", " {} ", ""])
def test_a_part_of_what_the_client_has(base, known):
    rules = [("/(.*)", OURS.web.StaticFileHandler, {"path": "linked"})]
    with serving(OURS.web.Application(rules), OURS) as server:
        etag = server.exchange(request("/a.txt")).partition(b"Etag: ")[2].partition(b"\r\n")[0].decode()
        headers = ["Range: bytes=2-3", "If-Range: " + known.format(etag)]
        for _ in range(3):
            answer = body(server.exchange(request("/a.txt", headers=headers)))
            assert answer == (CONTENT[2:4] if known.strip() == "{}" else CONTENT + b"1")


@pytest.mark.parametrize("member", ["set_status", "set_header", "set_extra_headers", "prepare"])
def test_parts_with_methods_of_its_own(base, member):
    def make_app(web):
        class Mine(web.StaticFileHandler):
            def note(self, *args):
                self.notes = [*getattr(self, "notes", ()), ",".join(map(str, args))]

            def set_status(self, *args):
                super().set_status(*args)
                if member == "set_status":
                    self.note(*args)
                    self.add_header("X-Status", self.notes[-1])

            def set_header(self, name, value):
                super().set_header(name, value)
                if member == "set_header" and name != "X-Set":
                    self.note(name)
                    super().set_header("X-Set", " ".join(self.notes))

            def set_extra_headers(self, path):
                if member == "set_extra_headers":
                    self.set_header("Etag", '"mine"')

            def prepare(self):
                if member == "prepare":
                    self.request.headers["Range"] = "bytes=4-5"

        for each in ("set_status", "set_header", "set_extra_headers", "prepare"):
            if each != member:
                delattr(Mine, each)
        Mine.reset()
        return web.Application([("/(.*)", Mine, {"path": str(base / "current" / "static")})])

    with pair(make_app) as ask:
        for headers in ([], ["Range: bytes=1-3"], ["Range: bytes=1-99"], ["Range: bytes=0-"], ["Range: x"]):
            for _ in range(3):
                same(ask(request("/a.txt", headers=headers)))


NAMES = ("a", "b", "sub", "..", ".", "", "link", "%2e%2e", "%2f", "..%2f..", "\\", "~", "%ff", "..a", "...")


def change_at_random(rnd, folder, outside):
    """Makes, moves, replaces or removes something in the folder."""
    places = [folder / name for name in ("a", "b", "link", "sub", "sub/a", "sub/link")]
    place, other = rnd.sample(places, 2)
    targets = (*places, outside, outside / "a", pathlib.Path("a"), pathlib.Path(".."), pathlib.Path("link"))
    with contextlib.suppress(OSError):
        action = rnd.choice(("write", "write", "write", "link", "link", "move", "remove", "mkdir"))
        if action == "move":
            os.replace(place, other)
        elif action == "mkdir":
            place.mkdir()
        else:
            if place.is_dir() and not place.is_symlink():
                place.rmdir()
            place.unlink(missing_ok=True)
            if action == "write":
                write(place, rnd.choice((b"", b"one", b"another")))
            elif action == "link":
                place.symlink_to(rnd.choice(targets))


@pytest.mark.parametrize("seed", range(4))
def test_random_paths_in_a_tree_that_changes(base, seed):
    rnd = random.Random(seed)
    folder, outside = base / "releases" / "1" / "static", base / "outside"
    write(outside / "a", b"secret")
    for name in ("a", "b", "sub/a"):
        write(folder / name, b"first")
    kinds = ("real", "behind a link", "relative", "relative with dots", "here")
    roots = [root_of(base, kind) for kind in kinds]

    def make_app(web):
        class Mine(web.StaticFileHandler):
            @classmethod
            def get_content_version(cls, abspath):  # else it says what the file was
                return abspath.replace(str(base), "")

        Mine.reset()
        return web.Application([(f"/{n}/(.*)", Mine, {"path": root}) for n, root in enumerate(roots)])

    with pair(make_app) as ask:
        for _ in range(60):
            change_at_random(rnd, folder, outside)
            names = [rnd.choices(NAMES, k=rnd.choice((1, 1, 2, 3))) for _ in range(3)]
            for path in ("a", "sub/a", "link", *map("/".join, names)):
                headers = rnd.choice(([], [], ["Range: bytes=1-2"], ["Range: bytes=-1"]))
                same(ask(request(f"/{rnd.randrange(len(roots))}/{path}", headers=headers)))


def test_a_link_that_is_switched_all_the_time(base):
    """Each response is that of one release or the other, head and body."""
    for release, length in (("1", 1000), ("2", 70_000)):
        write(base / "releases" / release / "static" / "a.txt", release.encode() * length)
        os.utime(base / "releases" / release / "static" / "a.txt", (TIME, TIME + int(release) * 60))
    ended = threading.Event()

    def keep_switching():
        for release in itertools.cycle("21"):
            switch(base, release)
            if ended.wait(0.0005):
                return

    rules = [("/(.*)", OURS.web.StaticFileHandler, {"path": str(base / "current" / "static")})]
    OURS.web.StaticFileHandler.reset()
    with serving(OURS.web.Application(rules), OURS) as server:
        thread = threading.Thread(target=keep_switching)
        thread.start()
        try:
            seen = {}
            end = time.monotonic() + 20
            while len(seen) < 2 or sum(seen.values()) < 400:
                assert time.monotonic() < end or len(seen) == 2
                answer = server.exchange(request("/a.txt"))
                if answer.startswith(b"HTTP/1.1 403 "):
                    continue  # it was switched between the two looks that the check takes
                content = body(answer)
                assert content in (b"1" * 1000, b"2" * 70_000)
                assert f"Content-Length: {len(content)}\r\n".encode() in answer
                assert (b"12:27:40" if content[:1] == b"1" else b"12:28:40") in answer
                seen[content[:1]] = seen.get(content[:1], 0) + 1
        finally:
            ended.set()
            thread.join()


WITHOUT_OPENAT2 = """
import ctypes, os, struct, sys
from support.implementations import OURS
from support.live_http import serving
from support.web_servers import body, request

# A filter, as containers have it: openat2 fails with this errno.
load, jump, give = 0x20, 0x15, 0x06
steps = [(load, 0, 0, 0), (jump, 0, 1, 437)]
steps += [(give, 0, 0, 0x50000 | int(sys.argv[2])), (give, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
libc = ctypes.CDLL(None, use_errno=True)
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
os.chdir(sys.argv[1])
roots = ("linked", "current/static")
rules = [(f"/{root}/(.*)", OURS.web.StaticFileHandler, {"path": root}) for root in roots]
with serving(OURS.web.Application(rules), OURS) as server:
    def look(content):
        for root in roots:
            for _ in range(3):
                assert body(server.exchange(request(f"/{root}/a.txt"))) == content
                assert server.exchange(request(f"/{root}/out")).startswith(b"HTTP/1.1 403 ")
    look(b"01234567891")
    os.symlink("releases/2", "next")
    os.replace("next", "current")
    os.symlink("../../1/static/a.txt", "releases/2/static/out")
    look(b"01234567892")
print("alive")
"""


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM], ids=errno.errorcode.get)
def test_where_the_system_call_is_missing(base, error):
    assert run_alone(WITHOUT_OPENAT2, str(base), str(error)).endswith("alive\n")
