"""The files that are served: descriptors, files that change, slow and fast clients, versions."""

import hashlib
import os
import re
import threading

import pytest

from support.children import run_alone
from support.implementations import BOTH, OURS
from support.iostream_tls_tools import client_context, server_context
from support.live_http import LiveServer, Overridden, serving, wait_for
from support.web_servers import body, request

LARGE = 40_000_000  # bytes: more than the buffers of both ends hold
web = OURS.web


@pytest.fixture
def root(tmp_path):
    (tmp_path / "small.txt").write_bytes(b"0123456789")
    (tmp_path / "text.txt").write_bytes(b"text " * 100_000)
    with open(tmp_path / "large.bin", "wb") as file:
        file.truncate(LARGE)
        file.seek(LARGE - 3)
        file.write(b"end")
    web.StaticFileHandler.reset()
    yield tmp_path
    web.StaticFileHandler.reset()


class NoVersions(web.StaticFileHandler):
    """Its files need not be hashed."""

    def compute_etag(self):
        return None


class InPython(NoVersions):
    """Its content passes through Python."""

    @classmethod
    def get_content(cls, abspath, start=None, end=None):
        return super().get_content(abspath, start, end)


def application(root, cls=NoVersions, **settings):
    return web.Application([("/(.*)", cls, {"path": str(root)})], **settings)


def opened(root):
    """The files of the folder that this process has open."""
    found = []
    for each in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{each}")
        except OSError:
            continue
        if target.startswith(str(root)):
            found.append(target)
    return found


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")

# ---- descriptors ----

REQUESTS = {
    "whole": request("/small.txt"),
    "part": request("/small.txt", headers=["Range: bytes=1-4"]),
    "HEAD": request("/small.txt", "HEAD"),
    "304": request("/small.txt", headers=["If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT"]),
    "416": request("/small.txt", headers=["Range: bytes=20-"]),
    "compressed": request("/text.txt", headers=["Accept-Encoding: gzip"]),
    "pipelined": request("/small.txt", close=False) * 5 + request("/large.bin"),
    "405": request("/small.txt", "POST", ["Content-Length: 0"]),
}
WAYS = ["native", "overridden", "tls"]


def server_of(way, app, certificates):
    if way == "tls":
        return LiveServer(app, ssl_options=server_context(certificates))
    return LiveServer(app, make=(lambda: Overridden(app)) if way == "overridden" else None)


def connect(server, way, certificates, receive_buffer=0):
    client = server.connect()
    if way == "tls":
        context = client_context(certificates)
        client.sock = context.wrap_socket(client.sock, server_hostname="localhost")
    return client


@needs_proc
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", REQUESTS)
def test_no_descriptor_is_left(root, kind, way, certificates):
    server = server_of(way, application(root, web.StaticFileHandler, gzip=True), certificates)
    try:
        for _ in range(3):
            with connect(server, way, certificates) as client:
                assert client.send(REQUESTS[kind]).rest()
            server.settle()
            assert opened(root) == []
    finally:
        server.stop()


@needs_proc
@pytest.mark.parametrize("way", WAYS)
def test_a_client_that_leaves(root, way, certificates):
    """The file is open while it is sent, and no longer."""
    server = server_of(way, application(root), certificates)
    try:
        for _ in range(3):
            client = connect(server, way, certificates)
            client.send(request("/large.bin")).until(b"\r\n\r\n")
            wait_for(lambda: opened(root))
            client.reset()
            wait_for(lambda: not opened(root))
        assert body(server.exchange(request("/small.txt"))) == b"0123456789" or way == "tls"
    finally:
        server.stop()


@needs_proc
def test_errors_leave_no_descriptor(root):
    class Hiding(web.StaticFileHandler):
        def validate_absolute_path(self, root, absolute_path):
            super().validate_absolute_path(root, absolute_path)
            raise web.HTTPError(404)

    class Failing(web.StaticFileHandler):
        kept = []

        def set_extra_headers(self, path):
            raise ValueError("mine")

        def log_exception(self, *info):
            self.kept.append(info)  # as an error tracker does

    for cls in (Hiding, Failing):
        with serving(application(root, cls)) as server:
            for _ in range(3):
                assert re.match(rb"HTTP/1.1 (404|500) ", server.exchange(request("/small.txt")))
            assert opened(root) == []
    assert Failing.kept


# ---- files that change ----


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_is_cut_short(root, way, certificates):
    """The connection ends: the response must not look complete."""
    server = server_of(way, application(root), certificates)
    try:
        with connect(server, way, certificates) as client:
            client.send(request("/large.bin", close=False))
            head = client.until(b"\r\n\r\n")
            assert b"\r\nContent-Length: %d\r\n" % LARGE in head
            os.truncate(root / "large.bin", 1000)
            assert len(client.rest()) < LARGE
        with connect(server, way, certificates) as client:
            assert body(client.send(request("/small.txt")).rest()) == b"0123456789"
    finally:
        server.stop()


def test_a_file_that_is_replaced(root):
    """What was begun is sent to its end."""
    with serving(application(root)) as server, server.connect() as client:
        client.send(request("/large.bin"))
        client.until(b"\r\n\r\n")
        (root / "new").write_bytes(b"new")
        os.replace(root / "new", root / "large.bin")
        data = client.rest()
        assert len(data) == LARGE and data.endswith(b"end")
        assert body(server.exchange(request("/large.bin"))) == b"new"


@pytest.mark.parametrize("cls", [NoVersions, InPython])
def test_what_is_swapped_in_is_not_waited_for(root, cls, monkeypatch):
    """A FIFO in the place of a file that was looked at."""
    from tornado_c._web import static_files

    seen = os.stat(root / "small.txt")
    os.unlink(root / "small.txt")
    os.mkfifo(root / "small.txt")
    with serving(application(root, cls)) as server:
        assert server.exchange(request("/small.txt")).startswith(b"HTTP/1.1 403 ")
        monkeypatch.setattr(static_files, "stat_file", lambda *args: seen)
        assert re.match(rb"HTTP/1.1 (403|500) ", server.exchange(request("/small.txt")))


def test_an_unreadable_file(root):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    os.chmod(root / "small.txt", 0)
    with serving(application(root)) as server:
        assert server.exchange(request("/small.txt")).startswith(b"HTTP/1.1 500 ")


# ---- slow and fast clients ----


@pytest.mark.parametrize("way", ["native", "overridden"])
def test_a_slow_reader_holds_back_the_content(root, way, certificates):
    """Of an endless content no more is asked for than what the buffers take."""
    given = []

    class Endless(NoVersions):
        def get_content_size(self):
            return 1 << 40

        @classmethod
        def get_content(cls, abspath, start=None, end=None):
            while True:
                given.append(len(given))
                yield bytes(100_000)

    server = server_of(way, application(root, Endless), certificates)
    try:
        with server.connect() as client:
            client.send(request("/small.txt")).until(b"\r\n\r\n")
            before = -1
            while before != len(given):
                before = len(given)
                for _ in range(20):
                    server.settle()
            assert before < 500
            client.exactly(20_000_000)
            wait_for(lambda: len(given) > before)
    finally:
        server.stop()


@pytest.mark.parametrize("cls", [web.StaticFileHandler, InPython])
@pytest.mark.parametrize("way", ["native", "overridden"])
def test_a_fast_reader_does_not_hold_the_loop(root, way, cls, certificates):
    """Others are served before the last of a content that is taken as fast as it comes."""
    served = threading.Event()

    class Long(NoVersions):
        def get_content_size(self):
            return 1 << 40

        @classmethod
        def get_content(cls, abspath, start=None, end=None):
            for _ in range(100_000):
                if served.is_set():
                    return
                yield bytes(10)

    class Other(web.RequestHandler):
        def get(self):
            served.set()

    app = web.Application([("/long/(.*)", Long, {"path": str(root)}), ("/other", Other)])
    server = server_of(way, app, certificates)
    try:
        with server.connect() as client:
            reader = threading.Thread(target=lambda: client.send(request("/long/small.txt")).rest())
            reader.start()
            server.exchange(request("/other"))
            reader.join(20)
            assert served.is_set() and not reader.is_alive()
    finally:
        server.stop()


def test_small_requests_beside_a_large_file(root):
    """A response of many megabytes to a client that reads, while another asks."""
    with serving(application(root)) as server, server.connect() as large, server.connect() as small:
        large.send(request("/large.bin"))
        reader = threading.Thread(target=large.rest)
        reader.start()
        for _ in range(20):
            head, got = small.send(request("/small.txt", close=False)).answer()
            assert got == b"0123456789"
        reader.join(20)
        assert not reader.is_alive()


# ---- versions ----


def test_versions_in_threads(root):
    """Each thread sees the right one; nothing is lost, and the bound is kept."""

    class Bounded(web.StaticFileHandler):
        MAX_CACHED_VERSIONS = 10

    Bounded.reset()
    expected = {}
    for n in range(30):
        (root / f"{n}.txt").write_bytes(b"%d" % n)
        expected[f"{n}.txt"] = hashlib.sha512(b"%d" % n).hexdigest()
    bad = []

    def look(shift):
        for n in range(600):
            name = f"{(n * 7 + shift) % 30}.txt"
            if Bounded.get_version({"static_path": str(root)}, name) != expected[name]:
                bad.append(name)
            if n % 100 == 99:
                Bounded.reset()

    threads = [threading.Thread(target=look, args=(n,)) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not bad and len(Bounded._static_hashes) <= 10


def test_a_large_file_is_hashed_in_a_thread(root, monkeypatch):
    """The loop serves others meanwhile, and requests for the same file wait for the one hash."""
    gate, begun, threads = threading.Event(), threading.Event(), []

    class Other(web.RequestHandler):
        def get(self):
            gate.set()

    monkeypatch.setattr(hashlib, "sha512", lambda: Slow(hashlib.new("sha512")))

    class Slow:
        def __init__(self, digest):
            threads.append(threading.current_thread())
            begun.set()
            assert gate.wait(20)
            self.update, self.hexdigest = digest.update, digest.hexdigest

    app = web.Application([("/other", Other), ("/(.*)", web.StaticFileHandler, {"path": str(root)})])
    with serving(app) as server, server.connect() as first, server.connect() as second:
        for client in (first, second):
            client.send(request("/large.bin", "HEAD", close=False))
        assert begun.wait(20)
        server.settle()
        server.exchange(request("/other"))
        heads = [client.answer(head_only=True)[0] for client in (first, second)]
        etags = {re.search(rb'\r\nEtag: "(\w+)"', head)[1] for head in heads}
        assert etags == {hashlib.new("sha512", (root / "large.bin").read_bytes()).hexdigest().encode()}
        assert len(threads) == 1 and server.thread not in threads


def test_reset_during_a_hash(root):
    """What was read before is not kept."""

    class Resetting(web.StaticFileHandler):
        @classmethod
        def get_content_version(cls, abspath):
            cls.reset()
            return "old"

    assert Resetting.get_version({"static_path": str(root)}, "small.txt") == "old"
    assert not Resetting._static_hashes


@pytest.mark.parametrize("implementation", BOTH, ids=repr)
def test_hash_cache_that_is_off(root, implementation):
    """Each request sees the file as it is."""
    handler = implementation.web.StaticFileHandler

    class Urls(implementation.web.RequestHandler):
        def get(self):
            versions = [self.static_url("small.txt"), handler.get_version(self.settings, "small.txt")]
            self.write(" ".join(versions))

    handler.reset()
    for off, count in ({}, 1), ({"static_hash_cache": True}, 1), ({"static_hash_cache": False}, 3), (None, 1):
        more = {"debug": True, "autoreload": False, "static_hash_cache": True} if off is None else off
        app = implementation.web.Application([("/", Urls)], static_path=str(root), **more)
        with serving(app, implementation) as server:
            seen = set()
            for n in range(3):
                (root / "small.txt").write_bytes(b"%d" % n)
                seen.add(body(server.exchange(request("/"))))
            assert len(seen) == count
            assert all(each.partition(b"?v=")[2].split()[0] == each.split()[1] for each in seen)
    handler.reset()


FORKING = """
import os, sys, threading
from tornado_c.web import StaticFileHandler as Handler

held, over = threading.Event(), threading.Event()

def hold():
    with Handler._lock:
        held.set()
        over.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    os._exit(0 if Handler.get_version({"static_path": sys.argv[1]}, "small.txt") else 1)
over.set()
thread.join()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_fork(root):
    """A child that was forked while another thread held the lock looks up versions."""
    run_alone(FORKING, str(root))
