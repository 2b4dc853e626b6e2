"""A server of lines over TCP: each line comes back in capitals until the client sends an empty one.

The function that serves a connection is assigned to the server, and streams take callbacks. Try
``nc 127.0.0.1 8888``. The port may be given as the first argument.
"""

import sys

from tornado_c.ioloop import IOLoop
from tornado_c.iostream import IOStream
from tornado_c.tcpserver import TCPServer


def handle_stream(stream: IOStream, address: tuple[str, int]) -> None:
    def read_line() -> None:
        stream.read_until("\n", on_line)

    def on_line(line: bytes) -> None:
        text = line.decode("utf-8").strip()
        if not text:
            stream.close()
            return
        stream.write(text.upper() + "\n", read_line)

    stream.write(f"Hello {address[0]}, say something\n")
    read_line()


def main() -> None:
    server = TCPServer()
    server.handle_stream = handle_stream
    server.listen(int(sys.argv[1]) if len(sys.argv) > 1 else 8888)
    IOLoop.instance().start()


if __name__ == "__main__":
    main()
