"""Serves requests under Sentry's integration of Tornado; says as JSON what that sent."""

import asyncio
import json
import logging

import sentry_sdk
import tornado.httpclient
import tornado.httpserver
import tornado.netutil
import tornado.web
from sentry_sdk.integrations.tornado import TornadoIntegration
from sentry_sdk.transport import Transport


class Kept(Transport):
    items = []

    def capture_envelope(self, envelope):
        self.items += [(item.headers["type"], item.payload.json) for item in envelope.items]


sentry_sdk.init(
    dsn="http://key@127.0.0.1/1",
    transport=Kept(),
    integrations=[TornadoIntegration()],
    traces_sample_rate=1.0,
    send_default_pii=True,
    auto_session_tracking=False,
)

log = logging.getLogger("program")


class Plain(tornado.web.RequestHandler):
    def get(self, *args):
        with sentry_sdk.start_span(op="work", name="inside"):
            self.write("hello")


class Hooks(tornado.web.RequestHandler):
    def initialize(self, db):
        self.db = db

    def get_current_user(self):
        return {"id": 42}

    def prepare(self):
        assert self.current_user
        sentry_sdk.set_tag("prepared", "yes")
        sentry_sdk.add_breadcrumb(message="in prepare", category="program")

    async def get(self, number):
        log.warning("asked for %s", number)
        with sentry_sdk.start_span(op="work", name="outer"):
            await asyncio.sleep(0.01)
        log.error("an error about %s", number)
        if number == "9":
            raise ValueError("broken " + self.db)
        self.write(number)

    async def post(self, number):
        await asyncio.sleep(0)
        {}[self.get_argument("key")]


class Denied(tornado.web.RequestHandler):
    def get(self):
        raise tornado.web.HTTPError(403, "not you")

    def post(self):
        sentry_sdk.capture_message("in post")
        raise tornado.web.HTTPError(502, "no gateway")


application = tornado.web.Application(
    [(r"/plain", Plain), (r"/hooks/(\d+)", Hooks, {"db": "base"}), (r"/denied", Denied)]
)


async def main():
    global port
    (sock,) = tornado.netutil.bind_sockets(0, "127.0.0.1")
    port = sock.getsockname()[1]
    server = tornado.httpserver.HTTPServer(application)
    server.add_socket(sock)
    client = tornado.httpclient.AsyncHTTPClient()
    base = f"http://127.0.0.1:{port}"

    async def ask(path, **how):
        response = await client.fetch(base + path, raise_error=False, **how)
        statuses.append((path, response.code))

    statuses = []
    for path in ("/plain?q=1", "/hooks/7", "/hooks/9", "/denied", "/nothing"):
        await ask(path, headers={"Cookie": "a=b"})
    await ask("/hooks/5", method="POST", body="key=x")
    await ask("/hooks/5", method="POST", body='{"a": 1}', headers={"Content-Type": "application/json"})
    await ask("/denied", method="POST", body="")
    await asyncio.gather(*(ask(f"/hooks/{n}") for n in range(3)))
    server.stop()
    return statuses


statuses = asyncio.run(main())
sentry_sdk.flush()


def plain(value):
    return str(value).replace(str(port), "PORT")


def exceptions(event):
    """Of each exception what it says, how it was caught, and the functions of this file in its traceback."""
    found = []
    for each in event.get("exception", {}).get("values", []):
        functions = [f["function"] for f in each["stacktrace"]["frames"] if f["module"] == "__main__"]
        found.append([each["type"], each["value"], each["mechanism"], functions])
    return found


def request_of(event):
    request = dict(event.get("request", {}))
    return [sorted(request.pop("headers", {})), plain(request)]


def described(kind, event):
    plainly = ["transaction", "transaction_info", "level", "logger", "message", "logentry", "tags", "user"]
    crumbs = event.get("breadcrumbs", {}).get("values", [])
    trace = event.get("contexts", {}).get("trace", {})
    return {
        "kind": kind,
        "exceptions": exceptions(event),
        "request": request_of(event),
        "breadcrumbs": [[crumb.get(name) for name in ("category", "message", "level")] for crumb in crumbs],
        "spans": [[s["op"], s["description"], s.get("status")] for s in event.get("spans", [])],
        "trace": [trace.get("op"), trace.get("status"), trace.get("origin"), sorted(trace.get("data", {}))],
        **{name: event.get(name) for name in plainly},
    }


events = sorted((described(*item) for item in Kept.items), key=str)
print(json.dumps({"statuses": sorted(statuses), "events": events}))
