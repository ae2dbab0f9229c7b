"""The figures of a committee on one machine, with the marks they are held against."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.bench.figures import Finality, Mark
from lab.demo.latency import Latency

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


@dataclass(slots=True)
class OnLog:
    """Everything on one log; None: not measured yet. `differences`: a sentence per table in which two databases
    differed at the end."""

    backbone: str
    finality: Finality | None = None
    views: Views | None = None
    throughputs: list[CommitteeThroughput] = field(default_factory=list)
    succession: Succession | None = None
    idle: Idle | None = None
    differences: list[str] | None = None


@dataclass(slots=True)
class CommitteeFigures:
    """Everything that one run has measured so far."""

    validators: int
    logs: list[OnLog] = field(default_factory=list)

    def marks(self) -> Iterator[Mark]:
        """The marks, on every log. A ratio above 1 is better: times and records are held the other way round."""
        for found in self.logs:
            on = found.backbone
            if found.finality is not None:
                yield Mark(f"finality p50 on {on}, ms", found.finality.final.p50, FINALITY_MARK_MS, is_bound=True)
            if found.idle is not None:
                yield Mark(f"waking an idle chain p50 on {on}, ms", found.idle.wake.p50, FINALITY_MARK_MS, True)
                records = found.idle.records_a_minute
                yield Mark(f"idle records a minute on {on}", records, IDLE_RECORDS_A_MINUTE_MARK, is_bound=True)

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
    """What is measured, and no key for what is not."""
    told: dict[str, Any] = {"backbone": found.backbone}
    if found.finality is not None:
        told["finality_ms"] = found.finality.as_json()
    if found.views is not None:
        told["views_per_s"] = round(found.views.per_s, 1)
        told["between_finalizations_ms"] = _latency_json(found.views.gap)
    told["throughput"] = [_load_json(load) for load in found.throughputs]
    if found.succession is not None:
        told["dead_leader_ms"] = {
            "kills": found.succession.kills,
            "timeout": found.succession.timeout_ms,
            "first": _latency_json(found.succession.first),
            "known": _latency_json(found.succession.known),
        }
    if found.idle is not None:
        wake = _latency_json(found.idle.wake)
        told["idle"] = {"seconds": found.idle.seconds, "records": found.idle.records, "wake_ms": wake}
    if found.differences is not None:
        told["differences"] = found.differences
    return told


def _load_json(load: CommitteeThroughput) -> dict[str, Any]:
    return {
        "load": load.name,
        "transfers": load.transfers,
        "final_per_s": round(load.final_per_s, 1),
        "executed_per_s": round(load.executed_per_s, 1),
    }


def _latency_json(latency: Latency | None) -> dict[str, Any] | None:
    return None if latency is None else {"count": latency.count, "p50": latency.p50, "p99": latency.p99}


def _throughput_table(found: OnLog) -> Table:
    table = Table("log", "load", "transfers", "final/s", "executed by all/s", box=None)
    for load in found.throughputs:
        rates = (f"{load.final_per_s:,.0f}", f"{load.executed_per_s:,.0f}")
        table.add_row(found.backbone, load.name, f"{load.transfers:,}", *rates)
    return table


def _times_table(found: OnLog) -> Table:
    table = Table("log", "time", "samples", "p50 ms", "p99 ms", box=None)
    for name, latency in _times(found):
        figures = (
            ("0", "", "") if latency is None else (f"{latency.count:,}", f"{latency.p50:.0f}", f"{latency.p99:.0f}")
        )
        table.add_row(found.backbone, name, *figures)
    return table


def _times(found: OnLog) -> Iterator[tuple[str, Latency | None]]:
    if found.finality is not None:
        yield f"final, at {found.finality.per_s} tx/s", found.finality.final
        yield f"in SQL, at {found.finality.per_s} tx/s", found.finality.sql
    if found.views is not None:
        yield "between finalizations", found.views.gap
    if found.succession is not None:
        yield f"past a dead leader, timeout {found.succession.timeout_ms} ms", found.succession.first
        yield "past a leader known to be dead", found.succession.known
    if found.idle is not None:
        yield "final, on an idle chain", found.idle.wake


def _sentence(found: OnLog) -> str:
    said = []
    if found.views is not None:
        said.append(f"{found.views.per_s:.1f} views a second")
    if found.succession is not None:
        said.append(f"{found.succession.kills} kills")
    if found.idle is not None:
        said.append(f"{found.idle.records} records in {found.idle.seconds:g} s without load")
    if found.differences is not None:
        said.append("; ".join(found.differences) or "all databases equal")
    return f"{found.backbone}: {'; '.join(said) or 'nothing was measured'}"
