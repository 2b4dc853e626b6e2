"""Certificates, contexts, and the programs openssl and curl as peers, for the tests of TLS streams."""

import asyncio
import os
import re
import socket
import ssl
import subprocess
import threading

from support.iostream_world import until
from tornado_c.tcpserver import TCPServer

EXTENSIONS = "subjectAltName=DNS:localhost,IP:127.0.0.1"


def openssl(folder, *args):
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)


def make_certificates(folder):
    """ca.pem, server.pem and client.pem signed by it, each with its .key, and other.pem, signed by itself."""
    for name in ("ca", "other"):
        openssl(
            folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "30", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
            "-addext", EXTENSIONS,
        )  # fmt: skip
    (folder / "names.cnf").write_text(EXTENSIONS + "\n")
    for name in ("server", "client"):
        openssl(
            folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}",
        )  # fmt: skip
        openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "30", "-extfile", "names.cnf", "-out", f"{name}.pem",
        )  # fmt: skip
    return folder


def server_context(folder, name="server", **settings):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return adjusted(context, settings)


def client_context(folder, trusted="ca", **settings):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(folder / f"{trusted}.pem")
    return adjusted(context, settings)


def adjusted(context, settings):
    for name, value in settings.items():
        setattr(context, name, value)
    return context


class Program:
    """A running program, and what it has said so far."""

    def __init__(self, *args, cwd):
        # What is preloaded here, a sanitizer, is not for them.
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        self.process = subprocess.Popen(
            args,
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.output = b""
        self.ended = False
        self.reader = threading.Thread(target=self._collect)
        self.reader.start()

    def _collect(self):
        while chunk := self.process.stdout.read1(65536):
            self.output += chunk
        self.ended = True

    def tell(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    async def said(self, text):
        await until(lambda: text in self.output or self.ended)
        assert text in self.output, self.output.decode(errors="replace")

    async def exited(self):
        await until(lambda: self.ended)
        return self.process.wait()

    def close(self):
        self.process.kill()
        self.process.stdin.close()
        self.reader.join()
        self.process.stdout.close()
        self.process.wait()


def stream_of_server(sock, context, **sizes):
    """The TLS stream that one of our servers makes of an accepted socket."""
    streams = []
    server = TCPServer(ssl_options=context)
    server.handle_stream = lambda stream, address: streams.append(stream)
    server._handle_connection(sock, None)
    for name, size in sizes.items():
        setattr(streams[0], name, size)
    return streams[0]


class TlsWorld:
    """TLS streams of a world, and programs to talk with. by_server: a server's streams are made by TCPServer,
    which wraps their sockets; else of sockets that come wrapped."""

    def __init__(self, world, folder, by_server=False):
        self.world = world
        self.by_server = by_server
        self.module = world.module
        self.folder = folder
        self.open = world.open
        self.run = world.run
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open.append(self.listener)

    async def accept(self):
        sock, _ = await asyncio.get_running_loop().run_in_executor(None, self.listener.accept)
        return sock

    def server_stream(self, sock, context, **kwargs):
        if self.by_server:
            stream = stream_of_server(sock, context, **kwargs)
        else:
            wrapped = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            stream = self.module.SSLIOStream(wrapped, **kwargs)
        self.open.append(stream)
        return stream

    async def accepted(self, context, **kwargs):
        return self.server_stream(await self.accept(), context, **kwargs)

    def client_stream(self, context, **kwargs):
        stream = self.module.SSLIOStream(socket.socket(), ssl_options=context, **kwargs)
        self.open.append(stream)
        return stream

    async def pair(self, server=None, client=None, **kwargs):
        """A server's and a client's stream that have shaken hands."""
        ready = asyncio.ensure_future(self.accepted(server or server_context(self.folder), **kwargs))
        stream = self.client_stream(client or client_context(self.folder), **kwargs)
        connecting = stream.connect(("127.0.0.1", self.port), server_hostname="localhost")
        other = await ready
        await asyncio.gather(other.wait_for_handshake(), connecting)
        return other, stream

    def program(self, *args):
        program = Program(*args, cwd=self.folder)
        self.open.append(program)
        return program

    def s_client(self, *args):
        return self.program("openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", *args)

    async def s_server(self, *args):
        """The program, and the port it listens on."""
        program = self.program("stdbuf", "-o0", "openssl", "s_server", "-accept", "127.0.0.1:0", *args)
        await program.said(b"ACCEPT")
        await until(lambda: re.search(rb"ACCEPT \S+:(\d+)\s", program.output))
        return program, int(re.search(rb"ACCEPT \S+:(\d+)\s", program.output)[1])
