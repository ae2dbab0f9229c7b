"""What the pipeline tells of its work, to whoever counts: where nobody does, telling costs next to nothing."""

from typing import Protocol

from ledger.columns import Verdicts
from ledger.state import Effects, Wanted
from projections.flush.checkpoints import StoredCheckpoint


class ExecutionWatch(Protocol):
    """Told by the pipeline's own threads."""

    def stage_finished(self, stage: str, seconds: float) -> None:
        """One pass through a stage: read, verdicts, prefetch, execute, flush_wait; flush, by a thread of its own."""

    def ahead(self, records: int) -> None:
        """So many records are read and not executed; told whenever records were read."""

    def executed(self, records: int, verdicts: Verdicts, wanted: Wanted, effects: Effects, entries: int) -> None:
        """A group of `records` records; `wanted` is what the cache did not hold, `entries` what it holds now."""

    def flushed(self, height: int, time_ms: int, checkpoint: StoredCheckpoint | None) -> None:
        """The database is at this height, that of a block of this time; with the checkpoint, if one was written."""

    def unavailable(self) -> None:
        """The database did not answer."""


class Unwatched:
    """Nobody counts."""

    def stage_finished(self, stage: str, seconds: float) -> None:
        """Nothing."""

    def ahead(self, records: int) -> None:
        """Nothing."""

    def executed(self, records: int, verdicts: Verdicts, wanted: Wanted, effects: Effects, entries: int) -> None:
        """Nothing."""

    def flushed(self, height: int, time_ms: int, checkpoint: StoredCheckpoint | None) -> None:
        """Nothing."""

    def unavailable(self) -> None:
        """Nothing."""
