"""Servers of other people under `python -m tornado_c`, used as their users do."""

import asyncio
import base64
import json

import pytest

from support.app_servers import running
from support.live_ws import hang_up

pytestmark = pytest.mark.apps

requests = pytest.importorskip("requests")


async def evaluate(url, kernel, code):
    """What a kernel makes of some code, over its WebSocket, as a notebook asks for it."""
    websocket = pytest.importorskip("tornado.websocket")
    header = {"msg_id": "1", "msg_type": "execute_request", "username": "", "session": "s", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
    channels = f"{url.replace('http', 'ws')}/api/kernels/{kernel}/channels?session_id=s&token=secret"
    connection = await websocket.websocket_connect(channels)
    await connection.write_message(
        json.dumps(
            {
                "header": {**header, "date": ""},
                "parent_header": {},
                "metadata": {},
                "content": {**content, "allow_stdin": False},
                "channel": "shell",
            }
        )
    )
    while True:
        message = json.loads(await asyncio.wait_for(connection.read_message(), 60))
        if message["msg_type"] == "execute_result":
            await hang_up(connection)
            return message["content"]["data"]["text/plain"]


def test_jupyter_server(tmp_path):
    pytest.importorskip("jupyter_server")
    pytest.importorskip("ipykernel")
    folders = {f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "RUNTIME", "DATA")}
    folders["IPYTHONDIR"] = str(tmp_path / "ipython")
    root = tmp_path / "root"
    root.mkdir()
    settings = ["--port=PORT", "--IdentityProvider.token=secret", "--no-browser", "--allow-root"]
    command = ["jupyter_server", *settings, f"--ServerApp.root_dir={root}"]
    data = bytes(range(256)) * 20_000
    with running(tmp_path, "-m", *command, **folders) as (process, url):
        session = requests.Session()
        session.headers["Authorization"] = "token secret"
        assert requests.get(url + "/api/contents").status_code == 403
        upload = {"type": "file", "format": "base64", "content": base64.b64encode(data).decode()}
        done = session.put(url + "/api/contents/data.bin", json=upload)
        assert (done.status_code, done.json()["size"]) == (201, len(data))
        assert session.get(url + "/files/data.bin").content == data
        part = session.get(url + "/files/data.bin", headers={"Range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, data[100:200])
        assert part.headers["Content-Range"] == f"bytes 100-199/{len(data)}"
        assert session.get(url + "/static/favicon.ico").content.startswith(b"\0\0\1\0")
        assert session.get(url + "/nothing").status_code == 404
        browser = requests.Session()
        assert browser.post(url + "/login", data={"password": "secret"}).status_code == 403
        browser.get(url + "/login").raise_for_status()
        form = {"password": "secret", "_xsrf": browser.cookies["_xsrf"]}
        assert browser.post(url + "/login?next=/api/status", data=form).json()["kernels"] == 0
        assert browser.get(url + "/api/contents").json()["type"] == "directory"
        kernel = session.post(url + "/api/kernels", json={"name": "python3"}).json()["id"]
        assert asyncio.run(evaluate(url, kernel, "1+1")) == "2"
        assert session.delete(f"{url}/api/kernels/{kernel}").status_code == 204
        assert session.post(url + "/api/shutdown").status_code == 200
        assert process.wait(60) == 0


TASKS = """
from celery import Celery

app = Celery("tasks", broker="memory://", backend="cache+memory://")


@app.task
def add(x, y):
    return x + y
"""


def test_flower(tmp_path):
    pytest.importorskip("flower")
    (tmp_path / "tasks.py").write_text(TASKS)
    command = [
        "celery",
        "-A",
        "tasks",
        "flower",
        "--port=PORT",
        "--address=127.0.0.1",
        "--basic_auth=user:word",
    ]
    with running(tmp_path, "-m", *command, FLOWER_UNAUTHENTICATED_API="true") as (
        process,
        url,
    ):
        assert requests.get(url + "/workers").status_code == 401
        session = requests.Session()
        session.auth = ("user", "word")
        assert "<html" in session.get(url + "/workers").text
        assert "flower_" in session.get(url + "/metrics").text
        script = session.get(url + "/static/js/flower.js")
        assert len(script.content) > 10_000 and script.headers["Etag"]
        again = session.get(url + "/static/js/flower.js", headers={"If-None-Match": script.headers["Etag"]})
        assert again.status_code == 304
        assert session.get(url + "/nothing").status_code == 404
        assert session.get(url + "/api/task/types").json() == {"task-types": []}
        task = session.post(url + "/api/task/async-apply/tasks.add", json={"args": [1, 2]}).json()
        assert task["state"] == "PENDING" and task["task-id"]
        process.terminate()
        assert process.wait(60) == 0
