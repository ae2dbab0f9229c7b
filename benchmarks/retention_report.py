"""The samples of a run, thirds of it compared, and the verdicts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import mean

from rich.console import Console
from rich.table import Table

from benchmarks.retention_samples import Checkpoints, Sample

FLAT_MAX = 1.10
"""The last third by the second."""
MIB = 1 << 20
OF_HISTORY = ("history tables", "store")
"""These are as large as the history that is retained; the others as large as the state, which does not grow."""
OF_STATE = ("state tables", "tree", "snapshots")
NOT_JUDGED = {
    "journal": "written anew when it has grown to about a mebibyte",
    "Postgres' WAL": "up to max_wal_size, whatever is retained",
    "log": "never removed by Momus",
}


@dataclass(slots=True)
class Report:
    """Filled while a node runs."""

    samples: list[Sample] = field(default_factory=list)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    transactions_per_s: float = 0.0

    def line(self, seconds: float) -> str:
        """The newest sample, for who waits."""
        last = self.samples[-1]
        disk = ", ".join(f"{name} {size / MIB:.1f}" for name, size in last.disk.items())
        memory = ", ".join(f"{name} {size / MIB:.0f}" for name, size in last.memory.items())
        return f"{seconds:4.0f} s: {last.transactions:,} transactions kept; MiB: {disk}; memory {memory}"

    def show(self, console: Console) -> None:
        """The table, and a line a verdict."""
        console.print(f"{len(self.samples)} samples, {self.transactions_per_s:,.0f} transactions/s")
        table = Table("", "second third", "last third", "ratio", "", box=None)
        flat = [self._row(table, *row) for row in self._judged()]
        for name, why in NOT_JUDGED.items():
            self._row(table, f"{name}, MiB", lambda sample, name=name: sample.disk[name] / MIB, f"not judged: {why}")  # type: ignore[misc]
        self._row(table, "transactions kept", lambda sample: sample.transactions, "")
        console.print(table)
        found = self.checkpoints
        console.print(
            f"checkpoints: {found.due} due, missing {found.missing or 'none'}, undue {found.undue or 'none'}; at most "
            f"{found.between_ms_max:,} ms of block time from one to the next; "
            f"the newest at most {max(sample.checkpoint_age_s for sample in self.samples):.1f} s old, the newest "
            f"certified {max(sample.certified_age_s for sample in self.samples):.1f} s"
        )
        console.print(f"flat within {FLAT_MAX - 1:.0%}: {'met' if all(flat) else 'missed'}")
        console.print(f"checkpoints on time: {'missed' if found.missing or found.undue else 'met'}")

    def _judged(self) -> Iterable[tuple[str, Callable[[Sample], float], str]]:
        yield "disk, bytes a transaction kept", _history_bytes, ""
        for name in OF_HISTORY:
            yield f"  {name}", lambda sample, name=name: sample.disk[name] / sample.transactions, ""  # type: ignore[misc]
        for name in OF_STATE:
            yield f"{name}, MiB", lambda sample, name=name: sample.disk[name] / MIB, ""  # type: ignore[misc]
        for name in self.samples[-1].memory:
            yield f"memory of {name}, MiB", lambda sample, name=name: sample.memory[name] / MIB, ""  # type: ignore[misc]

    def _row(self, table: Table, name: str, of: Callable[[Sample], float], remark: str) -> bool:
        """Whether the last third is no larger than the second, but for what is allowed."""
        third = len(self.samples) // 3
        before = mean(map(of, self.samples[third : 2 * third]))
        after = mean(map(of, self.samples[2 * third :]))
        ratio = after / before if before else 1.0
        is_flat = ratio <= FLAT_MAX
        table.add_row(name, f"{before:,.1f}", f"{after:,.1f}", f"{ratio:.3f}", remark or ("" if is_flat else "GROWS"))
        return is_flat


def _history_bytes(sample: Sample) -> float:
    return sum(sample.disk[name] for name in OF_HISTORY) / sample.transactions
