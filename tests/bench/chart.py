"""The picture of a comparison: for each row a bar for each server, CPU microseconds a request, to the
row's own scale, with a mark where our bar should end. Plain SVG, written by hand."""

from html import escape

from rows import BY_NAME

COLOURS = {"limit": "#8a8f98", "stock": "#d98c3f", "ours": "#2f7fb8"}
LEFT, BAR_WIDTH, BAR, GAP, TOP = 320, 420, 15, 14, 86
WIDTH = LEFT + BAR_WIDTH + 390


def text(
    x: float, y: float, content: str, *, size: int = 12, anchor: str = "start", colour: str = "#222"
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {place}>{escape(content)}</text>"


def rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def label(name: str, server: str, r: dict) -> str:
    row = BY_NAME[name]
    parts = [f"{r['cpu_us']:.2f} us", f"{r['rps']:,.0f}/s"]
    if server == "ours" and "to_limit" in r:
        parts.append(f"{r['to_limit']:.2f} x limit" + (f" (reach {row.to_limit})" if row.to_limit else ""))
    if server == "ours" and "to_stock" in r:
        parts.append(f"stock / {r['to_stock']:.1f}" + (f" (reach {row.to_stock})" if row.to_stock else ""))
    return ", ".join(parts)


def aim(name: str, results: dict) -> float | None:
    """The CPU time that our server should not exceed, in this run's terms."""
    row, found = BY_NAME[name], []
    for target, server, sign in ((row.to_limit, "limit", 1), (row.to_stock, "stock", -1)):
        if target and "cpu_us" in results.get(server, {}):
            found.append(results[server]["cpu_us"] * target**sign)
    return min(found) if found else None


def draw(report: dict) -> str:
    about = report["about"]
    pieces = []
    y = TOP
    for name, results in report["rows"].items():
        here = {s: r for s, r in results.items() if "cpu_us" in r}
        most = max((r["cpu_us"] for r in here.values()), default=1.0)
        pieces.append(text(LEFT - 58, y + 12, BY_NAME[name].title, anchor="end", size=13))
        start = y
        for server, r in results.items():
            pieces.append(text(LEFT - 8, y + 12, server, anchor="end", colour="#555"))
            if server in here:
                width = r["cpu_us"] / most * BAR_WIDTH
                pieces.append(rect(LEFT, y, max(width, 1), BAR - 3, COLOURS[server]))
                pieces.append(text(LEFT + BAR_WIDTH + 12, y + 11, label(name, server, r), colour="#555"))
            else:
                pieces.append(text(LEFT, y + 11, "missing", colour="#999"))
            y += BAR
        goal = aim(name, results)
        if goal is not None and goal <= most:
            pieces.append(rect(LEFT + goal / most * BAR_WIDTH, start - 3, 1.5, y - start + 3, "#c0392b"))
        y += GAP
    heading = [
        text(20, 28, "Server CPU for each request, microseconds: shorter is better", size=17),
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
