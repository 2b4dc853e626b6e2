"""Tornado's own suite over the swapped core: whatever stock Tornado passes here, ours passes."""

import importlib
import importlib.util

import pytest
import suite
import tornado_suite

pytestmark = pytest.mark.conformance

# Modules that cannot pass, and why.
ACCEPTED = {"api_test": "wants Python functions with readable source, where ours are C"}

# Single tests that cannot, by the start of their names.
ACCEPTED_TESTS = {
    # Has a handler send Content-Length and Transfer-Encoding together, which ours does not (RFC 9112, 6.2).
    "test_chunked_with_content_length (tornado.test.simple_httpclient_test.ChunkedWithContentLengthTest",
    # Goes on with the connection after a chunked request in HTTP/1.0, which ours ends (RFC 9112, 6.1).
    "test_keepalive_chunked (tornado.test.httpserver_test.KeepAliveTest",
}


@pytest.fixture(scope="module")
def swap() -> str:
    if not tornado_suite.available():
        pytest.skip("tornado is not installed")
    if importlib.util.find_spec("tornado_c") is None or not hasattr(
        importlib.import_module("tornado_c"), "install"
    ):
        pytest.skip("tornado_c has no install() yet: its modules do not replace Tornado's so far")
    return "tornado_c"


@pytest.mark.parametrize("module", tornado_suite.available() or ["tornado.test"])
def test_module(module, swap):
    if module in ACCEPTED:
        pytest.skip(ACCEPTED[module])
    ours = tornado_suite.run(swap, module)
    ours.bad = [name for name in ours.bad if not name.startswith(tuple(ACCEPTED_TESTS))]
    if ours.run and not (ours.bad or ours.skipped or ours.crash):
        return
    baseline = tornado_suite.run("stock", module)
    assert suite.complaints(baseline, ours) == []


def test_the_runner_itself():
    """Over stock Tornado the runner runs tests and they pass."""
    if not tornado_suite.available():
        pytest.skip("tornado is not installed")
    outcome = tornado_suite.run("stock", "util_test")
    assert not outcome.crash and outcome.run > 0 and outcome.bad == []
