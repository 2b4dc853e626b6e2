"""matplotlib with its backend WebAgg: a figure is drawn."""

import asyncio
import json

import matplotlib
import matplotlib.pyplot as plt
import tornado.httpclient
import tornado.websocket
from matplotlib.backends.backend_webagg import WebAggApplication

matplotlib.use("WebAgg")
assert tornado.websocket.__name__ == "tornado_c.websocket"


async def main():
    figure = plt.figure()
    figure.add_subplot().plot([1, 2, 3])
    WebAggApplication.initialize(port=0)
    port = WebAggApplication.port
    page = await tornado.httpclient.AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/{figure.number}")
    assert b"canvas" in page.body or b"mpl.figure" in page.body
    connection = await tornado.websocket.websocket_connect(f"ws://127.0.0.1:{port}/{figure.number}/ws")
    for kind in ("supports_binary", "send_image_mode", "refresh", "draw"):
        connection.write_message(json.dumps({"type": kind, "value": True, "figure_id": figure.number}))
    seen = set()
    while not {"image_mode", "binary"} <= seen:
        message = await asyncio.wait_for(connection.read_message(), 30)
        if isinstance(message, bytes):
            assert message.startswith(b"\x89PNG")
            seen.add("binary")
        else:
            event = json.loads(message)
            seen.add(event["type"])
            if event["type"] == "draw":
                connection.write_message(json.dumps({"type": "draw", "figure_id": figure.number}))
    connection.close()
    print("finished")


asyncio.run(main())
