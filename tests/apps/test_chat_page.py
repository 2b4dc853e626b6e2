"""The page of examples/chat in a real browser."""

import asyncio

import pytest

from support import chromium
from support.app_servers import running
from support.children import EXAMPLES

pytestmark = pytest.mark.apps

LINES = "Array.from(document.querySelectorAll('#lines p'), (line) => line.innerText)"
STATE = "document.getElementById('state').innerText"


@pytest.fixture
def chat(tmp_path):
    if chromium.program() is None:
        pytest.skip("chromium is not installed")
    with running(tmp_path, str(EXAMPLES / "chat" / "chat.py"), "PORT") as (process, url):
        yield url


async def enter(browser, url, name):
    tab = await browser.tab(url)
    await tab.wait_for(STATE, "connected")
    await tab.type("#name", name)
    return tab


def test_two_tabs_talk(chat, tmp_path):
    async def talk():
        async with chromium.browsing(tmp_path / "profile") as browser:
            ann, bob = [await enter(browser, chat, name) for name in ("Ann", "Bob")]
            await ann.type("#text", "Hello, Bob", enter=True)
            for tab in (ann, bob):
                await tab.wait_for(LINES, ["AnnHello, Bob"])
            await bob.type("#text", "<i>Hello</i> \u00e4\U0001f600", enter=True)
            for tab in (ann, bob):
                await tab.wait_for(LINES, ["AnnHello, Bob", "Bob<i>Hello</i> \u00e4\U0001f600"])
            assert await ann.evaluate("document.getElementById('text').value") == ""
            late = await enter(browser, chat, "Cid")
            await late.wait_for(LINES, ["AnnHello, Bob", "Bob<i>Hello</i> \u00e4\U0001f600"])

    asyncio.run(talk())
