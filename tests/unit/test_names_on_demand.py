"""What importing web does not import, and that it is there all the same when somebody asks for it."""

import pickle
import subprocess
import sys

import pytest

import tornado_c.httputil
import tornado_c.ioloop
import tornado_c.tcpserver
from support.children import CHILD_ENVIRONMENT
from support.tornado_names import star


def run(program):
    subprocess.run([sys.executable, "-c", program], env=CHILD_ENVIRONMENT, check=True)


def test_what_a_plain_application_does_not_need_is_not_imported():
    run("""
import asyncio, sys
before = set(sys.modules)
import tornado_c.web
late = "argparse dataclasses datetime email http http.cookies json hashlib multiprocessing random "
late += "tornado_c.process tornado_c._http.grammar tornado_c._stream.proxy_protocol"
assert not set(late.split()) & (set(sys.modules) - before), set(sys.modules) - before
""")


@pytest.mark.parametrize(
    "module, name",
    [
        *(("httputil", f"Parse{kind}Config") for kind in ("Body", "Multipart", "UrlEncoded")),
        *(("httputil", name) for name in ("_ABNF", "_DEFAULT_PARSE_BODY_CONFIG", "http", "responses")),
        *(("httputil", "unicodedata"), ("ioloop", "random"), ("ioloop", "timedelta")),
        ("tcpserver", "process"),
    ],
)
def test_it_is_there(module, name):
    run(f"""
import importlib
module = importlib.import_module("tornado_c.{module}")
assert "{name}" in dir(module)
first = module.{name}
from tornado_c.{module} import {name}
assert {name} is first is module.{name}
""")


def test_star_imports_have_it():
    assert star("tornado_c", "httputil")["ParseBodyConfig"] is tornado_c.httputil.ParseBodyConfig
    assert star("tornado_c", "tcpserver")["process"] is tornado_c.process
    assert "_ABNF" not in star("tornado_c", "httputil")


@pytest.mark.parametrize("module", ["httputil", "ioloop", "tcpserver"])
def test_other_names(module):
    with pytest.raises(AttributeError, match=f"^module 'tornado_c.{module}' has no attribute 'nothing'$"):
        _ = sys.modules[f"tornado_c.{module}"].nothing


def test_classes_of_one_module_say_that_they_are_the_public_ones():
    for name in ("ParseBodyConfig", "ParseMultipartConfig", "ParseUrlEncodedConfig"):
        data = pickle.dumps(getattr(tornado_c.httputil, name)())
        assert b"tornado_c.httputil" in data and b"form_limits" not in data


def test_they_say_that_they_are_tornados_while_they_are_swapped():
    run("""
import tornado_c
tornado_c.install()
import tornado.httputil, tornado_c.httputil
config = tornado.httputil.ParseBodyConfig
assert config.__module__ == type(config().urlencoded).__module__ == "tornado.httputil"
tornado_c.uninstall()
assert config.__module__ == type(config().urlencoded).__module__ == "tornado_c.httputil"
""")


def test_limits_of_forms_that_nobody_has_set_can_be_changed_in_place():
    run("""
from tornado_c import httputil
httputil._DEFAULT_PARSE_BODY_CONFIG.urlencoded.max_arguments = 1
line = httputil.RequestStartLine("GET", "/?a=1&b=2", "HTTP/1.1")
try:
    httputil.HTTPServerRequest(start_line=line, headers=httputil.HTTPHeaders({"Host": "h"}))
except httputil.HTTPInputError:
    pass
else:
    raise AssertionError
""")


REASONS = """
import tornado_c.web
from tornado_c.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

line = RequestStartLine("GET", "/", "HTTP/1.1")

class Connection:
    def set_close_callback(self, callback):
        pass

def reason(status):
    request = HTTPServerRequest(start_line=line, headers=HTTPHeaders({"Host": "h"}), connection=Connection())
    handler = tornado_c.web.RequestHandler(tornado_c.web.Application(), request)
    if status != 200:
        handler.set_status(status)
    return handler._reason
"""


@pytest.mark.parametrize(
    "change, first, then",
    [
        ("", "OK", "OK"),
        ("import http.client; http.client.responses[200] = 'Fine'", "Fine", "Fine"),
        ("from tornado_c.httputil import responses; responses[200] = 'Fine'", "Fine", "Fine"),
        ("reason(404); import http.client; http.client.responses[200] = 'Fine'", "Fine", "Fine"),
        ("reason(200); import http.client; http.client.responses[200] = 'Fine'", "Fine", "Fine"),
        ("import http.client; del http.client.responses[200]", "Unknown", "Unknown"),
    ],
)
def test_reasons_are_those_of_the_dict_whenever_it_is_made(change, first, then):
    run(f"""{REASONS}
{change}
assert reason(200) == {first!r}
assert reason(418) == "I'm a Teapot"
assert reason(200) == {then!r}
assert reason(299) == "Unknown"
""")
    run(f"""
import http.client
{REASONS}
{change}
assert reason(200) == {then!r}
""")
