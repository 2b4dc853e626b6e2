"""A headless Chromium, driven through its DevTools protocol by our own WebSocket client."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

from support.children import FOREIGN_ENVIRONMENT
from support.live_http import PATIENCE
from support.live_ws import hang_up
from tornado_c.websocket import WebSocketClientConnection, websocket_connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--headless=new", "--no-sandbox", "--remote-debugging-port=0", "--disable-gpu"]
FLAGS += ["--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"]


def program() -> str | None:
    """Where the browser is; None without one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """The whole browser; its commands, one at a time."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self._connection = connection
        self._last = 0

    async def command(self, name: str, session: str | None = None, **parameters: object) -> dict:
        """What the browser says to a command; events that come meanwhile are dropped."""
        self._last += 1
        said: dict = {"id": self._last, "method": name, "params": parameters}
        if session:
            said["sessionId"] = session
        await self._connection.write_message(json.dumps(said))
        while True:
            message = await asyncio.wait_for(self._connection.read_message(), PATIENCE)
            assert message is not None, "the browser has gone"
            answer = json.loads(message)
            if answer.get("id") == self._last:
                assert "error" not in answer, (name, answer["error"])
                return answer["result"]

    async def tab(self, url: str) -> Tab:
        target = await self.command("Target.createTarget", url="about:blank")
        session = await self.command("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        tab = Tab(self, session["sessionId"])
        await tab.command("Page.navigate", url=url)
        await tab.wait_for("document.readyState", "complete")
        return tab


class Tab:
    """One page, used as a person would."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    async def command(self, name: str, **parameters: object) -> dict:
        return await self._browser.command(name, self._session, **parameters)

    async def evaluate(self, script: str) -> object:
        """The value of a JavaScript expression."""
        answer = await self.command("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, (script, answer)
        return answer["result"].get("value")

    async def wait_for(self, script: str, value: object = True) -> None:
        """Until a JavaScript expression has this value."""
        try:
            async with asyncio.timeout(PATIENCE):
                while (seen := await self.evaluate(script)) != value:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{script} is {seen!r}, not {value!r}") from None

    async def type(self, selector: str, text: str, enter: bool = False) -> None:
        """Replace the text of a field; enter sends its form."""
        await self.command("Page.bringToFront")
        await self.evaluate(f"document.querySelector({json.dumps(selector)}).select()")
        await self.command("Input.insertText", text=text)
        if enter:
            key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
            for kind in ("keyDown", "keyUp"):
                await self.command("Input.dispatchKeyEvent", type=kind, **key)

    async def picture(self, width: int, height: int) -> bytes:
        """A PNG of the page in a window of this size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.command("Emulation.setDeviceMetricsOverride", **size)
        return base64.b64decode((await self.command("Page.captureScreenshot", format="png"))["data"])


async def _address(process: subprocess.Popen[bytes], folder: Path) -> str:
    """The URL that the browser writes into its profile when it listens."""
    file = folder / "DevToolsActivePort"
    async with asyncio.timeout(PATIENCE):
        while True:
            assert process.poll() is None, (folder / "log").read_text()
            with contextlib.suppress(FileNotFoundError, ValueError):
                port, path = file.read_text().split()
                return f"ws://127.0.0.1:{port}{path}"
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def browsing(folder: Path) -> AsyncIterator[Browser]:
    """A browser of its own, which ends at the end.

    :param folder: its profile and its log go there.
    """
    folder.mkdir(exist_ok=True)
    command = [program() or NAMES[0], *FLAGS, f"--user-data-dir={folder}", "about:blank"]
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=FOREIGN_ENVIRONMENT)
    try:
        connection = await websocket_connect(await _address(process, folder), max_message_size=1 << 26)
        browser = Browser(connection)
        yield browser
        await browser.command("Browser.close")
        await hang_up(connection)
        await asyncio.to_thread(process.wait, PATIENCE)
    finally:
        process.kill()
        process.wait()
