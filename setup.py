"""Builds tornado_c._core from every C file below src/, in parallel and incrementally.

Environment switches (see CONTRIBUTING.rst):

TORNADO_C_DEBUG=1      -O1, assertions on
TORNADO_C_SANITIZE=1   as DEBUG, with AddressSanitizer and UndefinedBehaviorSanitizer
TORNADO_C_COVERAGE=1   as DEBUG, with gcov instrumentation
TORNADO_C_JOBS=N       compilers run at once (default: the number of processors)
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
SOURCES = sorted(p.relative_to(HERE).as_posix() for p in (HERE / "src").rglob("*.c"))
HEADERS = sorted(p.relative_to(HERE).as_posix() for p in (HERE / "src").rglob("*.h"))


def switched_on(name: str) -> bool:
    return os.environ.get(f"TORNADO_C_{name}", "0") not in ("", "0")


def compile_flags() -> tuple[list[str], list[str]]:
    """The compiler's and the linker's extra arguments under the switches."""
    compile_args = ["-std=gnu11", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-unused-parameter"]
    compile_args += ["-Wno-missing-field-initializers", "-Wno-cast-function-type"]
    link_args: list[str] = []
    sanitize, coverage = switched_on("SANITIZE"), switched_on("COVERAGE")
    if sanitize or coverage or switched_on("DEBUG"):
        compile_args += ["-g", "-O1", "-UNDEBUG", "-DTC_DEBUG"]
    else:
        compile_args += ["-O3", "-fno-semantic-interposition", "-fno-plt"]
    if sanitize:
        compile_args += ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-fno-wrapv"]
        link_args += ["-fsanitize=address,undefined"]
    if coverage:
        compile_args += ["--coverage"]
        link_args += ["--coverage"]
    return compile_args, link_args


class ParallelBuildExt(build_ext):
    """Compiles the stale files of an extension side by side."""

    def build_extension(self, ext: Extension) -> None:
        compiler = self.compiler
        newest_header = max((os.path.getmtime(h) for h in ext.depends), default=0.0)
        newest_header = max(newest_header, os.path.getmtime(__file__))

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
                if self.force or stamp < max(os.path.getmtime(src), newest_header):
                    compiler._compile(obj, src, suffix, cc_args, extra_postargs, pp_opts)

            jobs = int(os.environ.get("TORNADO_C_JOBS", "0")) or os.cpu_count() or 1
            with ThreadPoolExecutor(jobs) as pool:
                list(pool.map(compile_one, objects))
            return objects

        compiler.compile = compile_files
        if self.inplace or os.path.exists(self.get_ext_fullpath(ext.name)):
            # The base class skips the whole extension when the library is newer than every file;
            # the check above is finer, and linking is cheap.
            self.force_link = True
        super().build_extension(ext)


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
    packages=["tornado_c", "tornado_c._web"] if (HERE / "tornado_c/_web").is_dir() else ["tornado_c"],
)

if sys.version_info < (3, 11):
    sys.exit("tornado_c needs CPython 3.11 or newer")
