"""python ws_zlib.py ROW PAIRS: decompresses and compresses the row's messages as a server that echoes them,
and does nothing else, with as many pairs of zlib's objects as connections. Speaks as ws_load.c does."""

import itertools
import sys
import time
import zlib
from collections.abc import Iterator

from rows import BY_NAME

TAIL = b"\0\0\xff\xff"
TURN = 64  # messages between two looks at the clock


def echoes(payloads: list[bytes], pairs: int) -> Iterator[bytes]:
    """The answers, in the order in which those of ws_load.c come to a server with so many connections."""
    machines = [(zlib.compressobj(6, zlib.DEFLATED, -15, 8), zlib.decompressobj(-15)) for _ in range(pairs)]
    for turn in itertools.count():
        for first, (compressor, decompressor) in enumerate(machines):
            message = decompressor.decompress(payloads[(first + turn) % len(payloads)] + TAIL)
            yield compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)


def main() -> None:
    row = BY_NAME[sys.argv[1]]
    answers = echoes(row.payloads(), int(sys.argv[2]))
    print("READY", flush=True)
    for line in sys.stdin:
        what, number = line.split()
        start, done = time.monotonic(), 0
        while done < int(number) if what == "messages" else time.monotonic() - start < int(number):
            done += sum(1 for _ in itertools.islice(answers, TURN))
        print("RESULT", done, round((time.monotonic() - start) * 1e6), 0, 0, flush=True)


if __name__ == "__main__":
    main()
