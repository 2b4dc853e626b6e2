"""docs/callbacks.rst: its example is what 2to3 makes of it, and runs; so does what it becomes later."""

import http.server
import importlib.util
import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

import pytest

from support.app_servers import running, site

pytest.importorskip("tornado")
from typed import check  # noqa: E402

BEFORE, AFTER, LATER = check.code_blocks((check.ROOT / "docs" / "callbacks.rst").read_text())
AFTER_FIRST = AFTER[AFTER.index("class TitleHandler") : AFTER.index("class TitlesHandler")]
PAGES = {"/1": "<title>one</title>", "/2": "<title>two</title>", "/untitled": "<p>three</p>"}


def test_what_2to3_does(tmp_path):
    """All that it leaves to do is one line."""
    translator = next((name for name in ("lib2to3", "fissix") if importlib.util.find_spec(name)), None)
    if translator is None:
        pytest.skip("neither lib2to3 nor fissix is here")
    (tmp_path / "titles.py").write_text(BEFORE)
    command = [sys.executable, "-W", "ignore", "-m", translator, "-w", "-n", "titles.py"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=120)
    translated = (tmp_path / "titles.py").read_text().splitlines()
    pairs = list(zip(translated, AFTER.splitlines(), strict=True))
    assert [pair for pair in pairs if pair[0] != pair[1]] == [
        (
            '    return re.search("<title>(.*?)</title>", response.body).group(1)',
            '    return re.search("<title>(.*?)</title>", response.body.decode()).group(1)',
        )
    ]


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path in PAGES else 404)
        self.end_headers()
        self.wfile.write(PAGES.get(self.path, "").encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module", name="site")
def _site():
    with site(Site) as url:
        yield url


def ask(url, *urls):
    query = urllib.parse.urlencode([("url", each) for each in urls])
    try:
        with urllib.request.urlopen(f"{url}?{query}", timeout=60) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize("program", [AFTER, AFTER.replace(AFTER_FIRST, LATER + "\n")], ids=["after", "later"])
def test_it_runs(program, site, tmp_path):
    (tmp_path / "titles.py").write_text(program)
    arguments = ["--generation", "4", "titles.py", "--port=PORT"]
    with running(tmp_path, *arguments, quiet=False) as (process, url):
        assert ask(url + "/title", site + "/1") == {"title": "one"}
        assert ask(url + "/titles", site + "/1", site + "/2") == {"titles": ["one", "two"]}
        for path in ("/title", "/titles"):
            assert ask(url + path, site + "/none") == 502
            assert ask(url + path, site + "/untitled") == 500
        process.terminate()
        assert process.wait(60) == 0
    assert f"fetched {site}/2" in (tmp_path / "log").read_text()
