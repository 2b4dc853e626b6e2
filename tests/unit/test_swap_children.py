"""Children of a swapped program: other environments and other Pythons are left as they are."""

import glob
import json
import os
import shutil
import subprocess
import sys
import textwrap
import venv

import pytest

import tornado_c

tornado = pytest.importorskip("tornado")
PACKAGE = os.path.dirname(os.path.abspath(tornado_c.__file__))
ROOT = os.path.dirname(PACKAGE)

#: A swapped program that runs its arguments as a child.
PARENT = """
import subprocess, sys
import tornado_c
tornado_c.install()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
print(done.stdout, end="")
print(done.stderr, end="", file=sys.stderr)
sys.exit(done.returncode)
"""
SEEN = """
import importlib.util, json, sys
names = ["tornado", "tornado_c", "pytest"]
print(json.dumps({
    "found": [name for name in names if importlib.util.find_spec(name)],
    "loaded": sorted(name for name in sys.modules if name.startswith("tornado")),
    "path": [path for path in sys.path if not path.endswith("children")],
}))
"""


def run(*command, path=ROOT, cwd=None, parent=(sys.executable,), **variables):
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LD_PRELOAD")}
    environment |= {"PYTHONPATH": path} if path else {}
    return subprocess.run(
        [*parent, "-c", PARENT, *command],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        env=environment | variables,
        check=False,
    )


@pytest.fixture(scope="module")
def another(tmp_path_factory):
    """The interpreter of another environment of this Python, in which nothing is installed."""
    folder = tmp_path_factory.mktemp("another")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    return str(folder / "venv" / "bin" / "python")


@pytest.fixture
def by_script(tmp_path):
    """Runs a parent whose script gets the package from its own folder, which no child has on its path."""
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "tornado_c").symlink_to(PACKAGE)
    (tmp_path / "beside" / "app.py").write_text(PARENT)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def call(*command, python=sys.executable):
        program = [python, str(tmp_path / "beside" / "app.py"), *command]
        return subprocess.run(
            program, capture_output=True, text=True, timeout=60, env=environment, check=False
        )

    return call


def site_packages(python):
    command = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def plain(python):
    """What a child of this interpreter sees without us."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run([python, "-c", SEEN], capture_output=True, text=True, env=environment, check=True)
    return json.loads(done.stdout)


def test_another_environment_is_left_alone(another, by_script):
    done = by_script(another, "-c", SEEN)
    assert (done.stderr, done.returncode) == ("", 0)
    assert json.loads(done.stdout) == plain(another)


def test_another_environment_with_a_tornado_of_its_own(another, by_script, tmp_path):
    """It keeps its own, whole."""
    (tmp_path / "theirs" / "tornado").mkdir(parents=True)
    (tmp_path / "theirs" / "tornado" / "__init__.py").write_text("version = '5.1'\n")
    (tmp_path / "theirs" / "tornado" / "ioloop.py").write_text("mine = True\n")
    theirs = str(tmp_path / "theirs")
    code = f"import sys; sys.path.insert(0, {theirs!r}); import tornado.ioloop as i; print(i.mine)"
    done = by_script(another, "-c", code)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_the_same_environment_is_swapped_wherever_the_package_is(another, by_script):
    """Also where the parent has the package from the folder of its script, of which nothing else is seen."""
    stock = os.path.join(site_packages(another), "tornado")
    os.symlink(os.path.dirname(tornado.__file__), stock)
    code = "import json, sys, tornado.ioloop as i; print(json.dumps([i.__name__, sys.path]))"
    try:
        done = by_script(another, "-c", code, python=another)
        alone = by_script(another, "-c", SEEN)
    finally:
        os.remove(stock)
    assert (done.stderr, alone.stderr) == ("", "")
    module, path = json.loads(done.stdout)
    assert module == "tornado_c.ioloop"
    assert not any(os.path.basename(entry) == "beside" for entry in path)
    assert json.loads(alone.stdout)["loaded"] == []  # the parent's environment is another


def test_a_sitecustomize_of_the_childs_own_still_runs(another, tmp_path):
    theirs = "import sys; sys.customized = True\n"
    (tmp_path / "sitecustomize.py").write_text(theirs)
    site = site_packages(another)
    code = "import sys; print(sys.customized)"
    assert run(sys.executable, "-c", code, path=f"{ROOT}{os.pathsep}{tmp_path}").stdout == "True\n"
    shutil.copy(tmp_path / "sitecustomize.py", site)
    try:
        done = run(another, "-c", code)
    finally:
        os.remove(os.path.join(site, "sitecustomize.py"))
    assert (done.stdout, done.stderr) == ("True\n", "")


def interpreter(version):
    """Another Python that is installed here, or None."""
    found = glob.glob(os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin/python"))
    return found[0] if found else shutil.which(f"python{version}")


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.8", "3.10", "3.12", "3.13"])
def test_other_pythons_say_nothing(version, tmp_path):
    """Nor do they write anything; a sitecustomize of their own runs."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.customized = True\n")
    code = textwrap.dedent("""
        import sys
        print(sys.version_info[0])
        print("tornado" in sys.modules or "tornado_c" in sys.modules)
        print(sys.customized)
    """)
    done = run(python, "-c", code, path=os.pathsep.join([ROOT, str(tmp_path)]), PYTHONDONTWRITEBYTECODE="1")
    assert (done.stdout.split(), done.stderr, done.returncode) == ([version[0], "False", "True"], "", 0)


def test_a_tool_that_imports_tornado_before_the_program_finds_ours(tmp_path):
    """As ``opentelemetry-instrument`` does, which takes its folder out of PYTHONPATH, too."""
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool" / "sitecustomize.py").write_text(
        "import os, sys, tornado.web\n"
        "os.environ['PYTHONPATH'] = os.environ['OTHERS']\n"
        "tornado.web.patched = getattr(tornado.web, 'patched', 0) + 1\n"
    )
    (tmp_path / "app.py").write_text(
        "import json, os, sys, tornado.web\n"
        "mine = hasattr(sys.modules.get('tornado_c.web'), 'patched')\n"
        "print(json.dumps([mine, tornado.web.patched, sys.argv[1:]]))\n"
    )
    path = os.pathsep.join([str(tmp_path / "tool"), ROOT])
    done = subprocess.run(
        [sys.executable, "-m", "tornado_c", "app.py", "--an-option"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path, "OTHERS": ROOT},
    )
    assert done.stderr == ""
    assert json.loads(done.stdout) == [True, 1, ["--an-option"]]
