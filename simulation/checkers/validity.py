"""Validity: final blocks order what was on the log, in its order, and nothing else."""

from ledger.header import Head, Header
from simulation.checkers.checker import Checker, Stored, Subject, Violation
from simulation.validator import SimValidator


class Validity(Checker):
    """Heads lie on the log, never go back, and stay within the limits; time rises."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._heads = {0: subject.genesis.empty_heads()}
        self._times = {0: 0}
        self._checkpoint = (0, 0, self._heads[0])
        """(height, time, heads) of the last checkpoint block."""

    def on_stored(self, validator: SimValidator, stored: Stored) -> None:
        header = stored.block.header
        for head in header.heads:
            if not self._is_on_log(head):
                raise Violation(f"height {header.height} orders what was never on the log: {head}")
        before = self._heads[header.height - 1]
        if any(new.end_offset < old.end_offset for new, old in zip(header.heads, before, strict=True)):
            raise Violation(f"heads go back at height {header.height}")
        if header.time_ms <= self._times[header.height - 1]:
            raise Violation(f"time does not rise at height {header.height}")
        if header.height not in self._heads:
            self._check_records(header, before)
        self._heads[header.height], self._times[header.height] = header.heads, header.time_ms

    def _is_on_log(self, head: Head) -> bool:
        if head.end_offset == 0:
            return head == self.subject.genesis.empty_heads()[head.partition]
        return head.incarnation == 0 and any(
            entry.end_offset == head.end_offset and entry.chain_digest == head.chain_digest
            for entry in self.subject.log[head.partition]
        )

    def _check_records(self, header: Header, before: tuple[Head, ...]) -> None:
        records = sum(
            old.end_offset < entry.end_offset <= new.end_offset
            for new, old in zip(header.heads, before, strict=True)
            for entry in self.subject.log[new.partition]
        )
        if records > self.subject.genesis.limits.records_max:
            raise Violation(f"height {header.height} orders {records} records at once")
        _, time_ms, heads = self._checkpoint
        is_due = header.time_ms >= time_ms + self.subject.genesis.checkpoint_time_ms and header.heads != heads
        if records == 0 and not is_due:
            raise Violation(f"height {header.height} orders nothing and is no checkpoint")
        if is_due or header.height % self.subject.genesis.checkpoint_heights == 0:
            self._checkpoint = (header.height, header.time_ms, header.heads)
