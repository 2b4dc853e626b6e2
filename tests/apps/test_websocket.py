"""Other people's programs that speak WebSocket, under `python -m tornado_c`, used as their users do."""

import asyncio
import json
import subprocess
import sys

import pytest

from support.app_servers import ENVIRONMENT, running
from support.children import PROGRAMS
from support.live_ws import hang_up, live

pytestmark = pytest.mark.apps


@pytest.mark.parametrize(
    "program, packages",
    [
        ("ws_socketio.py", ["socketio", "aiohttp"]),
        ("ws_sockjs.py", ["sockjs.tornado"]),
        ("ws_terminado.py", ["terminado"]),
        ("ws_webagg.py", ["matplotlib"]),
        ("ws_panel.py", ["panel", "requests"]),
        ("ws_ipykernel.py", ["ipykernel", "jupyter_client"]),
        ("ws_dask.py ws", ["distributed"]),
        ("ws_dask.py wss", ["distributed", "cryptography"]),
        ("ws_peers.py", ["aiohttp", "picows", "websockets", "wsproto"]),
    ],
)
def test_program(tmp_path, program, packages):
    for package in packages:
        pytest.importorskip(package)
    name, *arguments = program.split()
    done = subprocess.run(
        [sys.executable, "-m", "tornado_c", PROGRAMS / name, *arguments],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    assert "finished" in done.stdout and "Traceback" not in done.stdout, done.stdout


def echo(implementation):
    class Echo(implementation.websocket.WebSocketHandler):
        def get_compression_options(self):
            return {}

        def select_subprotocol(self, names):
            return names[0] if names else None

        def check_origin(self, origin):
            return True

        def on_message(self, message):
            self.write_message(message, binary=isinstance(message, bytes))

    class Page(implementation.web.RequestHandler):
        def get(self):
            self.write("a page behind the proxy")

    return [("/echo", Echo), ("/page", Page)]


def test_jupyter_with_a_terminal_and_a_proxy(tmp_path):
    """jupyter-server-proxy's handlers are WebSocketHandlers, and its clients WebSocketClientConnections."""
    for package in ("jupyter_server_terminals", "jupyter_server_proxy"):
        pytest.importorskip(package)
    requests, websocket = pytest.importorskip("requests"), pytest.importorskip("tornado.websocket")
    folders = {f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "RUNTIME", "DATA")}
    settings = ["--port=PORT", "--IdentityProvider.token=secret", "--no-browser", "--allow-root"]

    async def terminal(url):
        connection = await websocket.websocket_connect(url)
        connection.write_message(json.dumps(["stdin", "echo $((6 * 7))five\r"]))
        said = ""
        while "42five" not in said:
            kind, *part = json.loads(await asyncio.wait_for(connection.read_message(), 30))
            said += part[0] if kind == "stdout" else ""
        await hang_up(connection)

    async def proxied(url):
        connection = await websocket.websocket_connect(url, subprotocols=["one", "two"])
        assert connection.selected_subprotocol == "one"
        for message in ("hello", "\u00e4" * 50_000, b"\x00\xff" * 1000):
            await connection.write_message(message, binary=isinstance(message, bytes))
            assert await asyncio.wait_for(connection.read_message(), 30) == message
        connection.close(4000, "bye")
        assert await connection.read_message() is None

    with (
        live(echo) as server,
        running(tmp_path, "-m", "jupyter_server", *settings, **folders) as (process, url),
    ):
        session = requests.Session()
        session.headers["Authorization"] = "token secret"
        ws = url.replace("http", "ws")
        name = session.post(url + "/api/terminals").json()["name"]
        asyncio.run(terminal(f"{ws}/terminals/websocket/{name}?token=secret"))
        assert session.get(f"{url}/proxy/{server.port}/page").text == "a page behind the proxy"
        asyncio.run(proxied(f"{ws}/proxy/{server.port}/echo?token=secret"))
        assert session.post(url + "/api/shutdown").status_code == 200
        assert process.wait(60) == 0
