"""Streams whose system calls fail: at each position a call is interrupted, finds nothing to do, does less
than it was asked, or fails for good. The result is success or a clean error, never a hang, a crash or a leak.
"""

import json
import os
import subprocess
import sys

import pytest

from support.children import CHILD_ENVIRONMENT, PROGRAMS

PROGRAM = PROGRAMS / "stream_fault_scenarios.py"
LIMIT = 300  # seconds for one scenario with all its faults, under a sanitizer, too

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the shim knows Linux's calls")

#: Each scenario, and the calls that it must have met.
SCENARIOS = {
    "plain": {"recv", "send", "sendmsg", "epoll_ctl"},
    "callbacks": {"recv", "send"},
    "tcp": {"recv", "send", "connect", "getsockopt", "setsockopt"},
    "files": {"sendfile", "recv"},
    "pipes": {"read", "writev", "pread"},
    "hooks": {"recv", "send"},
    "tls": {"read", "write", "pread"},
    "start_tls": {"recv", "send", "pread"},
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_call_at_each_position(fault_shim, certificates, scenario):
    (certificates / "file").write_bytes(bytes(range(250)) * 800)
    environment = CHILD_ENVIRONMENT | {
        "LD_PRELOAD": " ".join(filter(None, [os.environ.get("LD_PRELOAD"), str(fault_shim)])),
        "PYTHONWARNINGS": "error,ignore::ResourceWarning",
    }
    result = subprocess.run(
        [sys.executable, PROGRAM, scenario, certificates], env=environment, capture_output=True, timeout=LIMIT
    )
    assert result.returncode == 0, result.stderr.decode()[-3000:]
    met = {call for call, _, n in map(json.loads, result.stdout.splitlines()) if n > 1}
    assert SCENARIOS[scenario] <= met
