"""TLS clients whose bytes are damaged on the way: the server ends their connections and goes on."""

import asyncio
import contextlib
import random
import ssl

import pytest

from support.damage import damage
from support.iostream_tls_tools import client_context, server_context
from tornado_c import netutil
from tornado_c.tcpserver import TCPServer

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Echo(TCPServer):
    def __init__(self, context):
        super().__init__(ssl_options=context)
        self.serving = set()

    async def handle_stream(self, stream, address):
        self.serving.add(stream)
        try:
            while True:
                data = await stream.read_bytes(5000, partial=True)
                await stream.write(data * random.choice([1, 1, 50]))
        except OSError:  # StreamClosedError, SSLError among them
            stream.close()
        finally:
            self.serving.discard(stream)


class Client:
    """TLS over memory, whose bytes are damaged from the handshake on, or after it."""

    def __init__(self, seed, context, reader, writer):
        self.rng = random.Random(seed)
        self.reader, self.writer = reader, writer
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.damaging = self.rng.random() < 0.3

    def send(self):
        data = self.outgoing.read()
        if self.damaging and self.rng.random() < 0.5:
            data = damage(data, self.rng, [self.rng.randbytes(size) for size in (1, 5, 30, 99)])
        while data:
            n = self.rng.choice([1, 5, 100, len(data), len(data)])
            self.writer.write(data[:n])
            data = data[n:]

    async def receive(self, seconds):
        data = await asyncio.wait_for(self.reader.read(65536), seconds)
        self.incoming.write(data)
        return bool(data)

    async def shake_hands(self):
        while True:
            try:
                self.tls.do_handshake()
                return True
            except ssl.SSLWantReadError:
                self.send()
                if not await self.receive(0.2):
                    return False

    async def talk(self):
        try:
            if not await self.shake_hands():
                return
            self.damaging = True
            for _ in range(self.rng.randrange(1, 12)):
                self.tls.write(self.rng.randbytes(self.rng.choice([1, 100, 5000, 20_000])))
                self.send()
                await self.writer.drain()
                if self.rng.random() < 0.3:
                    await self.receive(0.01)
        except OSError:  # TimeoutError among them
            pass
        finally:
            self.writer.transport.abort()


@pytest.mark.parametrize("version", VERSIONS)
def test_server_goes_on(ours, certificates, version):
    async def main():
        server = Echo(server_context(certificates))
        sockets = netutil.bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        address = sockets[0].getsockname()
        context = client_context(certificates, maximum_version=VERSIONS[version])

        async def visit(seed):
            await Client(seed, context, *await asyncio.open_connection(*address)).talk()

        for first in range(0, 120, 20):
            await asyncio.gather(*map(visit, range(first, first + 20)))
        reader, writer = await asyncio.open_connection(*address, ssl=context, server_hostname="localhost")
        writer.write(b"still there?")
        assert (await reader.read(12)) == b"still there?"
        writer.close()
        with contextlib.suppress(ssl.SSLError):
            await writer.wait_closed()
        while server.serving:
            await asyncio.sleep(0.01)
        server.stop()

    ours.run(main)
