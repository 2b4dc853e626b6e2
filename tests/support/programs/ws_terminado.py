"""terminado: a shell in a WebSocket."""

import asyncio
import json

import terminado
import tornado.web
import tornado.websocket

assert tornado.websocket.__name__ == "tornado_c.websocket"


async def main():
    manager = terminado.SingleTermManager(shell_command=["sh"])
    application = tornado.web.Application([(r"/websocket", terminado.TermSocket, {"term_manager": manager})])
    (listener,) = application.listen(0, "127.0.0.1")._sockets.values()
    connection = await tornado.websocket.websocket_connect(
        f"ws://127.0.0.1:{listener.getsockname()[1]}/websocket"
    )
    assert json.loads(await connection.read_message()) == ["setup", {}]
    connection.write_message(json.dumps(["set_size", 24, 80]))
    connection.write_message(json.dumps(["stdin", "echo $((6 * 7))five\r"]))
    text = ""
    while "42five" not in text:
        kind, part = json.loads(await connection.read_message())
        assert kind == "stdout"
        text += part
    connection.close()
    await manager.shutdown()
    print("finished")


asyncio.run(main())
