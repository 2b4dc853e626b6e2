"""The demos of Tornado's repository, unchanged, under `python -m tornado_c`: those that need nothing else.

They are in no package: TORNADO_DEMOS names their folder, `demos` of github.com/tornadoweb/tornado.
"""

import asyncio
import json
import os
import re
import threading
from pathlib import Path

import pytest

from support.app_servers import linked_pages, run_to_end, running, stop
from support.live_ws import hang_up

pytestmark = pytest.mark.apps

requests = pytest.importorskip("requests")
DEMOS = Path(os.environ.get("TORNADO_DEMOS", "/nowhere"))
if not (DEMOS / "helloworld").is_dir():
    pytest.skip("TORNADO_DEMOS does not name the folder of Tornado's demos", allow_module_level=True)


def run(folder, *arguments):
    return run_to_end(*arguments, cwd=DEMOS / folder)


def test_helloworld(tmp_path):
    with running(tmp_path, "helloworld.py", "--port=PORT", cwd=DEMOS / "helloworld") as (process, url):
        assert requests.get(url).text == "Hello, world"
        stop(process)


def test_chat(tmp_path):
    with running(tmp_path, "chatdemo.py", "--port=PORT", "--debug=false", cwd=DEMOS / "chat") as (
        process,
        url,
    ):
        session = requests.Session()
        page = session.get(url).text
        for static in re.findall(r'"(/static/[^"]+)"', page):
            assert session.get(url + static).status_code == 200
        xsrf = {"_xsrf": session.cookies["_xsrf"]}
        assert session.post(url + "/a/message/new", data={"body": "hello"}).status_code == 403
        with pytest.raises(requests.Timeout):
            session.post(url + "/a/message/updates", data=xsrf, timeout=0.5)
        updates = []

        def wait():
            answer = requests.post(url + "/a/message/updates", data=xsrf, cookies=xsrf, timeout=30)
            updates.extend(answer.json()["messages"])

        thread = threading.Thread(target=wait)
        thread.start()
        assert session.post(url + "/a/message/new", data={"body": "hello <b>", **xsrf}).json()["id"]
        thread.join(30)
        assert "hello &lt;b&gt;" in updates[0]["html"]
        stop(process)


def test_websocket(tmp_path):
    websocket = pytest.importorskip("tornado.websocket")
    program = tmp_path / "chatdemo.py"  # the demo forgets an import
    text = (DEMOS / "websocket" / "chatdemo.py").read_text()
    program.write_text(text.replace("import tornado\n", "import tornado\nimport tornado.websocket\n"))
    for name in ("static", "templates"):
        (tmp_path / name).symlink_to(DEMOS / "websocket" / name)

    async def chat(url):
        first, second = [await websocket.websocket_connect(url) for _ in range(2)]
        await first.write_message(json.dumps({"body": "hello"}))
        messages = [await asyncio.wait_for(each.read_message(), 30) for each in (first, second)]
        await hang_up(first, second)
        return map(json.loads, messages)

    with running(tmp_path, str(program), "--port=PORT") as (process, url):
        assert "Tornado Chat Demo" in requests.get(url).text
        for message in asyncio.run(chat(url.replace("http", "ws") + "/chatsocket")):
            assert "hello" in message["html"]
        stop(process)


def test_file_upload(tmp_path):
    data = os.urandom(3_000_000)
    (tmp_path / "big.bin").write_bytes(data)
    with running(tmp_path, "file_receiver.py", cwd=DEMOS / "file_upload", port=8888) as (process, url):
        for options in ([], ["--put"]):
            assert "code=200" in run("file_upload", "file_uploader.py", *options, tmp_path / "big.bin")
        assert requests.put(url + "/a%20name", data=data).text == "OK"
        stop(process)
    log = (tmp_path / "log").read_text()
    assert log.count(f"{len(data)}") >= 3, log


def test_tcpecho(tmp_path):
    with running(tmp_path, "server.py", "--port=PORT", cwd=DEMOS / "tcpecho") as (process, url):
        said = run("tcpecho", "client.py", f"--port={url.rpartition(':')[2]}", "--message=hello there")
        assert "Response from server" in said and "hello there" in said
        stop(process)


def test_facebook(tmp_path):
    command = ["facebook.py", "--port=PORT", "--facebook_api_key=k", "--facebook_secret=s"]
    with running(tmp_path, *command, cwd=DEMOS / "facebook") as (process, url):
        page = requests.get(url, allow_redirects=False)
        assert (page.status_code, page.headers["Location"]) == (302, "/auth/login?next=%2F")
        login = requests.get(url + "/auth/login", allow_redirects=False)
        assert login.headers["Location"].startswith("https://www.facebook.com/")
        stop(process)


def test_webspider(tmp_path):
    with linked_pages(tmp_path) as base:
        text = (DEMOS / "webspider" / "webspider.py").read_text()
        (tmp_path / "webspider.py").write_text(re.sub('base_url = ".*"', f"base_url = {base!r}", text))
        assert "fetched 21 URLs" in run("webspider", tmp_path / "webspider.py")
