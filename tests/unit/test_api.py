"""The public interface against that of the installed Tornado, and what every public name owes its reader."""

import ast
import importlib
import inspect
import io
import pkgutil
import re
from pathlib import Path

import pytest
import tornado.test

import tornado_c
from support.implementations import MODULES
from tornado_c import _core

SNAPSHOT = Path(tornado.test.__file__).parent / "api.txt"

#: Where our signature is another on purpose: additions, nearly all of them from Tornado before 6.0.
ACCEPTED = {
    "tornado.gen.with_timeout": ("(timeout, future, quiet_exceptions=..., io_loop=None, *, message=None)"),
    "tornado.httpserver.HTTPServer.initialize": (
        "(self, request_callback, no_keep_alive=False, xheaders=False, ssl_options=None, protocol=None, "
        "decompress_request=False, chunk_size=None, max_header_size=None, idle_connection_timeout=None, "
        "body_timeout=None, max_body_size=None, max_buffer_size=None, trusted_downstream=None, *, "
        "linger_timeout=2.0, linger_size=16777216, proxy_protocol=False, trusted_proxies=None, "
        "proxy_protocol_timeout=5.0, io_loop=None)"
    ),
    "tornado.http1connection.HTTP1ConnectionParameters.__init__": (
        "(self, no_keep_alive=False, chunk_size=None, max_header_size=None, header_timeout=None, "
        "max_body_size=None, body_timeout=None, decompress=False, *, linger_timeout=2.0, "
        "linger_size=16777216)"
    ),
    "tornado.ioloop.IOLoop.initialize": "(self, make_current=None, asyncio_loop=None)",
    "tornado.ioloop.PeriodicCallback.__init__": "(self, callback, callback_time, jitter=0, io_loop=None)",
    "tornado.iostream.BaseIOStream.__init__": "(self, *args, **kwargs)",  # 4.x: io_loop comes first
    "tornado.iostream.BaseIOStream.read_bytes": (
        "(self, /, num_bytes, callback=None, streaming_callback=None, partial=False)"
    ),
    "tornado.iostream.BaseIOStream.read_until": "(self, /, delimiter, max_bytes=None, callback=None)",
    "tornado.iostream.BaseIOStream.read_until_close": "(self, /, callback=None, streaming_callback=None)",
    "tornado.iostream.BaseIOStream.read_until_regex": "(self, /, regex, max_bytes=None, callback=None)",
    "tornado.iostream.BaseIOStream.write": "(self, /, data, callback=None)",
    "tornado.iostream.IOStream.connect": "(self, /, address, callback=None, server_hostname=None)",
    "tornado.iostream.SSLIOStream.connect": "(self, address, callback=None, server_hostname=None)",
    "tornado.iostream.SSLIOStream.wait_for_handshake": "(self, callback=None)",
    "tornado.netutil.add_accept_handler": "(sock, callback, io_loop=None)",
    "tornado.process.Subprocess.__init__": "(self, *args, io_loop=None, **kwargs)",
    "tornado.process.Subprocess.initialize": "(io_loop=None)",
    "tornado.tcpclient.TCPClient.__init__": "(self, resolver=None, io_loop=None)",
    "tornado.tcpserver.TCPServer.__init__": (
        "(self, ssl_options=None, max_buffer_size=None, read_chunk_size=None, *, io_loop=None, "
        "proxy_protocol=False, trusted_proxies=None, proxy_protocol_timeout=5.0)"
    ),
    "tornado.web.Application.__init__": (
        "(self, handlers=None, default_host=None, transforms=None, wsgi=False, **settings)"
    ),
    "tornado.web.RequestHandler.flush": "(self, include_footers=False, callback=None)",
    "tornado.websocket.websocket_connect": (
        "(url, callback=None, connect_timeout=None, on_message_callback=None, compression_options=None, "
        "ping_interval=None, ping_timeout=None, max_message_size=10485760, subprotocols=None, resolver=None, "
        "*, io_loop=None)"
    ),
}

#: What the snapshot has with a signature.
KINDS = ("function", "method", "classmethod", "staticmethod")

ANY = "..."  # how the snapshot writes a default whose repr says nothing
_ENUM = re.compile(r"<[^>]*>")


def expected():
    """Yield name and signature of each function and method in the snapshot, of the modules that are ours.

    A class method's signature comes without ``cls``, as a bound method's does.
    """
    for line in SNAPSHOT.read_text(encoding="utf-8").splitlines():
        name, colon, text = line.partition(": ")
        kind, paren, rest = text.partition("(")
        module = name.split(".")[1] if name.count(".") else ""
        if colon and paren and module in MODULES and kind in KINDS:
            yield name, paren + (rest.removeprefix("cls").removeprefix(", ") if kind == KINDS[2] else rest)


def ours(name):
    """Return the object of ours that stands for a dotted name of Tornado's, or None."""
    _, module, *path = name.split(".")
    found = importlib.import_module(f"tornado_c.{module}")
    for part in path[:-1]:
        found = getattr(found, part, None)
    if found is None or not path:
        return found
    return getattr(found, path[-1], None)


def of_text(signature):
    """Return (kind, name, default) of the parameters that a signature has as text; no default is None."""
    args = ast.parse(f"def f{_ENUM.sub(ANY, signature)}: pass").body[0].args
    positional = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(positional) - len(args.defaults)) + [ast.unparse(d) for d in args.defaults]
    rows = [("positional", a.arg, d) for a, d in zip(positional, defaults, strict=True)]
    rows += [("*", args.vararg.arg, None)] if args.vararg else []
    named = [ast.unparse(d) if d is not None else None for d in args.kw_defaults]
    rows += [("keyword", a.arg, d) for a, d in zip(args.kwonlyargs, named, strict=True)]
    return rows + ([("**", args.kwarg.arg, None)] if args.kwarg else [])


def as_text(function):
    """Return the signature of a function as the snapshot writes it, without annotations."""
    signature = inspect.signature(function)
    parameters = []
    for parameter in signature.parameters.values():
        if parameter.default is not parameter.empty:
            value = parameter.default
            simple = value is None or isinstance(value, (bool, int, float, str, bytes))
            parameter = parameter.replace(default=_Text(repr(value) if simple else ANY))
        parameters.append(parameter.replace(annotation=inspect.Parameter.empty))
    return str(inspect.Signature(parameters))


class _Text:
    """A default that shows itself as the text given."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


def same(theirs, mine):
    """Compare two texts of signatures; a default whose repr says nothing equals any."""
    left, right = of_text(theirs), of_text(mine)
    return len(left) == len(right) and all(
        a[:2] == b[:2] and (a[2] == b[2] or None not in (a[2], b[2]) and ANY in (a[2], b[2]))
        for a, b in zip(left, right, strict=True)
    )


def test_signatures_agree():
    differing, compared = {}, 0
    for name, theirs in expected():
        member = name.rpartition(".")[2]
        function = ours(name)
        if function is None or (member.startswith("__") and member != "__init__"):
            continue  # not here yet; or called by an operator, by position only
        if isinstance(function, type(object.__init__)):
            continue  # C takes the arguments, as *args and **kwargs
        compared += 1
        mine = as_text(function)
        if not same(theirs, mine):
            differing[name] = mine
    assert compared > 200
    assert differing.items() <= ACCEPTED.items()


def test_core_has_signatures():
    """inspect.signature works on every method of the C bases and on every function of the core."""
    types = [value for value in vars(_core).values() if isinstance(value, type)]
    missing = set()
    for owner in (*types, _core):
        for name in vars(owner):
            function = getattr(owner, name)
            if name.startswith("__") or isinstance(function, type) or not callable(function):
                continue
            try:
                inspect.signature(function)
                assert inspect.getdoc(function)
            except (AssertionError, ValueError):
                missing.add(f"{owner.__name__.rpartition('.')[2]}.{name}")
    assert not missing


def public_modules():
    """Those with code of ours."""
    found = [info for info in pkgutil.iter_modules(tornado_c.__path__) if not info.name.startswith("_")]
    files = {info.name: Path(tornado_c.__path__[0], f"{info.name}.py") for info in found}
    handed_out = {name for name, file in files.items() if file.exists() and "hand_out(" in file.read_text()}
    return [importlib.import_module(f"tornado_c.{name}") for name in sorted(files.keys() - handed_out)]


def members(module):
    """Yield name and object of each public function, class and method that a module of ours defines."""
    for name, value in vars(module).items():
        here = getattr(value, "__module__", None) == module.__name__
        if name.startswith("_") or not here or not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        yield f"{module.__name__}.{name}", value
        if inspect.isclass(value):
            for attr, member in vars(value).items():
                function = getattr(member, "__func__", getattr(member, "fget", member))
                if not attr.startswith("_") and inspect.isfunction(function):
                    yield f"{module.__name__}.{name}.{attr}", getattr(value, attr)


@pytest.mark.parametrize("module", public_modules(), ids=lambda module: module.__name__)
def test_public_names_have_docstrings(module):
    missing = {name for name, value in members(module) if not inspect.getdoc(value)}
    assert inspect.getdoc(module)
    assert not missing


def docstrings():
    """Yield place and text of every docstring, in the package's files and in the extension."""
    folder = Path(tornado_c.__path__[0])
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{path.relative_to(folder)}: {getattr(node, 'name', '')}", ast.get_docstring(node)
    for name, value in vars(_core).items():
        if name.startswith("__"):
            continue
        yield name, getattr(value, "__doc__", None)
        if isinstance(value, type):
            for attr, member in vars(value).items():
                function = getattr(member, "__func__", member)
                yield f"{name}.{attr}", getattr(function, "__doc__", None)


def test_docstrings_are_text_that_sphinx_renders():
    """Double backquotes for code, single ones in roles only, and lines that fit on a screen."""
    core = pytest.importorskip("docutils.core")
    nodes = importlib.import_module("docutils.nodes")
    roles = importlib.import_module("docutils.parsers.rst.roles")
    for role in ("class", "data", "func", "meth", "mod"):
        roles.register_local_role(role, roles.GenericRole(role, nodes.literal))
    wrong = []
    for place, text in docstrings():
        if not isinstance(text, str) or not set(text) & set("`*|\n"):
            continue  # nothing to be rendered
        said = io.StringIO()
        settings = {"warning_stream": said, "report_level": 2, "halt_level": 5}
        tree = core.publish_doctree(text, settings_overrides=settings)
        plain = [node.astext() for node in tree.findall(nodes.title_reference)]
        if said.getvalue() or plain or max(map(len, text.splitlines()), default=0) > 110:
            wrong.append((place, said.getvalue(), plain))
    assert wrong == []
