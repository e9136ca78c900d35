"""What a row says in the end, and the table of all of them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.rounds import Spread


@dataclass(frozen=True)
class Figure:
    """One measured thing: ours, what it is held against, their ratio, and what the budget asks of that ratio.

    `limit` is the budget's number; with `at_most` smaller is better. A figure without a limit is only told.
    `by_processor` is the ratio of answers for each second of a processor: what else runs disturbs it less.
    """

    row: str
    what: str
    ours: str
    against: str
    ratio: Spread
    limit: float | None = None
    at_most: bool = False
    by_processor: Spread | None = None
    detail: str = ""

    @property
    def verdict(self) -> str:
        """How the median stands to the budget; half the budget is what the first stage asks."""
        if self.limit is None:
            return ""
        share = self.limit / self.ratio.median if self.at_most else self.ratio.median / self.limit
        return "within" if share >= 1 else "over half" if share >= 0.5 else "under half"


def show(figures: Iterable[Figure], console: Console) -> None:
    """The table, for a person."""
    table = Table("row", "ours", "against", "ratio (least-greatest)", "by processor time", "budget", "")
    for each in figures:
        budget = "" if each.limit is None else f"{'at most' if each.at_most else 'at least'} {each.limit:g}"
        spent = _told(each.by_processor) if each.by_processor else ""
        what = f"{each.what}\n{each.detail}".strip()
        table.add_row(what, each.ours, each.against, _told(each.ratio), spent, budget, each.verdict)
    console.print(table)


def _told(ratio: Spread) -> str:
    return f"{ratio.median:.2f} ({ratio.least:.2f}-{ratio.greatest:.2f})"


def keep(figures: Sequence[Figure], machine: dict[str, str], path: Path) -> None:
    """The same as JSON, for a program."""
    content = {"machine": machine, "figures": [{**asdict(each), "verdict": each.verdict} for each in figures]}
    path.write_text(json.dumps(content, indent=2) + "\n")
