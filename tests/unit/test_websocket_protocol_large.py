"""Messages that come in many reads: what is handed on, what it costs to announce one, and that nobody else's
memory is used for it."""

import asyncio
import random
import tracemalloc

import pytest

from support.ws_raw import BINARY, CLOSE, PING, PONG, TEXT, Params, connected, frame, run, turns, until

SIZE = 1 << 20


def content(seed, size=SIZE):
    return random.Random(seed).randbytes(size)


async def send_in_pieces(peer, data, pieces):
    at = 0
    for piece in pieces:
        await peer.send(data[at : at + piece])
        at += piece
        await turns(3)
    await peer.send(data[at:])


@pytest.mark.parametrize("mask", [b"\x01\x80\xfe\x33", None])
@pytest.mark.parametrize(
    "pieces",
    [(), (1,), (15,), (70_000,), (70_001, 30_003, 1, 2, 200_001), (SIZE,), (SIZE - 1,), (SIZE - 20_000,)],
)
def test_they_are_what_was_sent(mask, pieces):
    async def main():
        with connected(mask_outgoing=mask is None) as (protocol, handler, peer):
            data = content(1)
            sent = frame(BINARY, data, mask) + frame(TEXT, b"behind", mask)
            await send_in_pieces(peer, sent, pieces)
            await until(lambda: len(handler.messages) == 2)
            assert handler.messages[0] == data
            assert handler.messages[1] == "behind"
            assert protocol._wire_bytes_in == len(sent)
            assert protocol._message_bytes_in == SIZE + len("behind")

    run(main)


def test_each_is_an_object_of_its_own():
    async def main():
        with connected() as (_protocol, handler, peer):
            kept, hashes = [], []

            def on_message(message):
                hashes.append(hash(message))
                if len(hashes) % 3 == 0:
                    kept.append((len(hashes) - 1, message))

            handler.on_message = on_message
            sizes = [SIZE, SIZE, SIZE, SIZE - 1, SIZE - 70_000, SIZE, 400_000, SIZE, SIZE // 2 * 3, SIZE] * 2
            sent = [content(seed, size) for seed, size in enumerate(sizes)]
            for at, message in enumerate(sent):
                await peer.send(frame(BINARY, message))
                await until(lambda at=at: len(hashes) > at)
            assert hashes == [hash(message) for message in sent]
            assert len(kept) == len(sent) // 3
            assert all(message == sent[at] for at, message in kept)

    run(main)


def test_what_is_still_being_sent_keeps_its_memory():
    async def main():
        with connected() as (protocol, handler, peer):

            def on_message(message):
                protocol.write_message(message, binary=True)  # its Future would hold back the next message

            handler.on_message = on_message
            sent = [content(seed, 300_000) for seed in range(5)]
            for message in sent:
                await peer.send(frame(BINARY, message))
                await turns(20)
            assert await peer.receive(5) == [(BINARY, message) for message in sent]

    run(main)


def test_large_messages_of_many_connections():
    async def main():
        with connected() as one, connected() as two, connected() as three:
            everybody = [one, two, three]
            data = [[content(number * 10 + at) for at in range(4)] for number in range(3)]

            async def talk(number):
                _protocol, handler, peer = everybody[number]
                for at, message in enumerate(data[number]):
                    await send_in_pieces(peer, frame(BINARY, message), [100_000] * 5)
                    await until(lambda at=at: len(handler.messages) == at + 1)
                assert handler.messages == data[number]

            await asyncio.gather(*map(talk, range(3)))

    run(main)


def test_control_frames_and_fragments():
    async def main():
        with connected() as (_protocol, handler, peer):
            text = "\u20ac" * 200_000
            raw = text.encode()
            parts = [raw[:300_001], raw[300_001:300_002], raw[300_002:500_000], raw[500_000:]]
            opcodes = [TEXT & 0x0F, 0, 0, 0x80]
            sent = b"".join(
                frame(opcode, part) + frame(PING, b"%d" % at)
                for at, (opcode, part) in enumerate(zip(opcodes, parts, strict=True))
            )
            await send_in_pieces(peer, sent, [65_536, 200_000, 7])
            await until(lambda: handler.messages)
            assert handler.messages == [text]
            assert (PONG, b"0") in await peer.receive(1)

    run(main)


@pytest.mark.parametrize("at", [0, 65_000, 300_000, 599_999])
def test_text_that_is_none(at):
    async def main():
        with connected() as (_protocol, handler, peer):
            raw = bytearray(b"x" * 600_000)
            raw[at] = 0xFF
            await send_in_pieces(peer, frame(TEXT, bytes(raw)), [70_000, 100_000])
            [(opcode, payload)] = await peer.receive(1)
            assert (opcode, payload[:2]) == (CLOSE, (1007).to_bytes(2))
            assert handler.messages == []

    run(main)


def test_a_large_message_that_is_announced_costs_nothing():
    async def main():
        with connected(params=Params(max_message_size=1 << 40)) as (protocol, _handler, peer):
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            await peer.send(bytes([0x82, 0xFF]) + (1 << 39).to_bytes(8) + b"mask" + b"x" * 1000)
            await turns(5)
            announced = tracemalloc.get_traced_memory()[0] - before
            await peer.send(b"x" * 500_000)
            await until(lambda: protocol._wire_bytes_in > 501_000)
            came = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            assert announced < 200_000
            assert came < 2_500_000

    run(main)


def test_the_connection_ends_within_one():
    async def main():
        with connected() as (_protocol, handler, peer):
            await peer.send(frame(BINARY, content(1))[:300_000])
            await turns(5)
            peer.sock.close()
            await until(lambda: handler.closes)
            assert handler.messages == []

    run(main)


def test_a_message_that_holds_back_the_next():
    async def main():
        with connected() as (_protocol, handler, peer):
            got, go_on = [], asyncio.Event()

            async def on_message(message):
                got.append(message)
                await go_on.wait()

            handler.on_message = on_message
            data = content(1)
            sending = asyncio.ensure_future(peer.send(frame(BINARY, data) * 3))
            await until(lambda: got)
            await turns(20)
            assert len(got) == 1
            go_on.set()
            await until(lambda: len(got) == 3)
            await sending
            assert got == [data] * 3

    run(main)
