"""Serves requests under OpenTelemetry's instrumentation of Tornado; says as JSON what that recorded."""

import asyncio
import json
import logging

import tornado.httpclient
import tornado.httpserver
import tornado.netutil
import tornado.web
import tornado.websocket
from opentelemetry import trace
from opentelemetry.instrumentation.tornado import TornadoInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("program")
TornadoInstrumentor().instrument(tracer_provider=provider, meter_provider=MeterProvider([reader]))

logging.disable(logging.CRITICAL)


class Plain(tornado.web.RequestHandler):
    def get(self, *args):
        with tracer.start_as_current_span("inside"):
            self.write("hello")

    def post(self):
        self.set_status(201)
        self.finish({"got": self.get_argument("a")})


class Hooks(tornado.web.RequestHandler):
    def initialize(self, db):
        self.db = db

    def prepare(self):
        with tracer.start_as_current_span("in prepare"):
            pass

    async def get(self, number):
        with tracer.start_as_current_span("outer"):
            await asyncio.sleep(0.01)
            with tracer.start_as_current_span("inner"):
                await asyncio.sleep(0.01)
        self.write(f"{self.db} {number}")

    def on_finish(self):
        with tracer.start_as_current_span("in on_finish"):
            pass


class Failing(tornado.web.RequestHandler):
    def get(self):
        raise ValueError("broken")

    async def post(self):
        await asyncio.sleep(0)
        raise tornado.web.HTTPError(403, "not you")


class Asking(tornado.web.RequestHandler):
    async def get(self):
        client = tornado.httpclient.AsyncHTTPClient()
        response = await client.fetch(f"http://127.0.0.1:{port}/plain")
        self.write(response.body)


class Socket(tornado.websocket.WebSocketHandler):
    def open(self):
        with tracer.start_as_current_span("in open"):
            pass

    def on_message(self, message):
        with tracer.start_as_current_span("in on_message"):
            self.write_message(message)


application = tornado.web.Application(
    [
        (r"/plain", Plain),
        (r"/hooks/(\d+)", Hooks, {"db": "base"}),
        (r"/failing", Failing),
        (r"/asking", Asking),
        (r"/socket", Socket),
        (r"/static/(.*)", tornado.web.StaticFileHandler, {"path": "."}),
        (r"/moved", tornado.web.RedirectHandler, {"url": "/plain"}),
    ]
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
    with tracer.start_as_current_span("client"):
        for path in "/plain /plain?q=1 /hooks/7 /failing /asking /nothing /moved /static/nothing".split():
            await ask(path)
        await ask("/plain", method="POST", body="a=1")
        await ask("/plain", method="POST", body="b=1")
        await ask("/failing", method="POST", body="")
        await asyncio.gather(*(ask(f"/hooks/{n}") for n in range(4)))
    socket = await tornado.websocket.websocket_connect(base.replace("http", "ws") + "/socket")
    await socket.write_message("hi")
    assert await socket.read_message() == "hi"
    socket.close()
    assert await socket.read_message() is None
    while "GET /socket" not in {span.name for span in exporter.get_finished_spans()}:
        await asyncio.sleep(0.01)
    await server.close_all_connections()
    server.stop()
    return statuses


statuses = asyncio.run(main())


def plain(value):
    return str(value).replace(str(port), "PORT")


def described(span, spans):
    parents = [each.name for each in spans if span.parent and each.context.span_id == span.parent.span_id]
    attributes = {name: plain(value) for name, value in span.attributes.items() if name != "net.peer.port"}
    events = [
        (e.name, e.attributes.get("exception.type"), e.attributes.get("exception.message"))
        for e in span.events
    ]
    status = [span.status.status_code.name, plain(span.status.description)]
    return [span.name, span.kind.name, parents, attributes, status, events]


def points(metric):
    return sorted(
        (
            sorted((name, plain(value)) for name, value in each.attributes.items()),
            getattr(each, "count", None),
        )
        for each in metric.data.data_points
    )


spans = exporter.get_finished_spans()
metrics = [
    [metric.name, points(metric)]
    for resource in reader.get_metrics_data().resource_metrics
    for scope in resource.scope_metrics
    for metric in scope.metrics
]
found = {"statuses": sorted(statuses), "metrics": sorted(metrics)}
found["spans"] = sorted((described(span, spans) for span in spans), key=str)
print(json.dumps(found))
