"""What request_generator.py makes requests of: good pieces, and bad ones that both servers refuse."""

from __future__ import annotations

import gzip

METHODS = [
    b"GET",
    b"POST",
    b"PUT",
    b"HEAD",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"get",
    b"M-SEARCH",
    b"!#$%&'*+-.^_`|~9",
]
BAD_METHODS = [b"", b"G(T", b"G\tT", b"G\xe9T", b"G\0T", b"GE:T", b"GET\r", b'"GET"']
TARGETS = [
    b"/",
    b"/a?b=c",
    b"/chunked",
    b"/chunked/x?y",
    b"/empty",
    b"/same",
    b"/old",
    b"*",
    b"http://h/x?y=z",
]
TARGETS += [
    b"//",
    b"?",
    b"?a",
    b"/%zz%00",
    b"/\xff\xfe",
    b"/#f",
    b"/?a=%C3%A9&a=2&b",
    b"/a\\b",
    b"h:443",
    b"/" + b"p" * 300,
]
BAD_TARGETS = [b"", b"/a b", b"/\x7f", b"/\0", b"/a\tb", b"/\x1b", b"/a\r/b", b"/a\x0b"]
BAD_VERSIONS = [
    b"HTTP/2.0",
    b"HTTP/0.9",
    b"http/1.1",
    b"HTTP/1.10",
    b"HTTP/01.1",
    b"",
    b"HTTP/1.",
    b"HTTP/1,1",
    b"HTTP/1.1 ",
]
BAD_VERSIONS += [b"HTTP/1.1\t", b"HTTPS/1.1", b"HTTP/11", b"HTTP/1.\xb2", b"XTTP/1.1", b"HTTP /1.1"]
HOSTS = [
    b"a",
    b"a:80",
    b"A.example:8888",
    b"[::1]:80",
    b"1.2.3.4",
    b"a_b",
    b"a%20b",
    b"",
    b"a:",
    b":80",
    b"::",
    b"(a)",
]
BAD_HOSTS = [
    b"a b",
    b"a/b",
    b"a@b",
    b"\xe9",
    b"a%2",
    b"a\\b",
    b"a?b",
    b"<a>",
    b"a,b",
    b"a, a",
    b'"a"',
    b"a#",
    b"a%zz",
]
HEADERS = [
    b"X-A: 1",
    b"x-b:2",
    b"X-Empty:",
    b"X-Blank:  \t ",
    b"X-Many: a",
    b"x-many:\tb ",
    b"X-High: \xe4\xff\x80",
]
HEADERS += [
    b'User-Agent: test (x; y) "z"',
    b'Cookie: a=b; c="d"',
    b"Accept: */*;q=0.1",
    b"!#$%&'*+-.^_`|~1a: x",
    b"X-C: :::",
]
HEADERS += [
    b"X-Forwarded-For: 4.4.4.4, 5.5.5.5",
    b"X-Forwarded-For: nobody",
    b"X-Real-Ip: ::1",
    b"X-Real-Ip: 1.2.3",
    b"X-Scheme: https",
]
HEADERS += [
    b"X-Forwarded-Proto: http, https",
    b"X-Scheme: gopher",
    b"If-None-Match: *",
    b"Range: bytes=1-2",
    b"Upgrade: websocket",
]
BAD_HEADERS = [
    b"X : 1",
    b" X: 1",
    b"\tX: 1",
    b"X",
    b": 1",
    b"X\0: 1",
    b"X: a\0b",
    b"X: a\rb",
    b"X: \x0b",
    b"X: \x7f",
    b"X(: 1",
]
BAD_HEADERS += [
    b"X\xe9: 1",
    b"X@: 1",
    b"X: 1\r",
    b"X Y: 1",
    b"\x0cX: 1",
    b"X\t: 1",
    b"X: \x1b[0m",
    b"=: 1",
    b'"X": 1',
    b"X: 1\n 2",
]
CONNECTIONS = [
    b"close",
    b"Close",
    b"keep-alive",
    b"Keep-Alive",
    b"KEEP-ALIVE",
    b"upgrade",
    b"",
    b"x",
    b"closed",
    b'"close"',
]
LENGTHS: list[tuple[str, bool]] = [("{}", True)] * 12 + [
    ("0{}", True),
    ("00000000000000000000{}", True),
    ("{}\t", True),
]
LENGTHS += [
    ("{0}, {0}", True),
    ("{0},{0}", True),
    ("{0},\t{0}, {0}", True),
    ("  {}  ", True),
    ("{0},  {0}", True),
]
LENGTHS += [
    (text, False)
    for text in (
        "+{}",
        "-{}",
        "{0},1{0}",
        "0x{}",
        "{} {}",
        "{}.0",
        "{}_0",
        "",
        ",",
        "{},",
        ",{}",
        "{};",
        "1e1",
    )
]
LENGTHS += [
    (text, False)
    for text in ("\u0663", "\u00b2", "{} ,{}", "18446744073709551616", "9" * 90, "3001", "2147483648", "'5'")
]
CODINGS = [b"Chunked", b"CHUNKED", b"chunked\t"]
BAD_CODINGS = [
    b"gzip",
    b"gzip, chunked",
    b"chunked, gzip",
    b"chunked, chunked",
    b"identity",
    b"",
    b"xchunked",
    b"chunked;a=b",
]
BAD_CODINGS += [b"chun\xebked", b"\x0bchunked", b",chunked", b"chunked,", b'"chunked"', b"chunkeD\xc4\xb1"]
BAD_SIZES = [
    b"",
    b"g",
    b"0x5",
    b"-1",
    b"+5",
    b"5 ",
    b" 5",
    b"5_0",
    b"\xb2",
    b"5\t",
    b"5\r",
    b"5,5",
    b"FFFFFFFFFFFFFFFF",
    b"7fffffffffffffff",
]
EXTENSIONS = [b";a", b";a=b", b';a="b"', b'; a = "b;c"', b";" + b"x" * 40]
BAD_TRAILERS = [b"X", b" X: 1", b"X : 1", b"X: \0", b"X\xe9: 1", b"X: a\rb"]
FORM = b"Content-Type: application/x-www-form-urlencoded"
FORMS = [b"a=1&b=2&a=3", b"a", b"", b"&&", b"%41=%zz+x", b"a=\xff", b"a=1;b=2", b"=", b"a=" + b"x" * 900]
MULTIPART = b"Content-Type: multipart/form-data; boundary=zz"
PART = b'--zz\r\nContent-Disposition: form-data; name="f"; filename="g"\r\nContent-Type: text/x\r\n\r\nhi\r\n'
PARTS = [
    PART + b"--zz--\r\n",
    PART + PART + b"--zz--",
    PART,
    b"",
    b"--zz--",
    PART.replace(b"name", b"nome") + b"--zz--",
]
PARTS += [b"--zz\r\nX\r\n\r\n--zz--", PART[:-2] + b"--zz--", PART.replace(b"\r\n\r\n", b"\r\n") + b"--zz--"]

GZIP = [b"Content-Encoding: gzip"] * 4 + [
    b"content-encoding:GZIP",
    b"Content-Encoding: gzip, gzip",
    b"Content-Encoding: br",
]
GZIPPED = [
    gzip.compress(data, mtime=0) for data in (b"", b"hello", b"a=1&b=2", b"x" * 3000, bytes(range(256)) * 11)
]
GZIPPED += [
    gzip.compress(b"x" * 3001, mtime=0),
    gzip.compress(bytes(1 << 20), mtime=0),
    b"not gzip",
    b"\x1f\x8b",
]
GZIPPED += [
    GZIPPED[1] + GZIPPED[2],
    GZIPPED[1] + b"more",
    GZIPPED[3][:-1],
    GZIPPED[1][:12],
    GZIPPED[1] + bytes(8),
]
GZIPPED += [GZIPPED[1][:-6] + bytes(6), GZIPPED[1][:10] + b"\xff" + GZIPPED[1][11:]]
