"""Runs at the start of a child of a swapped program: swaps Tornado's core there too, then whatever
sitecustomize there is.

The folder is on the child's PYTHONPATH because tornado_c.install() put it there.
"""

import importlib.machinery
import importlib.util
import os
import sys


def _swap() -> None:
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    suffixes = importlib.machinery.EXTENSION_SUFFIXES
    if not any(os.path.exists(os.path.join(package, "_core" + suffix)) for suffix in suffixes):
        return  # another Python than the one that the package was built for
    if importlib.util.find_spec("tornado_c") is None:
        sys.path.append(os.path.dirname(package))
    try:
        from tornado_c._swap import install

        install()
    except (ImportError, RuntimeError) as exc:
        print(f"tornado_c: Tornado's core is not replaced in this process: {exc}", file=sys.stderr)


def _chain() -> None:
    """Import the sitecustomize that ours stands in front of."""
    here = os.path.dirname(os.path.abspath(__file__))
    others = [path for path in sys.path if os.path.abspath(path) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


_swap()
_chain()
