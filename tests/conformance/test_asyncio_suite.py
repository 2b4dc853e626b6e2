"""CPython's asyncio tests over tornado_c.EventLoop: whatever the standard loop passes here, ours passes."""

import importlib
import importlib.util

import asyncio_suite
import pytest
import suite

pytestmark = pytest.mark.conformance


@pytest.fixture(scope="module")
def loop_class() -> str:
    if not asyncio_suite.available():
        pytest.skip("this interpreter has no test package (test.test_asyncio)")
    if importlib.util.find_spec("tornado_c") is None or not hasattr(
        importlib.import_module("tornado_c"), "EventLoop"
    ):
        pytest.skip("tornado_c has no EventLoop yet")
    return "tornado_c:EventLoop"


@pytest.mark.parametrize("module", asyncio_suite.available() or ["test.test_asyncio"])
def test_module(module, loop_class):
    ours = asyncio_suite.run(loop_class, module)
    if ours.run and not (ours.bad or ours.skipped or ours.crash):
        return
    baseline = asyncio_suite.run(asyncio_suite.STANDARD, module)
    assert suite.complaints(baseline, ours) == []


def test_the_runner_itself():
    """Over the standard loop the runner runs tests and they pass."""
    if not asyncio_suite.available():
        pytest.skip("this interpreter has no test package (test.test_asyncio)")
    outcome = asyncio_suite.run(asyncio_suite.STANDARD, "test_context")
    assert not outcome.crash and outcome.run > 0 and outcome.bad == []
