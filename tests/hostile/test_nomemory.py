"""Allocations fail, one after the other, in servers, streams, headers and the loop; see nomemory.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.children import ROOT

pytest.importorskip("_testcapi", reason="this Python has no module _testcapi")
sys.path.insert(0, str(Path(__file__).resolve().parent))

import nomemory  # noqa: E402

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="CPython 3.12's own code (json, code positions) crashes in this"
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    try:
        return nomemory.make_certificate(str(tmp_path_factory.mktemp("certificate")))
    except OSError:
        pytest.skip("needs the program openssl")


@pytest.mark.parametrize("name", nomemory.SCENARIOS)
def test_each_allocation_fails(name, certificate):
    environment = {
        **os.environ,
        "CERTIFICATE": certificate,
        "PYTHONPATH": ROOT,
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [sys.executable, nomemory.__file__, "--most", "400", name],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
