"""What examples of old Tornado's documentation take for granted: names, a port, a site that answers."""

# ruff: noqa: F401 - examples import all of it from here

import contextlib
import errno
import functools
import json
import logging
import os
import socket
import ssl
import sys

import tornado.auth
import tornado.escape
import tornado.gen
import tornado.httpclient
import tornado.httpserver
import tornado.ioloop
import tornado.netutil
import tornado.process
import tornado.template
import tornado.web
import tornado.wsgi
from tornado import gen, httpclient, httpserver, ioloop, iostream, stack_context, web
from tornado.concurrent import Future
from tornado.gen import convert_yielded
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.routing import HostMatches
from tornado.stack_context import StackContext, run_with_stack_context
from tornado.web import (
    Application,
    FallbackHandler,
    Finish,
    RequestHandler,
    asynchronous,
    authenticated,
    url,
)

PORT = int(os.environ["PORT"])
SITE = os.environ["SITE"]

#: For what the examples tell us to do with a response.
seen = []
do_something_with_response = seen.append


def serve(*rules, **settings):
    """Serve an application of these rules, or one that there is."""
    app = rules[0] if isinstance(rules[0], Application) else Application(list(rules), **settings)
    app.listen(PORT)
    IOLoop.current().start()


def handler(text="Hello"):
    """A handler that says this."""

    class Says(RequestHandler):
        def get(self, *args):
            self.write(" ".join([text, *args]))

    return Says


def soon(value, callback):
    IOLoop.current().add_callback(callback, value)


__all__ = [name for name in dir() if not name.startswith("_")]
