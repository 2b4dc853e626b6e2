"""Finds what a repeated action leaves behind: references (blocks of memory where the interpreter is no debug
build) and open descriptors.

A scenario is a script in this folder:

    from harness import check, main

    def echo(): ...

    if __name__ == "__main__":
        check("echo", echo, repeats=50)
        main()

Run it with `make leaks`, or directly with a debug interpreter that can import tornado_c."""

import gc
import os
import sys
from array import array
from collections.abc import Callable

WARM_UPS = 3
WINDOWS = 4
failures: list[str] = []
checked = 0

if hasattr(sys, "gettotalrefcount"):
    WHAT, count_objects = "references", sys.gettotalrefcount
else:
    WHAT, count_objects = "memory blocks", sys.getallocatedblocks


def count_descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def settle() -> None:
    for _ in range(3):
        gc.collect()
    if hasattr(sys, "_clear_type_cache"):
        sys._clear_type_cache()


def growth(fn: Callable[[], object], repeats: int) -> tuple[list[int], list[int]]:
    """What each of several equal windows of `repeats` calls adds: (objects, descriptors)."""
    # Arrays, so that the readings are not themselves objects that stay.
    objects, descriptors = array("q", [0] * (WINDOWS + 1)), array("q", [0] * (WINDOWS + 1))
    for window in range(-WARM_UPS, WINDOWS + 1):
        if window > -WARM_UPS:
            for _ in range(repeats):
                fn()
        settle()
        if window >= 0:
            objects[window] = count_objects()
            descriptors[window] = count_descriptors()
    pairs = range(WINDOWS)
    return [objects[i + 1] - objects[i] for i in pairs], [descriptors[i + 1] - descriptors[i] for i in pairs]


def leaks(windows: list[int], repeats: int) -> bool:
    """A leak grows in every window, and by about one for each call or for each window; a cache that fills up
    or a freed block that is reused does not."""
    return min(windows) > 0 and (min(windows) >= repeats or len(set(windows)) == 1)


def check(name: str, fn: Callable[[], object], repeats: int = 20) -> bool:
    """Calls `fn` some windows of `repeats` times and reports whether anything grows; True: it leaks."""
    global checked
    checked += 1
    objects, descriptors = growth(fn, repeats)
    leaking = leaks(objects, repeats) or leaks(descriptors, repeats)
    verdict = "LEAKS" if leaking else "ok"
    shown = f"{WHAT} {objects}, descriptors {descriptors} for each {repeats} repeats"
    print(f"{verdict:5} {name}: {shown}", flush=True)
    if leaking:
        failures.append(name)
    return leaking


def main() -> None:
    """Ends a scenario script with the number of leaks as its verdict."""
    if failures:
        sys.exit(f"{len(failures)} of {checked} leak: {', '.join(failures)}")
    print(f"{checked} checked, none leaks")
