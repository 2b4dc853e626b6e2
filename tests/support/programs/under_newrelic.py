"""Serves requests under New Relic's agent, which sends nothing; says as JSON what it recorded."""

import asyncio
import json
import os

os.environ["NEW_RELIC_DEVELOPER_MODE"] = "true"
os.environ["NEW_RELIC_LICENSE_KEY"] = "0" * 40
os.environ["NEW_RELIC_LOG"] = "/dev/null"

import newrelic.agent  # noqa: E402 -- it goes by the environment
from newrelic.core.stats_engine import StatsEngine  # noqa: E402

newrelic.agent.initialize()
transactions = []
record_transaction = StatsEngine.record_transaction


def record(self, transaction):
    transactions.append(transaction)
    return record_transaction(self, transaction)


StatsEngine.record_transaction = record
newrelic.agent.register_application(timeout=10)

import tornado.httpclient  # noqa: E402 -- the agent waits for these imports
import tornado.httpserver  # noqa: E402
import tornado.netutil  # noqa: E402
import tornado.web  # noqa: E402


class Plain(tornado.web.RequestHandler):
    def get(self):
        self.write("hello")

    def post(self):
        self.write(self.get_argument("a"))


class Slow(tornado.web.RequestHandler):
    async def get(self, number):
        await asyncio.sleep(0.01)
        self.write(number)


class Failing(tornado.web.RequestHandler):
    def get(self):
        raise ValueError("broken")

    async def post(self):
        raise tornado.web.HTTPError(403)


class Asking(tornado.web.RequestHandler):
    async def get(self):
        response = await tornado.httpclient.AsyncHTTPClient().fetch(base + "/plain")
        self.write(response.body)


application = tornado.web.Application(
    [
        ("/plain", Plain),
        (r"/slow/(\d+)", Slow),
        ("/failing", Failing),
        ("/asking", Asking),
        ("/nested.*", [("/nested", Plain)]),
    ]
)


async def main():
    global base
    (sock,) = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server = tornado.httpserver.HTTPServer(application)
    server.add_socket(sock)
    base = f"http://127.0.0.1:{sock.getsockname()[1]}"
    client = tornado.httpclient.AsyncHTTPClient()
    statuses = []
    for path in "/plain /plain?q=1 /slow/7 /failing /nothing /nested /asking".split():
        response = await client.fetch(base + path, raise_error=False)
        statuses.append((path, response.code))
    for path in ("/plain", "/failing"):
        response = await client.fetch(base + path, raise_error=False, method="POST", body="a=1")
        statuses.append((path, response.code))
    while len(transactions) <= len(statuses):  # /asking asks for one more
        await asyncio.sleep(0.01)
    server.stop()
    return statuses


def plain(value):
    return str(value).replace(base.partition("//")[2], "ADDRESS")


def nodes(node, depth=0):
    yield depth, type(node).__name__, plain(getattr(node, "name", ""))
    for child in getattr(node, "children", ()):
        yield from nodes(child, depth + 1)


def described(transaction):
    attributes = {each.name: plain(each.value) for each in transaction.agent_attributes}
    for name in ("thread.concurrency", "code.filepath", "code.lineno"):
        attributes.pop(name, None)
    errors = sorted(str(each.type) for each in transaction.errors)
    return [transaction.path, transaction.type, errors, attributes, list(nodes(transaction.root))]


statuses = asyncio.run(main())
found = sorted((described(transaction) for transaction in transactions), key=str)
print(json.dumps({"statuses": statuses, "transactions": found}))
