"""What every row of the comparison has, and the figures to reach."""

from dataclasses import KW_ONLY, dataclass


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    _: KW_ONLY
    to_limit: float | None = None  # at most this many times the limit's figure
    to_stock: float | None = None  # at least this many times under stock Tornado's
    to_peers: tuple[tuple[str, float], ...] = ()  # at most so many times the figure of each
    most: float | None = None  # at most this figure
    instructions: int | None = None  # user instructions an operation: at most
    slow: int = 1  # so many times fewer operations are enough to count instructions
    brief: bool = False  # of the README's tables, measured where no rows are named

    #: Who takes part, in the order of the tables.
    servers = ("limit", "stock", "ours")
    #: The figure, and what it is called.
    figure, unit = "cpu_us", "CPU us"

    def shown(self, result: dict) -> str:
        """The figure in a table."""
        value = result[self.figure]
        return f"{value:,.2f}" if value < 1000 else f"{value:,.0f}"

    def bars(self) -> list[tuple[str, float]]:
        """(server, how many times its figure ours may have at most)."""
        limit = [("limit", self.to_limit)] if self.to_limit else []
        stock = [("stock", 1 / self.to_stock)] if self.to_stock else []
        return [*limit, *stock, *self.to_peers]

    @property
    def counted(self) -> bool:
        """Its instructions are counted."""
        return self.instructions is not None


def targets(row: Row, results: dict) -> list[tuple[str, float, str, bool]]:
    """(what, figure, the figure to reach, reached) for our server in this row."""
    ours, found = results.get("ours", {}), []
    for server, factor in row.bars():
        if server not in ours.get("ratios", {}):
            continue
        times = ours["ratios"][server]
        if server == "stock":
            found.append(("x under stock", 1 / times, f">= {1 / factor:g}", times <= factor))
        else:
            found.append((f"{row.unit} x {server}", times, f"<= {factor:g}", times <= factor))
    for what, key, most in (
        (row.unit, row.figure, row.most),
        ("instructions", "instructions", row.instructions),
    ):
        if most and key in ours:
            found.append((what, ours[key], f"<= {most:,}", ours[key] <= most))
    return found
