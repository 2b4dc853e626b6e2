"""The layering of ARCHITECTURE.rst: what a C file may include, and what the extension exports."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tornado_c import _core

SRC = Path(__file__).parents[2] / "src"

#: What each layer stands on, from the lowest to the highest. It may include itself and all that is below it,
#: but no sibling. Files right below src/ stand outside. A layer that is not there yet is allowed for.
ABOVE = {
    "base": (),
    "event": ("base",),
    "stream": ("event",),
    "http": ("stream",),
    "web": ("http",),
    "ws": ("http",),
}

#: Plain C, without the interpreter: what native tests and fuzzers link.
MACHINES = {
    "base/base.h",
    "base/buf.c",
    "base/buf.h",
    "base/clock.h",
    "base/heap.c",
    "base/heap.h",
    "base/list.h",
    "base/memory.h",
    "event/poller.c",
    "event/poller.h",
    "event/poller_backend.h",
    "event/poller_epoll.c",
    "event/poller_kqueue.c",
    "event/poller_poll.c",
    "event/wakeup.c",
    "event/wakeup.h",
    "http/http_chars.c",
    "http/http_chars.h",
    "http/http_chunked.c",
    "http/http_chunked.h",
    "http/http_date.c",
    "http/http_date.h",
    "http/http_error.c",
    "http/http_frame.c",
    "http/http_frame.h",
    "http/http_lines.c",
    "http/http_lines.h",
    "http/http_parser.c",
    "http/http_parser.h",
    "ws/ws_frame.c",
    "ws/ws_frame.h",
    "ws/ws_mask.c",
    "ws/ws_mask.h",
    "ws/ws_utf8.c",
    "ws/ws_utf8.h",
}

LAYERS = tuple(layer for layer in ABOVE if (SRC / layer).is_dir())

INTERPRETER = {"Python.h", "base/compat.h", "base/state.h"}

#: What the state holds for each layer: lists and structs of words, no functions.
LISTS = {f"{layer}/names.h" for layer in LAYERS}

_INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)', re.MULTILINE)

if not SRC.is_dir():
    pytest.skip("the C sources are not here", allow_module_level=True)


def included():
    """Return what each file below src/ includes, by its path there."""
    files = [path for path in SRC.rglob("*") if path.suffix in (".c", ".h")]
    return {path.relative_to(SRC).as_posix(): _INCLUDE.findall(path.read_text()) for path in files}


def reached(start, includes):
    """Return every name that a file includes, itself or through others."""
    found, todo = set(), [start]
    while todo:
        for name in includes.get(todo.pop(), ()):
            if name not in found:
                found.add(name)
                todo.append(name)
    return found


def test_every_file_is_in_a_layer():
    """Folders below src/ are layers; right below it are the module and the lists of all layers."""
    tops = {name.partition("/")[0] for name in included()}
    assert tops == {*LAYERS, "module.c", "all_names.h"}


def below(layer):
    """Return a layer and those that it stands on."""
    return {layer}.union(*map(below, ABOVE[layer]))


def layer_of(name):
    return name.partition("/")[0]


def test_siblings_do_not_stand_on_each_other():
    assert below("ws") == below("web") - {"web"} | {"ws"}


def test_includes_point_down():
    wrong = []
    for name, includes in included().items():
        layer = layer_of(name)
        for other in includes:
            if layer in LAYERS and layer_of(other) in LAYERS and layer_of(other) not in below(layer):
                wrong.append(f"{name} includes {other}")
    assert wrong == []


def test_parts_stay_in_their_folder():
    """What ends in _parts.h is for the files of its own layer."""
    for name, includes in included().items():
        for other in includes:
            own = layer_of(other) == layer_of(name)
            assert own or not other.endswith("_parts.h"), f"{name} includes {other}"


def test_own_includes_exist():
    """An include in quotes names a file below src/ by its full path."""
    quoted = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
    for path in SRC.rglob("*.[ch]"):
        for name in quoted.findall(path.read_text()):
            assert (SRC / name).is_file(), f"{path.relative_to(SRC)} includes {name}"


def test_machines_do_not_know_the_interpreter():
    includes = included()
    assert MACHINES <= includes.keys()
    for name in sorted(MACHINES):
        assert reached(name, includes) & INTERPRETER == set(), name


def test_plain_files_are_listed_as_machines():
    includes = included()
    plain = {name for name in includes if not reached(name, includes) & INTERPRETER}
    assert plain - LISTS == MACHINES


def test_lists_reach_the_state_by_one_way():
    """base/state.h is a struct over the lists of all layers, which it gets from one file outside of them."""
    includes = included()
    assert {name for name, names in includes.items() if LISTS & set(names)} == {"all_names.h"}
    assert {name for name, names in includes.items() if "all_names.h" in names} == {"base/state.h"}
    for name in LISTS:
        assert not re.search(r"\w\s*\([^)]*\)\s*[;{]", (SRC / name).read_text()), f"{name} has a function"


@pytest.mark.parametrize("kind", ["str", "text", "kw", "face", "upcall"])
def test_names_stand_in_the_lowest_layer_that_uses_them(kind):
    text = {}
    for layer in LAYERS:
        text[layer] = "".join(path.read_text() for path in (SRC / layer).rglob("*.[ch]"))
    kinds = {"str": "NAMES", "text": "TEXTS", "kw": "KEYWORDS", "face": "FACES", "upcall": "UPCALLS"}
    for layer in LAYERS:
        for entries in re.findall(
            rf"#define TC_{layer.upper()}_{kinds[kind]}\(X\)(.*?)\n\n", text[layer], re.S
        ):
            for name in re.findall(r"X\((\w+)", entries):
                lower = below(layer) - {layer}
                assert not [low for low in lower if re.search(rf"\b{kind}_{name}\b", text[low])], name


def defined_functions():
    """Return the layer that defines each function of the project's own which is not static."""
    defined = {}
    for path in SRC.rglob("*.c"):
        name = path.relative_to(SRC).as_posix()
        for function in re.findall(r"^(tc_\w+)\(", path.read_text(), re.MULTILINE):
            assert layer_of(defined.setdefault(function, name)) == layer_of(name), function
    return {function: layer_of(name) for function, name in defined.items()}


def test_calls_point_down():
    """No layer uses a function that a higher one defines, however it may have been declared."""
    defined = defined_functions()
    assert len(defined) > 300
    wrong = []
    for path in SRC.rglob("*.[ch]"):
        name = path.relative_to(SRC).as_posix()
        if layer_of(name) in LAYERS:
            code = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
            for function in set(re.findall(r"\btc_\w+\b(?=\s*\()", code)) & defined.keys():
                if defined[function] not in below(layer_of(name)):
                    wrong.append(f"{name} uses {function} of {defined[function]}")
    assert wrong == []


@pytest.mark.skipif(shutil.which("nm") is None, reason="nm is not installed")
def test_exported_symbols():
    command = ["nm", "-D", "--defined-only", _core.__file__]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    names = {line.split()[-1] for line in lines}
    # Sanitizers and coverage bring symbols of their own; none of them is ours.
    assert {name for name in names if not name.startswith("_")} == {"PyInit__core"}
