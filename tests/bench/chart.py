"""The picture of a comparison: for each row a bar for each server, CPU microseconds a request or message,
to the row's own scale, with a mark where our bar should end. Plain SVG, written by hand."""

from html import escape

from row import Row
from rows import BY_NAME

GREY = "#8a8f98"
COLOURS = {"limit": GREY, "zlib": GREY, "zlib-one": GREY, "stock": "#d98c3f", "ours": "#2f7fb8"}
PEER = "#b9b2a4"
LEFT, BAR_WIDTH, BAR, GAP, TOP = 390, 420, 15, 14, 86
WIDTH = LEFT + BAR_WIDTH + 390


def text(
    x: float, y: float, content: str, *, size: int = 12, anchor: str = "start", colour: str = "#222"
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {place}>{escape(content)}</text>"


def rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def label(row: Row, server: str, r: dict) -> str:
    parts = [row.shown(r) + (" us" if row.figure == "cpu_us" else " bytes")]
    if "rate" in r:
        parts.append(f"{r['rate']:,.0f}/s")
    ratios = r["ratios"] if server == "ours" else {}
    if "limit" in ratios:
        parts.append(f"{ratios['limit']:.2f} x limit" + (f" (reach {row.to_limit})" if row.to_limit else ""))
    if "stock" in ratios:
        parts.append(
            f"stock / {1 / ratios['stock']:.1f}" + (f" (reach {row.to_stock})" if row.to_stock else "")
        )
    return ", ".join(parts)


def aim(row: Row, results: dict) -> float | None:
    """The figure that our server should not exceed, in this run's terms."""
    found = [results[s][row.figure] * factor for s, factor in row.bars() if row.figure in results.get(s, {})]
    return min([*found, *([row.most] if row.most else [])], default=None)


def draw(report: dict) -> str:
    about = report["about"]
    pieces = []
    y = TOP
    for name, results in report["rows"].items():
        row = BY_NAME[name]
        here = {s: r for s, r in results.items() if row.figure in r}
        most = max((r[row.figure] for r in here.values()), default=1.0)
        pieces.append(text(LEFT - 84, y + 12, row.title, anchor="end", size=13))
        start = y
        for server, r in results.items():
            pieces.append(text(LEFT - 8, y + 12, server, anchor="end", colour="#555"))
            if server in here:
                width = r[row.figure] / most * BAR_WIDTH
                pieces.append(rect(LEFT, y, max(width, 1), BAR - 3, COLOURS.get(server, PEER)))
                pieces.append(text(LEFT + BAR_WIDTH + 12, y + 11, label(row, server, r), colour="#555"))
            else:
                pieces.append(text(LEFT, y + 11, "missing", colour="#999"))
            y += BAR
        goal = aim(row, results)
        if goal is not None and goal <= most:
            pieces.append(rect(LEFT + goal / most * BAR_WIDTH, start - 3, 1.5, y - start + 3, "#c0392b"))
        y += GAP
    heading = [
        text(20, 28, "Server CPU for each request or message, microseconds: shorter is better", size=17),
        text(
            20,
            48,
            f"{about['processor']}, CPython {about['python']}, median of {about['rounds']} rounds of "
            f"{about['seconds']:g} s, {about['when']}",
            colour="#555",
        ),
        text(
            20,
            64,
            "each row to its own scale; the red mark is where our bar should end at the latest",
            colour="#555",
        ),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" '
        f'font-family="sans-serif">\n{rect(0, 0, WIDTH, y, "#fff")}\n'
        + "\n".join(heading + pieces)
        + "\n</svg>\n"
    )
