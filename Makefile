# The tasks of development; `make` lists them. Everything is built below build/ and installed into $(VENV).

PYTHON ?= python3
DEBUG_PYTHON ?= python3.11-dbg
VENV ?= .venv
SECONDS ?= 20
SEED ?=
BENCH ?=
CC ?= cc

PY := $(abspath $(VENV))/bin/python
# A worker for each processor; one that has nothing left takes over half of another's tests.
PYTEST := $(abspath $(VENV))/bin/pytest -n auto --dist worksteal
LIBASAN = $(shell $(CC) -print-file-name=libasan.so) $(shell $(CC) -print-file-name=libubsan.so)

.DEFAULT_GOAL := help
.PHONY: help dev test test-debug ctest asan asan-run asan-build hostile hostile-run nomemory leaks leaks-run fuzz lint stubs bench bench-loop bench-streams conformance clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables: PYTHON=$(PYTHON) VENV=$(VENV) SECONDS=$(SECONDS) SEED=$(SEED) DEBUG_PYTHON=$(DEBUG_PYTHON) BENCH='flags of compare.py'"

# An environment that .ci/run or a developer has filled is taken as it is.
$(VENV)/.ready:
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet 'setuptools>=77' ruff mypy docutils pygments
	$(PY) -m pip install --quiet --no-build-isolation --editable '.[test]'
	touch $@

# The benchmarks install a copy, which would be what is tested then.
dev: $(VENV)/.ready ## set up $(VENV) and build the extension in place, what is stale only
	@test ! -e "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("platlib"))')/tornado_c" || \
	    $(PY) -m pip install --quiet --no-build-isolation --no-deps --editable .
	$(PY) setup.py --quiet build_ext --inplace

test: dev ## the test suite on an in-place build
	$(PYTEST)

test-debug: $(VENV)/.ready ## the test suite with assertions on, in development mode
	TORNADO_C_DEBUG=1 $(PY) setup.py --quiet build --build-base build/debug --build-lib build/debug/lib
	PYTHONDEVMODE=1 PYTHONPATH=$(abspath build/debug/lib) $(PYTEST)

ctest: ## native tests of the plain-C machines under ASan and UBSan
	$(MAKE) -C tests/c check

asan: $(VENV)/.ready ## the test suite on a build with AddressSanitizer and UndefinedBehaviorSanitizer
	@case "$(LIBASAN)" in \
	    /*) $(MAKE) --no-print-directory asan-run;; \
	    *) echo "asan: skipped, $(CC) has no libasan.so";; \
	esac

UNDER_ASAN = LD_PRELOAD="$(LIBASAN)" PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 \
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 PYTHONPATH=$(abspath build/asan/lib)

asan-build:
	TORNADO_C_SANITIZE=1 $(PY) setup.py --quiet build --build-base build/asan --build-lib build/asan/lib

asan-run: asan-build
	$(UNDER_ASAN) $(PYTEST)

hostile: $(VENV)/.ready ## tests/hostile on the sanitizers' build, $(SECONDS) seconds for each kind, from $(SEED)
	@case "$(LIBASAN)" in \
	    /*) $(MAKE) --no-print-directory hostile-run;; \
	    *) echo "hostile: skipped, $(CC) has no libasan.so";; \
	esac

hostile-run: asan-build
	for kind in calls serving pipelines; do $(UNDER_ASAN) $(PY) tests/hostile/run.py $$kind \
	    --seconds $(SECONDS) $(if $(SEED),--seeds $(SEED) 1000000) || exit 1; done

leaks: ## the scenarios of tests/leaks under a debug interpreter, $(DEBUG_PYTHON)
	@if command -v $(DEBUG_PYTHON) >/dev/null; then \
	    $(MAKE) --no-print-directory leaks-run; \
	else echo "leaks: skipped, $(DEBUG_PYTHON) is not installed"; fi

leaks-run:
	test -e build/leaks/venv/.ready || { $(DEBUG_PYTHON) -m venv build/leaks/venv && \
	    build/leaks/venv/bin/python -m pip install --quiet 'setuptools>=77' && touch build/leaks/venv/.ready; }
	TORNADO_C_DEBUG=1 build/leaks/venv/bin/python setup.py --quiet build --build-base build/leaks --build-lib build/leaks/lib
	PYTHONPATH=$(abspath build/leaks/lib) build/leaks/venv/bin/python tests/leaks/run.py

fuzz: ## libFuzzer on the parsers, $(SECONDS) seconds for each target
	$(MAKE) -C tests/fuzz run SECONDS=$(SECONDS)

nomemory: dev ## allocations that fail, in tests/hostile/nomemory.py, on an in-place build
	PYTHONPATH=$(CURDIR) $(PY) -W ignore tests/hostile/nomemory.py
	PYTHONPATH=$(CURDIR) $(PY) -W ignore tests/hostile/nomemory.py --span 4

conformance: $(VENV)/.ready ## the suites of Tornado and asyncio, as far as they apply
	$(PY) -m pip install --quiet '.[conformance]'
	$(PYTEST) -n 2 --dist load -m conformance

lint: $(VENV)/.ready stubs ## ruff, mypy, stubtest, clang-format and the documents
	$(PY) -m ruff check setup.py tornado_c tests examples
	$(PY) -m mypy
	$(PY) tests/typed/check.py
	@if command -v clang-format-14 >/dev/null; then \
	    clang-format-14 --dry-run -Werror $$(git ls-files '*.c' '*.h'); \
	else echo "lint: skipped clang-format-14, it is not installed"; fi
	for file in *.rst docs/*.rst; do $(PY) -m docutils --strict --writer=html5 $$file /dev/null || exit 1; done

stubs: dev ## does tornado_c/_core.pyi agree with the extension?
	$(PY) -m mypy.stubtest tornado_c._core --mypy-config-file pyproject.toml --concise

bench: $(VENV)/.ready ## the limit, stock Tornado, ours, other servers side by side; system calls, imports (BENCH="--rows ...")
	$(PY) -m pip install --quiet .
	for package in $$($(PY) tests/bench/peers.py); do \
	    $(PY) -m pip install --quiet "$$package" || echo "bench: $$package cannot be had"; done
	$(PY) tests/bench/compare.py $(BENCH)
	$(PY) tests/bench/syscalls.py
	$(PY) tests/bench/imports.py --modules web --rounds 5

bench-loop: $(VENV)/.ready ## asyncio, uvloop and our loop, operation by operation (BENCH="--rows ...")
	$(PY) -m pip install --quiet .
	-$(PY) -m pip install --quiet uvloop==0.22.1
	$(PY) tests/bench/loop.py $(BENCH)

bench-streams: $(VENV)/.ready ## streams: a C server, asyncio, uvloop, Tornado and ours (BENCH="--rows ...")
	$(PY) -m pip install --quiet '.[tornado]'
	-$(PY) -m pip install --quiet uvloop==0.22.1
	$(PY) tests/bench/streams.py $(BENCH)

clean: ## remove what was built
	rm -rf build dist *.egg-info tornado_c/_core*.so
