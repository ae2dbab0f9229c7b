"""The figures of a committee on one machine, with the marks they are held against."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from momus.bench.figures import Finality, Mark
from momus.demo.latency import Latency

FINALITY_MARK_MS = 250.0
IDLE_RECORDS_A_MINUTE_MARK = 1.0


@dataclass(frozen=True, slots=True)
class CommitteeThroughput:
    """One load: from the first append until the last transfer is final, and executed by every validator."""

    name: str
    transfers: int
    final_per_s: float
    executed_per_s: float


@dataclass(frozen=True, slots=True)
class Views:
    """At the pace of the finality measurement: views a second, and from one finalization to the next."""

    per_s: float
    gap: Latency


@dataclass(frozen=True, slots=True)
class Succession:
    """From the last finalization before to the first one after a dead leader's view. None: no sample.

    `first`: the others wait for the leader's timer. `known`: it was silent for so long that they do not.
    """

    kills: int
    timeout_ms: int
    first: Latency | None
    known: Latency | None


@dataclass(frozen=True, slots=True)
class Idle:
    """Records written to all topics in `seconds` without load; and finality of single payments on an idle chain."""

    seconds: float
    records: int
    wake: Latency

    @property
    def records_a_minute(self) -> float:
        """Over the whole chain."""
        return 60 * self.records / self.seconds


@dataclass(frozen=True, slots=True)
class OnLog:
    """Everything on one log. `differences`: a sentence per table in which two databases differed at the end."""

    finality: Finality
    views: Views
    throughputs: tuple[CommitteeThroughput, ...]
    succession: Succession
    idle: Idle
    differences: tuple[str, ...]


@dataclass(slots=True)
class CommitteeFigures:
    """Everything that one run measured."""

    validators: int
    logs: list[OnLog] = field(default_factory=list)

    def marks(self) -> Iterator[Mark]:
        """The marks, on every log. A ratio above 1 is better: times and records are held the other way round."""
        for found in self.logs:
            backbone = found.finality.backbone
            yield Mark(f"finality p50 on {backbone}, ms", found.finality.final.p50, FINALITY_MARK_MS, is_bound=True)
            yield Mark(f"waking an idle chain p50 on {backbone}, ms", found.idle.wake.p50, FINALITY_MARK_MS, True)
            records = found.idle.records_a_minute
            yield Mark(f"idle records a minute on {backbone}", records, IDLE_RECORDS_A_MINUTE_MARK, is_bound=True)

    def as_json(self) -> dict[str, Any]:
        """All of it for programs; rates are per second, times in ms."""
        return {
            "cores": os.cpu_count() or 1,
            "validators": self.validators,
            "logs": [_log_json(found) for found in self.logs],
            "marks": [mark.as_json() for mark in self.marks()],
        }

    def show(self, console: Console) -> None:
        """Tables for people."""
        for found in self.logs:
            console.print(_throughput_table(found))
            console.print(_times_table(found))
            console.print(_sentence(found), highlight=False, soft_wrap=True)
            console.print()
        for mark in self.marks():
            console.print(mark.sentence, highlight=False, soft_wrap=True)


def _log_json(found: OnLog) -> dict[str, Any]:
    return {
        "backbone": found.finality.backbone,
        "finality_ms": found.finality.as_json(),
        "views_per_s": round(found.views.per_s, 1),
        "between_finalizations_ms": _latency_json(found.views.gap),
        "throughput": [
            {
                "load": load.name,
                "transfers": load.transfers,
                "final_per_s": round(load.final_per_s, 1),
                "executed_per_s": round(load.executed_per_s, 1),
            }
            for load in found.throughputs
        ],
        "dead_leader_ms": {
            "kills": found.succession.kills,
            "timeout": found.succession.timeout_ms,
            "first": _latency_json(found.succession.first),
            "known": _latency_json(found.succession.known),
        },
        "idle": {
            "seconds": found.idle.seconds,
            "records": found.idle.records,
            "wake_ms": _latency_json(found.idle.wake),
        },
        "differences": list(found.differences),
    }


def _latency_json(latency: Latency | None) -> dict[str, Any] | None:
    return None if latency is None else {"count": latency.count, "p50": latency.p50, "p99": latency.p99}


def _throughput_table(found: OnLog) -> Table:
    table = Table("log", "load", "transfers", "final/s", "executed by all/s", box=None)
    for load in found.throughputs:
        rates = (f"{load.final_per_s:,.0f}", f"{load.executed_per_s:,.0f}")
        table.add_row(found.finality.backbone, load.name, f"{load.transfers:,}", *rates)
    return table


def _times_table(found: OnLog) -> Table:
    table = Table("log", "time", "samples", "p50 ms", "p99 ms", box=None)
    rows: Sequence[tuple[str, Latency | None]] = (
        (f"final, at {found.finality.per_s} tx/s", found.finality.final),
        (f"in SQL, at {found.finality.per_s} tx/s", found.finality.sql),
        ("between finalizations", found.views.gap),
        (f"past a dead leader, timeout {found.succession.timeout_ms} ms", found.succession.first),
        ("past a leader known to be dead", found.succession.known),
        ("final, on an idle chain", found.idle.wake),
    )
    for name, latency in rows:
        figures = (
            ("0", "", "") if latency is None else (f"{latency.count:,}", f"{latency.p50:.0f}", f"{latency.p99:.0f}")
        )
        table.add_row(found.finality.backbone, name, *figures)
    return table


def _sentence(found: OnLog) -> str:
    equal = "all databases equal" if not found.differences else "; ".join(found.differences)
    return (
        f"{found.finality.backbone}: {found.views.per_s:.1f} views a second; {found.succession.kills} kills; "
        f"{found.idle.records} records in {found.idle.seconds:g} s without load; {equal}"
    )
