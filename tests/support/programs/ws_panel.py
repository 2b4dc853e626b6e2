"""Panel: a page is served, and its widgets go to each session over a WebSocket."""

import threading

import panel
import requests
import tornado.websocket
from bokeh.client import pull_session

assert tornado.websocket.__name__ == "tornado_c.websocket"


def application():
    return panel.Column(panel.widgets.IntInput(name="number", value=12))


def visit(url):
    assert "<title>Numbers</title>" in requests.get(url).text
    assert len(requests.get(url + "/static/extensions/panel/panel.min.js").content) > 10_000
    sessions = [pull_session(url=url) for _ in range(2)]
    for session in sessions:
        number = session.document.select_one({"title": "number"})
        assert number.value == 12
        number.value += sessions.index(session)
        session.force_roundtrip()
    again = pull_session(session_id=sessions[1].id, url=url)
    assert again.document.select_one({"title": "number"}).value == 13
    for session in [*sessions, again]:
        session.close()
    print("finished")
    server.io_loop.add_callback(server.io_loop.stop)


server = panel.serve({"/": application}, port=0, show=False, start=False, title="Numbers")
server.start()
thread = threading.Thread(target=visit, args=(f"http://localhost:{server.port}",))
server.io_loop.add_callback(thread.start)
server.io_loop.start()
thread.join()
server.stop()
