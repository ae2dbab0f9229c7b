"""What checkpointing costs: the same loads with a checkpoint every ten seconds and with none, in turn."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from ledger.genesis import CHECKPOINT_MAX
from momus.bench.load import Load, Maker
from momus.bench.run import VALID_FOR_MS, make_chain, seconds_of
from momus.demo.scratch import fresh_scratch

INTERVAL_MS: Final = 10_000
COST_MARK: Final = 0.15
_NEVER: Final = str(CHECKPOINT_MAX)


@dataclass(frozen=True, slots=True)
class CheckpointSizes:
    """Transactions of each load, enough for several intervals; `rounds` of each, with and without."""

    single: int = 600_000
    batched: int = 12_000
    accounts: int = 100_000
    rounds: int = 2

    @classmethod
    def quick(cls) -> "CheckpointSizes":
        """For a first look: about one interval."""
        return cls(150_000, 3_000, 100_000, 1)


@dataclass(slots=True)
class CheckpointFigures:
    """Transfers a second by load, of every round, with and without."""

    with_them: dict[str, list[float]] = field(default_factory=dict)
    without: dict[str, list[float]] = field(default_factory=dict)

    def cost(self, name: str) -> float:
        """The share of the rate that checkpointing takes."""
        return 1 - median(self.with_them[name]) / median(self.without[name])

    def as_json(self) -> dict[str, Any]:
        """All of it for programs."""
        return {
            "interval_ms": INTERVAL_MS,
            "loads": [
                {
                    "load": name,
                    "with_per_s": [round(rate, 1) for rate in self.with_them[name]],
                    "without_per_s": [round(rate, 1) for rate in self.without[name]],
                    "cost": round(self.cost(name), 3),
                    "met": self.cost(name) < COST_MARK,
                }
                for name in self.without
            ],
        }

    def show(self, console: Console) -> None:
        """A table for people."""
        table = Table("load", "transfers/s without", "with checkpoints", "cost", box=None)
        for name in self.without:
            cost = self.cost(name)
            verdict = "[green]met[/]" if cost < COST_MARK else "[red]missed[/]"
            table.add_row(
                name,
                f"{median(self.without[name]):,.0f}",
                f"{median(self.with_them[name]):,.0f}",
                f"{cost:.1%} of {COST_MARK:.0%}, {verdict}",
            )
        console.print(table)


class CheckpointBench:
    """Runs on the embedded log, in `scratch`, a node of one validator at a time."""

    def __init__(self, scratch: Path, sizes: CheckpointSizes, console: Console) -> None:
        self._scratch = fresh_scratch(scratch)
        self._sizes = sizes
        self._console = console

    def run(self) -> CheckpointFigures:
        """Raises: BenchFailed, NodeFailed, and what the log and database raise."""
        figures = CheckpointFigures()
        for number in range(self._sizes.rounds):
            for name, make in self._loads():
                for rates, interval_ms in ((figures.without, _NEVER), (figures.with_them, str(INTERVAL_MS))):
                    self._console.print(f"round {number + 1}: {name}, interval {interval_ms} ms", highlight=False)
                    rates.setdefault(name, []).append(self._rate(interval_ms, make))
        return figures

    def _loads(self) -> list[tuple[str, Callable[[Maker], Load]]]:
        sizes = self._sizes
        return [
            ("single", lambda maker: maker.single(sizes.single)),
            (f"batched, {sizes.accounts:,} accounts", lambda maker: maker.batched(sizes.batched, sizes.accounts)),
        ]

    def _rate(self, interval_ms: str, make: Callable[[Maker], Load]) -> float:
        name = f"c{len(list(self._scratch.iterdir()))}"
        options = ("--checkpoint-ms", interval_ms, "--checkpoint-heights", _NEVER)
        (home,) = make_chain(self._scratch, name, None, 1, *options)
        load = make(Maker(home.genesis(), time.time_ns() // 1_000_000 + VALID_FOR_MS))
        return load.transfers / seconds_of(home, load)
