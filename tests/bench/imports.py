"""What an import costs beyond that of asyncio: user instructions by callgrind, and CPU time.

    python tests/bench/imports.py [--modules web,httpserver] [--rounds 20] [--check]

Ours stands beside the stock module of the same name. Both are imported from compiled files, which a first
run writes into a folder of its own. --check fails where web takes more than its share of stock's."""

import argparse
import os
import resource
import subprocess
import sys
import tempfile

import instructions
import servers

MODULES = ("web", "websocket", "httpserver", "ioloop", "iostream", "httputil")
SHARE = 0.5  # of stock's instructions that web may take


def environment(folder: str) -> dict[str, str]:
    """One in which compiled files are kept, in `folder`."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": folder}


def cpu_seconds(command: list[str], env: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env=env)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def count_instructions(command: list[str], env: dict[str, str]) -> int:
    return instructions.counted(lambda wrapper: subprocess.run([*wrapper, *command], check=True, env=env))


def measure(names: tuple[str, ...], rounds: int, env: dict[str, str]) -> list[tuple[int, float]]:
    """Instructions and seconds for each program that imports asyncio and one of these, "" for none."""
    commands = [[sys.executable, "-c", f"import asyncio{name and ', '}{name}"] for name in names]
    seconds = [cpu_seconds(command, env) for command in commands]  # writes the compiled files
    for _ in range(rounds):
        seconds = [min(least, cpu_seconds(c, env)) for least, c in zip(seconds, commands, strict=True)]
    return [
        (count_instructions(command, env), least) for command, least in zip(commands, seconds, strict=True)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modules", default=",".join(MODULES))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--check", action="store_true", help=f"fail where web takes over {SHARE} of stock's")
    args = parser.parse_args()
    over = False
    with tempfile.TemporaryDirectory() as folder:
        for module in args.modules.split(","):
            names = ("", f"tornado.{module}", f"tornado_c.{module}")
            bare, stock, ours = measure(names, args.rounds, environment(folder))
            counts, times = ([found[i] - bare[i] for found in (stock, ours)] for i in (0, 1))
            share = counts[1] / counts[0]
            print(
                f"{module:12} instructions: stock {counts[0]:12,} ours {counts[1]:12,} ({share:.2f})   "
                f"CPU: stock {times[0] * 1000:5.1f} ms, ours {times[1] * 1000:5.1f} ms "
                f"({times[1] / times[0]:.2f})",
                flush=True,
            )
            over |= module == "web" and share > SHARE
    return 1 if args.check and over else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (servers.Missing, RuntimeError) as problem:
        sys.exit(f"imports.py: {problem}")
