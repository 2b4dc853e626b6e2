"""What somebody who moves an old program changes in it, made to a copy of the old tests.

Each change quotes the row of docs/callbacks.rst that asks for it. There are two kinds:

guide    what says to a check what it wants to know, where checks have become stricter: from "What to change".
         These are in what a test does, never in what it asserts.
earlier  what Tornado itself had changed by 4.5 ("From 2.4 to 4.5"): without them 4.5.3 fails these tests of
         2.4.1 as well. Where a test asserts what it was before, it asserts what it is with 4.5.3.
"""

import functools
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

#: How the tests are run: as they are, after the first kind of changes, after both kinds.
STAGES = ("none", "guide", "earlier")
SAYS = {
    "none": "as they are",
    "guide": "after the changes that the guide asks for",
    "earlier": "after the changes that the guide asks for and those that Tornado 4.5.3 asked for",
}


@dataclass(frozen=True)
class Change:
    """A text in a file of the old tests, once or more, and what it becomes."""

    kind: str
    rule: str  # so in docs/callbacks.rst
    file: str
    old: str
    new: str


HOST = "A request in HTTP/1.1 that is written by hand"
VERIFY = "A TLS client whose server has no certificate that can be verified"
WRAP = "``ssl.wrap_socket``"

STATUS_LINE = "The status line says HTTP/1.1, whatever the request said."
CLOSE_CALLBACK = "A close callback comes when what was received is read."
HTTPS_TESTS = "The client of ``AsyncHTTPSTestCase`` does not verify certificates."
ADDRESS = "``AsyncHTTPTestCase.get_url`` says 127.0.0.1 in place of localhost."
NO_CONTENT = "A 204 has no Content-Length."
IPV6 = "Clients use IPv6 unless they are told otherwise."
TIMEOUT = "An error says what took too long."
STATIC_VERSION = "``static_url`` has the whole MD5 of the file."
SIGNED_VERSION = "``set_secure_cookie`` signs as version 2."
COOKIES = "A semicolon ends a cookie, also within quotes."
OAUTH = "Keys and secrets of OAuth are text."
URL_CONCAT = "``url_concat`` writes the whole query anew."
HELP = "``options.help`` is defined already."
UI_MODULES = "``{% module %}`` is ``_tt_modules`` in a template's namespace."

_UNVERIFIED = "ssl_options=dict(cert_reqs=ssl.CERT_NONE)"
_A_HOST = (" HTTP/1.1\\r\\n", " HTTP/1.1\\r\\nHost: a\\r\\n")


def _changes(kind: str, rule: str, file: str, *texts: tuple[str, str]) -> list[Change]:
    return [Change(kind, rule, file, old, new) for old, new in texts]


CHANGES = {
    "4.5.3": [
        *_changes(
            "guide",
            HOST,
            "httpserver_test",
            _A_HOST,
            ('[b"POST /hello HTTP/1.1",', '[b"POST /hello HTTP/1.1", b"Host: a",'),
            ("POST /echo HTTP/1.1\n", "POST /echo HTTP/1.1\nHost: a\n"),
        ),
        *_changes("guide", HOST, "web_test", _A_HOST),
        *_changes("guide", VERIFY, "simple_httpclient_test", ("ssl_options={}", _UNVERIFIED)),
    ],
    "2.4.1": [
        *_changes(
            "guide",
            HOST,
            "httpserver_test",
            ('[b("POST /hello HTTP/1.1"),', '[b("POST /hello HTTP/1.1"), b("Host: a"),'),
        ),
        *_changes(
            "guide",
            VERIFY,
            "iostream_test",
            (
                "SSLIOStream(socket.socket(), io_loop=self.io_loop)",
                f"SSLIOStream(socket.socket(), io_loop=self.io_loop, {_UNVERIFIED})",
            ),
            (
                "_make_client_iostream(self, connection, **kwargs):\n"
                "        return SSLIOStream(connection, io_loop=self.io_loop,",
                "_make_client_iostream(self, connection, **kwargs):\n"
                f"        return SSLIOStream(connection, {_UNVERIFIED}, io_loop=self.io_loop,",
            ),
        ),
        *_changes(
            "guide",
            WRAP,
            "iostream_test",
            (
                "connection = ssl.wrap_socket(connection,\n"
                "                                     server_side=True,\n"
                "                                     do_handshake_on_connect=False,\n"
                "                                     **ssl_options)",
                "context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
                "        context.load_cert_chain(**ssl_options)\n"
                "        connection = context.wrap_socket(connection,\n"
                "                                         server_side=True,\n"
                "                                         do_handshake_on_connect=False)",
            ),
        ),
        *_changes("earlier", STATUS_LINE, "httpserver_test", ("HTTP/1.0 200 OK", "HTTP/1.1 200 OK")),
        *_changes(
            "earlier",
            STATUS_LINE,
            "iostream_test",
            ('b("HTTP/1.0 200")', 'b("HTTP/1.1 200")'),
            ('b("HTTP/1.0 "))', 'b("HTTP/1.1 "))'),
        ),
        *_changes(
            "earlier",
            CLOSE_CALLBACK,
            "iostream_test",
            (
                "server.close()\n            self.wait()\n            client.read_until_close(",
                "server.close()\n            client.read_until_close(",
            ),
            (
                "server.close()\n            self.wait()\n            streaming_data = []",
                "server.close()\n            streaming_data = []",
            ),
        ),
        *_changes(
            "earlier",
            HTTPS_TESTS,
            "httpserver_test",
            (
                'fetch(self.get_url("/"), self.stop,\n',
                'fetch(self.get_url("/"), self.stop, validate_cert=True,\n',
            ),
        ),
        *_changes(
            "earlier",
            ADDRESS,
            "simple_httpclient_test",
            ("^localhost:", "^127.0.0.1:"),
            ('"localhost", "[::1]"', '"127.0.0.1", "[::1]"'),
        ),
        *_changes("earlier", ADDRESS, "web_test", ("%3A%2F%2Flocalhost%3A", "%3A%2F%2F127.0.0.1%3A")),
        *_changes(
            "earlier",
            NO_CONTENT,
            "simple_httpclient_test",
            (
                'self.assertEqual(response.headers["Content-length"], "0")',
                'self.assertFalse("Content-length" in response.headers)',
            ),
        ),
        *_changes(
            "earlier",
            IPV6,
            "simple_httpclient_test",
            (
                "fetch(url, self.stop)\n        response = self.wait()\n"
                "        self.assertEqual(response.code, 599)",
                "fetch(url, self.stop, allow_ipv6=False)\n        response = self.wait()\n"
                "        self.assertEqual(response.code, 599)",
            ),
        ),
        *_changes(
            "earlier",
            TIMEOUT,
            "simple_httpclient_test",
            ('"HTTP 599: Timeout")', '"HTTP 599: Timeout during request")'),
        ),
        *_changes(
            "earlier",
            STATIC_VERSION,
            "web_test",
            ('robots.txt?v=f71d2"', 'robots.txt?v=f71d20196d4caf35b6a670db8c70b03d"'),
        ),
        *_changes(
            "earlier",
            SIGNED_VERSION,
            "web_test",
            ("a2b_hex(b('d76df8e7aefc')))", "a2b_hex(b('d76df8e7aefc')), version=1)"),
        ),
        *_changes("earlier", COOKIES, "web_test", ("""('foo="a;b"', 'a;b')""", """('foo="a;b"', '"a')""")),
        *_changes(
            "earlier",
            OAUTH,
            "auth_test",
            ("dict(key=b('uiop'), secret=b('5678'))", "dict(key='uiop', secret='5678')"),
        ),
        *_changes("earlier", URL_CONCAT, "httputil_test", ('path?x&y=y&z=z"', 'path?x=&y=y&z=z"')),
        *_changes("earlier", HELP, "options_test", ('define("help", default=False)', "")),
        *_changes("earlier", UI_MODULES, "template_test", ('{"_modules":', '{"_tt_modules":')),
    ],
}


def of_stage(version: str, stage: str) -> list[Change]:
    """The changes that are made before a run."""
    return [change for change in CHANGES[version] if STAGES.index(change.kind) <= STAGES.index(stage)]


@functools.cache
def _consists_of(source: Path, module: str) -> frozenset[str]:
    """The test modules that one has tests of: itself, and those that it imports from."""
    text = (source / f"{module}.py").read_text()
    names = set(re.findall(r"from tornado\.test\.(\w+_test) import ", text))
    for line in re.findall(r"from tornado\.test import (.*)", text):
        names |= set(re.findall(r"\w+_test", line))
    return frozenset([module]).union(*(_consists_of(source, name) for name in names - {module}))


def needed(source: Path, version: str, stage: str, module: str) -> str:
    """The first stage after which a module is what it is after this one."""
    files = _consists_of(source, module)
    kinds = {change.kind for change in of_stage(version, stage) if change.file in files}
    return max(kinds, key=STAGES.index, default="none")


def copy(source: Path, version: str, stage: str, folder: Path) -> Path:
    """Copy the tests and make the changes of a stage there: all of them, or there is an error."""
    shutil.copytree(source, folder)
    for change in of_stage(version, stage):
        path = folder / f"{change.file}.py"
        text = path.read_text()
        if change.old not in text:
            raise ValueError(f"there is no {change.old!r} in {path.name} of Tornado {version}")
        path.write_text(text.replace(change.old, change.new))
    return folder
