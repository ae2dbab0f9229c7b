"""What a demo found: as JSON for programs, as lines for a terminal."""

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.demo.checks import Checks
from lab.demo.phases import Flow


@dataclass(frozen=True, slots=True)
class Report:
    """The whole outcome. `places`: (what, where it is). `commands`: (why, what can be typed next)."""

    backbone: str
    validators: int
    input: str
    flow: Flow
    checks: Checks
    views_nullified: int
    replay_s: float
    replay_per_s: float
    seconds: float
    places: tuple[tuple[str, str], ...]
    commands: tuple[tuple[str, str], ...]

    @property
    def failures(self) -> list[str]:
        """Sentences about every check that did not hold; empty: all did."""
        return self.checks.failures(self.flow.submitted)

    def as_json(self) -> dict[str, Any]:
        """The keys that programs rely on, then the rest."""
        flow, checks = self.flow, self.checks
        return {
            "backbone": self.backbone,
            "validators": self.validators,
            "submitted": flow.submitted,
            "executed": checks.executed,
            "rejected": checks.rejected,
            "height": flow.height,
            "finality_ms": _latency(flow.finality),
            "sql_ms": _latency(flow.sql),
            "views_nullified": self.views_nullified,
            "balances_equal": checks.balances_equal,
            "databases_equal": checks.databases_equal,
            "replay_equal": checks.replay_equal,
            "replay_s": round(self.replay_s, 2),
            "replay_per_s": round(self.replay_per_s, 1),
            "transactions_per_s": flow.undisturbed_per_s,
            "accounts": checks.accounts,
            "overdrawn": checks.overdrawn,
            "owed_hellers": checks.owed,
            "kills": [{"process": process, "back_after_s": seconds} for process, seconds in flow.kills],
            "input": self.input,
            "seconds": round(self.seconds, 1),
            "failures": self.failures,
        }

    def show(self, console: Console) -> None:
        """The summary for a person."""
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        table.add_column(style="bold")
        table.add_column()
        for what, said in self._lines():
            table.add_row(what, said)
        console.print()
        console.print(table)
        console.print()
        for failure in self.failures:
            console.print(Text.assemble(("FAILED", "bold red"), f" {failure}"))
        if not self.failures:
            console.print(Text.assemble(("All checks passed", "bold green"), f" in {self.seconds:.0f} s."))
        console.print()
        for what, command in self.commands:
            console.print(what)
            console.print(Text(f"  {command}"), soft_wrap=True)

    def _lines(self) -> list[tuple[str, str]]:
        flow, checks = self.flow, self.checks
        killed = ", ".join(f"{process} (back after {seconds:.1f} s)" for process, seconds in flow.kills)
        return [
            ("input", self.input),
            ("transactions", f"{flow.submitted} submitted, {checks.executed} executed, {checks.rejected} rejected"),
            ("rate", f"{flow.undisturbed_per_s:,.0f} a second, from submitting to rows ({flow.undisturbed_rows} rows)"),
            ("time to finality", _told(flow.finality) + " from submitting to a verified final header"),
            ("time to SQL", _told(flow.sql) + " from submitting to rows"),
            ("killed with SIGKILL", killed),
            ("balances", f"{checks.accounts} accounts, {_equal(checks.balances_equal)} to money in minus money out"),
            *_overdrawn(checks),
            ("databases", f"{self.validators}, {_equal(checks.databases_equal)} row for row"),
            ("replay", f"{self.replay_s:.1f} s after dropping the database ({self.replay_per_s:,.0f} a second)"),
            ("replayed database", f"{_equal(checks.replay_equal)} row for row in {checks.tables} tables"),
            *self.places,
        ]


def _overdrawn(checks: Checks) -> list[tuple[str, str]]:
    """Why not every loan came back, where one did not."""
    if not checks.overdrawn:
        return []
    owed = f"{checks.owed // 100:,}.{checks.owed % 100:02d}"
    return [("overdrawn", f"{checks.overdrawn} of them hold nothing, and keep {owed} of their loans: what they owe")]


def _latency(latency: Any) -> dict[str, float] | None:
    return None if latency is None else {"p50": latency.p50, "p99": latency.p99, "count": latency.count}


def _told(latency: Any) -> str:
    return "not measured" if latency is None else f"p50 {latency.p50:.0f} ms, p99 {latency.p99:.0f} ms"


def _equal(is_equal: bool) -> str:
    return "equal" if is_equal else "NOT EQUAL"
