"""Runs every leak scenario of this folder, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
HELPERS = {"harness.py", "run.py"}


def main() -> int:
    scripts = sorted(p for p in HERE.glob("*.py") if p.name not in HELPERS)
    bad = []
    for script in scripts:
        print(f"== {script.name}", flush=True)
        if subprocess.run([sys.executable, str(script)]).returncode != 0:
            bad.append(script.name)
    if not hasattr(sys, "gettotalrefcount"):
        print("not a debug interpreter: memory blocks were counted instead of references")
    print(f"{len(scripts)} leak scenarios, {len(bad)} failed{': ' + ', '.join(bad) if bad else ''}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
