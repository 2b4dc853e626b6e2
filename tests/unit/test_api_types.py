"""The types that applications see, beside Tornado's own."""

import importlib
import inspect
import re
import subprocess
import sys

import pytest

from support.implementations import MODULES

pytest.importorskip("mypy")
from typed import check  # noqa: E402

#: Where ours is Any and Tornado's is not.
UNTYPED = {
    "web.Application.ui_methods",
    "web.RequestHandler.ui",
}


def test_programs_are_clean_with_both():
    """Programs for Tornado, for ours, the examples and the code of README.rst."""
    assert check.check() == []


def test_a_mistake_is_found(monkeypatch, tmp_path):
    """The check sees our types: a program that takes bytes for text is not clean."""
    (tmp_path / "wrong.py").write_text(
        "from tornado.iostream import IOStream\n\n\n"
        "async def f(stream: IOStream) -> str:\n    return await stream.read_until(b'x')\n"
    )
    monkeypatch.setattr(check, "programs", lambda: [tmp_path / "wrong.py"])
    complaints = [line for line in check.check("stock", "ours") if "return-value" in line]
    assert len(complaints) == 2


def public_names():
    """Yield module, class or function, and attribute or None, of what both packages have."""
    for module in MODULES:
        theirs = importlib.import_module(f"tornado.{module}")
        ours = importlib.import_module(f"tornado_c.{module}")
        for name, value in vars(theirs).items():
            if name.startswith("_") or getattr(value, "__module__", "") != theirs.__name__:
                continue
            if not (inspect.isclass(value) or inspect.isfunction(value)) or not hasattr(ours, name):
                continue
            yield module, name, None
            if inspect.isclass(value):
                assigned = re.findall(r"self\.([a-z]\w*)\s*(?::[^=\n]*)?=[^=]", inspect.getsource(value))
                here = {attribute for attribute in vars(value) if hasattr(getattr(ours, name), attribute)}
                for attribute in sorted(here.union(assigned)):
                    if not attribute.startswith("_"):
                        yield module, name, attribute


def revealed(package, folder):
    """What mypy takes each public name for."""
    lines = [f"import {package}.{module}" for module in MODULES]
    names = {}
    for module, name, attribute in public_names():
        path = f"{package}.{module}.{name}"
        if attribute is None:
            lines.append(f"reveal_type({path})")
        else:
            lines += [f"def see(it: {path}) -> None:", f"    reveal_type(it.{attribute})"]
        names[len(lines)] = ".".join(filter(None, (module, name, attribute)))
    (folder / "path").mkdir(exist_ok=True)
    if not (folder / "path" / "tornado_c").exists():
        (folder / "path" / "tornado_c").symlink_to(check.ROOT / "tornado_c")
    (folder / "mypy.ini").write_text(check.SETTINGS)
    program = folder / f"names_of_{package}.py"
    program.write_text("\n".join(lines) + "\n")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--disable-error-code",
        "no-redef",
        "--cache-dir",
        folder / "cache",
    ]
    done = subprocess.run([*command, program], capture_output=True, text=True, cwd=folder, check=False)
    found = re.findall(rf'^{program.name}:(\d+): note: Revealed type is "(.*)"$', done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return {names[int(line)]: text for line, text in found}


def test_what_tornado_has_a_type_for_has_one_here(tmp_path):
    theirs, ours = revealed("tornado", tmp_path), revealed("tornado_c", tmp_path)
    assert len(theirs) > 300
    untyped = {
        name for name, text in theirs.items() if "Any" not in text and ours.get(name, "Any").endswith("Any")
    }
    assert untyped <= UNTYPED
