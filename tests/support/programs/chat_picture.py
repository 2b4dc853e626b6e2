"""Makes examples/chat/chat.png: the chat of README.rst, open twice.

PYTHONPATH=tests python tests/support/programs/chat_picture.py
"""

import asyncio
import tempfile
from pathlib import Path

from support import chromium
from support.app_servers import running
from support.children import EXAMPLES

LINES = [("Ann", "Is anybody there?"), ("Bob", "Yes, in the other window."), ("Ann", "So it works!")]
FRAME = (
    '<iframe src="{url}" style="width: 400px; height: 310px; border: 1px solid #999; margin: 6px"></iframe>'
)
BODY = "display: flex; margin: 0; max-width: none; padding: 0; background: #fff"


async def main(folder: Path, url: str) -> bytes:
    async with chromium.browsing(folder / "profile") as browser:
        for name, text in LINES:
            tab = await browser.tab(url)
            await tab.wait_for("document.getElementById('state').innerText", "connected")
            await tab.type("#name", name)
            await tab.type("#text", text, enter=True)
            await tab.wait_for("document.getElementById('text').value", "")
        windows = await browser.tab(url)
        await windows.evaluate(f"document.body.innerHTML = {FRAME.format(url=url) * 2!r}")
        await windows.evaluate(f"document.body.style = {BODY!r}")
        for i, name in enumerate(("Ann", "Bob")):
            page = f"frames[{i}].document"
            await windows.wait_for(f"{page}.querySelectorAll('#lines p').length", len(LINES))
            await windows.evaluate(f"{page}.getElementById('name').value = {name!r}")
            await windows.evaluate(f"{page}.getElementById('lines').style.height = '6.5em'")
            await windows.evaluate(f"{page}.body.style.margin = '0 auto'")
        return await windows.picture(828, 324)


with (
    tempfile.TemporaryDirectory() as name,
    running(Path(name), str(EXAMPLES / "chat" / "chat.py"), "PORT") as (process, url),
):
    (EXAMPLES / "chat" / "chat.png").write_bytes(asyncio.run(main(Path(name), url)))
