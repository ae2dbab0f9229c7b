"""The figures of a bench, with the marks they are held against."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.bench.ceilings import Ceilings
from lab.demo.latency import Latency

SINGLE_SHARE_MARK = 0.45
BATCHED_PER_S_MARK = 100_000
REPLAY_SHARE_MARK = 1.0
RATIO_MAX = 1_000.0


@dataclass(frozen=True, slots=True)
class Throughput:
    """One load on one log: `per_s` live, from the first append to the last committed row; `replay_per_s` again from
    the store. Units are transfers."""

    backbone: str
    name: str
    transfers: int
    per_s: float
    replay_per_s: float
    replay_equal: bool


@dataclass(frozen=True, slots=True)
class Finality:
    """At a steady pace: to a verified final header, and to rows."""

    backbone: str
    per_s: int
    final: Latency
    sql: Latency

    def as_json(self) -> dict[str, Any]:
        """Times in ms."""
        return {
            "backbone": self.backbone,
            "per_s": self.per_s,
            "transactions": self.final.count,
            "p50": self.final.p50,
            "p99": self.final.p99,
            "sql_p50": self.sql.p50,
            "sql_p99": self.sql.p99,
        }


@dataclass(frozen=True, slots=True)
class Mark:
    """One figure against what it is to reach, or (`is_bound`) to stay below: `ratio` >= 1 is met."""

    name: str
    value: float
    mark: float
    is_bound: bool = False

    @property
    def ratio(self) -> float:
        """How much of the mark is reached; of a bound that nothing came near, at most RATIO_MAX."""
        if not self.is_bound:
            return self.value / self.mark
        return min(RATIO_MAX, self.mark / self.value) if self.value > 0 else RATIO_MAX

    @property
    def sentence(self) -> str:
        """For people, coloured."""
        missed = 1 - self.ratio if not self.is_bound else self.value / self.mark - 1
        verdict = "[green]met[/]" if self.ratio >= 1 else f"[red]missed by {missed:.0%}[/]"
        return f"{self.name}: {self.value:,.2f} of {self.mark:,.2f}, {verdict}"

    def as_json(self) -> dict[str, Any]:
        """With whether it is met."""
        return {
            "name": self.name,
            "value": round(self.value, 3),
            "mark": self.mark,
            "ratio": round(self.ratio, 3),
            "met": self.ratio >= 1,
        }


@dataclass(slots=True)
class Figures:
    """Everything that one run has measured so far."""

    ceilings: Ceilings | None = None
    throughputs: list[Throughput] = field(default_factory=list)
    finalities: list[Finality] = field(default_factory=list)

    def marks(self) -> Iterator[Mark]:
        """The marks, for the embedded log."""
        for found in self.throughputs:
            if found.backbone != "embedded" or self.ceilings is None:
                continue
            if found.name == "single":
                share = found.per_s / self.ceilings.verifications
                yield Mark("single-signature, share of the verification ceiling", share, SINGLE_SHARE_MARK)
            elif found.name == "batched, 10,000 accounts":
                yield Mark("batched transfers a second, 10,000 accounts", found.per_s, BATCHED_PER_S_MARK)
            yield Mark(f"replay against live, {found.name}", found.replay_per_s / found.per_s, REPLAY_SHARE_MARK)

    def as_json(self) -> dict[str, Any]:
        """All of it for programs; rates are per second, times in ms."""
        if self.ceilings is None:
            return {}
        verifications, copy_rows = self.ceilings.verifications, self.ceilings.copy_rows
        return {
            "cores": self.ceilings.cores,
            "ceilings": {
                "verifications_per_s": round(verifications, 1),
                "copy_rows_per_s": round(copy_rows, 1),
                "log_appends_per_s": round(self.ceilings.log_appends, 1),
            },
            "throughput": [
                {
                    "backbone": found.backbone,
                    "load": found.name,
                    "transfers": found.transfers,
                    "per_s": round(found.per_s, 1),
                    "replay_per_s": round(found.replay_per_s, 1),
                    "replay_equal": found.replay_equal,
                    "share_of_verification_ceiling": round(found.per_s / verifications, 3),
                    "share_of_copy_ceiling": round(found.per_s / copy_rows, 3),
                }
                for found in self.throughputs
            ],
            "finality_ms": [found.as_json() for found in self.finalities],
            "marks": [mark.as_json() for mark in self.marks()],
        }

    def show(self, console: Console) -> None:
        """Tables for people."""
        if self.ceilings is not None:
            console.print(_ceilings_table(self.ceilings))
            console.print(self._throughput_table(self.ceilings))
        for found in self.finalities:
            console.print(
                f"finality at {found.per_s} tx/s on {found.backbone}: p50 {found.final.p50:.0f} ms, "
                f"p99 {found.final.p99:.0f} ms; in SQL p50 {found.sql.p50:.0f} ms, p99 {found.sql.p99:.0f} ms",
                highlight=False,
            )
        console.print()
        for mark in self.marks():
            console.print(mark.sentence, highlight=False)

    def _throughput_table(self, ceilings: Ceilings) -> Table:
        table = Table("log", "load", "transfers", "transfers/s", "of verifying", "of COPY", "replay/s", box=None)
        for found in self.throughputs:
            table.add_row(
                found.backbone,
                found.name,
                f"{found.transfers:,}",
                f"{found.per_s:,.0f}",
                f"{found.per_s / ceilings.verifications:.0%}" if found.name == "single" else "",
                f"{found.per_s / ceilings.copy_rows:.1%}",
                f"{found.replay_per_s:,.0f}",
            )
        return table


def _ceilings_table(ceilings: Ceilings) -> Table:
    table = Table("this machine's ceilings", "per second", box=None)
    table.add_row(f"Ed25519 verifications, {ceilings.cores} cores", f"{ceilings.verifications:,.0f}")
    table.add_row("rows by binary COPY", f"{ceilings.copy_rows:,.0f}")
    table.add_row("log appends of 300 bytes", f"{ceilings.log_appends:,.0f}")
    return table
