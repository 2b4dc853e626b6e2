"""Builds tornado_c._core from every C file below src/, in parallel and incrementally.

Environment switches (see CONTRIBUTING.rst):

TORNADO_C_DEBUG=1      -O1, assertions on
TORNADO_C_SANITIZE=1   as DEBUG, with AddressSanitizer and UndefinedBehaviorSanitizer
TORNADO_C_COVERAGE=1   as DEBUG, with gcov instrumentation
TORNADO_C_POLLER=poll  poll(2) in place of epoll or kqueue
TORNADO_C_JOBS=N       compilers run at once (default: the number of processors)

Everything else about the package is in pyproject.toml.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
SOURCES = sorted(p.relative_to(HERE).as_posix() for p in (HERE / "src").rglob("*.c"))
HEADERS = sorted(p.relative_to(HERE).as_posix() for p in (HERE / "src").rglob("*.h"))
VARIANTS = ("DEBUG", "SANITIZE", "COVERAGE")
POLLER = os.environ.get("TORNADO_C_POLLER", "")


def switched_on(name: str) -> bool:
    return os.environ.get(f"TORNADO_C_{name}", "0") not in ("", "0")


def compile_flags() -> tuple[list[str], list[str]]:
    """The compiler's and the linker's extra arguments under the switches."""
    compile_args = ["-std=gnu11", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-unused-parameter"]
    compile_args += ["-Wno-missing-field-initializers", "-Wno-cast-function-type"]
    link_args: list[str] = []
    if any(map(switched_on, VARIANTS)):
        compile_args += ["-g", "-O1", "-UNDEBUG", "-DTC_DEBUG"]
    else:
        compile_args += ["-O3", "-fno-semantic-interposition", "-fno-plt"]
    if POLLER == "poll":
        compile_args += ["-DTC_POLLER_POLL"]
    elif POLLER:
        raise SystemExit(f"TORNADO_C_POLLER={POLLER}: only 'poll' can be chosen")
    if switched_on("SANITIZE"):
        compile_args += ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-fno-wrapv"]
        link_args += ["-fsanitize=address,undefined"]
    if switched_on("COVERAGE"):
        compile_args += ["--coverage"]
        link_args += ["--coverage"]
    return compile_args, link_args


class ParallelBuildExt(build_ext):
    """Compiles an extension's stale files side by side, then always links.

    A file is stale when it, any header or this script is newer than its object; objects of different
    switches lie in different folders. setuptools by itself compiles one file after another, and all or
    nothing."""

    def finalize_options(self) -> None:
        super().finalize_options()
        variant = "".join(f"-{name.lower()}" for name in VARIANTS if switched_on(name))
        variant += f"-{POLLER}" if POLLER else ""
        if variant and not self.build_temp.endswith(variant):
            self.build_temp += variant

    def build_extension(self, ext: Extension) -> None:
        compiler = self.compiler
        rebuild_all = self.force
        newest = max(os.path.getmtime(path) for path in (*ext.depends, __file__))

        def compile_files(
            sources,
            output_dir=None,
            macros=None,
            include_dirs=None,
            debug=False,
            extra_preargs=None,
            extra_postargs=None,
            depends=None,
        ):
            macros, objects, extra_postargs, pp_opts, build = compiler._setup_compile(
                output_dir, macros, include_dirs, sources, depends, extra_postargs
            )
            cc_args = compiler._get_cc_args(pp_opts, debug, extra_preargs)

            def compile_one(obj: str) -> None:
                src, suffix = build[obj]
                stamp = os.path.getmtime(obj) if os.path.exists(obj) else -1.0
                if rebuild_all or stamp < max(os.path.getmtime(src), newest):
                    compiler._compile(obj, src, suffix, cc_args, extra_postargs, pp_opts)

            jobs = int(os.environ.get("TORNADO_C_JOBS", "0")) or os.cpu_count() or 1
            with ThreadPoolExecutor(jobs) as pool:
                list(pool.map(compile_one, objects))
            return objects

        compiler.compile = compile_files
        self.force = compiler.force = True  # past the checks of setuptools: those above are finer
        try:
            super().build_extension(ext)
        finally:
            self.force = rebuild_all


compile_args, link_args = compile_flags()

setup(
    ext_modules=[
        Extension(
            "tornado_c._core",
            SOURCES,
            include_dirs=["src"],
            depends=HEADERS,
            extra_compile_args=compile_args,
            extra_link_args=link_args,
            language="c",
        )
    ],
    cmdclass={"build_ext": ParallelBuildExt},
)
