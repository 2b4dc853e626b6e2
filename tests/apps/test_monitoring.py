"""Monitoring tools that patch Tornado record over tornado_c what they record on stock Tornado."""

import importlib
import json
import os
import subprocess
import sys

import pytest

from support.children import PROGRAMS, ROOT

pytestmark = pytest.mark.apps


def said(command, tmp_path):
    """What a program says on standard output, as JSON."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "package, program, kinds",
    [
        ("opentelemetry.instrumentation.tornado", "under_opentelemetry.py", {"statuses", "spans", "metrics"}),
        ("sentry_sdk.integrations.tornado", "under_sentry.py", {"statuses", "events"}),
        ("newrelic.hooks.framework_tornado", "under_newrelic.py", {"statuses", "transactions"}),
    ],
    ids=["opentelemetry", "sentry", "new relic"],
)
def test_records_the_same(tmp_path, package, program, kinds):
    try:
        importlib.import_module(package.partition(".")[0])
        assert importlib.util.find_spec(package)
    except ImportError:
        pytest.skip(f"needs {package}")
    stock = said([PROGRAMS / program], tmp_path)
    ours = said(["-m", "tornado_c", PROGRAMS / program], tmp_path)
    assert stock.keys() == kinds and all(len(found) > 5 for found in stock.values())
    for kind in kinds:
        assert ours[kind] == stock[kind]
