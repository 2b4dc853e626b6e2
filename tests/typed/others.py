"""Modules that have no counterpart of ours: coroutines, clients, templates, tests."""

from __future__ import annotations

import datetime
from collections.abc import Generator
from typing import Any

from tornado import gen, locale, locks, queues, template, testing
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler
from tornado.wsgi import WSGIContainer


class Page(RequestHandler):
    lock = locks.Lock()

    @gen.coroutine
    def get(self) -> Generator[Any, Any, None]:
        with (yield self.lock.acquire()):
            yield gen.sleep(0.01)
        self.write(template.Template("<b>{{ name }}</b>").generate(name="x"))
        self.write(locale.get("en").translate("hello"))


class PageTest(testing.AsyncHTTPTestCase):
    def get_app(self) -> Application:
        return Application([("/", Page)])

    def test_page(self) -> None:
        response: HTTPResponse = self.fetch("/")
        assert response.body == b"<b>x</b>hello"

    @testing.gen_test
    async def test_again(self) -> None:
        response = await self.http_client.fetch(self.get_url("/"))
        assert response.code == 200


async def main() -> None:
    queue: queues.Queue[str] = queues.Queue(maxsize=2)
    await queue.put("http://localhost/")
    client = AsyncHTTPClient()
    request = HTTPRequest(await queue.get(), method="HEAD", headers={"A": "b"})
    response = await gen.with_timeout(datetime.timedelta(seconds=5), client.fetch(request))
    print(response.code, response.headers["Server"])


def plain(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"ok"]


if __name__ == "__main__":
    Application([(".*", Page)]).listen(0)
    print(WSGIContainer(plain))
    IOLoop.current().run_sync(main)
