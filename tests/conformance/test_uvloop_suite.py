"""uvloop's tests (asyncio flavour) over tornado_c.EventLoop: whatever the standard loop passes here, ours
passes."""

import importlib
import importlib.util

import pytest
import suite
import uvloop_suite

pytestmark = pytest.mark.conformance


@pytest.fixture(scope="module")
def tests() -> None:
    try:
        uvloop_suite.fetch()
    except uvloop_suite.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def loop_class(tests) -> str:
    if importlib.util.find_spec("tornado_c") is None or not hasattr(
        importlib.import_module("tornado_c"), "EventLoop"
    ):
        pytest.skip("tornado_c has no EventLoop yet")
    return "tornado_c:EventLoop"


@pytest.mark.parametrize("module", uvloop_suite.MODULES)
def test_module(module, loop_class):
    ours = uvloop_suite.run(loop_class, module)
    if ours.run and not (ours.bad or ours.skipped or ours.crash):
        return
    baseline = uvloop_suite.run(uvloop_suite.STANDARD, module)
    assert suite.complaints(baseline, ours) == []


def test_the_runner_itself(tests):
    """Over the standard loop the runner runs tests and they pass."""
    outcome = uvloop_suite.run(uvloop_suite.STANDARD, "test_executors")
    assert not outcome.crash and outcome.run > 0 and outcome.bad == []
