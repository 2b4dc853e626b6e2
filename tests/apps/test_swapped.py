"""Applications that are written for Tornado, run unchanged over tornado_c: as a program of
`python -m tornado_c`, and after install() under asyncio's own loop."""

import os
import subprocess
import sys

import pytest

from support.children import ROOT

pytestmark = pytest.mark.apps


DASK = """
import asyncio
import sys
import tornado.iostream
from distributed import Client, LocalCluster
from distributed.security import Security

assert tornado.iostream.__name__ == "tornado_c.iostream"

async def main():
    settings = dict(n_workers=2, processes=False, asynchronous=True, dashboard_address=None)
    if sys.argv[1] == "tls":
        settings.update(protocol="tls", security=Security.temporary())
    else:
        settings.update(protocol="tcp")
    async with LocalCluster(**settings) as cluster, Client(cluster, asynchronous=True) as client:
        squares = client.map(lambda x: x * x, range(200))
        assert sum(await client.gather(squares)) == sum(x * x for x in range(200))
        big = await client.scatter(b"x" * 30_000_000)
        assert len(await client.submit(lambda data: data + data, big)) == 60_000_000
    print("finished")

asyncio.run(main())
"""

DASHBOARD = """
import asyncio
from bokeh.client import pull_session
from distributed import Client, LocalCluster
from tornado.httpclient import AsyncHTTPClient
import tornado.web

assert tornado.web.RequestHandler.__mro__[1].__module__ == "tornado_c._core"

async def main():
    settings = dict(n_workers=1, processes=False, asynchronous=True, dashboard_address="127.0.0.1:0")
    async with LocalCluster(**settings) as cluster, Client(cluster, asynchronous=True) as client:
        assert await client.submit(lambda x: x + 1, 1) == 2
        url = f"http://127.0.0.1:{cluster.scheduler.services['dashboard'].port}"
        http = AsyncHTTPClient()
        assert (await http.fetch(url + "/health")).body == b"ok"
        for path in ("/status", "/workers", "/info/main/workers.html", "/individual-task-stream"):
            page = await http.fetch(url + path)
            assert page.headers["Content-Type"].startswith("text/html") and b"<html" in page.body, path
        script = await http.fetch(url + "/static/js/bokeh.min.js")
        assert len(script.body) == int(script.headers["Content-Length"]) > 100_000
        assert (await http.fetch(url + "/nothing", raise_error=False)).code == 404
        session = await asyncio.to_thread(pull_session, url=url + "/status")
        assert len(session.document.roots) > 0
        await asyncio.to_thread(session.close)
    print("finished")

asyncio.run(main())
"""

ZMQ = """
import asyncio
import zmq
from tornado.ioloop import IOLoop
from zmq.eventloop.zmqstream import ZMQStream

assert IOLoop.start.__globals__["__name__"] == "tornado_c.ioloop"

async def main():
    context = zmq.Context()
    replying, asking = context.socket(zmq.REP), context.socket(zmq.REQ)
    port = replying.bind_to_random_port("tcp://127.0.0.1")
    asking.connect(f"tcp://127.0.0.1:{port}")
    server, client = ZMQStream(replying), ZMQStream(asking)
    server.on_recv(lambda frames: server.send_multipart([b"echo", *frames]))
    answers = asyncio.Queue()
    client.on_recv(answers.put_nowait)
    for n in range(200):
        client.send(b"%d" % n * 1000)
        assert await answers.get() == [b"echo", b"%d" % n * 1000]
    server.close()
    client.close()
    context.term()
    print("finished")

asyncio.run(main())
"""

BOKEH = """
from bokeh.application import Application
from bokeh.application.handlers import FunctionHandler
from bokeh.client import pull_session
from bokeh.models import Div
from bokeh.server.server import Server
import threading
import tornado.httpserver
import urllib.request

assert tornado.httpserver.__name__ == "tornado_c.httpserver"

application = Application(FunctionHandler(lambda doc: doc.add_root(Div(text="from the server"))))
server = Server({"/": application}, port=0)
server.start()

def visit():
    page = urllib.request.urlopen(f"http://localhost:{server.port}/").read()
    assert b"<html" in page, page
    script = urllib.request.urlopen(f"http://localhost:{server.port}/static/js/bokeh.min.js")
    assert len(script.read()) == int(script.headers["Content-Length"]) > 100_000
    session = pull_session(url=f"http://localhost:{server.port}/")
    assert session.document.roots[0].text == "from the server"
    session.close()
    print("finished")
    server.io_loop.add_callback(server.io_loop.stop)

thread = threading.Thread(target=visit)
server.io_loop.add_callback(thread.start)
server.io_loop.start()
thread.join()
server.stop()
"""

INSTALL = "import tornado_c\ntornado_c.install()\n"


@pytest.mark.parametrize("way", ["program", "installed"])
@pytest.mark.parametrize(
    "package, text, arguments",
    [
        ("distributed", DASK, ["tcp"]),
        ("distributed", DASK, ["tls"]),
        ("distributed", DASHBOARD, []),
        ("zmq", ZMQ, []),
        ("bokeh", BOKEH, []),
    ],
    ids=["dask", "dask-tls", "dask-dashboard", "pyzmq", "bokeh"],
)
def test_program(tmp_path, way, package, text, arguments):
    pytest.importorskip(package)
    if text == DASHBOARD:
        pytest.importorskip("bokeh")
    if arguments == ["tls"]:
        pytest.importorskip("cryptography")
    script = tmp_path / "app.py"
    script.write_text(text if way == "program" else INSTALL + text)
    command = [sys.executable, "-m", "tornado_c"] if way == "program" else [sys.executable]
    result = subprocess.run(
        [*command, script, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ROOT, "PYTHONWARNINGS": "default"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout
    assert "finished" in result.stdout, result.stdout
