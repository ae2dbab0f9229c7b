"""What checkpointing costs: the same loads with checkpoints and without, in turn.

A load is final long before it is executed, so an interval of time would give one checkpoint or two however long the
execution takes. Here every second block is one; what one costs tells what one every ten seconds does.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from lab.bench.load import Load, Maker
from lab.bench.run import VALID_FOR_MS, make_chain, seconds_of
from lab.demo.scratch import fresh_scratch
from ledger.genesis import CHECKPOINT_MAX
from node.home.layout import Home
from node.wiring import database_url
from node.wiring.databases import running_postgres
from projections.session.connect import connect

INTERVAL_S: Final = 10
EVERY_HEIGHTS: Final = 2
COST_MARK: Final = 0.15
_NEVER: Final = CHECKPOINT_MAX


@dataclass(frozen=True, slots=True)
class CheckpointSizes:
    """Transactions of each load; `rounds` of each, with and without."""

    single: int = 200_000
    batched: int = 4_000
    accounts: int = 100_000
    rounds: int = 3

    @classmethod
    def quick(cls) -> "CheckpointSizes":
        """For a first look."""
        return cls(50_000, 1_000, 100_000, 1)


@dataclass(slots=True)
class LoadFigures:
    """One load, round by round: seconds without and with checkpoints, how many there were, leaves in the tree then."""

    transfers: int = 0
    leaves: int = 0
    without_s: list[float] = field(default_factory=list)
    with_s: list[float] = field(default_factory=list)
    checkpoints: list[int] = field(default_factory=list)

    @property
    def each_s(self) -> float:
        """What one checkpoint costs."""
        pairs = zip(self.with_s, self.checkpoints, strict=True)
        return max(0.0, median((seconds - median(self.without_s)) / count for seconds, count in pairs))

    @property
    def cost(self) -> float:
        """The share of the time that one every ten seconds takes."""
        return self.each_s / INTERVAL_S


@dataclass(slots=True)
class CheckpointFigures:
    """By load."""

    loads: dict[str, LoadFigures] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """All of it for programs."""
        return {
            "interval_s": INTERVAL_S,
            "loads": [
                {
                    "load": name,
                    "transfers": found.transfers,
                    "leaves": found.leaves,
                    "without_s": [round(seconds, 2) for seconds in found.without_s],
                    "with_s": [round(seconds, 2) for seconds in found.with_s],
                    "checkpoints": found.checkpoints,
                    "each_s": round(found.each_s, 3),
                    "cost": round(found.cost, 3),
                    "met": found.cost < COST_MARK,
                }
                for name, found in self.loads.items()
            ],
        }

    def show(self, console: Console) -> None:
        """A table for people."""
        table = Table("load", "leaves", "without", "with", "checkpoints", "each", f"every {INTERVAL_S} s", box=None)
        for name, found in self.loads.items():
            table.add_row(
                name,
                f"{found.leaves:,}",
                f"{median(found.without_s):.1f} s",
                f"{median(found.with_s):.1f} s",
                f"{median(found.checkpoints):.0f}",
                f"{found.each_s * 1000:,.0f} ms",
                f"{found.cost:.1%}",
            )
        console.print(table)
        for name, found in self.loads.items():
            verdict = (
                "[green]met[/]" if found.cost < COST_MARK else f"[red]missed by {found.cost / COST_MARK - 1:.0%}[/]"
            )
            console.print(f"{name}: {found.cost:.1%} of at most {COST_MARK:.0%}, {verdict}", highlight=False)


class CheckpointBench:
    """Runs on the embedded log, in `scratch`, a node of one validator at a time."""

    def __init__(
        self, scratch: Path, sizes: CheckpointSizes, console: Console, on_figure: Callable[[], None] = lambda: None
    ) -> None:
        """`on_figure`: after each one that is in `figures`."""
        self.figures = CheckpointFigures()
        self._on_figure = on_figure
        self._scratch = fresh_scratch(scratch)
        self._sizes = sizes
        self._console = console

    def run(self) -> CheckpointFigures:
        """Raises: BenchFailed, NodeFailed, and what the log and database raise."""
        for number in range(self._sizes.rounds):
            for name, make in self._loads():
                self._console.print(f"round {number + 1}: {name}", highlight=False)
                self._measure(name, make)
                self._on_figure()
        return self.figures

    def _loads(self) -> list[tuple[str, Callable[[Maker], Load]]]:
        sizes = self._sizes
        return [
            ("single", lambda maker: maker.single(sizes.single)),
            (f"batched, {sizes.accounts:,} accounts", lambda maker: maker.batched(sizes.batched, sizes.accounts)),
        ]

    def _measure(self, load_name: str, make: Callable[[Maker], Load]) -> None:
        took_s = []
        for heights in (_NEVER, EVERY_HEIGHTS):
            name = f"c{len(list(self._scratch.iterdir()))}"
            options = ("--checkpoint-ms", str(_NEVER), "--checkpoint-heights", str(heights))
            (home,) = make_chain(self._scratch, name, None, 1, *options)
            load = make(Maker(home.genesis(), time.time_ns() // 1_000_000 + VALID_FOR_MS))
            took_s.append(seconds_of(home, load))
        count, leaves = _made(home)
        found = self.figures.loads.setdefault(load_name, LoadFigures())
        found.transfers, found.leaves = load.transfers, leaves
        for figures, seconds in zip((found.without_s, found.with_s), took_s, strict=True):
            figures.append(seconds)
        found.checkpoints.append(count)


def _made(home: Home) -> tuple[int, int]:
    """(checkpoints but the first, which has next to nothing in it; leaves in the tree)."""
    settings = home.settings({})
    with running_postgres(home, settings), connect(database_url(home, settings)) as database:
        row = database.execute(
            "SELECT (SELECT greatest(count(*) - 1, 1) FROM ledger.checkpoints), "
            "(SELECT count(DISTINCT key_hash) FROM ledger.tree_leaves)"
        ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])
