"""Messages, and what damages them by chance."""

REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a/b?c=d&e=f HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nCookie: a=b; c=d\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nhello, world",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n",  # noqa: E501
    b"PUT /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /f HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\na=1&b=2",  # noqa: E501
    b"POST /m HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 65\r\n\r\n"  # noqa: E501
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="g"\r\n\r\nhi\r\n--x--\r\n',
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nX-Scheme: https\r\nConnection: close\r\n\r\n",  # noqa: E501
]
TOKENS = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\0",
    b": ",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"0\r\n\r\n",
]
TOKENS += [
    b"HTTP/1.1",
    b"\xff",
    b"Host: b\r\n",
    b"FFFFFFFFFFFFFFFF",
    b"%00",
    b"Expect: 100-continue\r\n",
    b"-1",
    b"=" * 50,
]


def damage(data, rng, tokens=TOKENS):
    data = bytearray(data)
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        kind, at = rng.randrange(6), rng.randrange(len(data) + 1) if data else 0
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            del data[at : at + rng.randrange(1, 8)]
        elif kind == 3:
            data[at:at] = rng.choice(tokens)
        elif kind == 4 and at < len(data):
            data[at] = rng.randrange(256)
        else:
            data[at:at] = data[rng.randrange(at + 1) : at]
    return bytes(data)
