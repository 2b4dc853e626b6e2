"""Writes the figures of the last comparison (results/compare.json) into README.rst, between its marks.

python tests/bench/readme.py"""

import json
import sys
from pathlib import Path

import servers
from rows import BY_NAME

README = Path(__file__).resolve().parents[2] / "README.rst"
BEGIN, END = ".. bench-begin\n", ".. bench-end\n"


def cells(name: str, results: dict) -> list[str]:
    ours = results["ours"]
    cpu = [f"{results[s]['cpu_us']:.2f}" if "cpu_us" in results.get(s, {}) else "" for s in servers.SERVERS]
    to_limit = f"{ours['to_limit']:.2f}" if "to_limit" in ours else ""
    to_stock = f"{ours['to_stock']:.1f}" if "to_stock" in ours else ""
    instructions = f"{ours['instructions']:,.0f}" if "instructions" in ours else ""
    return [BY_NAME[name].title, *cpu, to_limit, to_stock, instructions]


def table(report: dict) -> str:
    head = ["CPU microseconds a request", "limit", "stock", "ours", "x limit", "stock / ours", "instructions"]
    body = [cells(name, results) for name, results in report["rows"].items() if "cpu_us" in results["ours"]]
    widths = [max(len(row[i]) for row in (head, *body)) for i in range(len(head))]
    line = "  ".join("=" * width for width in widths)

    def show(row: list[str]) -> str:
        # A simple table must not begin a row with an empty cell; any other empty cell is fine.
        return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

    about = report["about"]
    kernel = ".".join(about["kernel"].split(".")[:2])
    note = (
        f"Linux {kernel}, CPython {about['python']}, one core for each server; medians of "
        f"{about['rounds']} rounds of {about['seconds']:g} seconds, {about['when'][:10]}."
    )
    return "\n".join([note, "", line, show(head), line, *map(show, body), line])


def main() -> int:
    results = servers.RESULTS / "compare.json"
    if not results.exists():
        sys.exit("readme.py: no results yet; run tests/bench/compare.py first")
    report = json.loads(results.read_text())
    if not any("cpu_us" in row.get("ours", {}) for row in report["rows"].values()):
        sys.exit("readme.py: the last comparison has no figures of ours")
    text = README.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n{table(report)}\n\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
