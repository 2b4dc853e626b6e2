"""Listening sockets, the acceptor, resolvers and TLS contexts, next to stock Tornado's."""

import asyncio
import concurrent.futures
import errno
import inspect
import logging
import os
import socket
import ssl
import stat
import sys

import pytest
import tornado.netutil

from tornado_c import netutil


@pytest.fixture
def module(implementation):
    return implementation.netutil


def outcome(function, *args, **kwargs):
    try:
        return "returned", function(*args, **kwargs)
    except Exception as e:
        return type(e), str(e)


@pytest.mark.parametrize(
    "name",
    ["bind_sockets", "bind_unix_socket", "is_valid_ip", "ssl_options_to_context", "ssl_wrap_socket"]
    + ["Resolver.resolve", "ExecutorResolver.initialize", "ThreadedResolver.initialize"]
    + ["OverrideResolver.initialize", "BlockingResolver.initialize"],
)
def test_parameters(name):
    def parameters(module):
        target = module
        for part in name.split("."):
            target = getattr(target, part)
        return [(p.name, p.kind, p.default) for p in inspect.signature(target).parameters.values()]

    assert parameters(netutil) == parameters(tornado.netutil)


def test_attributes():
    assert netutil._DEFAULT_BACKLOG == tornado.netutil._DEFAULT_BACKLOG
    assert netutil.TCPServer is sys.modules["tornado_c.tcpserver"].TCPServer
    with pytest.raises(AttributeError, match="module 'tornado_c.netutil' has no attribute 'nothing'"):
        netutil.nothing  # noqa: B018


# --------------------------------------------------------------------------- listening


@pytest.fixture
def bind():
    """``bind_sockets`` whose sockets are closed after the test."""
    opened = []

    def run(module, *args, **kwargs):
        sockets = module.bind_sockets(*args, **kwargs)
        opened.extend(sockets)
        return sockets

    yield run
    for sock in opened:
        sock.close()


def described(sockets):
    return [
        (
            sock.family,
            sock.type,
            sock.getsockname()[0],
            sock.getblocking(),
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR),
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT),
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN),
            sock.family == socket.AF_INET6 and sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY),
            sock.get_inheritable(),
        )
        for sock in sockets
    ]


@pytest.mark.parametrize("address", [None, "", "127.0.0.1", "localhost"])
@pytest.mark.parametrize(
    "kwargs", [{}, {"family": socket.AF_INET}, {"reuse_port": True}, {"backlog": 1}], ids=str
)
def test_bind_sockets(bind, address, kwargs):
    ours, stock = (bind(module, 0, address, **kwargs) for module in (netutil, tornado.netutil))
    assert ours
    assert described(ours) == described(stock)
    assert len({sock.getsockname()[1] for sock in ours}) == 1


# Stock Tornado leaves sockets open where it fails, so failures are tried on ours alone.
def test_bind_twice(bind):
    (first,) = bind(netutil, 0, "127.0.0.1")
    port = first.getsockname()[1]
    for reuse_port in (False, True):
        with pytest.raises(OSError) as caught:
            bind(netutil, port, "127.0.0.1", reuse_port=reuse_port)
        assert caught.value.errno == errno.EADDRINUSE


def test_reuse_port(bind, module):
    (first,) = bind(module, 0, "127.0.0.1", reuse_port=True)
    (second,) = bind(module, first.getsockname()[1], "127.0.0.1", reuse_port=True)
    assert second.getsockname() == first.getsockname()


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_failure_closes_the_sockets_bound_so_far(bind, monkeypatch):
    """A socket left open would warn, and fail the test."""
    (taken,) = bind(netutil, 0, "127.0.0.2")
    port = taken.getsockname()[1]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.1", "127.0.0.2")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: found)
    with pytest.raises(OSError) as caught:
        bind(netutil, port, "somewhere")
    assert caught.value.errno == errno.EADDRINUSE
    monkeypatch.undo()
    assert bind(netutil, port, "127.0.0.1")  # the first is free again


def test_same_address_once(bind, module, monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))] * 3
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: found)
    assert len(bind(module, 0, "twice")) == 1


class PickySocket(socket.socket):
    """Cannot be bound to any IPv6 address."""

    def bind(self, address):
        if self.family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "mock")
        super().bind(address)


@pytest.mark.skipif(not socket.has_ipv6, reason="Python without IPv6")
class TestHalfIPv6:
    @pytest.fixture(autouse=True)
    def half(self, monkeypatch):
        found = [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args: found)
        try:
            socket.socket(socket.AF_INET6).close()
        except OSError:
            pytest.skip("system without IPv6")
        monkeypatch.setattr(socket, "socket", PickySocket)

    def test_localhost_does_without(self, bind, module):
        (sock,) = bind(module, 0, "localhost")
        assert sock.family == socket.AF_INET

    def test_other_names_do_not(self, bind):
        with pytest.raises(OSError) as caught:
            bind(netutil, 0, "example")
        assert caught.value.errno == errno.EADDRNOTAVAIL


def test_family_that_the_system_lacks(bind, module, monkeypatch):
    def make(family, *args):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "mock")
        return real(family, *args)

    real = socket.socket
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: found)
    monkeypatch.setattr(socket, "socket", make)
    assert len(bind(module, 0)) == 1


def test_no_reuse_port(monkeypatch):
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    results = [outcome(m.bind_sockets, 0, reuse_port=True) for m in (netutil, tornado.netutil)]
    assert results == [(ValueError, "the platform doesn't support SO_REUSEPORT")] * 2


class TestUnixSocket:
    def test_mode(self, module, tmp_path):
        path = str(tmp_path / "socket")
        for mode in (0o600, 0o666):
            # The second one replaces the first.
            with module.bind_unix_socket(path, mode=mode) as sock:
                assert stat.S_IMODE(os.stat(path).st_mode) == mode
                assert sock.family == socket.AF_UNIX
                assert not sock.getblocking()
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(path)

    def test_default_mode(self, tmp_path):
        path = str(tmp_path / "socket")
        netutil.bind_unix_socket(path).close()
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600

    def test_other_file(self, tmp_path):
        path = tmp_path / "file"
        path.write_text("precious")
        result = outcome(netutil.bind_unix_socket, str(path))
        assert result == (ValueError, f"File {path} exists and is not a socket")
        assert path.read_text() == "precious"

    @pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
    def test_abstract(self, module):
        name = f"\0tornado_c-test-{os.getpid()}"
        with module.bind_unix_socket(name) as sock, socket.socket(socket.AF_UNIX) as client:
            assert sock.getsockname() == name.encode()
            client.connect(name)


# --------------------------------------------------------------------------- accepting


class FakeLoop:
    """Records what an acceptor asks of its loop."""

    READ = 1

    def __init__(self):
        self.handlers = {}
        self.timeouts = []

    def add_handler(self, fd, handler, events):
        assert fd not in self.handlers
        assert events == self.READ
        self.handlers[fd] = handler

    def remove_handler(self, fd):
        del self.handlers[fd]

    def call_later(self, delay, callback):
        self.timeouts.append((delay, callback))
        return self.timeouts[-1]

    def remove_timeout(self, timeout):
        self.timeouts.remove(timeout)

    def wake(self):
        for fd, handler in list(self.handlers.items()):
            handler(fd, self.READ)

    def pass_time(self):
        timeouts, self.timeouts = self.timeouts, []
        for _, callback in timeouts:
            callback()


class FakeListener:
    """Its ``accept`` returns or raises what it was given, and blocks after that."""

    def __init__(self, *script):
        self.script = list(script)

    def accept(self):
        if not self.script:
            raise BlockingIOError(errno.EAGAIN, "mock")
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step, "address"


class TestAcceptor:
    @pytest.fixture
    def loop(self):
        return FakeLoop()

    @pytest.fixture
    def accepted(self):
        return []

    def add(self, loop, accepted, *script):
        listener = FakeListener(*script)
        remove = netutil.add_accept_handler(listener, lambda *args: accepted.append(args), loop)
        return listener, remove

    def test_accepts_all_that_wait(self, loop, accepted):
        self.add(loop, accepted, 1, 2, 3)
        assert accepted == []
        loop.wake()
        assert accepted == [(1, "address"), (2, "address"), (3, "address")]

    def test_bounded(self, loop, accepted):
        listener, _ = self.add(loop, accepted, *range(300))
        loop.wake()
        assert len(accepted) == netutil._DEFAULT_BACKLOG
        loop.wake()
        loop.wake()
        assert len(accepted) == 300

    def test_remove(self, loop, accepted):
        _, remove = self.add(loop, accepted, 1)
        remove()
        assert loop.handlers == {}
        remove()

    def test_remove_inside_the_callback(self, loop):
        accepted = []

        def callback(connection, address):
            accepted.append(connection)
            remove()

        remove = netutil.add_accept_handler(FakeListener(1, 2), callback, loop)
        loop.wake()
        assert accepted == [1]

    def test_lost_connections_are_skipped(self, loop, accepted):
        lost = ConnectionAbortedError(errno.ECONNABORTED, "mock")
        self.add(loop, accepted, 1, lost, 2, InterruptedError(errno.EINTR, "mock"), 3)
        loop.wake()
        assert [connection for connection, _ in accepted] == [1, 2, 3]

    def test_other_errors_are_the_loops_to_report(self, loop, accepted):
        self.add(loop, accepted, 1, OSError(errno.EBADF, "mock"))
        with pytest.raises(OSError):
            loop.wake()

    def test_a_callback_that_fails_leaves_the_rest_for_later(self, loop):
        def callback(connection, address):
            accepted.append(connection)
            if connection == 1:
                raise KeyError(connection)

        accepted = []
        netutil.add_accept_handler(FakeListener(1, 2), callback, loop)
        with pytest.raises(KeyError):
            loop.wake()
        loop.wake()
        assert accepted == [1, 2]

    def test_accept_must_give_a_pair(self, loop, accepted):
        listener, _ = self.add(loop, accepted)
        listener.accept = lambda: ("connection",)
        with pytest.raises(ValueError):
            loop.wake()
        listener.accept = lambda: None
        with pytest.raises(TypeError):
            loop.wake()
        assert accepted == []

    def test_stopped_by_a_log_handler_while_out_of_resources(self, loop, accepted):
        class Stopping(logging.Handler):
            def emit(self, record):
                remove()

        _, remove = self.add(loop, accepted, OSError(errno.EMFILE, "mock"), 1)
        handler = Stopping()
        logging.getLogger("tornado.general").addHandler(handler)
        try:
            loop.wake()
        finally:
            logging.getLogger("tornado.general").removeHandler(handler)
        assert (loop.handlers, loop.timeouts, accepted) == ({}, [], [])

    @pytest.mark.parametrize("name", ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"])
    def test_out_of_resources(self, loop, accepted, name, caplog):
        def full():
            return OSError(getattr(errno, name), "mock")

        listener, _ = self.add(loop, accepted, 1, full(), full(), 2, full())
        loop.wake()
        # The listener rests: a level-triggered loop would spin otherwise.
        assert loop.handlers == {}
        ((delay, _),) = loop.timeouts
        assert delay == 1
        for _ in range(2):
            loop.pass_time()
            loop.wake()
            assert loop.handlers == {}
        assert [connection for connection, _ in accepted] == [1, 2]
        (record,) = caplog.records  # one line, as long as some wait
        assert (record.name, record.levelname) == ("tornado.general", "ERROR")
        loop.pass_time()
        loop.wake()
        # The queue is empty now; the next shortage is a new one.
        assert list(loop.handlers) == [listener]
        listener.script = [full(), full()]
        loop.wake()
        loop.pass_time()
        loop.wake()
        assert len(caplog.records) == 2

    def test_remove_while_resting(self, loop, accepted):
        _, remove = self.add(loop, accepted, OSError(errno.EMFILE, "mock"))
        loop.wake()
        remove()
        assert (loop.handlers, loop.timeouts) == ({}, [])
        remove()


class CountedSocket(socket.socket):
    """Tells how often it was asked for a connection."""

    asked = 0

    def accept(self):
        type(self).asked += 1
        connection, address = super().accept()
        return connection, ("by way of", address)


@pytest.mark.parametrize("cls", [socket.socket, CountedSocket])
def test_real_listeners(cls, module):
    """Connections are sockets as accept() of the listener's class gives them, in blocking mode."""
    listener = cls()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    accepted = []

    async def main():
        done = asyncio.Event()

        def callback(connection, address):
            accepted.append((connection, address))
            if len(accepted) == len(clients):
                done.set()

        remove = module.add_accept_handler(listener, callback)
        await done.wait()
        remove()
        remove()

    clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
    CountedSocket.asked = 0
    asyncio.run(main())
    names = [client.getsockname() for client in clients]
    if cls is CountedSocket:
        assert CountedSocket.asked >= 3
        names = [("by way of", name) for name in names]
    assert [address for _, address in accepted] == names
    for connection, _ in accepted:
        assert type(connection) is socket.socket
        assert connection.gettimeout() is None and not connection.get_inheritable()
        connection.close()
    for sock in (*clients, listener):
        sock.close()


# --------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "ip",
    ["127.0.0.1", "4.4.4.4", "::1", "2620:0:1cfe:face:b00c::3", "fe80::1%lo", "1", "127.1", "0x7f.1"]
    + ["www.example.com", "localhost", "4.4.4.4<", " 127.0.0.1", "", " ", "\n", "\0", "1.2.3.4\0", "a" * 100]
    + ["1.2.3.256", "::g", "[::1]", "1.2.3.4:80", "é"],
)
def test_is_valid_ip(ip):
    assert outcome(netutil.is_valid_ip, ip) == outcome(tornado.netutil.is_valid_ip, ip)


RESOLVERS = ["DefaultLoopResolver", "BlockingResolver", "ExecutorResolver", "ThreadedResolver"]


@pytest.fixture(autouse=True)
def no_thread_pool_left():
    yield
    pool, netutil.ThreadedResolver._threadpool = netutil.ThreadedResolver._threadpool, None
    if pool is not None:
        pool.shutdown()


class TestResolvers:
    @pytest.mark.parametrize("name", RESOLVERS)
    def test_numeric(self, name):
        async def run():
            resolver = getattr(netutil, name)()
            try:
                return await resolver.resolve("127.0.0.1", 80, socket.AF_UNSPEC)
            finally:
                resolver.close()

        assert asyncio.run(run()) == [(socket.AF_INET, ("127.0.0.1", 80))]

    @pytest.mark.parametrize("name", RESOLVERS)
    def test_failure(self, name, monkeypatch):
        def fail(*args, **kwargs):
            raise socket.gaierror(errno.EIO, "mock: lookup failed")

        async def run():
            monkeypatch.setattr(socket, "getaddrinfo", fail)
            with pytest.raises(OSError, match="lookup failed"):
                await getattr(netutil, name)().resolve("bad host", 80)

        asyncio.run(run())

    @pytest.mark.parametrize("name", ["Resolver", *RESOLVERS])
    def test_io_loop_argument(self, name):
        """Tornado before 5.0: Resolver(io_loop=...)."""

        async def run():
            return await getattr(netutil, name)(io_loop=object()).resolve("127.0.0.1", 80)

        assert asyncio.run(run()) == [(socket.AF_INET, ("127.0.0.1", 80))]

    def test_default_executor(self):
        pytest.importorskip("tornado_c.ioloop")

        async def run():
            return await netutil.DefaultExecutorResolver().resolve("127.0.0.1", 80)

        assert asyncio.run(run()) == [(socket.AF_INET, ("127.0.0.1", 80))]

    def test_configuration(self):
        saved = netutil.Resolver._save_configuration()
        try:
            assert type(netutil.Resolver()) is netutil.DefaultLoopResolver
            netutil.Resolver.configure("tornado_c.netutil.ThreadedResolver", num_threads=3)
            resolver = netutil.Resolver()
            assert type(resolver) is netutil.ThreadedResolver
            assert resolver.executor._max_workers == 3
            # One pool for all; the first one made it.
            assert netutil.ThreadedResolver(num_threads=5).executor is resolver.executor
        finally:
            netutil.Resolver._restore_configuration(saved)

    def test_pool_of_a_parent_process_is_not_used(self, monkeypatch):
        first = netutil.ThreadedResolver().executor
        monkeypatch.setattr(os, "getpid", lambda: -1)
        assert netutil.ThreadedResolver().executor is not first
        first.shutdown()

    @pytest.mark.parametrize("close", [True, False])
    def test_closing_the_executor(self, close):
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            resolver = netutil.ExecutorResolver(executor, close_executor=close)
            resolver.close()
            if close:
                with pytest.raises(RuntimeError):
                    executor.submit(int)
            else:
                executor.submit(int).result()

    def test_override(self):
        asked = []

        class Recorder(netutil.Resolver):
            closed = False

            def initialize(self):
                pass

            def resolve(self, host, port, family=socket.AF_UNSPEC):
                asked.append((host, port, family))

            def close(self):
                self.closed = True

        mapping = {
            "a": "b",
            ("a", 443): ("c", 1443),
            ("a", 443, socket.AF_INET6): ("::1", 2443),
        }
        inner = Recorder()
        resolver = netutil.OverrideResolver(inner, mapping)
        resolver.resolve("a", 80)
        resolver.resolve("a", 443)
        resolver.resolve("a", 443, socket.AF_INET6)
        resolver.resolve("x", 443)
        assert asked == [
            ("b", 80, socket.AF_UNSPEC),
            ("c", 1443, socket.AF_UNSPEC),
            ("::1", 2443, socket.AF_INET6),
            ("x", 443, socket.AF_UNSPEC),
        ]
        resolver.close()
        assert inner.closed


# --------------------------------------------------------------------------- TLS


def files():
    folder = os.path.join(os.path.dirname(tornado.netutil.__file__), "test")
    return {"certfile": os.path.join(folder, "test.crt"), "keyfile": os.path.join(folder, "test.key")}


def context_facts(context):
    return (
        context.protocol,
        context.verify_mode,
        context.check_hostname,
        context.options,
        sorted(cipher["name"] for cipher in context.get_ciphers()),
    )


class TestTLS:
    @pytest.mark.parametrize("server_side", [True, False])
    @pytest.mark.parametrize(
        "extra",
        [
            {},
            {"cert_reqs": ssl.CERT_NONE},
            {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": files()["certfile"]},
            {"ciphers": "ECDHE-RSA-AES128-GCM-SHA256"},
        ],
        ids=lambda extra: "-".join(extra) or "plain",
    )
    def test_dictionary(self, server_side, extra):
        ours, stock = (
            module.ssl_options_to_context({**files(), **extra}, server_side=server_side)
            for module in (netutil, tornado.netutil)
        )
        assert context_facts(ours) == context_facts(stock)

    def test_without_a_side_python_warns(self):
        with pytest.warns(DeprecationWarning):
            context = netutil.ssl_options_to_context(files())
        assert context.protocol == ssl.PROTOCOL_TLS

    def test_context_passes_through(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        assert netutil.ssl_options_to_context(context) is context

    def test_the_defaults_as_tornado_6_5_has_them(self):
        """There they are contexts, and its HTTP client hands them on."""
        for defaults in (netutil._client_ssl_defaults, netutil._server_ssl_defaults):
            assert netutil.ssl_options_to_context(defaults) is defaults()

    def test_mistakes(self):
        for options in ({"certfle": "x"}, {"certfile": "/no/such/file"}, {"ssl_version": "x"}, None):
            ours, stock = (
                outcome(module.ssl_options_to_context, options, server_side=True)
                for module in (netutil, tornado.netutil)
            )
            assert ours == stock
            assert ours[0] != "returned"

    def test_defaults(self):
        for name in ("_client_ssl_defaults", "_server_ssl_defaults"):
            ours, stock = getattr(netutil, name)(), getattr(tornado.netutil, name)()
            assert context_facts(ours) == context_facts(stock)
            assert getattr(netutil, name)() is ours

    def test_wrap_both_ends(self):
        """A handshake between the two ends, each in memory of the kernel."""
        left, right = socket.socketpair()
        server = netutil.ssl_wrap_socket(left, files(), server_side=True, do_handshake_on_connect=False)
        client = netutil.ssl_wrap_socket(
            right,
            {"cert_reqs": ssl.CERT_NONE},
            server_hostname="example",
            server_side=False,
            do_handshake_on_connect=False,
        )
        with server, client:
            assert (server.server_side, client.server_side) == (True, False)
            assert client.server_hostname == "example"
            server.setblocking(False)
            client.setblocking(False)
            waiting = [server, client]
            for _ in range(20):
                for end in list(waiting):
                    try:
                        end.do_handshake()
                        waiting.remove(end)
                    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                        pass
            assert not waiting
            client.send(b"hello")
            assert server.recv(10) == b"hello"


# --------------------------------------------------------------------------- ports


@pytest.mark.parametrize("port", [65536, 99999, "99999", 1 << 40])
def test_a_port_that_is_none(port):
    """getaddrinfo would take it modulo 65536, and the server serve somewhere else."""
    with pytest.raises(OverflowError, match="port must be 0-65535"):
        netutil.bind_sockets(port, "127.0.0.1")

    async def main():
        resolvers = [getattr(netutil, name)() for name in (*RESOLVERS, "DefaultExecutorResolver")]
        resolvers.append(netutil.OverrideResolver(netutil.Resolver(), {"a": "127.0.0.1"}))
        for resolver in resolvers:
            with pytest.raises(OverflowError, match="port must be 0-65535"):
                await resolver.resolve("127.0.0.1", port)
            resolver.close()

    asyncio.run(main())
