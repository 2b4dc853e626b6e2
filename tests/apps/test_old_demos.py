"""The demos of Tornado 2.4.1 and 4.5.3 under `python -m tornado_c --generation 4`, driven as a user would.

They go through 2to3. What that leaves stands in EDITS, for what is gone from the world there are stand-ins.
"""

import asyncio
import json
import os
import re
import shutil
import threading
from pathlib import Path

import pytest

from support import old_tornado
from support.app_servers import linked_pages, run_to_end, running, stop
from support.children import PROGRAMS
from support.live_ws import hang_up

pytestmark = pytest.mark.apps
requests = pytest.importorskip("requests")
VERSIONS = ["2.4.1", "4.5.3"]

#: Bytes and text are one in Python 2.
EDITS = {
    "2.4.1": {
        "chat/chatdemo.py": {
            'self.render_string("message.html", message=message)': (
                'tornado.escape.to_basestring(self.render_string("message.html", message=message))'
            )
        },
        "websocket/chatdemo.py": {
            'self.render_string("message.html", message=chat)': (
                'tornado.escape.to_basestring(self.render_string("message.html", message=chat))'
            )
        },
        "blog/blog.py": {'"ascii", "ignore")': '"ascii", "ignore").decode()'},
        "s3server/s3server.py": {"escape.utf8(name)": "name", '"r")': '"rb")', '"w")': '"wb")'},
    },
    "4.5.3": {
        "blog/blog.py": {'"ascii", "ignore")': '"ascii", "ignore").decode()'},
        "s3server/s3server.py": {"escape.utf8(name)": "name", '"w")': '"wb")'},
    },
}


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture
def demos(version, tmp_path):
    """The folder of a version's demos, a copy."""
    try:
        source = old_tornado.fetch(version)
    except old_tornado.Unavailable as reason:
        pytest.skip(str(reason))
    folder = Path(shutil.copytree(source / "demos", tmp_path / "demos"))
    for name, edits in EDITS[version].items():
        text = (folder / name).read_text()
        for old, new in edits.items():
            assert old in text, (name, old)
            text = text.replace(old, new)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def serve(demos, tmp_path):
    """Runs one of them that serves."""

    def start(name, *options, **settings):
        file = demos / name
        arguments = ["--generation", "4", str(PROGRAMS / "old_demo.py"), file.name, *options]
        return running(tmp_path, *arguments, cwd=file.parent, **settings)

    return start


def run(demos, name, *arguments):
    """The output of one that ends."""
    file = demos / name
    return run_to_end("--generation", "4", file.name, *arguments, cwd=file.parent)


def only(version, *versions):
    if version not in versions:
        pytest.skip(f"Tornado {version} has another")


def test_helloworld(serve):
    with serve("helloworld/helloworld.py", "--port=PORT") as (process, url):
        assert requests.get(url).text == "Hello, world"
        stop(process)


def test_chat(serve):
    """A user who waits for messages gets what another one posts, in either page."""
    with serve("chat/chatdemo.py", "--port=PORT") as (process, url):
        ann, bob = requests.Session(), requests.Session()
        for user in (ann, bob):
            page = user.get(url)  # 2.4.1's has us log in first
            assert "Tornado Chat Demo" in page.text and "/static/chat.js?v=" in page.text
            for static in re.findall(r'"(/static/[^"]+)"', page.text):
                assert user.get(url + static).status_code == 200
        xsrf = [{"_xsrf": user.cookies["_xsrf"]} for user in (ann, bob)]
        assert ann.post(url + "/a/message/new", data={"body": "no token"}).status_code == 403
        with pytest.raises(requests.Timeout):  # a waiter that leaves
            ann.post(url + "/a/message/updates", data=xsrf[0], timeout=0.5)
        updates = []
        waiting = threading.Thread(
            target=lambda: updates.append(bob.post(url + "/a/message/updates", data=xsrf[1], timeout=30))
        )
        waiting.start()
        cursor = None
        while not updates:  # until one comes while he waits
            sent = ann.post(url + "/a/message/new", data={"body": "hello <b>", **xsrf[0]}).json()
            cursor = cursor or sent["id"]
            waiting.join(0.2)
        (message,) = updates[0].json()["messages"]
        assert "hello &lt;b&gt;" in message["html"]
        ann.post(url + "/a/message/new", data={"body": "one more", **xsrf[0]})
        missed = bob.post(url + "/a/message/updates", data={"cursor": cursor, **xsrf[1]}, timeout=30)
        assert "one more" in missed.json()["messages"][-1]["html"]
        posted = ann.post(url + "/a/message/new", data={"body": "by form", "next": "/", **xsrf[0]})
        assert posted.history[0].status_code == 302 and "by form" in posted.text
        stop(process)


def test_auth(version, demos, serve):
    only(version, "2.4.1")
    with serve("auth/authdemo.py", "--port=PORT") as (process, url):
        user = requests.Session()
        page = user.get(url)
        assert [step.headers["Location"] for step in page.history][0] == "/auth/login?next=%2F"
        assert page.text.startswith("Hello, Ann Bell")
        assert user.get(url).history == []
        assert "logged out" in user.get(url + "/auth/logout").text
        assert user.get(url, allow_redirects=False).status_code == 302
        user.cookies.set("user", "forged|1|2")
        assert user.get(url, allow_redirects=False).status_code == 302
        stop(process)


def test_blog(version, demos, serve):
    with serve("blog/blog.py", "--port=PORT") as (process, url):
        author, reader = requests.Session(), requests.Session()
        if version == "4.5.3":
            page = author.get(url)
            assert page.url.endswith("/auth/create")
            who = {"email": "a@example.com", "name": "Ann", "password": "secret"}
            author.post(url + "/auth/create", data={**who, "_xsrf": author.cookies["_xsrf"]})
            author.get(url + "/auth/logout")
            login = {**who, "password": "wrong", "_xsrf": author.cookies["_xsrf"]}
            assert "incorrect password" in author.post(url + "/auth/login", data=login).text
            page = author.post(url + "/auth/login?next=/compose", data={**login, "password": "secret"})
        else:
            page = author.get(url)
        assert page.url.endswith("/compose") or "/compose" in page.text
        entry = {
            "title": "A  first Entry!",
            "markdown": "with <em>text</em>",
            "_xsrf": author.cookies["_xsrf"],
        }
        posted = author.post(url + "/compose", data=entry)
        assert posted.url == url + "/entry/a-first-entry"
        assert "<p>with <em>text</em></p>" in reader.get(posted.url).text
        assert "A  first Entry!" in reader.get(url).text
        assert reader.get(url + "/entry/none").status_code == 404
        assert "a-first-entry" in reader.get(url + "/archive").text
        feed = reader.get(url + "/feed")
        assert feed.headers["Content-Type"] == "application/atom+xml" and "2012-01-02T03:04:05Z" in feed.text
        stop(process)


def test_websocket(demos, serve):
    websocket = pytest.importorskip("tornado.websocket")

    async def chat(url):
        clients = [await websocket.websocket_connect(url) for _ in range(2)]
        await clients[0].write_message(json.dumps({"body": "hello"}))
        messages = [await asyncio.wait_for(client.read_message(), 30) for client in clients]
        await hang_up(*clients)
        return [json.loads(message) for message in messages]

    with serve("websocket/chatdemo.py", "--port=PORT") as (process, url):
        assert "Tornado Chat Demo" in requests.get(url).text
        for message in asyncio.run(chat(url.replace("http", "ws") + "/chatsocket")):
            assert "hello" in message["html"]
        stop(process)


def test_s3server(demos, serve, tmp_path):
    start = "\nimport sys; start(int(sys.argv[1]), 'files', 1 * (sys.argv[2] == 'deep'))\n"
    file = demos / "s3server" / "s3server.py"
    file.write_text(file.read_text().replace("md5(object_name)", "md5(object_name.encode())") + start)
    for depth in ("flat", "deep"):
        with serve("s3server/s3server.py", "PORT", depth) as (process, url):
            assert requests.put(url + "/bucket/").status_code == 200
            assert requests.put(url + "/bucket/").status_code == 403
            data = os.urandom(100_000)
            assert requests.put(url + "/bucket/a%20key", data=data).status_code == 200
            got = requests.get(url + "/bucket/a%20key")
            assert got.content == data and got.headers["Content-Type"] == "application/unknown"
            listed = requests.get(url + "/bucket/").text
            assert "<Key>a key</Key>" in listed and "<Size>100000</Size>" in listed
            assert "<Name>bucket</Name>" in requests.get(url + "/").text
            assert requests.get(url + "/bucket/none").status_code == 404
            assert requests.delete(url + "/bucket/a%20key").status_code == 204
            stop(process)
        shutil.rmtree(file.parent / "files")


def test_benchmarks(version, demos):
    """They measure; here it matters that they come to their end."""
    said = run(demos, "benchmark/template_benchmark.py", "--num=2")
    assert "template" in said or "ms" in said or said.strip()
    if version == "4.5.3":
        said = run(demos, "benchmark/gen_benchmark.py", "--num=10")
        assert "engine: " in said and "coroutine: " in said


def test_file_upload(version, demos, serve, tmp_path):
    only(version, "4.5.3")
    size = 1_000_000_000
    with open(tmp_path / "big.bin", "wb") as file:
        file.truncate(size)
    small = tmp_path / "small.bin"
    small.write_bytes(os.urandom(3_000_000))
    with serve("file_upload/file_receiver.py", port=8888) as (process, url):
        for options in ([small], ["--put", small]):
            assert "code=200" in run(demos, "file_upload/file_uploader.py", *options)
        file_server = (demos / "file_upload" / "file_receiver.py").read_text()
        assert "max_body_size" not in file_server
        stop(process)
    receiver = demos / "file_upload" / "file_receiver.py"
    receiver.write_text(
        file_server.replace("app.listen(8888)", f"app.listen(8888, max_body_size={2 * size})")
    )
    with serve("file_upload/file_receiver.py", port=8888) as (process, url):
        with open(tmp_path / "big.bin", "rb") as file:
            assert requests.put(url + "/big", data=file).text == "OK"
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        assert int(peak[1]) < 200_000
        stop(process)
    assert f'PUT "big" "None" {size} bytes' in (tmp_path / "log").read_text()


def test_tcpecho(version, demos, serve):
    only(version, "4.5.3")
    with serve("tcpecho/server.py", "--port=PORT") as (process, url):
        said = run(demos, "tcpecho/client.py", f"--port={url.rpartition(':')[2]}", "--message=hello there")
        assert "Response from server" in said and "hello there" in said
        stop(process)


def test_webspider(version, demos, tmp_path):
    only(version, "4.5.3")
    file = demos / "webspider" / "webspider.py"
    with linked_pages(tmp_path) as base:
        file.write_text(re.sub("base_url = '.*'", f"base_url = {base!r}", file.read_text()))
        assert "fetched 21 URLs" in run(demos, "webspider/webspider.py")
