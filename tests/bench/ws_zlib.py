"""python ws_zlib.py ROW: decompresses and compresses the row's messages as a server that echoes them, and
nothing else; prints how many a second of CPU time."""

import sys
import time
import zlib

from rows import BY_NAME

SECONDS = 0.5


def main() -> None:
    row = BY_NAME[sys.argv[1]]
    payloads = row.payloads()
    # As many as there are connections: together they do not fit into a cache.
    pairs = [
        (zlib.compressobj(6, zlib.DEFLATED, -15, 8), zlib.decompressobj(-15)) for _ in range(row.connections)
    ]
    done, start = 0, time.process_time()
    while (taken := time.process_time() - start) < SECONDS:
        for first, (compressor, decompressor) in enumerate(pairs):
            payload = payloads[(first + done // len(pairs)) % len(payloads)]
            message = decompressor.decompress(payload + b"\0\0\xff\xff")
            compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)
            done += 1
    print(done / taken)


if __name__ == "__main__":
    main()
