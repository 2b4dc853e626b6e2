"""Fixtures of more than one module."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.graceful_programs import Program
from support.implementations import BOTH, OURS, STOCK
from support.iostream_tls_tools import TlsWorld, make_certificates
from support.iostream_world import World
from support.live_http import LiveServer
from support.web_servers import collecting, pair
from support.web_servers import request as request_bytes
from tornado_c import web


@pytest.fixture(params=BOTH, ids=repr)
def implementation(request):
    return request.param


@pytest.fixture
def both(implementation):
    """A loop of ours and of stock Tornado's, with streams on it."""
    world = World(implementation)
    yield world
    world.close()


@pytest.fixture
def ours():
    world = World(OURS)
    yield world
    world.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs the program openssl")
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=["ours", "ours-by-server", "stock"])
def tls(request, certificates):
    world = World(STOCK if request.param == "stock" else OURS)
    yield TlsWorld(world, certificates, by_server=request.param == "ours-by-server")
    world.close()


@pytest.fixture(params=["wrapped", "by-server"])
def our_tls(request, ours, certificates):
    return TlsWorld(ours, certificates, by_server=request.param == "by-server")


@pytest.fixture(scope="session")
def fault_shim(tmp_path_factory):
    """tests/c/faults.c as a library to be preloaded."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        pytest.skip("needs a C compiler (cc)")
    source = Path(__file__).resolve().parent.parent / "c" / "faults.c"
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture
def start(tmp_path):
    """Start a program under ``python -m tornado_c``; it ends with the test."""
    programs = []

    def run(body, *options, **more):
        programs.append(Program(tmp_path, body, *options, **more))
        return programs[-1]

    yield run
    for program in programs:
        program.close()


@pytest.fixture
def serve():
    """serve(application) or serve(handlers, **settings): a function that sends a request, for its answer."""
    servers = []

    def start(application, cls=web.Application, **settings):
        if not isinstance(application, web.Application):
            application = cls(application, **settings)
        servers.append(LiveServer(application))
        exchange = servers[-1].exchange
        return lambda *args, **kwargs: exchange(request_bytes(*args, **kwargs))

    start.servers = servers
    with collecting() as collector:
        start.log = collector
        yield start
    for server in servers:
        server.stop()


@pytest.fixture
def no_loaders():
    """Loaders of templates are kept on the class, whichever application they were made for."""
    for each in BOTH:
        each.web.RequestHandler._template_loaders.clear()


@pytest.fixture(scope="module")
def ask(request):
    """What ours and stock Tornado answer and log where they serve the test module's application."""
    with pair(request.module.make_app) as both:
        yield both
