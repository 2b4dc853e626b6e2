"""Writes the figures of the last comparison (results/compare.json) into README.rst, between its marks.

python tests/bench/readme.py"""

import json
import sys
import textwrap
from pathlib import Path

import peers
import servers
from http_rows import HttpRow
from rows import BY_NAME
from ws_rows import WsRow

README = Path(__file__).resolve().parents[2] / "README.rst"
BEGIN, END = ".. bench-begin\n", ".. bench-end\n"


def figure(name: str, server: str, results: dict) -> str:
    row = BY_NAME[name]
    return row.shown(results[server]) if row.figure in results.get(server, {}) else ""


def cell(name: str, column: str, results: dict) -> str:
    ours = results["ours"]
    if column == "x limit":
        return f"{ours['ratios']['limit']:.2f}" if "limit" in ours["ratios"] else ""
    if column == "stock / ours":
        return f"{1 / ours['ratios']['stock']:.1f}" if "stock" in ours["ratios"] else ""
    if column == "instructions":
        return f"{ours['instructions']:,.0f}" if "instructions" in ours else ""
    return figure(name, column, results)


def table(title: str, columns: list[str], rows: dict[str, dict]) -> list[str]:
    body = [
        [BY_NAME[name].title, *(cell(name, c, results) for c in columns)] for name, results in rows.items()
    ]
    head = [title, *columns]
    widths = [max(len(row[i]) for row in (head, *body)) for i in range(len(head))]
    line = "  ".join("=" * width for width in widths)

    def show(row: list[str]) -> str:
        # A simple table must not begin a row with an empty cell; any other empty cell is fine.
        return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

    return [line, show(head), line, *map(show, body), line, ""]


def names_of(columns: tuple[str, ...], versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {versions[name]}" for name in columns if name in versions)


def tables(report: dict) -> str:
    about = report["about"]
    rows = {name: results for name, results in report["rows"].items() if "ratios" in results.get("ours", {})}
    http = {name: results for name, results in rows.items() if isinstance(BY_NAME[name], HttpRow)}
    beside = {name: results for name, results in http.items() if BY_NAME[name].peers}
    websocket = {name: results for name, results in rows.items() if isinstance(BY_NAME[name], WsRow)}
    kernel = ".".join(about["kernel"].split(".")[:2])
    lines = [
        f"Linux {kernel}, CPython {about['python']}, one core for each server; medians of "
        f"{about['rounds']} rounds of {about['seconds']:g} s, {about['when'][:10]}.",
        "",
    ]
    if http:
        columns = [*servers.SERVERS, "x limit", "stock / ours", "instructions"]
        lines += table("CPU microseconds a request", columns, http)
    if beside:
        names = names_of(peers.HTTP, about["versions"])
        functions = "by WSGI, granian by RSGI and uvicorn (uvloop, httptools) by ASGI"
        lines += [textwrap.fill(f"Beside {names}, which call a bare function here, {functions}:", 110), ""]
        lines += table("CPU microseconds a request", ["ours", *peers.HTTP], beside)
    if websocket:
        lines += [f"WebSockets, beside {names_of(peers.WEBSOCKET, about['versions'])}, all on uvloop:", ""]
        columns = ["stock", "ours", *peers.WEBSOCKET, "stock / ours", "instructions"]
        lines += table("CPU microseconds a message", columns, websocket)
    for name, results in websocket.items():
        if alone := figure(name, "zlib", results):
            row = BY_NAME[name]
            text = f"Of the {row.title.partition(', ')[2]}, {alone} microseconds are zlib's own"
            if one := figure(name, "zlib-one", results):
                text += f" with the states of {row.connections} connections; with those of one, which "
                text += f"a core's cache holds, they are {one}"
            lines += [textwrap.fill(f"{text}.", 110), ""]
    return "\n".join(lines)


def write(report: dict) -> None:
    text = README.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n{tables(report)}\n{END}{after}")


def main() -> int:
    results = servers.RESULTS / "compare.json"
    if not results.exists():
        sys.exit("readme.py: no results yet; run tests/bench/compare.py first")
    report = json.loads(results.read_text())
    if not any("ratios" in row.get("ours", {}) for row in report["rows"].values()):
        sys.exit("readme.py: the last comparison has no figures of ours")
    write(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
