"""Pickles of Tornado's objects, made in one process and read in another.

    pickled.py PACKAGE dump        writes them
    pickled.py PACKAGE load        reads them; a line of JSON for each, with what it is

PACKAGE is ``tornado``, ``tornado_c``, or ``swapped``: ``tornado`` after ``tornado_c.install()``.
"""

import importlib
import json
import pickle
import sys
import warnings

package, action = sys.argv[1:]
if package == "swapped":
    importlib.import_module("tornado_c").install()
    package = "tornado"

names = "concurrent escape http1connection httputil iostream log netutil options routing util web"
modules = {name: importlib.import_module(f"{package}.{name}") for name in names.split()}
httputil, iostream, web = modules["httputil"], modules["iostream"], modules["web"]


def make():
    headers = httputil.HTTPHeaders({"A": "b", "X-y": "1"})
    headers.add("A", "c")
    with warnings.catch_warnings(action="ignore"):
        request = httputil.HTTPServerRequest("POST", "/a?b=c", headers=headers, body=b"x", host="h")
    return {
        "HTTPError": web.HTTPError(404, "no %s", "x", reason="Nope"),
        "HTTPError, bare": web.HTTPError(),
        "Finish": web.Finish("a", 1),
        "HTTPHeaders": headers,
        "HTTPServerRequest": request,
        "HTTPFile": httputil.HTTPFile(filename="a", body=b"b", content_type="t"),
        "RequestStartLine": httputil.RequestStartLine("GET", "/", "HTTP/1.1"),
        "ResponseStartLine": httputil.ResponseStartLine("HTTP/1.1", 200, "OK"),
        "HTTPInputError": httputil.HTTPInputError("bad"),
        "HTTPOutputError": httputil.HTTPOutputError("bad"),
        "ParseBodyConfig": httputil.ParseBodyConfig(multipart=httputil.ParseMultipartConfig(max_parts=3)),
        "StreamClosedError": iostream.StreamClosedError(ConnectionResetError(104, "reset")),
        "UnsatisfiableReadError": iostream.UnsatisfiableReadError("x"),
        "StreamBufferFullError": iostream.StreamBufferFullError("x"),
        "options.Error": modules["options"].Error("x"),
        "ObjectDict": modules["util"].ObjectDict(a=[1]),
        "ReturnValueIgnoredError": modules["concurrent"].ReturnValueIgnoredError("x"),
        "PathMatches": modules["routing"].PathMatches("/(a)"),
        "URLSpec": modules["routing"].URLSpec("/(a)", web.RequestHandler, {"b": 1}, "name"),
        "LogFormatter": modules["log"].LogFormatter(color=False),
        "utf8": modules["escape"].utf8,
        "bind_sockets": modules["netutil"].bind_sockets,
        "HTTP1ConnectionParameters": modules["http1connection"].HTTP1ConnectionParameters,
        "RequestHandler": web.RequestHandler,
        "authenticated": web.authenticated,
        "Resolver": modules["netutil"].Resolver,
        "URLSpec, class": web.url,
    }


def shown(thing):
    if isinstance(thing, type) or hasattr(thing, "__qualname__"):
        return [thing.__module__.partition(".")[2], thing.__qualname__]
    said = {"type": type(thing).__qualname__, "module": type(thing).__module__.partition(".")[2]}
    if isinstance(thing, httputil.HTTPHeaders):
        said["pairs"] = sorted(thing.get_all())
    elif isinstance(thing, httputil.HTTPServerRequest):
        said["fields"] = [thing.method, thing.uri, thing.path, thing.version, thing.host]
        said["more"] = repr((thing.arguments, thing.body, sorted(thing.headers.get_all())))
    elif isinstance(thing, (BaseException, dict, tuple)):
        said["repr"] = repr(thing)
        said["args"] = repr(getattr(thing, "args", None))
    if hasattr(thing, "__dict__") and not isinstance(
        thing, (httputil.HTTPHeaders, httputil.HTTPServerRequest)
    ):
        said["vars"] = sorted((name, shown_value(value)) for name, value in vars(thing).items())
    return said


def shown_value(value):
    if type(value).__module__.startswith(("tornado", "logging")) or hasattr(value, "__qualname__"):
        return shown(value) if not type(value).__module__.startswith("logging") else type(value).__qualname__
    return repr(value)


if action == "dump":
    pickle.dump({name: pickle.dumps(thing) for name, thing in make().items()}, sys.stdout.buffer)
else:
    for name, data in pickle.load(sys.stdin.buffer).items():
        print(json.dumps([name, shown(pickle.loads(data))]))
