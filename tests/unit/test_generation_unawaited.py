"""Generation 4: methods that are coroutines by now, called as if they were not, each program on its own."""

import textwrap

import pytest

from support.children import run_quietly

pytest.importorskip("tornado")

START = """
import inspect, logging, os, socket, tempfile, threading
import tornado_c
tornado_c.install(generation={generation})
from tornado import concurrent, gen, netutil, tcpclient, tcpserver, web, websocket, wsgi
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop

loop = IOLoop.instance()
folder = tempfile.mkdtemp()
with open(os.path.join(folder, "file.txt"), "wb") as file:
    file.write(b"x" * 300000)

def listen(handlers):
    server = HTTPServer(web.Application(handlers))
    sock = netutil.bind_sockets(0, "127.0.0.1", family=socket.AF_INET)[0]
    server.add_socket(sock)
    return server, sock.getsockname()

def ask(handlers, method="GET", path="/file.txt", extra=b""):
    '''The status, and the length of the body or of what the connection brings after that.'''
    server, address = listen(handlers)
    got = []
    def client():
        with socket.create_connection(address, 60) as sock:
            sock.sendall(("%s %s HTTP/1.1\\r\\nHost: a\\r\\n" % (method, path)).encode())
            sock.sendall(extra or b"Connection: close\\r\\n\\r\\n")
            data = b""
            while b"\\r\\n\\r\\n" not in data or (extra and b"hello" not in data and b"close" not in data):
                data += sock.recv(65536) or b"close"
            while not extra and (piece := sock.recv(65536)):
                data += piece
        head, _, body = data.partition(b"\\r\\n\\r\\n")
        got.extend([int(head.split()[1]), len(body)])
        loop.add_callback(loop.stop)
    threading.Thread(target=client).start()
    loop.start()
    server.stop()
    return got
"""


def run(source, generation=4):
    program = START.format(generation=generation) + textwrap.dedent(source)
    return run_quietly(program, interpreter=["-W", "error"])


OVERRIDES = {
    "not awaited": """
        def get(self, path):
            web.StaticFileHandler.get(self, path)
    """,
    "returned": """
        def get(self, path):
            return web.StaticFileHandler.get(self, path)
    """,
    "after a header": """
        def head(self, path):
            self.get(path, include_body=False)
        def get(self, path, include_body=True):
            self.set_header("A", "b")
            super().get(path, include_body)
    """,
    "by add_future": """
        @web.asynchronous
        def get(self, path):
            future = web.StaticFileHandler.get(self, path)
            loop.add_future(future, lambda future: self.finish())
    """,
    "in an engine": """
        @web.asynchronous
        @gen.engine
        def get(self, path):
            yield gen.Task(loop.add_callback)
            yield web.StaticFileHandler.get(self, path)
            self.finish()
    """,
    "in a coroutine": """
        @gen.coroutine
        def get(self, path):
            yield gen.moment
            yield super(Files, self).get(path)
    """,
    "in a native coroutine": """
        async def get(self, path):
            await gen.sleep(0)
            await super().get(path)
    """,
}


@pytest.mark.parametrize("how", OVERRIDES)
def test_files(how):
    body = textwrap.indent(textwrap.dedent(OVERRIDES[how]), "    ")
    program = f"class Files(web.StaticFileHandler):{body}\n" + textwrap.dedent("""
        logging.disable()
        rule = ("/(.*)", Files, {"path": folder})
        print(*ask([rule]))
        if "head" in vars(Files):
            print(*ask([rule], "HEAD"))
        print(ask([rule], path="/none")[0])
    """)
    expected = ["200 300000", "200 0", "404"] if how == "after a header" else ["200 300000", "404"]
    assert run(program) == expected


@pytest.mark.parametrize("size", [100, 300000, 2000000])
def test_files_under_wsgi(size):
    """Also those that are in several pieces, and those of which a thread would find the version elsewhere."""
    assert (
        run(
            f"SIZE = {size}\n"
            + textwrap.dedent("""
        with open(os.path.join(folder, "file.txt"), "wb") as file:
            file.write(b"x" * SIZE)
        from wsgiref.util import setup_testing_defaults
        class Files(web.StaticFileHandler):
            def get(self, path):
                web.StaticFileHandler.get(self, path)
        application = wsgi.WSGIApplication([("/a/(.*)", Files, {"path": folder}),
                                            ("/(.*)", web.StaticFileHandler, {"path": folder})])
        def serve():
            for path in ("/a/file.txt", "/file.txt"):
                environ = {"PATH_INFO": path}
                setup_testing_defaults(environ)
                body = application(environ, lambda status, headers: print(status))
                print(len(b"".join(body)))
        serve()
        thread = threading.Thread(target=serve)
        thread.start()
        thread.join()
    """)
        )
        == ["200 OK", str(size)] * 4
    )


SOCKETS = {
    "not awaited": """
        def get(self, path):
            websocket.WebSocketHandler.get(self, path)
    """,
    "asynchronous": """
        @web.asynchronous
        def get(self, path):
            super().get(path)
    """,
    "returned": """
        def get(self, path):
            return super().get(path)
    """,
    "in an engine": """
        @web.asynchronous
        @gen.engine
        def get(self, path):
            yield gen.Task(loop.add_callback)
            websocket.WebSocketHandler.get(self, path)
    """,
    "in a coroutine": """
        @gen.coroutine
        def get(self, path):
            yield gen.moment
            super(Socket, self).get(path)
    """,
    "in a native coroutine": """
        async def get(self, path):
            await gen.sleep(0)
            await super().get(path)
    """,
    "not overridden": "",
}


@pytest.mark.parametrize("how", SOCKETS)
def test_sockets(how):
    body = textwrap.indent(textwrap.dedent(SOCKETS[how]), "    ") + textwrap.dedent("""
        def open(self, path):
            self.path = path
        def on_message(self, message):
            self.write_message("hello" if self.path == "file.txt" else self.path)
    """).replace("\n", "\n    ")
    program = f"class Socket(websocket.WebSocketHandler):\n    pass{body}\n" + textwrap.dedent("""
        logging.disable()
        rule = ("/(.*)", Socket)
        upgrade = (b"Upgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\n"
                   b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n\\x81\\x82\\0\\0\\0\\0hi")
        print(*ask([rule], extra=upgrade))
        print(*ask([rule]))
    """)
    assert run(program) == ["101 7", "400 34"]


def test_connections_of_clients():
    assert run("""
        import asyncio
        def stop(what):
            def callback(future):
                result = future.result() if asyncio.isfuture(future) else future
                print(what, type(result).__name__)
                result.close()
                loop.stop()
            return callback
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            client = tcpclient.TCPClient(io_loop=loop)
            loop.add_callback(lambda: loop.add_future(client.connect("127.0.0.1", port), stop("future")))
            loop.start()
            loop.add_callback(lambda: client.connect("127.0.0.1", port, callback=stop("callback")))
            loop.start()
            loop.add_callback(lambda: client.connect("127.0.0.1", port).add_done_callback(stop("done")))
            loop.start()
            loop.add_callback(lambda: client.connect("127.0.0.1", port))
            listener.accept()[0].close()
            loop.call_later(0, loop.stop)
            loop.start()
    """) == ["future IOStream", "callback IOStream", "done IOStream"]


def test_who_cancels_the_future_cancels_the_connection():
    assert run("""
        import asyncio, ssl
        def accept():
            with listener.accept()[0] as peer:
                peer.settimeout(60)
                peer.recv(1)  # a handshake begins
                loop.add_callback(future.cancel)
                while peer.recv(65536):
                    pass
            loop.add_callback(loop.stop)
        def connect():
            global future
            future = client.connect("127.0.0.1", port, ssl_options=ssl.create_default_context())
            threading.Thread(target=accept).start()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            client = tcpclient.TCPClient(io_loop=loop)
            loop.add_callback(connect)
            loop.start()
        print(future.cancelled())
    """) == ["True"]


def test_resolvers():
    assert run("""
        def stop(what):
            def callback(future):
                print(what, future.result())
                loop.stop()
            return callback
        for name in ("Resolver", "DefaultExecutorResolver", "BlockingResolver", "ThreadedResolver"):
            resolver = getattr(netutil, name)(io_loop=loop)
            loop.add_callback(
                lambda: loop.add_future(resolver.resolve("127.0.0.1", 80, socket.AF_INET), stop(name)))
            loop.start()

        class Old(netutil.Resolver):
            def initialize(self, io_loop):
                self.io_loop = io_loop
            @concurrent.return_future
            def resolve(self, host, port, family=0, callback=None):
                self.io_loop.add_callback(callback, [(socket.AF_INET, ("127.0.0.1", 80))])
        class Executor(netutil.ExecutorResolver):
            def initialize(self, io_loop=None, executor=None):
                assert io_loop is loop
                super().initialize(io_loop=io_loop, executor=executor)
        netutil.Resolver.configure(Old)
        resolvers = Old(io_loop=loop), netutil.Resolver(), netutil.Resolver(io_loop=loop), Executor()
        for resolver in (*resolvers, tcpclient.TCPClient(io_loop=loop).resolver):
            loop.add_callback(lambda: loop.add_future(resolver.resolve("127.0.0.1", 80), stop("old")))
            loop.start()
    """) == [
        *(
            f"{name} [(<AddressFamily.AF_INET: 2>, ('127.0.0.1', 80))]"
            for name in ("Resolver", "DefaultExecutorResolver", "BlockingResolver", "ThreadedResolver")
        ),
        *["old [(<AddressFamily.AF_INET: 2>, ('127.0.0.1', 80))]"] * 5,
    ]


def test_servers_that_close_their_connections():
    assert run("""
        for waits in (True, False):
            server, address = listen([])
            with socket.create_connection(address, 60) as sock:
                def closed(*ignored):
                    print(waits, sock.recv(1))
                    loop.stop()
                def close():
                    if len(server._connections) == 0:
                        loop.call_later(0.001, close)
                    elif waits:
                        loop.add_future(server.close_all_connections(), closed)
                    else:
                        server.close_all_connections()
                        loop.call_later(0, closed)
                loop.add_callback(close)
                loop.start()
            server.stop()
    """) == ["True b''", "False b''"]


def test_they_are_coroutines_otherwise():
    assert run(
        """
        for method in (web.StaticFileHandler.get, websocket.WebSocketHandler.get, tcpclient.TCPClient.connect,
                       HTTPServer.close_all_connections, netutil.Resolver.configured_class().resolve):
            print(inspect.iscoroutinefunction(inspect.unwrap(method)), end=" ")
        class Old(netutil.Resolver):
            def initialize(self, io_loop):
                print(io_loop is loop)
        Old(io_loop=loop)
        """,
        generation=6,
    ) == ["True True True True True True"]
