"""Runs at the start of a child of a swapped program: swaps Tornado's core there too, then runs whatever
sitecustomize there is.

The folder is on the child's PYTHONPATH because tornado_c.install() put it there. A child is swapped in the
parent's environment and in one that has tornado_c itself; any other is left as it is. It may be any Python:
this file has to run on 2.7, too.
"""

# ruff: noqa: UP031, UP036
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def _swap():
    import importlib.machinery
    import importlib.util

    package = os.path.dirname(os.path.dirname(HERE))
    if "TORNADO_C_PROGRAM" in os.environ:
        again = os.path.join(package, "_workers", "again.py")
        spec = importlib.util.spec_from_file_location("tornado_c._workers.again", again)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.execute()
    suffixes = importlib.machinery.EXTENSION_SUFFIXES
    if not any(os.path.exists(os.path.join(package, "_core" + suffix)) for suffix in suffixes):
        return  # another Python than the one that the package was built for
    if importlib.util.find_spec("tornado") is None:
        return
    if importlib.util.find_spec("tornado_c") is None:
        if os.environ.get("TORNADO_C_ENVIRONMENT") != sys.prefix:
            return
        # By its place, since the folder around it has other packages as well.
        start = os.path.join(package, "__init__.py")
        spec = importlib.util.spec_from_file_location(
            "tornado_c", start, submodule_search_locations=[package]
        )
        assert spec is not None and spec.loader is not None
        module = sys.modules["tornado_c"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    try:
        from tornado_c._swap.install import install

        install()
    except (ImportError, RuntimeError, ValueError) as exc:
        sys.stderr.write("tornado_c: Tornado's core is not replaced in this process: %s\n" % (exc,))


def _chain():
    """Import the sitecustomize that ours stands in front of."""
    others = [path for path in sys.path if os.path.abspath(path) != HERE]
    if sys.version_info[0] == 2:
        import imp

        try:
            found = imp.find_module("sitecustomize", others)
        except ImportError:
            return
        imp.load_module("sitecustomize", *found)
        return
    import importlib.machinery
    import importlib.util

    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if sys.version_info >= (3, 11):
    _swap()
_chain()
