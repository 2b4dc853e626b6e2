"""permessage-deflate: the header, what is agreed on, and the two machines alone, beside stock's and zlib."""

import os
import sys
import time
import zlib

import pytest
import tornado.websocket

from tornado_c._websocket import extensions
from tornado_c.websocket import (
    _DecompressTooLargeError,
    _PerMessageDeflateCompressor,
    _PerMessageDeflateDecompressor,
)

END = b"\x00\x00\xff\xff"
MESSAGES = [b"Hello", b"", b"", b"hello " * 100, os.urandom(300), b"a" * 100_000, b"hello " * 100, b""]


# ---- the header ----


@pytest.mark.parametrize(
    "text, found",
    [
        ("", []),
        (" , ,", []),
        ("permessage-deflate", [("permessage-deflate", {})]),
        ("Permessage-Deflate", [("permessage-deflate", {})]),
        ("a; b, c ;d=1; e", [("a", {"b": None}), ("c", {"d": "1", "e": None})]),
        ('a; b="10"', [("a", {"b": "10"})]),
        ('a; b="x;y,z\\"w", c', [("a", {"b": 'x;y,z"w'}), ("c", {})]),
        ("a; b = 10 ,c", [("a", {"b": "10"}), ("c", {})]),
    ],
)
def test_header(text, found):
    assert extensions.parse_extensions(text) == found


@pytest.mark.parametrize(
    "text",
    ["a; b=1; b=1", "a; b; b", "a; B; b", "a;", "a;;b", "a; =1", "a; b=", "a; b=1 2", "a=1", "a b", ";b"]
    + ['a; b="', 'a; b="1"2', "\xe4", "a; b=\x00", "a; b c"],
)
def test_malformed_header(text):
    """Such an extension has a parameter that nobody knows."""
    assert any("" in parameters for _, parameters in extensions.parse_extensions(text))
    assert all(extensions.accept_offer(p) is None for _, p in extensions.parse_extensions(text) if "" in p)


@pytest.mark.parametrize(
    "text", ['"' * 60_000, 'a; b="' + "\\" * 60_000, ";" * 60_000, "," * 60_000, "a;b" * 20_000]
)
def test_header_in_linear_time(text):
    began = time.process_time()
    extensions.parse_extensions(text)
    assert time.process_time() - began < 5  # quadratic would be minutes


# ---- what is agreed on ----


@pytest.mark.parametrize(
    "offer, answer",
    [
        ({}, {}),
        ({"client_max_window_bits": None}, {}),
        ({"client_max_window_bits": "8"}, {"client_max_window_bits": "8"}),
        ({"server_max_window_bits": "9"}, {"server_max_window_bits": "9"}),
        ({"server_no_context_takeover": None}, {"server_no_context_takeover": None}),
        ({"client_no_context_takeover": None}, {"client_no_context_takeover": None}),
        ({"server_max_window_bits": "8"}, None),
        ({"server_max_window_bits": None}, None),
        ({"server_max_window_bits": "010"}, None),
        ({"server_max_window_bits": "16"}, None),
        ({"server_max_window_bits": "\u0661\u0660"}, None),
        ({"client_max_window_bits": "7"}, None),
        ({"client_max_window_bits": ""}, None),
        ({"server_no_context_takeover": "1"}, None),
        ({"client_no_context_takeover": ""}, None),
        ({"x": None}, None),
    ],
)
def test_offers(offer, answer):
    assert extensions.accept_offer(offer) == answer


@pytest.mark.parametrize(
    "answer",
    [{"x": None}, {"client_max_window_bits": None}, {"server_max_window_bits": "7"}, {"": None}]
    + [{"server_no_context_takeover": "1"}],
)
def test_answers_that_a_client_refuses(answer):
    with pytest.raises(ValueError, match="unsupported compression parameter"):
        extensions.check_answer(answer)


def test_answers_that_a_client_takes():
    extensions.check_answer({"client_max_window_bits": "8", "server_max_window_bits": "8"})
    extensions.check_answer({"client_no_context_takeover": None, "server_no_context_takeover": None})


# ---- the machines ----


@pytest.fixture(params=[True, False], ids=["persistent", "each alone"])
def persistent(request):
    return request.param


@pytest.mark.parametrize("bits", [None, *range(8, 16)])
def test_both_ways(persistent, bits):
    compressor = _PerMessageDeflateCompressor(persistent, bits)
    decompressor = _PerMessageDeflateDecompressor(persistent, bits, 1_000_000)
    by_zlib = zlib.decompressobj(-(bits or 15))  # as small a window as was agreed on
    for message in MESSAGES:
        payload = compressor.compress(message)
        assert decompressor.decompress(payload) == message
        assert by_zlib.decompress(payload + END) == message
        if not persistent:
            by_zlib = zlib.decompressobj(-(bits or 15))


@pytest.mark.parametrize(
    "options", [None, {}, {"compression_level": 1}, {"mem_level": 1, "compression_level": 9}]
)
def test_compressor_beside_stock(persistent, options):
    ours = _PerMessageDeflateCompressor(persistent, 12, options)
    stock = tornado.websocket._PerMessageDeflateCompressor(persistent, 12, options)
    for message in filter(None, MESSAGES):  # stock fails with the second empty message in a row
        assert ours.compress(message) == stock.compress(message)


def test_context_is_kept():
    message = os.urandom(1000)
    kept, fresh = (_PerMessageDeflateCompressor(persistent, None) for persistent in (True, False))
    assert len(kept.compress(message)) > 1000 > 100 > len(kept.compress(message))
    assert fresh.compress(message) == fresh.compress(message)


def test_they_are_made_with_the_first_message(persistent):
    compressor = _PerMessageDeflateCompressor(persistent, None)
    decompressor = _PerMessageDeflateDecompressor(persistent, None, 100)
    assert compressor._compressor is None and decompressor._decompressor is None
    decompressor.decompress(compressor.compress(b"hello"))
    assert (compressor._compressor is not None) == (decompressor._decompressor is not None) == persistent


@pytest.mark.parametrize("bits", [-1, 0, 7, 16])
def test_windows_that_do_not_exist(bits):
    with pytest.raises(ValueError, match=f"Invalid max_wbits value {bits}; allowed range 8-15"):
        _PerMessageDeflateCompressor(True, bits)
    with pytest.raises(ValueError, match=f"Invalid max_wbits value {bits}; allowed range 8-15"):
        _PerMessageDeflateDecompressor(True, bits, 100)


@pytest.mark.parametrize("limit", [0, 1, 5, 258, 1000, 65536])
def test_the_limit(persistent, limit):
    for message in (b"a" * limit, os.urandom(limit)):
        compress = _PerMessageDeflateCompressor(True, None).compress
        decompressor = _PerMessageDeflateDecompressor(persistent, None, limit)
        assert decompressor.decompress(compress(message)) == message
        with pytest.raises(_DecompressTooLargeError):
            _PerMessageDeflateDecompressor(persistent, None, limit).decompress(
                _PerMessageDeflateCompressor(True, None).compress(message + b"b")
            )


def test_a_bomb_costs_no_more_than_the_limit():
    import tracemalloc

    payload = _PerMessageDeflateCompressor(True, None).compress(bytes(200_000_000))
    decompressor = _PerMessageDeflateDecompressor(True, None, 1_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(_DecompressTooLargeError):
            decompressor.decompress(payload)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_final_blocks_end_a_stream_but_not_the_connections(persistent):
    """RFC 7692, section 7.2.3.4, and messages of several such blocks."""
    decompressor = _PerMessageDeflateDecompressor(persistent, None, 1000)
    hello = bytes.fromhex("f348cdc9c9070000")
    usual = _PerMessageDeflateCompressor(False, None).compress(b"then")
    for _ in range(3):
        assert decompressor.decompress(hello) == b"Hello"
        assert decompressor.decompress(usual) == b"then"
    final = zlib.compress(b"one ", wbits=-15)
    assert decompressor.decompress(final * 10 + usual) == b"one " * 10 + b"then"
    with pytest.raises(_DecompressTooLargeError):
        decompressor.decompress(final * 60 + zlib.compress(bytes(1000), wbits=-15) + usual)


def test_final_blocks_without_end():
    decompressor = _PerMessageDeflateDecompressor(True, None, 1000)
    with pytest.raises(zlib.error, match="too many final blocks"):
        decompressor.decompress(b"\x03\x00" * 1_000_000)


@pytest.mark.parametrize("payload", [b"\xff", b"\x00\x01", os.urandom(100) + b"\xff\xff"])
def test_what_is_no_deflate(payload):
    with pytest.raises(zlib.error):
        for _ in range(2):
            _PerMessageDeflateDecompressor(True, None, 1000).decompress(b"\x07" + payload)


@pytest.mark.parametrize("limit, message", [(-1, b""), (0, b""), (2**80, b"hello"), (sys.maxsize, b"hello")])
def test_odd_limits(limit, message):
    """They are no limit of 0 to zlib, which means none, and none that it cannot count to."""
    compress = _PerMessageDeflateCompressor(False, None).compress
    decompressor = _PerMessageDeflateDecompressor(False, None, limit)
    assert decompressor.decompress(compress(message)) == message
    if limit <= 0:
        with pytest.raises(_DecompressTooLargeError):
            decompressor.decompress(compress(b"b"))


@pytest.mark.parametrize("data", [bytearray(b"abc"), memoryview(b"abc")])
def test_other_buffers(data):
    compress = _PerMessageDeflateCompressor(False, None).compress
    decompressor = _PerMessageDeflateDecompressor(False, None, 100)
    assert decompressor.decompress(bytearray(compress(data))) == b"abc"
    assert decompressor.decompress(data=memoryview(compress(data=data))) == b"abc"


class Odd:
    """In the place of zlib's objects."""

    eof = False
    unused_data = b""

    def __init__(self, *results):
        self.results = list(results)

    def result(self, *args):
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    compress = flush = decompress = result


@pytest.mark.parametrize(
    "results, error",
    [
        ((b"a", b"b\0\0\xff\xff"), None),
        ((b"ab\0\0", b"\xff\xff"), None),
        ((b"ab\0\0\xff\xff", b""), None),
        ((b"", b"ab"), AssertionError),
        ((b"", b""), AssertionError),
        ((None, b"\0\0\xff\xff"), TypeError),
        ((b"ab", "\0\0\xff\xff"), TypeError),
        ((b"ab", KeyError()), KeyError),
    ],
)
def test_compressors_of_others(results, error):
    class Compressor(_PerMessageDeflateCompressor):
        def _create_compressor(self):
            return Odd(*results)

    if error is None:
        assert Compressor(True, None).compress(b"x") == b"ab"
    else:
        with pytest.raises(error):
            Compressor(True, None).compress(b"x")


@pytest.mark.parametrize(
    "results, error", [((b"ab",), None), ((None,), TypeError), ((bytes(101),), _DecompressTooLargeError)]
)
def test_decompressors_of_others(results, error):
    decompressor = _PerMessageDeflateDecompressor(True, None, 100)
    decompressor._decompressor = Odd(*results)
    if error is None:
        assert decompressor.decompress(b"x") == b"ab"
    else:
        with pytest.raises(error):
            decompressor.decompress(b"x")


def test_decompressors_that_never_end():
    class Endless(Odd):
        eof = True
        unused_data = b"more"

        def decompress(self, data, limit):
            return b"a"

    class Decompressor(_PerMessageDeflateDecompressor):
        def _create_decompressor(self, history=b""):
            return Endless()

    with pytest.raises(zlib.error, match="final blocks"):
        Decompressor(True, None, 1000).decompress(b"x")
    with pytest.raises(_DecompressTooLargeError):
        Decompressor(True, None, 10).decompress(b"x")
