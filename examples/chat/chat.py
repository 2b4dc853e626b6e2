"""A chat: whoever has its page open reads what the others write. Open it twice.

Run it with a port as its argument; the default is 8888.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import sys
from pathlib import Path

from tornado_c.web import Application, StaticFileHandler
from tornado_c.websocket import WebSocketClosedError, WebSocketHandler

HERE = Path(__file__).parent


class Chat(WebSocketHandler):
    everyone: set[Chat] = set()
    recent: collections.deque[str] = collections.deque(maxlen=20)

    def open(self) -> None:
        for line in self.recent:
            self.write_message(line)
        self.everyone.add(self)

    def on_message(self, message: str | bytes) -> None:
        try:
            said = json.loads(message)
            line = json.dumps({"name": str(said["name"])[:30], "text": str(said["text"])[:1000]})
        except (ValueError, LookupError, TypeError):
            self.close(1003, "this is no line of a chat")
            return
        self.recent.append(line)
        for chat in self.everyone:
            with contextlib.suppress(WebSocketClosedError):
                chat.write_message(line)

    def on_close(self) -> None:
        self.everyone.discard(self)


async def main(port: int) -> None:
    page = {"path": HERE, "default_filename": "chat.html"}
    application = Application(
        [(r"/chat", Chat), (r"/(|chat\.html)", StaticFileHandler, page)],
        websocket_ping_interval=30,
        websocket_max_message_size=10_000,
    )
    application.listen(port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8888))
