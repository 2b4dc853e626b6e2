"""Programs that mix the generations: callbacks that start coroutines, coroutines that wait for callbacks."""

import json
import ssl
import urllib.error
import urllib.request

import pytest

from support.app_servers import running
from support.children import PROGRAMS

pytest.importorskip("tornado")

RESULTS = {
    "/starts": ["one", "two", "three"],
    "/awaits": ["prepared", "one", "two", "three", "site", "four", "five"],
    "/engine": ["future", "own", "native", "slept", "task", "in a list", "callback", "in a dict"]
    + ["late", "late, too"],
    "/threads": [True],
    "/ticks": [3, False],
    "/asks_echo": ["cba"],
    "/callback": ["/callback"],
    "/contexts": [
        ["unset"],
        ["set"],
        ["set", "context"],
        ["set in the task", "context"],
        ["set in the task"],
    ],
}
FAILURES = ["call_soon", "call_later", "done_callback", "from_a_thread", "task", "engine"]


@pytest.fixture(scope="module", params=["plain", "tls", "fork"])
def ask(request, tmp_path_factory):
    """Asks the server: the status and the body."""
    folder = tmp_path_factory.mktemp("mixed")
    context = ssl._create_unverified_context()
    program = ["--generation", "4", str(PROGRAMS / "mixed_generations.py"), "PORT", request.param]
    with running(folder, *program) as (process, url):

        def get(path):
            try:
                address = url.replace("http", "https" if request.param == "tls" else "http") + path
                with urllib.request.urlopen(address, timeout=60, context=context) as response:
                    return response.status, response.read()
            except urllib.error.HTTPError as response:
                with response:
                    return response.status, response.read()

        yield get
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.parametrize("path", RESULTS)
def test_results(ask, path):
    status, body = ask(path)
    assert (status, json.loads(body)) == (200, {"results": RESULTS[path]})
    assert ask(path)[0] == 200


@pytest.mark.parametrize("how", FAILURES)
def test_failures(ask, how):
    """Wherever it fails, the client hears of it."""
    assert ask(f"/fails/{how}")[0] == 418


def test_forked(ask, request):
    assert json.loads(ask("/worker")[1])["results"][0] in (0, 1, None)
