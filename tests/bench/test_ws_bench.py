"""The rows that speak WebSocket: what is sent, and that it comes back."""

import json
import zlib
from dataclasses import replace

import pytest
import servers
import ws_load
import ws_zlib
from rows import BY_NAME
from ws_rows import ROWS


@pytest.fixture(scope="module")
def port():
    with servers.running("ours", "websocket") as (_, port):
        yield port


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_answers(port, row):
    ws_load.check_answer(port, row)


@pytest.mark.parametrize("name", ["ws_echo", "ws_pipeline", "ws_large", "ws_deflate", "ws_broadcast"])
def test_every_message_is_answered(port, name):
    row = replace(BY_NAME[name], connections=5)
    with ws_load.loading(port, row, 5) as send:
        for waves in (1, 3):
            messages = 5 * waves * max(row.in_flight, 1)
            assert send(f"messages {messages}")["operations"] == messages


def test_a_server_that_goes_away():
    with servers.running("ours", "websocket") as (process, port):
        with ws_load.loading(port, BY_NAME["ws_echo"], 5) as send:
            process.kill()
            with pytest.raises(RuntimeError, match="the connection has ended|send: "):
                send("messages 5")


def test_compressed_messages_stand_by_themselves():
    row = BY_NAME["ws_deflate"]
    decompressor = zlib.decompressobj(-15)
    for message, payload in reversed(list(zip(row.messages(), row.payloads(), strict=True))):
        assert len(message) == 1024 and json.loads(message[:-1].rpartition(b", {")[0] + b"]}")["quotes"]
        assert decompressor.decompress(payload + b"\0\0\xff\xff") == message


def test_zlib_alone_echoes_for_each_connection():
    row = BY_NAME["ws_deflate"]
    answers = ws_zlib.echoes(row.payloads(), 3)
    clients = [zlib.decompressobj(-15) for _ in range(3)]
    for turn in range(row.warm_up + 2):
        for first, client in enumerate(clients):
            assert client.decompress(next(answers)) == row.messages()[(first + turn) % 64]
